//! Kernel and user stacks.

use super::{Builtin, process};
use crate::check::{Call, Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::kernel::Feature;
use crate::plan::{Cause, Map, MapKind, Role, unwind};
use crate::syntax::ast;
use crate::types::{Side, StackMode, StackType, Type, Unwinder};

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "dw_ustack",
        "[mode, ][limit]",
        (0, 2),
        "The user stack of the -p, -c or --dwarf-pid processes, by the tables that compilers write for exceptions: no frame pointers are needed.",
        "profile:hz:99 { @[dw_ustack(perf, 5)] = count(); }",
        unwound,
    ),
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
    let mut stack =
        StackType { side, mode: cx.config.stack_mode, limit: FRAMES as u32, unwinder: Unwinder::FramePointers };
    for arg in call.args {
        if let ast::ExprKind::Ident(mode) = &*arg.kind {
            stack.mode = mode_named(cx, mode, arg)?;
            continue;
        }
        let limit = cx.literal_int(arg, &format!("{}: invalid limit value: it", call.builtin.name))?;
        if !(0..=MOST).contains(&limit) {
            let message = format!(
                "{}([int limit]): limit shouldn't exceed {MOST}, nor be less than 0; {limit} given",
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

/// A stack by unwind tables, which must be there when the program runs: those of processes that are named.
fn unwound(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    cx.unstable(cx.config.unstable_dw_ustack, "dw_ustack", call.span)?;
    let processes = cx.options.unwound();
    let refusal = if cfg!(not(target_arch = "x86_64")) {
        Some(("dw_ustack is not supported on this architecture", "ustack follows frame pointers"))
    } else if !cx.kernel.has(Feature::Loop) {
        Some(("dw_ustack needs kernel 5.17 or later (bpf_loop)", "ustack follows frame pointers"))
    } else if processes.is_empty() {
        let message = "dw_ustack requires a target process. Use -p, -c, or --dwarf-pid to specify one.";
        Some((message, "ustack works for all processes"))
    } else {
        None
    };
    if let Some((message, hint)) = refusal {
        return Err(cx.error(Diagnostic::error(call.span, message).hint(hint)));
    }
    let stack = StackType { unwinder: Unwinder::Tables, ..stack_type(cx, call, Side::User)? };
    let count = processes.len() as u32;
    let maps = [
        (Role::UnwindProcesses(processes), MapKind::Hash, 4, count),
        (Role::UnwindRanges, MapKind::Array, unwind::RANGE_BYTES, unwind::RANGES * count),
        (Role::UnwindRows, MapKind::Array, unwind::ROW_BYTES, unwind::ROWS),
    ];
    for (role, kind, value_size, max_entries) in maps {
        cx.plan().shared_map(Map { role, kind, key_size: 4, value_size, max_entries });
    }
    recorded(cx, call, stack)
}

fn stack(cx: &mut Cx<'_>, call: &Call<'_>, side: Side) -> Fallible<Expr> {
    let stack = stack_type(cx, call, side)?;
    recorded(cx, call, stack)
}

fn recorded(cx: &mut Cx<'_>, call: &Call<'_>, stack: StackType) -> Fallible<Expr> {
    // A stack of no frames is one that is stored nowhere.
    if stack.limit == 0 {
        return Ok(Expr::int(-1, Type::Stack(stack), call.span));
    }
    let map = cx.stack_map(stack);
    let collision = cx.counter(Cause::StackCollision, call.span);
    let id = Expr::new(ExprKind::Stack { map, collision }, Type::Stack(stack), call.span);
    Ok(match stack.side {
        Side::Kernel => id,
        Side::User => process::announced(cx, id),
    })
}
