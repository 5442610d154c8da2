//! Comparing and searching text.

use super::Builtin;
use crate::check::{Call, Cx, Fallible, kind_of};
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
    Builtin::function(
        "strstr",
        "text, part",
        (2, 2),
        "Where a text first contains another, counted from 0; -1 if it does not.",
        "tracepoint:raw_syscalls:sys_enter { @[strstr(comm, \"sh\")] = count(); }",
        strstr,
    ),
    Builtin::function(
        "str_concat",
        "text, text",
        (2, 2),
        "One text after the other, at most max_strlen bytes.",
        "tracepoint:raw_syscalls:sys_enter { @[str_concat(comm, \"!\")] = count(); }",
        str_concat,
    ),
    Builtin::function(
        "strcap",
        "text",
        (1, 1),
        "How many bytes a text can have, its NUL included.",
        "begin { print(strcap(comm)); }",
        strcap,
    ),
    Builtin::function(
        "memcmp",
        "value, value, length",
        (3, 3),
        "-1, 0 or 1: the order of two texts, arrays or pieces of memory by their first bytes.",
        "tracepoint:raw_syscalls:sys_enter /memcmp(comm, \"ba\", 2) == 0/ { @ = count(); }",
        memcmp,
    ),
];

/// Bytes that memcmp() compares at the most, one after the other.
const COMPARED: i64 = 512;

fn strncmp(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let (left, right) = (text(cx, call, 0)?, text(cx, call, 1)?);
    let len = match cx.expr(&call.args[2])?.kind.as_ref() {
        ExprKind::Int(len @ 0..) => (*len).min(i64::from(u32::MAX)) as u32,
        _ => {
            let message = "Builtin strncmp requires a non-negative literal";
            return Err(cx.error(Diagnostic::error(call.args[2].span, message)));
        }
    };
    let kind = ExprKind::StrCompare { left, right, len: Some(len) };
    Ok(Expr::new(kind, Type::U64, call.span))
}

fn strcontains(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let (hay, needle) = (text(cx, call, 0)?, text(cx, call, 1)?);
    if let Some(place) = place_in(&hay, &needle) {
        return Ok(Expr::int(i64::from(place >= 0), Type::Bool, call.span));
    }
    Ok(Expr::new(ExprKind::StrContains { hay, needle }, Type::Bool, call.span))
}

fn strstr(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let (hay, needle) = (text(cx, call, 0)?, text(cx, call, 1)?);
    if let Some(place) = place_in(&hay, &needle) {
        return Ok(Expr::int(place, Type::I32, call.span));
    }
    Ok(Expr::new(ExprKind::StrFind { hay, needle }, Type::I32, call.span))
}

/// Where one literal is in another, or -1.
fn place_in(hay: &Expr, needle: &Expr) -> Option<i64> {
    let (ExprKind::Str(hay), ExprKind::Str(needle)) = (&*hay.kind, &*needle.kind) else { return None };
    Some(memchr::memmem::find(hay, needle).map_or(-1, |place| place as i64))
}

fn str_concat(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let (left, right) = (text(cx, call, 0)?, text(cx, call, 1)?);
    let size = (left.ty.size() + right.ty.size() - 1).min(cx.config.max_strlen as u32 + 1);
    if let (ExprKind::Str(left), ExprKind::Str(right)) = (&*left.kind, &*right.kind) {
        let mut both = [&left[..], right].concat();
        both.truncate(size as usize - 1);
        return Ok(Expr::new(ExprKind::Str(both), Type::Str(size), call.span));
    }
    Ok(Expr::new(ExprKind::StrConcat(left, right), Type::Str(size), call.span))
}

fn strlen(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let text = text(cx, call, 0)?;
    if let ExprKind::Str(text) = &*text.kind {
        return Ok(super::number(text.len() as i64, call.span));
    }
    Ok(Expr::new(ExprKind::StrLen(text), Type::U64, call.span))
}

fn strcap(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let text = text(cx, call, 0)?;
    Ok(super::number(i64::from(text.ty.size()), call.span))
}

fn memcmp(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let len = cx.literal_int(&call.args[2], "memcmp() length")?;
    if !(1..=COMPARED).contains(&len) {
        let message = format!("memcmp() length must be between 1 and {COMPARED} ({len} provided)");
        return Err(cx.error(Diagnostic::error(call.args[2].span, message)));
    }
    let (left, right) = (memory(cx, call, 0, len as u32)?, memory(cx, call, 1, len as u32)?);
    Ok(Expr::new(ExprKind::MemCompare { left, right, len: len as u32 }, Type::I32, call.span))
}

/// A value of at least so many bytes in memory; what a pointer leads to is read.
fn memory(cx: &mut Cx<'_>, call: &Call<'_>, index: usize, len: u32) -> Fallible<Expr> {
    let value = cx.expr(&call.args[index])?;
    let value = super::as_text(cx, value);
    match &value.ty {
        Type::Ptr(..) => {
            let ty = Type::Array(Box::new(Type::U8), len);
            Ok(Expr::new(ExprKind::Load { addr: value, offset: 0 }, ty, call.span))
        }
        Type::Str(size) if *size < len => {
            Ok(Expr { kind: Box::new(ExprKind::Resize(value)), ty: Type::Str(len), span: call.span })
        }
        ty if !ty.is_scalar() && ty.size() >= len => Ok(value),
        ty => {
            let message =
                format!("memcmp() expects text, an array or a pointer of at least {len} bytes ({ty} provided)");
            Err(cx.error(Diagnostic::error(value.span, message)))
        }
    }
}

/// Text as it is, or as it is read from where a pointer leads.
fn text(cx: &mut Cx<'_>, call: &Call<'_>, index: usize) -> Fallible<Expr> {
    let value = cx.expr(&call.args[index])?;
    let value = super::as_text(cx, value);
    match &value.ty {
        Type::Str(_) => Ok(value),
        Type::Ptr(..) => {
            let size = cx.config.max_strlen as u32;
            Ok(Expr::new(ExprKind::ReadStr { addr: value, max: None }, Type::Str(size), call.span))
        }
        other => {
            let message =
                format!("{}() only supports string arguments ({} provided)", call.builtin.name, kind_of(other));
            Err(cx.error(Diagnostic::error(value.span, message).hint("text at an address is read with str(address)")))
        }
    }
}
