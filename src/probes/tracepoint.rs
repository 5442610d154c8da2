//! `tracepoint`: the stable points that kernel developers put in, each with a record of named fields.

use super::record::Reader;
use super::{Context, ContextField, PidFilter, ProbeType, Request, fault};
use crate::diag::Diagnostic;
use crate::kernel::Kernel;
use crate::names;
use crate::plan::{Attach, ProgKind, Target};
use crate::types::Space;

pub static TRACEPOINT: ProbeType = ProbeType {
    names: &["tracepoint", "t"],
    syntax: "tracepoint:CATEGORY:EVENT",
    doc: "Fires at a static tracepoint; `args` has its fields.",
    example: "tracepoint:syscalls:sys_enter_openat { printf(\"%s %s\\n\", comm, str(args.filename)); }",
    kind: ProgKind::Tracepoint,
    expand,
    missing,
    context: |_, target| Context { space: space(target), ..Context::default() },
    fields,
    list: |kernel, pattern| {
        let events = kernel.tracepoints().unwrap_or_default().into_iter();
        events.map(|event| format!("tracepoint:{event}")).filter(|name| names::matches(pattern, name)).collect()
    },
    pid_filter: PidFilter::Predicate,
};

/// A full name asks for one file; only patterns need the list of all events.
fn expand(request: &Request<'_>) -> Result<Vec<Target>, Diagnostic> {
    let parts = request.parts(&TRACEPOINT, 2..=2)?;
    let (category, event) = (&parts[0].text, &parts[1].text);
    if !names::is_pattern(category) && !names::is_pattern(event) {
        let found = request.kernel.tracepoint(category, event).map_err(|error| request.fault(error))?;
        return Ok(found.map(|_| target(request, category, event)).into_iter().collect());
    }
    let events = request.kernel.tracepoints().map_err(|error| request.fault(error))?;
    let matching = events
        .iter()
        .filter_map(|full| full.split_once(':'))
        .filter(|(one_category, one_event)| names::matches(category, one_category) && names::matches(event, one_event));
    Ok(matching.map(|(category, event)| target(request, category, event)).collect())
}

fn target(request: &Request<'_>, category: &str, event: &str) -> Target {
    Target {
        name: format!("tracepoint:{category}:{event}"),
        attach: Attach::Tracepoint { category: category.to_string(), event: event.to_string() },
        span: request.point.span,
    }
}

/// Looks for the right event in this category, for the right category, then for the nearest full name.
fn missing(request: &Request<'_>) -> Diagnostic {
    let problem = request.no_matches(&TRACEPOINT);
    let events = request.kernel.tracepoints().unwrap_or_default();
    let written = request.written();
    let (category, event) = written.split_once(':').unwrap_or((&written, ""));
    let others = |name: &str| events.iter().find(|full| full.split_once(':').is_some_and(|(_, event)| event == name));
    let same_category: Vec<&str> =
        events.iter().filter(|full| full.starts_with(&format!("{category}:"))).map(|s| &**s).collect();
    let meant = others(event).map(|full| &**full).or_else(|| {
        let near_here = names::nearest(&written, same_category.iter().copied());
        near_here.or_else(|| names::nearest(&written, events.iter().map(|full| &**full)))
    });
    match meant {
        Some(meant) => problem.hint(format!("did you mean 'tracepoint:{meant}'?")),
        None if same_category.is_empty() => {
            problem.hint(format!("there is no category '{category}'; rtrace -l 'tracepoint:*' lists all"))
        }
        None => problem.hint(format!("rtrace -l 'tracepoint:{category}:*' lists the events of this category")),
    }
}

/// Pointers in the records of system calls come from the program that made the call.
fn space(target: &Target) -> Space {
    match &target.attach {
        Attach::Tracepoint { category, .. } if category == "syscalls" => Space::User,
        _ => Space::Kernel,
    }
}

/// Everything in the event's record but what all records begin with.
fn fields(kernel: &dyn Kernel, target: &Target) -> Result<Vec<ContextField>, Diagnostic> {
    let Attach::Tracepoint { category, event } = &target.attach else { return Ok(Vec::new()) };
    let format = kernel.tracepoint(category, event).map_err(|error| fault(target.span, error))?;
    let reader = Reader { kernel, space: space(target), span: target.span };
    let fields = format.map(|format| format.fields).unwrap_or_default();
    Ok(fields.iter().map(|field| reader.field(field)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::ExprKind;
    use crate::probes::testing::{expand, fixture, missing};

    fn field(event: &str, name: &str) -> ContextField {
        let kernel = fixture();
        let target = expand(&kernel, &format!("tracepoint:{event}")).unwrap().remove(0);
        let fields = fields(&kernel, &target).unwrap();
        fields.into_iter().find(|field| field.name == name).unwrap()
    }

    #[test]
    fn scalars_are_loaded_from_the_record() {
        let dfd = field("syscalls:sys_enter_openat", "dfd");
        assert_eq!((dfd.value.ty.to_string(), &*dfd.value.kind), ("int32".into(), &ExprKind::CtxLoad { offset: 16 }));
        let filename = field("syscalls:sys_enter_openat", "filename");
        assert_eq!(
            (&*filename.c_type, filename.value.ty),
            ("const char *", Type::pointer(Type::Int(Int::I8), Space::User))
        );
        assert_eq!(field("syscalls:sys_exit_openat", "ret").value.ty, Type::I64);
        assert_eq!(field("sched:sched_switch", "prev_state").value.ty, Type::I64);
    }

    #[test]
    fn texts_are_read_from_the_record() {
        let comm = field("sched:sched_switch", "prev_comm");
        assert_eq!(comm.value.ty, Type::Str(16));
        let filename = field("sched:sched_process_exec", "filename");
        assert_eq!((&*filename.c_type, &filename.value.ty), ("__data_loc char[]", &Type::Str(256)));
        assert!(matches!(*filename.value.kind, ExprKind::ReadStr { .. }));
    }

    #[test]
    fn arrays_are_loaded_whole() {
        let args = field("raw_syscalls:sys_enter", "args");
        assert_eq!(args.value.ty, Type::Array(Box::new(Type::U64), 6));
        assert!(matches!(*args.value.kind, ExprKind::Load { offset: 16, .. }));
    }

    #[test]
    fn globs_are_expanded_in_order() {
        let names =
            |text: &str| expand(&fixture(), text).unwrap().into_iter().map(|target| target.name).collect::<Vec<_>>();
        assert_eq!(
            names("t:syscalls:sys_*_openat"),
            ["tracepoint:syscalls:sys_enter_openat", "tracepoint:syscalls:sys_exit_openat",]
        );
        assert!(names("tracepoint:*:sched_switch") == ["tracepoint:sched:sched_switch"]);
        assert!(names("tracepoint:nosuch:*").is_empty() && names("tracepoint:sched:nosuch").is_empty());
    }

    #[test]
    fn what_is_missing_has_neighbours() {
        let kernel = fixture();
        let problem = missing(&kernel, "tracepoint:syscalls:sys_enter_openatt");
        assert_eq!(problem.message, "No matches for tracepoint syscalls:sys_enter_openatt.");
        assert_eq!(problem.hints, ["did you mean 'tracepoint:syscalls:sys_enter_openat'?"]);
        let elsewhere = missing(&kernel, "tracepoint:syscalls:sched_switch");
        assert_eq!(elsewhere.hints, ["did you mean 'tracepoint:sched:sched_switch'?"]);
        assert!(missing(&kernel, "tracepoint:nosuch:thing").hints[0].contains("no category 'nosuch'"));
        assert!(expand(&kernel, "tracepoint:sched").unwrap_err().message.contains("requires 2 arguments, found 1"));
    }

    use crate::types::{Int, Type};
}
