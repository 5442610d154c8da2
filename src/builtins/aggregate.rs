//! Aggregations: what a map can be assigned to sum up many values. Each CPU has a slot of its own; they are merged when read.

use super::{Builtin, Lower, Parted, Update, number};
use crate::check::{Call, Cx, Fallible, Safety};
use crate::diag::Diagnostic;
use crate::ir::{BinaryOp, Expr, ExprKind, Step, StepOp};
use crate::types::{
    Aggregate, QUANTILE_BITS, QUANTILE_BLOCK, QUANTILE_BLOCKS_AT, QUANTILE_BUCKETS_AT, QUANTILE_PART_AT, Sign, Type,
};

pub const ROWS: &[Builtin] = &[
    row("count", "", (0, 0), "How often.", "tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }", count),
    row("sum", "number", (1, 1), "The sum.", "tracepoint:syscalls:sys_exit_read { @bytes = sum(args.ret); }", sum),
    row("min", "number", (1, 1), "The smallest.", "tracepoint:syscalls:sys_exit_read { @least = min(args.ret); }", min),
    row("max", "number", (1, 1), "The largest.", "tracepoint:syscalls:sys_exit_read { @most = max(args.ret); }", max),
    row(
        "avg",
        "number",
        (1, 1),
        "The average.",
        "tracepoint:syscalls:sys_exit_read { @average = avg(args.ret); }",
        avg,
    ),
    row(
        "stats",
        "number",
        (1, 1),
        "Count, average and total.",
        "tracepoint:syscalls:sys_exit_read { @ = stats(args.ret); }",
        stats,
    ),
    row(
        "hist",
        "number[, k]",
        (1, 2),
        "A histogram by powers of two, each split into 2^k (k from 0 to 5) buckets.",
        "tracepoint:syscalls:sys_exit_read { @bytes = hist(args.ret, 2); }",
        hist,
    ),
    row(
        "quantiles",
        "number",
        (1, 1),
        "The distribution: percentiles to within 1 % (negative numbers count as -1), the greatest number, and how many there were.",
        "tracepoint:syscalls:sys_exit_read { @bytes = quantiles(args.ret); }",
        quantiles,
    ),
    row(
        "lhist",
        "number, min, max, step",
        (4, 4),
        "A histogram with buckets of equal width (at most 1000).",
        "tracepoint:syscalls:sys_exit_read { @bytes = lhist(args.ret, 0, 1000, 100); }",
        lhist,
    ),
];

/// Buckets of a linear histogram at the most.
const BUCKETS: i64 = 1000;

const fn row(
    name: &'static str,
    params: &'static str,
    arity: (usize, usize),
    doc: &'static str,
    example: &'static str,
    lower: fn(&mut Cx<'_>, &Call<'_>) -> Fallible<Update>,
) -> Builtin {
    Builtin { name, params, arity, doc, example, safety: Safety::Safe, lower: Lower::Aggregation(lower) }
}

fn count(_: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Update> {
    let one = number(1, call.span);
    Ok(Update::whole(Aggregate::Count, vec![step(0, StepOp::Add, one)]))
}

fn sum(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Update> {
    let value = cx.number_arg(call, 0)?;
    Ok(Update::whole(Aggregate::Sum(value.ty.sign()), vec![step(0, StepOp::Add, value)]))
}

fn min(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Update> {
    let value = cx.number_arg(call, 0)?;
    let sign = value.ty.sign();
    Ok(Update::whole(Aggregate::Min(sign), vec![step(0, StepOp::Min(sign), value)]))
}

fn max(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Update> {
    let value = cx.number_arg(call, 0)?;
    let sign = value.ty.sign();
    Ok(Update::whole(Aggregate::Max(sign), vec![step(0, StepOp::Max(sign), value)]))
}

fn avg(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Update> {
    let value = cx.number_arg(call, 0)?;
    Ok(Update::whole(Aggregate::Avg(value.ty.sign()), totals(value)))
}

fn stats(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Update> {
    let value = cx.number_arg(call, 0)?;
    Ok(Update::whole(Aggregate::Stats(value.ty.sign()), totals(value)))
}

/// One more, and the value to the total.
fn totals(value: Expr) -> Vec<Step> {
    let one = number(1, value.span);
    vec![step(0, StepOp::Add, one), step(1, StepOp::Add, value)]
}

fn hist(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Update> {
    let value = cx.number_arg(call, 0)?;
    let bits = bits(cx, call, 1)?;
    let bucket = ExprKind::Log2Bucket { value, bits };
    Ok(Update::whole(Aggregate::Hist { bits }, vec![one_more(bucket, call)]))
}

/// How finely powers of two are split, if that is said by this argument.
pub(super) fn bits(cx: &mut Cx<'_>, call: &Call<'_>, index: usize) -> Fallible<u8> {
    let Some(arg) = call.args.get(index) else { return Ok(0) };
    let name = call.builtin.name;
    let bits = cx.literal_int(arg, &format!("{name}() k"))?;
    if !(0..=5).contains(&bits) {
        let problem = Diagnostic::error(arg.span, format!("{name}: bits {bits} must be 0..5"));
        return Err(cx.error(problem.hint("each power of two is split into 2^bits rows: hist(n, 2) has four of each")));
    }
    Ok(bits as u8)
}

fn quantiles(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Update> {
    let value = cx.number_arg(call, 0)?;
    let span = call.span;
    let mut block = Vec::new();
    let value = cx.named("value", value, &mut block);
    let bucket = ExprKind::Log2Bucket { value: value.clone(), bits: QUANTILE_BITS };
    let bucket = cx.named("bucket", Expr::new(bucket, Type::U64, span), &mut block);
    let part = super::binary(BinaryOp::Div, bucket.clone(), i64::from(QUANTILE_BLOCK), Type::U64);
    let within = super::binary(BinaryOp::Mod, bucket.clone(), i64::from(QUANTILE_BLOCK), Type::U64);
    let word = |index: Expr, start: u32| super::binary(BinaryOp::Add, index, i64::from(start), Type::U64);
    // The first thing evaluated notes what all that follow are made of.
    let first = Expr::new(ExprKind::Seq(block, number(0, span)), Type::U64, span);
    let one_more = |index| Step { index, op: StepOp::Add, value: number(1, span) };
    let common =
        vec![Step { index: first, op: StepOp::Max(Sign::Signed), value }, step(2, StepOp::Add, number(1, span))];
    let of_whole = [one_more(word(part.clone(), QUANTILE_BLOCKS_AT)), one_more(word(bucket, QUANTILE_BUCKETS_AT))];
    let steps = common.iter().cloned().chain(of_whole).collect();
    let of_part = common.into_iter().chain([one_more(word(within, QUANTILE_PART_AT))]).collect();
    let parted = Some(Parted { part, steps: of_part });
    Ok(Update { aggregate: Aggregate::Quantiles, steps, parted })
}

fn lhist(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Update> {
    let value = cx.number_arg(call, 0)?;
    let min = cx.literal_int(&call.args[1], "lhist() min")?;
    let max = cx.literal_int(&call.args[2], "lhist() max")?;
    let step = cx.literal_int(&call.args[3], "lhist() step")?;
    let fault = if min < 0 {
        Some(format!("lhist() min must be non-negative (provided min {min})"))
    } else if min >= max {
        Some(format!("lhist() min must be less than max (provided min {min} and max {max})"))
    } else if step <= 0 {
        Some(format!("lhist() step must be >= 1 ({step} provided)"))
    } else if (max - min) / step > BUCKETS {
        Some(format!("lhist() too many buckets, must be <= {BUCKETS} (would need {})", (max - min) / step))
    } else if max - min < step {
        Some(format!("lhist() step is too large for the given range (provided step {step} for range {})", max - min))
    } else {
        None
    };
    if let Some(message) = fault {
        let hint = "for example, ten rows from 0 to 100: lhist(n, 0, 100, 10)";
        return Err(cx.error(Diagnostic::error(call.span, message).hint(hint)));
    }
    let bucket = ExprKind::LinearBucket { value, min, max, step };
    Ok(Update::whole(Aggregate::LHist { min, max, step }, vec![one_more(bucket, call)]))
}

pub(super) fn one_more(bucket: ExprKind, call: &Call<'_>) -> Step {
    let index = Expr::new(bucket, Type::U64, call.span);
    Step { index, op: StepOp::Add, value: number(1, call.span) }
}

fn step(index: i64, op: StepOp, value: Expr) -> Step {
    Step { index: number(index, value.span), op, value }
}
