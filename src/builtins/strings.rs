//! Comparing and searching text.

use super::Builtin;
use crate::check::{Call, Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::types::Type;

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "strncmp",
        "text, text, length",
        (3, 3),
        "0 if the first length characters are equal, else 1.",
        "tracepoint:raw_syscalls:sys_enter /strncmp(comm, \"ba\", 2) == 0/ { @[comm] = count(); }",
        strncmp,
    ),
    Builtin::function(
        "strcontains",
        "text, part",
        (2, 2),
        "Whether a text contains another.",
        "tracepoint:raw_syscalls:sys_enter /strcontains(comm, \"sh\")/ { @[comm] = count(); }",
        strcontains,
    ),
    Builtin::function(
        "strlen",
        "text",
        (1, 1),
        "Length of a text in bytes.",
        "tracepoint:raw_syscalls:sys_enter { @ = hist(strlen(comm)); }",
        strlen,
    ),
];

fn strncmp(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let (left, right) = (text(cx, call, 0)?, text(cx, call, 1)?);
    let len = cx.literal_int(&call.args[2], "strncmp() length")?;
    if len < 0 {
        return Err(cx.error(Diagnostic::error(call.args[2].span, "Builtin strncmp requires a non-negative size")));
    }
    let kind = ExprKind::StrCompare { left, right, len: Some(len.min(i64::from(u32::MAX)) as u32) };
    Ok(Expr::new(kind, Type::U64, call.span))
}

fn strcontains(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let (hay, needle) = (text(cx, call, 0)?, text(cx, call, 1)?);
    Ok(Expr::new(ExprKind::StrContains { hay, needle }, Type::Bool, call.span))
}

fn strlen(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let text = text(cx, call, 0)?;
    if let ExprKind::Str(text) = &*text.kind {
        return Ok(super::number(text.len() as i64, call.span));
    }
    Ok(Expr::new(ExprKind::StrLen(text), Type::U64, call.span))
}

fn text(cx: &mut Cx<'_>, call: &Call<'_>, index: usize) -> Fallible<Expr> {
    let value = cx.expr(&call.args[index])?;
    if matches!(value.ty, Type::Str(_)) {
        return Ok(value);
    }
    let message = format!("{}() expects a string argument ({} provided)", call.builtin.name, value.ty);
    Err(cx.error(Diagnostic::error(value.span, message).hint("text at an address is read with str(address)")))
}
