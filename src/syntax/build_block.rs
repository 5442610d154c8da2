//! Blocks and `if` as values: pairs in, [`Expr`] out.

use super::ast::{Expr, ExprKind};
use super::build::{Builder, parts, take};
use super::build_expr::expr;
use super::build_stmt::MAX_ELSE_IF;
use super::parse::{Node, Rule};
use crate::source::Span;

/// One `if` or `else if`: condition, body and place.
type Branch = (Expr, Expr, Span);

impl Builder {
    /// A block whose value is that of its last expression, if no semicolon ends it.
    pub(super) fn block_value(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(&node);
        let last = node.clone().into_inner().filter(|part| part.as_rule() != Rule::close_brace).last();
        let gives = last.is_some_and(|last| may_give(last.as_rule()));
        let mut statements: Vec<_> = parts(node).collect();
        let value = if gives { statements.pop() } else { None };
        self.inner_blocks += 1;
        let body = statements.into_iter().map(|statement| self.statement(statement)).collect();
        let value = value.map(|value| self.last_value(value));
        self.inner_blocks -= 1;
        expr(ExprKind::Block(body, value), span)
    }

    fn last_value(&mut self, node: Node<'_>) -> Expr {
        match node.as_rule() {
            Rule::expression => self.expression(node),
            _ => self.primary(node),
        }
    }

    pub(super) fn if_value(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(&node);
        let mut inner = parts(node);
        let mut branches = vec![self.branch(&mut inner, span)];
        let mut otherwise = None;
        for part in inner {
            let part_span = self.span(&part);
            match part.as_rule() {
                Rule::else_if => branches.push(self.branch(&mut parts(part), part_span)),
                _ => otherwise = Some(self.block_value(part)),
            }
        }
        if branches.len() > MAX_ELSE_IF {
            self.fault(branches[MAX_ELSE_IF].2, format!("syntax: more than {MAX_ELSE_IF} 'else if' in a row"));
            branches.truncate(MAX_ELSE_IF);
        }
        let nested = branches.into_iter().rev().fold(otherwise, |otherwise, (cond, then, place)| {
            let span = Span { end: span.end, ..place };
            Some(expr(ExprKind::If { cond, then, otherwise }, span))
        });
        nested.unwrap_or_else(|| super::build_expr::bad(span))
    }

    fn branch<'t>(&mut self, parts: &mut impl Iterator<Item = Node<'t>>, span: Span) -> Branch {
        (self.condition(take(parts)), self.block_value(take(parts)), span)
    }
}

/// Whether what ends a block can be its value. A semicolon would stand behind a mere statement.
fn may_give(last: Rule) -> bool {
    matches!(last, Rule::expression | Rule::if_statement | Rule::block)
}
