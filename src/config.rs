//! The settings of a script: the `config` block, overridden by the environment.

use crate::diag::Diagnostic;
use crate::names;
use crate::syntax::ast::{Setting, SettingValue};
use crate::types::StackMode;

/// Every setting, with its default.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub hist_percentiles: bool,
    pub max_map_keys: u64,
    pub max_strlen: u64,
    pub max_probes: u64,
    pub max_bpf_progs: u64,
    pub max_cat_bytes: u64,
    pub log_size: u64,
    /// Pages of the ring buffer; 0 sizes it by the machine's memory.
    pub perf_rb_pages: u64,
    pub print_maps_on_exit: bool,
    pub cpp_demangle: bool,
    pub missing_probes: MissingProbes,
    pub stack_mode: StackMode,
    pub str_trunc_trailer: String,
    pub control_characters: ControlCharacters,
    pub license: String,
    pub unstable_tseries: Unstable,
}

/// What to do about a feature that may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unstable {
    Error,
    Warn,
    Enable,
}

/// What to do about an attach point that matches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingProbes {
    Error,
    Warn,
    Ignore,
    /// The attach points of a clause are what one thing is called on one kernel or another: at least one must match.
    Alternatives,
}

/// How control characters within values are shown: text of traced processes must not command the user's terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlCharacters {
    /// Escaped on a terminal, raw elsewhere.
    Auto,
    Escaped,
    Raw,
}

/// Settings that the environment gives; they win over a script's own.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    settings: Vec<(&'static Key, String)>,
}

/// One setting.
struct Key {
    /// Its name, then older ones.
    names: &'static [&'static str],
    set: Setter,
}

/// How a value becomes part of the configuration; the error says what is wrong with it.
enum Setter {
    Number(fn(&mut Config, u64)),
    Bool(fn(&mut Config, bool)),
    Text(fn(&mut Config, &str) -> Result<(), &'static str>),
    /// Known to bpftrace and without meaning here: accepted, and nothing changes.
    Nothing,
}

const KEYS: &[Key] = &[
    Key { names: &["hist_percentiles"], set: Setter::Bool(|config, value| config.hist_percentiles = value) },
    Key { names: &["max_map_keys", "map_keys_max"], set: Setter::Number(|config, value| config.max_map_keys = value) },
    Key { names: &["max_strlen", "strlen"], set: Setter::Number(|config, value| config.max_strlen = value) },
    Key { names: &["max_probes"], set: Setter::Number(|config, value| config.max_probes = value) },
    Key { names: &["max_bpf_progs"], set: Setter::Number(|config, value| config.max_bpf_progs = value) },
    Key {
        names: &["max_cat_bytes", "cat_bytes_max"],
        set: Setter::Number(|config, value| config.max_cat_bytes = value),
    },
    Key { names: &["log_size"], set: Setter::Number(|config, value| config.log_size = value) },
    Key { names: &["perf_rb_pages"], set: Setter::Number(|config, value| config.perf_rb_pages = value) },
    Key { names: &["print_maps_on_exit"], set: Setter::Bool(|config, value| config.print_maps_on_exit = value) },
    Key { names: &["cpp_demangle"], set: Setter::Bool(|config, value| config.cpp_demangle = value) },
    Key { names: &["no_cpp_demangle"], set: Setter::Bool(|config, value| config.cpp_demangle = !value) },
    Key { names: &["missing_probes"], set: Setter::Text(set_missing_probes) },
    Key { names: &["stack_mode"], set: Setter::Text(set_stack_mode) },
    Key {
        names: &["str_trunc_trailer"],
        set: Setter::Text(|config, value| {
            config.str_trunc_trailer = value.to_string();
            Ok(())
        }),
    },
    Key { names: &["control_characters"], set: Setter::Text(set_control_characters) },
    Key { names: &["license"], set: Setter::Text(set_license) },
    Key {
        names: &["unstable_tseries"],
        set: Setter::Text(|config, value| {
            config.unstable_tseries = unstable(value)?;
            Ok(())
        }),
    },
    Key {
        names: &[
            "cache_user_symbols",
            "lazy_symbolication",
            "on_stack_limit",
            "show_debug_info",
            "use_blazesym",
            "unstable_import_statement",
            "unstable_typeinfo",
            "unstable_dw_ustack",
            "symbol_source",
            "max_type_res_iterations",
            "unstable_addr",
            "unstable_import",
            "unstable_macro",
            "unstable_map_decl",
        ],
        set: Setter::Nothing,
    },
];

const LICENSES: [&str; 6] =
    ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];

impl Default for Config {
    fn default() -> Self {
        Self {
            hist_percentiles: false,
            max_map_keys: 4096,
            max_strlen: 1024,
            max_probes: 1024,
            max_bpf_progs: 1024,
            max_cat_bytes: 10240,
            log_size: 1_000_000,
            perf_rb_pages: 0,
            print_maps_on_exit: true,
            cpp_demangle: true,
            missing_probes: MissingProbes::Error,
            stack_mode: StackMode::Bpftrace,
            str_trunc_trailer: "..".to_string(),
            control_characters: ControlCharacters::Auto,
            license: "GPL".to_string(),
            unstable_tseries: Unstable::Warn,
        }
    }
}

impl Config {
    /// Takes over a script's settings; what is wrong with them is returned.
    pub fn apply(&mut self, settings: &[Setting]) -> Vec<Diagnostic> {
        let mut faults = Vec::new();
        for setting in settings {
            let name = &setting.key.text;
            let Some(key) = find(name) else {
                faults.push(unknown(setting));
                continue;
            };
            let value = match &setting.value {
                SettingValue::Int(number) => number.to_string(),
                SettingValue::Bool(truth) => truth.to_string(),
                SettingValue::Text(text) | SettingValue::Word(text) => text.clone(),
            };
            if let Err(message) = key.set(self, &value) {
                faults.push(Diagnostic::error(setting.value_span, format!("{name}: {message}")));
            }
        }
        faults
    }
}

impl Overrides {
    /// Reads `BPFTRACE_NAME` and `RTRACE_NAME`. The error names the variable and says what is wrong with its value.
    pub fn from_environment(variables: impl Iterator<Item = (String, String)>) -> Result<Self, String> {
        let mut overrides = Self::default();
        for (variable, value) in variables {
            let name = variable.strip_prefix("RTRACE_").or_else(|| variable.strip_prefix("BPFTRACE_"));
            let Some(key) = name.and_then(find) else { continue };
            key.set(&mut Config::default(), &value).map_err(|message| format!("{variable}: {message}"))?;
            overrides.settings.push((key, value));
        }
        Ok(overrides)
    }

    pub fn apply(&self, config: &mut Config) {
        for (key, value) in &self.settings {
            // The value was found to be good when it was read.
            key.set(config, value).ok();
        }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.names[0])
    }
}

impl Key {
    fn set(&self, config: &mut Config, value: &str) -> Result<(), String> {
        match self.set {
            Setter::Number(set) => {
                set(config, value.parse().map_err(|_| format!("expecting a number, got {value}"))?);
                Ok(())
            }
            Setter::Bool(set) => {
                let truth = match value.to_ascii_lowercase().as_str() {
                    "1" | "true" | "on" | "yes" => true,
                    "0" | "false" | "off" | "no" => false,
                    _ => return Err("Invalid bool value: valid values are true, false, 1 or 0.".to_string()),
                };
                set(config, truth);
                Ok(())
            }
            Setter::Text(set) => set(config, value).map_err(str::to_string),
            Setter::Nothing => Ok(()),
        }
    }
}

/// What bpftrace takes from the environment alone.
const ENVIRONMENT_ONLY: [&str; 6] = ["btf", "color", "kernel_build", "kernel_source", "objcopy", "vmlinux"];

fn find(name: &str) -> Option<&'static Key> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("bpftrace_").unwrap_or(&name);
    KEYS.iter().find(|key| key.names.contains(&name))
}

fn unknown(setting: &Setting) -> Diagnostic {
    let name = &setting.key.text;
    let known = KEYS.iter().flat_map(|key| key.names.iter().copied());
    if ENVIRONMENT_ONLY.contains(&name.to_ascii_lowercase().as_str()) {
        let message = format!("{name}: can only be set as an environment variable");
        let hint = format!("BPFTRACE_{}=... rtrace ...", name.to_ascii_uppercase());
        return Diagnostic::error(setting.key.span, message).hint(hint);
    }
    let fault = Diagnostic::error(setting.key.span, format!("{name}: not a known configuration option"));
    match names::nearest(name, known) {
        Some(near) => fault.hint(format!("did you mean {near}?")),
        None => fault,
    }
}

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
        _ => Err("Invalid value: valid values are error, warn, and enable."),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins() {
        let variables = [("BPFTRACE_MAX_STRLEN", "64"), ("RTRACE_HIST_PERCENTILES", "on"), ("HOME", "/")];
        let variables = variables.map(|(name, value)| (name.to_string(), value.to_string()));
        let mut config = Config::default();
        Overrides::from_environment(variables.into_iter()).unwrap().apply(&mut config);
        assert_eq!((config.max_strlen, config.hist_percentiles), (64, true));
    }

    #[test]
    fn bad_values_are_told() {
        let one = |name: &str, value: &str| {
            Overrides::from_environment([(name.to_string(), value.to_string())].into_iter()).unwrap_err()
        };
        assert_eq!(one("BPFTRACE_MAX_STRLEN", "x"), "BPFTRACE_MAX_STRLEN: expecting a number, got x");
        assert!(one("BPFTRACE_STACK_MODE", "x").contains("valid values are bpftrace, raw, perf, and build_id."));
    }
}
