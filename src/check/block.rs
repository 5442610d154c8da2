//! Blocks and `if` as values, `comptime`, and the type that an expression has.

use super::convert::{Told, join_branches, join_told};
use super::cx::Scope;
use super::{Cx, Fallible, Reported, expr};
use crate::btf::Kind;
use crate::builtins;
use crate::diag::Diagnostic;
use crate::ir::{Block, Expr, ExprKind, Stmt, StmtKind};
use crate::source::Span;
use crate::syntax::ast::{self, Queried};
use crate::types::Type;

impl Cx<'_> {
    /// `{ statements; value }` in a scope of its own.
    pub(super) fn block_value(&mut self, body: &[ast::Stmt], value: Option<&ast::Expr>, span: Span) -> Fallible<Expr> {
        self.scopes.push(Scope::new());
        let mut block = self.statements(body);
        let value = value.map(|value| self.any(value));
        self.close_scope();
        match value {
            Some(value) if block.is_empty() => value,
            Some(value) => {
                let value = value?;
                let ty = value.ty.clone();
                if ty == Type::Void {
                    block.push(Stmt::new(StmtKind::Eval(value), span));
                    return Ok(Expr::effect(block, span));
                }
                Ok(Expr::new(ExprKind::Seq(block, value), ty, span))
            }
            None => Ok(Expr::effect(block, span)),
        }
    }

    /// `if c { a } else { b }`; only the branch taken is evaluated.
    pub(super) fn if_value(
        &mut self,
        cond: &ast::Expr,
        then: &ast::Expr,
        otherwise: Option<&ast::Expr>,
        span: Span,
    ) -> Fallible<Expr> {
        let (decision, cond) = self.decided(cond);
        match (decision, otherwise) {
            (Some(true), _) => return self.any(then),
            (Some(false), Some(otherwise)) => return self.any(otherwise),
            (Some(false), None) => return Ok(Expr::effect(Block::new(), span)),
            (None, _) => {}
        }
        let then = self.any(then);
        let otherwise = otherwise.map(|otherwise| self.any(otherwise)).transpose();
        let (cond, then) = (cond?, then?);
        let otherwise = otherwise?;
        let is_void = then.ty == Type::Void;
        match otherwise {
            None if is_void => Ok(branches(cond, then, None, span)),
            Some(otherwise) if is_void && otherwise.ty == Type::Void => Ok(branches(cond, then, Some(otherwise), span)),
            Some(otherwise) => self.choice(cond, then, otherwise, span),
            None => {
                let fault = Diagnostic::error(span, "'if' without 'else' has no value");
                Err(self.error(fault.hint("say what the value is otherwise: if c { a } else { b }")))
            }
        }
    }

    /// A condition, and what it is known to be if it is written `comptime`: the branch not taken is then not looked at, so it may
    /// name what this kernel does not have.
    pub(super) fn decided(&mut self, cond: &ast::Expr) -> (Option<bool>, Fallible<Expr>) {
        let lowered = self.condition(cond);
        let decision = match (&*cond.kind, lowered.as_ref().map(|cond| &*cond.kind)) {
            (ast::ExprKind::Comptime(_), Ok(ExprKind::Int(value))) => Some(*value != 0),
            _ => None,
        };
        self.env.is_cut |= decision.is_some();
        (decision, lowered)
    }

    /// One value or the other. If it is known which, as where a parameter says it, the types need not fit each other.
    pub(super) fn choice(&mut self, cond: Expr, then: Expr, otherwise: Expr, span: Span) -> Fallible<Expr> {
        let told = join_told((&then.ty, &Told::by(&then)), (&otherwise.ty, &Told::by(&otherwise)));
        let joined = told.map(|(ty, _)| ty).or_else(|| join_branches(&then.ty, &otherwise.ty));
        let Some(ty) = joined else {
            if let ExprKind::Int(known) = *cond.kind {
                return Ok(if known != 0 { then } else { otherwise });
            }
            let message = format!(
                "Branches must return the same type or compatible types: have '{}' and '{}'",
                then.ty, otherwise.ty
            );
            let fault = Diagnostic::error(span, message);
            let fault = fault.label(then.span, format!("left ({})", then.ty));
            return Err(self.error(fault.label(otherwise.span, format!("right ({})", otherwise.ty))));
        };
        let (then, otherwise) = (self.convert(then, &ty)?, self.convert(otherwise, &ty)?);
        Ok(Expr::new(ExprKind::Cond { cond, then, otherwise }, ty, span))
    }

    /// What must be a literal once everything known is computed.
    pub(super) fn comptime(&mut self, value: &ast::Expr, span: Span) -> Fallible<Expr> {
        let value = self.value(value)?;
        if is_literal(&value) {
            return Ok(Expr { span, ..value });
        }
        let fault = Diagnostic::error(span, "Unable to resolve comptime expression");
        Err(self.error(
            fault.hint("it may use literals, parameters, sizeof and the like, but nothing that the event tells"),
        ))
    }

    /// The type that is meant by the operand of `sizeof` or `typeof`.
    pub fn type_of(&mut self, of: &Queried) -> Fallible<Type> {
        match of {
            Queried::Type(ty) => self.type_named(ty),
            Queried::Expr(value) => match &*value.kind {
                // A macro was handed a type.
                ast::ExprKind::Typeof(of) => self.type_of(of),
                // A bare name may be that of a type, as in `sizeof(pid_t)`.
                ast::ExprKind::Ident(name) if self.names_type(name) => {
                    self.base_type(&ast::TypeBase::Named(name.clone()), value.span)
                }
                _ => Ok(self.value(value)?.ty),
            },
        }
    }

    fn names_type(&self, name: &str) -> bool {
        let is_typedef = || self.kernel.btf().is_some_and(|btf| btf.find(name, Kind::Typedef).is_some());
        builtins::find(name).is_none() && (expr::basic_type(name).is_some() || is_typedef())
    }

    pub(super) fn stray_type(&mut self, span: Span) -> Reported {
        let message = "When used as a call argument, `typeof` builtin only valid for macro calls that are expecting a type parameter";
        self.error(Diagnostic::error(span, message).hint("types stand in casts, in 'let', in sizeof and its like"))
    }
}

/// Branches for their effect.
fn branches(cond: Expr, then: Expr, otherwise: Option<Expr>, span: Span) -> Expr {
    let run = |value: Expr| vec![Stmt::new(StmtKind::Eval(value), span)];
    let otherwise = otherwise.map_or(Block::new(), run);
    let kind = StmtKind::If { cond, then: run(then), otherwise };
    Expr::effect(vec![Stmt::new(kind, span)], span)
}

fn is_literal(value: &Expr) -> bool {
    match &*value.kind {
        ExprKind::Int(_) | ExprKind::Str(_) => true,
        ExprKind::Compose(parts) => parts.iter().all(|(_, part)| is_literal(part)),
        _ => false,
    }
}
