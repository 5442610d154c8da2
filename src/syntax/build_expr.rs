//! Expressions: pairs in, [`Expr`] out.

use super::ast::{Arrow, Expr, ExprKind, Name, Queried, StepTime, UnaryOp};
use super::build::{Builder, parts, take};
use super::parse::{Node, Rule};
use super::precedence::PRECEDENCE;
use crate::diag::Diagnostic;
use crate::source::Span;

/// A statement with more operators would make a tree too high for the stages that walk it.
const MAX_OPERATORS: usize = 1000;

impl Builder {
    /// An expression that stands alone, as a predicate does.
    pub(super) fn statement_expression(&mut self, node: Node<'_>) -> Expr {
        self.begin_operators();
        self.expression(node)
    }

    /// `a`, or `a ? b : c ? d : e`, which groups from the right.
    pub(super) fn expression(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(&node);
        let choices = node.clone().into_inner().count() - 1;
        if !self.may_hold(choices, span) {
            return bad(span);
        }
        let mut inner = parts(node);
        let mut conditions = vec![self.binary(take(&mut inner))];
        let mut results = Vec::new();
        for choice in inner {
            let mut branches: Vec<_> = parts(choice).collect();
            conditions.extend(branches.pop().map(|otherwise| self.binary(otherwise)));
            results.push(branches.pop().map(|then| self.expression(then)));
        }
        let last = conditions.pop().unwrap_or_else(|| bad(span));
        conditions.into_iter().zip(results).rfold(last, |otherwise, (cond, then)| {
            let span = cond.span.to(otherwise.span);
            expr(ExprKind::Ternary { cond, then, otherwise }, span)
        })
    }

    fn binary(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(&node);
        if !self.may_hold(node.clone().into_inner().count() / 2, span) {
            return bad(span);
        }
        PRECEDENCE
            .map_primary(|operand| self.unary(operand))
            .map_infix(|left, operator, right| {
                let span = left.span.to(right.span);
                match super::ast::BinaryOp::from_symbol(operator.as_str().trim_end()) {
                    Some(op) => expr(ExprKind::Binary(op, left, right), span),
                    None => expr(ExprKind::Bad, span),
                }
            })
            .parse(node.into_inner())
    }

    /// Prefix operators and casts apply from the inside out.
    pub(super) fn unary(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(&node);
        let mut prefixes: Vec<_> = parts(node).collect();
        if !self.may_hold(prefixes.len() - 1, span) {
            return bad(span);
        }
        let operand = prefixes.pop().map_or_else(|| bad(span), |operand| self.postfix(operand));
        prefixes.into_iter().rev().fold(operand, |operand, prefix| self.prefix(prefix, operand))
    }

    fn prefix(&mut self, node: Node<'_>, operand: Expr) -> Expr {
        let span = self.span(&node).to(operand.span);
        let kind = match node.as_rule() {
            Rule::comptime => ExprKind::Comptime(operand),
            Rule::cast => ExprKind::Cast { ty: self.type_name(take(&mut parts(node))), value: operand },
            Rule::step => return self.step(&node, operand, StepTime::Pre),
            Rule::invert => ExprKind::Unary(UnaryOp::Invert, operand),
            Rule::negate => ExprKind::Unary(UnaryOp::Negate, operand),
            Rule::dereference => ExprKind::Unary(UnaryOp::Deref, operand),
            Rule::address => {
                self.addressable(&operand);
                ExprKind::Unary(UnaryOp::Address, operand)
            }
            _ => ExprKind::Unary(UnaryOp::Not, operand),
        };
        expr(kind, span)
    }

    fn addressable(&mut self, operand: &Expr) {
        if !matches!(*operand.kind, ExprKind::Var(_) | ExprKind::Map { .. } | ExprKind::Bad) {
            self.fault(operand.span, "syntax: address-of operator (&) can only be used on a map or variable");
        }
    }

    /// `++` or `--` before or after its target.
    fn step(&mut self, node: &Node<'_>, target: Expr, when: StepTime) -> Expr {
        let span = self.span(node).to(target.span);
        if !matches!(*target.kind, ExprKind::Var(_) | ExprKind::Map { .. }) {
            let fault = Diagnostic::error(target.span, "syntax: increment/decrement requires a variable or map");
            self.faults.push(match node.as_str() {
                "--" => fault.hint("to negate twice, put a space between the signs: - -x"),
                _ => fault.hint("for example: $x++ or @count[pid]++"),
            });
        }
        let by = if node.as_str() == "++" { 1 } else { -1 };
        expr(ExprKind::Step { target, by, when }, span)
    }

    pub(super) fn postfix(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(&node);
        if !self.may_hold(node.clone().into_inner().count() - 1, span) {
            return bad(span);
        }
        let mut inner = parts(node).peekable();
        let first = take(&mut inner);
        if inner.peek().is_some_and(|next| is_fraction(&first, next)) {
            let fault = Diagnostic::error(span, "syntax: floating-point numbers are not supported");
            self.faults.push(fault.hint("use a whole number of a smaller unit, such as 1500us for 1.5ms"));
            return bad(span);
        }
        let base = self.primary(first);
        inner.fold(base, |base, suffix| self.suffix(base, suffix))
    }

    fn suffix(&mut self, base: Expr, node: Node<'_>) -> Expr {
        let span = base.span.to(self.span(&node));
        let kind = match node.as_rule() {
            Rule::step => return self.step(&node, base, StepTime::Post),
            Rule::index => ExprKind::Index { base, index: self.expression(take(&mut parts(node))) },
            Rule::tuple_index => return self.tuple_index(base, node, span),
            _ => {
                let mut inner: Vec<_> = parts(node).collect();
                let name = inner.pop().map(|name| self.name(name));
                let arrow = if inner.is_empty() { Arrow::Dot } else { Arrow::Arrow };
                match name {
                    Some(name) => ExprKind::Field { base, name, arrow },
                    None => ExprKind::Bad,
                }
            }
        };
        expr(kind, span)
    }

    fn tuple_index(&mut self, base: Expr, node: Node<'_>, span: Span) -> Expr {
        let digits = take(&mut parts(node));
        match digits.as_str().parse() {
            Ok(index) => expr(ExprKind::TupleIndex { base, index }, span),
            Err(_) => {
                self.fault(self.span(&digits), "syntax: tuple index is too large");
                bad(span)
            }
        }
    }

    pub(super) fn primary(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(&node);
        let text = node.as_str();
        let kind = match node.as_rule() {
            Rule::number => {
                let (value, suffix) = self.integer(&node);
                ExprKind::Int { value, suffix: suffix.to_string() }
            }
            Rule::string | Rule::unterminated_string => ExprKind::Str(self.string(&node)),
            Rule::character => self.character(text, span),
            Rule::variable => ExprKind::Var(text.to_string()),
            Rule::positional => self.positional(text, span),
            Rule::positional_count => ExprKind::PositionalCount,
            Rule::boolean => ExprKind::Bool(text == "true"),
            Rule::identifier | Rule::discard => ExprKind::Ident(text.to_string()),
            Rule::map => self.map(node),
            Rule::call => self.call(node),
            Rule::sizeof => ExprKind::Sizeof(self.queried(node)),
            Rule::parenthesised => return self.parenthesised(node),
            Rule::offsetof => self.offsetof(node),
            Rule::typeinfo => ExprKind::Typeinfo(self.queried(node)),
            Rule::record => self.record(node),
            Rule::if_value | Rule::if_statement => return self.if_value(node),
            Rule::block_value | Rule::block => return self.block_value(node),
            _ => ExprKind::Bad,
        };
        expr(kind, span)
    }

    fn character(&mut self, text: &str, span: Span) -> ExprKind {
        let inner = text.trim_matches('\'');
        let fault = Diagnostic::error(span, "syntax: expected expression")
            .hint(format!("there are no character literals; strings stand in double quotes: \"{inner}\""));
        self.faults.push(match inner.as_bytes() {
            [byte] => fault.hint(format!("the number of this character is {byte}")),
            _ => fault,
        });
        ExprKind::Bad
    }

    fn positional(&mut self, text: &str, span: Span) -> ExprKind {
        match text[1..].parse() {
            Ok(number @ 1..) => ExprKind::Positional(number),
            _ => {
                self.fault(span, format!("syntax: param {text} is out of integer range [1, {}]", i64::MAX));
                ExprKind::Bad
            }
        }
    }

    fn map(&mut self, node: Node<'_>) -> ExprKind {
        let mut inner = node.into_inner();
        let name = take(&mut inner).as_str().to_string();
        let bracketed = !inner.is_empty();
        let keys: Vec<_> =
            inner.filter(|part| part.as_rule() == Rule::expression).map(|key| self.expression(key)).collect();
        ExprKind::Map { name, keys: bracketed.then_some(keys) }
    }

    fn call(&mut self, node: Node<'_>) -> ExprKind {
        let mut inner = parts(node);
        let name = self.name(take(&mut inner));
        let args = inner.filter(|part| part.as_rule() != Rule::comma).map(|arg| self.argument(arg)).collect();
        ExprKind::Call { name, args }
    }

    fn argument(&mut self, node: Node<'_>) -> Expr {
        match node.as_rule() {
            Rule::type_of => {
                let span = self.span(&node);
                expr(ExprKind::Typeof(self.queried(node)), span)
            }
            _ => self.expression(node),
        }
    }

    /// The operand of `sizeof` and its like.
    pub(super) fn queried(&mut self, node: Node<'_>) -> Queried {
        let operand = take(&mut parts(node));
        match operand.as_rule() {
            Rule::sure_type => Queried::Type(self.type_name(operand)),
            _ => Queried::Expr(self.expression(operand)),
        }
    }

    fn offsetof(&mut self, node: Node<'_>) -> ExprKind {
        let path =
            parts(node.clone()).filter(|part| part.as_rule() == Rule::word).map(|word| self.name(word)).collect();
        ExprKind::Offsetof { of: self.queried(node), path }
    }

    /// A comma makes a tuple, and so does nothing at all.
    fn parenthesised(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(&node);
        let (mut items, mut commas) = (Vec::new(), 0);
        for part in parts(node) {
            match part.as_rule() {
                Rule::comma => commas += 1,
                _ => items.push(self.expression(part)),
            }
        }
        match (items.pop(), commas) {
            (Some(only), 0) => Expr { span, ..only },
            (last, _) => {
                items.extend(last);
                expr(ExprKind::Tuple(items), span)
            }
        }
    }

    fn record(&mut self, node: Node<'_>) -> ExprKind {
        let fields = parts(node).filter(|part| part.as_rule() == Rule::record_field);
        ExprKind::Record(fields.map(|field| self.record_field(field)).collect())
    }

    fn record_field(&mut self, node: Node<'_>) -> (Name, Expr) {
        let mut inner = parts(node);
        (self.name(take(&mut inner)), self.expression(take(&mut inner)))
    }

    /// A new statement begins, unless it is part of an expression.
    pub(super) fn begin_operators(&mut self) {
        if self.inner_blocks == 0 {
            self.operators = 0;
        }
    }

    /// Counts operators of the current statement, and reports when they become too many.
    fn may_hold(&mut self, operators: usize, span: Span) -> bool {
        let before = self.operators;
        self.operators += operators;
        let fits = self.operators <= MAX_OPERATORS;
        if !fits && before <= MAX_OPERATORS {
            let fault =
                Diagnostic::error(span, format!("syntax: more than {MAX_OPERATORS} operators in one statement"));
            self.faults.push(fault.hint("split it: assign parts of it to variables first"));
        }
        fits
    }
}

/// Stands for what has been refused.
pub(super) fn bad(span: Span) -> Expr {
    expr(ExprKind::Bad, span)
}

/// `1.5`: to the grammar the fifth element of 1.
fn is_fraction(first: &Node<'_>, next: &Node<'_>) -> bool {
    let touch = first.as_span().end() == next.as_span().start();
    first.as_rule() == Rule::number && next.as_rule() == Rule::tuple_index && touch
}

pub(super) fn expr(kind: ExprKind, span: Span) -> Expr {
    Expr { kind: Box::new(kind), span }
}
