//! What stands where the cursor is, told from the text before it: no parser takes what is not finished yet.

use crate::btf::Kind;
use crate::repl::commands::{self, Takes};

/// Where the last word begins, and what it is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    pub start: usize,
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nothing can be said: text, a comment, a number.
    Nothing,
    /// A command's name.
    Command,
    Argument(Takes),
    /// An attach point, or the beginning of a line.
    Probe,
    /// A name within a body.
    Word,
    Map,
    Variable,
    /// A name after `struct` and the like.
    Type(Kind),
    /// A field of what this expression gives.
    Member {
        of: String,
    },
}

pub fn find(before: &str) -> Spot {
    let trimmed = before.trim_start();
    let indent = before.len() - trimmed.len();
    if let Some(spot) = command(trimmed) {
        return Spot { start: spot.start + indent, ..spot };
    }
    let shape = Shape::of(before);
    if shape.inside == Inside::Text {
        return Spot { start: before.len(), place: Place::Nothing };
    }
    if shape.inside == Inside::Head {
        let start = before.rfind(|c: char| c.is_whitespace() || c == ',' || c == '}').map_or(0, |at| at + 1);
        return Spot { start, place: Place::Probe };
    }
    body(before)
}

/// `:help hi`, `help hi`.
fn command(text: &str) -> Option<Spot> {
    let (name, from) = match text.strip_prefix(':') {
        Some(name) => (name, 1),
        None if ["help ", "h ", "? "].iter().any(|word| text.starts_with(word)) => (text, 0),
        None => return None,
    };
    let Some((word, rest)) = name.split_once(char::is_whitespace) else {
        return Some(Spot { start: from, place: Place::Command });
    };
    let command = commands::find(word)?;
    if command.names[0] == "edit" && rest.trim_start().contains(' ') {
        return None;
    }
    let takes = command.takes;
    if takes == Takes::Type {
        let start = text.len() - rest.len();
        let kinds = [("struct ", Kind::Struct), ("union ", Kind::Union), ("enum ", Kind::Enum)];
        let kind = kinds.iter().find(|(word, _)| rest.starts_with(word));
        return Some(match kind {
            Some((word, kind)) => Spot { start: start + word.len(), place: Place::Type(*kind) },
            None => Spot { start, place: Place::Argument(takes) },
        });
    }
    let start = text.rfind([' ', ',']).map_or(0, |at| at + 1);
    Some(Spot { start, place: Place::Argument(takes) })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Within braces, a predicate or an expression.
fn body(before: &str) -> Spot {
    let start =
        before.rfind(|c: char| !is_word(c)).map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let lead = &before[..start];
    let word = &before[start..];
    let kinds = [("struct", Kind::Struct), ("union", Kind::Union), ("enum", Kind::Enum)];
    let keyword = lead.trim_end().rsplit(|c: char| !is_word(c)).next().unwrap_or_default();
    if let Some((_, kind)) = kinds.iter().find(|(word, _)| *word == keyword && lead.ends_with(' ')) {
        return Spot { start, place: Place::Type(*kind) };
    }
    for (arrow, sigil) in [("->", None), (".", None), ("@", Some(Place::Map)), ("$", Some(Place::Variable))] {
        let Some(of) = lead.strip_suffix(arrow) else { continue };
        return match sigil {
            Some(place) => Spot { start: start - 1, place },
            None => match expression(of) {
                "" => Spot { start, place: Place::Nothing },
                of => Spot { start, place: Place::Member { of: of.to_string() } },
            },
        };
    }
    let is_number = word.starts_with(|c: char| c.is_ascii_digit());
    Spot { start, place: if word.is_empty() || is_number { Place::Nothing } else { Place::Word } }
}

/// The expression that the text ends with, as far as fields can be taken of it: `args`, `$x->a[1]`, `((struct file *)arg0)`.
fn expression(text: &str) -> &str {
    let mut at = text.len();
    let mut depth = 0usize;
    for (position, c) in text.char_indices().rev() {
        match c {
            ')' | ']' => depth += 1,
            '(' | '[' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            '.' | '$' | '@' | '>' | '-' => {}
            c if is_word(c) => {}
            _ => break,
        }
        at = position;
    }
    text[at..].trim_start_matches(['-', '>', '.'])
}

/// The function whose parameters are being written.
pub fn called(before: &str) -> Option<&str> {
    let shape = Shape::of(before);
    let (_, at) = shape.open.iter().rev().find(|(bracket, _)| *bracket == '(')?;
    let name = before[..*at].rsplit(|c: char| !is_word(c)).next()?;
    (!name.is_empty()).then_some(name)
}

/// Words with this sigil anywhere in the text, but for the one being typed; each once.
pub fn words_after(before: &str, sigil: char, word: &str) -> Vec<String> {
    let text = &before[..before.len() - word.len().min(before.len())];
    let mut found: Vec<String> = Vec::new();
    for (at, _) in text.match_indices(sigil) {
        let name: String = text[at + 1..].chars().take_while(|c| is_word(*c)).collect();
        let name = format!("{sigil}{name}");
        if !found.contains(&name) && (sigil == '@' || name.len() > 1) {
            found.push(name);
        }
    }
    found
}

/// Which brackets are open.
#[derive(Debug)]
pub struct Shape {
    pub inside: Inside,
    /// Where the head of the probe begins that the end of the text belongs to.
    pub head: usize,
    /// Where its body begins, behind the brace, and where the statement begins that is being written.
    pub body: Option<usize>,
    pub statement: usize,
    /// Brackets that are open, outermost first.
    pub open: Vec<(char, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// A string or a comment.
    Text,
    Head,
    /// Braces, a predicate, or a line that is no probe.
    Body,
}

impl Shape {
    pub fn of(text: &str) -> Shape {
        let mut shape = Shape { inside: Inside::Head, head: 0, body: None, statement: 0, open: Vec::new() };
        let mut chars = text.char_indices().peekable();
        let mut before = ' ';
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|(_, next)| *next);
            match c {
                '"' => {
                    let mut is_escaped = false;
                    let end = chars.by_ref().find(|(_, c)| {
                        let ends = *c == '"' && !is_escaped;
                        is_escaped = *c == '\\' && !is_escaped;
                        ends
                    });
                    if end.is_none() {
                        return Shape { inside: Inside::Text, ..shape };
                    }
                }
                '/' if next == Some('/') && before.is_whitespace() && !chars.any(|(_, c)| c == '\n') => {
                    return Shape { inside: Inside::Text, ..shape };
                }
                // A comment that has ended.
                '/' if next == Some('/') && before.is_whitespace() => {}
                '/' if shape.open.is_empty() && before.is_whitespace() => shape.open.push(('/', at)),
                '/' if shape.open.len() == 1 && shape.open[0].0 == '/' => drop(shape.open.pop()),
                '(' | '[' => shape.open.push((c, at)),
                ')' | ']' => drop(shape.open.pop()),
                '{' => {
                    if !shape.open.iter().any(|(open, _)| *open == '{') {
                        shape.body = Some(at + 1);
                    }
                    shape.open.push((c, at));
                    shape.statement = at + 1;
                }
                '}' => {
                    shape.open.pop();
                    shape.statement = at + 1;
                    if shape.open.is_empty() {
                        shape.head = at + 1;
                        shape.body = None;
                    }
                }
                ';' if !shape.open.iter().any(|(open, _)| *open == '(') => shape.statement = at + 1,
                _ => {}
            }
            before = c;
        }
        let is_line = text[shape.head..].trim_start().starts_with(['@', '$', '(']) || has_call(&text[shape.head..]);
        if !shape.open.is_empty() || is_line {
            shape.inside = Inside::Body;
        }
        shape
    }
}

/// Whether a line is an expression that calls something, as in `print(@a)`.
fn has_call(line: &str) -> bool {
    line.trim_start().chars().find(|c| !is_word(*c)) == Some('(')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_from_what_stands_before() {
        let member = |of: &str| Place::Member { of: of.to_string() };
        for (before, start, place) in [
            ("", 0, Place::Probe),
            ("  tracep", 2, Place::Probe),
            ("kprobe:vfs_", 0, Place::Probe),
            ("kprobe:a,kprobe:b", 9, Place::Probe),
            ("begin { } tracep", 10, Place::Probe),
            (":li", 1, Place::Command),
            (":stop 1", 6, Place::Argument(Takes::Number)),
            (":watch @a", 7, Place::Argument(Takes::Map)),
            (":type str", 6, Place::Argument(Takes::Type)),
            (":type struct ta", 13, Place::Type(Kind::Struct)),
            ("help hi", 5, Place::Argument(Takes::Topic)),
            (":edit 1 kprobe:f { pri", 19, Place::Word),
            ("begin { pri", 8, Place::Word),
            ("begin { print(co", 14, Place::Word),
            ("kprobe:f /pi", 10, Place::Word),
            ("begin { \"pri", 12, Place::Nothing),
            ("begin { // pri", 14, Place::Nothing),
            ("begin { 12", 8, Place::Nothing),
            ("begin { @x", 8, Place::Map),
            ("@x", 0, Place::Map),
            ("begin { $x", 8, Place::Variable),
            ("begin { $t = (struct ta", 21, Place::Type(Kind::Struct)),
            ("tracepoint:a:b { args.fi", 22, member("args")),
            ("begin { print($t->fs.us", 21, member("$t->fs")),
            ("begin { print(((struct file *)arg0)->f_", 37, member("((struct file *)arg0)")),
            ("begin { @a[1].x", 14, member("@a[1]")),
            ("print(@x, co", 10, Place::Word),
        ] {
            assert_eq!(find(before), Spot { start, place }, "{before}");
        }
    }
}
