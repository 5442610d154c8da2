//! Probe types: one file each, one row each in [`TYPES`].

use crate::diag::Diagnostic;
use crate::ir::Expr;
use crate::kernel::Kernel;
use crate::plan::{ProgKind, Target};
use crate::syntax::ast::AttachPoint;
use crate::types::Space;

/// A kind of probe: how it is named, parsed, expanded, listed and what it offers to its body.
pub struct ProbeType {
    /// The canonical name first, then aliases.
    pub names: &'static [&'static str],
    /// How it is written: `tracepoint:CATEGORY:EVENT`.
    pub syntax: &'static str,
    pub doc: &'static str,
    pub example: &'static str,
    pub kind: ProgKind,
    /// All targets an attach point stands for; an error is a fault of the attach point itself. An empty list means that this
    /// kernel has nothing that matches.
    pub expand: fn(&Request<'_>) -> Result<Vec<Target>, Diagnostic>,
    /// Why nothing matched, and what was perhaps meant; whether that is an error is for `missing_probes` to say.
    pub missing: fn(&Request<'_>) -> Diagnostic,
    /// What a body attached to this target can see.
    pub context: fn(&dyn Kernel, &Target) -> Context,
    /// `args.NAME` of this target, in order; only asked for when a body (or `-lv`) names `args`.
    pub fields: fn(&dyn Kernel, &Target) -> Result<Vec<ContextField>, Diagnostic>,
    /// Every attach point of this type whose full name matches the pattern, for `-l`.
    pub list: fn(&dyn Kernel, &str) -> Vec<String>,
    /// Whether `-p PID` is enforced by a predicate in the program, by the attachment, or not at all.
    pub pid_filter: PidFilter,
}

/// An attach point to be expanded, parameters already filled in.
pub struct Request<'a> {
    pub kernel: &'a dyn Kernel,
    pub point: &'a AttachPoint,
    /// `-p PID`.
    pub pid: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PidFilter {
    Predicate,
    Attachment,
    None,
}

/// What the kernel hands to a program at a target, as expressions over the program's context.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// `arg0…`; empty where there are none.
    pub args: Vec<Expr>,
    pub retval: Option<Expr>,
    /// The traced function's address: type `KSym` or `USym`.
    pub func: Option<Expr>,
    /// `reg("name")`: name and byte offset in the context; empty where there are no registers.
    pub registers: &'static [(&'static str, u32)],
    /// The saved code segment register, whose low two bits tell user mode.
    pub code_segment: Option<Expr>,
    /// Whose memory plain numbers used as addresses (`str(arg0)`) point into.
    pub space: Space,
}

/// One `args.NAME`.
#[derive(Debug, Clone)]
pub struct ContextField {
    pub name: String,
    /// As the kernel declares it, for `-lv`.
    pub c_type: String,
    pub value: Expr,
}

/// All probe types.
pub static TYPES: &[&ProbeType] = &[];
