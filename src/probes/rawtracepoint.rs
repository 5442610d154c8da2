//! `rawtracepoint`: tracepoints as the kernel code calls them, with the original arguments and less cost.

use super::fentry::KERNEL;
use super::{Context, ContextField, PidFilter, ProbeType, Request, signature};
use crate::btf::{Btf, Kind, Param};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::kernel::Kernel;
use crate::names;
use crate::plan::{Attach, ProgKind, Target};
use crate::source::Span;
use crate::types::{Space, Type};

pub static RAWTRACEPOINT: ProbeType = ProbeType {
    names: &["rawtracepoint", "rt"],
    syntax: "rawtracepoint:[MODULE:]EVENT",
    doc: "Fires at a static tracepoint with the arguments the kernel passes: `arg0`, or `args.NAME` where they have types.",
    example: "rawtracepoint:sched_switch { @[args.next.comm] = count(); }",
    kind: ProgKind::RawTracepoint,
    expand,
    missing,
    context,
    fields,
    list: |kernel, pattern| {
        let matching = events(kernel).into_iter().filter(|event| {
            ["vmlinux:", ""].iter().any(|module| names::matches(pattern, &format!("rawtracepoint:{module}{event}")))
        });
        matching.map(|event| format!("rawtracepoint:vmlinux:{event}")).collect()
    },
    pid_filter: PidFilter::Predicate,
};

/// The kernel's only prefix for the types of its tracepoints.
const PREFIX: &str = "btf_trace_";

/// How many arguments a program may read where types do not tell.
const UNTYPED_ARGS: u32 = 12;

/// A full name asks the kernel's types; only patterns, and events of modules, need the list of all events.
fn expand(request: &Request<'_>) -> Result<Vec<Target>, Diagnostic> {
    let (module, event) = request.one_or_two(&RAWTRACEPOINT)?;
    let home = |event: &str| {
        let of_kernel = || event_exists(request.kernel, event).then_some(KERNEL);
        module.filter(|module| !names::is_pattern(module)).or_else(of_kernel)
    };
    let target = |event: &str| Target {
        name: format!("rawtracepoint:{}{event}", home(event).map(|home| format!("{home}:")).unwrap_or_default()),
        attach: Attach::RawTracepoint { event: event.to_string() },
        span: request.point.span,
    };
    if module.is_some_and(|module| !names::matches(module, KERNEL)) {
        let own = of_modules(request.kernel);
        return Ok(own.iter().filter(|known| names::matches(event, known)).map(|event| target(event)).collect());
    }
    if !names::is_pattern(event) && event_exists(request.kernel, event) {
        return Ok(vec![target(event)]);
    }
    let known = events(request.kernel).into_iter().chain(of_modules(request.kernel));
    Ok(known.filter(|known| names::matches(event, known)).map(|event| target(&event)).collect())
}

/// Events that tracefs has and the kernel's own types have not: those of modules.
fn of_modules(kernel: &dyn Kernel) -> Vec<String> {
    let events = kernel.tracepoints().unwrap_or_default();
    let names = events.iter().filter(|full| !full.starts_with("syscalls:") && !full.starts_with("ftrace:"));
    let names = names.filter_map(|full| Some(full.split_once(':')?.1.to_string()));
    names.filter(|event| kernel.btf().is_some() && !event_exists(kernel, event)).collect()
}

/// Whether the kernel's types have this event.
pub fn event_exists(kernel: &dyn Kernel, event: &str) -> bool {
    kernel.btf().is_some_and(|btf| type_of(btf, event).is_some())
}

/// All events by name, sorted: from the kernel's types, or else from tracefs, which names nearly the same.
fn events(kernel: &dyn Kernel) -> Vec<String> {
    let mut found: Vec<String> = match kernel.btf() {
        Some(btf) => {
            btf.all(Kind::Typedef).filter_map(|(name, _)| name.strip_prefix(PREFIX)).map(str::to_string).collect()
        }
        None => {
            let events = kernel.tracepoints().unwrap_or_default();
            let of_calls = |full: &&String| !full.starts_with("syscalls:");
            events
                .iter()
                .filter(of_calls)
                .filter_map(|full| full.split_once(':'))
                .map(|(_, event)| event.to_string())
                .collect()
        }
    };
    found.sort_unstable();
    found.dedup();
    found
}

/// System calls have no raw events of their own, which is worth a word.
fn missing(request: &Request<'_>) -> Diagnostic {
    let problem = request.no_matches(&RAWTRACEPOINT);
    let event = request.point.parts.last().map_or("", |part| part.text.as_str());
    if event.starts_with("sys_enter_") || event.starts_with("sys_exit_") {
        let all = if event.starts_with("sys_enter_") { "sys_enter" } else { "sys_exit" };
        return problem.hint(format!(
            "one event serves all system calls: 'rawtracepoint:{all}', or 'tracepoint:syscalls:{event}' for this one"
        ));
    }
    match names::nearest(event, events(request.kernel).iter().map(String::as_str)) {
        Some(meant) => problem.hint(format!("did you mean 'rawtracepoint:{meant}'?")),
        None => problem.hint("rtrace -l 'rawtracepoint:*' lists all"),
    }
}

/// `arg0` and so on, as many as the event has.
fn context(kernel: &dyn Kernel, target: &Target) -> Context {
    let count = params(kernel, target).map_or(UNTYPED_ARGS, |params| params.len() as u32);
    let args = (0..count).map(|index| argument(index, Type::U64, target.span)).collect();
    Context { args, space: Space::Kernel, ..Context::default() }
}

/// Names and types of the arguments, which only BTF knows.
fn fields(kernel: &dyn Kernel, target: &Target) -> Result<Vec<ContextField>, Diagnostic> {
    let found = kernel.btf().zip(params(kernel, target));
    let (btf, params) = found.ok_or_else(|| signature::without_types(target))?;
    let field = |(index, param): (usize, &Param<'_>)| ContextField {
        name: if param.name.is_empty() { format!("arg{index}") } else { param.name.to_string() },
        c_type: btf.type_name(param.ty),
        value: argument(index as u32, btf.to_type(param.ty, Space::Kernel), target.span),
    };
    Ok(params.iter().enumerate().map(field).collect())
}

/// The event's parameters without the first, which is the kernel's own.
fn params<'a>(kernel: &'a dyn Kernel, target: &Target) -> Option<Vec<Param<'a>>> {
    let Attach::RawTracepoint { event } = &target.attach else { return None };
    let btf = kernel.btf()?;
    // The function that calls the probes has the names, the type of the probes has not.
    let named = btf.func(&format!("__traceiter_{event}"));
    let signature = named.or_else(|| btf.signature(type_of(btf, event)?))?;
    Some(signature.params.into_iter().skip(1).collect())
}

/// The type of the functions that the event calls.
fn type_of(btf: &Btf, event: &str) -> Option<crate::btf::TypeId> {
    btf.find(&format!("{PREFIX}{event}"), Kind::Typedef)
}

/// Each argument takes eight bytes of the context, whatever its type.
fn argument(index: u32, ty: Type, span: Span) -> Expr {
    let load = |ty| Expr::new(ExprKind::CtxLoad { offset: 8 * index }, ty, span);
    match ty {
        Type::U64 | Type::Ptr(..) => load(ty),
        scalar if scalar.is_scalar() => Expr::new(ExprKind::Convert(load(Type::U64)), scalar, span),
        _ => load(Type::U64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::{expand, fixture, missing};

    #[test]
    fn arguments_have_names_and_types() {
        let kernel = fixture();
        let target = expand(&kernel, "rt:sched_switch").unwrap().remove(0);
        assert_eq!(target.name, "rawtracepoint:vmlinux:sched_switch");
        assert_eq!(context(&kernel, &target).args.len(), 4);
        let fields = fields(&kernel, &target).unwrap();
        let shown: Vec<_> = fields.iter().map(|field| format!("{} {}", field.c_type, field.name)).collect();
        let expected =
            ["bool preempt", "struct task_struct * prev", "struct task_struct * next", "unsigned int prev_state"];
        assert_eq!(shown, expected);
        assert_eq!(fields[2].value.ty.to_string(), "struct task_struct *");
        assert_eq!(*fields[2].value.kind, ExprKind::CtxLoad { offset: 16 });
        assert!(matches!(*fields[0].value.kind, ExprKind::Convert(_)));
    }

    #[test]
    fn modules_and_globs() {
        let kernel = fixture();
        let names =
            |text: &str| expand(&kernel, text).unwrap().into_iter().map(|target| target.name).collect::<Vec<_>>();
        assert_eq!(names("rawtracepoint:vmlinux:sched_sw*"), ["rawtracepoint:vmlinux:sched_switch"]);
        assert!(names("rawtracepoint:nosuch").is_empty() && names("rawtracepoint:ext4:sched_switch").is_empty());
        assert!(missing(&kernel, "rt:sys_enter_read").hints[0].contains("rawtracepoint:sys_enter"));
        assert_eq!(missing(&kernel, "rt:sched_swich").hints, ["did you mean 'rawtracepoint:sched_switch'?"]);
    }
}
