//! Kernel and user stacks.

use super::{Builtin, process};
use crate::check::{Call, Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::plan::Cause;
use crate::syntax::ast;
use crate::types::{Side, StackMode, StackType, Type};

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
        "The user stack, by frame pointers: up to limit (default 127) frames, shown as mode bpftrace, perf, raw or build_id.",
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
        let limit = cx.literal_int(arg, &format!("{}: invalid limit value: it", call.builtin.name))?;
        if !(1..=MOST).contains(&limit) {
            let message = format!(
                "{}([int limit]): limit shouldn't exceed {MOST}, nor be less than 1; {limit} given",
                call.builtin.name
            );
            return Err(cx.error(Diagnostic::error(arg.span, message)));
        }
        stack.limit = limit as u32;
    }
    if (stack.side, stack.mode) == (Side::Kernel, StackMode::BuildId) {
        let problem = Diagnostic::error(call.span, "'build_id' stack mode can only be used for ustack");
        return Err(cx.error(problem.hint("the kernel's code lies in no file")));
    }
    Ok(stack)
}

fn mode_named(cx: &mut Cx<'_>, name: &str, arg: &ast::Expr) -> Fallible<StackMode> {
    match name {
        "bpftrace" => Ok(StackMode::Bpftrace),
        "perf" => Ok(StackMode::Perf),
        "raw" => Ok(StackMode::Raw),
        "build_id" => Ok(StackMode::BuildId),
        _ => {
            let diagnostic = Diagnostic::error(arg.span, format!("Unknown stack mode: '{name}'"));
            Err(cx.error(diagnostic.hint("the modes are: bpftrace, perf, raw, build_id")))
        }
    }
}

fn stack(cx: &mut Cx<'_>, call: &Call<'_>, side: Side) -> Fallible<Expr> {
    let stack = stack_type(cx, call, side)?;
    let map = cx.stack_map(stack);
    let collision = cx.counter(Cause::StackCollision, call.span);
    let id = Expr::new(ExprKind::Stack { map, collision }, Type::Stack(stack), call.span);
    Ok(match side {
        Side::Kernel => id,
        Side::User => process::announced(cx, id),
    })
}
