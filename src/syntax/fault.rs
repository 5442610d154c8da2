//! A place where the grammar does not fit, explained: what was expected there, in bpftrace's words, and what to type instead.

use std::ops::Range;

use super::hint;
use super::parse::{Failure, Rule};
use super::scan::{Bracket, MAX_NESTING, Opener, Scan};
use crate::diag::Diagnostic;
use crate::source::{Source, Span};

/// The surroundings of a failure.
pub struct Place<'a> {
    pub text: &'a str,
    pub at: usize,
    /// What stands there: a word, a number, an operator or a mark; nothing at the end of the text.
    pub found: &'a str,
    pub expected: &'a [Rule],
    /// Brackets that are still open where the text ends, if that is the place.
    pub unclosed: &'a [Opener],
}

pub fn too_deep(source: &Source, at: usize) -> Diagnostic {
    let message = format!("syntax: nested too deep: more than {MAX_NESTING} brackets are open here");
    Diagnostic::error(span(source, at..at + 1), message)
}

/// Words for a failure. `text` is the source with earlier faults blanked out.
pub fn explain(source: &Source, text: &str, scan: &Scan, failure: &Failure) -> Diagnostic {
    let place = Place::new(text, scan, failure);
    if let (true, Some(at)) = (place.found.is_empty(), scan.open_comment) {
        return Diagnostic::error(span(source, at..at + 2), "syntax: unterminated comment").hint("close it with '*/'");
    }
    let mut fault = Diagnostic::error(span(source, place.underline()), format!("syntax: {}", place.message()));
    for opener in place.unclosed.iter().rev().take(MAX_LABELS) {
        fault =
            fault.label(span(source, opener.at..opener.at + 1), format!("this '{}' is not closed", opener.kind.open()));
    }
    fault.hints.extend(hint::hint(&place));
    fault
}

/// A probe whose head stands inside the body before it: the brace that is missing, not the head, is the fault.
pub fn misplaced(source: &Source, head: Range<usize>, unclosed: &[Opener]) -> Diagnostic {
    let fault = Diagnostic::error(span(source, head), "syntax: expected '}' before the next probe");
    unclosed.iter().rev().take(MAX_LABELS).fold(fault, |fault, opener| {
        fault.label(span(source, opener.at..opener.at + 1), format!("this '{}' is not closed", opener.kind.open()))
    })
}

/// More open brackets than this are not shown.
const MAX_LABELS: usize = 3;

/// What to say for the rules that could have matched, most telling first. Operators are always possible, so never mentioned.
const WANTED: [(Rule, &str); 20] = [
    (Rule::unary, "expected expression"),
    (Rule::number, "expected expression"),
    (Rule::condition, "expected expression"),
    (Rule::iterated, "expected expression"),
    (Rule::predicate_end, "expected '/' to close predicate"),
    (Rule::close_paren, "expected ')'"),
    (Rule::close_bracket, "expected ']'"),
    (Rule::colon, "expected ':'"),
    (Rule::if_word, "expected '{' or 'if' after 'else'"),
    (Rule::semicolon, "expected ';'"),
    (Rule::open_brace, "expected '{'"),
    (Rule::close_brace, "expected '}'"),
    (Rule::close_angle, "expected '>'"),
    (Rule::assign_mark, "expected '='"),
    (Rule::setting_value, "expected string, int, boolean, or ident"),
    (Rule::variable, "expected variable in for loop"),
    (Rule::type_name, "expected type name"),
    (Rule::open_paren, "expected '('"),
    (Rule::digits, "expected field name or index"),
    (Rule::word, "expected name"),
];

impl<'a> Place<'a> {
    fn new(text: &'a str, scan: &'a Scan, failure: &'a Failure) -> Self {
        let (mut at, mut expected) = (failure.at, failure.expected.as_slice());
        if token(&text[at..]) == ">" && expected.contains(&Rule::greater) {
            // It compared nothing, so what is missing is its operand.
            at = text.len() - text[at + 1..].trim_start().len();
            expected = &[Rule::unary];
        }
        let unclosed = if at == text.len() { scan.unclosed.as_slice() } else { &[] };
        Self { text, at, found: token(&text[at..]), expected, unclosed }
    }

    pub fn expects(&self, rule: Rule) -> bool {
        self.expected.contains(&rule)
    }

    /// Whether a value may begin here.
    pub fn expects_operand(&self) -> bool {
        [Rule::unary, Rule::number, Rule::condition].into_iter().any(|rule| self.expects(rule))
    }

    /// Whether a statement may begin here.
    pub fn begins_statement(&self) -> bool {
        self.expects(Rule::let_word) && self.expects(Rule::semicolon)
    }

    /// Whether a probe may begin here.
    pub fn begins_item(&self) -> bool {
        self.expects(Rule::EOI) || self.expects(Rule::program)
    }

    /// The text before the failure, without the space at its end.
    pub fn before(&self) -> &'a str {
        self.text[..self.at].trim_end()
    }

    fn message(&self) -> String {
        let operand = self.expects_operand() && !self.begins_statement();
        match self.unclosed.last() {
            Some(opener) if !operand => format!("expected '{}'", opener.kind.close()),
            _ if hint::changes_part(self) => {
                "Tuples and records are immutable once created. Consider creating a new value and assigning it instead."
                    .to_string()
            }
            _ if self.begins_statement() || self.is_stray() => format!("unexpected '{}'", self.found),
            _ if self.begins_item() || self.expects(Rule::attach_point) => "expected attach point".to_string(),
            _ if self.expects(Rule::variable) && self.before().ends_with("let") => {
                "expected variable after 'let'".to_string()
            }
            _ => {
                let wanted = WANTED.iter().find(|(rule, _)| self.expects(*rule));
                wanted.map_or("unexpected input", |(_, words)| words).to_string()
            }
        }
    }

    /// A closing bracket between probes.
    fn is_stray(&self) -> bool {
        self.begins_item() && matches!(self.found, "}" | ")" | "]" | ">" | ";")
    }

    /// The token at fault; where a mark is missing at the end of a line, the end of what stands before it.
    fn underline(&self) -> Range<usize> {
        let end = self.before().len();
        let missing_mark = !self.expects_operand() && !self.begins_item();
        if self.found.is_empty() || missing_mark && self.text[end..self.at].contains('\n') {
            return end..end;
        }
        self.at..self.at + self.found.len()
    }
}

impl Bracket {
    fn open(self) -> char {
        match self {
            Bracket::Paren => '(',
            Bracket::Square => '[',
            Bracket::Brace => '{',
            Bracket::Angle => '<',
            Bracket::Choice => '?',
            Bracket::Predicate => '/',
        }
    }

    pub fn close(self) -> char {
        match self {
            Bracket::Paren => ')',
            Bracket::Square => ']',
            Bracket::Brace => '}',
            Bracket::Angle => '>',
            Bracket::Choice => ':',
            Bracket::Predicate => '/',
        }
    }
}

/// The word, number, operator or mark at the beginning of a text.
fn token(text: &str) -> &str {
    if let Some(operator) = OPERATORS.iter().find(|operator| text.starts_with(**operator)) {
        return &text[..operator.len()];
    }
    let sigil = text.chars().next().filter(|c| matches!(c, '$' | '@')).map_or(0, char::len_utf8);
    let name = text[sigil..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len() - sigil);
    let mark = text.chars().next().map_or(0, char::len_utf8);
    &text[..(sigil + name).max(mark)]
}

/// Operators of more than one character; the longer come first.
const OPERATORS: [&str; 20] = [
    "<<=", ">>=", "==", "!=", "<=", ">=", "&&", "||", "<<", ">>", "++", "--", "->", "+=", "-=", "*=", "/=", "%=", "&=",
    "|=",
];

fn span(source: &Source, range: Range<usize>) -> Span {
    let base = source.base as usize;
    Span::new(base + range.start, base + range.end)
}
