//! The interactive shell: entries in, programs run one after another, what they collected out.

mod complete;
pub mod help;
pub mod plain;
pub mod terminal;

use std::io::Write;

use crate::error::Result;
use crate::report::written;

/// Where entries come from: a terminal, or plain text.
pub trait Lines {
    /// The next entry, whole (it may span lines); `None` at the end of the input.
    fn next(&mut self) -> Result<Option<String>>;
}

/// What a person typed.
#[derive(Debug, PartialEq, Eq)]
enum Entry<'a> {
    Nothing,
    Help(&'a str),
    Quit,
    Program(&'a str),
}

/// Reads and runs entries until the input ends or `quit` is entered. `run` compiles, attaches and traces one program until it
/// ends or is interrupted, and reports its own errors; an error it returns ends the shell.
pub fn run(lines: &mut dyn Lines, out: &mut dyn Write, run: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    while let Some(text) = lines.next()? {
        match classify(&text) {
            Entry::Nothing => {}
            Entry::Quit => break,
            Entry::Help(topic) => written(out.write_all(help::topic(topic).as_bytes()))?,
            Entry::Program(text) => run(text)?,
        }
    }
    Ok(())
}

fn classify(text: &str) -> Entry<'_> {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    match word.trim_start_matches(':') {
        "" => Entry::Nothing,
        "quit" | "exit" | "q" if rest.is_empty() => Entry::Quit,
        "help" | "h" | "?" if !rest.contains(['{', '<']) => Entry::Help(rest.trim()),
        _ => Entry::Program(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(input: &str) -> (String, Vec<String>) {
        let mut out = Vec::new();
        let mut programs = Vec::new();
        let mut lines = plain::Plain::new(input.as_bytes());
        run(&mut lines, &mut out, &mut |text| {
            programs.push(text.to_string());
            Ok(())
        })
        .unwrap();
        (String::from_utf8(out).unwrap(), programs)
    }

    #[test]
    fn entries_end_where_their_braces_close() {
        let (_, programs) = transcript("begin {\n  exit();\n}\n\ninterval:s:1 { @ = count(); }\nquit\nbegin { }\n");
        assert_eq!(programs, ["begin {\n  exit();\n}", "interval:s:1 { @ = count(); }"]);
    }

    #[test]
    fn help_names_what_there_is() {
        let (out, programs) = transcript("help\nhelp hist\nhelp nosuch\n");
        assert!(programs.is_empty());
        assert!(out.contains("hist("), "{out}");
        assert!(out.contains("there is no 'nosuch'"), "{out}");
    }
}
