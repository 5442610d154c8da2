//! `fentry` and `fexit`: entry of and return from kernel functions by trampolines, which cost little and know all types.

use super::{Context, ContextField, Likeness, PidFilter, ProbeType, RESULT, Request, registers, signature};
use crate::btf::{Btf, Grafted, Kind, Signature, TypeId};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::kernel::{Feature, Home, Kernel, is_grafted, type_at_home};
use crate::names;
use crate::plan::{Attach, Point, ProgKind, Target};
use crate::source::Span;
use crate::types::{Space, Type};

pub static FENTRY: ProbeType = ProbeType {
    names: &["fentry", "f", "kfunc"],
    syntax: "fentry:[MODULE:]FUNCTION, or fentry:bpf:[ID:]PROGRAM",
    doc: "Fires when a function of the kernel, a module or a BPF program is entered, at a third of a kprobe's cost; `args` has its arguments.",
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
    syntax: "fexit:[MODULE:]FUNCTION, or fexit:bpf:[ID:]PROGRAM",
    doc: "Fires when a function of the kernel, a module or a BPF program returns; `args` has its arguments and `retval` is its result.",
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
pub const KERNEL: &str = "vmlinux";

/// What BPF programs go by, as if it were a module.
pub const PROGRAMS: &str = "bpf";

/// Words of arguments that are passed in registers.
const ARGUMENTS: u32 = 6;

/// On a kernel without trampolines nothing matches, and [`missing`] says so.
fn expand(request: &Request<'_>, of: &ProbeType, at: Point) -> Result<Vec<Target>, Diagnostic> {
    let parts: Vec<&str> = request.parts(of, 1..=3)?.iter().map(|part| part.text.as_str()).collect();
    let kernel = request.kernel;
    let Some(btf) = kernel.btf().filter(|_| kernel.has(Feature::Trampolines)) else { return Ok(Vec::new()) };
    let target = |home: Home, function: &str, type_id: u32| Target {
        name: full_name(of, &home, function),
        attach: Attach::Trampoline { home, function: function.to_string(), type_id, at },
        span: request.point.span,
    };
    if let Some(pattern) = ProgramPattern::parse(&parts) {
        let programs = pattern.matching(kernel).into_iter();
        return Ok(programs.map(|(id, name, type_id)| target(Home::Program(id), &name, type_id)).collect());
    }
    let (module, function) = request.one_or_two(of)?;
    let may_be_kernel = module.is_none_or(|module| names::matches(module, KERNEL));
    let of_kernel = || btf.find(function, Kind::Func).filter(|id| !is_grafted(kernel, *id));
    let mut found = Vec::new();
    if may_be_kernel && !names::is_pattern(function) {
        found.extend(of_kernel().map(|id| target(Home::Kernel, function, id.0)));
    }
    if may_be_kernel && names::is_pattern(function) {
        let functions = traceable(kernel, btf, |name| names::matches(function, name));
        let functions = functions.map_err(|error| request.fault(error))?;
        found.extend(functions.into_iter().map(|(name, id)| target(Home::Kernel, name, id.0)));
    }
    for (home, grafted) in kernel.grafts() {
        let Home::Module(name) = home else { continue };
        if module.map_or(found.is_empty() || names::is_pattern(function), |module| names::matches(module, name)) {
            let functions = of_module(kernel, btf, name, grafted, function).map_err(|error| request.fault(error))?;
            found.extend(functions.into_iter().map(|(name, id)| target(home.clone(), name, grafted.own(id))));
        }
    }
    Ok(found)
}

fn full_name(of: &ProbeType, home: &Home, function: &str) -> String {
    match home {
        Home::Kernel => format!("{}:{KERNEL}:{function}", of.name()),
        Home::Module(module) => format!("{}:{module}:{function}", of.name()),
        Home::Program(id) => format!("{}:{PROGRAMS}:{id}:{function}", of.name()),
    }
}

/// BPF programs as an attach point names them: `bpf[:ID]:NAME`.
pub struct ProgramPattern<'a> {
    id: &'a str,
    name: &'a str,
}

impl<'a> ProgramPattern<'a> {
    /// `None` if the parts name functions of the kernel.
    pub fn parse(parts: &[&'a str]) -> Option<ProgramPattern<'a>> {
        match parts {
            [PROGRAMS, name] => Some(ProgramPattern { id: "*", name }),
            [PROGRAMS, id, name] => Some(ProgramPattern { id, name }),
            _ => None,
        }
    }

    /// Number of the program, name of the function, and the number of its type in the program.
    pub fn matching(&self, kernel: &dyn Kernel) -> Vec<(u32, String, u32)> {
        let programs = kernel.programs().into_iter();
        let programs = programs.filter(|program| names::matches(self.id, &program.id.to_string()));
        let functions = programs
            .flat_map(|program| program.functions.into_iter().map(move |(name, type_id)| (program.id, name, type_id)));
        functions.filter(|(_, name, _)| names::matches(self.name, name)).collect()
    }
}

/// Functions of the kernel proper that a trampoline can be put on, those that are meant, by name.
fn traceable<'k>(
    kernel: &dyn Kernel,
    btf: &'k Btf,
    is_meant: impl Fn(&str) -> bool,
) -> crate::error::Result<Vec<(&'k str, TypeId)>> {
    let hooked = kernel.functions()?;
    let is_hooked = |name: &str| hooked.binary_search_by(|known| known.as_str().cmp(name)).is_ok();
    // The types are looked at last, as that takes longest.
    let meant = btf.all(Kind::Func).filter(|(name, _)| is_meant(name) && is_hooked(name));
    let all = meant.filter(|(_, id)| is_passed(kernel, btf, *id));
    let mut found: Vec<_> = all.filter(|(_, id)| !is_grafted(kernel, *id)).collect();
    found.sort_unstable();
    found.dedup_by(|a, b| a.0 == b.0);
    Ok(found)
}

/// The same of a module, those whose names match.
fn of_module<'k>(
    kernel: &dyn Kernel,
    btf: &'k Btf,
    module: &str,
    grafted: &Grafted,
    pattern: &str,
) -> crate::error::Result<Vec<(&'k str, TypeId)>> {
    let hooked = kernel.functions()?;
    let is_hooked = |name: &str| hooked.binary_search(&format!("{module}:{name}")).is_ok();
    let all = btf.all_in(grafted.ids.clone(), Kind::Func).filter(|(name, _)| names::matches(pattern, name));
    let mut found: Vec<_> = all.filter(|(name, id)| is_hooked(name) && is_passed(kernel, btf, *id)).collect();
    found.sort_unstable();
    found.dedup_by(|a, b| a.0 == b.0);
    Ok(found)
}

/// Whether a trampoline can hand on the arguments and the result. A parameter without a type stands for any number of them.
fn is_passed(kernel: &dyn Kernel, btf: &Btf, function: TypeId) -> bool {
    let Some(signature) = btf.signature(function) else { return false };
    let words: Option<Vec<u32>> = signature.params.iter().map(|param| words(kernel, btf, param.ty)).collect();
    // Since 6.6 those on the stack, too.
    let most = if cfg!(target_arch = "x86_64") && kernel.version() >= (6, 6) { 12 } else { ARGUMENTS };
    let gives_word = signature.result == TypeId::VOID || btf.to_type(signature.result, Space::Kernel).is_scalar();
    gives_word && words.is_some_and(|words| words.iter().sum::<u32>() <= most)
}

/// How many words an argument is passed in: small structures in one or two, on kernels that know of that (6.1).
fn words(kernel: &dyn Kernel, btf: &Btf, ty: TypeId) -> Option<u32> {
    if btf.kind(btf.strip(ty)) == Some(Kind::Struct) {
        let size = btf.size_of(ty).filter(|size| *size <= 16 && kernel.version() >= (6, 1));
        return size.map(|size| size.div_ceil(8));
    }
    (ty != TypeId::VOID && btf.to_type(ty, Space::Kernel).is_scalar()).then_some(1)
}

fn missing(request: &Request<'_>, of: &ProbeType) -> Diagnostic {
    let problem = request.no_matches(of);
    let function = request.point.parts.last().map_or("", |part| part.text.as_str());
    if !request.kernel.has(Feature::Trampolines) {
        let problem = problem.hint("this kernel has no trampolines (CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS)");
        let other = if of.name() == FENTRY.name() { "kprobe" } else { "kretprobe" };
        return problem.hint(format!("'{other}:{function}' gives the same answer, on kernels with kprobes"));
    }
    let parts: Vec<&str> = request.point.parts.iter().skip(1).map(|part| part.text.as_str()).collect();
    if ProgramPattern::parse(&parts).is_some() {
        let message = "no BPF program in the kernel has a function of this name";
        return problem.hint(format!("{message}: rtrace -l '{}:bpf:*' lists those there are", of.name()));
    }
    if let [module, _] = parts[..]
        && !names::matches(module, KERNEL)
        && !request.kernel.grafts().iter().any(|(home, _)| *home == Home::Module(module.to_string()))
    {
        let hint = format!("no module '{module}' is loaded that tells its types (/sys/kernel/btf/{module})");
        return problem.hint(hint).hint(format!("'kprobe:{module}:{function}' does without types"));
    }
    let functions = request.kernel.btf().into_iter().flat_map(|btf| btf.all(Kind::Func));
    match names::nearest(function, functions.map(|(name, _)| name)) {
        Some(meant) => problem.hint(format!("did you mean '{}:{meant}'?", of.name())),
        None => problem.hint("it does not exist, was inlined, or must not be traced"),
    }
}

fn context(kernel: &dyn Kernel, target: &Target) -> Context {
    let Attach::Trampoline { home, function, at, .. } = &target.attach else { return Context::default() };
    let func = if kernel.has(Feature::FuncIp) {
        Some(registers::function_address(target.span))
    } else {
        let address = if *home == Home::Kernel { kernel.symbol(function) } else { None };
        address.map(|address| Expr::int(address as i64, Type::U64, target.span))
    };
    let func = func.map(|func| Expr { ty: Type::KSym, ..func });
    let retval = if *at == Point::Return { result(kernel, target).map(|(value, _)| value) } else { None };
    Context { func, retval, space: Space::Kernel, likeness: Likeness::Differing, ..Context::default() }
}

/// The arguments; on return, the result too.
fn fields(kernel: &dyn Kernel, target: &Target) -> Result<Vec<ContextField>, Diagnostic> {
    let Attach::Trampoline { home, at, .. } = &target.attach else { return Ok(Vec::new()) };
    let (btf, signature) = typed(kernel, target).ok_or_else(|| signature::without_types(target))?;
    let mut fields = signature::fields(btf, &signature.params, |slot, ty| Some(word(slot, ty, target.span)));
    if let Home::Program(_) = home {
        fields = fields.into_iter().map(|field| as_the_kernel_has_it(btf, field)).collect();
    }
    if let (Point::Return, Some((value, c_type))) = (at, result(kernel, target)) {
        fields.push(ContextField { name: RESULT.to_string(), c_type, value });
    }
    Ok(fields)
}

/// The types and the signature of a target.
fn typed<'k>(kernel: &'k dyn Kernel, target: &Target) -> Option<(&'k Btf, Signature<'k>)> {
    let Attach::Trampoline { home, type_id, .. } = &target.attach else { return None };
    let btf = kernel.btf()?;
    Some((btf, btf.signature(type_at_home(kernel, home, *type_id)?)?))
}

/// The context of a BPF program is of another type in the kernel than programs see it: an XDP program's `struct xdp_md` is a
/// `struct xdp_buff`. The kernel lists these pairs as members of `struct bpf_ctx_convert`.
fn as_the_kernel_has_it(btf: &Btf, field: ContextField) -> ContextField {
    let Type::Ptr(pointee, _) = &field.value.ty else { return field };
    let Type::Struct(seen) = &**pointee else { return field };
    let pairs: Vec<_> = btf.find("bpf_ctx_convert", Kind::Struct).into_iter().flat_map(|id| btf.members(id)).collect();
    let of_seen = pairs.chunks_exact(2).find(|pair| btf.type_name(pair[0].ty) == *seen.name);
    let Some([_, own]) = of_seen else { return field };
    let ty = Type::pointer(btf.to_type(own.ty, Space::Kernel), Space::Kernel);
    ContextField { c_type: format!("{} *", btf.type_name(own.ty)), value: Expr { ty, ..field.value }, ..field }
}

/// The result and its C type; `None` for functions without. It follows the arguments.
fn result(kernel: &dyn Kernel, target: &Target) -> Option<(Expr, String)> {
    let (btf, signature) = typed(kernel, target)?;
    let words = |ty| btf.to_type(ty, Space::Kernel).size().div_ceil(8).max(1);
    let slot = signature.params.iter().map(|param| words(param.ty)).sum();
    let ty = btf.to_type(signature.result, Space::Kernel);
    // Of a BPF program's function the kernel may believe neither number nor types of the arguments, and take it to have five.
    let is_asked_for = !matches!(target.attach, Attach::Trampoline { home: Home::Kernel | Home::Module(_), .. });
    let value = match is_asked_for && ty.is_scalar() && kernel.has(Feature::FuncResult) {
        true => Expr::new(
            ExprKind::Convert(Expr::new(ExprKind::FuncResult, Type::U64, target.span)),
            ty.clone(),
            target.span,
        ),
        false => word(slot, ty.clone(), target.span),
    };
    (ty != Type::Void).then(|| (value, btf.type_name(signature.result)))
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

/// The module may be left out of the pattern. What modules and programs have is listed for those who name them.
fn list(kernel: &dyn Kernel, of: &ProbeType, pattern: &str) -> Vec<String> {
    let Some(btf) = kernel.btf().filter(|_| kernel.has(Feature::Trampolines)) else { return Vec::new() };
    let parts: Vec<&str> = pattern.split(':').skip(1).collect();
    if let Some(programs) = ProgramPattern::parse(&parts) {
        let matching = programs.matching(kernel).into_iter();
        return matching.map(|(id, name, _)| full_name(of, &Home::Program(id), &name)).collect();
    }
    let matches = |name: &str, module: &str| names::matches(pattern, &format!("{}:{module}{name}", of.name()));
    let found = traceable(kernel, btf, |name| matches(name, "") || matches(name, "vmlinux:")).unwrap_or_default();
    let mut listed: Vec<String> = found.into_iter().map(|(name, _)| full_name(of, &Home::Kernel, name)).collect();
    if let [module, function] = parts[..] {
        for (home, grafted) in kernel.grafts() {
            let Home::Module(name) = home else { continue };
            if names::matches(module, name) {
                let functions = of_module(kernel, btf, name, grafted, function).unwrap_or_default();
                listed.extend(functions.into_iter().map(|(function, _)| full_name(of, home, function)));
            }
        }
    } else {
        listed.extend(of_modules(kernel, btf, of, pattern));
    }
    listed
}

/// Functions of modules for a pattern that names no module.
fn of_modules(kernel: &dyn Kernel, btf: &Btf, of: &ProbeType, pattern: &str) -> Vec<String> {
    let functions = kernel.functions().unwrap_or_default();
    let mut listed = Vec::new();
    for module in kernel.modules() {
        let home = Home::Module(module.clone());
        let Some(Ok((both, ids))) = kernel.foreign_types(&home).map(|foreign| btf.beside(foreign.blob)) else {
            continue;
        };
        let is_hooked = |name: &str| functions.binary_search(&format!("{module}:{name}")).is_ok();
        let is_meant = |name: &str| {
            names::matches(pattern, &format!("{}:{name}", of.name()))
                || names::matches(pattern, &full_name(of, &home, name))
        };
        let meant = both.all_in(ids, Kind::Func).filter(|(name, _)| is_meant(name) && is_hooked(name));
        let mut names: Vec<&str> =
            meant.filter(|(_, id)| is_passed(kernel, &both, *id)).map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        listed.extend(names.into_iter().map(|name| full_name(of, &home, name)));
    }
    listed
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
        assert_eq!(
            target.attach,
            Attach::Trampoline { home: Home::Kernel, function: "vfs_read".into(), type_id: id, at: Point::Entry }
        );
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
