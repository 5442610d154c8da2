//! Whether a text can be a whole entry of the shell, or goes on in the next line.

use super::nesting::Tokens;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    Complete,
    /// A bracket, a string, a comment or a `< … >` body is still open.
    Open,
}

/// Looks at brackets only: an entry with an error in it is complete, so that the error is told.
pub fn completeness(text: &str) -> Completeness {
    let mut tokens = Tokens::new(text);
    let mut depth = 0i64;
    let mut angle = Angle::Outside;
    let mut last = b' ';
    for (_, token) in tokens.by_ref() {
        angle = angle.after(token, last, depth);
        match token {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        if !token.is_ascii_whitespace() {
            last = token;
        }
    }
    let goes_on = depth > 0 || tokens.ended_inside() || angle == Angle::Inside || last == b',';
    if goes_on { Completeness::Open } else { Completeness::Complete }
}

/// Whether we are within a `< … >` body; one begins outside of all brackets only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Angle {
    Outside,
    Inside,
}

impl Angle {
    fn after(self, token: u8, last: u8, depth: i64) -> Self {
        match (self, token) {
            (Angle::Outside, b'<') if depth == 0 => Angle::Inside,
            (Angle::Inside, b'>') if depth == 0 && matches!(last, b';' | b'}' | b')' | b'<' | b'+' | b'-') => {
                Angle::Outside
            }
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_brackets_go_on() {
        for open in ["begin {", "begin { print(", "kprobe:f <", "begin { /* {", "kprobe:f,"] {
            assert_eq!(completeness(open), Completeness::Open, "{open}");
        }
        for complete in ["begin { }", "kprobe:f < @ = count(); >", "begin { \"{\" }", "help", "begin { // {\n}"] {
            assert_eq!(completeness(complete), Completeness::Complete, "{complete}");
        }
    }
}
