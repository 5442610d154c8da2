//! The raw text of an attach point split into its parts: colons outside of quotes separate, quotes and their backslashes vanish.

use super::ast::{AttachPoint, Name};
use crate::source::Span;

/// Splits `uprobe:"/bin/my:tool":main` into three names.
pub fn split(text: &str, span: Span) -> AttachPoint {
    let mut splitter = Splitter { start: span.start as usize, parts: Vec::new(), part: String::new(), part_start: 0 };
    let mut quoted = Quoted::No;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quoted, c) {
            (Quoted::No, ':') => splitter.finish(at),
            (Quoted::No, '"') => quoted = Quoted::Yes,
            (Quoted::Yes, '"') => quoted = Quoted::No,
            (Quoted::Yes, '\\') => splitter.part.extend(chars.next().map(|(_, escaped)| escaped)),
            (Quoted::No | Quoted::Yes, c) => splitter.part.push(c),
        }
    }
    splitter.finish(text.len());
    AttachPoint { parts: splitter.parts, span }
}

#[derive(Clone, Copy)]
enum Quoted {
    No,
    Yes,
}

struct Splitter {
    /// Where the attach point begins in the space of spans.
    start: usize,
    parts: Vec<Name>,
    part: String,
    part_start: usize,
}

impl Splitter {
    /// Ends the current part at `at`, where a colon or the end of the text stands.
    fn finish(&mut self, at: usize) {
        let span = Span::new(self.start + self.part_start, self.start + at);
        self.parts.push(Name { text: std::mem::take(&mut self.part), span });
        self.part_start = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<String> {
        split(text, Span::new(0, text.len())).parts.into_iter().map(|part| part.text).collect()
    }

    #[test]
    fn splits_at_colons_outside_of_quotes() {
        assert_eq!(parts("begin"), ["begin"]);
        assert_eq!(parts("uprobe:/bin/bash:readline"), ["uprobe", "/bin/bash", "readline"]);
        assert_eq!(parts(r#"uprobe:"/bin/a:b":cpp:"f(\"x\", 1)""#), ["uprobe", "/bin/a:b", "cpp", r#"f("x", 1)"#]);
        assert_eq!(parts("usdt::a:"), ["usdt", "", "a", ""]);
    }

    #[test]
    fn spans_cover_the_written_text() {
        let point = split(r#"u:"a:b":c"#, Span::new(10, 19));
        assert_eq!(point.parts[1].span, Span::new(12, 17));
        assert_eq!(point.parts[2].span, Span::new(18, 19));
    }
}
