//! What was typed becomes what is meant: a command, a program, or a line that is to run at once.

use super::commands::{self, Command};
use crate::engine::Engine;
use crate::source::Source;
use crate::syntax::{self, Completeness, ast, completeness};

/// What a person typed.
pub enum Entry<'a> {
    Nothing,
    Command(&'static Command, &'a str),
    /// Something that looks like a command, by its name.
    Unknown(&'a str),
    /// A map by its name.
    Map(&'a str),
    /// Statements or an expression.
    Line(&'a str),
    Program(&'a str),
}

/// How a line becomes a program: an expression is printed, a statement run.
pub const AS_VALUE: [&str; 2] = ["begin { print((", ")); }"];
pub const AS_STATEMENT: [&str; 2] = ["begin { ", "; }"];

/// Words that need no colon, as they could begin no program.
const PLAIN: [&str; 6] = ["help", "h", "?", "quit", "exit", "q"];

/// Decides what a text is.
pub fn read(text: &str) -> Entry<'_> {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    match word.strip_prefix(':') {
        Some(name) => {
            return commands::find(name).map_or(Entry::Unknown(name), |command| Entry::Command(command, rest));
        }
        None if PLAIN.contains(&word) && !rest.contains(['{', '<']) => {
            return commands::find(word).map_or(Entry::Nothing, |command| Entry::Command(command, rest));
        }
        None => {}
    }
    if parsed("", text, "").is_some_and(|program| program == ast::Program::default()) {
        Entry::Nothing
    } else if is_map(text) {
        Entry::Map(text)
    } else if is_line(text) {
        Entry::Line(text)
    } else {
        Entry::Program(text)
    }
}

/// Of several entries that were pasted together, the first and the rest. Clauses that follow each other are one program.
pub fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    if text.starts_with(":edit") {
        return None;
    }
    ends(text).map(|end| (&text[..end], text[end..].trim_start())).find(|(first, rest)| {
        let next = ends(rest).next().map_or(*rest, |end| &rest[..end]);
        is_done_at_once(first) || is_done_at_once(next)
    })
}

/// Ends of lines behind which an entry may end.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    text.match_indices('\n').map(|(at, _)| at).filter(|at| extent(&text[..*at]) == Completeness::Complete)
}

fn is_done_at_once(text: &str) -> bool {
    match read(text) {
        Entry::Command(..) | Entry::Unknown(_) | Entry::Map(_) | Entry::Line(_) => true,
        Entry::Nothing | Entry::Program(_) => false,
    }
}

/// Whether more lines are to come: those of a command's text count as its own.
pub fn extent(text: &str) -> Completeness {
    let trimmed = text.trim_start();
    match trimmed.strip_prefix(":edit") {
        Some(rest) => {
            let program = rest.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
            completeness(program)
        }
        None if trimmed.starts_with(':') => Completeness::Complete,
        None => completeness(text),
    }
}

/// Parses what [`read`] took for a line: as an expression where that makes sense, as statements otherwise.
pub fn line_as(engine: &mut Engine<'_>, around: [&str; 2], text: &str) -> Result<ast::Program, crate::engine::Faults> {
    engine.parse_between("stdin", around, text)
}

fn is_map(text: &str) -> bool {
    text.strip_prefix('@').is_some_and(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
}

fn is_line(text: &str) -> bool {
    parsed("", text, "").is_none()
        && [AS_VALUE, AS_STATEMENT].iter().any(|[before, after]| parsed(before, text, after).is_some_and(is_one_probe))
}

fn is_one_probe(program: ast::Program) -> bool {
    program.probes.len() == 1
}

fn parsed(before: &str, text: &str, after: &str) -> Option<ast::Program> {
    syntax::parse(&Source { name: String::new(), text: format!("{before}{text}{after}"), base: 0 }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pasted_together_is_done_one_after_another() {
        assert_eq!(split("@a = 3\n:maps\n@a\n"), Some(("@a = 3", ":maps\n@a")));
        assert_eq!(split(":maps\n\n@a"), Some((":maps", "@a")));
        let clauses = "// Both.\nbegin {\n  @a = 1;\n}\nend { clear(@a); }";
        assert_eq!(split(clauses), None);
        assert_eq!(split(&format!("{clauses}\n:list")), Some((clauses, ":list")));
        assert_eq!(split(":edit 1 begin { }\n@a"), None);
        assert_eq!(split("print(\n@a)"), None);
        assert_eq!(split("@a\n"), None);
    }

    fn kind(text: &str) -> &'static str {
        match read(text) {
            Entry::Nothing => "nothing",
            Entry::Command(command, _) => command.names[0],
            Entry::Unknown(_) => "unknown",
            Entry::Map(_) => "map",
            Entry::Line(_) => "line",
            Entry::Program(_) => "program",
        }
    }

    #[test]
    fn entries_are_told_apart() {
        for (text, expected) in [
            ("", "nothing"),
            ("  // a comment", "nothing"),
            (":list", "list"),
            ("help hist", "help"),
            ("quit", "quit"),
            (":nosuch 1", "unknown"),
            ("@", "map"),
            (" @lat ", "map"),
            ("@lat[1]", "line"),
            ("@a / @b", "line"),
            ("print(@a, 3)", "line"),
            ("@x = 1; print(@x)", "line"),
            ("clear(@x);", "line"),
            ("begin { }", "program"),
            ("begin { } }", "program"),
            ("kprobe:f { @ = count(); }", "program"),
            ("1 } end { print(2)", "program"),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn an_edited_program_may_span_lines() {
        assert_eq!(extent(":edit 1 begin {"), Completeness::Open);
        assert_eq!(extent(":edit 1 begin { }"), Completeness::Complete);
        assert_eq!(extent(":edit 1"), Completeness::Complete);
        assert_eq!(extent(":save a:b"), Completeness::Complete);
        assert_eq!(extent("begin {"), Completeness::Open);
    }
}
