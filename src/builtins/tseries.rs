//! `tseries()`: a value for each of the latest intervals of time. Each CPU has a ring of intervals; an interval that comes round
//! again begins anew.

use super::{Builtin, Lower, Update};
use crate::bpf::Helper;
use crate::check::{Call, Cx, Fallible, Safety};
use crate::diag::Diagnostic;
use crate::ir::{BinaryOp, Expr, ExprKind, Step, StepOp, Stmt, StmtKind};
use crate::syntax::ast;
use crate::types::{Aggregate, Keep, SERIES_WORDS, Type};

pub const ROWS: &[Builtin] = &[Builtin {
    name: "tseries",
    params: "number, interval, count[, \"avg\" | \"max\" | \"min\" | \"sum\"]",
    arity: (3, 4),
    doc: "A number for each of the latest so many intervals (in nanoseconds): the last one, or what they come to.",
    example: "tracepoint:syscalls:sys_exit_read { @bytes = tseries(args.ret, 100ms, 20, \"sum\"); }",
    safety: Safety::Safe,
    lower: Lower::Aggregation(tseries),
}];

/// bpftrace's own limit, and what fits a per-CPU value (32 KiB with its mark).
const MOST: i64 = 1_000_000;
const ROOM: i64 = 1364;

fn tseries(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Update> {
    cx.unstable(cx.config.unstable_tseries, "tseries", call.span)?;
    let value = cx.number_arg(call, 0)?;
    let sign = value.ty.sign();
    let interval = limit(cx, call, 1, "interval_ns")?;
    let count = limit(cx, call, 2, "num_intervals")?;
    if count >= MOST || count > ROOM {
        let message = format!("tseries() num_intervals must be < {MOST} ({count} provided)");
        let diagnostic = Diagnostic::error(call.args[2].span, message);
        return Err(cx.error(diagnostic.hint(format!("each CPU keeps {ROOM} intervals at the most"))));
    }
    let keep = keep(cx, call)?;
    let aggregate = Aggregate::Series { interval: interval as u64, count: count as u32, keep, sign };
    Ok(Update::whole(aggregate, steps(cx, call, value, (interval, count), keep)?))
}

pub(super) fn limit(cx: &mut Cx<'_>, call: &Call<'_>, index: usize, name: &str) -> Fallible<i64> {
    let (value, of) = (cx.expr(&call.args[index])?, call.builtin.name);
    let message = match *value.kind {
        ExprKind::Int(1..) => return Ok(if let ExprKind::Int(number) = *value.kind { number } else { 0 }),
        ExprKind::Int(0) => format!("{of}() {name} must be >= 1 (0 provided)"),
        _ => format!("{of}: invalid {name} value (must be non-negative literal)"),
    };
    Err(cx.error(Diagnostic::error(call.args[index].span, message)))
}

fn keep(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Keep> {
    let Some(arg) = call.args.get(3) else { return Ok(Keep::Last) };
    let name = cx.literal_str(arg, "tseries()")?;
    match &name[..] {
        b"avg" => Ok(Keep::Average),
        b"max" => Ok(Keep::Max),
        b"min" => Ok(Keep::Min),
        b"sum" => Ok(Keep::Sum),
        other => {
            let message = format!(
                "tseries() expects one of the following aggregation functions: avg, max, min, sum (\"{}\" provided)",
                String::from_utf8_lossy(other)
            );
            Err(cx.error(Diagnostic::error(arg.span, message)))
        }
    }
}

/// The interval's words: its number, the value, and a mark that is not 0 once there is one: the time for the last value, how
/// many for averages.
fn steps(
    cx: &mut Cx<'_>,
    call: &Call<'_>,
    value: Expr,
    (interval, count): (i64, i64),
    keep: Keep,
) -> Fallible<Vec<Step>> {
    let span = call.span;
    let time = time(cx, call)?;
    let now = cx.fresh("time", Type::U64);
    let set = Stmt::new(StmtKind::Set(now, time), span);
    let now = Expr::new(ExprKind::Var(now), Type::U64, span);
    let epoch = super::binary(BinaryOp::Div, now.clone(), interval, Type::U64);
    let slot = super::binary(BinaryOp::Mod, epoch.clone(), count, Type::U64);
    let start = super::binary(BinaryOp::Mul, slot, i64::from(SERIES_WORDS), Type::U64);
    let at = |word: i64| super::binary(BinaryOp::Add, start.clone(), word, Type::U64);
    // The first thing evaluated notes the time for all that follow.
    let first = Expr::new(ExprKind::Seq(vec![set], start.clone()), Type::U64, span);
    let sign = value.ty.sign();
    let one = super::number(1, span);
    let mut steps = vec![Step { index: first, op: StepOp::Renew { words: SERIES_WORDS - 1 }, value: epoch }];
    steps.extend(match keep {
        Keep::Last => {
            vec![Step { index: at(1), op: StepOp::Set, value }, Step { index: at(2), op: StepOp::Set, value: now }]
        }
        Keep::Sum | Keep::Average => {
            vec![Step { index: at(1), op: StepOp::Add, value }, Step { index: at(2), op: StepOp::Add, value: one }]
        }
        Keep::Min => vec![Step { index: at(1), op: StepOp::Min(sign), value }],
        Keep::Max => vec![Step { index: at(1), op: StepOp::Max(sign), value }],
    });
    Ok(steps)
}

/// Wall-clock time, so that intervals begin at round times; or what a map says, for scripts that are to be tested.
pub(super) fn time(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    if let Some(map) = cx.options.clock_map.clone() {
        let map = ast::Expr { kind: Box::new(ast::ExprKind::Map { name: map, keys: None }), span: call.span };
        return cx.scalar(&map);
    }
    let boot = Expr::new(ExprKind::Call(Helper::KTIME_GET_BOOT_NS, Vec::new()), Type::U64, call.span);
    Ok(super::binary(BinaryOp::Add, boot, cx.options.wall_offset_ns, Type::U64))
}
