//! What changes the traced process or the kernel's behaviour: all of it needs `--unsafe`.

use super::Builtin;
use crate::bpf::Helper;
use crate::check::{Call, Cx, Fallible, Safety, provider_word};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind, Stmt, StmtKind, UnaryOp};
use crate::names;
use crate::syntax::ast;
use crate::types::Type;

pub const ROWS: &[Builtin] = &[
    Builtin {
        safety: Safety::Unsafe,
        ..Builtin::function(
            "signal",
            "number | \"NAME\"",
            (1, 1),
            "Sends a signal to the current process.",
            "tracepoint:syscalls:sys_enter_execve /comm == \"bad\"/ { signal(\"KILL\"); }",
            |cx, call| signal(cx, call, Helper::SEND_SIGNAL),
        )
    },
    Builtin {
        safety: Safety::Unsafe,
        ..Builtin::function(
            "signal_thread",
            "number | \"NAME\"",
            (1, 1),
            "Sends a signal to the current thread.",
            "tracepoint:syscalls:sys_enter_execve /comm == \"bad\"/ { signal_thread(\"USR1\"); }",
            |cx, call| signal(cx, call, Helper::SEND_SIGNAL_THREAD),
        )
    },
    Builtin {
        safety: Safety::Unsafe,
        ..Builtin::function(
            "override",
            "result",
            (1, 1),
            "Makes the traced kernel function return this at once, without running (needs CONFIG_BPF_KPROBE_OVERRIDE).",
            "kprobe:vfs_read /comm == \"victim\"/ { override(-5); }",
            override_return,
        )
    },
    Builtin {
        safety: Safety::Unsafe,
        ..Builtin::function(
            "write_user",
            "to, from, length",
            (3, 3),
            "Writes bytes to the memory of the current process; true if that was possible.",
            "tracepoint:syscalls:sys_enter_read /comm == \"victim\"/ { $zero = (uint64)0; write_user(args.buf, &$zero, 8); }",
            write_user,
        )
    },
];

/// Signals as bpftrace numbers them.
const LAST: i64 = 64;

/// `SIG…` names from 1 on (x86-64, arm64).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

fn signal(cx: &mut Cx<'_>, call: &Call<'_>, helper: Helper) -> Fallible<Expr> {
    let name = call.builtin.name;
    if matches!(cx.probe.name(), "begin" | "end" | "interval" | "software") {
        let message = format!("{name}() can not be used for this probetype {}", provider_word(cx.probe));
        let hint = "it signals the process that hits the probe: use a tracepoint, kprobe, uprobe or profile probe";
        return Err(cx.error(Diagnostic::error(call.span, message).hint(hint)));
    }
    let value = cx.expr(&call.args[0])?;
    let number = match (&*value.kind, &value.ty) {
        (ExprKind::Str(text), _) => named(cx, call, &String::from_utf8_lossy(text))?,
        (ExprKind::Int(number), Type::Int(_)) if !(1..=LAST).contains(number) => {
            let message = format!("{name}() accepts a string literal or an integer between 1 and {LAST} (inclusive)");
            return Err(cx.error(Diagnostic::error(call.args[0].span, message)));
        }
        (_, Type::Int(_) | Type::Enum(_)) => value,
        _ => {
            let message = format!("{name}() accepts a string literal or an integer");
            return Err(cx.error(Diagnostic::error(call.args[0].span, message)));
        }
    };
    Ok(effect(helper, vec![number], call))
}

/// `KILL`, `SIGKILL` or `kill`.
fn named(cx: &mut Cx<'_>, call: &Call<'_>, name: &str) -> Fallible<Expr> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(position) = NAMES.iter().position(|known| *known == bare) {
        return Ok(super::number(position as i64 + 1, call.span));
    }
    let diagnostic = Diagnostic::error(call.args[0].span, format!("Invalid string for signal: {name}"));
    let near = names::nearest(bare, NAMES).map(|near| format!("did you mean \"{near}\"?"));
    Err(cx.error(near.into_iter().fold(diagnostic, Diagnostic::hint)))
}

fn override_return(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    if cx.probe.name() != "kprobe" {
        return Err(cx.error(Diagnostic::error(call.span, "override() can only be used inside kprobes")));
    }
    let result = cx.number_arg(call, 0)?;
    let ctx = Expr::new(ExprKind::Ctx, Type::U64, call.span);
    Ok(effect(Helper::OVERRIDE_RETURN, vec![ctx, result], call))
}

fn write_user(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let (to, length) = (cx.number_arg(call, 0)?, cx.number_arg(call, 2)?);
    let from = source(cx, &call.args[1])?;
    let bytes = i64::from(from.ty.size());
    match *length.kind {
        ExprKind::Int(length) if (1..=bytes).contains(&length) => {}
        _ => {
            let message =
                format!("write_user() length must be a literal between 1 and {bytes}, the size of what is written");
            return Err(cx.error(Diagnostic::error(call.args[2].span, message)));
        }
    }
    let from = Expr::new(ExprKind::Location(from), Type::U64, call.span);
    let failed = Expr::new(ExprKind::Call(Helper::PROBE_WRITE_USER, vec![to, from, length]), Type::I64, call.span);
    Ok(Expr::new(ExprKind::Unary(UnaryOp::Not, failed), Type::Bool, call.span))
}

/// The bytes to write: those of any value, with or without a `&` before it.
fn source(cx: &mut Cx<'_>, arg: &ast::Expr) -> Fallible<Expr> {
    let value = match &*arg.kind {
        ast::ExprKind::Unary(ast::UnaryOp::Address, of) => cx.expr(of)?,
        _ => cx.expr(arg)?,
    };
    if !value.ty.is_scalar() {
        return Ok(value);
    }
    let (size, span) = (value.ty.size(), value.span);
    Ok(Expr::new(ExprKind::Compose(vec![(0, value)]), Type::Array(Box::new(Type::U8), size), span))
}

/// A helper called for what it does.
fn effect(helper: Helper, args: Vec<Expr>, call: &Call<'_>) -> Expr {
    let value = Expr::new(ExprKind::Call(helper, args), Type::I64, call.span);
    let statement = Stmt::new(StmtKind::Eval(value), call.span);
    Expr::effect(vec![statement], call.span)
}
