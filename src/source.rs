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
}

/// A place a person can find: line and column count from one, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location<'a> {
    pub file: &'a str,
    pub line: usize,
    pub column: usize,
    /// Column after the last character of the span, on the same line.
    pub end_column: usize,
    /// The whole source line, without its newline.
    pub text: &'a str,
}

impl Sources {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text and returns the offset at which its spans begin.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> &Source {
        let base = self.files.last().map_or(0, |last| last.base + last.text.len() as u32 + 1);
        self.files.push(Source { name: name.into(), text: text.into(), base });
        &self.files[self.files.len() - 1]
    }

    pub fn text(&self, span: Span) -> &str {
        self.file(span)
            .and_then(|file| file.text.get((span.start - file.base) as usize..(span.end - file.base) as usize))
            .unwrap_or("")
    }

    pub fn locate(&self, span: Span) -> Option<Location<'_>> {
        let file = self.file(span)?;
        let start = ((span.start - file.base) as usize).min(file.text.len());
        let line_start = file.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = file.text[start..].find('\n').map_or(file.text.len(), |at| start + at);
        let end = ((span.end - file.base) as usize).clamp(start, line_end.max(start));
        let column = file.text[line_start..start].chars().count() + 1;
        Some(Location {
            file: &file.name,
            line: file.text[..start].matches('\n').count() + 1,
            column,
            end_column: column + file.text[start..end].chars().count(),
            text: &file.text[line_start..line_end],
        })
    }

    fn file(&self, span: Span) -> Option<&Source> {
        self.files.iter().rev().find(|file| file.base <= span.start)
    }
}
