//! C declarations in, the types that they define out.

mod aggregate;
mod declarator;
mod specifier;

use std::collections::HashMap;

use super::constant::evaluate;
use super::lex::Token;
use crate::btf::build::{Aggregate, Builder, Definition};
use crate::btf::{Btf, Kind, TypeId};
use crate::diag::Diagnostic;
use crate::source::Span;

/// What the declarations of a script come to.
pub struct Declared {
    pub types: Btf,
    pub warnings: Vec<Diagnostic>,
}

/// Defines what the tokens declare, in terms of the kernel's types.
pub fn declare(tokens: &[Token], kernel: Option<&Btf>) -> Result<Declared, Diagnostic> {
    let broken = |error: crate::error::Error| Diagnostic::error(place(tokens, 0), error.message);
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        builder: Builder::new(kernel).map_err(broken)?,
        tags: HashMap::new(),
        typedefs: HashMap::new(),
        basics: HashMap::new(),
        enumerators: HashMap::new(),
        warnings: Vec::new(),
    };
    while parser.at < tokens.len() {
        parser.declaration()?;
    }
    Ok(Declared { types: parser.builder.finish().map_err(broken)?, warnings: parser.warnings })
}

type Parsed<T> = Result<T, Diagnostic>;

/// What a tag is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Tag {
    Aggregate(Aggregate),
    Enum,
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    builder: Builder,
    tags: HashMap<(Tag, String), TypeId>,
    typedefs: HashMap<String, TypeId>,
    /// Types that C has without declaring them, as far as they were needed.
    basics: HashMap<&'static str, TypeId>,
    enumerators: HashMap<String, i128>,
    warnings: Vec<Diagnostic>,
}

/// Types within types are followed this far.
const DEPTH: usize = 64;

impl Parser<'_> {
    /// `struct foo { … };`, `struct foo;`, `typedef … name;`. What follows the brace of a type needs no semicolon.
    fn declaration(&mut self) -> Parsed<()> {
        if self.take(";") {
            return Ok(());
        }
        let is_typedef = self.take("typedef");
        let start = self.at;
        let base = self.specifiers()?;
        if is_typedef {
            return self.typedef_names(base);
        }
        let ends = matches!(self.peek(), "" | ";" | "struct" | "union" | "enum" | "typedef");
        if !matches!(self.tokens[start].text.as_str(), "struct" | "union" | "enum") || !ends {
            let fault = Diagnostic::error(self.place(), "only types can be declared here");
            return Err(fault.hint("declare structures, unions, enumerations and typedefs"));
        }
        Ok(())
    }

    fn typedef_names(&mut self, base: TypeId) -> Parsed<()> {
        loop {
            let place = self.place();
            let declared = self.declarator(base)?;
            let Some(name) = declared.name else { return Err(self.expected("a name for the type")) };
            if let Some(Definition::Typedef { .. }) =
                self.typedefs.get(&name).and_then(|id| self.builder.definition(*id))
            {
                return Err(Diagnostic::error(place, format!("redefinition of '{name}'")));
            }
            self.attributes()?;
            self.tell_redefinition(&name, &name, &[Kind::Typedef], place);
            let id = self.builder.add(Definition::Typedef { name: name.clone(), target: declared.ty });
            self.typedefs.insert(name, id);
            if !self.take(",") {
                return self.expect(";");
            }
        }
    }

    /// The kernel's own type of this name is no longer seen.
    fn tell_redefinition(&mut self, shown: &str, name: &str, kinds: &[Kind], span: Span) {
        if kinds.iter().any(|kind| self.builder.base().find(name, *kind).is_some()) {
            let message =
                format!("the kernel has a '{shown}' of its own; the definition in the script takes its place");
            self.warnings.push(Diagnostic::warning(span, message));
        }
    }

    /// A constant expression, up to one of these marks.
    fn constant(&mut self, ends: &[&str]) -> Parsed<i128> {
        let start = self.at;
        let mut written = Vec::new();
        let mut open = 0;
        while self.at < self.tokens.len() && (open > 0 || !ends.contains(&self.peek())) {
            open += i32::from(self.peek() == "(") - i32::from(self.peek() == ")");
            let token = self.tokens[self.at].clone();
            self.at += 1;
            let text = if token.text == "sizeof" { self.sizeof()?.to_string() } else { token.text };
            written.push(Token { text, ..token });
        }
        let name = |name: &str| self.enumerators.get(name).copied().or_else(|| self.kernels_constant(name));
        evaluate(&written, &name)
            .ok_or_else(|| Diagnostic::error(self.span_from(start), "this is not a constant expression"))
    }

    fn kernels_constant(&self, name: &str) -> Option<i128> {
        self.builder.base().enum_value(name).map(|(_, value)| i128::from(value))
    }

    /// The type in parentheses, after the word.
    fn sizeof(&mut self) -> Parsed<u32> {
        self.expect("(")?;
        let start = self.at;
        let base = self.nested(Self::specifiers)?;
        let of = self.declarator(base)?.ty;
        let span = self.span_from(start);
        self.expect(")")?;
        self.builder.size_of(of).ok_or_else(|| Diagnostic::error(span, "this type is incomplete"))
    }

    /// Runs a part of a type that may contain types.
    fn nested<T>(&mut self, part: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEPTH {
            return Err(Diagnostic::error(self.place(), "types are nested too deeply here"));
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", |token| &token.text)
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.peek() == text;
        self.at += usize::from(found);
        found
    }

    /// A name that is no keyword.
    fn take_name(&mut self) -> Option<String> {
        let token = self.tokens.get(self.at).filter(|token| token.is_name() && !specifier::is_keyword(&token.text))?;
        self.at += 1;
        Some(token.text.clone())
    }

    fn expect(&mut self, mark: &str) -> Parsed<()> {
        if self.take(mark) { Ok(()) } else { Err(self.expected(&format!("'{mark}'"))) }
    }

    fn expected(&self, what: &str) -> Diagnostic {
        let found = match self.peek() {
            "" => "the end of the declarations".to_string(),
            text => format!("'{text}'"),
        };
        Diagnostic::error(self.place(), format!("expected {what}, found {found}"))
    }

    fn place(&self) -> Span {
        place(self.tokens, self.at)
    }

    fn span_from(&self, start: usize) -> Span {
        place(self.tokens, start).to(place(self.tokens, self.at.saturating_sub(1).max(start)))
    }
}

/// Where a token stands, or where the last one ends.
fn place(tokens: &[Token], at: usize) -> Span {
    match (tokens.get(at), tokens.last()) {
        (Some(token), _) => token.span,
        (None, Some(last)) => last.span,
        (None, None) => Span::new(0, 0),
    }
}

#[cfg(test)]
mod tests;
