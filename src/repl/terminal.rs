//! Entries from a person at a terminal, with line editing, completion and history.

use std::borrow::Cow;
use std::cell::Cell;
use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter, MatchingBracketHighlighter};
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{ColorMode, CompletionType, Config, Context, Editor, ExternalPrinter, Helper};

use super::Lines;
use super::complete::complete;
use super::entry::extent;
use super::screen::Screen;
use crate::diag::Style;
use crate::error::{Error, Result};
use crate::syntax::Completeness;

const PROMPT: &str = "rtrace> ";

/// A line editor whose entries go on until their braces close.
pub struct Terminal {
    editor: Editor<Assistant, FileHistory>,
    history: Option<PathBuf>,
    screen: Screen,
}

/// Tells the editor whether Enter ends the entry, what Tab can add, and how the line looks.
#[derive(Helper)]
struct Assistant {
    style: Style,
    brackets: MatchingBracketHighlighter,
    screen: Screen,
    /// Whether the line is about to be drawn because of a key. Otherwise it is drawn because text was shown above it.
    is_key: Cell<bool>,
}

impl Terminal {
    /// Opens the terminal; the history is read from and kept in `history`, where given. What is written to the screen while a line
    /// is edited is shown above it.
    pub fn open(history: Option<PathBuf>, style: Style, screen: &Screen) -> Result<Self> {
        let config = Config::builder().completion_type(CompletionType::List);
        // Without colours too the assistant hears of all drawing; it is the one who colours.
        let config = config.color_mode(ColorMode::Forced).build();
        let mut editor = Editor::with_config(config).map_err(failed)?;
        let brackets = MatchingBracketHighlighter::new();
        editor.set_helper(Some(Assistant { style, brackets, screen: screen.clone(), is_key: Cell::new(false) }));
        if let Some(path) = &history {
            // A history that does not exist yet is no fault.
            editor.load_history(path).ok();
        }
        // A terminal that cannot move its cursor shows text as it comes.
        if let Ok(mut printer) = editor.create_external_printer() {
            let screen = screen.clone();
            std::thread::spawn(move || screen.deliver(|text| printer.print(text).unwrap_or_default()));
        }
        Ok(Self { editor, history, screen: screen.clone() })
    }

    fn remember(&mut self, entry: &str) -> Result<()> {
        self.editor.add_history_entry(entry).map_err(failed)?;
        if let Some(path) = &self.history {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).ok();
            }
            // A history that cannot be kept must not end the session.
            self.editor.append_history(path).ok();
        }
        Ok(())
    }
}

impl Lines for Terminal {
    fn next(&mut self, text: &str) -> Result<Option<String>> {
        loop {
            let line = self.editor.readline_with_initial(PROMPT, (text, ""));
            // The terminal may be gone, which the end of the input tells as well.
            self.screen.release().ok();
            match line {
                Ok(entry) => {
                    self.remember(entry.trim())?;
                    return Ok(Some(entry));
                }
                // Ctrl-C throws the line away, as bytes that are not text do; Ctrl-D ends the session.
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => {}
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match extent(context.input()) {
            Completeness::Complete => ValidationResult::Valid(None),
            Completeness::Open => ValidationResult::Incomplete,
        })
    }
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let (start, names) = complete(&line[..at]);
        Ok((start, names.into_iter().map(str::to_string).collect()))
    }
}

impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, _: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.is_key.set(true);
        None
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, at: usize) -> Cow<'l, str> {
        match self.style {
            Style::Plain => Cow::Borrowed(line),
            Style::Coloured => self.brackets.highlight(line, at),
        }
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        self.screen.begin_editing();
        if !self.is_key.take() {
            self.screen.shown();
        }
        match self.style {
            Style::Plain => Cow::Borrowed(prompt),
            Style::Coloured => Cow::Owned(format!("\x1b[1;36m{prompt}\x1b[0m")),
        }
    }

    fn highlight_char(&self, line: &str, at: usize, kind: CmdKind) -> bool {
        self.is_key.set(true);
        self.brackets.highlight_char(line, at, kind);
        // The whole line is drawn at each key, so that the next drawing without one is known to be for text above it.
        true
    }
}

fn failed(error: ReadlineError) -> Error {
    Error::usage(format!("cannot read from the terminal: {error}"))
        .hint("to run entries from a file: rtrace < entries.txt")
}
