//! Network addresses.

use std::net::IpAddr;

use super::Builtin;
use crate::check::{Call, Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::types::{Space, Type};

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "ntop",
        "[family, ]address",
        (1, 2),
        "An IPv4 (number or 4 bytes) or IPv6 (16 bytes) address, in network byte order, as text.",
        "begin { print(ntop(pton(\"127.0.0.1\"))); }",
        ntop,
    ),
    Builtin::function(
        "pton",
        "\"address\"",
        (1, 1),
        "The bytes of an IPv4 (4) or IPv6 (16) address, in network byte order.",
        "begin { print(pton(\"::1\")); }",
        pton,
    ),
    Builtin::function(
        "macaddr",
        "bytes",
        (1, 1),
        "Six bytes as a hardware address.",
        "begin { print(macaddr((uint8 *)curtask)); }",
        macaddr,
    ),
];

/// `AF_INET` and `AF_INET6` of Linux.
const INET: i64 = 2;
const INET6: i64 = 10;

fn ntop(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let (family, address) = match call.args {
        [address] => (None, cx.expr(address)?),
        [family, address, ..] => (Some(cx.scalar(family)?), cx.expr(address)?),
        [] => return Err(cx.error(Diagnostic::error(call.span, "ntop() requires an address"))),
    };
    let inferred = match &address.ty {
        Type::Int(_) => INET,
        Type::Array(_, 4) | Type::Str(4) => INET,
        Type::Array(_, 16) | Type::Str(16) => INET6,
        other => {
            let message = format!(
                "ntop() argument must be 4 or 16 bytes in size: an integer, an array or text ({other} provided)"
            );
            return Err(cx.error(Diagnostic::error(address.span, message)));
        }
    };
    let family = family.unwrap_or_else(|| super::number(inferred, call.span));
    let family = Expr::new(ExprKind::Convert(family), Type::U32, call.span);
    let address = match address.ty {
        Type::Int(_) => Expr::new(ExprKind::Convert(address), Type::U32, call.span),
        _ => address,
    };
    Ok(Expr::new(ExprKind::Compose(vec![(0, family), (4, address)]), Type::Inet, call.span))
}

fn pton(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let text = cx.literal_str(&call.args[0], "pton()")?;
    let text = String::from_utf8_lossy(&text);
    let bytes = match text.parse() {
        Ok(IpAddr::V4(address)) => address.octets().to_vec(),
        Ok(IpAddr::V6(address)) => address.octets().to_vec(),
        Err(_) => {
            let message = format!("pton() expects a valid IPv4/IPv6 address, got {text}");
            let problem = Diagnostic::error(call.args[0].span, message);
            return Err(cx.error(problem.hint("for example: pton(\"127.0.0.1\") or pton(\"::1\")")));
        }
    };
    let ty = Type::Array(Box::new(Type::U8), bytes.len() as u32);
    let parts =
        bytes.iter().enumerate().map(|(at, byte)| (at as u32, Expr::int(i64::from(*byte), Type::U8, call.span)));
    Ok(Expr::new(ExprKind::Compose(parts.collect()), ty, call.span))
}

fn macaddr(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let value = cx.expr(&call.args[0])?;
    let kind = match (&value.ty, *value.kind.clone()) {
        (Type::Ptr(..), _) => ExprKind::Load { addr: value, offset: 0 },
        (Type::Array(_, 6), ExprKind::Load { addr, offset }) => ExprKind::Load { addr, offset },
        (Type::Str(6..), ExprKind::ReadStr { addr, .. }) => ExprKind::Load { addr, offset: 0 },
        (Type::Str(_), ExprKind::Str(_)) => {
            let message = "macaddr() does not support literal string arguments";
            return Err(cx.error(Diagnostic::error(value.span, message)));
        }
        (Type::Array(_, 6) | Type::Str(6..), _) => ExprKind::Field { base: value, offset: 0 },
        (Type::Int(_), _) => {
            let addr = Expr { ty: Type::pointer(Type::U8, Space::Kernel), ..value };
            ExprKind::Load { addr, offset: 0 }
        }
        (other, _) => {
            let message = format!("macaddr() expects an array or a pointer to 6 bytes ({other} provided)");
            return Err(cx.error(Diagnostic::error(value.span, message)));
        }
    };
    Ok(Expr::new(kind, Type::Mac, call.span))
}
