//! Faults of the program: what is wrong, where, and what to type instead; and the one way in which they are shown.

use colored::Color;
use unicode_width::UnicodeWidthStr;

use crate::source::{Location, Sources, Span};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// One finding about the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub span: Span,
    pub message: String,
    /// Further places that matter, each with a word on why.
    pub labels: Vec<(Span, String)>,
    /// What to do about it.
    pub hints: Vec<String>,
}

impl Diagnostic {
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, span, message)
    }

    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, span, message)
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push((span, text.into()));
        self
    }

    fn new(severity: Severity, span: Span, message: impl Into<String>) -> Self {
        Self { severity, span, message: message.into(), labels: Vec::new(), hints: Vec::new() }
    }
}

/// Whether text is coloured for a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    #[default]
    Plain,
    Coloured,
}

/// Shows a diagnostic as bpftrace does, with a newline at its end:
///
/// ```text
/// stdin:1:15-17: ERROR: Undefined or undeclared variable: $x
/// begin { print($x); }
///               ~~
/// HINT: assign to it first
/// ```
///
/// Of a line of the source that is wider than `columns`, the part is shown that matters.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, style: Style, columns: usize) -> String {
    let place = |span, message: &str| diagnostic.place(sources, span, message, style, columns);
    let mut out = place(diagnostic.span, &diagnostic.message);
    for call in sources.expanded_from(diagnostic.span) {
        out.push_str(&place(call, "expanded from"));
    }
    for (span, text) in &diagnostic.labels {
        out.push_str(&place(*span, text));
    }
    for hint in &diagnostic.hints {
        out.push_str(&format!("{} {hint}\n", style.paint(Color::Cyan, "HINT:")));
    }
    out
}

/// A place in the script that a message of the run is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
    /// `file:1:3-5`
    pub position: String,
    /// The source with its underline.
    pub excerpt: String,
}

/// Where a span lies; nothing for a span of no source.
pub fn place(span: Span, sources: &Sources) -> Option<Place> {
    let place = located(span, sources)?;
    Some(Place {
        file: place.file.to_string(),
        line: place.line,
        column: place.column,
        position: position(&place),
        excerpt: excerpt(&place, MAX_COLUMNS, |width| "~".repeat(width)),
    })
}

/// Where a span lies; the default one, which is that of nothing in particular, lies nowhere.
fn located(span: Span, sources: &Sources) -> Option<Location<'_>> {
    sources.locate(span).filter(|_| span != Span::default())
}

/// More lines of one span than this are not shown.
const MAX_LINES: usize = 6;

/// Nor are more characters of one line.
const MAX_COLUMNS: usize = 160;

/// Less than this tells nothing, however narrow the terminal.
const LEAST_COLUMNS: usize = 20;

/// Stands for what is not shown of a line.
const CUT: &str = "...";

impl Diagnostic {
    /// One place: headline, source, underline.
    fn place(&self, sources: &Sources, span: Span, message: &str, style: Style, columns: usize) -> String {
        let word = match self.severity {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
        };
        let Some(place) = located(span, sources) else {
            return format!("{}\n", style.paint(self.colour(), &format!("{word}: {message}")));
        };
        let headline = format!("{}: {word}: {message}", position(&place));
        let excerpt = excerpt(&place, room(columns), style.underline(self.colour()));
        format!("{}\n{excerpt}", style.paint(self.colour(), &headline))
    }

    fn colour(&self) -> Color {
        match self.severity {
            Severity::Error => Color::Red,
            Severity::Warning => Color::Yellow,
        }
    }
}

impl Style {
    fn paint(self, colour: Color, text: &str) -> String {
        match self {
            Style::Plain => text.to_string(),
            Style::Coloured => format!("\x1b[{}m{text}\x1b[0m", colour.to_fg_str()),
        }
    }

    fn underline(self, colour: Color) -> impl Fn(usize) -> String {
        move |width| self.paint(colour, &"~".repeat(width))
    }
}

/// `file:1:3-5`, or `file:1-3` for several lines.
fn position(place: &Location<'_>) -> String {
    match place.line == place.end_line {
        true => format!("{}:{}:{}-{}", place.file, place.line, place.column, place.end_column),
        false => format!("{}:{}-{}", place.file, place.line, place.end_line),
    }
}

/// The source of a place: one line with its underline, or several lines without.
fn excerpt(place: &Location<'_>, room: usize, underline: impl Fn(usize) -> String) -> String {
    if place.line != place.end_line {
        let mut lines: Vec<_> = place.lines.lines().map(|line| shown(&cut(line, room))).collect();
        if lines.len() > MAX_LINES {
            lines.truncate(MAX_LINES - 1);
            lines.push("...".to_string());
        }
        return lines.join("\n") + "\n";
    }
    let (start, end) = (place.column - 1, place.end_column - 1);
    let (from, to) = window(start, place.text.chars().count(), room);
    let part = |from: usize, to: usize| shown(&place.text.chars().skip(from).take(to - from).collect::<String>());
    let mark = |is_cut: bool| if is_cut { CUT } else { "" };
    let (lead, trail) = (mark(from > 0), mark(to < place.text.chars().count()));
    let before = lead.len() + part(from, start).width();
    let width = part(start, end.min(to)).width().max(1);
    format!("{lead}{}{trail}\n{}{}\n", part(from, to), " ".repeat(before), underline(width))
}

/// Which characters of a line of this length are shown, so that the one at `start` is among them.
fn window(start: usize, length: usize, room: usize) -> (usize, usize) {
    let from = if start < room * 3 / 4 { 0 } else { start - room / 4 };
    let from = from.min(length.saturating_sub(room));
    (from, length.min(from + room))
}

/// How much of a line is shown where there are so many columns: it may have to be cut at both ends.
fn room(columns: usize) -> usize {
    columns.saturating_sub(2 * CUT.len()).clamp(LEAST_COLUMNS, MAX_COLUMNS)
}

/// The beginning of a line, if it is too long to be shown whole.
fn cut(line: &str, room: usize) -> String {
    match line.char_indices().nth(room) {
        Some((end, _)) => format!("{}{CUT}", &line[..end]),
        None => line.to_string(),
    }
}

/// A source line as a terminal shows it: a tab is four columns wide, and nothing in it can move the cursor.
fn shown(line: &str) -> String {
    line.replace('\t', "    ").replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_at(text: &str, what: &str, diagnostic: impl Fn(Span) -> Diagnostic) -> String {
        let mut sources = Sources::new();
        sources.add("stdin", text);
        let start = text.find(what).expect("part of the text");
        render(&diagnostic(Span::new(start, start + what.len())), &sources, Style::Plain, usize::MAX)
    }

    #[test]
    fn layout() {
        let shown = shown_at("begin { print($x); }", "$x", |span| {
            Diagnostic::error(span, "Undefined").label(Span::new(0, 5), "here").hint("assign it")
        });
        let expected = "stdin:1:15-17: ERROR: Undefined\nbegin { print($x); }\n              ~~\nstdin:1:1-6: ERROR: here\nbegin { \
                        print($x); }\n~~~~~\nHINT: assign it\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn tabs_and_wide_characters_keep_the_underline_in_place() {
        let shown = shown_at("\tprint(\"\u{e9}\u{6f22}\", $x)", "$x", |span| Diagnostic::warning(span, "m"));
        assert_eq!(shown, "stdin:1:14-16: WARNING: m\n    print(\"\u{e9}\u{6f22}\", $x)\n                 ~~\n");
    }

    #[test]
    fn several_lines() {
        let shown = shown_at("begin {\n  x\n}", "{\n  x\n}", |span| Diagnostic::error(span, "m"));
        assert_eq!(shown, "stdin:1-3: ERROR: m\nbegin {\n  x\n}\n");
    }

    #[test]
    fn of_long_lines_the_place_is_shown() {
        let text = format!("{}$x{}", "a".repeat(1000), "b".repeat(1000));
        let shown = shown_at(&text, "$x", |span| Diagnostic::error(span, "m"));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1], format!("...{}$x{}...", "a".repeat(40), "b".repeat(118)));
        assert_eq!(lines[2], format!("{}~~", " ".repeat(43)));
        let whole = shown_at(&text, &text, |span| Diagnostic::error(span, "m"));
        assert_eq!(whole.lines().last(), Some("~".repeat(160).as_str()));
    }

    #[test]
    fn excerpts_fit_the_terminal() {
        let mut sources = Sources::new();
        sources.add("stdin", format!("{}$x{}", "a".repeat(70), "b".repeat(20)));
        let shown = render(&Diagnostic::error(Span::new(70, 72), "m"), &sources, Style::Plain, 40);
        assert_eq!(shown.lines().nth(1), Some(format!("...{}$x{}", "a".repeat(12), "b".repeat(20)).as_str()));
        assert_eq!(shown.lines().nth(2), Some(format!("{}~~", " ".repeat(15)).as_str()));
        assert!(shown.lines().all(|line| line.len() <= 40), "{shown}");
    }

    #[test]
    fn colours() {
        let mut sources = Sources::new();
        sources.add("stdin", "x");
        let shown = render(&Diagnostic::error(Span::new(0, 1), "m"), &sources, Style::Coloured, usize::MAX);
        assert_eq!(shown, "\x1b[31mstdin:1:1-2: ERROR: m\x1b[0m\nx\n\x1b[31m~\x1b[0m\n");
    }
}
