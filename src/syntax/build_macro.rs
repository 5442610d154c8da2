//! Macro definitions: pairs in, [`Macro`] out.

use super::ast::{Macro, Param, ParamKind};
use super::build::{Builder, parts, take};
use super::parse::{Node, Rule};
use crate::diag::Diagnostic;

/// Names that stand for the event or the process whatever a macro calls its parameters.
const TAKEN: [&str; 7] = ["args", "ctx", "kstack", "nsecs", "pid", "tid", "ustack"];

impl Builder {
    pub(super) fn macro_item(&mut self, node: Node<'_>) -> Macro {
        let span = self.span(&node);
        let mut inner = parts(node).filter(|part| part.as_rule() != Rule::comma);
        let name = self.name(take(&mut inner));
        let mut pieces: Vec<_> = inner.collect();
        let body = pieces.pop().map(|body| self.block_value(body)).unwrap_or_else(|| super::build_expr::bad(span));
        let params: Vec<Param> = pieces.into_iter().map(|param| self.macro_param(param)).collect();
        let head = span.start_to(body.span.start);
        Macro { name, params, body, head, span }
    }

    fn macro_param(&mut self, node: Node<'_>) -> Param {
        let kind = match node.as_rule() {
            Rule::variable => ParamKind::Variable,
            Rule::map_name => ParamKind::Map,
            _ => ParamKind::Expr,
        };
        let name = self.name(node);
        if kind == ParamKind::Expr && TAKEN.contains(&name.text.as_str()) {
            let message = format!("syntax: builtin '{}' can't be used as a macro argument", name.text);
            self.faults.push(Diagnostic::error(name.span, message));
        }
        Param { name, kind }
    }
}
