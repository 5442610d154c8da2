//! Kernel and user stacks.

use super::{Builtin, process};
use crate::check::{Call, Cx, Emit, Fallible};
use crate::diag::Diagnostic;
use crate::error::Result;
use crate::ir::{Expr, ExprKind, Seen, StmtKind};
use crate::plan::{Action, Cause, Host};
use crate::syntax::ast;
use crate::types::{Side, StackMode, StackType, Type};
use crate::value::Value;

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "kstack",
        "[mode, ][limit]",
        (0, 2),
        "The kernel stack: up to limit (default 127) frames, shown as mode bpftrace, perf or raw.",
        "profile:hz:99 { @[kstack(5)] = count(); }",
        |cx, call| stack(cx, call, Side::Kernel),
    ),
    Builtin::function(
        "ustack",
        "[mode, ][limit]",
        (0, 2),
        "The user stack, by frame pointers: up to limit (default 127) frames, shown as mode bpftrace, perf or raw.",
        "profile:hz:99 { @[ustack(perf, 5)] = count(); }",
        |cx, call| stack(cx, call, Side::User),
    ),
];

/// Frames kept without a limit, and the most the kernel gives (`PERF_MAX_STACK_DEPTH`, sysctl `perf_event_max_stack`).
const FRAMES: i64 = 127;
const MOST: i64 = 1024;

/// The stack that a use of `kstack` or `ustack` asks for.
pub fn stack_type(cx: &mut Cx<'_>, call: &Call<'_>, side: Side) -> Fallible<StackType> {
    let mut stack = StackType { side, mode: cx.config.stack_mode, limit: FRAMES as u32 };
    for arg in call.args {
        if let ast::ExprKind::Ident(mode) = &*arg.kind {
            stack.mode = mode_named(cx, mode, arg)?;
            continue;
        }
        let limit = cx.literal_int(arg, &format!("{}() limit", call.builtin.name))?;
        if !(1..=MOST).contains(&limit) {
            let message = format!("{}([int limit]): limit must be 1..{MOST}, {limit} provided", call.builtin.name);
            return Err(cx.error(Diagnostic::error(arg.span, message)));
        }
        stack.limit = limit as u32;
    }
    Ok(stack)
}

fn mode_named(cx: &mut Cx<'_>, name: &str, arg: &ast::Expr) -> Fallible<StackMode> {
    match name {
        "bpftrace" => Ok(StackMode::Bpftrace),
        "perf" => Ok(StackMode::Perf),
        "raw" => Ok(StackMode::Raw),
        _ => {
            let diagnostic = Diagnostic::error(arg.span, format!("Unknown stack mode: '{name}'"));
            Err(cx.error(diagnostic.hint("the modes are: bpftrace, perf, raw")))
        }
    }
}

fn stack(cx: &mut Cx<'_>, call: &Call<'_>, side: Side) -> Fallible<Expr> {
    let stack = stack_type(cx, call, side)?;
    let map = cx.stack_map(stack);
    let seen = match side {
        Side::Kernel => None,
        Side::User => Some(announcement(cx, call)),
    };
    let collision = cx.counter(Cause::StackCollision, call.span);
    Ok(Expr::new(ExprKind::Stack { map, seen, collision }, Type::Stack(stack), call.span))
}

/// How user space hears of the process, so that it can find out what its addresses mean while it is still there.
fn announcement(cx: &mut Cx<'_>, call: &Call<'_>) -> Seen {
    let map = cx.seen_map();
    let process = Expr::new(ExprKind::Convert(process::process(cx, call.span)), Type::U32, call.span);
    let emit = Emit { name: "process", act: remember, format: None, map: None, span: call.span };
    match cx.emit(emit, vec![process]).kind {
        StmtKind::Emit { action, lost, .. } => Seen { map, action, lost },
        _ => unreachable!("emit gives an Emit"),
    }
}

fn remember(_: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    if let [Value::UInt(process)] = values {
        host.remember_process(*process as u32);
    }
    Ok(())
}
