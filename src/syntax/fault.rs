//! A place where the grammar does not fit, explained: what was expected there, in bpftrace's words, and what to type instead.

use super::hint;
use super::parse::{Failure, Rule};
use super::scan::{Bracket, MAX_NESTING, Opener, Scan};
use crate::diag::Diagnostic;
use crate::source::{Source, Span};

/// The surroundings of a failure.
pub struct Place<'a> {
    pub text: &'a str,
    pub at: usize,
    /// What stands there: a word, a number, or one mark.
    pub found: &'a str,
    pub expected: &'a [Rule],
    /// The innermost bracket that is open there.
    pub opener: Option<Opener>,
}

pub fn too_deep(source: &Source, at: usize) -> Diagnostic {
    let message = format!("syntax: nested too deep: more than {MAX_NESTING} brackets are open here");
    Diagnostic::error(span(source, at..at + 1), message)
}

/// Words for a failure. `text` is the source with earlier faults blanked out.
pub fn explain(source: &Source, text: &str, scan: &Scan, failure: &Failure) -> Diagnostic {
    let opener = if text[failure.at..].is_empty() { scan.unclosed.last() } else { None };
    let place = Place {
        text,
        at: failure.at,
        found: token(&text[failure.at..]),
        expected: &failure.expected,
        opener: opener.copied(),
    };
    if let (true, Some(at)) = (place.found.is_empty(), scan.open_comment) {
        return Diagnostic::error(span(source, at..at + 2), "syntax: unterminated comment").hint("close it with '*/'");
    }
    let mut fault = Diagnostic::error(span(source, place.underline()), format!("syntax: {}", place.message()));
    if let Some(opener) = place.opener {
        fault =
            fault.label(span(source, opener.at..opener.at + 1), format!("this '{}' is not closed", opener.kind.open()));
    }
    fault.hints.extend(hint::hint(&place));
    fault
}

/// What to say for the rules that could have matched, most telling first. Operators are always possible, so never mentioned.
const WANTED: [(Rule, &str); 19] = [
    (Rule::unary, "expected expression"),
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
    (Rule::variable, "expected variable"),
    (Rule::type_name, "expected type name"),
    (Rule::open_paren, "expected '('"),
    (Rule::digits, "expected field name or index"),
    (Rule::word, "expected name"),
    (Rule::attach_point, "expected attach point"),
    (Rule::EOI, "unexpected input"),
];

impl Place<'_> {
    pub fn expects(&self, rule: Rule) -> bool {
        self.expected.contains(&rule)
    }

    /// Whether a statement may begin here.
    pub fn begins_statement(&self) -> bool {
        self.expects(Rule::let_word) && self.expects(Rule::semicolon)
    }

    /// Whether a probe may begin here.
    pub fn begins_item(&self) -> bool {
        self.expects(Rule::EOI)
    }

    /// The text before the failure, without the space at its end.
    pub fn before(&self) -> &str {
        self.text[..self.at].trim_end()
    }

    fn message(&self) -> String {
        match self.opener {
            _ if hint::misplaced_probe(self) => "expected '}' before the next probe".to_string(),
            Some(opener) if !self.expects(Rule::unary) || self.begins_statement() => {
                format!("expected '{}'", opener.kind.close())
            }
            _ if self.begins_statement() || self.begins_item() => format!("unexpected '{}'", self.found),
            _ => {
                let wanted = WANTED.iter().find(|(rule, _)| self.expects(*rule));
                wanted.map_or("unexpected input", |(_, words)| words).to_string()
            }
        }
    }

    /// The token at fault; where a mark is missing at the end of a line, the end of what stands before it.
    fn underline(&self) -> std::ops::Range<usize> {
        let end = self.before().len();
        let missing_mark = !self.expects(Rule::unary) && !self.begins_item();
        if missing_mark && self.text[end..self.at].contains('\n') {
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

    fn close(self) -> char {
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

/// The word, number or single mark at the beginning of a text.
fn token(text: &str) -> &str {
    let word = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let sigil = text.chars().next().filter(|c| matches!(c, '$' | '@')).map_or(0, char::len_utf8);
    let name = text[sigil..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len() - sigil);
    let length = if word > 0 {
        word
    } else if sigil > 0 {
        sigil + name
    } else {
        text.chars().next().map_or(0, char::len_utf8)
    };
    &text[..length]
}

fn span(source: &Source, range: std::ops::Range<usize>) -> Span {
    let base = source.base as usize;
    Span::new(base + range.start, base + range.end)
}
