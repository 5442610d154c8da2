//! Faults of the machine: what the kernel or the file system refused, and what to do about it.

use std::fmt;

use crate::source::Span;

/// Something outside the program went wrong.
#[derive(Debug, Clone)]
pub struct Error {
    /// What was attempted and what came back, in one sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The place in the script, where one is to blame.
    pub span: Option<Span>,
    /// Long material for `-v`, such as the verifier's log.
    pub detail: Option<String>,
    pub kind: Kind,
}

/// Decides the exit code, as bpftrace has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bad usage, a missing file, a missing privilege, no such target: exit code 1.
    Usage,
    /// The kernel refused to load or attach: exit code 255.
    Kernel,
    /// The reader of the output has gone away: time to end quietly, exit code 0.
    Closed,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub fn kernel(message: impl Into<String>) -> Self {
        Self::new(Kind::Kernel, message)
    }

    pub fn closed() -> Self {
        Self::new(Kind::Closed, "the output was closed")
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, span: None, detail: None, kind }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
