//! Entries from a person at a terminal, with line editing, completion and history.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::stdout;
use std::path::PathBuf;

use rustyline::completion::{self, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{self, Hinter};
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{ColorMode, CompletionType, Config, Context, Editor, ExternalPrinter, Helper};

use super::Lines;
use super::complete::place::{self, Place};
use super::complete::{Completer, Completion};
use super::entry::extent;
use super::fit;
use super::paint::paint;
use super::screen::Screen;
use crate::diag::Style;
use crate::error::{Error, Result};
use crate::runtime;
use crate::syntax::Completeness;

const PROMPT: &str = "rtrace> ";

/// A line editor whose entries go on until their braces close.
pub struct Terminal<'k> {
    editor: Editor<Assistant<'k>, FileHistory>,
    history: Option<PathBuf>,
    screen: Screen,
}

/// Tells the editor whether Enter ends the entry, what Tab can add, and how the line looks.
#[derive(Helper)]
struct Assistant<'k> {
    style: Style,
    screen: Screen,
    completer: Completer<'k>,
    /// Whether the line is about to be drawn because of a key. Otherwise it is drawn because text was shown above it.
    is_key: Cell<bool>,
    /// Whether it is about to be drawn for the last time, as it was entered.
    is_last: Cell<bool>,
}

/// What stands dimly behind the line, and cannot be taken over.
struct Note(String);

impl<'k> Terminal<'k> {
    /// Opens the terminal; the history is read from and kept in `history`, where given. What is written to the screen while a line
    /// is edited is shown above it.
    pub fn open(history: Option<PathBuf>, style: Style, screen: &Screen, completer: Completer<'k>) -> Result<Self> {
        let config = Config::builder().completion_type(CompletionType::List).completion_show_all_if_ambiguous(true);
        // Without colours too the assistant hears of all drawing; it is the one who colours.
        let config = config.color_mode(ColorMode::Forced).build();
        let mut editor = Editor::with_config(config).map_err(failed)?;
        editor.set_helper(Some(Assistant {
            style,
            screen: screen.clone(),
            completer,
            is_key: Cell::new(false),
            is_last: Cell::new(false),
        }));
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

impl Lines for Terminal<'_> {
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

impl Validator for Assistant<'_> {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match extent(context.input()) {
            Completeness::Complete => ValidationResult::Valid(None),
            Completeness::Open => ValidationResult::Incomplete,
        })
    }
}

impl completion::Completer for Assistant<'_> {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let Completion { start, candidates } = self.completer.complete(&line[..at]);
        let word = &line[start..at];
        // Several that do not begin with the word are only shown: what they have in common would take the word away.
        let is_kept = candidates.len() > 1 && !candidates.iter().all(|one| one.text.starts_with(word));
        let pairs = candidates.into_iter().map(|one| Pair {
            replacement: if is_kept { word.to_string() } else { one.text.clone() },
            display: one.text,
        });
        Ok((start, pairs.collect()))
    }
}

impl Hinter for Assistant<'_> {
    type Hint = Note;

    fn hint(&self, line: &str, at: usize, _: &Context<'_>) -> Option<Note> {
        self.is_key.set(true);
        let note = if at == line.len() { note(&self.completer, line) } else { None }?;
        let columns = runtime::terminal_size(stdout()).map_or(80, |(columns, _)| columns);
        let taken = PROMPT.len() + fit::width(line.rsplit('\n').next().unwrap_or_default()) + 4;
        let room = columns.saturating_sub(taken);
        (room >= LEAST).then(|| Note(format!("  {}", fit::cut(&note, room))))
    }
}

/// Narrower hints tell nothing.
const LEAST: usize = 16;

/// The signature of the call that is being written, or the type of the word at the end.
fn note(completer: &Completer<'_>, before: &str) -> Option<String> {
    let spot = place::find(before);
    let word = &before[spot.start..];
    match spot.place {
        Place::Map | Place::Member { .. } | Place::Command if !word.is_empty() => {
            let found = completer.complete(before).candidates;
            found.into_iter().find(|one| one.text == word && !one.note.is_empty()).map(|one| one.note)
        }
        Place::Word | Place::Nothing => {
            place::called(before).and_then(|name| crate::builtins::find(name).map(super::complete::signature))
        }
        _ => None,
    }
}

impl hint::Hint for Note {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Highlighter for Assistant<'_> {
    fn highlight<'l>(&self, line: &'l str, at: usize) -> Cow<'l, str> {
        match self.style {
            Style::Plain => Cow::Borrowed(line),
            Style::Coloured => Cow::Owned(paint(line, Some(at).filter(|_| !self.is_last.take()))),
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

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        match self.style {
            Style::Plain => Cow::Borrowed(hint),
            Style::Coloured => Cow::Owned(format!("\x1b[2m{hint}\x1b[0m")),
        }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.is_key.set(true);
        self.is_last.set(kind == CmdKind::ForcedRefresh);
        // The whole line is drawn at each key, so that the next drawing without one is known to be for text above it.
        true
    }
}

fn failed(error: ReadlineError) -> Error {
    Error::usage(format!("cannot read from the terminal: {error}"))
        .hint("to run entries from a file: rtrace < entries.txt")
}
