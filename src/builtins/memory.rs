//! Reading memory: text, bytes, and whose memory it is.

use super::{Builtin, binary};
use crate::check::{Call, Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{BinaryOp, Expr, ExprKind};
use crate::types::{Int, Space, Type};

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "str",
        "pointer[, length]",
        (1, 2),
        "Text at an address up to its NUL, at most length (default and limit: max_strlen) bytes.",
        "tracepoint:syscalls:sys_enter_openat { print(str(args.filename)); }",
        str,
    ),
    Builtin::function(
        "buf",
        "pointer[, length]",
        (1, 2),
        "Bytes at an address, at most max_strlen; length may be left out for arrays. Unprintable ones are shown as \\xNN.",
        "tracepoint:syscalls:sys_enter_write { printf(\"%r\\n\", buf(args.buf, 8)); }",
        buf,
    ),
    Builtin::function(
        "kptr",
        "pointer",
        (1, 1),
        "The pointer, taken as one into the kernel's memory.",
        "begin { $p = kptr(curtask); print($p.pid); }",
        |cx, call| in_space(cx, call, Space::Kernel),
    ),
    Builtin::function(
        "uptr",
        "pointer",
        (1, 1),
        "The pointer, taken as one into the process's memory.",
        "uprobe:/bin/bash:readline { print(str(uptr(arg0))); }",
        |cx, call| in_space(cx, call, Space::User),
    ),
    Builtin::function(
        "bswap",
        "number",
        (1, 1),
        "The number with its bytes in reverse order.",
        "begin { printf(\"%x\\n\", bswap((uint16)0x1234)); }",
        bswap,
    ),
];

fn str(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let of = cx.expr(&call.args[0])?;
    let limit = cx.config.max_strlen as u32;
    let length = call.args.get(1).map(|length| cx.scalar(length)).transpose()?;
    let (size, max) = match length {
        None => (limit, None),
        Some(length) => match *length.kind {
            ExprKind::Int(number) if number < 0 => {
                return Err(cx.error(Diagnostic::error(length.span, "str cannot use negative length")));
            }
            ExprKind::Int(number) => ((number as u64 + 1).min(u64::from(limit)) as u32, None),
            _ => (limit, Some(binary(BinaryOp::Add, length, 1, Type::U64))),
        },
    };
    match *of.kind {
        // A text that is already being read from somewhere is read with the size asked for.
        ExprKind::ReadStr { addr, .. } => Ok(read_text(addr, size, max, call)),
        ExprKind::Str(text) => {
            let text: Vec<u8> = text.into_iter().take(size as usize - 1).collect();
            let ty = Type::Str(text.len() as u32 + 1);
            Ok(Expr::new(ExprKind::Str(text), ty, call.span))
        }
        _ if matches!(of.ty, Type::Str(_)) => Ok(of),
        kind => {
            let addr = Expr { kind: Box::new(kind), ty: of.ty, span: of.span };
            let addr = address(cx, addr, "str")?;
            Ok(read_text(addr, size, max, call))
        }
    }
}

fn read_text(addr: Expr, size: u32, max: Option<Expr>, call: &Call<'_>) -> Expr {
    Expr::new(ExprKind::ReadStr { addr, max }, Type::Str(size), call.span)
}

/// Something that says where in memory to read: a pointer, or a number taken for one.
fn address(cx: &mut Cx<'_>, value: Expr, function: &str) -> Fallible<Expr> {
    let ty = match &value.ty {
        Type::Ptr(to, Space::Unknown) => Type::Ptr(to.clone(), cx.context.space),
        Type::Ptr(..) => return Ok(value),
        Type::Int(_) => Type::pointer(Type::Int(Int::I8), cx.context.space),
        Type::Array(..) | Type::Struct(_) => return Ok(place(value)),
        other => {
            let message =
                format!("{function}() expects an integer or a pointer type as first argument ({other} provided)");
            return Err(cx.error(Diagnostic::error(value.span, message)));
        }
    };
    Ok(Expr { ty, ..value })
}

/// Where a value that is read from memory lies; anything else has no address and is read as it is.
fn place(value: Expr) -> Expr {
    let (span, ty) = (value.span, value.ty.clone());
    match *value.kind {
        ExprKind::Load { addr, offset } => {
            binary(BinaryOp::Add, Expr { ty: Type::U64, ..addr.clone() }, offset, addr.ty)
        }
        kind => Expr { kind: Box::new(kind), ty, span },
    }
}

fn buf(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let of = cx.expr(&call.args[0])?;
    let limit = cx.config.max_strlen as u32;
    let length = call.args.get(1).map(|length| cx.scalar(length)).transpose()?;
    let (capacity, len) = match (length, &of.ty) {
        (Some(length), _) => match *length.kind {
            ExprKind::Int(number) if number < 1 => {
                let message = format!("buf() length argument must be at least 1 (found {number})");
                return Err(cx.error(Diagnostic::error(length.span, message)));
            }
            ExprKind::Int(number) => ((number as u64).min(u64::from(limit)) as u32, length),
            _ => (limit, length),
        },
        (None, Type::Array(..) | Type::Struct(_) | Type::Str(_)) => {
            (of.ty.size().min(limit), super::number(i64::from(of.ty.size().min(limit)), call.span))
        }
        (None, ty) => {
            let message = format!("buf() expects a length argument for non-array type {ty}");
            return Err(cx.error(Diagnostic::error(call.span, message).hint("for example: buf(args.buf, 16)")));
        }
    };
    let ty = Type::Buf(capacity);
    if let (ExprKind::Str(text), ExprKind::Int(length)) = (&*of.kind, &*len.kind) {
        return Ok(Expr::new(ExprKind::Bytes(text.iter().copied().take(*length as usize).collect()), ty, call.span));
    }
    let addr = match *of.kind {
        ExprKind::ReadStr { addr, .. } => addr,
        kind => address(cx, Expr { kind: Box::new(kind), ty: of.ty, span: of.span }, "buf")?,
    };
    Ok(Expr::new(ExprKind::ReadBuf { addr, len }, ty, call.span))
}

fn in_space(cx: &mut Cx<'_>, call: &Call<'_>, space: Space) -> Fallible<Expr> {
    let value = cx.scalar(&call.args[0])?;
    let to = match &value.ty {
        Type::Ptr(to, _) => (**to).clone(),
        _ => Type::Int(Int::I8),
    };
    Ok(Expr { ty: Type::pointer(to, space), ..value })
}

fn bswap(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let value = cx.scalar(&call.args[0])?;
    let bytes = i64::from(value.ty.size());
    let ty = Type::Int(Int { bits: 8 * bytes as u8, sign: crate::types::Sign::Unsigned });
    let moved = (0..bytes).map(|byte| {
        let low = binary(BinaryOp::And, binary(BinaryOp::Shr, value.clone(), 8 * byte, Type::U64), 0xff, Type::U64);
        binary(BinaryOp::Shl, low, 8 * (bytes - 1 - byte), Type::U64)
    });
    let or = |left: Expr, right: Expr| {
        let kind = ExprKind::Binary { op: BinaryOp::Or, sign: crate::types::Sign::Unsigned, left, right, zero: None };
        Expr::new(kind, Type::U64, call.span)
    };
    let swapped = moved.reduce(or).unwrap_or(value.clone());
    Ok(Expr { ty, ..swapped })
}
