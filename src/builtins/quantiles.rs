//! Percentiles of what `quantiles()` has collected, computed in the kernel over all CPUs.

use super::{Builtin, binary, number};
use crate::check::{Call, Cx, Fallible, MapArg, part_key};
use crate::diag::Diagnostic;
use crate::ir::{BinaryOp, Block, CompareOp, Expr, ExprKind, Merge, Stmt, StmtKind, VarId};
use crate::kernel::Feature;
use crate::plan::{Cause, MapId};
use crate::source::Span;
use crate::types::{
    Aggregate, MapValue, QUANTILE_BITS, QUANTILE_BLOCK, QUANTILE_BLOCKS_AT, QUANTILE_BUCKETS_AT, QUANTILE_PART_AT,
    Sign, Type, quantile_blocks,
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

/// The distribution that is looked at.
#[derive(Clone)]
struct Distribution {
    map: MapId,
    key: Option<Expr>,
    layout: Layout,
    span: Span,
}

/// Where its counts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// In one slot of each CPU.
    Whole,
    /// Each block in an entry of its own.
    Parted,
}

/// Counts that can be walked over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Blocks,
    Buckets,
}

/// A walk over counts until so many of what was counted are passed.
struct Walk {
    of: Distribution,
    rank: Expr,
    /// How many have been passed.
    seen: VarId,
}

impl Distribution {
    /// One of the counts.
    fn counted(&self, counts: Counts, at: Expr) -> Expr {
        let block = i64::from(QUANTILE_BLOCK);
        let word = |at, start: u32| binary(BinaryOp::Add, at, i64::from(start), Type::U64);
        let (key, index) = match (self.layout, counts) {
            (Layout::Whole, Counts::Blocks) => (self.key.clone(), word(at, QUANTILE_BLOCKS_AT)),
            (Layout::Whole, Counts::Buckets) => (self.key.clone(), word(at, QUANTILE_BUCKETS_AT)),
            (Layout::Parted, Counts::Blocks) => (self.part(at), number(2, self.span)),
            (Layout::Parted, Counts::Buckets) => {
                let part = binary(BinaryOp::Div, at.clone(), block, Type::U64);
                (self.part(part), word(binary(BinaryOp::Mod, at, block, Type::U64), QUANTILE_PART_AT))
            }
        };
        Expr::new(ExprKind::SlotSum { map: self.map, key, index }, Type::U64, self.span)
    }

    fn part(&self, part: Expr) -> Option<Expr> {
        Some(part_key(self.key.clone(), part))
    }

    /// How many numbers there are, and the greatest. Where each block has its own, the last one's counts.
    fn extent(&self, cx: &mut Cx<'_>, block: &mut Block) -> (Expr, Expr) {
        let merged = |key, how| Expr::new(ExprKind::Merge { map: self.map, key, how }, Type::I64, self.span);
        let greatest = Merge::Max(Sign::Signed);
        if self.layout == Layout::Whole {
            let count = cx.named("count", merged(self.key.clone(), Merge::Sum(2)), block);
            return (count, merged(self.key.clone(), greatest));
        }
        let span = self.span;
        let [count, last] = ["count", "last"].map(|name| variable(cx, name, number(0, span), block));
        let read = |var| Expr::new(ExprKind::Var(var), Type::U64, span);
        each(cx, quantile_blocks(), span, block, |cx, round, body| {
            let more = cx.named("more", self.counted(Counts::Blocks, round.clone()), body);
            let then = vec![
                Stmt::new(StmtKind::Set(count, sum(read(count), more.clone())), span),
                Stmt::new(StmtKind::Set(last, round), span),
            ];
            let cond = compared(more, CompareOp::Ne, number(0, span));
            body.push(Stmt::new(StmtKind::If { cond, then, otherwise: Vec::new() }, span));
        });
        (read(count), merged(self.part(read(last)), greatest))
    }
}

/// One walk over the blocks finds the one that the wanted number lies in, another over its buckets finds the bucket.
fn found(cx: &mut Cx<'_>, of: MapArg, (part, whole): (i64, i64), span: Span) -> Expr {
    let mut block = Block::new();
    let layout = if cx.plan().maps[of.map].is_parted() { Layout::Parted } else { Layout::Whole };
    let key = of.key.map(|key| cx.named("key", key, &mut block));
    let of = Distribution { map: of.map, key, layout, span };
    let (count, greatest) = of.extent(cx, &mut block);
    let scaled = binary(BinaryOp::Add, binary(BinaryOp::Mul, count.clone(), part, Type::U64), whole - 1, Type::U64);
    let rank = cx.named("rank", binary(BinaryOp::Div, scaled, whole, Type::U64), &mut block);
    let rank = choice(compared(rank.clone(), CompareOp::Ne, number(0, span)), rank, number(1, span));
    let rank = cx.named("rank", rank, &mut block);
    let seen = variable(cx, "seen", number(0, span), &mut block);
    let walk = Walk { of, rank: rank.clone(), seen };
    let nearby = walk.until(cx, Counts::Blocks, number(0, span), quantile_blocks(), &mut block);
    let first = binary(BinaryOp::Mul, nearby, i64::from(QUANTILE_BLOCK), Type::U64);
    let first = cx.named("first", first, &mut block);
    let bucket = walk.until(cx, Counts::Buckets, first, QUANTILE_BLOCK, &mut block);
    let middle = middle(cx, bucket, &mut block);
    let middle = cx.named("middle", middle, &mut block);
    let most = cx.named("greatest", greatest, &mut block);
    let value = choice(compared(middle.clone(), CompareOp::Lt, most.clone()), middle, most.clone());
    // The last one of all is known exactly.
    let value = choice(compared(rank, CompareOp::Ge, count), most, value);
    Expr::new(ExprKind::Seq(block, value), Type::I64, span)
}

impl Walk {
    /// Which of so many counts from `first` on is the first with which the rank is reached; the last if none is.
    fn until(&self, cx: &mut Cx<'_>, counts: Counts, first: Expr, many: u32, block: &mut Block) -> Expr {
        let span = self.of.span;
        let last = binary(BinaryOp::Add, first.clone(), i64::from(many) - 1, Type::U64);
        let found = variable(cx, "found", last, block);
        each(cx, many, span, block, |cx, round, body| {
            let at = cx.named("at", sum(first, round), body);
            let counted = self.of.counted(counts, at.clone());
            let seen = sum(Expr::new(ExprKind::Var(self.seen), Type::U64, span), counted);
            let seen = cx.named("passed", seen, body);
            let then = vec![Stmt::new(StmtKind::Set(found, at), span), Stmt::new(StmtKind::Break, span)];
            let cond = compared(seen.clone(), CompareOp::Ge, self.rank.clone());
            body.push(Stmt::new(StmtKind::If { cond, then, otherwise: Vec::new() }, span));
            body.push(Stmt::new(StmtKind::Set(self.seen, seen), span));
        });
        Expr::new(ExprKind::Var(found), Type::U64, span)
    }
}

/// A loop of so many rounds, whose body is made with the number of the round.
pub(super) fn each(
    cx: &mut Cx<'_>,
    rounds: u32,
    span: Span,
    block: &mut Block,
    make: impl FnOnce(&mut Cx<'_>, Expr, &mut Block),
) {
    let round = cx.fresh("round", Type::I64);
    let mut body = Block::new();
    make(cx, Expr::new(ExprKind::Var(round), Type::I64, span), &mut body);
    let bound = cx.counter(Cause::LoopBound { limit: rounds }, span);
    let (from, to) = (Expr::int(0, Type::I64, span), Expr::int(i64::from(rounds), Type::I64, span));
    block.push(Stmt::new(StmtKind::For { var: round, from, to, body, bound }, span));
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
    let shifted = |value| Expr::binary(BinaryOp::Shl, value, shift.clone(), Type::U64);
    let low = shifted(Expr::binary(BinaryOp::Sub, index, start, Type::U64));
    let half = binary(BinaryOp::Shr, shifted(number(1, span)), 1, Type::U64);
    choice(negative, Expr::int(-1, Type::I64, span), sum(low, half))
}

/// A variable that is set further on, too.
pub(super) fn variable(cx: &mut Cx<'_>, name: &str, value: Expr, block: &mut Block) -> VarId {
    let (var, span) = (cx.fresh(name, Type::U64), value.span);
    block.push(Stmt::new(StmtKind::Set(var, value), span));
    var
}

fn sum(left: Expr, right: Expr) -> Expr {
    Expr::binary(BinaryOp::Add, left, right, Type::U64)
}

fn compared(left: Expr, op: CompareOp, right: Expr) -> Expr {
    Expr::compare(op, Sign::Signed, left, right)
}

fn choice(cond: Expr, then: Expr, otherwise: Expr) -> Expr {
    let (ty, span) = (then.ty.clone(), cond.span);
    Expr::new(ExprKind::Cond { cond, then, otherwise }, ty, span)
}
