//! Parse tree in, [`ast`] out: one function a rule, for programs, probes, statements and types.

use pest::iterators::Pairs;

use super::ast::{
    AttachPoint, BinaryOp, ExprKind, Name, Probe, Program, Setting, SettingValue, Stmt, StmtKind, TypeName, TypeSuffix,
};
use super::grammar::{Node, Rule};
use super::literal;
use crate::diag::Diagnostic;
use crate::source::Span;

/// Builds the tree of one source; what is wrong with literals is collected on the way.
pub struct Builder {
    /// Where the source begins in the common space of offsets.
    base: u32,
    pub faults: Vec<Diagnostic>,
}

impl Builder {
    pub fn new(base: u32) -> Self {
        Self { base, faults: Vec::new() }
    }

    pub fn program(&mut self, node: Node<'_>) -> Program {
        let mut program = Program::default();
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::config_block => program.config = part.into_inner().map(|setting| self.setting(setting)).collect(),
                Rule::probe => program.probes.push(self.probe(part)),
                _ => {}
            }
        }
        program
    }

    pub fn span(&self, node: &Node<'_>) -> Span {
        let span = node.as_span();
        let end = span.start() + span.as_str().trim_end().len();
        Span::new(self.base as usize + span.start(), self.base as usize + end)
    }

    pub fn name(&self, node: &Node<'_>) -> Name {
        Name { text: node.as_str().to_string(), span: self.span(node) }
    }

    pub fn text(&mut self, node: &Node<'_>) -> Vec<u8> {
        literal::string(node.as_str()).unwrap_or_else(|(message, at)| {
            let start = self.span(node).start + at as u32;
            let fault = Diagnostic::error(Span { start, end: start + 2 }, message);
            self.faults
                .push(fault.hint("escapes are \\n \\t \\r \\\" \\\\ \\xHH and \\ooo; for a backslash write \\\\"));
            Vec::new()
        })
    }

    pub fn number(&mut self, node: &Node<'_>) -> ExprKind {
        literal::number(node.as_str()).unwrap_or_else(|message| {
            let mut fault = Diagnostic::error(self.span(node), message);
            if node.as_str().starts_with("0b") {
                fault = fault.hint("write it in hexadecimal: 0x...");
            }
            self.faults.push(fault);
            ExprKind::Bad
        })
    }

    fn setting(&mut self, node: Node<'_>) -> Setting {
        let mut parts = node.into_inner();
        let key = parts.next().map(|key| self.name(&key)).unwrap_or_else(|| missing("a setting has a key"));
        let value = inner(parts.next());
        let value_span = self.span(&value);
        let value = match value.as_rule() {
            Rule::string => SettingValue::Text(String::from_utf8_lossy(&self.text(&value)).into_owned()),
            Rule::integer => match self.number(&value) {
                ExprKind::Int { value, .. } => SettingValue::Int(value),
                _ => SettingValue::Int(0),
            },
            _ => match value.as_str() {
                "true" => SettingValue::Bool(true),
                "false" => SettingValue::Bool(false),
                word => SettingValue::Word(word.to_string()),
            },
        };
        Setting { key, value, value_span }
    }

    fn probe(&mut self, node: Node<'_>) -> Probe {
        let mut probe = Probe { attach_points: Vec::new(), predicate: None, body: Vec::new(), span: self.span(&node) };
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::attach_points => {
                    probe.attach_points = part.into_inner().map(|point| self.attach_point(point)).collect();
                }
                Rule::predicate => probe.predicate = Some(self.expression(inner(Some(inner(Some(part)))))),
                _ => probe.body = self.statements(inner(Some(part))),
            }
        }
        probe
    }

    fn attach_point(&mut self, node: Node<'_>) -> AttachPoint {
        let span = self.span(&node);
        let parts = node.into_inner().map(|part| self.attach_part(part)).collect();
        AttachPoint { parts, span }
    }

    fn attach_part(&mut self, node: Node<'_>) -> Name {
        let span = self.span(&node);
        let mut text = String::new();
        for piece in node.into_inner() {
            match piece.as_rule() {
                Rule::attach_quoted => text.push_str(&String::from_utf8_lossy(&self.text(&piece))),
                _ => text.push_str(piece.as_str()),
            }
        }
        Name { text, span }
    }

    fn statements(&mut self, node: Node<'_>) -> Vec<Stmt> {
        node.into_inner().map(|statement| self.statement(inner(Some(statement)))).collect()
    }

    fn block(&mut self, node: Node<'_>) -> Vec<Stmt> {
        self.statements(inner(Some(node)))
    }

    fn statement(&mut self, node: Node<'_>) -> Stmt {
        let span = self.span(&node);
        let rule = node.as_rule();
        let mut parts = node.clone().into_inner().filter(|part| !is_keyword(part.as_rule()));
        let mut next = || parts.next();
        let kind = match rule {
            Rule::if_statement => return self.if_statement(node),
            Rule::let_statement => self.let_statement(node.into_inner()),
            Rule::for_range => self.for_range(node.into_inner()),
            Rule::break_statement => StmtKind::Break,
            Rule::continue_statement => StmtKind::Continue,
            Rule::return_statement => StmtKind::Return(next().map(|value| self.expression(value))),
            Rule::block => StmtKind::Block(self.block(node)),
            Rule::unroll => {
                let (count, body) = (inner_of(next()), inner_of(next()));
                StmtKind::Unroll { count: self.expression(count), body: self.block(body) }
            }
            Rule::while_loop => {
                let (cond, body) = (inner_of(next()), inner_of(next()));
                StmtKind::While { cond: self.expression(cond), body: self.block(body) }
            }
            Rule::for_map => {
                let (var, map, body) = (inner_of(next()), inner_of(next()), inner_of(next()));
                StmtKind::ForMap { var: self.name(&var), map: self.expression(map), body: self.block(body) }
            }
            Rule::assignment => {
                let (place, op, value) = (inner_of(next()), inner_of(next()), inner_of(next()));
                let place = inner(Some(place));
                StmtKind::Assign {
                    place: self.expression(place),
                    op: assign_op(op.as_str()),
                    value: self.expression(value),
                }
            }
            _ => StmtKind::Expr(self.expression(inner_of(next()))),
        };
        Stmt { kind, span }
    }

    fn if_statement(&mut self, node: Node<'_>) -> Stmt {
        let span = self.span(&node);
        let mut parts = node.into_inner().filter(|part| !is_keyword(part.as_rule()));
        let cond = self.expression(inner(parts.next()));
        let then = self.block(inner_of(parts.next()));
        let otherwise = parts.next().map(|part| match part.as_rule() {
            Rule::if_statement => vec![self.if_statement(part)],
            _ => self.block(part),
        });
        Stmt { kind: StmtKind::If { cond, then, otherwise }, span }
    }

    fn let_statement(&mut self, parts: Pairs<'_, Rule>) -> StmtKind {
        let mut name = Name { text: String::new(), span: Span::default() };
        let (mut ty, mut value) = (None, None);
        for part in parts.filter(|part| !is_keyword(part.as_rule())) {
            match part.as_rule() {
                Rule::variable => name = self.name(&part),
                Rule::type_name => ty = Some(self.type_name(part)),
                _ => value = Some(self.expression(part)),
            }
        }
        StmtKind::Let { name, ty, value }
    }

    fn for_range(&mut self, parts: Pairs<'_, Rule>) -> StmtKind {
        let mut parts = parts.filter(|part| !is_keyword(part.as_rule()));
        let (var, from, to, body) =
            (inner_of(parts.next()), inner(parts.next()), inner(parts.next()), inner_of(parts.next()));
        StmtKind::ForRange {
            var: self.name(&var),
            from: self.expression(from),
            to: self.expression(to),
            body: self.block(body),
        }
    }

    pub fn type_name(&mut self, node: Node<'_>) -> TypeName {
        let span = self.span(&node);
        let mut base = String::new();
        let mut suffixes = Vec::new();
        for part in node.into_inner() {
            if part.as_rule() == Rule::type_suffix {
                suffixes.push(type_suffix(inner(Some(part))));
            } else {
                base = part.as_str().split_whitespace().collect::<Vec<_>>().join(" ");
            }
        }
        TypeName { base, suffixes, span }
    }
}

/// The only part of a rule that always has one.
pub fn inner(node: Option<Node<'_>>) -> Node<'_> {
    inner_of(node.and_then(|node| node.into_inner().next()))
}

/// A part that the grammar guarantees.
pub fn inner_of(node: Option<Node<'_>>) -> Node<'_> {
    node.unwrap_or_else(|| missing("this rule has this part"))
}

/// Reached only if this file and `grammar.pest` disagree, which the tests of every rule would show.
fn missing<T>(what: &str) -> T {
    unreachable!("grammar.pest says otherwise: {what}")
}

fn type_suffix(node: Node<'_>) -> TypeSuffix {
    match node.as_rule() {
        Rule::type_pointer => TypeSuffix::Pointer,
        _ => TypeSuffix::Array(node.into_inner().next().and_then(|digits| digits.as_str().parse().ok())),
    }
}

fn is_keyword(rule: Rule) -> bool {
    use Rule::{kw_break, kw_continue, kw_else, kw_for, kw_if, kw_let, kw_return, kw_sizeof, kw_unroll, kw_while};
    matches!(
        rule,
        kw_break | kw_continue | kw_else | kw_for | kw_if | kw_let | kw_return | kw_sizeof | kw_unroll | kw_while
    )
}

fn assign_op(text: &str) -> Option<BinaryOp> {
    Some(match text {
        "+=" => BinaryOp::Add,
        "-=" => BinaryOp::Sub,
        "*=" => BinaryOp::Mul,
        "/=" => BinaryOp::Div,
        "%=" => BinaryOp::Mod,
        "&=" => BinaryOp::BitAnd,
        "|=" => BinaryOp::BitOr,
        "^=" => BinaryOp::BitXor,
        "<<=" => BinaryOp::Shl,
        ">>=" => BinaryOp::Shr,
        _ => return None,
    })
}
