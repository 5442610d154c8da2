//! `rawtracepoint`: tracepoints as the kernel code calls them, with the original arguments and less cost.

use std::ops::Range;

use super::fentry::KERNEL;
use super::{Context, ContextField, PidFilter, ProbeType, Request, signature};
use crate::btf::{Btf, Kind, Param, TypeId};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::kernel::{Home, Kernel, is_grafted};
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
    list,
    pid_filter: PidFilter::Predicate,
};

/// The kernel's only prefix for the types of its tracepoints.
const PREFIX: &str = "btf_trace_";

/// How many arguments a program may read where types do not tell.
const UNTYPED_ARGS: u32 = 12;

/// A full name asks the kernel's types; only patterns need the list of all events, and only what the kernel proper has not, its modules.
fn expand(request: &Request<'_>) -> Result<Vec<Target>, Diagnostic> {
    let (module, event) = request.one_or_two(&RAWTRACEPOINT)?;
    let kernel = request.kernel;
    let mut found: Vec<(Option<String>, String)> = Vec::new();
    if module.is_none_or(|module| names::matches(module, KERNEL)) {
        let home = |event: &str| event_exists(kernel, event).then(|| KERNEL.to_string());
        found.extend(of_kernel(kernel, event).into_iter().map(|event| (home(&event), event)));
    }
    if module != Some(KERNEL) && (found.is_empty() || names::is_pattern(event)) {
        found.extend(of_modules(kernel, module.unwrap_or("*"), event));
    }
    let target = |(home, event): (Option<String>, String)| Target {
        name: format!("rawtracepoint:{}{event}", home.map(|home| format!("{home}:")).unwrap_or_default()),
        attach: Attach::RawTracepoint { event },
        span: request.point.span,
    };
    Ok(found.into_iter().map(target).collect())
}

/// The module may be left out of the pattern.
fn list(kernel: &dyn Kernel, pattern: &str) -> Vec<String> {
    let own = events(kernel).into_iter().map(|event| (KERNEL.to_string(), event));
    let of_modules = kernel.modules().into_iter().flat_map(|module| {
        let events = events_of(kernel, &module, "*");
        events.into_iter().map(move |event| (module.clone(), event))
    });
    let full = |(module, event): (String, String)| {
        let full = format!("rawtracepoint:{module}:{event}");
        let is_meant = names::matches(pattern, &full) || names::matches(pattern, &format!("rawtracepoint:{event}"));
        is_meant.then_some(full)
    };
    own.chain(of_modules).filter_map(full).collect()
}

/// Events of the kernel proper that match.
fn of_kernel(kernel: &dyn Kernel, event: &str) -> Vec<String> {
    if !names::is_pattern(event) && event_exists(kernel, event) {
        return vec![event.to_string()];
    }
    events(kernel).into_iter().filter(|known| names::matches(event, known)).collect()
}

/// Events of modules that match, each with its module: those that modules' types tell of. A module without types may have others, of
/// which tracefs knows, but not whose they are.
pub fn of_modules(kernel: &dyn Kernel, module: &str, event: &str) -> Vec<(Option<String>, String)> {
    let modules = kernel.modules();
    let matching = modules.iter().filter(|name| names::matches(module, name));
    let typed: Vec<_> = matching
        .flat_map(|module| events_of(kernel, module, event).into_iter().map(|event| (Some(module.clone()), event)))
        .collect();
    if !typed.is_empty() || modules.iter().any(|name| name == module) {
        return typed;
    }
    let home = (!names::is_pattern(module)).then(|| module.to_string());
    let known = of_tracefs(kernel).into_iter().filter(|known| names::matches(event, known));
    known.map(|event| (home.clone(), event)).collect()
}

/// Events that a module's types tell of. Where the types of modules are at hand, those are all that could match, and one that is looked for
/// by name is found at once.
fn events_of(kernel: &dyn Kernel, module: &str, event: &str) -> Vec<String> {
    let home = Home::Module(module.to_string());
    let Some(btf) = kernel.btf() else { return Vec::new() };
    let matching = |btf: &Btf, ids: Range<u32>| {
        let events = btf.all_in(ids, Kind::Typedef).filter_map(|(name, _)| name.strip_prefix(PREFIX));
        events.filter(|known| names::matches(event, known)).map(str::to_string).collect()
    };
    match kernel.grafts().iter().find(|(other, _)| *other == home) {
        Some((_, grafted)) if !names::is_pattern(event) => {
            let found = type_of(btf, event).filter(|TypeId(id)| grafted.ids.contains(id));
            found.map(|_| event.to_string()).into_iter().collect()
        }
        Some((_, grafted)) => matching(btf, grafted.ids.clone()),
        None if !kernel.grafts().is_empty() => Vec::new(),
        None => {
            let types = kernel.foreign_types(&home).and_then(|foreign| btf.beside(foreign.blob).ok());
            types.map_or(Vec::new(), |(both, ids)| matching(&both, ids))
        }
    }
}

/// Events that tracefs has and the kernel's own types have not.
fn of_tracefs(kernel: &dyn Kernel) -> Vec<String> {
    let events = kernel.tracepoints().unwrap_or_default();
    let names = events.iter().filter(|full| !full.starts_with("syscalls:") && !full.starts_with("ftrace:"));
    let names = names.filter_map(|full| Some(full.split_once(':')?.1.to_string()));
    names.filter(|event| kernel.btf().is_some() && !event_exists(kernel, event)).collect()
}

/// Whether the kernel's own types have this event.
pub fn event_exists(kernel: &dyn Kernel, event: &str) -> bool {
    kernel.btf().is_some_and(|btf| type_of(btf, event).is_some_and(|id| !is_grafted(kernel, id)))
}

/// All events of the kernel proper by name, sorted: from its types, or else from tracefs, which names nearly the same.
fn events(kernel: &dyn Kernel) -> Vec<String> {
    let mut found: Vec<String> = match kernel.btf() {
        Some(btf) => {
            let own = btf.all(Kind::Typedef).filter(|(_, id)| !is_grafted(kernel, *id));
            own.filter_map(|(name, _)| name.strip_prefix(PREFIX)).map(str::to_string).collect()
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
fn type_of(btf: &Btf, event: &str) -> Option<TypeId> {
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
