//! Operators: arithmetic in 64 bits, comparisons of everything comparable, conditions.

use super::convert::{join, literal_type};
use super::fold::fold;
use super::{Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{self, CompareOp, Expr, ExprKind, Stmt, StmtKind};
use crate::plan::Cause;
use crate::source::Span;
use crate::syntax::ast::{self, BinaryOp, StepTime, UnaryOp};
use crate::types::{Sign, Type};

impl Cx<'_> {
    pub(super) fn unary(&mut self, op: UnaryOp, operand: &ast::Expr, span: Span) -> Fallible<Expr> {
        match op {
            UnaryOp::Deref => return self.deref(operand, span),
            UnaryOp::Address => {
                let diagnostic = Diagnostic::error(span, "the address of a variable or map (&) is not supported yet");
                return Err(self.error(diagnostic));
            }
            UnaryOp::Negate | UnaryOp::Invert | UnaryOp::Not => {}
        }
        let value = self.value(operand)?;
        let is_fine = is_number(&value.ty) || op == UnaryOp::Not && value.ty.is_scalar();
        if !is_fine {
            let symbol = symbol(op);
            let message = format!("The {symbol} operator can not be used on expressions of type '{}'", value.ty);
            return Err(self.error(Diagnostic::error(span, message)));
        }
        let (core, ty) = match op {
            UnaryOp::Not => (ir::UnaryOp::Not, Type::Bool),
            UnaryOp::Invert if value.ty.sign() == Sign::Unsigned => (ir::UnaryOp::Invert, Type::U64),
            UnaryOp::Invert => (ir::UnaryOp::Invert, Type::I64),
            UnaryOp::Negate | UnaryOp::Deref | UnaryOp::Address => (ir::UnaryOp::Negate, Type::I64),
        };
        if let Some(number) = constant(&value) {
            return self.folded_unary(op, number, span);
        }
        Ok(Expr::new(ExprKind::Unary(core, value), ty, span))
    }

    fn folded_unary(&mut self, op: UnaryOp, number: i128, span: Span) -> Fallible<Expr> {
        let value = match op {
            UnaryOp::Not => return Ok(Expr::int(i64::from(number == 0), Type::Bool, span)),
            // A literal counts as unsigned here.
            UnaryOp::Invert => return Ok(Expr::int(!(number as i64), Type::U64, span)),
            UnaryOp::Negate | UnaryOp::Deref | UnaryOp::Address => -number,
        };
        if value < i128::from(i64::MIN) {
            return Err(self.overflow(span));
        }
        Ok(Expr::int(value as i64, literal_type(value), span))
    }

    fn overflow(&mut self, span: Span) -> super::Reported {
        self.error(Diagnostic::error(span, "unable to fold literals due to overflow or underflow"))
    }

    pub(super) fn binary(&mut self, op: BinaryOp, left: &ast::Expr, right: &ast::Expr, span: Span) -> Fallible<Expr> {
        if let BinaryOp::And | BinaryOp::Or = op {
            let (left, right) = (self.condition(left), self.condition(right));
            let (left, right) = (left?, right?);
            let kind = if op == BinaryOp::And { ExprKind::And(left, right) } else { ExprKind::Or(left, right) };
            return Ok(Expr::new(kind, Type::Bool, span));
        }
        let (left, right) = (self.value(left), self.value(right));
        self.operate(op, left?, right?, span)
    }

    /// An operator on lowered operands.
    pub(super) fn operate(&mut self, op: BinaryOp, left: Expr, right: Expr, span: Span) -> Fallible<Expr> {
        if let (Some(one), Some(other)) = (constant(&left), constant(&right)) {
            let Some(value) = fold(op, one, other) else { return Err(self.overflow(span)) };
            let ty = if compare_op(op).is_some() { Type::Bool } else { literal_type(value) };
            return Ok(Expr::int(value as i64, ty, span));
        }
        match compare_op(op) {
            Some(compare) => self.compare(compare, left, right, span),
            None => self.arithmetic(op, left, right, span),
        }
    }

    fn arithmetic(&mut self, op: BinaryOp, left: Expr, right: Expr, span: Span) -> Fallible<Expr> {
        if let (ExprKind::Str(one), ExprKind::Str(other), BinaryOp::Add) = (&*left.kind, &*right.kind, op) {
            let text = [&one[..], other].concat();
            let ty = Type::Str(text.len() as u32 + 1);
            return Ok(Expr::new(ExprKind::Str(text), ty, span));
        }
        if let (Type::Ptr(to, _), BinaryOp::Add | BinaryOp::Sub) = (&left.ty, op) {
            let (size, ty) = (i64::from(to.size().max(1)), left.ty.clone());
            return Ok(scaled(op, left, right, size, ty, span));
        }
        if !is_number(&left.ty) || !is_number(&right.ty) {
            let message = format!(
                "The {} operator can not be used on expressions of types '{}', '{}'",
                text(op),
                left.ty,
                right.ty
            );
            return Err(self.error(Diagnostic::error(span, message)));
        }
        let sign = common_sign(&left, &right);
        let zero = match op {
            BinaryOp::Div | BinaryOp::Mod => match constant(&right) {
                Some(divisor) if divisor != 0 => None,
                Some(_) | None => Some(self.counter(Cause::DivideByZero, span)),
            },
            _ => None,
        };
        let ty = if op == BinaryOp::Sub || sign == Sign::Signed { Type::I64 } else { Type::U64 };
        // The sign of what is shifted decides what is shifted in; the count has none.
        let sign = if op == BinaryOp::Shr { left.ty.sign() } else { sign };
        Ok(Expr::new(ExprKind::Binary { op: core(op), sign, left, right, zero }, ty, span))
    }

    fn compare(&mut self, op: CompareOp, left: Expr, right: Expr, span: Span) -> Fallible<Expr> {
        let is_equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
        let kind = match (&left.ty, &right.ty) {
            (Type::Str(_), Type::Str(_)) if is_equality => {
                let kind = ExprKind::StrCompare { left, right, len: None };
                let differs = Expr::new(kind, Type::I64, span);
                zero_test(op, differs, span)
            }
            (Type::Tuple(one), Type::Tuple(other)) if is_equality && one.len() == other.len() => {
                return self.compare_tuples(op, left, right, span);
            }
            (Type::Stack(_), Type::Stack(_)) if is_equality => {
                ExprKind::Compare { op, sign: Sign::Unsigned, left, right }
            }
            (one, other) if is_comparable(one) && is_comparable(other) => {
                let sign = common_sign(&left, &right);
                ExprKind::Compare { op, sign, left, right }
            }
            (one, other) => {
                let diagnostic = Diagnostic::error(
                    span,
                    format!("Type mismatch for '{}': comparing {one} with {other}", symbol_of(op)),
                );
                let diagnostic =
                    diagnostic.label(left.span, format!("left ({one})")).label(right.span, format!("right ({other})"));
                return Err(self.error(diagnostic));
            }
        };
        Ok(Expr::new(kind, Type::Bool, span))
    }

    /// Element by element; all must be equal.
    fn compare_tuples(&mut self, op: CompareOp, left: Expr, right: Expr, span: Span) -> Fallible<Expr> {
        let (one, other) = (elements(&left), elements(&right));
        let mut equal = Expr::int(1, Type::Bool, span);
        for (left, right) in one.into_iter().zip(other) {
            let same = self.compare(CompareOp::Eq, left, right, span)?;
            equal = Expr::new(ExprKind::And(equal, same), Type::Bool, span);
        }
        Ok(match op {
            CompareOp::Ne => Expr::new(ExprKind::Unary(ir::UnaryOp::Not, equal), Type::Bool, span),
            _ => equal,
        })
    }

    /// What stands in `if`, `/…/`, `&&` and the like: a number that is true unless it is zero.
    pub(super) fn condition(&mut self, expr: &ast::Expr) -> Fallible<Expr> {
        let value = self.value(expr)?;
        match &value.ty {
            // Text is true whatever it says.
            Type::Str(_) => Ok(Expr::int(1, Type::Bool, expr.span)),
            ty if ty.is_scalar() => Ok(value),
            ty => {
                let message = format!("Invalid condition: an expression of type '{ty}' is neither true nor false");
                Err(self.error(Diagnostic::error(expr.span, message).hint("compare it with something: == or !=")))
            }
        }
    }

    pub(super) fn ternary(
        &mut self,
        cond: &ast::Expr,
        then: Option<&ast::Expr>,
        otherwise: &ast::Expr,
        span: Span,
    ) -> Fallible<Expr> {
        let test = self.condition(cond)?;
        // `a ?: b` is a itself where it is true; within one run it gives the same value twice.
        let (then, otherwise) = (self.any(then.unwrap_or(cond)), self.any(otherwise));
        let (then, otherwise) = (then?, otherwise?);
        if then.ty == Type::Void && otherwise.ty == Type::Void {
            let branch = |value: Expr| vec![Stmt::new(StmtKind::Eval(value), span)];
            let kind = StmtKind::If { cond: test, then: branch(then), otherwise: branch(otherwise) };
            return Ok(Expr::effect(vec![Stmt::new(kind, span)], span));
        }
        let Some(ty) = join(&then.ty, &otherwise.ty) else {
            let message =
                format!("Ternary operator must return the same type: have '{}' and '{}'", then.ty, otherwise.ty);
            return Err(self.error(Diagnostic::error(span, message)));
        };
        let (then, otherwise) = (self.convert(then, &ty)?, self.convert(otherwise, &ty)?);
        Ok(Expr::new(ExprKind::Cond { cond: test, then, otherwise }, ty, span))
    }

    /// `++x`, `x--` and so on: stores the new value, gives the new or the old one.
    pub(super) fn step(&mut self, target: &ast::Expr, by: i8, when: StepTime, span: Span) -> Fallible<Expr> {
        let by = Expr::int(i64::from(by), Type::Int(crate::types::Int::I8), span);
        let old = match &*target.kind {
            ast::ExprKind::Map { name, keys } if self.env.map(name).is_none_or(|info| info.value.is_none()) => {
                // Counting up makes a number of a map that nothing else is assigned to.
                let number = Expr::int(0, Type::I64, span);
                return self.map_set_value(name, keys.as_deref(), number, span).and(Err(super::Reported));
            }
            _ => self.value(target)?,
        };
        if !is_number(&old.ty) {
            let message = format!("The ++ and -- operators can not be used on expressions of type '{}'", old.ty);
            return Err(self.error(Diagnostic::error(span, message)));
        }
        let ty = old.ty.clone();
        // The sum is a 64-bit number like any other, so that counting up does not wrap in a narrow variable.
        let wide = if ty.sign() == Sign::Signed { Type::I64 } else { Type::U64 };
        let wide = if matches!(ty, Type::Ptr(..)) { ty.clone() } else { wide };
        let before = self.fresh("old value", ty.clone());
        let kept = Expr::new(ExprKind::Var(before), ty.clone(), span);
        let kind =
            ExprKind::Binary { op: ir::BinaryOp::Add, sign: ty.sign(), left: kept.clone(), right: by, zero: None };
        let new = Expr::new(kind, wide.clone(), span);
        let after = self.fresh("new value", wide.clone());
        let new_value = Expr::new(ExprKind::Var(after), wide.clone(), span);
        let store = self.assign_value(target, new_value.clone(), span)?;
        let block =
            vec![Stmt::new(StmtKind::Set(before, old), span), Stmt::new(StmtKind::Set(after, new), span), store];
        let result = if when == StepTime::Pre { new_value } else { kept };
        let ty = result.ty.clone();
        Ok(Expr::new(ExprKind::Seq(block, result), ty, span))
    }
}

/// The value of a constant, as its type reads it.
pub fn constant(value: &Expr) -> Option<i128> {
    match (&*value.kind, value.ty.sign()) {
        (ExprKind::Int(number), Sign::Signed) => Some(i128::from(*number)),
        (ExprKind::Int(number), Sign::Unsigned) => Some(i128::from(*number as u64)),
        _ => None,
    }
}

/// Signed if either side is; a literal that is not negative takes the sign of the other side.
fn common_sign(left: &Expr, right: &Expr) -> Sign {
    let is_signed = |side: &Expr| side.ty.sign() == Sign::Signed && constant(side).is_none_or(|value| value < 0);
    let both_literal = constant(left).is_some() && constant(right).is_some();
    if is_signed(left) || is_signed(right) || both_literal { Sign::Signed } else { Sign::Unsigned }
}

/// The elements of a tuple, whether it is just being made or lies in memory.
fn elements(tuple: &Expr) -> Vec<Expr> {
    if let ExprKind::Compose(parts) = &*tuple.kind {
        return parts.iter().map(|(_, part)| part.clone()).collect();
    }
    let Type::Tuple(types) = &tuple.ty else { return Vec::new() };
    tuple
        .ty
        .offsets()
        .into_iter()
        .zip(types.iter())
        .map(|(offset, ty)| Expr::new(ExprKind::Field { base: tuple.clone(), offset }, ty.clone(), tuple.span))
        .collect()
}

fn zero_test(op: CompareOp, differs: Expr, span: Span) -> ExprKind {
    let zero = Expr::int(0, Type::I64, span);
    ExprKind::Compare { op, sign: Sign::Unsigned, left: differs, right: zero }
}

/// Pointer arithmetic counts in elements.
fn scaled(op: BinaryOp, left: Expr, right: Expr, size: i64, ty: Type, span: Span) -> Expr {
    let size = Expr::int(size, Type::I64, span);
    let sign = Sign::Signed;
    let offset = ExprKind::Binary { op: ir::BinaryOp::Mul, sign, left: right, right: size, zero: None };
    let right = Expr::new(offset, Type::I64, span);
    Expr::new(ExprKind::Binary { op: core(op), sign, left, right, zero: None }, ty, span)
}

fn is_number(ty: &Type) -> bool {
    matches!(ty, Type::Int(_) | Type::Bool | Type::Enum(_) | Type::Ptr(..))
}

fn is_comparable(ty: &Type) -> bool {
    is_number(ty) || matches!(ty, Type::KSym)
}

fn compare_op(op: BinaryOp) -> Option<CompareOp> {
    Some(match op {
        BinaryOp::Eq => CompareOp::Eq,
        BinaryOp::Ne => CompareOp::Ne,
        BinaryOp::Lt => CompareOp::Lt,
        BinaryOp::Le => CompareOp::Le,
        BinaryOp::Gt => CompareOp::Gt,
        BinaryOp::Ge => CompareOp::Ge,
        _ => return None,
    })
}

fn core(op: BinaryOp) -> ir::BinaryOp {
    match op {
        BinaryOp::Add => ir::BinaryOp::Add,
        BinaryOp::Sub => ir::BinaryOp::Sub,
        BinaryOp::Mul => ir::BinaryOp::Mul,
        BinaryOp::Div => ir::BinaryOp::Div,
        BinaryOp::Mod => ir::BinaryOp::Mod,
        BinaryOp::BitAnd => ir::BinaryOp::And,
        BinaryOp::BitOr => ir::BinaryOp::Or,
        BinaryOp::BitXor => ir::BinaryOp::Xor,
        BinaryOp::Shl => ir::BinaryOp::Shl,
        BinaryOp::Shr => ir::BinaryOp::Shr,
        // Comparisons and connectives have been dealt with by then.
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => ir::BinaryOp::Sub,
        BinaryOp::And | BinaryOp::Or => ir::BinaryOp::And,
    }
}

fn symbol(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Negate => "-",
        UnaryOp::Invert => "~",
        UnaryOp::Not => "!",
        UnaryOp::Deref => "*",
        UnaryOp::Address => "&",
    }
}

fn symbol_of(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Eq => "==",
        CompareOp::Ne => "!=",
        CompareOp::Lt => "<",
        CompareOp::Le => "<=",
        CompareOp::Gt => ">",
        CompareOp::Ge => ">=",
    }
}

/// An operator as it is written.
pub fn text(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Mod => "%",
        BinaryOp::BitAnd => "&",
        BinaryOp::BitOr => "|",
        BinaryOp::BitXor => "^",
        BinaryOp::Shl => "<<",
        BinaryOp::Shr => ">>",
        BinaryOp::Eq => "==",
        BinaryOp::Ne => "!=",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::Ge => ">=",
        BinaryOp::And => "&&",
        BinaryOp::Or => "||",
    }
}
