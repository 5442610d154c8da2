//! Text in, [`ast::Program`] out.

pub mod ast;
pub(crate) mod attach;
mod build;
mod build_block;
mod build_expr;
mod build_function;
mod build_macro;
mod build_stmt;
mod build_type;
mod fault;
mod hint;
mod literal;
mod parse;
mod precedence;
pub mod print;
mod print_expr;
mod print_type;
mod scan;
mod tidy;
pub mod visit;

use crate::diag::Diagnostic;
use crate::source::Source;
pub use parse::parse;
use scan::Scan;

/// A script with its white space in order and its comments kept.
pub fn tidied(source: &Source) -> Result<String, Vec<Diagnostic>> {
    parse(source)?;
    // What was parsed is parsed again.
    tidy::tidied(&source.text).map_err(|_| Vec::new())
}

/// The bytes of a string literal that is given with its quotes; what is wrong in it is left out.
pub fn string_literal(quoted: &str) -> Vec<u8> {
    literal::string(quoted).0
}

/// The value of an integer literal, duration or not; `None` if the text is none.
pub fn integer(text: &str) -> Option<u64> {
    literal::integer(text).ok().map(|(value, _)| value)
}

/// Whether a text could be run as it is, or waits for more lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// A program, or one with a fault that no further line can mend.
    Complete,
    /// A bracket, a comment or a `<` body is open, or a probe has no body yet.
    Open,
}

/// Decides whether the line editor asks for another line: only where the grammar wants more, and something shows that a program was
/// begun. A lone word is complete, since it may be a command of the shell.
pub fn completeness(text: &str) -> Completeness {
    let scan = Scan::new(text);
    let wants_more = scan.too_deep.is_none() && parse::attempt(text).is_err_and(|failure| failure.at == text.len());
    let begun = !scan.unclosed.is_empty() || ends_in_head(text);
    if wants_more && begun || scan.open_comment.is_some() { Completeness::Open } else { Completeness::Complete }
}

/// Whether the last word can only belong to the head of a probe, whose body is then still to come.
fn ends_in_head(text: &str) -> bool {
    let word = text.split_whitespace().next_back().unwrap_or("");
    let event = word.eq_ignore_ascii_case("begin") || word.eq_ignore_ascii_case("end");
    event || word.contains(':') || word.ends_with([',', '/'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_wait_for_what_is_open() {
        for text in [
            "begin",
            "begin {",
            "begin { if (1) {\n }",
            "begin { print(",
            "begin < @ = 1",
            "begin /pid",
            "begin,",
            "begin { } /* x",
            "begin { @x = 1; }\nkprobe:f",
            "begin { @x =",
            "config = {",
        ] {
            assert_eq!(completeness(text), Completeness::Open, "{text}");
        }
        for text in [
            "",
            "help",
            "help count",
            "begin { }",
            "begin < @ = 1; >",
            "begin < @ = 1 >",
            "begin { print(1; }",
            "begin { \"abc }",
            "begin { } }",
            "begin { } // {",
        ] {
            assert_eq!(completeness(text), Completeness::Complete, "{text}");
        }
    }
}
