//! Reading memory: text, bytes, and whose memory it is.

use super::{Builtin, binary};
use crate::check::{Call, Cx, Fallible, kind_of};
use crate::diag::Diagnostic;
use crate::ir::{BinaryOp, CompareOp, Expr, ExprKind};
use crate::syntax::ast;
use crate::types::{Int, Sign, Space, Type};

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "str",
        "pointer[, length]",
        (1, 2),
        "Text at an address up to its NUL, at most length bytes with that NUL; without a length, at most max_strlen before it.",
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
        "container_of",
        "pointer, typeof(TYPE), member",
        (3, 3),
        "Pointer to the structure that has this member at the pointer.",
        "begin { $task = container_of(curtask, typeof(struct task_struct), __state); print($task != 0); }",
        container_of,
    ),
    Builtin::function(
        "is_err",
        "pointer",
        (1, 1),
        "Whether a pointer is one of the kernel's error numbers, from -4095 to -1.",
        "uretprobe:/bin/bash:readline { print(is_err(retval)); }",
        is_err,
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
    let of = match cx.parameter_text(&call.args[0]) {
        Some(text) => text?,
        None => cx.expr(&call.args[0])?,
    };
    let of = super::as_text(cx, of);
    let limit = cx.config.max_strlen as u32 + 1;
    let (size, max) = match call.args.get(1) {
        None => (limit, None),
        Some(_) => {
            let length = cx.number_arg(call, 1)?;
            match *length.kind {
                ExprKind::Int(number) if number < 0 => return Err(negative(cx, call, number)),
                ExprKind::Int(number) => ((number as u64).min(u64::from(limit)) as u32, None),
                _ => (limit, Some(length)),
            }
        }
    };
    match (*of.kind, &of.ty) {
        // A text that is already being read from somewhere is read with the size asked for.
        (ExprKind::ReadStr { addr, max: None }, Type::Str(had)) => Ok(read_text(addr, size.min(*had), max, call)),
        (ExprKind::Str(text), _) if max.is_none() => {
            // A literal has no NUL that would count.
            let text: Vec<u8> = text.into_iter().take(size as usize).collect();
            let ty = Type::Str(text.len() as u32 + 1);
            Ok(Expr::new(ExprKind::Str(text), ty, call.span))
        }
        (kind, Type::Str(had)) => {
            let text = Expr { kind: Box::new(kind), ty: of.ty.clone(), span: of.span };
            Ok(shortened(text, size.min(*had), max, call))
        }
        (kind, _) => {
            let addr = Expr { kind: Box::new(kind), ty: of.ty, span: of.span };
            let addr = address(cx, addr, "a string, integer or a pointer type", call)?;
            Ok(read_text(addr, size, max, call))
        }
    }
}

fn negative(cx: &mut Cx<'_>, call: &Call<'_>, length: i64) -> crate::check::Reported {
    let message = format!("{} cannot use negative length ({length})", call.builtin.name);
    let hint = "without a length it ends at the NUL, or where max_strlen says";
    cx.error(Diagnostic::error(call.args[1].span, message).hint(hint))
}

/// A text that is there already, with a NUL where it is to end.
fn shortened(text: Expr, size: u32, max: Option<Expr>, call: &Call<'_>) -> Expr {
    if max.is_none() {
        return Expr::new(ExprKind::Resize(text), Type::Str(size.max(1)), call.span);
    }
    let there = Type::pointer(Type::Int(Int::I8), Space::Kernel);
    read_text(Expr::new(ExprKind::Location(text), there, call.span), size, max, call)
}

fn read_text(addr: Expr, size: u32, max: Option<Expr>, call: &Call<'_>) -> Expr {
    Expr::new(ExprKind::ReadStr { addr, max }, Type::Str(size.max(1)), call.span)
}

/// Something that says where in memory to read: a pointer, or a number taken for one.
fn address(cx: &mut Cx<'_>, value: Expr, wanted: &str, call: &Call<'_>) -> Fallible<Expr> {
    let ty = match &value.ty {
        Type::Ptr(to, Space::Unknown) => Type::Ptr(to.clone(), cx.context.space),
        Type::Ptr(..) => return Ok(value),
        Type::Int(_) => Type::pointer(Type::Int(Int::I8), cx.context.space),
        Type::Array(..) | Type::Struct(_) | Type::Str(_) => return Ok(place(value)),
        other => {
            let name = call.builtin.name;
            let message = format!("{name}() expects {wanted} as first argument ({} provided)", kind_of(other));
            return Err(cx.error(Diagnostic::error(value.span, message)));
        }
    };
    Ok(Expr { ty, ..value })
}

/// Where a value lies: where it would be read from, or where it has been built.
fn place(value: Expr) -> Expr {
    let span = value.span;
    match *value.kind {
        ExprKind::Load { addr, offset } => {
            binary(BinaryOp::Add, Expr { ty: Type::U64, ..addr.clone() }, offset, addr.ty)
        }
        kind => {
            let built = Expr { kind: Box::new(kind), ty: value.ty, span };
            Expr::new(ExprKind::Location(built), Type::pointer(Type::U8, Space::Kernel), span)
        }
    }
}

fn buf(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let of = cx.expr(&call.args[0])?;
    let limit = cx.config.max_strlen as u32;
    let (capacity, len) = match (call.args.get(1), &of.ty) {
        (Some(_), _) => {
            let length = cx.number_arg(call, 1)?;
            match *length.kind {
                ExprKind::Int(number) if number < 0 => return Err(negative(cx, call, number)),
                ExprKind::Int(number) => ((number as u64).min(u64::from(limit)) as u32, length),
                _ => (limit, length),
            }
        }
        (None, Type::Array(..) | Type::Struct(_)) => {
            let size = of.ty.size().min(limit);
            (size, super::number(i64::from(size), call.span))
        }
        (None, ty) => {
            let message = format!("buf() expects a length argument for non-array type {}", kind_of(ty));
            return Err(cx.error(Diagnostic::error(call.span, message).hint("for example: buf(args.buf, 16)")));
        }
    };
    let ty = Type::Buf(capacity);
    if let (ExprKind::Str(text), ExprKind::Int(length)) = (&*of.kind, &*len.kind) {
        return Ok(Expr::new(ExprKind::Bytes(text.iter().copied().take(*length as usize).collect()), ty, call.span));
    }
    let addr = match *of.kind {
        ExprKind::ReadStr { addr, .. } => addr,
        kind => {
            address(cx, Expr { kind: Box::new(kind), ty: of.ty, span: of.span }, "an integer or a pointer type", call)?
        }
    };
    Ok(Expr::new(ExprKind::ReadBuf { addr, len }, ty, call.span))
}

fn in_space(cx: &mut Cx<'_>, call: &Call<'_>, space: Space) -> Fallible<Expr> {
    let value = cx.expr(&call.args[0])?;
    if !value.ty.is_scalar() {
        let (name, found) = (call.builtin.name, kind_of(&value.ty));
        let message = format!("{name}() only supports integer or pointer arguments ({found} provided)");
        return Err(cx.error(Diagnostic::error(call.args[0].span, message)));
    }
    let to = match &value.ty {
        Type::Ptr(to, _) => (**to).clone(),
        _ => Type::Int(Int::I8),
    };
    Ok(Expr { ty: Type::pointer(to, space), ..value })
}

fn container_of(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let member = cx.number_arg(call, 0)?;
    let ast::ExprKind::Typeof(of) = &*call.args[1].kind else {
        let diagnostic = Diagnostic::error(call.args[1].span, "container_of() expects a type as second argument");
        return Err(cx.error(diagnostic.hint("it is written typeof(struct NAME)")));
    };
    let Some(path) = path(&call.args[2]) else {
        let message = "container_of() expects the name of a member as third argument";
        return Err(cx.error(Diagnostic::error(call.args[2].span, message)));
    };
    let to = cx.type_of(of)?;
    let offset = ast::ExprKind::Offsetof { of: of.clone(), path };
    let offset = cx.expr(&ast::Expr { kind: Box::new(offset), span: call.span })?;
    let ExprKind::Int(offset) = *offset.kind else { return Ok(offset) };
    let space = if let Type::Ptr(_, space) = &member.ty { *space } else { cx.context.space };
    Ok(binary(BinaryOp::Sub, Expr { ty: Type::U64, ..member }, offset, Type::pointer(to, space)))
}

/// `member` or `member.inner`.
fn path(member: &ast::Expr) -> Option<Vec<ast::Name>> {
    match &*member.kind {
        ast::ExprKind::Ident(text) => Some(vec![ast::Name { text: text.clone(), span: member.span }]),
        ast::ExprKind::Field { base, name, .. } => Some([path(base)?, vec![name.clone()]].concat()),
        _ => None,
    }
}

/// The kernel's `MAX_ERRNO`.
const ERRORS: i64 = 4095;

fn is_err(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let left = cx.number_arg(call, 0)?;
    if let ExprKind::Int(number) = *left.kind {
        return Ok(Expr::int(i64::from((-ERRORS..0).contains(&number)), Type::Bool, call.span));
    }
    let right = Expr::int(-ERRORS, Type::U64, call.span);
    let kind = ExprKind::Compare { op: CompareOp::Ge, sign: Sign::Unsigned, left, right };
    Ok(Expr::new(kind, Type::Bool, call.span))
}

fn bswap(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let value = cx.expr(&call.args[0])?;
    let Type::Int(int) = value.ty else {
        let message = format!("bswap() only supports integer arguments ({} provided)", kind_of(&value.ty));
        return Err(cx.error(Diagnostic::error(call.args[0].span, message)));
    };
    let bytes = i64::from(int.bits / 8);
    let ty = Type::Int(Int { sign: Sign::Unsigned, ..int });
    if let ExprKind::Int(number) = *value.kind {
        let swapped = (number as u64).swap_bytes() >> (64 - int.bits);
        return Ok(Expr::int(swapped as i64, ty, call.span));
    }
    let moved = (0..bytes).map(|byte| {
        let low = binary(BinaryOp::And, binary(BinaryOp::Shr, value.clone(), 8 * byte, Type::U64), 0xff, Type::U64);
        binary(BinaryOp::Shl, low, 8 * (bytes - 1 - byte), Type::U64)
    });
    let or = |left: Expr, right: Expr| {
        let kind = ExprKind::Binary { op: BinaryOp::Or, sign: Sign::Unsigned, left, right, zero: None };
        Expr::new(kind, Type::U64, call.span)
    };
    let swapped = moved.reduce(or).unwrap_or(value.clone());
    Ok(Expr { ty, ..swapped })
}
