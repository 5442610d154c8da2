//! C text in, tokens out, each with its place.

use crate::source::Span;

#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// As written: a name, a number, a string or character with its quotes, or a mark.
    pub text: String,
    pub span: Span,
}

/// Marks of more than one character; the longer come first.
const MARKS: [&str; 13] = ["...", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "##", "->", "++", "--"];

impl Token {
    pub fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    }
}

/// The tokens of a text without comments; `base` is where it begins in the space of spans.
pub fn tokens(text: &str, base: u32) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let length = length(rest);
        if !rest.starts_with(char::is_whitespace) && !rest.starts_with("\\\n") {
            let start = base as usize + at;
            tokens.push(Token { text: rest[..length].to_string(), span: Span::new(start, start + length) });
        }
        at += length;
    }
    tokens
}

/// The text with every comment blanked out, so that no place moves. A comment of several lines does not end the line it begins on.
pub fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let comment = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(inside) = rest.strip_prefix("/*") {
            inside.find("*/").map_or(rest.len(), |end| end + 4)
        } else {
            0
        };
        let taken = if comment > 0 {
            comment
        } else if matches!(first, '"' | '\'') {
            length(rest)
        } else {
            first.len_utf8()
        };
        let (piece, tail) = rest.split_at(taken);
        match comment {
            0 => out.push_str(piece),
            _ => out.extend(piece.bytes().map(|_| ' ')),
        }
        rest = tail;
    }
    out
}

/// Bytes of the token (or the one space) at the beginning of a text.
fn length(text: &str) -> usize {
    let first = text.chars().next().unwrap_or(' ');
    let run = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    match first {
        // The type of characters changes nothing.
        'L' if text[1..].starts_with(['\'', '"']) => {
            1 + quoted(&text[1..], if text[1..].starts_with('"') { '"' } else { '\'' })
        }
        'a'..='z' | 'A'..='Z' | '_' | '0'..='9' => run(text),
        '"' | '\'' => quoted(text, first),
        _ => MARKS.iter().find(|mark| text.starts_with(**mark)).map_or(first.len_utf8(), |mark| mark.len()),
    }
}

/// Up to the closing quote, or to the end of the line where it is missing.
fn quoted(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '\n' => return at,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}
