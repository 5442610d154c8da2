//! Who was running: the current process, thread, user and cgroup.

use super::{Builtin, binary};
use crate::bpf::Helper;
use crate::btf::Kind;
use crate::check::{Call, Cx, Emit, Fallible, kind_of};
use crate::diag::Diagnostic;
use crate::error::Result;
use crate::ir::{self, BinaryOp, Expr, ExprKind, Seen, Stmt, StmtKind};
use crate::plan::{Action, Host};
use crate::source::Span;
use crate::syntax::ast;
use crate::types::{Space, Type};
use crate::value::Value;

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "pid",
        "[curr_ns | init]",
        (0, 1),
        "Process id (the kernel's tgid) of the current thread, in rtrace's PID namespace or the initial one.",
        "tracepoint:raw_syscalls:sys_enter { @[pid] = count(); }",
        pid,
    ),
    Builtin::function(
        "tid",
        "[curr_ns | init]",
        (0, 1),
        "Thread id (the kernel's pid) of the current thread, in rtrace's PID namespace or the initial one.",
        "tracepoint:raw_syscalls:sys_enter { @[tid(init)] = count(); }",
        tid,
    ),
    Builtin::function(
        "ppid",
        "[task]",
        (0, 1),
        "Process id of the parent of the current task, or of the task given.",
        "tracepoint:raw_syscalls:sys_enter { @[ppid] = count(); }",
        |cx, call| of_task(cx, call, &["real_parent", "pid"]),
    ),
    Builtin::function(
        "pcomm",
        "[task]",
        (0, 1),
        "Name of the parent of the current task, or of the task given.",
        "tracepoint:raw_syscalls:sys_enter { @[pcomm] = count(); }",
        |cx, call| of_task(cx, call, &["real_parent", "comm"]),
    ),
    Builtin::function(
        "leader_tid",
        "[task]",
        (0, 1),
        "Thread id of the main thread of the current process, or of that of the task given.",
        "tracepoint:raw_syscalls:sys_enter { @[leader_tid] = count(); }",
        |cx, call| of_task(cx, call, &["group_leader", "pid"]),
    ),
    Builtin::function(
        "leader_comm",
        "[task]",
        (0, 1),
        "Name of the main thread of the current process, or of that of the task given.",
        "tracepoint:raw_syscalls:sys_enter { @[leader_comm] = count(); }",
        |cx, call| of_task(cx, call, &["group_leader", "comm"]),
    ),
    Builtin::value(
        "uid",
        "User id of the current process, in the initial user namespace.",
        "tracepoint:raw_syscalls:sys_enter { @[uid] = count(); }",
        uid,
    ),
    Builtin::value(
        "gid",
        "Group id of the current process, in the initial user namespace.",
        "tracepoint:raw_syscalls:sys_enter { @[gid] = count(); }",
        gid,
    ),
    Builtin::function(
        "comm",
        "[task | pid]",
        (0, 1),
        "Name of the current thread, at most 15 characters, or of the task given, or (in tracepoints and timers since 6.12) of the thread of this number in the initial PID namespace.",
        "tracepoint:raw_syscalls:sys_enter { @[comm] = count(); } begin { print(comm(curtask)); }",
        comm,
    ),
    Builtin::value(
        "curtask",
        "Pointer to the current thread's struct task_struct.",
        "begin { print(curtask.pid); }",
        curtask,
    ),
    Builtin::value(
        "cgroup",
        "Id of the current process's cgroup (version 2).",
        "tracepoint:raw_syscalls:sys_enter { @[cgroup] = count(); }",
        cgroup,
    ),
    Builtin::value("cpid", "Process id of the command started with -c; 0 without one.", "begin { print(cpid); }", cpid),
    Builtin::value(
        "has_cpid",
        "Whether there is a command started with -c.",
        "begin { if (has_cpid) { print(cpid); } }",
        has_cpid,
    ),
];

/// Which namespace's ids are meant.
#[derive(Clone, Copy)]
enum Namespace {
    Current,
    Initial,
}

/// The thread's ids: process in the high half, thread in the low one.
fn pid_tgid(cx: &Cx<'_>, namespace: Namespace, span: Span) -> Expr {
    match namespace {
        Namespace::Current => ir::ids(cx.kernel.pid_namespace(), span),
        Namespace::Initial => ir::ids(None, span),
    }
}

/// The process id in rtrace's own namespace, from the high half.
pub fn process(cx: &Cx<'_>, span: Span) -> Expr {
    ir::process(cx.kernel.pid_namespace(), Type::U32, span)
}

/// A value made of the current process's addresses. User space hears of the process, so that it can find out what they mean
/// while it is still there.
pub fn announced(cx: &mut Cx<'_>, value: Expr) -> Expr {
    let (ty, span) = (value.ty.clone(), value.span);
    let map = cx.seen_map();
    let process = Expr::new(ExprKind::Convert(process(cx, span)), Type::U32, span);
    let emit = Emit { name: "process", act: remember, format: None, map: None, span };
    let StmtKind::Emit { action, lost, .. } = cx.emit(emit, vec![process]).kind else {
        unreachable!("emit gives an Emit");
    };
    let announce = Stmt::new(StmtKind::Announce(Seen { map, action, lost }), span);
    Expr::new(ExprKind::Seq(vec![announce], value), ty, span)
}

fn remember(_: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    if let [Value::UInt(process)] = values {
        host.remember_process(*process as u32);
    }
    Ok(())
}

fn pid(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let namespace = namespace(cx, call)?;
    Ok(binary(BinaryOp::Shr, pid_tgid(cx, namespace, call.span), 32, Type::U32))
}

fn tid(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let namespace = namespace(cx, call)?;
    Ok(binary(BinaryOp::And, pid_tgid(cx, namespace, call.span), 0xffff_ffff, Type::U32))
}

fn namespace(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Namespace> {
    let fault = match call.args.first().map(|arg| &*arg.kind) {
        None => return Ok(Namespace::Current),
        Some(ast::ExprKind::Ident(name)) if name == "curr_ns" => return Ok(Namespace::Current),
        Some(ast::ExprKind::Ident(name)) if name == "init" => return Ok(Namespace::Initial),
        Some(ast::ExprKind::Ident(name)) => {
            format!("Invalid PID namespace mode: {name} (expects: curr_ns or init)")
        }
        Some(_) => format!("{}() only supports curr_ns and init as the argument", call.builtin.name),
    };
    Err(cx.error(Diagnostic::error(call.args[0].span, fault)))
}

/// Fields, one after the other, of the task given or the current one.
fn of_task(cx: &mut Cx<'_>, call: &Call<'_>, path: &[&str]) -> Fallible<Expr> {
    let span = call.span;
    let current = || ast::Expr { kind: Box::new(ast::ExprKind::Ident("curtask".to_string())), span };
    let task = call.args.first().cloned().unwrap_or_else(current);
    cx.expr(&fields_of(task, path, span))
}

/// Fields, one after the other, of what is given.
pub(super) fn fields_of(of: ast::Expr, path: &[&str], span: Span) -> ast::Expr {
    path.iter().fold(of, |base, name| {
        let name = ast::Name { text: (*name).to_string(), span };
        ast::Expr { kind: Box::new(ast::ExprKind::Field { base, name, arrow: ast::Arrow::Dot }), span }
    })
}

fn uid(_: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    Ok(binary(BinaryOp::And, helper(Helper::GET_CURRENT_UID_GID, Type::U64, call), 0xffff_ffff, Type::U64))
}

fn gid(_: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    Ok(binary(BinaryOp::Shr, helper(Helper::GET_CURRENT_UID_GID, Type::U64, call), 32, Type::U64))
}

fn comm(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let Some(of) = call.args.first() else { return Ok(Expr::new(ExprKind::Comm, NAME, call.span)) };
    let of = cx.scalar(of)?;
    match &of.ty {
        Type::Ptr(..) => of_task(cx, call, &["comm"]),
        Type::Int(_) => comm_of(cx, call, of),
        other => {
            let message = format!("Only integer supported for comm()'s pid ({} provided)", kind_of(other));
            let hint = "comm takes the number of a thread, or a pointer to a struct task_struct";
            Err(cx.error(Diagnostic::error(of.span, message).hint(hint)))
        }
    }
}

/// A task's name with its NUL.
const NAME: Type = Type::Str(16);

/// The kernel is asked for the task of this number, which it must be given back.
fn comm_of(cx: &mut Cx<'_>, call: &Call<'_>, pid: Expr) -> Fallible<Expr> {
    let name = cx.kernel.btf().and_then(|btf| btf.field(btf.find("task_struct", Kind::Struct)?, "comm"));
    let functions = (cx.kernel_function("bpf_task_from_pid"), cx.kernel_function("bpf_task_release"));
    let ((Some(given), Some(taken)), Some(name)) = (functions, name) else {
        let message =
            format!("comm(pid) asks bpf_task_from_pid() of the kernel, which {} probes may not, here", cx.probe.name());
        let diagnostic = Diagnostic::error(call.span, message)
            .hint("from fentry and iter it is allowed since kernel 6.2, from tracepoint, interval, profile and software since 6.12")
            .hint("where the task itself is at hand, comm(task) gives its name on any kernel: comm(curtask.real_parent)");
        return Err(cx.error(diagnostic));
    };
    let args = vec![Expr::new(ExprKind::Convert(pid), Type::I32, call.span)];
    let object = ExprKind::OfObject { given, args, taken, offset: name.bit_offset / 8 };
    Ok(Expr::new(object, NAME, call.span))
}

fn curtask(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let task = cx.kernel.btf().and_then(|btf| btf.struct_named("task_struct"));
    let ty = task.map_or(Type::U64, |task| Type::pointer(Type::Struct(task), Space::Kernel));
    Ok(helper(Helper::GET_CURRENT_TASK, ty, call))
}

fn cgroup(_: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    Ok(helper(Helper::GET_CURRENT_CGROUP_ID, Type::U64, call))
}

fn cpid(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    if cx.options.child.is_none() {
        cx.warn(call.span, "No child command (`-c`); cpid is zero");
    }
    Ok(Expr::int(i64::from(cx.options.child.unwrap_or(0)), Type::U32, call.span))
}

fn has_cpid(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    Ok(Expr::int(i64::from(cx.options.child.is_some()), Type::Bool, call.span))
}

fn helper(helper: Helper, ty: Type, call: &Call<'_>) -> Expr {
    Expr::new(ExprKind::Call(helper, Vec::new()), ty, call.span)
}
