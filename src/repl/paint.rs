//! A line that is being edited, in colours: what each word is, which bracket belongs to which, and where it is wrong.

use crate::builtins;
use crate::probes;
use crate::source::Source;
use crate::syntax;

/// Escape sequences, as numbers of `ESC [ … m`.
const PROBE: &str = "36";
const BUILTIN: &str = "34";
const VARIABLE: &str = "33";
const STRING: &str = "32";
const NUMBER: &str = "35";
const COMMENT: &str = "2";
const COMMAND: &str = "1;36";
const BRACKET: &str = "1;7";
const FAULT: &str = "4;31";

/// The line with its colours; it shows the same characters. One that is not edited any more has no cursor.
pub fn paint(line: &str, cursor: Option<usize>) -> String {
    let pair = cursor.and_then(|cursor| matching(line, cursor));
    let fault = fault(line);
    let mut painted = String::new();
    let mut at = 0;
    while at < line.len() {
        let (length, colour) = token(line, at);
        for (offset, c) in line[at..at + length].char_indices() {
            let place = at + offset;
            let colour = match (pair, fault) {
                (Some((one, other)), _) if place == one || place == other => BRACKET,
                (_, Some((from, to))) if (from..to).contains(&place) => FAULT,
                _ => colour,
            };
            match colour {
                "" => painted.push(c),
                colour => painted.push_str(&format!("\x1b[{colour}m{c}\x1b[0m")),
            }
        }
        at += length;
    }
    painted
}

/// The length and colour of what begins here.
fn token(line: &str, at: usize) -> (usize, &'static str) {
    let rest = &line[at..];
    let Some(first) = rest.chars().next() else { return (0, "") };
    let word = || {
        rest.char_indices().skip(1).find(|(_, c)| !c.is_alphanumeric() && *c != '_').map_or(rest.len(), |(end, _)| end)
    };
    match first {
        '"' => (string(rest), STRING),
        '/' if rest.starts_with("//") && !line[..at].ends_with(':') => (rest.find('\n').unwrap_or(rest.len()), COMMENT),
        '@' | '$' => (word(), VARIABLE),
        ':' if line[..at].trim().is_empty() => (word(), COMMAND),
        '0'..='9' => (word(), NUMBER),
        c if c.is_alphabetic() || c == '_' => {
            let length = word();
            (length, colour(&rest[..length], rest[length..].starts_with(':')))
        }
        c => (c.len_utf8(), ""),
    }
}

fn colour(word: &str, is_before_colon: bool) -> &'static str {
    if is_before_colon && probes::find(word).is_some() || ["begin", "end", "BEGIN", "END"].contains(&word) {
        PROBE
    } else if builtins::find(word).is_some() {
        BUILTIN
    } else {
        ""
    }
}

fn string(rest: &str) -> usize {
    let mut is_escaped = false;
    let end = rest.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        ends
    });
    end.map_or(rest.len(), |(at, _)| at + 1)
}

/// The bracket at the cursor, or right before it, and its partner.
fn matching(line: &str, cursor: usize) -> Option<(usize, usize)> {
    let is_bracket = |at: &usize| line.as_bytes().get(*at).is_some_and(|byte| b"()[]{}".contains(byte));
    let at = Some(cursor).filter(is_bracket).or_else(|| cursor.checked_sub(1).filter(is_bracket))?;
    let (open, close) = match line.as_bytes()[at] {
        b'(' | b')' => (b'(', b')'),
        b'[' | b']' => (b'[', b']'),
        _ => (b'{', b'}'),
    };
    let mut depth = 0i32;
    let mut count = |byte: u8| {
        depth += i32::from(byte == open) - i32::from(byte == close);
        depth == 0
    };
    let partner = if line.as_bytes()[at] == open {
        line.bytes().enumerate().skip(at).find(|(_, byte)| count(*byte)).map(|(place, _)| place)
    } else {
        (0..=at).rev().find(|place| count(line.as_bytes()[*place]))
    };
    partner.map(|partner| (at, partner))
}

/// Where a program is wrong that goes on behind that place, so that more typing will not mend it.
fn fault(line: &str) -> Option<(usize, usize)> {
    if !line.contains('{') || line.trim_start().starts_with(':') {
        return None;
    }
    let faults = syntax::parse(&Source { name: String::new(), text: line.to_string(), base: 0 }).err()?;
    let span = faults.first()?.span;
    let (from, to) = (span.start as usize, (span.end as usize).max(span.start as usize + 1));
    (!line.get(to..)?.trim().is_empty()).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colours(line: &str, cursor: usize) -> String {
        // A character's colour begins with its own escape sequence, so what is shown stays readable: `[32]"`.
        paint(line, Some(cursor)).replace("\x1b[0m", "").replace('\x1b', "").replace("[", "<").replace('m', ">")
    }

    #[test]
    fn words_have_the_colours_of_what_they_are() {
        assert_eq!(colours("@a 1", 4), "<33>@<33>a <35>1");
        assert_eq!(colours("x \"y\"", 5), "x <32>\"<32>y<32>\"");
        assert_eq!(colours("pid", 3), "<34>p<34>i<34>d");
        assert_eq!(colours(":ls", 3), "<1;36>:<1;36>l<1;36>s");
    }

    #[test]
    fn brackets_and_faults_stand_out() {
        assert_eq!(matching("a(b(c))", 7), Some((6, 1)));
        assert_eq!(matching("a(b(c))", 1), Some((1, 6)));
        assert_eq!(matching("a(b", 3), None);
        assert!(paint("{ }", Some(3)).contains(BRACKET) && !paint("{ }", None).contains(BRACKET));
        assert_eq!(fault("begin { @ = ; exit(); }").map(|(from, _)| from), Some(12));
        assert_eq!((fault("begin { @ = "), fault("begin { }"), fault("@x")), (None, None, None));
    }
}
