//! C declarations in, the types that they define out.

mod aggregate;
mod declarator;
mod specifier;

use std::collections::HashMap;

use super::constant::{Answers, evaluate};
use super::layout::Attributes;
use super::lex::Token;
use super::preprocess::Inclusion;
use crate::btf::build::{Aggregate, Builder, Definition};
use crate::btf::{Btf, Kind, TypeId};
use crate::diag::Diagnostic;
use crate::source::Span;

/// What the declarations of a script come to.
pub struct Declared {
    /// `None` if there are faults.
    pub types: Option<Btf>,
    pub warnings: Vec<Diagnostic>,
    pub faults: Vec<Diagnostic>,
}

/// Defines what the tokens declare, in terms of the kernel's types. Functions and variables are passed over.
pub fn declare(tokens: &[Token], kernel: Option<&Btf>, inclusions: &[Inclusion]) -> Declared {
    let broken = |error: crate::error::Error| Diagnostic::error(place(tokens, 0), error.message);
    let builder = match Builder::new(kernel) {
        Ok(builder) => builder,
        Err(error) => return Declared { types: None, warnings: Vec::new(), faults: vec![broken(error)] },
    };
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        builder,
        inclusions,
        tags: HashMap::new(),
        typedefs: HashMap::new(),
        basics: HashMap::new(),
        enumerators: HashMap::new(),
        alignments: HashMap::new(),
        specified: Attributes::default(),
        replaced: Vec::new(),
        warnings: Vec::new(),
        faults: Vec::new(),
    };
    while parser.at < tokens.len() {
        let start = parser.at;
        if let Err(fault) = parser.declaration() {
            parser.recover(start, fault);
        }
    }
    parser.tell_differences();
    let Parser { builder, warnings, mut faults, .. } = parser;
    let types =
        if faults.is_empty() { builder.finish().map_err(|error| faults.push(broken(error))).ok() } else { None };
    Declared { types, warnings, faults }
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
    inclusions: &'a [Inclusion],
    /// What types ask for beyond what is natural to them.
    alignments: HashMap<TypeId, u32>,
    /// What the last specifiers said of where something lies.
    specified: Attributes,
    /// Types of headers that the kernel has as well.
    replaced: Vec<Replaced>,
    warnings: Vec<Diagnostic>,
    faults: Vec<Diagnostic>,
}

struct Replaced {
    /// `struct foo`, as BTF is asked for it.
    shown: String,
    kernels: TypeId,
    span: Span,
}

impl Answers for Parser<'_> {
    fn value(&self, name: &str) -> Option<i128> {
        let kernels = || self.builder.base().enum_value(name).map(|(_, value)| i128::from(value));
        self.enumerators.get(name).copied().or_else(kernels)
    }

    /// `sizeof` is answered where it is read.
    fn size(&self, _: &[Token]) -> Option<u32> {
        None
    }
}

/// Types within types are followed this far.
const DEPTH: usize = 64;

impl Parser<'_> {
    /// `struct foo { … };`, `struct foo;`, `typedef … name;`. What follows the brace of a type needs no semicolon.
    fn declaration(&mut self) -> Parsed<()> {
        while matches!(self.peek(), ";" | "__extension__") {
            self.at += 1;
        }
        if matches!(self.peek(), "_Static_assert" | "static_assert" | "asm" | "__asm__" | "") {
            self.skip_declaration();
            return Ok(());
        }
        let is_typedef = self.take("typedef");
        let base = self.specifiers()?;
        if is_typedef {
            return self.typedef_names(base);
        }
        if !matches!(self.peek(), "" | ";" | "struct" | "union" | "enum" | "typedef") {
            self.skip_declaration();
        }
        Ok(())
    }

    /// Passes over a declaration that could not be read. Only those of types matter.
    fn recover(&mut self, start: usize, fault: Diagnostic) {
        self.at = start;
        let is_function = self.skip_declaration();
        let skipped = &self.tokens[start..self.at];
        let is_typedef =
            skipped.iter().find(|token| token.text != "__extension__").is_some_and(|token| token.text == "typedef");
        let is_type = matches!(skipped.first().map_or("", |token| &token.text), "struct" | "union" | "enum");
        if is_typedef || is_type && !is_function {
            self.faults.push(fault);
        }
        let name = skipped.iter().rev().find(|token| token.is_name() && !specifier::is_keyword(&token.text));
        if let Some(name) = name.filter(|_| is_typedef).map(|name| name.text.clone()) {
            // One fault is enough: what uses the name gets a type.
            let stand_in = self.basic("int");
            self.typedefs.entry(name).or_insert(stand_in);
        }
    }

    /// Up to the semicolon of a declaration or the end of a function's body; tells whether it is a function.
    fn skip_declaration(&mut self) -> bool {
        let (mut depth, mut is_function, mut is_body) = (0i32, false, false);
        while self.at < self.tokens.len() {
            if depth == 0 && self.peek().starts_with("__attribute") {
                self.at += 2;
                self.skip_to(&[")"]);
                self.at += 1;
            }
            let word = self.peek();
            is_function |= depth == 0 && word == "(";
            is_body |= depth == 0 && word == "{" && self.at > 0 && self.tokens[self.at - 1].text == ")";
            depth += i32::from(matches!(word, "(" | "[" | "{")) - i32::from(matches!(word, ")" | "]" | "}"));
            let ends = depth <= 0 && (word == ";" || word == "}" && (is_body || self.type_follows()));
            self.at += 1;
            if ends {
                break;
            }
        }
        is_function
    }

    fn type_follows(&self) -> bool {
        let next = self.tokens.get(self.at + 1).map_or("", |token| &token.text);
        matches!(next, "struct" | "union" | "enum" | "typedef")
    }

    fn typedef_names(&mut self, base: TypeId) -> Parsed<()> {
        let specified = self.specified;
        loop {
            let place = self.place();
            let declared = self.declarator(base)?;
            let Some(name) = declared.name else { return Err(self.expected("a name for the type")) };
            let Attributes { aligned, bytes, .. } = specified.and(self.attributes()?);
            let ty = bytes.map_or(declared.ty, |bytes| self.integer_of(bytes, base));
            if let Some(known) = self.typedefs.get(&name)
                && self.builder.size_of(*known) != self.builder.size_of(ty)
            {
                return Err(Diagnostic::error(place, format!("redefinition of '{name}'")));
            }
            self.tell_redefinition(&name, &name, &[Kind::Typedef], place);
            let id = self.builder.add(Definition::Typedef { name: name.clone(), target: ty });
            self.typedefs.insert(name, id);
            self.alignments.extend(aligned.map(|aligned| (id, aligned)));
            if !self.take(",") {
                return self.expect(";");
            }
        }
    }

    /// The kernel's own type of this name is no longer seen. Headers are free to say again what the kernel says.
    fn tell_redefinition(&mut self, shown: &str, name: &str, kinds: &[Kind], span: Span) {
        let Some(kernels) = kinds.iter().find_map(|kind| self.builder.base().find(name, *kind)) else { return };
        if self
            .inclusions
            .iter()
            .any(|inclusion| inclusion.whole.start <= span.start && span.end <= inclusion.whole.end)
        {
            self.replaced.push(Replaced { shown: shown.to_string(), kernels, span });
            return;
        }
        let message = format!("the kernel has a '{shown}' of its own; the definition in the script takes its place");
        self.warnings.push(Diagnostic::warning(span, message));
    }

    fn tell_differences(&mut self) {
        for Replaced { shown, kernels, span } in std::mem::take(&mut self.replaced) {
            let name = shown.split(' ').next_back().unwrap_or(&shown).to_string();
            let tag = if shown.starts_with("union") { Aggregate::Union } else { Aggregate::Struct };
            let own = if shown.contains(' ') {
                self.tags.get(&(Tag::Aggregate(tag), name))
            } else {
                self.typedefs.get(&name)
            };
            let size = |id: &TypeId| self.builder.size_of(*id);
            let Some((own, kernels)) = own.and_then(size).zip(size(&kernels)).filter(|(own, kernels)| own != kernels)
            else {
                continue;
            };
            let message =
                format!("'{shown}' has {own} bytes here and {kernels} in the kernel; this definition takes its place");
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
            let text = match token.text.as_str() {
                "sizeof" | "_Alignof" | "__alignof__" | "__alignof" => self.measure(&token.text)?.to_string(),
                _ => token.text.clone(),
            };
            written.push(Token { text, ..token });
        }
        evaluate(&written, self)
            .ok_or_else(|| Diagnostic::error(self.span_from(start), "this is not a constant expression"))
    }

    /// The integer of so many bytes that has the sign of another.
    fn integer_of(&mut self, bytes: u32, of: TypeId) -> TypeId {
        let name = match self.builder.definition(of) {
            Some(Definition::Int { name, .. }) => name,
            _ => self.builder.base().name(of),
        };
        let is_unsigned = name.contains("unsigned");
        self.basic(match (bytes, is_unsigned) {
            (1, false) => "signed char",
            (1, true) => "unsigned char",
            (2, false) => "short int",
            (2, true) => "short unsigned int",
            (4, false) => "int",
            (4, true) => "unsigned int",
            (_, false) => "long int",
            (_, true) => "long unsigned int",
        })
    }

    /// The type in parentheses, after the word; the measure is its size or its alignment.
    fn measure(&mut self, word: &str) -> Parsed<u32> {
        self.expect("(")?;
        let start = self.at;
        let base = self.nested(Self::specifiers)?;
        let of = self.declarator(base)?.ty;
        let span = self.span_from(start);
        self.expect(")")?;
        let size = self.builder.size_of(of).ok_or_else(|| Diagnostic::error(span, "this type is incomplete"))?;
        Ok(if word == "sizeof" { size } else { self.builder.align_of(of) })
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

    /// Passes over what is left of a member or a constant, up to one of these marks.
    fn skip_to(&mut self, ends: &[&str]) {
        let mut depth = 0;
        while self.at < self.tokens.len() && (depth > 0 || !ends.contains(&self.peek())) {
            let word = self.peek();
            depth += i32::from(matches!(word, "(" | "[" | "{")) - i32::from(matches!(word, ")" | "]" | "}"));
            self.at += 1;
        }
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
