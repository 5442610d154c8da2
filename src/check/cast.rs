//! Casts: which types can be made of which, and how.

use super::convert::{converted, narrow};
use super::operators::constant;
use super::{Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::source::Span;
use crate::syntax::ast;
use crate::types::{EnumType, Int, Sign, Space, Type};

impl Cx<'_> {
    pub(super) fn cast(&mut self, ty: &ast::TypeName, value: &ast::Expr, span: Span) -> Fallible<Expr> {
        let to = self.type_named(ty)?;
        let is_aggregate = self.aggregate_named(value).is_some();
        let value = self.value(value)?;
        let to = self.complete(to, &value);
        let value = sized(value, &to);
        if value.ty == to {
            // An aggregation has a type of its own until it is cast.
            let is_merged = matches!(*value.kind, ExprKind::Var(id) if self.merged.contains(&id));
            if !is_aggregate && !is_merged {
                self.warn(span, format!("Unnecessary cast: expression is already of type {to}"));
            }
            return Ok(Expr { span, ..value });
        }
        match (&value.ty.clone(), &to) {
            (Type::Stack(_) | Type::Timestamp(_), _) | (_, Type::Stack(_) | Type::Timestamp(_)) => {}
            (_, Type::Enum(of)) if constant(&value).is_some() => return self.enumerator(of, &value, &to, span),
            (from, to) if from.is_scalar() && to.is_scalar() => return Ok(scalar(value, to, span)),
            (Type::Str(_), Type::Bool) => return self.has_text(value, span),
            (Type::Str(_), Type::Str(_)) => return Ok(Expr { span, ..converted(value, &to) }),
            (from, to) if is_same_bytes(from, to) => {
                return Ok(Expr::new(ExprKind::Reinterpret(value), to.clone(), span));
            }
            (_, Type::Array(of, count)) => {
                if let Some(elements) = elements(&value, of, *count) {
                    return Ok(Expr::new(ExprKind::Compose(elements), to.clone(), span));
                }
            }
            _ => {}
        }
        let message = format!("Cannot cast from \"{}\" to \"{to}\"", value.ty);
        let fault = Diagnostic::error(span, message);
        Err(self.error(match &to {
            Type::Struct(_) if value.ty.is_scalar() => fault.hint(format!("an address leads to one: ({to} *)$x")),
            Type::Array(of, _) if value.ty.is_scalar() && of.size() > 0 => {
                fault.hint(format!("of this size it would be {of}[{}]", value.ty.size() / of.size()))
            }
            _ => fault,
        }))
    }

    /// What a type leaves open follows from the value: whose memory a pointer leads to, how many elements `T[]` has.
    fn complete(&self, to: Type, value: &Expr) -> Type {
        match to {
            // A number cast to a pointer points where the probe's addresses do.
            Type::Ptr(of, Space::Unknown) => match &value.ty {
                Type::Ptr(_, space) => Type::Ptr(of, *space),
                _ => Type::Ptr(of, self.context.space),
            },
            Type::Array(of, 0) if of.size() > 0 => {
                let count = value.ty.size() / of.size();
                Type::Array(of, count)
            }
            other => other,
        }
    }

    fn enumerator(&mut self, of: &EnumType, value: &Expr, to: &Type, span: Span) -> Fallible<Expr> {
        let number = constant(value).unwrap_or(0);
        if of.variants.iter().any(|(_, known)| i128::from(*known) == number) {
            return Ok(Expr::int(number as i64, to.clone(), span));
        }
        let known: Vec<&str> = of.variants.iter().take(12).map(|(name, _)| name.as_str()).collect();
        let message = format!("Enum: {} doesn't contain a variant value of {number}", of.name);
        Err(self.error(Diagnostic::error(span, message).hint(format!("it has {}", known.join(", ")))))
    }
}

fn scalar(value: Expr, to: &Type, span: Span) -> Expr {
    match (&*value.kind, to) {
        (ExprKind::Int(number), Type::Int(int)) => Expr::int(narrow(*number, *int), to.clone(), span),
        (ExprKind::Int(number), Type::Bool) => Expr::int(i64::from(*number != 0), Type::Bool, span),
        _ => Expr::new(ExprKind::Convert(value), to.clone(), span),
    }
}

/// The elements of an array that a literal becomes: its bytes, and zeros after them. Eight bytes are the most that a number has.
fn elements(literal: &Expr, of: &Type, count: u32) -> Option<Vec<(u32, Expr)>> {
    let ExprKind::Int(number) = *literal.kind else { return None };
    let size = of.size();
    let is_possible = matches!(of, Type::Int(_) | Type::Bool) && (literal.ty.size()..=8).contains(&(size * count));
    // What is beyond the literal's own type is not filled with its sign.
    let bytes = match literal.ty {
        Type::Int(int) => narrow(number, Int { sign: Sign::Unsigned, ..int }),
        _ => number,
    };
    let element = |at: u32| {
        (at, Expr::int(bytes >> (8 * at) & (-1i64 as u64 >> (64 - 8 * size)) as i64, of.clone(), literal.span))
    };
    is_possible.then(|| (0..count).map(|index| element(index * size)).collect())
}

/// Numbers and arrays of numbers have the same bytes if they are as large.
fn is_same_bytes(from: &Type, to: &Type) -> bool {
    let is_bytes = |ty: &Type| matches!(ty, Type::Array(of, _) if matches!(**of, Type::Int(_) | Type::Bool));
    let is_characters = matches!(to, Type::Array(of, _) if matches!(**of, Type::Int(int) if int.bits == 8));
    let is_possible = match (from, to) {
        (Type::Int(_), to) => is_bytes(to),
        (from, Type::Int(_)) => is_bytes(from),
        (Type::Str(_), _) => is_characters,
        _ => false,
    };
    is_possible && from.size() == to.size()
}

/// A literal that becomes an array is as wide as that.
fn sized(value: Expr, to: &Type) -> Expr {
    match (&*value.kind, &value.ty, to, to.size()) {
        (ExprKind::Int(number), Type::Int(had), Type::Array(..), bytes @ (1 | 2 | 4 | 8))
            if u32::from(had.bits) <= 8 * bytes =>
        {
            let int = Int { bits: 8 * bytes as u8, sign: Sign::Signed };
            Expr::int(narrow(*number, int), Type::Int(int), value.span)
        }
        _ => value,
    }
}
