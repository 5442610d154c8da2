//! The part of a declaration that has the name: `*next`, `name[4][2]`, `(*open)(struct file *)`.

use super::{Parsed, Parser};
use crate::btf::TypeId;
use crate::btf::build::Definition;
use crate::diag::Diagnostic;

/// A name and its type; parameters and anonymous members have no name.
pub(super) struct Declarator {
    pub name: Option<String>,
    pub ty: TypeId,
}

/// What a declarator makes of the type before it.
enum Layer {
    Pointer,
    Array(u32),
    Function(Vec<(String, TypeId)>),
}

impl Parser<'_> {
    pub(super) fn declarator(&mut self, base: TypeId) -> Parsed<Declarator> {
        let (name, layers) = self.nested(Self::layers)?;
        let ty = layers.into_iter().fold(base, |ty, layer| {
            self.builder.add(match layer {
                Layer::Pointer => Definition::Pointer(ty),
                Layer::Array(count) => Definition::Array { element: ty, count },
                Layer::Function(params) => Definition::Function { result: ty, params },
            })
        });
        Ok(Declarator { name, ty })
    }

    /// In the order in which they apply: what stands in parentheses comes last, of arrays the innermost first.
    fn layers(&mut self) -> Parsed<(Option<String>, Vec<Layer>)> {
        let mut layers = Vec::new();
        while self.take("*") {
            layers.push(Layer::Pointer);
            while matches!(self.peek(), "const" | "volatile" | "restrict" | "__restrict" | "__restrict__") {
                self.at += 1;
            }
        }
        let (name, inner) = match self.peek() {
            "(" if self.is_grouping() => {
                self.expect("(")?;
                let grouped = self.nested(Self::layers)?;
                self.expect(")")?;
                grouped
            }
            _ => (self.take_name(), Vec::new()),
        };
        let mut suffixes = Vec::new();
        loop {
            if self.take("[") {
                suffixes.push(Layer::Array(self.count()?));
            } else if self.take("(") {
                suffixes.push(Layer::Function(self.nested(Self::parameters)?));
            } else {
                break;
            }
        }
        layers.extend(suffixes.into_iter().rev());
        layers.extend(inner);
        Ok((name, layers))
    }

    /// A parenthesis opens a group if a declarator follows, and parameters if a type does.
    fn is_grouping(&self) -> bool {
        self.tokens.get(self.at + 1).is_some_and(|token| matches!(token.text.as_str(), "*" | "("))
    }

    /// `[]` is an array at the end of a structure that has no length of its own.
    fn count(&mut self) -> Parsed<u32> {
        if self.take("]") {
            return Ok(0);
        }
        let start = self.at;
        let count = self.constant(&["]"])?;
        let span = self.span_from(start);
        self.expect("]")?;
        u32::try_from(count).map_err(|_| Diagnostic::error(span, format!("an array cannot have {count} elements")))
    }

    fn parameters(&mut self) -> Parsed<Vec<(String, TypeId)>> {
        let mut params = Vec::new();
        let is_void = self.peek() == "void" && self.tokens.get(self.at + 1).is_some_and(|next| next.text == ")");
        self.at += usize::from(is_void);
        if self.take(")") {
            return Ok(params);
        }
        loop {
            if self.take("...") {
                params.push((String::new(), TypeId::VOID));
            } else {
                let base = self.specifiers()?;
                let param = self.declarator(base)?;
                params.push((param.name.unwrap_or_default(), param.ty));
            }
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(params)
    }
}
