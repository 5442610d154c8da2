//! Numbers that are shown by name. Only the number is kept in the kernel; the name is looked up when it is shown.

use super::Builtin;
use crate::bpf::Helper;
use crate::check::{Call, Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{BinaryOp, CompareOp, Expr, ExprKind, Stmt, StmtKind};
use crate::types::{Naming, Sign, Type};
use crate::{errno, signal};

pub const ROWS: &[Builtin] = &[
    Builtin::value(
        "username",
        "Name of the user the current process belongs to.",
        "tracepoint:raw_syscalls:sys_enter { @[username] = count(); }",
        username,
    ),
    Builtin::function(
        "syscall_name",
        "number",
        (1, 1),
        "Name of a system call of this architecture.",
        "tracepoint:raw_syscalls:sys_enter { @[syscall_name(args.id)] = count(); }",
        |cx, call| named(cx, call, Naming::SystemCall),
    ),
    Builtin::function(
        "signal_name",
        "number",
        (1, 1),
        "What a signal means, in the words of strsignal(3).",
        "begin { print(signal_name(9)); }",
        |cx, call| named(cx, call, Naming::Signal),
    ),
    Builtin::function(
        "strerror",
        "number",
        (1, 1),
        "What an error number means, negative or not, in the words of strerror(3).",
        "tracepoint:syscalls:sys_exit_openat /args.ret < 0/ { @[strerror(args.ret)] = count(); }",
        strerror,
    ),
    Builtin::function(
        "cgroup_path",
        "id[, \"hierarchy\"]",
        (1, 2),
        "Path of a cgroup in each hierarchy that has it; a pattern selects hierarchies (version 2 is called unified).",
        "tracepoint:raw_syscalls:sys_enter { @[cgroup_path(cgroup)] = count(); }",
        cgroup_path,
    ),
    Builtin::function(
        "cgroupid",
        "\"path\"",
        (1, 1),
        "Id of the cgroup (version 2) with this folder, looked up when the program is compiled.",
        "tracepoint:raw_syscalls:sys_enter /cgroup == cgroupid(\"/sys/fs/cgroup/unified\")/ { @ = count(); }",
        cgroupid,
    ),
];

/// The number with this name, where names are fixed; a comparison with a literal name is one with it.
pub fn number_of(naming: &Naming, name: &[u8]) -> Option<i64> {
    match naming {
        Naming::SystemCall => {
            let name = std::str::from_utf8(name).ok()?;
            syscalls::Sysno::iter().find(|call| call.name() == name).map(|call| i64::from(call.id()))
        }
        Naming::Error => (0..=LAST_ERROR).find(|number| errno::describe(*number).as_bytes() == name),
        Naming::Signal => (1..=signal::LAST).find(|number| signal::describe(*number).as_bytes() == name),
        Naming::User | Naming::Cgroup(_) => None,
    }
}

/// The name itself as a text, where names are fixed: looked up among all that there are. A number without a name gives an empty one.
pub fn as_text(cx: &mut Cx<'_>, value: Expr) -> Expr {
    let rows: Vec<(u32, String)> = match &value.ty {
        Type::Named(Naming::SystemCall) => {
            syscalls::Sysno::iter().map(|call| (call.id() as u32, call.name().to_string())).collect()
        }
        Type::Named(Naming::Error) => (0..=LAST_ERROR).map(|number| (number as u32, errno::describe(number))).collect(),
        Type::Named(Naming::Signal) => {
            (1..=signal::LAST).map(|number| (number as u32, signal::describe(number))).collect()
        }
        _ => return value,
    };
    let rows = rows.into_iter().map(|(number, name)| (number, name.into_bytes())).collect();
    cx.text_at(value, rows, NAME)
}

/// Bytes of the longest name, with its NUL.
const NAME: u32 = 64;

/// The last number that an error has (`EHWPOISON`).
const LAST_ERROR: i64 = 133;

fn username(_: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let both = Expr::new(ExprKind::Call(Helper::GET_CURRENT_UID_GID, Vec::new()), Type::U64, call.span);
    Ok(super::binary(BinaryOp::And, both, 0xffff_ffff, Type::Named(Naming::User)))
}

/// These numbers are C's `int`.
fn named(cx: &mut Cx<'_>, call: &Call<'_>, naming: Naming) -> Fallible<Expr> {
    let number = cx.number_arg(call, 0)?;
    let number = Expr::new(ExprKind::Convert(number), Type::I32, call.span);
    Ok(Expr::new(ExprKind::Convert(number), Type::Named(naming), call.span))
}

/// What a call returned is often passed as it is: negative.
fn strerror(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let given = cx.number_arg(call, 0)?;
    if let ExprKind::Int(number) = *given.kind {
        let number = Expr::int(i64::from(number as i32).abs(), Type::I32, call.span);
        return Ok(Expr::new(ExprKind::Convert(number), Type::Named(Naming::Error), call.span));
    }
    let given = Expr::new(ExprKind::Convert(given), Type::I32, call.span);
    let variable = cx.fresh("error", Type::I32);
    let number = Expr::new(ExprKind::Var(variable), Type::I32, call.span);
    let none = Expr::int(0, Type::I32, call.span);
    let magnitude = ExprKind::Cond {
        cond: Expr::compare(CompareOp::Lt, Sign::Signed, number.clone(), none),
        then: super::binary(BinaryOp::Mul, number.clone(), -1, Type::I32),
        otherwise: number,
    };
    let magnitude = Expr::new(magnitude, Type::I32, call.span);
    let named = Expr::new(ExprKind::Convert(magnitude), Type::Named(Naming::Error), call.span);
    let set = Stmt::new(StmtKind::Set(variable, given), call.span);
    Ok(Expr::new(ExprKind::Seq(vec![set], named), Type::Named(Naming::Error), call.span))
}

fn cgroup_path(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let id = cx.number_arg(call, 0)?;
    let pattern = match call.args.get(1) {
        Some(pattern) => String::from_utf8_lossy(&cx.literal_str(pattern, "cgroup_path()")?).into(),
        None => "".into(),
    };
    Ok(Expr::new(ExprKind::Convert(id), Type::Named(Naming::Cgroup(pattern)), call.span))
}

fn cgroupid(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let path = cx.literal_str(&call.args[0], "cgroupid()")?;
    let path = String::from_utf8_lossy(&path).into_owned();
    match cx.kernel.cgroup(&path) {
        Ok(id) => Ok(Expr::int(id as i64, Type::U64, call.span)),
        Err(error) => {
            let message = format!("Failed to get `cgroupid` for path: \"{path}\": {}", error.message);
            Err(cx.error(
                Diagnostic::error(call.args[0].span, message)
                    .hint("name a folder within the mounted cgroup filesystem"),
            ))
        }
    }
}
