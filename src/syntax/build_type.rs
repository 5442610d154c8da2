//! Types: pairs in, [`TypeName`] out.

use super::ast::{Count, Name, TypeBase, TypeName, TypeSuffix};
use super::build::{Builder, parts, take};
use super::parse::{Node, Rule};

impl Builder {
    pub(super) fn type_name(&mut self, node: Node<'_>) -> TypeName {
        let span = self.span(&node);
        let mut inner = parts(node);
        let base = self.type_base(take(&mut inner));
        let suffixes = inner.map(|suffix| self.type_suffix(suffix)).collect();
        TypeName { base, suffixes, span }
    }

    fn type_base(&mut self, node: Node<'_>) -> TypeBase {
        match node.as_rule() {
            Rule::type_of => TypeBase::Typeof(Box::new(self.queried(node))),
            Rule::tuple_type => {
                TypeBase::Tuple(parts(node).filter(is_no_comma).map(|element| self.type_name(element)).collect())
            }
            Rule::record_type => {
                TypeBase::Record(parts(node).filter(is_no_comma).map(|field| self.typed_field(field)).collect())
            }
            _ => TypeBase::Named(node.as_str().split_whitespace().collect::<Vec<_>>().join(" ")),
        }
    }

    fn typed_field(&mut self, node: Node<'_>) -> (Name, TypeName) {
        let mut inner = parts(node);
        (self.name(take(&mut inner)), self.type_name(take(&mut inner)))
    }

    fn type_suffix(&mut self, node: Node<'_>) -> TypeSuffix {
        match node.as_rule() {
            Rule::pointer => TypeSuffix::Pointer,
            _ => TypeSuffix::Array(self.array_length(node)),
        }
    }

    fn array_length(&mut self, node: Node<'_>) -> Option<Count> {
        let written = parts(node).next()?;
        let span = self.span(&written);
        let length = self.count(written);
        if matches!(length, Count::Number(number) if u32::try_from(number).is_err()) {
            self.fault(span, "syntax: array length is too large");
        }
        Some(length)
    }

    /// A number, or the name of one.
    pub(super) fn count(&mut self, node: Node<'_>) -> Count {
        match node.as_rule() {
            Rule::number => Count::Number(self.integer(&node).0),
            _ => Count::Named(self.name(node)),
        }
    }
}

fn is_no_comma(node: &Node<'_>) -> bool {
    node.as_rule() != Rule::comma
}
