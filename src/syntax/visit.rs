//! A walk over a tree that may change it: a pass overrides the methods for the nodes that it cares about.

use super::ast::{Count, Expr, ExprKind, Name, Queried, Stmt, StmtKind, TypeBase, TypeName, TypeSuffix};
use crate::source::Span;

/// A pass. Methods that replace what they are given need not walk into it.
pub trait VisitMut {
    fn stmt(&mut self, stmt: &mut Stmt) {
        walk_stmt(self, stmt);
    }

    fn expr(&mut self, expr: &mut Expr) {
        walk_expr(self, expr);
    }

    fn type_name(&mut self, ty: &mut TypeName) {
        walk_type(self, ty);
    }

    /// The length of an array.
    fn count(&mut self, _: &mut Count) {}

    /// Every place in the tree.
    fn span(&mut self, _: &mut Span) {}
}

pub fn walk_block<V: VisitMut + ?Sized>(visitor: &mut V, block: &mut [Stmt]) {
    block.iter_mut().for_each(|stmt| visitor.stmt(stmt));
}

pub fn walk_stmt<V: VisitMut + ?Sized>(visitor: &mut V, stmt: &mut Stmt) {
    visitor.span(&mut stmt.span);
    match &mut stmt.kind {
        StmtKind::Expr(value) => visitor.expr(value),
        StmtKind::Let { name, ty, value } => {
            visitor.span(&mut name.span);
            ty.iter_mut().for_each(|ty| visitor.type_name(ty));
            value.iter_mut().for_each(|value| visitor.expr(value));
        }
        StmtKind::Assign { place, value, .. } => {
            visitor.expr(place);
            visitor.expr(value);
        }
        StmtKind::If { cond, then, otherwise } => {
            visitor.expr(cond);
            walk_block(visitor, then);
            otherwise.iter_mut().for_each(|otherwise| walk_block(visitor, otherwise));
        }
        StmtKind::Unroll { count: head, body } | StmtKind::While { cond: head, body } => {
            visitor.expr(head);
            walk_block(visitor, body);
        }
        StmtKind::ForRange { var, from, to, body } => {
            visitor.span(&mut var.span);
            visitor.expr(from);
            visitor.expr(to);
            walk_block(visitor, body);
        }
        StmtKind::ForMap { var, map, body } => {
            visitor.span(&mut var.span);
            visitor.expr(map);
            walk_block(visitor, body);
        }
        StmtKind::Return(value) => value.iter_mut().for_each(|value| visitor.expr(value)),
        StmtKind::Block(body) => walk_block(visitor, body),
        StmtKind::Import(import) => {
            visitor.span(&mut import.span);
            visitor.span(&mut import.path_span);
        }
        StmtKind::Break | StmtKind::Continue => {}
    }
}

pub fn walk_expr<V: VisitMut + ?Sized>(visitor: &mut V, expr: &mut Expr) {
    visitor.span(&mut expr.span);
    match &mut *expr.kind {
        ExprKind::Map { keys, .. } => keys.iter_mut().flatten().for_each(|key| visitor.expr(key)),
        ExprKind::Call { name, args } => {
            visitor.span(&mut name.span);
            args.iter_mut().for_each(|arg| visitor.expr(arg));
        }
        ExprKind::Unary(_, value) | ExprKind::Comptime(value) => visitor.expr(value),
        ExprKind::Step { target, .. } => visitor.expr(target),
        ExprKind::TupleIndex { base, .. } => visitor.expr(base),
        ExprKind::Binary(_, left, right) | ExprKind::Index { base: left, index: right } => {
            visitor.expr(left);
            visitor.expr(right);
        }
        ExprKind::Ternary { cond, then, otherwise } => {
            visitor.expr(cond);
            then.iter_mut().for_each(|then| visitor.expr(then));
            visitor.expr(otherwise);
        }
        ExprKind::If { cond, then, otherwise } => {
            visitor.expr(cond);
            visitor.expr(then);
            otherwise.iter_mut().for_each(|otherwise| visitor.expr(otherwise));
        }
        ExprKind::Cast { ty, value } => {
            visitor.type_name(ty);
            visitor.expr(value);
        }
        ExprKind::Field { base, name, .. } => {
            visitor.expr(base);
            visitor.span(&mut name.span);
        }
        ExprKind::Tuple(items) => items.iter_mut().for_each(|item| visitor.expr(item)),
        ExprKind::Record(fields) => walk_fields(fields, |name, value| {
            visitor.span(&mut name.span);
            visitor.expr(value);
        }),
        ExprKind::Block(body, value) => {
            walk_block(visitor, body);
            value.iter_mut().for_each(|value| visitor.expr(value));
        }
        ExprKind::Sizeof(of) | ExprKind::Typeinfo(of) | ExprKind::Typeof(of) => walk_queried(visitor, of),
        ExprKind::Offsetof { of, path } => {
            walk_queried(visitor, of);
            path.iter_mut().for_each(|name| visitor.span(&mut name.span));
        }
        ExprKind::Int { .. }
        | ExprKind::Bool(_)
        | ExprKind::Str(_)
        | ExprKind::Ident(_)
        | ExprKind::Var(_)
        | ExprKind::Positional(_)
        | ExprKind::PositionalCount
        | ExprKind::Bad => {}
    }
}

pub fn walk_type<V: VisitMut + ?Sized>(visitor: &mut V, ty: &mut TypeName) {
    visitor.span(&mut ty.span);
    for suffix in &mut ty.suffixes {
        match suffix {
            TypeSuffix::Array(length) => length.iter_mut().for_each(|length| visitor.count(length)),
            TypeSuffix::Pointer => {}
        }
    }
    match &mut ty.base {
        TypeBase::Named(_) => {}
        TypeBase::Typeof(of) => walk_queried(visitor, of),
        TypeBase::Tuple(elements) => elements.iter_mut().for_each(|element| visitor.type_name(element)),
        TypeBase::Record(fields) => walk_fields(fields, |name, ty| {
            visitor.span(&mut name.span);
            visitor.type_name(ty);
        }),
    }
}

fn walk_queried<V: VisitMut + ?Sized>(visitor: &mut V, of: &mut Queried) {
    match of {
        Queried::Type(ty) => visitor.type_name(ty),
        Queried::Expr(value) => visitor.expr(value),
    }
}

fn walk_fields<T>(fields: &mut [(Name, T)], mut visit: impl FnMut(&mut Name, &mut T)) {
    fields.iter_mut().for_each(|(name, of)| visit(name, of));
}
