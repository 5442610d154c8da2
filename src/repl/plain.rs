//! Entries from plain text, for transcripts and pipes: no prompt, no editing.

use std::io::BufRead;

use super::Lines;
use super::entry::extent;
use crate::error::{Error, Result};
use crate::syntax::Completeness;

/// Reads entries from any buffered input.
pub struct Plain<R> {
    input: R,
}

impl<R: BufRead> Plain<R> {
    pub fn new(input: R) -> Self {
        Self { input }
    }
}

impl<R: BufRead> Lines for Plain<R> {
    fn next(&mut self, _: &str) -> Result<Option<String>> {
        let mut entry = String::new();
        loop {
            let mut line = Vec::new();
            let read = self.input.read_until(b'\n', &mut line);
            let bytes = read.map_err(|error| Error::usage(format!("cannot read the next entry: {error}")))?;
            if bytes == 0 {
                return Ok((!entry.trim().is_empty()).then_some(entry));
            }
            // Bytes that are not text are shown as such by the fault they are, which ends the entry and not the shell.
            entry.push_str(&String::from_utf8_lossy(&line));
            if extent(&entry) == Completeness::Complete {
                return Ok(Some(entry));
            }
        }
    }
}
