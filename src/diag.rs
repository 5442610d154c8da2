//! Faults of the program: what is wrong, where, and what to type instead.

use colored::{Color, Colorize};

use crate::source::{Sources, Span};

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

/// Whether rendered text carries colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Coloured,
}

/// A diagnostic as text: place and message, the source line with the place underlined, labels, hints.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, style: Style) -> String {
    let (word, colour) = match diagnostic.severity {
        Severity::Error => ("ERROR", Color::Red),
        Severity::Warning => ("WARNING", Color::Yellow),
    };
    let mut text = place(diagnostic.span, sources);
    text.push_str(&painted(&format!("{word}: {}", diagnostic.message), colour, style));
    text.push('\n');
    text.push_str(&excerpt(diagnostic.span, sources, colour, style));
    for (span, label) in &diagnostic.labels {
        text.push_str(&format!("{}{label}\n", place(*span, sources)));
        text.push_str(&excerpt(*span, sources, Color::Cyan, style));
    }
    for hint in &diagnostic.hints {
        text.push_str(&format!("{} {hint}\n", painted("HINT:", Color::Cyan, style)));
    }
    text
}

/// `NAME:LINE:COLUMN-COLUMN: `, the columns being the first and the one after the last.
pub fn place(span: Span, sources: &Sources) -> String {
    let Some(at) = sources.locate(span) else { return String::new() };
    if at.end_column > at.column + 1 {
        format!("{}:{}:{}-{}: ", at.file, at.line, at.column, at.end_column)
    } else {
        format!("{}:{}:{}: ", at.file, at.line, at.column)
    }
}

/// The source line and a line of tildes under the span. Tabs are kept in front of the tildes, so that both lines align.
fn excerpt(span: Span, sources: &Sources, colour: Color, style: Style) -> String {
    let Some(at) = sources.locate(span) else { return String::new() };
    let indent: String = at.text.chars().take(at.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let tildes = "~".repeat((at.end_column - at.column).max(1));
    format!("{}\n{indent}{}\n", at.text, painted(&tildes, colour, style))
}

fn painted(text: &str, colour: Color, style: Style) -> String {
    match style {
        Style::Plain => text.to_string(),
        Style::Coloured => text.color(colour).bold().to_string(),
    }
}
