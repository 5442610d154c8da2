//! What decides how the run goes on: its end, its own checks.

use super::{Builtin, output};
use crate::check::{Call, Cx, Emit, Fallible};
use crate::diag::{Diagnostic, Severity};
use crate::error::Result;
use crate::format;
use crate::ir::{Expr, ExprKind, Stmt, StmtKind, UnaryOp};
use crate::plan::{Action, Host};
use crate::report::text::plain;
use crate::report::{Excerpt, Message};
use crate::types::Type;
use crate::value::Value;

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "exit",
        "[code]",
        (0, 1),
        "Ends tracing; end probes still run and maps are printed.",
        "interval:s:5 { exit(); }",
        exit,
    ),
    Builtin::function(
        "assert",
        "condition, message",
        (2, 2),
        "Ends the run with an error and exit code 1 unless the condition holds.",
        "begin { assert(ncpus > 0, \"there is a CPU\"); }",
        assert,
    ),
    Builtin::function(
        "static_assert",
        "condition, \"message\"",
        (2, 2),
        "A fault of the program unless the condition, a constant, holds.",
        "begin { static_assert(sizeof(uint64) == 8, \"eight bytes\"); }",
        static_assert,
    ),
    Builtin::function(
        "fail",
        "\"format\"[, literal...]",
        (1, 129),
        "A fault of the program, in words of its own, wherever this is part of it.",
        "begin { static_assert(is_integer(pid), \"else this would fail(\\\"...\\\")\"); }",
        fail,
    ),
];

fn exit(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    if cx.in_loop() {
        let diagnostic = Diagnostic::error(
            call.span,
            "'return' statement is not allowed in a for-loop, and exit() is one: it returns from the probe",
        );
        return Err(cx.error(diagnostic.hint("set a variable in the loop, and call exit() after it")));
    }
    let code = match call.args.first() {
        Some(_) => cx.number_arg(call, 0)?,
        None => Expr::int(0, Type::I64, call.span),
    };
    let code = Expr::new(ExprKind::Convert(code), Type::I64, call.span);
    let send = cx.emit_control(Emit { name: "exit", act: end, format: None, map: None, span: call.span }, vec![code]);
    let leave = cx.leave(call.span);
    Ok(Expr::effect(vec![send, leave], call.span))
}

fn end(_: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    if let [Value::Int(code)] = values {
        host.exit(*code);
    }
    Ok(())
}

fn assert(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let (holds, message) = (cx.condition(&call.args[0]), cx.expr(&call.args[1]));
    let (holds, message) = (holds?, message?);
    let send = cx.emit(Emit { name: "assert", act: refuse, format: None, map: None, span: call.span }, vec![message]);
    let then = vec![send, cx.leave(call.span)];
    let cond = Expr::new(ExprKind::Unary(UnaryOp::Not, holds), Type::Bool, call.span);
    let check = StmtKind::If { cond, then, otherwise: Vec::new() };
    Ok(Expr::effect(vec![Stmt::new(check, call.span)], call.span))
}

fn refuse(action: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    let words: Vec<u8> = values.iter().flat_map(|value| plain(value, host.config())).collect();
    let text = format!("assert failed: {}", String::from_utf8_lossy(&words));
    let place = host.place(action.span);
    let (severity, kind, source) = (Severity::Error, "errorf", Excerpt::Shown);
    let message = Message { severity, kind, text: &text, place: place.as_ref(), source, helper: None };
    host.sink().message(&message)?;
    host.fail();
    Ok(())
}

fn static_assert(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let holds = cx.condition(&call.args[0])?;
    let message = cx.literal_str(&call.args[1], "static_assert()")?;
    match *holds.kind {
        ExprKind::Int(0) => Err(cx.error(Diagnostic::error(call.span, String::from_utf8_lossy(&message)))),
        ExprKind::Int(_) => Ok(Expr::effect(Vec::new(), call.span)),
        _ => {
            let diagnostic = Diagnostic::error(call.args[0].span, "Unable to resolve comptime expression");
            Err(cx.error(diagnostic.hint("this is not known before the program runs: use assert(condition, message)")))
        }
    }
}

fn fail(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let (format, values) = output::template(cx, call)?;
    let literals: Option<Vec<Value>> = values.iter().map(literal).collect();
    let Some(literals) = literals else {
        return Err(cx.error(Diagnostic::error(call.span, "fail() arguments need to be literals")));
    };
    let text = format::render(&format, &literals, cx.config);
    Err(cx.error(Diagnostic::error(call.span, String::from_utf8_lossy(&text))))
}

fn literal(value: &Expr) -> Option<Value> {
    match (&*value.kind, &value.ty) {
        (ExprKind::Int(number), Type::Bool) => Some(Value::Bool(*number != 0)),
        (ExprKind::Int(number), Type::Int(_)) => Some(Value::Int(*number)),
        (ExprKind::Str(text), _) => Some(Value::Str { text: text.clone(), cut: false }),
        _ => None,
    }
}
