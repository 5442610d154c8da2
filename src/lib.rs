//! rtrace: a tracing language for Linux. Source text becomes eBPF without any compiler infrastructure, is loaded and attached, and
//! reports counts, histograms and stacks.
//!
//! The groups stand in the order of use: a module uses only what is above its group, and some of its own. `tests/tidy.rs` holds
//! the exact order, in which only the members of the language block (`ir`, `builtins`, `probes`, `check`) see each other.

pub mod demangle;
pub mod diag;
pub mod errno;
pub mod error;
pub mod id;
pub mod mapped;
pub mod names;
pub mod shelf;
pub mod signal;
pub mod source;
pub mod strftime;
pub mod types;

pub mod btf;
pub mod kernel;

pub mod syntax;

pub mod cdecl;
pub mod imports;

pub mod config;
pub mod format;
pub mod plan;
pub mod report;
pub mod value;

pub mod bpf;
pub mod builtins;
pub mod check;
pub mod debug_types;
pub mod ir;
pub mod macros;
pub mod planner;
pub mod probes;

pub mod cli;
pub mod codegen;
pub mod engine;
pub mod runtime;

pub mod repl;
