//! Percentiles of what `quantiles()` has collected, computed in the kernel over all CPUs.

use super::{Builtin, binary, number};
use crate::check::{Call, Cx, Fallible, MapArg};
use crate::diag::Diagnostic;
use crate::ir::{BinaryOp, Block, CompareOp, Expr, ExprKind, Merge, Stmt, StmtKind, VarId};
use crate::kernel::Feature;
use crate::plan::{Cause, MapId};
use crate::source::Span;
use crate::types::{
    Aggregate, MapValue, QUANTILE_BITS, QUANTILE_BLOCK, QUANTILE_BLOCKS_AT, QUANTILE_BUCKETS_AT, Sign, Type,
    quantile_blocks,
};

pub const ROWS: &[Builtin] = &[
    percentile("p50", "The median of a quantiles map, to within 1 %.", |cx, call| fixed(cx, call, (50, 100))),
    percentile("p75", "Its 75th percentile.", |cx, call| fixed(cx, call, (75, 100))),
    percentile("p90", "Its 90th percentile.", |cx, call| fixed(cx, call, (90, 100))),
    percentile("p95", "Its 95th percentile.", |cx, call| fixed(cx, call, (95, 100))),
    percentile("p99", "Its 99th percentile.", |cx, call| fixed(cx, call, (99, 100))),
    percentile("p999", "Its 99.9th percentile.", |cx, call| fixed(cx, call, (999, 1000))),
    Builtin::function(
        "quantile",
        "@map, part[, whole]",
        (2, 3),
        "The least number that part of whole (100 unless given) of those in a quantiles map are not above, to within 1 %.",
        "interval:s:1 { @ = quantiles(nsecs); print(quantile(@, 9999, 10000)); exit(); }",
        quantile,
    ),
];

const fn percentile(
    name: &'static str,
    doc: &'static str,
    lower: fn(&mut Cx<'_>, &Call<'_>) -> Fallible<Expr>,
) -> Builtin {
    let example =
        "interval:s:1 { @[cpu] = quantiles(nsecs); if (p99(@[0]) > p50(@[0])) { print(p999(@[0])); } exit(); }";
    Builtin::function(name, "@map", (1, 1), doc, example, lower)
}

fn fixed(cx: &mut Cx<'_>, call: &Call<'_>, fraction: (i64, i64)) -> Fallible<Expr> {
    let map = distribution(cx, call)?;
    Ok(found(cx, map, fraction, call.span))
}

fn quantile(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let map = distribution(cx, call)?;
    let part = cx.literal_int(&call.args[1], "quantile() part")?;
    let whole = call.args.get(2).map_or(Ok(100), |whole| cx.literal_int(whole, "quantile() whole"))?;
    if !(0..=whole).contains(&part) || whole > MOST {
        let message = format!("quantile() part must be 0..{whole}, and the whole {MOST} at the most ({part} provided)");
        let hint = "the 99.9th percentile is quantile(@, 999, 1000)";
        return Err(cx.error(Diagnostic::error(call.args[1].span, message).hint(hint)));
    }
    Ok(found(cx, map, (part, whole), call.span))
}

/// Parts of the whole that are told apart at the most; the count times this must not overflow.
const MOST: i64 = 1_000_000;

/// The map that a percentile is asked of, with its key if it has keys.
fn distribution(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<MapArg> {
    let name = call.builtin.name;
    let map = cx.map_arg(&call.args[0], name)?;
    let fault = match (&map.value, &map.key_type, &map.key) {
        (MapValue::Aggregate(Aggregate::Quantiles), Some(_), None) => Diagnostic::error(
            map.span,
            format!("{name}() needs one distribution, and {} has one at each key", map.name),
        )
        .hint(format!("name the key: {name}({}[...])", map.name)),
        (MapValue::Aggregate(Aggregate::Quantiles), ..) if cx.kernel.has(Feature::PerCpuLookup) => return Ok(map),
        (MapValue::Aggregate(Aggregate::Quantiles), ..) => {
            let message = format!("{name}() needs kernel 5.19 or later (bpf_map_lookup_percpu_elem)");
            Diagnostic::error(call.span, message).hint(format!("print({}) works everywhere", map.name))
        }
        (other, ..) => {
            Diagnostic::error(map.span, format!("{name}() expects a map of quantiles(), {} is a '{other}'", map.name))
                .hint(format!("{} = quantiles(...);", map.name))
        }
    };
    Err(cx.error(fault))
}

/// A walk over counts until so many of what was counted are passed.
struct Walk {
    map: MapId,
    key: Option<Expr>,
    rank: Expr,
    /// How many have been passed.
    seen: VarId,
    span: Span,
}

/// One walk over the blocks finds the one that the wanted number lies in, another over its buckets finds the bucket.
fn found(cx: &mut Cx<'_>, of: MapArg, (part, whole): (i64, i64), span: Span) -> Expr {
    let mut block = Block::new();
    let (map, key) = (of.map, of.key.map(|key| cx.named("key", key, &mut block)));
    let merged = |how| Expr::new(ExprKind::Merge { map, key: key.clone(), how }, Type::I64, span);
    let count = cx.named("count", merged(Merge::Sum(2)), &mut block);
    let scaled = binary(BinaryOp::Add, binary(BinaryOp::Mul, count.clone(), part, Type::U64), whole - 1, Type::U64);
    let rank = cx.named("rank", binary(BinaryOp::Div, scaled, whole, Type::U64), &mut block);
    let rank = choice(compared(rank.clone(), CompareOp::Ne, number(0, span)), rank, number(1, span));
    let rank = cx.named("rank", rank, &mut block);
    let seen = variable(cx, "seen", number(0, span), &mut block);
    let walk = Walk { map, key: key.clone(), rank: rank.clone(), seen, span };
    let nearby = walk.until(cx, QUANTILE_BLOCKS_AT, number(0, span), quantile_blocks(), &mut block);
    let first = binary(BinaryOp::Mul, nearby, i64::from(QUANTILE_BLOCK), Type::U64);
    let first = cx.named("first", first, &mut block);
    let bucket = walk.until(cx, QUANTILE_BUCKETS_AT, first, QUANTILE_BLOCK, &mut block);
    let middle = middle(cx, bucket, &mut block);
    let middle = cx.named("middle", middle, &mut block);
    let most = cx.named("greatest", merged(Merge::Max(Sign::Signed)), &mut block);
    let value = choice(compared(middle.clone(), CompareOp::Lt, most.clone()), middle, most.clone());
    // The last one of all is known exactly.
    let value = choice(compared(rank, CompareOp::Ge, count), most, value);
    Expr::new(ExprKind::Seq(block, value), Type::I64, span)
}

impl Walk {
    /// Which of these words, which begin at `start` and are counted from `first`, is the first with which the rank is reached; the
    /// last if none is.
    fn until(&self, cx: &mut Cx<'_>, start: u32, first: Expr, words: u32, block: &mut Block) -> Expr {
        let span = self.span;
        let last = binary(BinaryOp::Add, first.clone(), i64::from(words) - 1, Type::U64);
        let found = variable(cx, "found", last, block);
        let round = cx.fresh("round", Type::I64);
        let mut body = Block::new();
        let at = cx.named("at", sum(first, Expr::new(ExprKind::Var(round), Type::I64, span)), &mut body);
        let index = binary(BinaryOp::Add, at.clone(), i64::from(start), Type::U64);
        let counted = ExprKind::SlotSum { map: self.map, key: self.key.clone(), index };
        let seen = sum(Expr::new(ExprKind::Var(self.seen), Type::U64, span), Expr::new(counted, Type::U64, span));
        let seen = cx.named("passed", seen, &mut body);
        let then = vec![Stmt::new(StmtKind::Set(found, at), span), Stmt::new(StmtKind::Break, span)];
        let cond = compared(seen.clone(), CompareOp::Ge, self.rank.clone());
        body.push(Stmt::new(StmtKind::If { cond, then, otherwise: Vec::new() }, span));
        body.push(Stmt::new(StmtKind::Set(self.seen, seen), span));
        let bound = cx.counter(Cause::LoopBound { limit: words }, span);
        let (from, to) = (Expr::int(0, Type::I64, span), Expr::int(i64::from(words), Type::I64, span));
        block.push(Stmt::new(StmtKind::For { var: round, from, to, body, bound }, span));
        Expr::new(ExprKind::Var(found), Type::U64, span)
    }
}

/// The middle of a bucket; -1 for that of the negative numbers. What is printed is computed likewise.
fn middle(cx: &mut Cx<'_>, bucket: Expr, block: &mut Block) -> Expr {
    let span = bucket.span;
    let bits = i64::from(QUANTILE_BITS);
    let negative = compared(bucket.clone(), CompareOp::Eq, number(0, span));
    let index = cx.named("index", binary(BinaryOp::Sub, bucket, 1, Type::U64), block);
    let power = cx.named("power", binary(BinaryOp::Shr, index.clone(), bits, Type::U64), block);
    let is_exact = compared(power.clone(), CompareOp::Eq, number(0, span));
    let shift = choice(is_exact, number(0, span), binary(BinaryOp::Sub, power, 1, Type::U64));
    let shift = cx.named("shift", shift, block);
    let start = binary(BinaryOp::Shl, shift.clone(), bits, Type::U64);
    let low = joined(BinaryOp::Shl, joined(BinaryOp::Sub, index, start), shift.clone());
    let half = binary(BinaryOp::Shr, joined(BinaryOp::Shl, number(1, span), shift), 1, Type::U64);
    choice(negative, Expr::int(-1, Type::I64, span), sum(low, half))
}

/// A variable that is set further on, too.
fn variable(cx: &mut Cx<'_>, name: &str, value: Expr, block: &mut Block) -> VarId {
    let (var, span) = (cx.fresh(name, Type::U64), value.span);
    block.push(Stmt::new(StmtKind::Set(var, value), span));
    var
}

fn sum(left: Expr, right: Expr) -> Expr {
    joined(BinaryOp::Add, left, right)
}

fn joined(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    let span = left.span;
    Expr::new(ExprKind::Binary { op, sign: Sign::Unsigned, left, right, zero: None }, Type::U64, span)
}

fn compared(left: Expr, op: CompareOp, right: Expr) -> Expr {
    let span = left.span;
    Expr::new(ExprKind::Compare { op, sign: Sign::Signed, left, right }, Type::Bool, span)
}

fn choice(cond: Expr, then: Expr, otherwise: Expr) -> Expr {
    let (ty, span) = (then.ty.clone(), cond.span);
    Expr::new(ExprKind::Cond { cond, then, otherwise }, ty, span)
}
