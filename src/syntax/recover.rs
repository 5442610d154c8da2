//! Parsing that does not stop at the first fault: the statement at fault is reported and blanked out, and the rest is parsed again.

use pest::Parser;
use pest::error::{ErrorVariant, InputLocation};

use super::ast::Program;
use super::build::{Builder, inner_of};
use super::grammar::{Grammar, Rule};
use super::nesting::Tokens;
use crate::diag::Diagnostic;
use crate::source::{Source, Span};

/// Faults reported at the most; further ones are likely to follow from these.
const FAULTS: usize = 20;

pub fn parse(source: &Source) -> Result<Program, Vec<Diagnostic>> {
    let mut text = source.text.clone();
    let mut faults: Vec<Diagnostic> = Vec::new();
    loop {
        match Grammar::parse(Rule::program, &text) {
            Ok(mut nodes) => {
                let mut builder = Builder::new(source.base);
                let program = builder.program(inner_of(nodes.next()));
                faults.append(&mut builder.faults);
                faults.sort_by_key(|fault| fault.span);
                return if faults.is_empty() { Ok(program) } else { Err(faults) };
            }
            Err(error) => {
                let at = position(&error);
                // Once something was blanked out, an early end is likely to follow from that.
                if at >= text.trim_end().len() && !faults.is_empty() {
                    return Err(faults);
                }
                faults.push(Fault { text: &text, at, rules: rules(&error), base: source.base }.diagnostic());
                if faults.len() == FAULTS || !blank_statement(&mut text, at) {
                    return Err(faults);
                }
            }
        }
    }
}

fn position(error: &pest::error::Error<Rule>) -> usize {
    match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    }
}

fn rules(error: &pest::error::Error<Rule>) -> &[Rule] {
    match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => positives,
        ErrorVariant::CustomError { .. } => &[],
    }
}

/// Where the grammar could not go on.
struct Fault<'a> {
    text: &'a str,
    at: usize,
    /// What it would have taken there.
    rules: &'a [Rule],
    base: u32,
}

impl Fault<'_> {
    fn diagnostic(&self) -> Diagnostic {
        let rest = &self.text[self.at..];
        let found = token(rest);
        let could = |rule| self.rules.contains(&rule);
        match found.chars().next() {
            None => self.ended(),
            Some('"') => self.fault(line(rest), "syntax: unterminated string").hint("close it with \" on the same line"),
            Some('\'') => self
                .fault(found, "syntax: unexpected character '''")
                .hint("strings are written in double quotes; there are no character literals"),
            Some('.') if self.text[..self.at].ends_with(|c: char| c.is_ascii_digit()) => self
                .fault(found, "syntax: there are no fractional numbers")
                .hint("scale instead, for example: nsecs / 1000 for microseconds"),
            _ if could(Rule::attach_points) || could(Rule::attach_head) || could(Rule::probe) => self.not_a_probe(found),
            _ if could(Rule::predicate) || could(Rule::body) || could(Rule::attach_part) => self
                .fault(found, format!("syntax: expected '{{', found '{found}'"))
                .hint("a probe is written as: kprobe:vfs_read /pid == 1/ { @ = count(); }; its parts are joined by colons"),
            _ if could(Rule::add) || could(Rule::assign_op) || could(Rule::index) => self.after_operand(found),
            _ => self.fault(found, format!("syntax: unexpected '{found}', expected {}", self.expectation())),
        }
    }

    fn not_a_probe(&self, found: &str) -> Diagnostic {
        let fault = self.fault(found, format!("syntax: expected a probe, found '{found}'"));
        match found {
            "}" => fault.hint("there is one '}' too many before this"),
            _ => fault.hint("a program is a list of probes, for example: interval:s:1 { print(@); }"),
        }
    }

    fn after_operand(&self, found: &str) -> Diagnostic {
        if found == "=" {
            return self
                .fault(found, "syntax: unexpected '='")
                .hint("to compare, write ==; only variables and maps can be assigned to");
        }
        let expected = match self.innermost_open() {
            Some((_, b'(')) => "')'",
            Some((_, b'[')) => "']'",
            _ => "';'",
        };
        self.fault(found, format!("syntax: expected {expected}, found '{found}'"))
    }

    fn ended(&self) -> Diagnostic {
        let end = self.text.trim_end().len();
        let place = Span::new(self.base as usize + end.saturating_sub(1), self.base as usize + end);
        let Some((open, bracket)) = self.innermost_open() else {
            return Diagnostic::error(place, "syntax: the program ends where a probe's body should follow")
                .hint("a probe is written as: interval:s:1 { print(@); }");
        };
        let closing = match bracket {
            b'(' => ')',
            b'[' => ']',
            _ => '}',
        };
        let open = self.base as usize + open;
        Diagnostic::error(place, format!("syntax: expected '{closing}', found the end of the program"))
            .label(Span::new(open, open + 1), "opened here")
    }

    fn expectation(&self) -> &'static str {
        let could = |rule| self.rules.contains(&rule);
        if could(Rule::type_name) && !could(Rule::ident) {
            "a type"
        } else if could(Rule::block) && !could(Rule::ident) {
            "'{'"
        } else {
            "an expression"
        }
    }

    fn innermost_open(&self) -> Option<(usize, u8)> {
        let mut open = Vec::new();
        for (at, token) in Tokens::new(&self.text[..self.at]) {
            match token {
                b'(' | b'[' | b'{' => open.push((at, token)),
                b')' | b']' | b'}' => {
                    open.pop();
                }
                _ => {}
            }
        }
        open.pop()
    }

    fn fault(&self, found: &str, message: impl Into<String>) -> Diagnostic {
        let start = self.base as usize + self.at;
        Diagnostic::error(Span::new(start, start + found.len().max(1)), message)
    }
}

/// A word, a number or one character.
fn token(rest: &str) -> &str {
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let length = if word > 0 { word } else { rest.chars().next().map_or(0, char::len_utf8) };
    &rest[..length]
}

fn line(rest: &str) -> &str {
    rest.lines().next().unwrap_or("")
}

/// Replaces the statement around `at` by spaces. False if nothing is left to be blanked there: going on would find the same fault.
fn blank_statement(text: &mut String, at: usize) -> bool {
    let mut start = 0;
    let mut depth = Vec::new();
    for (here, token) in Tokens::new(&text[..at]) {
        match token {
            b'{' => {
                depth.push(here);
                start = here + 1;
            }
            b'}' => {
                depth.pop();
                start = here + 1;
            }
            b';' => start = here + 1,
            _ => {}
        }
    }
    // Outside of every body the fault is that of a whole program: what follows cannot be told from it.
    if depth.is_empty() {
        return false;
    }
    let end = at + statement_length(&text[at..]);
    let is_blank = text[start..end].trim().is_empty();
    let blank: String =
        text[start..end].chars().map(|c| if c == '\n' { "\n".into() } else { " ".repeat(c.len_utf8()) }).collect();
    text.replace_range(start..end, &blank);
    !is_blank
}

/// Up to the semicolon that ends the statement, or before the brace that closes its block.
fn statement_length(rest: &str) -> usize {
    let mut depth = 0;
    for (at, token) in Tokens::new(rest) {
        match token {
            b'{' => depth += 1,
            b'}' if depth == 0 => return at,
            b'}' => depth -= 1,
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    rest.len()
}
