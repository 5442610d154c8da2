//! The machine: CPUs, random numbers, clock ticks.

use super::Builtin;
use crate::bpf::Helper;
use crate::check::{Call, Cx, Fallible};
use crate::ir::{Expr, ExprKind};
use crate::types::Type;

pub const ROWS: &[Builtin] = &[
    Builtin::value(
        "cpu",
        "Number of the CPU the event happened on.",
        "tracepoint:raw_syscalls:sys_enter { @[cpu] = count(); }",
        cpu,
    ),
    Builtin::value("ncpus", "Number of possible CPUs.", "begin { print(ncpus); }", ncpus),
    Builtin::value("numaid", "Number of the NUMA node the event happened on.", "begin { print(numaid); }", numaid),
    Builtin::value("rand", "A random number of 32 bits.", "begin { print(rand % 6); }", rand),
    Builtin::value("jiffies", "Clock ticks of the kernel since boot.", "begin { print(jiffies); }", jiffies),
];

fn cpu(_: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    Ok(helper(Helper::GET_SMP_PROCESSOR_ID, call))
}

fn ncpus(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    Ok(Expr::int(i64::from(cx.kernel.cpus()), Type::U64, call.span))
}

fn numaid(_: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    Ok(helper(Helper::GET_NUMA_NODE_ID, call))
}

fn rand(_: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    Ok(helper(Helper::GET_PRANDOM_U32, call))
}

fn jiffies(_: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    Ok(helper(Helper::JIFFIES64, call))
}

fn helper(helper: Helper, call: &Call<'_>) -> Expr {
    Expr::new(ExprKind::Call(helper, Vec::new()), Type::U64, call.span)
}
