//! Probe types: one file each, one row each in [`TYPES`].

mod counter;
mod ctype;
mod fentry;
mod hardware;
mod homes;
mod hot;
mod interval;
mod iter;
mod kprobe;
mod listing;
mod number;
mod operand;
mod own;
mod place;
mod profile;
mod program;
mod rate;
mod rawtracepoint;
mod record;
mod registers;
mod signature;
mod software;
mod special;
mod tracepoint;
mod trial;
mod uprobe;
mod usdt;
mod watchpoint;

use std::borrow::Cow;
use std::ops::RangeInclusive;

use crate::check::Safety;
use crate::diag::Diagnostic;
use crate::error::Error;
use crate::ir::Expr;
use crate::kernel::Kernel;
use crate::names;
use crate::plan::{ProgKind, Scope, Target};
use crate::source::Span;
use crate::syntax::ast::{AttachPoint, Name};
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
    /// Whether `-p PID` is enforced by a predicate in the program, by the attachment, or not at all. `--cgroup` always needs a
    /// predicate, and does not hold for what no process sets off either.
    pub pid_filter: PidFilter,
}

/// An attach point to be expanded, parameters already filled in.
pub struct Request<'a> {
    pub kernel: &'a dyn Kernel,
    pub point: &'a AttachPoint,
    /// `-p PID`.
    pub pid: Option<u32>,
    /// The process of `-c COMMAND`.
    pub child: Option<u32>,
    pub safety: Safety,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PidFilter {
    Predicate,
    Attachment,
    None,
}

/// What the kernel hands to a program at a target, as expressions over the program's context.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Context {
    /// `arg0…`; empty where there are none. One of type `Void` cannot be read, and its text says what it is.
    pub args: Vec<Expr>,
    pub retval: Option<Expr>,
    /// The traced function's address: type `KSym` or `USym`.
    pub func: Option<Expr>,
    /// Its name, where the target alone tells it. Unlike the rest, it may be another one for targets that are alike.
    pub function: Option<String>,
    /// `reg("name")`: name and byte offset in the context; empty where there are no registers.
    pub registers: &'static [(&'static str, u32)],
    /// The C type of the program's context, as `ctx` has it.
    pub ctx: Option<Cow<'static, str>>,
    /// What must hold for the body to run at all.
    pub condition: Option<Expr>,
    /// The saved code segment register, whose low two bits tell user mode.
    pub code_segment: Option<Expr>,
    /// Whose memory plain numbers used as addresses (`str(arg0)`) point into.
    pub space: Space,
    pub likeness: Likeness,
}

/// Whether other targets of the same attach point have the same context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Likeness {
    #[default]
    Alike,
    /// Their arguments may lie elsewhere.
    Differing,
}

/// One `args.NAME`.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextField {
    pub name: String,
    /// As the kernel declares it, for `-lv`.
    pub c_type: String,
    pub value: Expr,
}

/// What the result of a function is called among its [`ContextField`]s.
pub const RESULT: &str = "retval";

/// All probe types.
pub static TYPES: &[&ProbeType] = &[
    &special::BEGIN,
    &special::END,
    &fentry::FENTRY,
    &fentry::FEXIT,
    &hardware::HARDWARE,
    &interval::INTERVAL,
    &iter::ITER,
    &kprobe::KPROBE,
    &kprobe::KRETPROBE,
    &profile::PROFILE,
    &rawtracepoint::RAWTRACEPOINT,
    &own::SELF,
    &software::SOFTWARE,
    &tracepoint::TRACEPOINT,
    &trial::TEST,
    &trial::BENCH,
    &uprobe::UPROBE,
    &uprobe::URETPROBE,
    &usdt::USDT,
    &watchpoint::WATCHPOINT,
];

pub use homes::homes;
pub use hot::{moving_stacks, warning as hot_warning};
pub use listing::{arguments, declare, list, list_verbose, with_arguments};
pub use rawtracepoint::event_exists as raw_event_exists;

/// The probe type of this name or alias, in any case.
pub fn find(name: &str) -> Option<&'static ProbeType> {
    TYPES.iter().copied().find(|of| of.names.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

/// The diagnostic for a name that is no probe type.
pub fn unknown(name: &Name) -> Diagnostic {
    let problem = Diagnostic::error(name.span, format!("Invalid probe type: {}", name.text));
    let known = TYPES.iter().flat_map(|of| of.names).copied().filter(|known| known.len() > 2);
    match names::nearest(&name.text, known) {
        Some(meant) => problem.hint(format!("did you mean '{meant}'?")),
        None => {
            let all: Vec<&str> = TYPES.iter().map(|of| of.name()).collect();
            problem.hint(format!("the probe types are: {}", all.join(", ")))
        }
    }
}

impl ProbeType {
    /// The canonical name.
    pub fn name(&self) -> &'static str {
        self.names[0]
    }
}

impl<'a> Request<'a> {
    /// The parts after the provider, if there are as many as the type takes.
    fn parts(&self, of: &ProbeType, count: RangeInclusive<usize>) -> Result<&'a [Name], Diagnostic> {
        let parts = self.point.parts.get(1..).unwrap_or_default();
        if count.contains(&parts.len()) {
            return Ok(parts);
        }
        let (least, most) = (count.start(), count.end());
        let wanted = if least == most { least.to_string() } else { format!("{least} or {most}") };
        let plural = if *most == 1 && least == most { "" } else { "s" };
        let message = format!("{} probe type requires {wanted} argument{plural}, found {}", of.name(), parts.len());
        Err(Diagnostic::error(self.point.span, message).hint(format!("it is written {}", of.syntax)))
    }

    /// The part that may be left out, and the one that may not, of a type written `type:[first:]second`.
    fn one_or_two(&self, of: &ProbeType) -> Result<(Option<&'a str>, &'a str), Diagnostic> {
        let parts = self.parts(of, 1..=2)?;
        let first = if parts.len() == 2 { Some(parts[0].text.as_str()) } else { None };
        Ok((first, parts[parts.len() - 1].text.as_str()))
    }

    /// Where counted events are looked for.
    fn scope(&self) -> Scope {
        self.pid.map_or(Scope::EveryCpu, Scope::Process)
    }

    /// The same for what makes sense in one address space only.
    fn scope_with_child(&self) -> Scope {
        self.pid.or(self.child).map_or(Scope::EveryCpu, Scope::Process)
    }

    fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.point.span, message)
    }

    /// A fault of the machine, found while looking for targets.
    fn fault(&self, error: Error) -> Diagnostic {
        fault(self.point.span, error)
    }

    /// What follows the provider, as written.
    fn written(&self) -> String {
        let parts: Vec<&str> = self.point.parts.iter().skip(1).map(|part| part.text.as_str()).collect();
        parts.join(":")
    }

    /// The message for a well-formed attach point that matches nothing.
    fn no_matches(&self, of: &ProbeType) -> Diagnostic {
        self.error(format!("No matches for {} {}.", of.name(), self.written()))
    }
}

/// A fault of the machine in the clothes of one of the program.
fn fault(span: Span, error: Error) -> Diagnostic {
    let problem = Diagnostic::error(span, error.message);
    error.hint.into_iter().fold(problem, Diagnostic::hint)
}

/// For types whose programs see nothing of what happened.
fn no_context(_: &dyn Kernel, _: &Target) -> Context {
    Context::default()
}

/// For types without `args`.
fn no_fields(_: &dyn Kernel, _: &Target) -> Result<Vec<ContextField>, Diagnostic> {
    Ok(Vec::new())
}

/// For types whose attach points cannot be enumerated, or that `-l` never shows.
fn nothing_to_list(_: &dyn Kernel, _: &str) -> Vec<String> {
    Vec::new()
}

#[cfg(test)]
mod testing;
