//! Entries from a person at a terminal, with line editing and history.

use std::path::PathBuf;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Completer, Editor, Helper, Highlighter, Hinter};

use super::Lines;
use crate::error::{Error, Result};
use crate::syntax::{Completeness, completeness};

const PROMPT: &str = "rtrace> ";

/// A line editor whose entries go on until their braces close.
pub struct Terminal {
    editor: Editor<Braces, FileHistory>,
    history: Option<PathBuf>,
}

/// Tells the editor whether Enter ends the entry.
#[derive(Completer, Helper, Highlighter, Hinter)]
struct Braces;

impl Terminal {
    /// Opens the terminal; the history is read from and kept in `history`, where given.
    pub fn open(history: Option<PathBuf>) -> Result<Self> {
        let mut editor = Editor::new().map_err(failed)?;
        editor.set_helper(Some(Braces));
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
                // Ctrl-C throws the line away, Ctrl-D ends the session.
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

impl Validator for Braces {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match completeness(context.input()) {
            Completeness::Complete => ValidationResult::Valid(None),
            Completeness::Open => ValidationResult::Incomplete,
        })
    }
}

fn failed(error: ReadlineError) -> Error {
    Error::usage(format!("cannot read from the terminal: {error}"))
        .hint("to run entries from a file: rtrace < entries.txt")
}
