//! The event itself: which probe, what arguments, what result.

use super::{Builtin, process};
use crate::check::{Call, Cx, Fallible, Reported, provider_word};
use crate::diag::Diagnostic;
use crate::ir::{BinaryOp, Expr, ExprKind, UnaryOp};
use crate::probes::{Context, Likeness};
use crate::types::{Space, Type};

macro_rules! argument_rows {
    ($($name:literal $index:literal),*) => {
        [$(Builtin::value(
            $name,
            "An argument of the traced function, by position from 0, as a number.",
            concat!("uprobe:/bin/bash:readline { print(", $name, "); }"),
            |cx, call| argument(cx, call, $index),
        )),*]
    };
}

const ARGUMENTS: [Builtin; 10] = argument_rows!(
    "arg0" 0, "arg1" 1, "arg2" 2, "arg3" 3, "arg4" 4, "arg5" 5, "arg6" 6, "arg7" 7, "arg8" 8, "arg9" 9
);

pub const ROWS: &[Builtin] = &{
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8, a9] = ARGUMENTS;
    [
        Builtin::value(
            "probe",
            "Full name of the attach point that was hit.",
            "tracepoint:syscalls:sys_enter_open* { @[probe] = count(); }",
            probe,
        ),
        Builtin::value(
            "probetype",
            "Kind of the probe that was hit: tracepoint, kprobe, special, ...",
            "begin { print(probetype); }",
            probetype,
        ),
        Builtin::value(
            "func",
            "Name of the traced function.",
            "uprobe:/bin/bash:readline { @[func] = count(); }",
            func,
        ),
        Builtin::value(
            "retval",
            "What the traced function returned.",
            "uretprobe:/bin/bash:readline { print(retval); }",
            retval,
        ),
        Builtin::value(
            "args",
            "The arguments of the event by name, as args.NAME; -lv lists them. By itself, a record of them all.",
            "tracepoint:syscalls:sys_enter_openat { print(args.dfd); }",
            args,
        ),
        Builtin::value(
            "ctx",
            "Pointer to what the kernel hands to the program: struct pt_regs, or struct bpf_perf_event_data.",
            "uprobe:/bin/bash:readline { print(ctx); }",
            ctx,
        ),
        Builtin::value(
            "usermode",
            "1 if the event interrupted user code, 0 if kernel code; 0 at tracepoints and functions of the kernel, 1 in begin and its like.",
            "profile:hz:99 { @[usermode] = count(); }",
            usermode,
        ),
        Builtin::function(
            "reg",
            "\"name\"",
            (1, 1),
            "A register of the interrupted code, such as \"ip\" or \"sp\".",
            "uprobe:/bin/bash:readline { printf(\"%x\\n\", reg(\"sp\")); }",
            reg,
        ),
        a0,
        a1,
        a2,
        a3,
        a4,
        a5,
        a6,
        a7,
        a8,
        a9,
    ]
};

fn probe(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    Ok(cx.target_name(call.span))
}

fn probetype(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    Ok(text(provider_word(cx.probe).as_bytes().to_vec(), call))
}

fn text(text: Vec<u8>, call: &Call<'_>) -> Expr {
    let ty = Type::Str(text.len() as u32 + 1);
    Expr::new(ExprKind::Str(text), ty, call.span)
}

/// Functions of programs go by the names they were attached by: a process may be gone before its addresses have names.
fn func(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    match (&cx.context.function, cx.context.space) {
        (Some(_), Space::User) => return Ok(cx.target_function(call.span)),
        (Some(function), Space::Kernel) => {
            if let Some(address) = cx.kernel.symbol(function) {
                cx.alone();
                return Ok(Expr { ty: Type::KSym, ..Expr::int(address as i64, Type::U64, call.span) });
            }
        }
        (Some(_), Space::Unknown) | (None, _) => {}
    }
    let func = offered(cx, call, |context| context.func.clone(), "'kprobe', 'kretprobe', 'uprobe' and 'uretprobe'")?;
    Ok(if func.ty == Type::USym { process::announced(cx, func) } else { func })
}

fn retval(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    offered(cx, call, |context| context.retval.clone(), "'kretprobe' and 'uretprobe' and 'fentry'")
}

fn argument(cx: &mut Cx<'_>, call: &Call<'_>, index: usize) -> Fallible<Expr> {
    let passes = cx.context.likeness == Likeness::Differing && cx.context.retval.is_none();
    if passes && index >= cx.context.args.len() {
        return Err(too_few(cx, call));
    }
    let value = offered(cx, call, |context| context.args.get(index).cloned(), "'kprobes', 'uprobes' and 'usdt'")?;
    match (&value.ty, &*value.kind) {
        (Type::Void, ExprKind::Str(operand)) => {
            let operand = String::from_utf8_lossy(operand);
            let message = format!("{} of this probe cannot be read by a program: it is {operand}", call.builtin.name);
            Err(cx.error(Diagnostic::error(call.span, message)))
        }
        _ => Ok(value),
    }
}

/// Places in programs pass as many arguments as their authors wanted.
fn too_few(cx: &mut Cx<'_>, call: &Call<'_>) -> Reported {
    let passed = match cx.context.args.len() {
        0 => "no arguments".to_string(),
        1 => "one argument, arg0".to_string(),
        count => format!("{count} arguments, arg0 to arg{}", count - 1),
    };
    let message = format!("{} does not exist: this probe passes {passed}", call.builtin.name);
    cx.error(Diagnostic::error(call.span, message))
}

fn offered(cx: &mut Cx<'_>, call: &Call<'_>, of: impl Fn(&Context) -> Option<Expr>, probes: &str) -> Fallible<Expr> {
    let Some(value) = of(cx.offered()) else {
        let message = format!("The {} builtin can only be used with {probes} probes", call.builtin.name);
        let hint = match cx.probe.name() {
            "tracepoint" | "rawtracepoint" | "fentry" | "fexit" => {
                "this probe names its arguments: args.NAME; rtrace -lv shows them".to_string()
            }
            name => format!("{name} probes have none"),
        };
        return Err(cx.error(Diagnostic::error(call.span, message).hint(hint)));
    };
    Ok(Expr { span: call.span, ..value })
}

fn args(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    // What has no length of its own is known by name only.
    let fields = cx.fields(call.span)?;
    let sized = || fields.iter().filter(|field| field.value.ty.size() > 0);
    let names: Vec<&str> = sized().map(|field| field.name.as_str()).collect();
    let values = sized().map(|field| Expr { span: call.span, ..field.value.clone() }).collect();
    Ok(crate::check::record(&names, values, call.span))
}

fn ctx(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let Some(name) = &cx.context.ctx else {
        let message = match cx.probe.name() {
            "tracepoint" => "Use args instead of ctx in tracepoint".to_string(),
            name => format!("The ctx builtin can not be used with '{name}' probes"),
        };
        return Err(cx.error(Diagnostic::error(call.span, message)));
    };
    let known = cx.kernel.btf().and_then(|btf| btf.struct_named(name));
    let ty = Type::pointer(known.map_or(Type::Void, Type::Struct), Space::Kernel);
    Ok(Expr::new(ExprKind::Ctx, ty, call.span))
}

fn usermode(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    // Without registers nothing was interrupted: the kernel calls the program at a place of its own, or has rtrace run it.
    if cx.context.registers.is_empty() {
        return Ok(Expr::int(i64::from(cx.runs_for_itself()), Type::U8, call.span));
    }
    let segment =
        offered(cx, call, |context| context.code_segment.clone(), "'profile', 'interval', 'kprobe' and 'uprobe'")?;
    // The low two bits of the code segment are the privilege level: 3 is user mode.
    let ring = super::binary(BinaryOp::And, segment, 3, Type::U64);
    let kernel = Expr::new(ExprKind::Unary(UnaryOp::Not, ring), Type::Bool, call.span);
    Ok(Expr::new(ExprKind::Unary(UnaryOp::Not, kernel), Type::U8, call.span))
}

fn reg(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let name = cx.literal_str(&call.args[0], "reg()")?;
    let name = String::from_utf8_lossy(&name).into_owned();
    let registers = cx.context.registers;
    if registers.is_empty() {
        let message = format!("reg can not be used with \"{}\" probes", cx.probe.name());
        let hint = "registers are known where code was interrupted, as by kprobe, uprobe or profile";
        return Err(cx.error(Diagnostic::error(call.span, message).hint(hint)));
    }
    match registers.iter().find(|(known, _)| *known == name) {
        Some((_, offset)) => Ok(Expr::new(ExprKind::CtxLoad { offset: *offset }, Type::U64, call.span)),
        None => {
            let known: Vec<&str> = registers.iter().map(|(name, _)| *name).collect();
            let diagnostic = Diagnostic::error(
                call.args[0].span,
                format!("'{name}' is not a valid register on this architecture ({})", std::env::consts::ARCH),
            );
            Err(cx.error(diagnostic.hint(format!("the registers are: {}", known.join(" ")))))
        }
    }
}
