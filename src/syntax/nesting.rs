//! A limit on nesting, checked before parsing: the parser recurses, and a small stack must not be overrun by any input.

use crate::diag::Diagnostic;
use crate::source::{Source, Span};

/// Brackets within brackets.
const DEPTH: usize = 200;
/// Operators in a row, such as `!!!!x`, and terms of one expression: both become levels of the tree.
const OPERATORS: usize = 2000;

/// Refuses what nests too deeply.
pub fn check(source: &Source) -> Result<(), Vec<Diagnostic>> {
    let mut open = Vec::new();
    let mut operators = 0;
    for (at, token) in Tokens::new(&source.text) {
        match token {
            b'(' | b'[' | b'{' => open.push(at),
            b')' | b']' | b'}' => {
                open.pop();
            }
            _ => {}
        }
        operators = match token {
            b';' | b'{' | b'}' | b',' => 0,
            byte if byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() => operators,
            _ => operators + 1,
        };
        if open.len() > DEPTH {
            return Err(vec![too_deep(source, at, "brackets", DEPTH)]);
        }
        if operators > OPERATORS {
            return Err(vec![too_deep(source, at, "operators in one expression", OPERATORS)]);
        }
    }
    Ok(())
}

fn too_deep(source: &Source, at: usize, what: &str, limit: usize) -> Diagnostic {
    let start = source.base as usize + at;
    Diagnostic::error(Span::new(start, start + 1), format!("syntax: nested too deeply: more than {limit} {what}"))
        .hint("put parts of it into variables: let $part = ...;")
}

/// The bytes of a text that are neither in strings nor in comments, with their offsets.
pub struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text: text.as_bytes(), at: 0 }
    }

    /// Whether a string or comment was still open at the end.
    pub fn ended_inside(&self) -> bool {
        self.at > self.text.len()
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    return;
                }
                b'\n' => return,
                _ => self.at += 1,
            }
        }
    }

    fn skip_comment(&mut self, end: &[u8]) {
        let rest = &self.text[self.at..];
        match rest.windows(end.len()).position(|window| window == end) {
            Some(length) => self.at += length + end.len(),
            None if end == b"\n" => self.at = self.text.len(),
            None => self.at = self.text.len() + 1,
        }
    }
}

impl Iterator for Tokens<'_> {
    type Item = (usize, u8);

    fn next(&mut self) -> Option<(usize, u8)> {
        loop {
            let rest = self.text.get(self.at..)?;
            match rest {
                [] => return None,
                [b'"', ..] => self.skip_string(),
                [b'/', b'/', ..] => self.skip_comment(b"\n"),
                [b'/', b'*', ..] => self.skip_comment(b"*/"),
                [byte, ..] => {
                    self.at += 1;
                    return Some((self.at - 1, *byte));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::source::Sources;
    use crate::syntax::parse;

    #[test]
    fn no_depth_of_nesting_overruns_the_stack() {
        for (open, close) in [
            ("(", ")"),
            ("[", "]"),
            ("{", "}"),
            ("!", ""),
            ("-", ""),
            ("1+", ""),
            ("1?1:", ""),
            ("if 1 {} else ", "{}"),
        ] {
            let text = format!("begin {{ $x = {}1{}; }}", open.repeat(100_000), close.repeat(100_000));
            assert!(parse(Sources::new().add("stdin", text)).is_err(), "{open}");
        }
    }
}
