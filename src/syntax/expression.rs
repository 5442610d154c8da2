//! Parse tree in, [`ast::Expr`](super::ast::Expr) out; precedence is decided here.

use std::sync::LazyLock;

use pest::pratt_parser::{Assoc, Op, PrattParser};

use super::ast::{Arrow, BinaryOp, Expr, ExprKind, StepTime, UnaryOp};
use super::build::{Builder, inner, inner_of};
use super::grammar::{Node, Rule};
use crate::diag::Diagnostic;

/// Operators that stand between operands, loosest first.
static PRECEDENCE: LazyLock<PrattParser<Rule>> = LazyLock::new(|| {
    let left = |rule| Op::infix(rule, Assoc::Left);
    PrattParser::new()
        .op(left(Rule::or))
        .op(left(Rule::and))
        .op(left(Rule::bit_or))
        .op(left(Rule::bit_xor))
        .op(left(Rule::bit_and))
        .op(left(Rule::eq) | left(Rule::ne))
        .op(left(Rule::lt) | left(Rule::gt) | left(Rule::le) | left(Rule::ge))
        .op(left(Rule::shl) | left(Rule::shr))
        .op(left(Rule::add) | left(Rule::sub))
        .op(left(Rule::mul) | left(Rule::div) | left(Rule::modulo))
});

impl Builder {
    /// Any rule that stands where an expression may.
    pub fn expression(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(&node);
        let kind = match node.as_rule() {
            Rule::ternary => return self.ternary(node),
            Rule::operation => return self.operation(node),
            Rule::unary | Rule::range_unary => return self.unary(node),
            Rule::postfix_expression => return self.postfix(node),
            Rule::parentheses => return self.parentheses(node),
            Rule::string => ExprKind::Str(self.text(&node)),
            Rule::duration_or_integer => self.number(&node),
            Rule::bool => ExprKind::Bool(node.as_str() == "true"),
            Rule::positional => self.positional(&node),
            Rule::count_of_positional => ExprKind::PositionalCount,
            Rule::variable => ExprKind::Var(node.as_str().to_string()),
            Rule::map => self.map(node),
            Rule::sizeof_type => ExprKind::SizeofType(self.type_name(last(node))),
            Rule::sizeof_expr => ExprKind::SizeofExpr(self.expression(last(node))),
            Rule::call => self.call(node),
            _ => ExprKind::Ident(node.as_str().to_string()),
        };
        Expr { kind: Box::new(kind), span }
    }

    fn ternary(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(&node);
        let mut parts = node.into_inner();
        let cond = self.expression(inner_of(parts.next()));
        let mut branches: Vec<Expr> = parts.skip(1).map(|branch| self.expression(branch)).collect();
        let Some(otherwise) = branches.pop() else { return cond };
        let kind = ExprKind::Ternary { cond, then: branches.pop(), otherwise };
        Expr { kind: Box::new(kind), span }
    }

    fn operation(&mut self, node: Node<'_>) -> Expr {
        PRECEDENCE
            .map_primary(|operand| self.unary(operand))
            .map_infix(|left, op, right| {
                let span = left.span.to(right.span);
                Expr { kind: Box::new(ExprKind::Binary(binary(op.as_rule()), left, right)), span }
            })
            .parse(node.into_inner())
    }

    fn unary(&mut self, node: Node<'_>) -> Expr {
        let mut parts: Vec<Node<'_>> = node.into_inner().collect();
        let operand = inner_of(parts.pop());
        let mut expr = self.expression(operand);
        for prefix in parts.into_iter().rev() {
            let span = self.span(&prefix).to(expr.span);
            let prefix = inner(Some(prefix));
            expr = Expr { kind: Box::new(self.prefixed(prefix, expr)), span };
        }
        expr
    }

    fn prefixed(&mut self, prefix: Node<'_>, operand: Expr) -> ExprKind {
        match prefix.as_rule() {
            Rule::increment => self.step(operand, 1, StepTime::Pre),
            Rule::decrement => self.step(operand, -1, StepTime::Pre),
            Rule::cast => ExprKind::Cast { ty: self.type_name(inner(Some(prefix))), value: operand },
            Rule::negate => ExprKind::Unary(UnaryOp::Negate, operand),
            Rule::invert => ExprKind::Unary(UnaryOp::Invert, operand),
            Rule::deref => ExprKind::Unary(UnaryOp::Deref, operand),
            Rule::address => ExprKind::Unary(UnaryOp::Address, operand),
            _ => ExprKind::Unary(UnaryOp::Not, operand),
        }
    }

    fn postfix(&mut self, node: Node<'_>) -> Expr {
        let mut parts = node.into_inner();
        let mut expr = self.expression(inner_of(parts.next()));
        for postfix in parts {
            let span = expr.span.to(self.span(&postfix));
            expr = Expr { kind: Box::new(self.postfixed(inner(Some(postfix)), expr)), span };
        }
        expr
    }

    fn postfixed(&mut self, postfix: Node<'_>, base: Expr) -> ExprKind {
        match postfix.as_rule() {
            Rule::post_increment => self.step(base, 1, StepTime::Post),
            Rule::post_decrement => self.step(base, -1, StepTime::Post),
            Rule::index => ExprKind::Index { base, index: self.expression(inner(Some(postfix))) },
            Rule::tuple_index => {
                let index = inner(Some(postfix)).as_str().parse().unwrap_or(u32::MAX);
                ExprKind::TupleIndex { base, index }
            }
            rule => {
                let arrow = if rule == Rule::arrow { Arrow::Arrow } else { Arrow::Dot };
                ExprKind::Field { base, name: self.name(&inner(Some(postfix))), arrow }
            }
        }
    }

    fn step(&mut self, target: Expr, by: i8, when: StepTime) -> ExprKind {
        if !matches!(*target.kind, ExprKind::Var(_) | ExprKind::Map { .. } | ExprKind::Bad) {
            let message = "syntax: ++ and -- need a variable or a map";
            self.faults.push(Diagnostic::error(target.span, message).hint("for example: $x++ or @count[pid]++"));
            return ExprKind::Bad;
        }
        ExprKind::Step { target, by, when }
    }

    fn parentheses(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(&node);
        let mut is_tuple = true;
        let mut elements = Vec::new();
        for (position, part) in node.into_inner().enumerate() {
            if part.as_rule() == Rule::comma {
                is_tuple = true;
            } else {
                // One element without a comma is just an expression in parentheses.
                is_tuple = position > 0;
                elements.push(self.expression(part));
            }
        }
        match elements.pop() {
            Some(only) if !is_tuple => Expr { span, ..only },
            last => {
                elements.extend(last);
                Expr { kind: Box::new(ExprKind::Tuple(elements)), span }
            }
        }
    }

    fn positional(&mut self, node: &Node<'_>) -> ExprKind {
        match node.as_str()[1..].parse() {
            Ok(number) => ExprKind::Positional(number),
            Err(_) => {
                let message = "syntax: overflow error, there are not that many parameters";
                self.faults.push(Diagnostic::error(self.span(node), message));
                ExprKind::Bad
            }
        }
    }

    fn map(&mut self, node: Node<'_>) -> ExprKind {
        let mut parts = node.into_inner();
        let name = inner_of(parts.next()).as_str().to_string();
        let keys: Vec<Expr> = parts.map(|key| self.expression(key)).collect();
        ExprKind::Map { name, keys: (!keys.is_empty()).then_some(keys) }
    }

    fn call(&mut self, node: Node<'_>) -> ExprKind {
        let mut parts = node.into_inner();
        let name = self.name(&inner_of(parts.next()));
        ExprKind::Call { name, args: parts.map(|arg| self.expression(arg)).collect() }
    }
}

fn last(node: Node<'_>) -> Node<'_> {
    inner_of(node.into_inner().last())
}

fn binary(rule: Rule) -> BinaryOp {
    match rule {
        Rule::or => BinaryOp::Or,
        Rule::and => BinaryOp::And,
        Rule::eq => BinaryOp::Eq,
        Rule::ne => BinaryOp::Ne,
        Rule::shl => BinaryOp::Shl,
        Rule::shr => BinaryOp::Shr,
        Rule::le => BinaryOp::Le,
        Rule::ge => BinaryOp::Ge,
        Rule::lt => BinaryOp::Lt,
        Rule::gt => BinaryOp::Gt,
        Rule::bit_or => BinaryOp::BitOr,
        Rule::bit_xor => BinaryOp::BitXor,
        Rule::bit_and => BinaryOp::BitAnd,
        Rule::add => BinaryOp::Add,
        Rule::sub => BinaryOp::Sub,
        Rule::mul => BinaryOp::Mul,
        Rule::div => BinaryOp::Div,
        _ => BinaryOp::Mod,
    }
}
