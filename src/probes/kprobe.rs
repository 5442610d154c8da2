//! `kprobe` and `kretprobe`: entry of, return from and places within kernel functions.

use super::fentry::KERNEL;
use super::{Context, ContextField, PidFilter, ProbeType, RESULT, Request, number, registers, signature};
use crate::check::Safety;
use crate::diag::Diagnostic;
use crate::ir::Expr;
use crate::kernel::{Feature, Kernel};
use crate::names;
use crate::plan::{Attach, Point, ProgKind, Target};
use crate::types::{Space, Type};

pub static KPROBE: ProbeType = ProbeType {
    names: &["kprobe", "k"],
    syntax: "kprobe:[MODULE:]FUNCTION[+OFFSET], or kprobe:0xADDRESS",
    doc: "Fires when a kernel function is entered, or at an offset within it; its arguments are `arg0` and so on, or `args.NAME` at entry.",
    example: "kprobe:vfs_read { @[comm] = count(); }",
    kind: ProgKind::Kprobe,
    expand: |request| expand(request, &KPROBE, Point::Entry),
    missing: |request| missing(request, &KPROBE),
    context,
    fields,
    list: |kernel, pattern| list(kernel, &KPROBE, pattern),
    pid_filter: PidFilter::Predicate,
};

pub static KRETPROBE: ProbeType = ProbeType {
    names: &["kretprobe", "kr"],
    syntax: "kretprobe:[MODULE:]FUNCTION",
    doc: "Fires when a kernel function returns; `retval` is its result.",
    example: "kretprobe:vfs_read { @bytes = hist(retval); }",
    kind: ProgKind::Kprobe,
    expand: |request| expand(request, &KRETPROBE, Point::Return),
    missing: |request| missing(request, &KRETPROBE),
    context,
    fields: result,
    list: |kernel, pattern| list(kernel, &KRETPROBE, pattern),
    pid_filter: PidFilter::Predicate,
};

/// Functions that many tools probe, and the tracepoint that tells nearly the same on kernels without kprobes.
const TRACEPOINTS: &[(&str, &str)] = &[
    ("vfs_read", "syscalls:sys_enter_read"),
    ("vfs_write", "syscalls:sys_enter_write"),
    ("vfs_open", "syscalls:sys_enter_openat"),
    ("do_sys_open", "syscalls:sys_enter_openat"),
    ("do_sys_openat2", "syscalls:sys_enter_openat"),
    ("vfs_fsync", "syscalls:sys_enter_fsync"),
    ("vfs_unlink", "syscalls:sys_enter_unlinkat"),
    ("vfs_stat", "syscalls:sys_enter_newstat"),
    ("do_execve", "sched:sched_process_exec"),
    ("do_exit", "sched:sched_process_exit"),
    ("kernel_clone", "sched:sched_process_fork"),
    ("wake_up_new_task", "sched:sched_wakeup_new"),
    ("finish_task_switch", "sched:sched_switch"),
    ("try_to_wake_up", "sched:sched_wakeup"),
    ("tcp_connect", "sock:inet_sock_set_state"),
    ("tcp_set_state", "sock:inet_sock_set_state"),
    ("tcp_retransmit_skb", "tcp:tcp_retransmit_skb"),
    ("blk_mq_start_request", "block:block_rq_issue"),
    ("handle_mm_fault", "exceptions:page_fault_user"),
    ("__kmalloc", "kmem:kmalloc"),
    ("kfree", "kmem:kfree"),
    ("oom_kill_process", "oom:mark_victim"),
];

/// A function as it is written in an attach point.
struct Place<'a> {
    module: Option<&'a str>,
    function: &'a str,
    offset: u64,
}

/// On a kernel without kprobes nothing matches, and [`missing`] says so.
fn expand(request: &Request<'_>, of: &ProbeType, at: Point) -> Result<Vec<Target>, Diagnostic> {
    if let Some(address) = address(request)? {
        return at_address(request, of, address, at);
    }
    let place = Place::parse(request, of)?;
    if place.offset != 0 && at == Point::Return {
        return Err(request
            .error("Offset not allowed")
            .hint("a function has one return, so there is nothing to add to"));
    }
    if !request.kernel.has(Feature::Kprobes) {
        return Ok(Vec::new());
    }
    if !place.is_pattern() {
        let exists = place.exists(request.kernel).map_err(|error| request.fault(error))?;
        let found = exists.then(|| target(request, of, place.module, place.function, place.offset, at));
        return Ok(found.into_iter().collect());
    }
    let functions = request.kernel.functions().map_err(|error| request.fault(error))?;
    let matching = functions.iter().map(|full| split(full)).filter(|(module, name)| place.matches(*module, name));
    let target = |(module, name)| target(request, of, place.module.and(module), name, place.offset, at);
    let mut targets: Vec<Target> = matching.map(target).collect();
    // Functions of one name in several modules are one target where no module was named.
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    targets.dedup_by(|a, b| a.name == b.name);
    Ok(targets)
}

/// The address, where an attach point is one.
fn address(request: &Request<'_>) -> Result<Option<u64>, Diagnostic> {
    match &request.point.parts[..] {
        [_, part] if part.text.starts_with("0x") => {
            number::integer(&part.text).map(Some).map_err(|why| request.error(format!("Invalid address: {why}")))
        }
        _ => Ok(None),
    }
}

/// The kernel refuses what is no code, or must not be probed; that it is where an instruction begins, nobody but the user knows.
fn at_address(request: &Request<'_>, of: &ProbeType, address: u64, at: Point) -> Result<Vec<Target>, Diagnostic> {
    if at == Point::Return {
        let problem = request.error("a kretprobe needs a function, and an address is none");
        return Err(problem.hint("rtrace -l 'kretprobe:*' lists functions; kprobe:0xADDRESS probes an instruction"));
    }
    if request.safety == Safety::Safe {
        let problem = request.error("Probing by address requires --unsafe");
        return Err(problem
            .hint("a probe in the middle of an instruction can crash the kernel; kprobe:FUNCTION+OFFSET is checked"));
    }
    let name = format!("{}:{address:#x}", of.name());
    let target = Target { name, attach: Attach::KprobeAddress { address }, span: request.point.span };
    Ok(if request.kernel.has(Feature::Kprobes) { vec![target] } else { Vec::new() })
}

impl<'a> Place<'a> {
    fn parse(request: &Request<'a>, of: &ProbeType) -> Result<Place<'a>, Diagnostic> {
        let (module, text) = request.one_or_two(of)?;
        let (function, offset) = match text.split_once('+') {
            Some((function, offset)) => {
                let offset = number::integer(offset.trim());
                (function.trim_end(), offset.map_err(|why| request.error(format!("Invalid offset: {why}")))?)
            }
            None => (text, 0),
        };
        Ok(Place { module, function, offset })
    }

    fn is_pattern(&self) -> bool {
        names::is_pattern(self.function) || self.module.is_some_and(names::is_pattern)
    }

    /// Functions of the kernel proper go by the module name `vmlinux`.
    fn matches(&self, module: Option<&str>, function: &str) -> bool {
        let right_module = match self.module {
            Some(pattern) => names::matches(pattern, module.unwrap_or(KERNEL)),
            None => true,
        };
        right_module && names::matches(self.function, function)
    }

    /// The kernel's types tell in a moment what the list of all functions takes long to tell.
    fn exists(&self, kernel: &dyn Kernel) -> crate::error::Result<bool> {
        let typed = kernel.btf().is_some_and(|btf| btf.func(self.function).is_some());
        if typed && matches!(self.module, None | Some(KERNEL)) {
            return Ok(true);
        }
        Ok(kernel.functions()?.iter().map(|full| split(full)).any(|(module, name)| self.matches(module, name)))
    }
}

/// Splits `module:function`.
fn split(full: &str) -> (Option<&str>, &str) {
    full.split_once(':').map_or((None, full), |(module, name)| (Some(module), name))
}

fn target(
    request: &Request<'_>,
    of: &ProbeType,
    module: Option<&str>,
    function: &str,
    offset: u64,
    at: Point,
) -> Target {
    let prefix = module.map(|module| format!("{module}:")).unwrap_or_default();
    let suffix = if offset == 0 { String::new() } else { format!("+{offset}") };
    let module = module.filter(|module| *module != KERNEL).map(str::to_string);
    Target {
        name: format!("{}:{prefix}{function}{suffix}", of.name()),
        attach: Attach::Kprobe { module, function: function.to_string(), offset, at },
        span: request.point.span,
    }
}

/// Names the nearest function; on a kernel without kprobes, the nearest tracepoint.
fn missing(request: &Request<'_>, of: &ProbeType) -> Diagnostic {
    let function = request.point.parts.last().map_or("", |part| part.text.as_str());
    let function = function.split('+').next().unwrap_or("");
    if !request.kernel.has(Feature::Kprobes) {
        return without_kprobes(request, of, function);
    }
    let problem = request.no_matches(of);
    let functions = request.kernel.functions().unwrap_or_default();
    match names::nearest(function, functions.iter().map(|full| split(full).1)) {
        Some(meant) => problem.hint(format!("did you mean '{}:{meant}'?", of.name())),
        None => problem.hint("it does not exist, was inlined, or must not be traced"),
    }
}

fn without_kprobes(request: &Request<'_>, of: &ProbeType, function: &str) -> Diagnostic {
    let problem = request.no_matches(of).hint("this kernel was built without kprobes (CONFIG_KPROBE_EVENTS)");
    let near = TRACEPOINTS.iter().find(|(name, _)| names::matches(function, name)).map(|(_, tracepoint)| *tracepoint);
    let exists = |full: &&str| {
        let (category, event) = full.split_once(':').unwrap_or((full, ""));
        matches!(request.kernel.tracepoint(category, event), Ok(Some(_)))
    };
    match near.filter(exists) {
        Some(tracepoint) => problem.hint(format!("nearest to it is 'tracepoint:{tracepoint}'")),
        None => problem.hint("rtrace -l 'tracepoint:*' lists what can be traced instead"),
    }
}

/// An offset that is not that of the entry.
const WITHIN: u64 = 1;

/// Registers, and the function's address: from the kernel where it tells, else where the processor stands.
fn context(kernel: &dyn Kernel, target: &Target) -> Context {
    let span = target.span;
    let symbol = |address: Expr| Expr { ty: Type::KSym, ..address };
    let (context, offset) = match &target.attach {
        Attach::Kprobe { at: Point::Return, .. } => (registers::returned(Space::Kernel, span), 0),
        Attach::Kprobe { offset, .. } => (registers::entry(Space::Kernel, span), *offset),
        Attach::KprobeAddress { .. } => (registers::entry(Space::Kernel, span), WITHIN),
        _ => (Context::default(), 0),
    };
    let func = match (kernel.has(Feature::FuncIp) && offset == 0, context.retval.is_some()) {
        (true, _) => Some(registers::function_address(span)),
        (false, false) => Some(registers::kprobe_address(span)),
        // Older kernels do not tell where a function that returns began, but the target does.
        (false, true) => None,
    };
    let function = match &target.attach {
        Attach::Kprobe { function, .. } if func.is_none() => Some(function.to_string()),
        _ => None,
    };
    Context { func: func.map(symbol), function, ..context }
}

/// Arguments by name, where the kernel's types name them: they are in registers, and then on the stack, only at the entry.
fn fields(kernel: &dyn Kernel, target: &Target) -> Result<Vec<ContextField>, Diagnostic> {
    let Attach::Kprobe { module, function, offset: 0, at: Point::Entry } = &target.attach else {
        return Err(Diagnostic::error(target.span, "args.NAME can only be used at the entry of a function")
            .hint("reg(\"di\") and so on give the registers here"));
    };
    let (btf, signature) = signature::of_function(kernel, module.as_deref(), function, target)?;
    let words = registers::entry(Space::Kernel, target.span).args;
    let value = |slot: u32, ty| signature::typed(words.get(slot as usize)?.clone(), ty);
    Ok(signature::fields(btf, &signature.params, value))
}

/// The result by its type, as `retval` itself is a number.
fn result(kernel: &dyn Kernel, target: &Target) -> Result<Vec<ContextField>, Diagnostic> {
    let untyped = || Diagnostic::error(target.span, format!("the result of {} has no type here", target.name));
    let Attach::Kprobe { module, function, .. } = &target.attach else { return Err(untyped()) };
    let cast = "a cast gives it one: ((struct file *)retval).f_flags";
    let (btf, signature) =
        signature::of_function(kernel, module.as_deref(), function, target).map_err(|_| untyped().hint(cast))?;
    let register = registers::returned(Space::Kernel, target.span).retval;
    let typed = register.and_then(|word| signature::typed(word, btf.to_type(signature.result, Space::Kernel)));
    let value =
        typed.ok_or_else(|| untyped().hint(format!("{function} returns {}", btf.type_name(signature.result))))?;
    Ok(vec![ContextField { name: RESULT.to_string(), c_type: btf.type_name(signature.result), value }])
}

/// Reads the list of functions only if a kprobe could be put on them. Modules are named where the pattern names them.
fn list(kernel: &dyn Kernel, of: &ProbeType, pattern: &str) -> Vec<String> {
    if !kernel.has(Feature::Kprobes) {
        return Vec::new();
    }
    let functions = kernel.functions().unwrap_or_default();
    let functions = functions.iter().map(|full| split(full));
    let parts: Vec<&str> = pattern.split(':').collect();
    let mut found: Vec<String> = match parts[..] {
        [provider, ..] if parts.len() > 1 && !names::matches(provider, of.name()) => Vec::new(),
        [_, module, function] => functions
            .map(|(home, name)| (home.unwrap_or(KERNEL), name))
            .filter(|(home, name)| names::matches(module, home) && names::matches(function, name))
            .map(|(home, name)| format!("{}:{home}:{name}", of.name()))
            .collect(),
        // There may be many, of which few match.
        [_, function] => functions
            .filter(|(_, name)| names::matches(function, name))
            .map(|(_, name)| format!("{}:{name}", of.name()))
            .collect(),
        _ => functions
            .map(|(_, name)| format!("{}:{name}", of.name()))
            .filter(|full| names::matches(pattern, full))
            .collect(),
    };
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::ExprKind;
    use crate::probes::testing::{expand, fixture, missing};

    fn names(text: &str) -> Vec<String> {
        expand(&fixture(), text).unwrap().into_iter().map(|target| target.name).collect()
    }

    #[test]
    fn functions_offsets_and_globs() {
        let target = expand(&fixture(), "k:vfs_read+4").unwrap().remove(0);
        assert_eq!(target.name, "kprobe:vfs_read+4");
        let attach = Attach::Kprobe { module: None, function: "vfs_read".into(), offset: 4, at: Point::Entry };
        assert_eq!(target.attach, attach);
        assert_eq!(names("kretprobe:vfs_rea*"), ["kretprobe:vfs_read", "kretprobe:vfs_readv"]);
        assert_eq!(names("kprobe:nf_tables:nft_*"), ["kprobe:nf_tables:nft_do_chain"]);
        assert_eq!(names("kprobe:vmlinux:vfs_read"), ["kprobe:vmlinux:vfs_read"]);
        assert!(names("kprobe:nosuch").is_empty());
    }

    #[test]
    fn faults_in_the_words_of_bpftrace() {
        let kernel = fixture();
        for (text, message) in [
            ("kretprobe:vfs_read+4", "Offset not allowed"),
            ("kprobe", "kprobe probe type requires 1 or 2 arguments, found 0"),
            ("kprobe:a:b:c", "kprobe probe type requires 1 or 2 arguments, found 3"),
            ("kprobe:0xffffffff81000000", "Probing by address requires --unsafe"),
            ("kretprobe:0xffffffff81000000", "a kretprobe needs a function, and an address is none"),
            ("kprobe:0xx", "Invalid address: invalid integer: 0xx"),
            ("kprobe:a+x", "Invalid offset: invalid integer: x"),
        ] {
            assert_eq!(expand(&kernel, text).unwrap_err().message, message);
        }
        let problem = missing(&kernel, "kprobe:vfs_raed");
        assert_eq!(problem.message, "No matches for kprobe vfs_raed.");
        assert_eq!(problem.hints, ["did you mean 'kprobe:vfs_read'?"]);
    }

    #[test]
    fn a_kernel_without_kprobes_has_tracepoints() {
        let kernel = fixture().without(Feature::Kprobes);
        assert!(expand(&kernel, "kprobe:vfs_read").unwrap().is_empty());
        let problem = missing(&kernel, "kprobe:vfs_read");
        assert!(problem.hints[0].contains("without kprobes"));
        assert_eq!(problem.hints[1], "nearest to it is 'tracepoint:syscalls:sys_enter_read'");
        assert!(missing(&kernel, "kretprobe:nosuch").hints[1].contains("rtrace -l"));
    }

    #[test]
    fn context_of_entry_and_return() {
        let kernel = fixture();
        let entry = context(&kernel, &expand(&kernel, "kprobe:vfs_read").unwrap()[0]);
        assert!(entry.args.len() == 10 && entry.retval.is_none() && entry.space == Space::Kernel);
        let func = entry.func.unwrap();
        assert!(matches!(*func.kind, ExprKind::Call(..)) && func.ty == Type::KSym);
        let back = context(&kernel, &expand(&kernel, "kretprobe:vfs_read").unwrap()[0]);
        assert!(back.args.is_empty() && back.retval.is_some_and(|retval| retval.ty == Type::U64));
        let typed = result(&kernel, &expand(&kernel, "kretprobe:vfs_read").unwrap()[0]).unwrap();
        assert_eq!((&*typed[0].c_type, &typed[0].value.ty), ("ssize_t", &Type::I64));
        let older = fixture().without(Feature::FuncIp);
        let back = context(&older, &expand(&older, "kretprobe:vfs_read").unwrap()[0]);
        assert_eq!((back.func, back.function.as_deref()), (None, Some("vfs_read")));
    }
}
