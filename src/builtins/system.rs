//! The machine: CPUs, random numbers, clock ticks, the names of its system calls.

use std::sync::{Arc, LazyLock};

use super::Builtin;
use crate::bpf::Helper;
use crate::check::{Call, Cx, Fallible};
use crate::ir::{Expr, ExprKind};
use crate::types::{EnumType, Sign, Type};

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
    Builtin::function(
        "syscall_name",
        "number",
        (1, 1),
        "Name of a system call of this architecture.",
        "tracepoint:raw_syscalls:sys_enter { @[syscall_name(args.id)] = count(); }",
        syscall_name,
    ),
];

/// A number that is shown by its name: nothing but the number is kept in the kernel.
static SYSCALLS: LazyLock<Arc<EnumType>> = LazyLock::new(|| {
    let variants = syscalls::Sysno::iter().map(|call| (call.name().to_string(), call.id() as i64)).collect();
    Arc::new(EnumType { name: "syscall".to_string(), size: 4, sign: Sign::Signed, variants })
});

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

fn syscall_name(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let number = cx.scalar(&call.args[0])?;
    Ok(Expr::new(ExprKind::Convert(number), Type::Enum(SYSCALLS.clone()), call.span))
}

fn helper(helper: Helper, call: &Call<'_>) -> Expr {
    Expr::new(ExprKind::Call(helper, Vec::new()), Type::U64, call.span)
}
