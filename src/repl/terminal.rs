//! Entries from a person at a terminal, with line editing, completion and history.

use std::borrow::Cow;
use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter, MatchingBracketHighlighter};
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper, Hinter};

use super::Lines;
use super::complete::complete;
use crate::diag::Style;
use crate::error::{Error, Result};
use crate::syntax::{Completeness, completeness};

const PROMPT: &str = "rtrace> ";

/// A line editor whose entries go on until their braces close.
pub struct Terminal {
    editor: Editor<Assistant, FileHistory>,
    history: Option<PathBuf>,
}

/// Tells the editor whether Enter ends the entry, what Tab can add, and how the line looks.
#[derive(Helper, Hinter)]
struct Assistant {
    style: Style,
    brackets: MatchingBracketHighlighter,
}

impl Terminal {
    /// Opens the terminal; the history is read from and kept in `history`, where given.
    pub fn open(history: Option<PathBuf>, style: Style) -> Result<Self> {
        let config = Config::builder().completion_type(CompletionType::List).build();
        let mut editor = Editor::with_config(config).map_err(failed)?;
        editor.set_helper(Some(Assistant { style, brackets: MatchingBracketHighlighter::new() }));
        if let Some(path) = &history {
            // A history that does not exist yet is no fault.
            editor.load_history(path).ok();
        }
        Ok(Self { editor, history })
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
    fn next(&mut self) -> Result<Option<String>> {
        loop {
            match self.editor.readline(PROMPT) {
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
        Ok(match completeness(context.input()) {
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

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, at: usize) -> Cow<'l, str> {
        match self.style {
            Style::Plain => Cow::Borrowed(line),
            Style::Coloured => self.brackets.highlight(line, at),
        }
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        match self.style {
            Style::Plain => Cow::Borrowed(prompt),
            Style::Coloured => Cow::Owned(format!("\x1b[1;36m{prompt}\x1b[0m")),
        }
    }

    fn highlight_char(&self, line: &str, at: usize, kind: CmdKind) -> bool {
        self.style == Style::Coloured && self.brackets.highlight_char(line, at, kind)
    }
}

fn failed(error: ReadlineError) -> Error {
    Error::usage(format!("cannot read from the terminal: {error}"))
        .hint("to run entries from a file: rtrace < entries.txt")
}
