//! `fentry` and `fexit`: entry of and return from kernel functions by trampolines, which cost little and know all types.

use super::{Context, ContextField, Likeness, PidFilter, ProbeType, Request, registers, signature};
use crate::btf::{Btf, Kind, Signature, TypeId};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::kernel::{Feature, Kernel};
use crate::names;
use crate::plan::{Attach, Point, ProgKind, Target};
use crate::source::Span;
use crate::types::{Space, Type};

pub static FENTRY: ProbeType = ProbeType {
    names: &["fentry", "f", "kfunc"],
    syntax: "fentry:[vmlinux:]FUNCTION",
    doc: "Fires when a kernel function is entered, at a third of a kprobe's cost; `args` has its arguments.",
    example: "fentry:vfs_read { @[str(args.file.f_path.dentry.d_name.name)] = count(); }",
    kind: ProgKind::Tracing,
    expand: |request| expand(request, &FENTRY, Point::Entry),
    missing: |request| missing(request, &FENTRY),
    context,
    fields,
    list: |kernel, pattern| list(kernel, &FENTRY, pattern),
    pid_filter: PidFilter::Predicate,
};

pub static FEXIT: ProbeType = ProbeType {
    names: &["fexit", "fr", "kretfunc"],
    syntax: "fexit:[vmlinux:]FUNCTION",
    doc: "Fires when a kernel function returns; `args` has its arguments and `retval` is its result.",
    example: "fexit:vfs_read /retval > 0/ { @[comm] = sum(retval); }",
    kind: ProgKind::Tracing,
    expand: |request| expand(request, &FEXIT, Point::Return),
    missing: |request| missing(request, &FEXIT),
    context,
    fields,
    list: |kernel, pattern| list(kernel, &FEXIT, pattern),
    pid_filter: PidFilter::Predicate,
};

/// The module that functions of the kernel proper go by.
const KERNEL: &str = "vmlinux";

/// Arguments in registers, which all that trampolines pass on for now must be.
const ARGUMENTS: u32 = 6;

/// On a kernel without trampolines nothing matches, and [`missing`] says so.
fn expand(request: &Request<'_>, of: &ProbeType, at: Point) -> Result<Vec<Target>, Diagnostic> {
    let (module, function) = request.one_or_two(of)?;
    let kernel = request.kernel;
    let Some(btf) = kernel.btf().filter(|_| kernel.has(Feature::Trampolines)) else { return Ok(Vec::new()) };
    if module.is_some_and(|module| !names::matches(module, KERNEL)) {
        return Ok(Vec::new());
    }
    let target = |name: &str, id: TypeId| Target {
        name: format!("{}:{KERNEL}:{name}", of.name()),
        attach: Attach::Trampoline { function: name.to_string(), type_id: id.0, at },
        span: request.point.span,
    };
    if !names::is_pattern(function) {
        return Ok(btf.find(function, Kind::Func).map(|id| target(function, id)).into_iter().collect());
    }
    let functions = traceable(kernel, btf).map_err(|error| request.fault(error))?;
    let matching = functions.into_iter().filter(|(name, _)| names::matches(function, name));
    Ok(matching.map(|(name, id)| target(name, id)).collect())
}

/// Functions that a trampoline can be put on, by name.
fn traceable<'k>(kernel: &dyn Kernel, btf: &'k Btf) -> crate::error::Result<Vec<(&'k str, TypeId)>> {
    let hooked = kernel.functions()?;
    let is_hooked = |name: &str| hooked.binary_search_by(|known| known.as_str().cmp(name)).is_ok();
    let fits = |id| btf.signature(id).is_some_and(|signature| is_passed(btf, &signature));
    let all = btf.all(Kind::Func).filter(|(name, id)| is_hooked(name) && fits(*id));
    let mut found: Vec<_> = all.collect();
    found.sort_unstable();
    found.dedup_by(|a, b| a.0 == b.0);
    Ok(found)
}

/// Whether all arguments are numbers and pointers in registers. A parameter without a type stands for any number of them.
fn is_passed(btf: &Btf, signature: &Signature<'_>) -> bool {
    let is_word = |ty| ty != TypeId::VOID && btf.to_type(ty, Space::Kernel).is_scalar();
    signature.params.len() as u32 <= ARGUMENTS && signature.params.iter().all(|param| is_word(param.ty))
}

fn missing(request: &Request<'_>, of: &ProbeType) -> Diagnostic {
    let problem = request.no_matches(of);
    let function = request.point.parts.last().map_or("", |part| part.text.as_str());
    if !request.kernel.has(Feature::Trampolines) {
        let problem = problem.hint("this kernel has no trampolines (CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS)");
        let other = if of.name() == FENTRY.name() { "kprobe" } else { "kretprobe" };
        return problem.hint(format!("'{other}:{function}' gives the same answer, on kernels with kprobes"));
    }
    let functions = request.kernel.btf().into_iter().flat_map(|btf| btf.all(Kind::Func));
    match names::nearest(function, functions.map(|(name, _)| name)) {
        Some(meant) => problem.hint(format!("did you mean '{}:{meant}'?", of.name())),
        None => problem.hint("it does not exist, was inlined, or is a module's"),
    }
}

fn context(kernel: &dyn Kernel, target: &Target) -> Context {
    let Attach::Trampoline { function, at, .. } = &target.attach else { return Context::default() };
    let func = if kernel.has(Feature::FuncIp) {
        Some(registers::function_address(target.span))
    } else {
        kernel.symbol(function).map(|address| Expr::int(address as i64, Type::U64, target.span))
    };
    let func = func.map(|func| Expr { ty: Type::KSym, ..func });
    let retval =
        if *at == Point::Return { result(kernel, function, target.span).map(|(value, _)| value) } else { None };
    Context { func, retval, space: Space::Kernel, likeness: Likeness::Differing, ..Context::default() }
}

/// The arguments; on return, the result too.
fn fields(kernel: &dyn Kernel, target: &Target) -> Result<Vec<ContextField>, Diagnostic> {
    let Attach::Trampoline { function, at, .. } = &target.attach else { return Ok(Vec::new()) };
    let (btf, signature) = signature::of_function(kernel, function, target)?;
    let mut fields = signature::fields(btf, &signature.params, |slot, ty| Some(word(slot, ty, target.span)));
    if let (Point::Return, Some((value, c_type))) = (at, result(kernel, function, target.span)) {
        fields.push(ContextField { name: "retval".to_string(), c_type, value });
    }
    Ok(fields)
}

/// The result and its C type; `None` for functions without. It follows the arguments.
fn result(kernel: &dyn Kernel, function: &str, span: Span) -> Option<(Expr, String)> {
    let btf = kernel.btf()?;
    let signature = btf.func(function)?;
    let words = |ty| btf.to_type(ty, Space::Kernel).size().div_ceil(8).max(1);
    let slot = signature.params.iter().map(|param| words(param.ty)).sum();
    let ty = btf.to_type(signature.result, Space::Kernel);
    (ty != Type::Void).then(|| (word(slot, ty, span), btf.type_name(signature.result)))
}

/// Numbers are loaded. Pointers are read like foreign memory: loaded, the verifier would know them as such, and forbid to compute with
/// them. So are structures, which lie there as they are.
fn word(slot: u32, ty: Type, span: Span) -> Expr {
    match ty {
        number if number.is_scalar() && !matches!(number, Type::Ptr(..)) => {
            let load = Expr::new(ExprKind::CtxLoad { offset: 8 * slot }, Type::U64, span);
            Expr::new(ExprKind::Convert(load), number, span)
        }
        other => {
            let addr = Expr::new(ExprKind::Ctx, Type::pointer(Type::Void, Space::Kernel), span);
            Expr::new(ExprKind::Load { addr, offset: i64::from(8 * slot) }, other, span)
        }
    }
}

/// The module may be left out of the pattern.
fn list(kernel: &dyn Kernel, of: &ProbeType, pattern: &str) -> Vec<String> {
    let Some(btf) = kernel.btf().filter(|_| kernel.has(Feature::Trampolines)) else { return Vec::new() };
    let functions = traceable(kernel, btf).unwrap_or_default().into_iter();
    let matches = |name: &str, module: &str| names::matches(pattern, &format!("{}:{module}{name}", of.name()));
    let found = functions.filter(|(name, _)| matches(name, "") || matches(name, "vmlinux:"));
    found.map(|(name, _)| format!("{}:{KERNEL}:{name}", of.name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::{expand, fixture, missing};

    fn only(text: &str) -> Target {
        expand(&fixture(), text).unwrap().remove(0)
    }

    #[test]
    fn functions_are_told_by_their_types() {
        let kernel = fixture();
        let id = kernel.btf().unwrap().find("vfs_read", Kind::Func).unwrap().0;
        let target = only("f:vfs_read");
        assert_eq!(target.name, "fentry:vmlinux:vfs_read");
        assert_eq!(target.attach, Attach::Trampoline { function: "vfs_read".into(), type_id: id, at: Point::Entry });
        assert_eq!(only("kretfunc:vmlinux:vfs_re*d").name, "fexit:vmlinux:vfs_read");
        assert!(expand(&kernel, "fentry:ext4:vfs_read").unwrap().is_empty());
        assert_eq!(missing(&kernel, "fentry:vfs_raed").hints, ["did you mean 'fentry:vfs_read'?"]);
    }

    #[test]
    fn arguments_and_results_have_types() {
        let kernel = fixture();
        let target = only("fexit:vfs_read");
        let fields = fields(&kernel, &target).unwrap();
        let shown: Vec<_> = fields.iter().map(|field| format!("{} {}", field.c_type, field.name)).collect();
        let expected = ["struct file * file", "char * buf", "size_t count", "loff_t * pos", "ssize_t retval"];
        assert_eq!(shown, expected);
        assert!(matches!(&*fields[0].value.kind, ExprKind::Load { offset: 0, .. }));
        let ExprKind::Convert(count) = &*fields[2].value.kind else { panic!() };
        assert_eq!(*count.kind, ExprKind::CtxLoad { offset: 16 });
        assert_eq!(context(&kernel, &target).retval.unwrap().ty, Type::I64);
    }

    #[test]
    fn kernels_without_trampolines_say_so() {
        let kernel = fixture().without(Feature::Trampolines);
        assert!(expand(&kernel, "fexit:vfs_read").unwrap().is_empty());
        assert!(missing(&kernel, "fexit:vfs_read").hints[1].contains("kretprobe:vfs_read"));
    }
}
