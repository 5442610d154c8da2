//! Statements: pairs in, [`Stmt`] out.

use super::ast::{BinaryOp, Expr, ExprKind, Stmt, StmtKind};
use super::build::{Builder, parts, take};
use super::build_expr::bad;
use super::parse::{Node, Rule};
use crate::diag::Diagnostic;
use crate::source::Span;

/// Longer chains of `else if` would nest too deep for the stages that walk the tree.
pub(super) const MAX_ELSE_IF: usize = 200;

impl Builder {
    /// The statements of a block, in braces or angle brackets.
    pub(super) fn statements(&mut self, block: Node<'_>) -> Vec<Stmt> {
        parts(block).map(|statement| self.statement(statement)).collect()
    }

    pub(super) fn statement(&mut self, node: Node<'_>) -> Stmt {
        self.begin_operators();
        let span = self.span(&node);
        let kind = match node.as_rule() {
            Rule::if_statement => return self.if_statement(node),
            Rule::unroll => self.unroll(node),
            Rule::while_loop => self.while_loop(node),
            Rule::for_loop => self.for_loop(node),
            Rule::block => StmtKind::Block(self.statements(node)),
            Rule::let_statement => self.let_statement(node),
            Rule::return_statement => StmtKind::Return(parts(node).next().map(|value| self.expression(value))),
            Rule::break_statement => StmtKind::Break,
            Rule::continue_statement => StmtKind::Continue,
            Rule::assignment => self.assignment(node),
            Rule::import => StmtKind::Import(self.import(node)),
            _ => StmtKind::Expr(self.expression(node)),
        };
        Stmt { kind, span }
    }

    /// An `else if` is an `if` alone in the `else`; the chain is built from its end.
    fn if_statement(&mut self, node: Node<'_>) -> Stmt {
        let span = self.span(&node);
        let mut inner = parts(node);
        let cond = self.condition(take(&mut inner));
        let then = self.statements(take(&mut inner));
        let (mut branches, mut otherwise) = (vec![(cond, then, span)], None);
        for part in inner {
            let part_span = self.span(&part);
            match part.as_rule() {
                Rule::else_if => {
                    let mut inner = parts(part);
                    self.begin_operators();
                    let cond = self.condition(take(&mut inner));
                    branches.push((cond, self.statements(take(&mut inner)), part_span));
                }
                _ => otherwise = Some(self.statements(part)),
            }
        }
        if branches.len() > MAX_ELSE_IF {
            self.fault(branches[MAX_ELSE_IF].2, format!("syntax: more than {MAX_ELSE_IF} 'else if' in a row"));
            branches.truncate(MAX_ELSE_IF);
        }
        chain(branches, otherwise, span)
    }

    pub(super) fn condition(&mut self, node: Node<'_>) -> Expr {
        self.unary(take(&mut parts(node)))
    }

    fn unroll(&mut self, node: Node<'_>) -> StmtKind {
        let mut inner = parts(node);
        StmtKind::Unroll { count: self.condition(take(&mut inner)), body: self.statements(take(&mut inner)) }
    }

    fn while_loop(&mut self, node: Node<'_>) -> StmtKind {
        let mut inner = parts(node);
        StmtKind::While { cond: self.condition(take(&mut inner)), body: self.statements(take(&mut inner)) }
    }

    fn for_loop(&mut self, node: Node<'_>) -> StmtKind {
        let mut inner = parts(node);
        let var = self.name(take(&mut inner));
        let mut ends = parts(take(&mut inner));
        let from = self.postfix(take(&mut ends));
        let to = ends.next().map(|to| self.postfix(to));
        let body = self.statements(take(&mut inner));
        match to {
            Some(to) => StmtKind::ForRange { var, from, to, body },
            None => StmtKind::ForMap { var, map: self.iterated_map(from), body },
        }
    }

    fn iterated_map(&mut self, map: Expr) -> Expr {
        if !matches!(*map.kind, ExprKind::Map { .. } | ExprKind::Bad) {
            let fault = Diagnostic::error(map.span, "syntax: expected map or range in for loop");
            self.faults
                .push(fault.hint("loop over a map with `for ($kv : @map)`, over numbers with `for ($i : 0..10)`"));
        }
        map
    }

    fn let_statement(&mut self, node: Node<'_>) -> StmtKind {
        let mut inner = parts(node);
        let name = self.name(take(&mut inner));
        let (mut ty, mut value) = (None, None);
        for part in inner {
            match part.as_rule() {
                Rule::type_name => ty = Some(self.type_name(part)),
                _ => value = Some(self.expression(part)),
            }
        }
        StmtKind::Let { name, ty, value }
    }

    fn assignment(&mut self, node: Node<'_>) -> StmtKind {
        let mut inner = parts(node);
        let place = self.primary(take(&mut inner));
        let mut rest: Vec<_> = inner.collect();
        let value = rest.pop().map(|value| self.expression(value));
        let op = rest.pop().and_then(|op| BinaryOp::from_symbol(op.as_str().trim_end_matches('=')));
        let value = value.unwrap_or_else(|| bad(place.span));
        StmtKind::Assign { place, op, value }
    }
}

/// One `if` or `else if`: condition, body and place.
type Branch = (Expr, Vec<Stmt>, Span);

/// Nests the branches of an `if`, the last innermost.
fn chain(branches: Vec<Branch>, mut otherwise: Option<Vec<Stmt>>, whole: Span) -> Stmt {
    for (cond, then, span) in branches.into_iter().rev() {
        let kind = StmtKind::If { cond, then, otherwise: otherwise.take() };
        otherwise = Some(vec![Stmt { kind, span: Span { end: whole.end, ..span } }]);
    }
    let outermost = otherwise.and_then(|mut statements| statements.pop());
    outermost.unwrap_or(Stmt { kind: StmtKind::Block(Vec::new()), span: whole })
}
