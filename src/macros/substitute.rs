//! One expansion: a copy of a macro's body in which arguments stand for parameters.

use std::collections::HashMap;

use super::Moved;
use crate::diag::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{Expr, ExprKind, Stmt, StmtKind, TypeBase, TypeName};
use crate::syntax::visit::{VisitMut, walk_expr, walk_stmt, walk_type};

/// What stands for a parameter.
pub struct Argument {
    value: Expr,
    /// Expressions in it.
    size: usize,
}

impl Argument {
    pub fn new(mut value: Expr) -> Self {
        let mut count = Count(0);
        count.expr(&mut value);
        Self { value, size: count.0 }
    }
}

struct Count(usize);

impl VisitMut for Count {
    fn expr(&mut self, expr: &mut Expr) {
        self.0 += 1;
        walk_expr(self, expr);
    }
}

pub struct Substitution<'a> {
    arguments: HashMap<&'a str, Argument>,
    moved: Moved,
    number: usize,
    /// How many more expressions may be made.
    pub left: usize,
    pub faults: Vec<Diagnostic>,
}

impl<'a> Substitution<'a> {
    pub fn new(arguments: HashMap<&'a str, Argument>, moved: Moved, number: usize, left: usize) -> Self {
        Self { arguments, moved, number, left, faults: Vec::new() }
    }

    pub fn body(&mut self, body: &mut Expr) {
        self.expr(body);
    }

    /// The name that a variable of the body has in this expansion: the argument's, or one that no program can write.
    fn rename(&self, name: &mut String) {
        *name = match self.arguments.get(name.as_str()).map(|argument| &*argument.value.kind) {
            Some(ExprKind::Var(other)) => other.clone(),
            _ => format!("{name}#{}", self.number),
        };
    }

    fn declare(&mut self, name: &mut String, span: Span) {
        if self.arguments.contains_key(name.as_str()) {
            let hint = "a macro's own variables need names that its parameters have not";
            self.fault(span, format!("Variable declaration shadows macro arg {name}"), hint);
        }
        self.rename(name);
    }

    fn map(&mut self, name: &mut String, span: Span) {
        match self.arguments.get(name.as_str()).map(|argument| &*argument.value.kind) {
            Some(ExprKind::Map { name: other, .. }) => *name = other.clone(),
            _ => self.fault(
                span,
                format!("Unhygienic access to map: {name}. Maps must be passed into the macro as arguments."),
                "a parameter that is a map stands for the one that is passed: macro name(@map) { @map = 1; }",
            ),
        }
    }

    fn fault(&mut self, mut span: Span, message: String, hint: &str) {
        self.moved.apply(&mut span);
        self.faults.push(Diagnostic::error(span, message).hint(hint));
    }

    /// The argument in place of its parameter; its places stay those of the caller.
    fn argument(&mut self, name: &str) -> Option<Expr> {
        let argument = self.arguments.get(name)?;
        self.left = self.left.saturating_sub(argument.size);
        let is_fine = self.left > 0;
        is_fine.then(|| argument.value.clone())
    }
}

impl VisitMut for Substitution<'_> {
    fn stmt(&mut self, stmt: &mut Stmt) {
        match &mut stmt.kind {
            StmtKind::Let { name, .. } => self.declare(&mut name.text, name.span),
            StmtKind::ForRange { var, .. } | StmtKind::ForMap { var, .. } => self.declare(&mut var.text, var.span),
            StmtKind::Return(_) => self.fault(
                stmt.span,
                "'return' statement is not allowed in a macro".to_string(),
                "the value of a macro is its last expression; a function returns: fn name(...): type { ... }",
            ),
            _ => {}
        }
        walk_stmt(self, stmt);
    }

    fn expr(&mut self, expr: &mut Expr) {
        self.left = self.left.saturating_sub(1);
        match &mut *expr.kind {
            ExprKind::Var(name) => self.rename(name),
            ExprKind::Map { name, .. } => self.map(name, expr.span),
            ExprKind::Ident(name) => {
                let name = std::mem::take(name);
                if let Some(argument) = self.argument(&name) {
                    *expr = argument;
                    return;
                }
                *expr.kind = ExprKind::Ident(name);
            }
            _ => {}
        }
        walk_expr(self, expr);
    }

    fn type_name(&mut self, ty: &mut TypeName) {
        if let TypeBase::Named(name) = &ty.base
            && let Some(ExprKind::Typeof(of)) = self.arguments.get(name.as_str()).map(|argument| &*argument.value.kind)
        {
            ty.base = TypeBase::Typeof(Box::new(of.clone()));
            self.moved.apply(&mut ty.span);
            return;
        }
        walk_type(self, ty);
    }

    fn span(&mut self, span: &mut Span) {
        self.moved.apply(span);
    }
}
