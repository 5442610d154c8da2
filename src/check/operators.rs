//! Operators: arithmetic in 64 bits, comparisons of everything comparable, conditions.

use std::cmp::Ordering;

use super::convert::{converted, join, literal_type};
use super::fields::uncut;
use super::fold::fold;
use super::{Cx, Fallible};
use crate::builtins;
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
            UnaryOp::Address => return self.address(operand, span),
            UnaryOp::Negate | UnaryOp::Invert | UnaryOp::Not => {}
        }
        let value = self.value(operand)?;
        let is_fine = matches!(value.ty, Type::Int(_) | Type::Enum(_)) || op == UnaryOp::Not && value.ty.is_scalar();
        if !is_fine {
            let symbol = symbol(op);
            let message = format!("The {symbol} operator can not be used on expressions of type '{}'", value.ty);
            return Err(self.error(Diagnostic::error(span, message).hint("compare it with something: == or !=")));
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
        let problem = Diagnostic::error(span, "unable to fold literals due to overflow or underflow");
        self.error(
            problem.hint("what is known when the program is compiled is computed then, and must fit into 64 bits"),
        )
    }

    pub(super) fn binary(&mut self, op: BinaryOp, left: &ast::Expr, right: &ast::Expr, span: Span) -> Fallible<Expr> {
        if let BinaryOp::And | BinaryOp::Or = op {
            let (left, right) = (self.condition(left), self.condition(right));
            let (left, right) = (left?, right?);
            if let (Some(one), Some(other)) = (constant(&left), constant(&right))
                && let Some(value) = fold(op, one, other)
            {
                return Ok(Expr::int(value as i64, Type::Bool, span));
            }
            let kind = if op == BinaryOp::And { ExprKind::And(left, right) } else { ExprKind::Or(left, right) };
            return Ok(Expr::new(kind, Type::Bool, span));
        }
        let values = (self.value(left), self.value(right));
        let (one, other) = (values.0?, values.1?);
        let (one, other) = (uncut(&one, left, &other), uncut(&other, right, &one));
        self.operate(op, one, other, span)
    }

    /// An operator on lowered operands.
    pub(super) fn operate(&mut self, op: BinaryOp, left: Expr, right: Expr, span: Span) -> Fallible<Expr> {
        let has_address = matches!(left.ty, Type::Ptr(..)) || matches!(right.ty, Type::Ptr(..));
        if let (Some(one), Some(other), false) = (constant(&left), constant(&right), has_address) {
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
        if let ExprKind::Str(text) = &*left.kind {
            match (&*right.kind, constant(&right), op) {
                (ExprKind::Str(more), _, BinaryOp::Add) => return Ok(literal([&text[..], more].concat(), span)),
                (ExprKind::Str(_), ..) => {
                    return Err(self.error(Diagnostic::error(span, "illegal literal operation with strings")));
                }
                (_, Some(count), BinaryOp::Add) => return self.rest_of(text, count, span),
                _ => {}
            }
        }
        match (&left.ty, &right.ty, op) {
            (Type::Ptr(..), Type::Int(_), BinaryOp::Add | BinaryOp::Sub) => return Ok(scaled(op, left, right, span)),
            (Type::Int(_), Type::Ptr(..), BinaryOp::Add) => return Ok(scaled(op, right, left, span)),
            (one, other, _) if !is_number(one) || !is_number(other) => {
                return Err(self.no_operands(op, &left, &right, span));
            }
            _ => {}
        }
        let sign = match (op, left.ty.sign()) {
            // How far a number is shifted says nothing of its sign.
            (BinaryOp::Shl | BinaryOp::Shr, Sign::Unsigned) => Sign::Unsigned,
            _ => common_sign(&left, &right),
        };
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

    /// `"text" + n`: the literal without its first n bytes.
    fn rest_of(&mut self, text: &[u8], count: i128, span: Span) -> Fallible<Expr> {
        if count < 0 {
            return Err(self.error(Diagnostic::error(span, "only literals from 0 on can be added to a string")));
        }
        if count > text.len() as i128 {
            self.warn(span, "literal string will always be empty");
        }
        let start = text.len().min(usize::try_from(count).unwrap_or(usize::MAX));
        Ok(literal(text[start..].to_vec(), span))
    }

    /// Operands that an operator cannot be used on: because they are not alike, or not of its kind.
    fn no_operands(&mut self, op: BinaryOp, left: &Expr, right: &Expr, span: Span) -> super::Reported {
        let is_pointer = |ty: &Type| matches!(ty, Type::Ptr(..));
        let are_alike = join(&left.ty, &right.ty).is_some() || is_pointer(&left.ty) || is_pointer(&right.ty);
        if !are_alike {
            return self.not_alike(text(op), left, right, span);
        }
        let message =
            format!("The {} operator can not be used on expressions of types {}, {}", text(op), left.ty, right.ty);
        let diagnostic = Diagnostic::error(span, message);
        let has_address = is_pointer(&left.ty) || is_pointer(&right.ty);
        self.error(if has_address {
            diagnostic.hint("cast the pointer to a number first: (uint64)$p")
        } else {
            diagnostic
        })
    }

    fn not_alike(&mut self, symbol: &str, left: &Expr, right: &Expr, span: Span) -> super::Reported {
        let message = format!("Type mismatch for '{symbol}': comparing {} with {}", left.ty, right.ty);
        let diagnostic = Diagnostic::error(span, message).label(left.span, format!("left ({})", left.ty));
        self.error(diagnostic.label(right.span, format!("right ({})", right.ty)))
    }

    fn compare(&mut self, op: CompareOp, left: Expr, right: Expr, span: Span) -> Fallible<Expr> {
        if let (ExprKind::Str(one), ExprKind::Str(other)) = (&*left.kind, &*right.kind) {
            return Ok(Expr::int(i64::from(holds(op, one.cmp(other))), Type::Bool, span));
        }
        let is_equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
        let right = numbered(&left, &right).unwrap_or(right);
        let (left, right) = match (&left.ty, &right.ty) {
            (Type::Named(_), Type::Str(_)) => (builtins::as_text(self, left), right),
            (Type::Str(_), Type::Named(_)) => (left, builtins::as_text(self, right)),
            _ => (left, right),
        };
        let kind = match (&left.ty, &right.ty) {
            (Type::Str(_), Type::Str(_)) if is_equality => differing(op, left, right, span),
            (Type::Array(..), Type::Array(..)) if is_equality && left.ty == right.ty => {
                differing(op, left, right, span)
            }
            (one, other) if is_equality && one.matching(other).is_some() && join(one, other).is_some() => {
                return self.compare_elements(op, left, right, span);
            }
            (Type::Stack(_), Type::Stack(_)) if is_equality => {
                ExprKind::Compare { op, sign: Sign::Unsigned, left, right }
            }
            (Type::Named(one), Type::Named(other)) if is_equality && one == other => {
                ExprKind::Compare { op, sign: Sign::Unsigned, left, right }
            }

            (one, other) if is_comparable(one) && is_comparable(other) => {
                self.warn_of_pointers(&left, &right, span);
                let sign = common_sign(&left, &right);
                ExprKind::Compare { op, sign, left, right }
            }
            (one, other) if join(one, other).is_some() => {
                let message =
                    format!("The {} operator can not be used on expressions of types {one}, {other}", symbol_of(op));
                return Err(self.error(Diagnostic::error(span, message)));
            }
            _ => return Err(self.not_alike(symbol_of(op), &left, &right, span)),
        };
        Ok(Expr::new(kind, Type::Bool, span))
    }

    fn warn_of_pointers(&mut self, left: &Expr, right: &Expr, span: Span) {
        let (Type::Ptr(one, _), Type::Ptr(other, _)) = (&left.ty, &right.ty) else { return };
        if one != other && **one != Type::Void && **other != Type::Void {
            let message = format!("comparison of distinct pointer types: {one}, {other}");
            let diagnostic = Diagnostic::warning(span, message).label(left.span, format!("left ({one})"));
            self.report(diagnostic.label(right.span, format!("right ({other})")));
        }
    }

    /// Element by element; all must be equal.
    fn compare_elements(&mut self, op: CompareOp, left: Expr, right: Expr, span: Span) -> Fallible<Expr> {
        let matching = left.ty.matching(&right.ty).unwrap_or_default();
        let mut block = Vec::new();
        let one = self.elements(left, &mut block);
        let other = self.elements(right, &mut block);
        let mut equal = Expr::int(1, Type::Bool, span);
        for (left, position) in one.into_iter().zip(matching) {
            let same = self.compare(CompareOp::Eq, left, other[position].clone(), span)?;
            equal = Expr::new(ExprKind::And(equal, same), Type::Bool, span);
        }
        let result = match op {
            CompareOp::Ne => Expr::new(ExprKind::Unary(ir::UnaryOp::Not, equal), Type::Bool, span),
            _ => equal,
        };
        Ok(if block.is_empty() { result } else { Expr::new(ExprKind::Seq(block, result), Type::Bool, span) })
    }

    /// The elements of a tuple or record: as they stand in one that is just being made, else of one that is evaluated once.
    fn elements(&mut self, value: Expr, block: &mut Vec<Stmt>) -> Vec<Expr> {
        if let ExprKind::Compose(parts) = &*value.kind {
            return parts.iter().map(|(_, part)| part.clone()).collect();
        }
        let value = if matches!(*value.kind, ExprKind::Var(_)) { value } else { self.named("compared", value, block) };
        let parts = value.ty.offsets().into_iter().zip(value.ty.elements());
        let field = |(offset, ty): (u32, &Type)| {
            Expr::new(ExprKind::Field { base: value.clone(), offset }, ty.clone(), value.span)
        };
        parts.map(field).collect()
    }

    /// What stands in `if`, `/…/`, `&&` and the like: a number that is true unless it is zero.
    pub fn condition(&mut self, expr: &ast::Expr) -> Fallible<Expr> {
        let value = self.value(expr)?;
        match &value.ty {
            Type::Str(_) => self.has_text(value, expr.span),
            ty if ty.is_scalar() => Ok(value),
            ty => {
                let message = format!("Invalid condition: an expression of type '{ty}' is neither true nor false");
                Err(self.error(Diagnostic::error(expr.span, message).hint("compare it with something: == or !=")))
            }
        }
    }

    /// Text is true unless it is empty.
    pub(super) fn has_text(&mut self, text: Expr, span: Span) -> Fallible<Expr> {
        let empty = literal(Vec::new(), span);
        self.compare(CompareOp::Ne, text, empty, span)
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
        self.choice(test, then, otherwise, span)
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
        if !is_number(&old.ty) && !matches!(old.ty, Type::Ptr(..)) {
            let message = format!("The ++ and -- operators can not be used on expressions of type '{}'", old.ty);
            return Err(self.error(Diagnostic::error(span, message)));
        }
        let ty = old.ty.clone();
        // The sum is a 64-bit number like any other, so that counting up does not wrap in a narrow variable.
        let wide = if ty.sign() == Sign::Signed { Type::I64 } else { Type::U64 };
        let wide = if matches!(ty, Type::Ptr(..)) { ty.clone() } else { wide };
        let before = self.fresh("old value", ty.clone());
        let kept = Expr::new(ExprKind::Var(before), ty.clone(), span);
        let new = self.operate(BinaryOp::Add, kept.clone(), by, span)?;
        let new = converted(new, &wide);
        let after = self.fresh("new value", wide.clone());
        let new_value = Expr::new(ExprKind::Var(after), wide.clone(), span);
        // Whoever counts in a variable of a narrow type means it to be so.
        let stored = match self.declared_of(target) {
            Some(declared) => converted(new_value.clone(), &declared),
            None => new_value.clone(),
        };
        let store = self.assign_value(target, stored, span)?;
        let block =
            vec![Stmt::new(StmtKind::Set(before, old), span), Stmt::new(StmtKind::Set(after, new), span), store];
        let result = if when == StepTime::Pre { new_value } else { kept };
        let ty = result.ty.clone();
        Ok(Expr::new(ExprKind::Seq(block, result), ty, span))
    }

    /// The type that a variable was declared to have.
    fn declared_of(&self, target: &ast::Expr) -> Option<Type> {
        match &*target.kind {
            ast::ExprKind::Var(name) => self.lookup(name)?.declared.clone(),
            _ => None,
        }
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

/// The number of a literal name, if the other side is shown by such names.
fn numbered(value: &Expr, name: &Expr) -> Option<Expr> {
    let (Type::Named(naming), ExprKind::Str(name_text)) = (&value.ty, &*name.kind) else { return None };
    let number = builtins::number_of(naming, name_text)?;
    Some(Expr::int(number, value.ty.clone(), name.span))
}

/// Signed if either side is; a literal that is not negative takes the sign of the other side.
fn common_sign(left: &Expr, right: &Expr) -> Sign {
    let is_signed = |side: &Expr| side.ty.sign() == Sign::Signed && constant(side).is_none_or(|value| value < 0);
    let both_literal = constant(left).is_some() && constant(right).is_some();
    if is_signed(left) || is_signed(right) || both_literal { Sign::Signed } else { Sign::Unsigned }
}

/// Texts, or arrays of one type, compared in memory.
fn differing(op: CompareOp, left: Expr, right: Expr, span: Span) -> ExprKind {
    let differs = Expr::new(ExprKind::StrCompare { left, right, len: None }, Type::I64, span);
    ExprKind::Compare { op, sign: Sign::Unsigned, left: differs, right: Expr::int(0, Type::I64, span) }
}

fn holds(op: CompareOp, order: Ordering) -> bool {
    match op {
        CompareOp::Eq => order.is_eq(),
        CompareOp::Ne => order.is_ne(),
        CompareOp::Lt => order.is_lt(),
        CompareOp::Le => order.is_le(),
        CompareOp::Gt => order.is_gt(),
        CompareOp::Ge => order.is_ge(),
    }
}

fn literal(text: Vec<u8>, span: Span) -> Expr {
    let ty = Type::Str(text.len() as u32 + 1);
    Expr::new(ExprKind::Str(text), ty, span)
}

/// Pointer arithmetic counts in elements.
fn scaled(op: BinaryOp, left: Expr, right: Expr, span: Span) -> Expr {
    let ty = left.ty.clone();
    let size = if let Type::Ptr(to, _) = &ty { to.size().max(1) } else { 1 };
    let size = Expr::int(i64::from(size), Type::I64, span);
    let sign = Sign::Signed;
    let offset = ExprKind::Binary { op: ir::BinaryOp::Mul, sign, left: right, right: size, zero: None };
    let right = Expr::new(offset, Type::I64, span);
    Expr::new(ExprKind::Binary { op: core(op), sign, left, right, zero: None }, ty, span)
}

fn is_number(ty: &Type) -> bool {
    matches!(ty, Type::Int(_) | Type::Bool | Type::Enum(_))
}

fn is_comparable(ty: &Type) -> bool {
    is_number(ty) || matches!(ty, Type::Ptr(..) | Type::KSym)
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
