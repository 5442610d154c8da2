//! `ast::Program` in, [`ir::Program`] out: names resolved, types inferred, attach points expanded, builtins lowered.
//!
//! Types of variables and maps are joined over all their assignments, which may come later in the text than their uses. So the
//! whole program is lowered again and again until no type changes; only the last pass counts.

mod address;
mod aggregates;
mod block;
mod cast;
mod convert;
mod cx;
mod declare;
mod declared;
mod env;
mod expr;
mod fields;
mod fold;
mod functions;
mod loops;
mod maps;
mod operators;
mod probe;
mod records;
mod stmt;

pub use convert::record;
pub use cx::{Call, Cx, Emit, provider_word};
pub use expr::kind_of;
pub use maps::{MapArg, part_key};
pub use probe::{exists, filled_in, targets};

use std::collections::BTreeSet;
use std::path::PathBuf;

use regex_lite::Regex;

use crate::config::Config;
use crate::diag::{Diagnostic, Severity};
use crate::ir;
use crate::kernel::Kernel;
use crate::plan::{self, Faults, Plan};
use crate::syntax::ast;
use declared::Declarations;
use env::{Env, Seen};

/// The diagnostic of what failed has been recorded; the caller only has to give up on what depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Reported;

pub type Fallible<T> = Result<T, Reported>;

/// Passes until types must have settled: each pass widens at least one, and no type widens often.
const PASSES: usize = 32;

/// What the command line says about the program.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `$1`, `$2`, …
    pub params: Vec<String>,
    /// What `getopt()` gets.
    pub named: Vec<Named>,
    /// Which of the probes are to run that rtrace runs on request only.
    pub trials: Trials,
    /// What the names of probes must match; `begin` and `end` run always.
    pub filter: Option<Regex>,
    /// `-p PID`.
    pub pid: Option<u32>,
    /// The folder of the control group whose tasks are traced.
    pub cgroup: Option<PathBuf>,
    /// Process id of the `-c` child.
    pub child: Option<u32>,
    /// `--dwarf-pid PID`.
    pub dwarf_pids: Vec<u32>,
    pub safety: Safety,
    /// Boot-time nanoseconds at which the run started, for `elapsed`.
    pub start_ns: u64,
    /// What the wall clock is ahead of boot time.
    pub wall_offset_ns: i64,
    /// A map that says what time it is, in place of the clock of `tseries()`, so that scripts can be tested.
    pub clock_map: Option<String>,
    /// Whether reads that fail are told of (`-k`).
    pub faults: Faults,
    /// Whether other programs use the same maps.
    pub sharing: Sharing,
    /// Who is to load the programs.
    pub loader: Loader,
    /// What the TAI clock is ahead of boot time, for `nsecs(sw_tai)`.
    pub tai_offset_ns: i64,
}

impl Options {
    /// The processes whose unwind tables are prepared, each once.
    pub fn unwound(&self) -> Vec<u32> {
        let all: BTreeSet<u32> = self.pid.iter().chain(&self.child).chain(&self.dwarf_pids).copied().collect();
        all.into_iter().collect()
    }
}

/// Whether a program's maps are its own.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Sharing {
    #[default]
    Alone,
    /// With programs to come, for which new maps get some room, and with those before, whose maps these are.
    With(Vec<plan::Map>),
}

/// Who loads the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loader {
    #[default]
    Own,
    /// They are written to an object file.
    Foreign,
}

/// Probes for the program's own sake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trials {
    #[default]
    None,
    /// `test:` probes.
    Tests,
    /// `bench:` probes.
    Benches,
}

/// A named parameter of the script: `--name=value` or `--name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub value: Option<String>,
}

/// Whether actions that change the system may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Safety {
    #[default]
    Safe,
    /// `--unsafe`.
    Unsafe,
}

/// Checks a program. Warnings come with the result.
pub fn check(
    program: &ast::Program,
    kernel: &dyn Kernel,
    config: Config,
    options: &Options,
) -> Result<(ir::Program, Vec<Diagnostic>), Vec<Diagnostic>> {
    let clauses = probe::expand(program, kernel, &config, options);
    let seen = if clauses.faults.is_empty() { Seen::Whole } else { Seen::Part };
    let mut env = Env::new(seen, Declarations::new(&program.maps), &options.sharing, kernel);
    for _ in 0..PASSES {
        env.begin_pass(&config);
        let probes = probe::lower(&clauses, kernel, &config, options, &mut env);
        if env.has_settled() {
            return finish(env, probes, clauses, options);
        }
    }
    Err(env.take_diagnostics())
}

fn finish(
    mut env: Env,
    probes: Vec<ir::Probe>,
    clauses: probe::Clauses<'_>,
    options: &Options,
) -> Result<(ir::Program, Vec<Diagnostic>), Vec<Diagnostic>> {
    env.report_all_undefined();
    env.report_declared();
    let mut diagnostics = [clauses.faults, clauses.warnings].concat();
    diagnostics.extend(env.take_diagnostics());
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(diagnostics);
    }
    let plan = Plan { faults: options.faults, ..env.into_plan() };
    Ok((ir::Program { probes, plan }, diagnostics))
}
