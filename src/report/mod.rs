//! Values in, output out: one file an output format, each a [`Sink`].

mod flamegraph;
mod folded;
mod heatmap;
mod heatmap_svg;
pub mod histogram;
pub mod hlog;
pub mod json;
pub mod pcap;
pub mod picture;
mod pprof;
pub mod quantiles;
mod series;
mod stacks;
pub mod testing;
pub mod text;
mod unit;

use std::time::Duration;

use crate::diag::{Place, Severity, Style};
use crate::error::{Error, Result};
use crate::value::{MapReport, Value};

/// Where a session's output goes. Errors are write errors of the output (a closed pipe, a full disk).
pub trait Sink {
    /// The probes are attached.
    fn attached(&mut self, probes: usize) -> Result<()>;
    /// Text of printf, time, join, cat and system; `kind` is the builtin's name.
    fn text(&mut self, kind: &'static str, text: &[u8]) -> Result<()>;
    /// `print(value)`.
    fn value(&mut self, value: &Value) -> Result<()>;
    /// A map, printed by `print(@m)` or at the end.
    fn map(&mut self, map: &MapReport) -> Result<()>;
    /// All of a distribution of which only a part is printed next, for those who keep account of it.
    fn counted(&mut self, _map: &MapReport) -> Result<()> {
        Ok(())
    }
    /// A map was cleared or zeroed: what is printed of it later comes on top of what was.
    fn emptied(&mut self, _map: &str) -> Result<()> {
        Ok(())
    }
    /// The maps printed at the end follow.
    fn finale(&mut self) -> Result<()>;
    /// Events that were lost so far.
    fn lost(&mut self, events: u64) -> Result<()>;
    /// A word to the user about the run.
    fn message(&mut self, message: &Message<'_>) -> Result<()>;
    /// Something about the run of the tests.
    fn test(&mut self, event: &Testing<'_>) -> Result<()>;
    /// What the benchmarks gave.
    fn benchmarks(&mut self, results: &[Benchmark]) -> Result<()>;
    /// The account of what was lost in the run, at its end.
    fn losses(&mut self, losses: &[Loss]) -> Result<()>;
    /// Hands everything on to the reader.
    fn flush(&mut self) -> Result<()>;
    /// Nothing follows.
    fn end(&mut self) -> Result<()> {
        self.flush()
    }
}

/// The course of a run of `test` probes.
#[derive(Debug, Clone, Copy)]
pub enum Testing<'a> {
    /// So many are to be run.
    Planned(usize),
    Begins(&'a str),
    Ends {
        name: &'a str,
        passed: bool,
        took: Duration,
        said: &'a str,
    },
    /// All have run; these have failed.
    Done {
        tests: usize,
        failed: &'a [String],
    },
}

/// The result of a `bench` probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Benchmark {
    pub name: String,
    /// What one run takes.
    pub nanoseconds: u64,
    pub iterations: u64,
}

/// Something that was lost in the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// A word for programs: `ring_full`.
    pub cause: &'static str,
    pub count: u64,
    /// What there were so many of, and why.
    pub what: String,
    pub place: Option<Place>,
    /// The probe, where no place in the script tells.
    pub probe: Option<String>,
}

/// Something that the user should know of the run.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    pub severity: Severity,
    /// The type of its JSON object: `errorf`, `runtime_error`, `helper_error`, …
    pub kind: &'static str,
    pub text: &'a str,
    /// Where in the script it happened.
    pub place: Option<&'a Place>,
    pub source: Excerpt,
    /// The kernel helper that failed.
    pub helper: Option<HelperFault>,
}

/// Whether the line of the script is shown, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excerpt {
    Shown,
    Hidden,
}

/// A kernel helper by its name, and the error number that it gave (negative).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelperFault {
    pub helper: &'static str,
    pub code: i32,
}

/// How the run is talked of.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    pub chattiness: Chattiness,
    pub warnings: Warnings,
    /// Of the output.
    pub style: Style,
    /// Of the output: drawings that would be wider are made smaller.
    pub columns: usize,
}

/// Whether the run is commented (`Attached 2 probes`), or silent as with `-q`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chattiness {
    Normal,
    Quiet,
    /// One of several programs of a shell, which says itself what begins and ends.
    Shell,
}

/// Whether warnings of the run are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Warnings {
    #[default]
    Shown,
    /// `--no-warnings`.
    Hidden,
}

impl<'a> Message<'a> {
    /// One that is about no place.
    pub fn new(severity: Severity, text: &'a str) -> Self {
        let kind = match severity {
            Severity::Error => "error",
            Severity::Warning => "runtime_error",
        };
        Self { severity, kind, text, place: None, source: Excerpt::Hidden, helper: None }
    }
}

/// A write that failed, worded.
pub fn written<T>(result: std::io::Result<T>) -> Result<T> {
    result.map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Error::closed(),
        std::io::ErrorKind::StorageFull => Error::usage("cannot write the output: no space is left on the device")
            .hint("free some space, or write elsewhere with -o"),
        _ => Error::usage(format!("cannot write the output: {error}")),
    })
}
