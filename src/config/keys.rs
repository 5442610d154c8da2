//! The settings, one row each.

use super::{CacheUserSymbols, Config, ControlCharacters, MissingProbes, Shown, Unstable};
use crate::types::StackMode;

/// One setting.
pub struct Key {
    pub name: &'static str,
    /// Names it had before.
    pub old: &'static [&'static str],
    pub doc: &'static str,
    pub set: Setter,
    /// `None` for one that has no meaning of its own.
    pub get: Option<fn(&Config) -> Shown>,
}

/// How a value becomes part of the configuration; the error says what is wrong with it.
pub enum Setter {
    Number(fn(&mut Config, u64)),
    Bool(fn(&mut Config, bool)),
    /// An old name for the opposite of another setting.
    Inverse(fn(&mut Config, bool), &'static str),
    Text(fn(&mut Config, &str) -> Result<(), &'static str>),
    /// What bpftrace can be built with or without: checked, and nothing changes.
    Build,
    /// Without meaning in bpftrace as well.
    Nothing,
}

pub const KEYS: &[Key] = &[
    Key {
        name: "cpp_demangle",
        old: &[],
        doc: "whether C++ and Rust names are shown as written in the source",
        set: Setter::Bool(|config, value| config.cpp_demangle = value),
        get: Some(|config| Shown::Truth(config.cpp_demangle)),
    },
    Key {
        name: "lazy_symbolication",
        old: &[],
        doc: "whether user addresses become names when they are printed; the mappings of a process are noted when it is first seen, so the names are the same either way",
        set: Setter::Bool(|config, value| config.lazy_symbolication = value),
        get: Some(|config| Shown::Truth(config.lazy_symbolication)),
    },
    Key {
        name: "print_maps_on_exit",
        old: &[],
        doc: "whether maps are printed at the end",
        set: Setter::Bool(|config, value| config.print_maps_on_exit = value),
        get: Some(|config| Shown::Truth(config.print_maps_on_exit)),
    },
    Key {
        name: "use_blazesym",
        old: &[],
        doc: "accepted; rtrace finds names by itself",
        set: Setter::Build,
        get: Some(|_| Shown::Truth(true)),
    },
    Key {
        name: "show_debug_info",
        old: &[],
        doc: "whether user stacks show inlined functions and places in the source, where there is debug information",
        set: Setter::Bool(|config, value| config.show_debug_info = value),
        get: Some(|config| Shown::Truth(config.show_debug_info)),
    },
    Key {
        name: "log_size",
        old: &[],
        doc: "bytes of the verifier's log",
        set: Setter::Number(|config, value| config.log_size = value),
        get: Some(|config| Shown::Number(config.log_size)),
    },
    Key {
        name: "max_bpf_progs",
        old: &[],
        doc: "programs that patterns may expand to",
        set: Setter::Number(|config, value| config.max_bpf_progs = value),
        get: Some(|config| Shown::Number(config.max_bpf_progs)),
    },
    Key {
        name: "max_cat_bytes",
        old: &["cat_bytes_max"],
        doc: "bytes that `cat()` prints",
        set: Setter::Number(|config, value| config.max_cat_bytes = value),
        get: Some(|config| Shown::Number(config.max_cat_bytes)),
    },
    Key {
        name: "max_map_keys",
        old: &["map_keys_max"],
        doc: "entries of a map",
        set: Setter::Number(|config, value| config.max_map_keys = value),
        get: Some(|config| Shown::Number(config.max_map_keys)),
    },
    Key {
        name: "max_probes",
        old: &[],
        doc: "targets that patterns may expand to",
        set: Setter::Number(|config, value| config.max_probes = value),
        get: Some(|config| Shown::Number(config.max_probes)),
    },
    Key {
        name: "max_strlen",
        old: &["strlen"],
        doc: "bytes of a string",
        set: Setter::Number(|config, value| config.max_strlen = value),
        get: Some(|config| Shown::Number(config.max_strlen)),
    },
    Key {
        name: "on_stack_limit",
        old: &[],
        doc: "bytes of the largest temporary that lies on a program's stack; larger ones, and those that do not fit, lie in a map",
        set: Setter::Number(|config, value| config.on_stack_limit = value),
        get: Some(|config| Shown::Number(config.on_stack_limit)),
    },
    Key {
        name: "perf_rb_pages",
        old: &[],
        doc: "pages of the ring buffer; 0 is 1 MiB, and 256 KiB for each more from eight processors on",
        set: Setter::Number(|config, value| config.perf_rb_pages = value),
        get: Some(|config| Shown::Number(config.perf_rb_pages)),
    },
    Key {
        name: "str_trunc_trailer",
        old: &[],
        doc: "what marks a string that filled its buffer",
        set: Setter::Text(|config, value| {
            config.str_trunc_trailer = value.to_string();
            Ok(())
        }),
        get: Some(|config| Shown::Text(config.str_trunc_trailer.clone())),
    },
    Key {
        name: "unstable_import_statement",
        old: &[],
        doc: "whether bodies may import; what they could import needs a compiler",
        set: Setter::Text(|config, value| {
            config.unstable_import_statement = unstable(value)?;
            Ok(())
        }),
        get: Some(|config| Shown::Text(unstable_name(config.unstable_import_statement).to_string())),
    },
    Key {
        name: "unstable_tseries",
        old: &[],
        doc: "whether `tseries()` may be used: `error`, `warn`, `enable`",
        set: Setter::Text(|config, value| {
            config.unstable_tseries = unstable(value)?;
            Ok(())
        }),
        get: Some(|config| Shown::Text(unstable_name(config.unstable_tseries).to_string())),
    },
    Key {
        name: "unstable_typeinfo",
        old: &[],
        doc: "whether `typeinfo()` may be used",
        set: Setter::Text(|config, value| {
            config.unstable_typeinfo = unstable(value)?;
            Ok(())
        }),
        get: Some(|config| Shown::Text(unstable_name(config.unstable_typeinfo).to_string())),
    },
    Key {
        name: "unstable_dw_ustack",
        old: &[],
        doc: "whether `dw_ustack()` may be used",
        set: Setter::Text(|config, value| {
            config.unstable_dw_ustack = unstable(value)?;
            Ok(())
        }),
        get: Some(|config| Shown::Text(unstable_name(config.unstable_dw_ustack).to_string())),
    },
    Key {
        name: "missing_probes",
        old: &[],
        doc: MISSING_PROBES,
        set: Setter::Text(set_missing_probes),
        get: Some(|config| Shown::Text(missing_probes(config.missing_probes).to_string())),
    },
    Key {
        name: "stack_mode",
        old: &[],
        doc: "how stacks look: `bpftrace`, `perf`, `raw`, `build_id`",
        set: Setter::Text(set_stack_mode),
        get: Some(|config| Shown::Text(stack_mode(config.stack_mode).to_string())),
    },
    Key {
        name: "license",
        old: &[],
        doc: "the license that programs are loaded under",
        set: Setter::Text(set_license),
        get: Some(|config| Shown::Text(config.license.clone())),
    },
    Key {
        name: "cache_user_symbols",
        old: &[],
        doc: "`PER_PID`, `PER_PROGRAM` or `NONE`; accepted: symbols are kept per file, and addresses are those of the process",
        set: Setter::Text(set_cache),
        get: Some(|config| Shown::Text(cache(config.cache_user_symbols).to_string())),
    },
    Key {
        name: "hist_percentiles",
        old: &[],
        doc: "whether a line of percentiles follows each histogram",
        set: Setter::Bool(|config, value| config.hist_percentiles = value),
        get: Some(|config| Shown::Truth(config.hist_percentiles)),
    },
    Key {
        name: "max_stacks",
        old: &[],
        doc: "places for different stacks, rounded up to a power of two; two that come to the same one cannot both be kept",
        set: Setter::Number(|config, value| config.max_stacks = value),
        get: Some(|config| Shown::Number(config.max_stacks)),
    },
    Key {
        name: "control_characters",
        old: &[],
        doc: "how control characters in values are shown: `escaped`, `raw`, or (`auto`) escaped on a terminal only",
        set: Setter::Text(set_control_characters),
        get: Some(|config| Shown::Text(control_characters(config.control_characters).to_string())),
    },
    Key {
        name: "no_cpp_demangle",
        old: &[],
        doc: "",
        set: Setter::Inverse(|config, value| config.cpp_demangle = value, "cpp_demangle"),
        get: None,
    },
    Key { name: "symbol_source", old: &[], doc: "", set: Setter::Nothing, get: None },
    Key { name: "max_type_res_iterations", old: &[], doc: "", set: Setter::Nothing, get: None },
    Key { name: "unstable_addr", old: &[], doc: "", set: Setter::Nothing, get: None },
    Key { name: "unstable_import", old: &[], doc: "", set: Setter::Nothing, get: None },
    Key { name: "unstable_macro", old: &[], doc: "", set: Setter::Nothing, get: None },
    Key { name: "unstable_map_decl", old: &[], doc: "", set: Setter::Nothing, get: None },
];

const MISSING_PROBES: &str = "what to do about attach points that match nothing: `error`, `warn`, `ignore`, or `alternatives` (no matter where another one of the clause matches); a pattern may match nothing where another attach point of its clause matches";

const LICENSES: [&str; 6] =
    ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];

fn set_missing_probes(config: &mut Config, value: &str) -> Result<(), &'static str> {
    config.missing_probes = match value {
        "error" => MissingProbes::Error,
        "warn" => MissingProbes::Warn,
        "ignore" => MissingProbes::Ignore,
        "alternatives" => MissingProbes::Alternatives,
        _ => {
            return Err("Invalid value for missing_probes: valid values are ignore, warn, error, and alternatives.");
        }
    };
    Ok(())
}

fn set_control_characters(config: &mut Config, value: &str) -> Result<(), &'static str> {
    config.control_characters = match value {
        "auto" => ControlCharacters::Auto,
        "escaped" => ControlCharacters::Escaped,
        "raw" => ControlCharacters::Raw,
        _ => return Err("Invalid value for control_characters: valid values are auto, escaped, and raw."),
    };
    Ok(())
}

fn set_stack_mode(config: &mut Config, value: &str) -> Result<(), &'static str> {
    config.stack_mode = match value {
        "bpftrace" => StackMode::Bpftrace,
        "perf" => StackMode::Perf,
        "raw" => StackMode::Raw,
        "build_id" => StackMode::BuildId,
        _ => return Err("Invalid value for stack_mode: valid values are bpftrace, raw, perf, and build_id."),
    };
    Ok(())
}

fn unstable(value: &str) -> Result<Unstable, &'static str> {
    match value {
        "error" => Ok(Unstable::Error),
        "warn" => Ok(Unstable::Warn),
        "enable" => Ok(Unstable::Enable),
        _ => Err("Invalid value for unstable config: valid values are enable, warn, and error."),
    }
}

fn set_license(config: &mut Config, value: &str) -> Result<(), &'static str> {
    if !LICENSES.contains(&value) {
        return Err(
            "Invalid value for license: valid values are GPL, GPL v2, GPL and additional rights, Dual BSD/GPL, Dual MIT/GPL, and Dual MPL/GPL.",
        );
    }
    config.license = value.to_string();
    Ok(())
}

fn set_cache(config: &mut Config, value: &str) -> Result<(), &'static str> {
    config.cache_user_symbols = match value {
        "PER_PID" | "1" => CacheUserSymbols::PerPid,
        "PER_PROGRAM" => CacheUserSymbols::PerProgram,
        "NONE" | "0" => CacheUserSymbols::None,
        _ => return Err("Invalid value for cache_user_symbols: valid values are PER_PID, PER_PROGRAM, and NONE."),
    };
    Ok(())
}

fn cache(value: CacheUserSymbols) -> &'static str {
    match value {
        CacheUserSymbols::PerPid => "PER_PID",
        CacheUserSymbols::PerProgram => "PER_PROGRAM",
        CacheUserSymbols::None => "NONE",
    }
}

fn control_characters(value: ControlCharacters) -> &'static str {
    match value {
        ControlCharacters::Auto => "auto",
        ControlCharacters::Escaped => "escaped",
        ControlCharacters::Raw => "raw",
    }
}

fn unstable_name(value: Unstable) -> &'static str {
    match value {
        Unstable::Error => "error",
        Unstable::Warn => "warn",
        Unstable::Enable => "enable",
    }
}

fn missing_probes(value: MissingProbes) -> &'static str {
    match value {
        MissingProbes::Error => "error",
        MissingProbes::Warn => "warn",
        MissingProbes::Ignore => "ignore",
        MissingProbes::Alternatives => "alternatives",
    }
}

fn stack_mode(value: StackMode) -> &'static str {
    match value {
        StackMode::Bpftrace => "bpftrace",
        StackMode::Perf => "perf",
        StackMode::Raw => "raw",
        StackMode::BuildId => "build_id",
    }
}
