//! Values in, output out: one file an output format, each a [`Sink`].

pub mod histogram;
pub mod json;
pub mod text;

use crate::diag::Severity;
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
    /// The maps printed at the end follow.
    fn finale(&mut self) -> Result<()>;
    /// Events that were lost so far.
    fn lost(&mut self, events: u64) -> Result<()>;
    /// A word to the user about the run, already worded and located.
    fn message(&mut self, severity: Severity, text: &str) -> Result<()>;
    /// Hands everything on to the reader.
    fn flush(&mut self) -> Result<()>;
}

/// A write that failed, worded.
pub(crate) fn written(result: std::io::Result<()>) -> Result<()> {
    result.map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Error::closed(),
        std::io::ErrorKind::StorageFull => Error::usage("cannot write the output: no space is left on the device")
            .hint("free some space, or write elsewhere with -o"),
        _ => Error::usage(format!("cannot write the output: {error}")),
    })
}
