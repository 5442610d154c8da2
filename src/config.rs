//! The settings of a script: the `config` block, overridden by the environment.

mod keys;

use crate::diag::Diagnostic;
use crate::names;
use crate::syntax::ast::{Setting, SettingValue};
use crate::types::StackMode;
use keys::{Key, Setter};

/// Every setting, with its default.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub hist_percentiles: bool,
    pub max_map_keys: u64,
    pub max_strlen: u64,
    /// Places for different stacks, of each kind.
    pub max_stacks: u64,
    pub max_probes: u64,
    pub max_bpf_progs: u64,
    pub max_cat_bytes: u64,
    pub log_size: u64,
    /// Pages of the ring buffer; 0 sizes it by the machine's memory.
    pub perf_rb_pages: u64,
    pub print_maps_on_exit: bool,
    pub cpp_demangle: bool,
    /// Whether stacks of processes are shown with places in the source and functions that were put into others.
    pub show_debug_info: bool,
    pub missing_probes: MissingProbes,
    pub stack_mode: StackMode,
    pub str_trunc_trailer: String,
    pub control_characters: ControlCharacters,
    pub license: String,
    /// Bytes of the largest temporary that is put on the stack of a program.
    pub on_stack_limit: u64,
    pub lazy_symbolication: bool,
    pub cache_user_symbols: CacheUserSymbols,
    pub unstable_tseries: Unstable,
    pub unstable_typeinfo: Unstable,
    pub unstable_import_statement: Unstable,
    pub unstable_dw_ustack: Unstable,
}

/// What the symbols of a binary are kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheUserSymbols {
    PerPid,
    PerProgram,
    None,
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

/// A setting's value, for those who look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    Number(u64),
    Truth(bool),
    Text(String),
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Shown::Number(number) => write!(f, "{number}"),
            Shown::Truth(truth) => write!(f, "{truth}"),
            Shown::Text(text) => f.write_str(text),
        }
    }
}

/// A setting as documents and the `config` builtin have it.
pub struct Row {
    pub name: &'static str,
    pub doc: &'static str,
    pub get: fn(&Config) -> Shown,
}

/// Every setting that has a meaning, in the order of bpftrace, then our own.
pub fn rows() -> impl Iterator<Item = Row> {
    let known = keys::KEYS.iter().filter_map(|key| Some((key, key.get?)));
    known.map(|(key, get)| Row { name: key.name, doc: key.doc, get })
}

/// What maps hold unless the script asks for more.
pub const MAX_MAP_KEYS: u64 = 4096;

impl Default for Config {
    fn default() -> Self {
        Self {
            hist_percentiles: false,
            max_map_keys: MAX_MAP_KEYS,
            max_strlen: 1024,
            max_stacks: 16384,
            max_probes: 1024,
            max_bpf_progs: 1024,
            max_cat_bytes: 10240,
            log_size: 1_000_000,
            perf_rb_pages: 0,
            print_maps_on_exit: true,
            cpp_demangle: true,
            show_debug_info: false,
            missing_probes: MissingProbes::Error,
            stack_mode: StackMode::Bpftrace,
            str_trunc_trailer: "..".to_string(),
            control_characters: ControlCharacters::Auto,
            license: "GPL".to_string(),
            on_stack_limit: 64,
            lazy_symbolication: true,
            cache_user_symbols: CacheUserSymbols::PerPid,
            unstable_tseries: Unstable::Warn,
            unstable_typeinfo: Unstable::Error,
            unstable_import_statement: Unstable::Error,
            unstable_dw_ustack: Unstable::Warn,
        }
    }
}

impl Config {
    /// Takes over a script's settings; what is wrong with them is returned, and what deserves a warning.
    pub fn apply(&mut self, settings: &[Setting]) -> Vec<Diagnostic> {
        settings.iter().filter_map(|setting| self.apply_one(setting)).collect()
    }

    fn apply_one(&mut self, setting: &Setting) -> Option<Diagnostic> {
        let name = &setting.key.text;
        let Some((key, written)) = find(name) else { return Some(unknown(setting)) };
        let value = match &setting.value {
            SettingValue::Int(number) => number.to_string(),
            SettingValue::Bool(truth) => truth.to_string(),
            SettingValue::Text(text) | SettingValue::Word(text) => text.clone(),
        };
        if let Err(message) = key.set(self, &value) {
            let fault = Diagnostic::error(setting.value_span, format!("{name}: {message}"));
            return Some(match key.get {
                Some(get) => fault.hint(format!("unless it is set, it is {}", get(&Config::default()))),
                None => fault,
            });
        }
        let span = setting.key.span;
        match (&key.set, key.renamed(&written)) {
            (Setter::Nothing, _) => Some(Diagnostic::warning(span, format!("{name} is deprecated and has no effect"))),
            (_, Some(new)) => Some(Diagnostic::warning(span, format!("{name} has been renamed, please use {new}"))),
            (_, None) => None,
        }
    }
}

impl Overrides {
    /// Reads `BPFTRACE_NAME` and `RTRACE_NAME`. The error names the variable and says what is wrong with its value.
    pub fn from_environment(variables: impl Iterator<Item = (String, String)>) -> Result<Self, String> {
        let mut overrides = Self::default();
        for (variable, value) in variables {
            let name = variable.strip_prefix("RTRACE_").or_else(|| variable.strip_prefix("BPFTRACE_"));
            let Some((key, _)) = name.and_then(find) else { continue };
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
        f.write_str(self.name)
    }
}

impl Key {
    /// The name to be used instead of an old one.
    fn renamed(&self, written: &str) -> Option<&'static str> {
        match self.set {
            Setter::Inverse(_, new) => Some(new),
            _ => (written != self.name).then_some(self.name),
        }
    }

    fn set(&self, config: &mut Config, value: &str) -> Result<(), String> {
        match self.set {
            Setter::Number(set) => {
                set(config, value.parse().map_err(|_| format!("expecting a number, got {value}"))?);
                Ok(())
            }
            Setter::Bool(set) => {
                set(config, truth(value)?);
                Ok(())
            }
            Setter::Inverse(set, _) => {
                set(config, !truth(value)?);
                Ok(())
            }
            Setter::Text(set) => set(config, value).map_err(str::to_string),
            Setter::Build => truth(value).map(drop),
            Setter::Nothing => Ok(()),
        }
    }
}

fn truth(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "on" | "yes" => Ok(true),
        "0" | "false" | "off" | "no" => Ok(false),
        _ => Err("Invalid bool value: valid values are true, false, 1 or 0.".to_string()),
    }
}

/// What bpftrace takes from the environment alone.
const ENVIRONMENT_ONLY: [&str; 7] =
    ["btf", "color", "dummy_ts_map", "kernel_build", "kernel_source", "objcopy", "vmlinux"];

/// The setting, and the name it goes by here.
fn find(name: &str) -> Option<(&'static Key, String)> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("bpftrace_").unwrap_or(&name);
    let key = keys::KEYS.iter().find(|key| key.name == name || key.old.contains(&name))?;
    Some((key, name.to_string()))
}

fn unknown(setting: &Setting) -> Diagnostic {
    let name = &setting.key.text;
    let known = keys::KEYS.iter().filter(|key| key.get.is_some()).map(|key| key.name);
    let bare = name.to_ascii_lowercase();
    let bare = bare.strip_prefix("bpftrace_").unwrap_or(&bare);
    if ENVIRONMENT_ONLY.contains(&bare) {
        let message = format!("{name}: can only be set as an environment variable");
        let hint = format!("BPFTRACE_{}=... rtrace ...", bare.to_ascii_uppercase());
        return Diagnostic::error(setting.key.span, message).hint(hint);
    }
    let fault = Diagnostic::error(setting.key.span, format!("{name}: not a known configuration option"));
    match names::nearest(name, known.clone()) {
        Some(near) => fault.hint(format!("did you mean {near}?")),
        None => fault.hint(format!("the settings are: {}", known.collect::<Vec<_>>().join(", "))),
    }
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
