//! Expressions and statements out of their parts.

use super::{BinaryOp, Block, CompareOp, Expr, ExprKind, Stmt, StmtKind};
use crate::bpf::Helper;
use crate::source::Span;
use crate::types::{Sign, Type};

impl Expr {
    pub fn new(kind: ExprKind, ty: Type, span: Span) -> Self {
        Self { kind: Box::new(kind), ty, span }
    }

    pub fn int(value: i64, ty: Type, span: Span) -> Self {
        Self::new(ExprKind::Int(value), ty, span)
    }

    /// Arithmetic with numbers that have no sign.
    pub fn binary(op: BinaryOp, left: Self, right: Self, ty: Type) -> Self {
        let span = left.span;
        Self::new(ExprKind::Binary { op, sign: Sign::Unsigned, left, right, zero: None }, ty, span)
    }

    pub fn compare(op: CompareOp, sign: Sign, left: Self, right: Self) -> Self {
        let span = left.span;
        Self::new(ExprKind::Compare { op, sign, left, right }, Type::Bool, span)
    }

    /// Statements as an expression without a value.
    pub fn effect(block: Block, span: Span) -> Self {
        Self::new(ExprKind::Seq(block, Self::int(0, Type::Void, span)), Type::Void, span)
    }
}

impl Stmt {
    pub fn new(kind: StmtKind, span: Span) -> Self {
        Self { kind, span }
    }
}

/// The current thread's ids in a PID namespace, or in the initial one: its process in the high half, itself in the low one.
pub fn ids(namespace: Option<(u64, u64)>, span: Span) -> Expr {
    let kind = match namespace {
        Some((device, inode)) => ExprKind::NamespacedPid { device, inode },
        None => ExprKind::Call(Helper::GET_CURRENT_PID_TGID, Vec::new()),
    };
    Expr::new(kind, Type::U64, span)
}

/// The current process's id in a PID namespace, or in the initial one.
pub fn process(namespace: Option<(u64, u64)>, ty: Type, span: Span) -> Expr {
    Expr::binary(BinaryOp::Shr, ids(namespace, span), Expr::int(32, Type::U64, span), ty)
}
