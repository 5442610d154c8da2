//! The interactive shell: programs are entered into a running session, one beside the other, and looked at while they run.

pub mod commands;
pub mod complete;
mod entry;
mod fit;
pub mod help;
mod inspect;
pub mod knowledge;
mod manage;
mod paint;
pub mod plain;
pub mod screen;
pub mod shell;
pub mod terminal;
mod view;
mod views;
mod workspace;

use crate::error::Result;

/// Where entries come from: a terminal, or plain text.
pub trait Lines {
    /// The next entry, whole (it may span lines); `None` at the end of the input. Where a person can change it, it begins with
    /// `text`.
    fn next(&mut self, text: &str) -> Result<Option<String>>;
}
