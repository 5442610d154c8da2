//! Variables of an explicit type, which does not widen; and what is said of those that nothing is assigned to.

use super::convert::join;
use super::cx::Local;
use super::operators::constant;
use super::{Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::syntax::ast;
use crate::types::{Int, Naming, Sign, Space, Type};

/// Types that only maps can have.
const AGGREGATES: [&str; 9] =
    ["count_t", "sum_t", "min_t", "max_t", "avg_t", "stats_t", "hist_t", "lhist_t", "tseries_t"];

/// Stands for strings of all sizes.
const ANY_STRING: Type = Type::Str(0);

/// Whether a declared variable becomes what it is assigned in what its type leaves open: how long a string is, how a time or a
/// cgroup is shown.
pub(super) fn grows(declared: &Type, value: &Type) -> bool {
    match (declared, value) {
        (Type::Str(_), Type::Str(_)) => *declared == ANY_STRING,
        (Type::Timestamp(format), Type::Timestamp(_)) => format.is_empty(),
        (Type::Named(Naming::Cgroup(pattern)), Type::Named(Naming::Cgroup(_))) => pattern.is_empty(),
        _ => false,
    }
}

impl Cx<'_> {
    /// The type that `let $x: type` gives a variable.
    pub(super) fn declared_type(&mut self, ty: &ast::TypeName) -> Fallible<Type> {
        if let ast::TypeBase::Named(name) = &ty.base
            && AGGREGATES.contains(&name.as_str())
        {
            let message = format!("Invalid variable declaration type: {name}");
            let hint = "only maps hold aggregations: @name = count();";
            return Err(self.error(Diagnostic::error(ty.span, message).hint(hint)));
        }
        Ok(match self.type_named(ty)? {
            Type::Ptr(to, Space::Unknown) => Type::Ptr(to, self.context.space),
            other => other,
        })
    }

    /// Likewise for a variable, which holds strings of any size if it is said to be a `string`.
    pub(super) fn variable_type(&mut self, ty: &ast::TypeName) -> Fallible<Type> {
        match &ty.base {
            ast::TypeBase::Named(name) if name == "string" && ty.suffixes.is_empty() => Ok(ANY_STRING),
            _ => self.declared_type(ty),
        }
    }

    pub(super) fn local_mut(&mut self, name: &str) -> Option<&mut Local> {
        self.scopes.iter_mut().rev().find_map(|scope| scope.get_mut(name))
    }

    /// Leaves a block. What was declared in it and never assigned is told.
    pub(super) fn close_scope(&mut self) {
        let Some(scope) = self.scopes.pop() else { return };
        for (name, local) in scope {
            if let Some(span) = local.waiting {
                self.warn(span, format!("Variable {name} was never assigned to."));
            }
        }
    }

    /// A large unsigned number that is kept as a signed one, because the place also gets signed ones, may turn negative.
    pub(super) fn warn_of_sign(&mut self, value: &Expr, to: &Type) {
        match (&value.ty, to) {
            (Type::Int(Int::U64), Type::Int(Int::I64)) => self.warn_of_cut(value, to),
            (from, Type::Tuple(_) | Type::Record(..)) => {
                let ExprKind::Compose(parts) = &*value.kind else { return };
                let Some(sources) = to.matching(from) else { return };
                let pairs = sources.into_iter().zip(to.elements());
                pairs.for_each(|(at, ty)| self.warn_of_sign(&parts[at].1, ty));
            }
            _ => {}
        }
    }

    /// A number that goes into a type that cannot hold all of its type is cut.
    pub(super) fn warn_of_cut(&mut self, value: &Expr, to: &Type) {
        let (Type::Int(from), Type::Int(into)) = (&value.ty, to) else { return };
        let is_held = match (from.sign, into.sign) {
            (Sign::Unsigned, Sign::Signed) => from.bits < into.bits,
            (Sign::Signed, Sign::Unsigned) => false,
            (Sign::Signed, Sign::Signed) | (Sign::Unsigned, Sign::Unsigned) => from.bits <= into.bits,
        };
        let is_literal = constant(value).is_some_and(|number| is_in_range(number, *into));
        if !is_held && !is_literal {
            let message = format!(
                "Expression of type: {} being cast to type: {to}. This may cause unexpected results. Use an explicit cast to suppress this warning.",
                value.ty
            );
            self.warn(value.span, message);
        }
    }
}

/// Whether a value may go into a variable of an explicit type. Numbers may be cut on the way, literals may not.
pub(super) fn fits(value: &Expr, declared: &Type) -> bool {
    match (declared, &value.ty, constant(value)) {
        (Type::Int(int), Type::Int(_), Some(number)) => is_in_range(number, *int),
        (Type::Int(_), Type::Int(_) | Type::Enum(_), None) | (Type::Ptr(..), Type::Ptr(..), _) => true,
        (_, from, _) => join(declared, from).as_ref() == Some(declared),
    }
}

fn is_in_range(number: i128, int: Int) -> bool {
    match int.sign {
        Sign::Signed => (-(1i128 << (int.bits - 1))..1i128 << (int.bits - 1)).contains(&number),
        Sign::Unsigned => (0..1i128 << int.bits).contains(&number),
    }
}
