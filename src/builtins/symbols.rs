//! Addresses and the names of what lies there.

use super::{Builtin, process};
use crate::btf::Kind;
use crate::check::{Call, Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::kernel::is_grafted;
use crate::plan::Attach;
use crate::types::{Space, Type};

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "ksym",
        "address",
        (1, 1),
        "Name of the kernel function or variable at an address.",
        "begin { print(ksym(kaddr(\"schedule\"))); }",
        ksym,
    ),
    Builtin::function(
        "usym",
        "address",
        (1, 1),
        "Name of the function at an address in the current process.",
        "uprobe:/bin/bash:readline { print(usym(reg(\"ip\"))); }",
        usym,
    ),
    Builtin::function(
        "kaddr",
        "\"name\"",
        (1, 1),
        "Address of a kernel symbol.",
        "begin { printf(\"%x\\n\", kaddr(\"schedule\")); }",
        kaddr,
    ),
    Builtin::function(
        "percpu_kaddr",
        "\"name\"[, cpu]",
        (1, 2),
        "Address of this CPU's copy of a per-CPU variable of the kernel, or of that of the CPU given (0 if there is no such CPU).",
        "begin { print(*percpu_kaddr(\"process_counts\")); }",
        percpu_kaddr,
    ),
    Builtin::function(
        "uaddr",
        "\"name\"",
        (1, 1),
        "Address of a function of the traced program, as its file has it.",
        "uprobe:/bin/bash:readline { printf(\"%x\\n\", uaddr(\"readline\")); }",
        uaddr,
    ),
];

fn ksym(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let address = cx.number_arg(call, 0)?;
    Ok(Expr::new(ExprKind::Convert(address), Type::KSym, call.span))
}

fn usym(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let address = cx.number_arg(call, 0)?;
    let address = Expr::new(ExprKind::Convert(address), Type::U64, call.span);
    let process = Expr::new(ExprKind::Convert(process::process(cx, call.span)), Type::U64, call.span);
    let symbol = Expr::new(ExprKind::Compose(vec![(0, address), (8, process)]), Type::USym, call.span);
    Ok(process::announced(cx, symbol))
}

fn kaddr(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let name = cx.literal_str(&call.args[0], "kaddr()")?;
    let name = String::from_utf8_lossy(&name).into_owned();
    match cx.kernel.symbol(&name) {
        Some(address) => Ok(Expr::int(address as i64, Type::U64, call.span)),
        None => {
            let problem = Diagnostic::error(call.args[0].span, format!("Failed to resolve kernel symbol: {name}"));
            let hint =
                "the kernel's symbols are those in /proc/kallsyms, and those of the image that RTRACE_VMLINUX names";
            Err(cx.error(problem.hint(hint)))
        }
    }
}

fn percpu_kaddr(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let name = cx.literal_str(&call.args[0], "percpu_kaddr()")?;
    let name = String::from_utf8_lossy(&name).into_owned();
    let cpu = call.args.get(1).map(|_| cx.number_arg(call, 1)).transpose()?;
    let of_kernel = cx.kernel.types_are_its_own();
    let found = cx.kernel.btf().filter(|_| of_kernel).and_then(|btf| btf.find(&name, Kind::Var));
    // The verifier looks for a number among the kernel's own types.
    let Some(var) = found.filter(|var| !is_grafted(cx.kernel, *var)) else {
        let message = format!("Could not resolve variable \"{name}\" from BTF");
        let hint = "the kernel's types tell of per-CPU variables only; of others, kaddr() gives the address";
        return Err(cx.error(Diagnostic::error(call.args[0].span, message).hint(hint)));
    };
    let address = ExprKind::PerCpuAddress { var: var.0, cpu };
    Ok(Expr::new(address, Type::pointer(Type::U64, Space::Kernel), call.span))
}

fn uaddr(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let name = cx.literal_str(&call.args[0], "uaddr()")?;
    let name = String::from_utf8_lossy(&name).into_owned();
    let Attach::Uprobe { path, .. } = cx.target_attach().clone() else {
        let message = format!("uaddr can not be used with \"{}\" probes", cx.probe.name());
        return Err(cx.error(
            Diagnostic::error(call.span, message).hint("it needs a uprobe or uretprobe, whose program it looks in"),
        ));
    };
    let found = cx.kernel.binary(&path).ok().and_then(|binary| {
        binary.functions.iter().find(|function| function.name == name).map(|function| function.offset)
    });
    match found {
        Some(offset) => Ok(Expr::int(offset as i64, Type::pointer(Type::U64, Space::User), call.span)),
        None => {
            let message = format!("Could not resolve symbol: {path}:{name}");
            Err(cx.error(Diagnostic::error(call.args[0].span, message)))
        }
    }
}
