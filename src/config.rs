//! The settings of a script: the `config` block, overridden by the environment.

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
    pub license: String,
}

/// What to do about an attach point that matches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingProbes {
    Error,
    Warn,
    Ignore,
}

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
            license: "GPL".to_string(),
        }
    }
}
