//! Program texts and places in them: every text of a run lies in one space of byte offsets, so a span alone names its file.

/// A range of bytes in the texts of a [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// From here up to, but not including, another place.
    pub fn start_to(self, end: u32) -> Span {
        Span { start: self.start, end }
    }

    /// The smallest span that holds both.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// One text: a script, a one-liner or a REPL entry.
#[derive(Debug, Clone)]
pub struct Source {
    /// The path of a script, or `stdin` for `-` and `-e`, as diagnostics show it.
    pub name: String,
    pub text: String,
    /// Where this text begins in the common space of offsets.
    pub base: u32,
}

/// All texts of a run.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    files: Vec<Source>,
    expansions: Vec<Expansion>,
}

/// A stretch of the common space that stands for one expansion of a macro: its places are those of the macro's text, and it knows
/// the call.
#[derive(Debug, Clone)]
struct Expansion {
    base: u32,
    length: u32,
    /// Where the macro's text begins.
    origin: u32,
    call: Span,
}

/// A place a person can find: line and column count from one, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location<'a> {
    pub file: &'a str,
    pub line: usize,
    pub column: usize,
    /// The line that holds the last character of the span.
    pub end_line: usize,
    /// Column after the last character of the span, on its own line.
    pub end_column: usize,
    /// The source line where the span begins, whole, without its newline.
    pub text: &'a str,
    /// All source lines that the span touches.
    pub lines: &'a str,
}

impl Sources {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text. Its spans begin at [`Source::base`].
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> &Source {
        let base = self.end();
        self.files.push(Source { name: name.into(), text: text.into(), base });
        &self.files[self.files.len() - 1]
    }

    /// Makes room for an expansion of the macro that `text` covers, called at `call`; gives where the room begins.
    pub fn add_expansion(&mut self, text: Span, call: Span) -> u32 {
        let base = self.end();
        self.expansions.push(Expansion { base, length: text.end - text.start, origin: text.start, call });
        base
    }

    /// The calls through which a place came to be, innermost first; none for a place that was written where it stands.
    pub fn expanded_from(&self, span: Span) -> Vec<Span> {
        std::iter::successors(self.expansion(span), |inner| self.expansion(inner.call)).map(|one| one.call).collect()
    }

    /// What a span covers; nothing for a span of no known text.
    pub fn text(&self, span: Span) -> &str {
        let span = self.written(span);
        self.file(span).map_or("", |file| file.slice(span))
    }

    pub fn locate(&self, span: Span) -> Option<Location<'_>> {
        let span = self.written(span);
        self.file(span).map(|file| file.locate(span))
    }

    /// The place in a text that a place within an expansion was copied from.
    fn written(&self, span: Span) -> Span {
        self.expansion(span).map_or(span, |expansion| {
            let at = |place: u32| place.saturating_sub(expansion.base).min(expansion.length) + expansion.origin;
            Span { start: at(span.start), end: at(span.end) }
        })
    }

    fn expansion(&self, span: Span) -> Option<&Expansion> {
        let after = self.expansions.partition_point(|expansion| expansion.base <= span.start);
        let last = self.expansions[..after].last()?;
        (span.start <= last.base + last.length).then_some(last)
    }

    /// Where the next text may begin.
    fn end(&self) -> u32 {
        let files = self.files.last().map_or(0, |last| last.base + last.text.len() as u32 + 1);
        let expansions = self.expansions.last().map_or(0, |last| last.base + last.length + 1);
        files.max(expansions)
    }

    fn file(&self, span: Span) -> Option<&Source> {
        self.files.iter().rev().find(|file| file.base <= span.start)
    }
}

impl Source {
    /// The span of all of it.
    pub fn whole(&self) -> Span {
        Span { start: self.base, end: self.base + self.text.len() as u32 }
    }

    fn slice(&self, span: Span) -> &str {
        let (start, end) = self.range(span);
        &self.text[start..end]
    }

    fn locate(&self, span: Span) -> Location<'_> {
        let (start, end) = self.range(span);
        let first = line_start(&self.text, start);
        let last = line_start(&self.text, end);
        let first_end = line_end(&self.text, start);
        let line = self.text[..first].matches('\n').count() + 1;
        Location {
            file: &self.name,
            line,
            column: self.text[first..start].chars().count() + 1,
            end_line: line + self.text[first..last].matches('\n').count(),
            end_column: self.text[last..end].chars().count() + 1,
            text: &self.text[first..first_end],
            lines: &self.text[first..line_end(&self.text, end)],
        }
    }

    /// A span as offsets into the text, moved inwards to where it can be cut.
    fn range(&self, span: Span) -> (usize, usize) {
        let offset = |at: u32| self.text.floor_char_boundary(at.saturating_sub(self.base) as usize);
        let start = offset(span.start);
        (start, offset(span.end).max(start))
    }
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

fn line_end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    at + text[at..end].trim_end_matches('\r').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_name_their_text() {
        let mut sources = Sources::new();
        sources.add("a", "one");
        let base = sources.add("b", "two\nth\u{e9}ee\r\nfour").base as usize;
        let place = sources.locate(Span::new(base + 8, base + 9)).expect("a known span");
        assert_eq!((place.file, place.line, place.column, place.end_column), ("b", 2, 4, 5));
        assert_eq!(place.text, "th\u{e9}ee");
        assert_eq!(sources.text(Span::new(0, 3)), "one");
    }

    #[test]
    fn spans_over_several_lines() {
        let mut sources = Sources::new();
        sources.add("a", "begin {\n  x\n}\n");
        let place = sources.locate(Span::new(6, 13)).expect("a known span");
        assert_eq!((place.line, place.column, place.end_line, place.end_column), (1, 7, 3, 2));
        assert_eq!(place.lines, "begin {\n  x\n}");
    }

    #[test]
    fn spans_outside_are_harmless() {
        let mut sources = Sources::new();
        assert_eq!(sources.locate(Span::new(0, 1)), None);
        sources.add("a", "x");
        assert_eq!(sources.text(Span::new(5, 90)), "");
        assert_eq!(sources.locate(Span::new(5, 9)).map(|place| (place.line, place.column)), Some((1, 2)));
    }
}
