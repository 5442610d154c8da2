//! `heatmap()`: a logarithmic histogram for each interval of time. Each interval is an entry of its own.

use super::aggregate::{bits, one_more};
use super::tseries::{limit, time};
use super::{Builtin, Lower, Parted, Update, binary};
use crate::check::{Call, Cx, Fallible, Safety};
use crate::ir::{BinaryOp, ExprKind};
use crate::types::{Aggregate, Type};

pub const ROWS: &[Builtin] = &[Builtin {
    name: "heatmap",
    params: "number, interval[, k]",
    arity: (2, 3),
    doc: "A histogram over time: for each interval (in nanoseconds) one by powers of two, each split into 2^k (k from 0 to 5) buckets.",
    example: "tracepoint:syscalls:sys_exit_read { @bytes = heatmap(args.ret, 1s); }",
    safety: Safety::Safe,
    lower: Lower::Aggregation(heatmap),
}];

fn heatmap(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Update> {
    let value = cx.number_arg(call, 0)?;
    let interval = limit(cx, call, 1, "interval_ns")?;
    let bits = bits(cx, call, 2)?;
    let part = binary(BinaryOp::Div, time(cx, call)?, interval, Type::U64);
    let steps = vec![one_more(ExprKind::Log2Bucket { value, bits }, call)];
    let aggregate = Aggregate::Heat { interval: interval as u64, bits };
    Ok(Update { aggregate, steps: Vec::new(), parted: Some(Parted { part, steps }) })
}
