//! `fn` definitions: pairs in, [`Function`] out.

use super::ast::{Function, FunctionParam};
use super::build::{Builder, parts, take};
use super::parse::{Node, Rule};
use crate::diag::Diagnostic;

impl Builder {
    pub(super) fn function_item(&mut self, node: Node<'_>) -> Function {
        let span = self.span(&node);
        let mut inner = parts(node).filter(|part| part.as_rule() != Rule::comma);
        let name = self.name(take(&mut inner));
        let (mut params, mut result, mut body, mut head) = (Vec::new(), None, Vec::new(), span);
        for part in inner {
            match part.as_rule() {
                Rule::function_param => params.extend(self.function_param(part)),
                Rule::type_name => result = Some(self.type_name(part)),
                _ => {
                    head = span.start_to(self.span(&part).start);
                    body = self.statements(part);
                }
            }
        }
        Function { name, params, result, body, head, span }
    }

    /// A map as a parameter is refused; the function counts as one without it.
    fn function_param(&mut self, node: Node<'_>) -> Option<FunctionParam> {
        let mut inner = parts(node);
        let first = take(&mut inner);
        let is_map = first.as_rule() == Rule::map_name;
        let name = self.name(first);
        if is_map {
            let fault = Diagnostic::error(name.span, "a map cannot be handed to a function");
            self.faults.push(fault.hint(format!(
                "functions may use {0} by its name; to write it once for several maps, make it a macro: macro name({0}) {{ ... }}",
                name.text
            )));
            return None;
        }
        Some(FunctionParam { name, ty: self.type_name(take(&mut inner)) })
    }
}
