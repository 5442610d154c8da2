//! `iter`: programs that the kernel runs on each of its objects of a kind: tasks, their files and mappings, maps, sockets.

use super::{Context, ContextField, PidFilter, ProbeType, Request};
use crate::btf::{Btf, Kind, TypeId};
use crate::diag::Diagnostic;
use crate::ir::{CompareOp, Expr, ExprKind};
use crate::kernel::{Feature, Kernel};
use crate::names;
use crate::plan::{Attach, Extent, ProgKind, Target};
use crate::types::{Sign, Space, Type};

pub static ITER: ProbeType = ProbeType {
    names: &["iter", "it"],
    syntax: "iter:KIND[:PIN]",
    doc: "Visits the kernel's objects of a kind (task, task_file, task_vma, bpf_map, tcp, …), then ends; `ctx` has the object. It must be \
          the only probe. With PIN, it becomes a file below /sys/fs/bpf that visits them whenever it is read.",
    example: r#"iter:task { printf("%d %s\n", ctx.task.pid, ctx.task.comm); }"#,
    kind: ProgKind::Iterator,
    expand,
    missing,
    context,
    fields,
    list: |kernel, pattern| {
        let all = iterators(kernel).into_iter().map(|(name, _)| format!("iter:{name}"));
        all.filter(|name| names::matches(pattern, name)).collect()
    },
    pid_filter: PidFilter::Attachment,
};

/// What the names of iterators' functions and of their contexts' structures begin with.
const FUNCTION: &str = "bpf_iter_";
const CONTEXT: &str = "bpf_iter__";

/// Iterators over what is in a map, which has to be named before they are made, and no attach point can do that.
const WITHIN_MAPS: [&str; 3] = ["bpf_map_elem", "bpf_sk_storage_map", "sockmap"];

/// Bytes of a context's first field, which describes the visit; the object follows.
const OBJECT: u32 = 8;

/// Where the kernel's own folder of pinned objects is.
const PINS: &str = "/sys/fs/bpf";

fn expand(request: &Request<'_>) -> Result<Vec<Target>, Diagnostic> {
    let parts = request.parts(&ITER, 1..=2)?;
    let name = parts[0].text.as_str();
    if names::is_pattern(name) {
        let problem = request.error("iter probe type does not support wildcards");
        return Err(problem.hint("rtrace -l 'iter:*' lists all"));
    }
    if WITHIN_MAPS.contains(&name) {
        let problem =
            request.error(format!("iter:{name} visits what is in one map of the kernel, which cannot be named"));
        return Err(problem.hint("iter:bpf_map visits the maps themselves"));
    }
    let Some((_, type_id)) = iterators(request.kernel).into_iter().find(|(known, _)| *known == name) else {
        return Ok(Vec::new());
    };
    let pin = parts.get(1).map(|part| in_pins(&part.text));
    let over = extent(request, name)?;
    let attach = Attach::Iterator { type_id: type_id.0, over, pin };
    Ok(vec![Target { name: format!("iter:{name}"), attach, span: request.point.span }])
}

/// What `-p` selects, where the kernel can.
fn extent(request: &Request<'_>, name: &str) -> Result<Extent, Diagnostic> {
    match request.pid {
        None if name == "cgroup" => Ok(Extent::Cgroups),
        None => Ok(Extent::All),
        Some(_) if !name.starts_with("task") => {
            Err(request.error(format!("iter:{name} visits no processes, so it cannot be restricted to one by -p")))
        }
        Some(_) if request.kernel.version() < (6, 1) => {
            let problem = request.error("before kernel 6.1, iterators cannot be restricted to one process");
            Err(problem.hint("without -p, a predicate does the same: /ctx.task.tgid == PID/"))
        }
        Some(pid) => Ok(Extent::Process(pid)),
    }
}

fn in_pins(path: &str) -> String {
    if path.starts_with('/') { path.to_string() } else { format!("{PINS}/{path}") }
}

/// The kernel's iterators by name, sorted, with the types of their functions; none if it runs no such programs.
fn iterators(kernel: &dyn Kernel) -> Vec<(&str, TypeId)> {
    let Some(btf) = kernel.btf().filter(|_| kernel.has(Feature::Iterators)) else { return Vec::new() };
    let functions = btf.all(Kind::Func).filter_map(|(name, id)| Some((name.strip_prefix(FUNCTION)?, id)));
    let mut found: Vec<_> = functions.filter(|(name, _)| context_of(btf, name).is_some()).collect();
    found.sort_unstable();
    found.dedup_by(|a, b| a.0 == b.0);
    found
}

/// The structure that a program is given, whose fields are the visit and its object.
fn context_of(btf: &Btf, name: &str) -> Option<TypeId> {
    btf.find(&format!("{CONTEXT}{name}"), Kind::Struct)
}

fn missing(request: &Request<'_>) -> Diagnostic {
    let name = request.point.parts.get(1).map_or("", |part| part.text.as_str());
    if !request.kernel.has(Feature::Iterators) {
        let problem = request.no_matches(&ITER);
        let problem =
            problem.hint("this kernel runs no iterators: they need 5.8, CONFIG_BPF_SYSCALL and CONFIG_DEBUG_INFO_BTF");
        return match name {
            "task" => problem.hint("'profile:hz:99 { @[tid, comm] = count(); }' shows the tasks that run"),
            _ => problem,
        };
    }
    let problem = request.error(format!("iter {name} not available for your kernel version."));
    let known = iterators(request.kernel);
    match names::nearest(name, known.iter().map(|(name, _)| *name)) {
        Some(meant) => problem.hint(format!("did you mean 'iter:{meant}'?")),
        None => problem.hint("rtrace -l 'iter:*' lists all"),
    }
}

/// The kernel comes by once more at the end, without an object, which is not for the body.
fn context(_: &dyn Kernel, target: &Target) -> Context {
    let span = target.span;
    let object = Expr::new(ExprKind::CtxLoad { offset: OBJECT }, Type::pointer(Type::Void, Space::Kernel), span);
    let none = Expr::int(0, Type::U64, span);
    Context {
        ctx: Some(format!("{CONTEXT}{}", kind_of(target)).into()),
        condition: Some(Expr::compare(CompareOp::Ne, Sign::Unsigned, object, none)),
        space: Space::Kernel,
        ..Context::default()
    }
}

fn kind_of(target: &Target) -> &str {
    target.name.split_once(':').map_or("", |(_, kind)| kind)
}

/// The fields of the context.
fn fields(kernel: &dyn Kernel, target: &Target) -> Result<Vec<ContextField>, Diagnostic> {
    let found = kernel.btf().and_then(|btf| Some((btf, context_of(btf, kind_of(target))?)));
    let Some((btf, context)) = found else { return Ok(Vec::new()) };
    let field = |name: &str| {
        let info = btf.field(context, name)?;
        let addr = Expr::new(ExprKind::Ctx, Type::pointer(Type::Void, Space::Kernel), target.span);
        let load = ExprKind::Load { addr, offset: i64::from(info.bit_offset / 8) };
        let value = Expr::new(load, btf.to_type(info.ty, Space::Kernel), target.span);
        Some(ContextField { name: name.to_string(), c_type: btf.type_name(info.ty), value })
    };
    Ok(btf.field_names(context).into_iter().filter_map(field).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::{expand, fixture, missing};

    #[test]
    fn iterators_are_told_by_their_functions() {
        let kernel = fixture();
        let id = kernel.btf().unwrap().find("bpf_iter_task", Kind::Func).unwrap().0;
        let target = expand(&kernel, "it:task").unwrap().remove(0);
        assert_eq!(target.name, "iter:task");
        assert_eq!(target.attach, Attach::Iterator { type_id: id, over: Extent::All, pin: None });
        let pinned = |text| match expand(&kernel, text).unwrap().remove(0).attach {
            Attach::Iterator { pin, .. } => pin.unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(pinned("iter:task:list"), "/sys/fs/bpf/list");
        assert_eq!(pinned("iter:task:/sys/fs/bpf/a/b"), "/sys/fs/bpf/a/b");
        assert_eq!((ITER.list)(&kernel, "iter:task*"), ["iter:task", "iter:task_file"]);
    }

    #[test]
    fn objects_have_types() {
        let kernel = fixture();
        let target = expand(&kernel, "iter:task_file").unwrap().remove(0);
        let fields = fields(&kernel, &target).unwrap();
        let shown: Vec<_> = fields.iter().map(|field| format!("{} {}", field.c_type, field.name)).collect();
        assert_eq!(shown, ["struct bpf_iter_meta * meta", "struct task_struct * task", "u32 fd", "struct file * file"]);
        assert_eq!(context(&kernel, &target).ctx.as_deref(), Some("bpf_iter__task_file"));
    }

    #[test]
    fn what_cannot_be_visited_says_so() {
        let kernel = fixture();
        assert_eq!(missing(&kernel, "iter:taks").hints, ["did you mean 'iter:task'?"]);
        assert!(expand(&kernel, "iter:task*").unwrap_err().message.contains("wildcards"));
        assert!(expand(&kernel, "iter:bpf_map_elem").unwrap_err().message.contains("one map"));
        let kernel = kernel.without(Feature::Iterators);
        assert!(expand(&kernel, "iter:task").unwrap().is_empty());
        assert!(missing(&kernel, "iter:task").hints[0].contains("runs no iterators"));
    }
}
