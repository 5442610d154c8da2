//! `join()`: the texts that an array of pointers leads to, such as the arguments of a program.

use super::Builtin;
use crate::check::{Call, Cx, Emit, Fallible};
use crate::diag::Diagnostic;
use crate::error::Result;
use crate::format::{Format, Piece};
use crate::ir::{BinaryOp, Expr, ExprKind, Stmt, StmtKind, UnaryOp};
use crate::plan::{Action, Host};
use crate::types::{Int, Sign, Type};
use crate::value::Value;

pub const ROWS: &[Builtin] = &[Builtin::function(
    "join",
    "array[, separator]",
    (1, 2),
    "Prints the strings that an array of pointers leads to, at most 16.",
    "tracepoint:syscalls:sys_enter_execve { join(args.argv); }",
    join,
)];

/// Strings that are read, and the bytes kept of each: as many as bpftrace keeps.
const JOINED: i64 = 16;
const JOINED_SIZE: u32 = 1024;

fn join(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let array = cx.expr(&call.args[0])?;
    let separator = match call.args.get(1) {
        Some(separator) => cx.literal_str(separator, "join()")?,
        None => b" ".to_vec(),
    };
    let space = match &array.ty {
        Type::Ptr(_, space) => *space,
        Type::Int(_) => cx.context.space,
        other => {
            let message = format!("join() expects an array of pointers to text ({other} provided)");
            return Err(cx.error(Diagnostic::error(array.span, message)));
        }
    };
    let text = Type::pointer(Type::Int(Int::I8), space);
    let array = Expr { ty: Type::pointer(text.clone(), space), ..array };
    let size = JOINED_SIZE.min(cx.config.max_strlen as u32);
    // The array ends at its first null pointer, where text reads as empty; pointers after it are made null too.
    let mut values = Vec::new();
    let mut block = Vec::new();
    let mut previous: Option<Expr> = None;
    for index in 0..JOINED {
        let load = Expr::new(ExprKind::Load { addr: array.clone(), offset: 8 * index }, text.clone(), call.span);
        let pointer = match previous {
            None => load,
            Some(previous) => both(BinaryOp::And, load, spread(previous, Sign::Signed, Type::U64), text.clone()),
        };
        let var = cx.fresh("joined pointer", text.clone());
        block.push(Stmt::new(StmtKind::Set(var, pointer), call.span));
        let pointer = Expr::new(ExprKind::Var(var), text.clone(), call.span);
        values.push(spread(pointer.clone(), Sign::Unsigned, Type::Bool));
        values.push(Expr::new(ExprKind::ReadStr { addr: pointer.clone(), max: None }, Type::Str(size), call.span));
        previous = Some(pointer);
    }
    let format = Some(Format { pieces: vec![Piece::Text(separator)] });
    let emit = Emit { name: "join", act: print_joined, format, map: None, span: call.span };
    block.push(cx.emit(emit, values));
    Ok(Expr::effect(block, call.span))
}

/// 0 for 0, else 1 or (signed) all bits set. Arithmetic tells, as older verifiers follow every branch through all that comes after.
fn spread(value: Expr, sign: Sign, ty: Type) -> Expr {
    let span = value.span;
    let negative = Expr::new(ExprKind::Unary(UnaryOp::Negate, value.clone()), Type::U64, span);
    let left = both(BinaryOp::Or, value, negative, Type::U64);
    let kind = ExprKind::Binary { op: BinaryOp::Shr, sign, left, right: Expr::int(63, Type::U64, span), zero: None };
    Expr::new(kind, ty, span)
}

fn both(op: BinaryOp, left: Expr, right: Expr, ty: Type) -> Expr {
    let span = left.span;
    Expr::new(ExprKind::Binary { op, sign: Sign::Unsigned, left, right, zero: None }, ty, span)
}

fn print_joined(action: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    let separator = match action.format.as_ref().and_then(|format| format.pieces.first()) {
        Some(Piece::Text(text)) => text.clone(),
        _ => Vec::new(),
    };
    let texts: Vec<Vec<u8>> = values
        .chunks(2)
        .map_while(|pair| match pair {
            [Value::Bool(true), text] => Some(crate::report::text::plain(text, host.config())),
            _ => None,
        })
        .collect();
    let line = [texts.join(&separator[..]), b"\n".to_vec()].concat();
    host.sink().text("join", &line)
}
