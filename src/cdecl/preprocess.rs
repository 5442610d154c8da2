//! The C preprocessor: lines in, the tokens of those that count and the constants that are defined out.

use std::collections::HashMap;

use super::constant::evaluate;
use super::lex::{Token, tokens, without_comments};
use crate::diag::Diagnostic;
use crate::source::Span;

/// The state between two lines.
#[derive(Default)]
pub struct Preprocessor {
    macros: HashMap<String, Macro>,
    /// The `#if`s that are open, outermost first.
    branches: Vec<Branch>,
    /// What is left for the compiler proper.
    pub out: Vec<Token>,
    pub faults: Vec<Diagnostic>,
}

#[derive(Clone)]
struct Macro {
    /// `None` for one without parentheses.
    params: Option<Vec<String>>,
    body: Vec<Token>,
}

struct Branch {
    state: State,
    span: Span,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Taken,
    /// No branch has been taken yet.
    Waiting,
    /// One has been, or the whole stands in a part that is left out.
    Over,
}

/// What a name that was defined stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    Int(i128),
    /// A string literal, with its quotes.
    Text(String),
    /// A name that keeps its type.
    Enumerator(String),
}

/// Values by name.
type Values<'a> = &'a dyn Fn(&str) -> Option<i128>;

/// Macros within macros are followed this far; more can only be a circle.
const DEPTH: usize = 32;

impl Preprocessor {
    /// Defines a name as if by `#define NAME 1`.
    pub fn define(&mut self, name: &str) {
        self.macros.insert(name.to_string(), Macro { params: None, body: tokens("1", 0) });
    }

    /// Takes in a text whose places begin at `base`.
    pub fn text(&mut self, text: &str, base: u32) {
        let text = without_comments(text);
        let mut at = 0;
        while at < text.len() {
            let length = logical_line(&text[at..]);
            let line = tokens(&text[at..at + length], base + at as u32);
            match line.split_first() {
                Some((hash, directive)) if hash.text == "#" => self.directive(hash.span, directive),
                _ if self.is_active() => line.iter().for_each(|token| self.expand(token, token.span, &mut Vec::new())),
                _ => {}
            }
            at += length;
        }
    }

    /// Every `#if` must have had its `#endif`.
    pub fn finish(&mut self) {
        let open = self.branches.drain(..);
        self.faults.extend(open.map(|branch| Diagnostic::error(branch.span, "unterminated conditional directive")));
    }

    /// The constant that a name stands for; an error for a name that stands for something else. `enumerator` gives the value of
    /// a name that was not `#define`d.
    pub fn constant(&self, name: &str, enumerator: Values<'_>) -> Option<Result<Constant, ()>> {
        let of = self.macros.get(name).filter(|of| of.params.is_none())?;
        Some(match of.body.as_slice() {
            [only] if only.text.starts_with('"') => Ok(Constant::Text(only.text.clone())),
            [only] if !self.macros.contains_key(&only.text) && enumerator(&only.text).is_some() => {
                Ok(Constant::Enumerator(only.text.clone()))
            }
            body => self.value(body, enumerator, DEPTH).map(Constant::Int).ok_or(()),
        })
    }

    /// Puts out what a token stands for, at the place where it was written. Within what a name stands for, that name is plain.
    fn expand(&mut self, token: &Token, span: Span, within: &mut Vec<String>) {
        match self.macros.get(&token.text).filter(|of| of.params.is_none() && !within.contains(&token.text)) {
            Some(of) => {
                let body = of.body.clone();
                within.push(token.text.clone());
                body.iter().for_each(|part| self.expand(part, span, within));
                within.pop();
            }
            None => self.out.push(Token { span, ..token.clone() }),
        }
    }

    fn directive(&mut self, hash: Span, line: &[Token]) {
        let Some((word, rest)) = line.split_first() else { return };
        let span = hash.to(line.last().map_or(word.span, |last| last.span));
        match word.text.as_str() {
            "if" => self.open(span, |this| this.condition(rest, span)),
            "ifdef" => self.open(span, |this| this.is_defined(rest)),
            "ifndef" => self.open(span, |this| !this.is_defined(rest)),
            "elif" => self.other_branch(span, |this| this.condition(rest, span)),
            "else" => self.other_branch(span, |_| true),
            "endif" => {
                if self.branches.pop().is_none() {
                    self.faults.push(Diagnostic::error(span, "#endif without #if"));
                }
            }
            _ if !self.is_active() => {}
            "define" => self.define_line(rest, span),
            "undef" => drop(rest.first().and_then(|name| self.macros.remove(&name.text))),
            "include" => self.include(span),
            "error" => self.faults.push(Diagnostic::error(span, format!("#error {}", spelled(rest)))),
            "pragma" | "warning" | "line" => {}
            other => self.faults.push(Diagnostic::error(span, format!("invalid preprocessing directive '#{other}'"))),
        }
    }

    fn is_active(&self) -> bool {
        self.branches.iter().all(|branch| branch.state == State::Taken)
    }

    fn open(&mut self, span: Span, holds: impl FnOnce(&mut Self) -> bool) {
        let state = match self.is_active() {
            false => State::Over,
            true if holds(self) => State::Taken,
            true => State::Waiting,
        };
        self.branches.push(Branch { state, span });
    }

    /// `#elif` or `#else`.
    fn other_branch(&mut self, span: Span, holds: impl FnOnce(&mut Self) -> bool) {
        let Some(branch) = self.branches.pop() else {
            self.faults.push(Diagnostic::error(span, "#else without #if"));
            return;
        };
        let state = match branch.state {
            State::Taken | State::Over => State::Over,
            State::Waiting if holds(self) => State::Taken,
            State::Waiting => State::Waiting,
        };
        self.branches.push(Branch { state, ..branch });
    }

    fn is_defined(&self, line: &[Token]) -> bool {
        line.first().is_some_and(|name| self.macros.contains_key(&name.text))
    }

    /// Names that are not defined count as 0.
    fn condition(&mut self, line: &[Token], span: Span) -> bool {
        let line = self.answer_defined(line);
        let name = |name: &str| Some(self.named(name, &|_| None, DEPTH).unwrap_or(0));
        match evaluate(&line, &name) {
            Some(value) => value != 0,
            None => {
                self.faults.push(Diagnostic::error(span, "this condition is not a constant expression"));
                false
            }
        }
    }

    /// `defined X` and `defined(X)` replaced by 1 or 0.
    fn answer_defined(&self, line: &[Token]) -> Vec<Token> {
        let mut out = Vec::new();
        let mut rest = line.iter();
        while let Some(token) = rest.next() {
            if token.text != "defined" {
                out.push(token.clone());
                continue;
            }
            let mut name = rest.next();
            if name.is_some_and(|name| name.text == "(") {
                name = rest.next();
                rest.next();
            }
            let answer = name.is_some_and(|name| self.macros.contains_key(&name.text));
            out.push(Token { text: u8::from(answer).to_string(), ..token.clone() });
        }
        out
    }

    fn define_line(&mut self, line: &[Token], span: Span) {
        let Some((name, body)) = line.split_first().filter(|(name, _)| name.is_name()) else {
            self.faults.push(Diagnostic::error(span, "macro name missing"));
            return;
        };
        // Parameters follow the name without a space.
        let has_params = body.first().is_some_and(|open| open.text == "(" && open.span.start == name.span.end);
        let close = body.iter().position(|token| token.text == ")").filter(|_| has_params);
        let of = match close {
            Some(close) => {
                let params = body[1..close].iter().filter(|token| token.is_name()).map(|token| token.text.clone());
                Macro { params: Some(params.collect()), body: body[close + 1..].to_vec() }
            }
            None => Macro { params: None, body: body.to_vec() },
        };
        self.macros.insert(name.text.clone(), of);
    }

    fn include(&mut self, span: Span) {
        let fault = Diagnostic::error(span, "headers cannot be included yet");
        self.faults.push(
            fault.hint("kernel types are known without headers; put this between #ifndef BPFTRACE_HAVE_BTF and #endif"),
        );
    }

    fn named(&self, name: &str, enumerator: Values<'_>, depth: usize) -> Option<i128> {
        match self.macros.get(name) {
            Some(of) if of.params.is_none() => self.value(&of.body, enumerator, depth.checked_sub(1)?),
            Some(_) => None,
            None => enumerator(name),
        }
    }

    fn value(&self, body: &[Token], enumerator: Values<'_>, depth: usize) -> Option<i128> {
        evaluate(body, &|name| self.named(name, enumerator, depth))
    }
}

/// Bytes up to the end of a line that no backslash continues.
fn logical_line(text: &str) -> usize {
    let ends = text.match_indices('\n').map(|(at, _)| at).find(|at| !text[..*at].ends_with('\\'));
    ends.map_or(text.len(), |at| at + 1)
}

fn spelled(line: &[Token]) -> String {
    line.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
}
