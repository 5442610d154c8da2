//! The shell's help, made of the same tables that the compiler works with.

use crate::builtins::{self, Builtin};
use crate::probes::{self, ProbeType};

const INTRODUCTION: &str = "\
Type a probe and what to do when it is hit; Enter runs it once its braces are closed:

  tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }
  interval:s:1 { print(@); clear(@); }  (one entry may hold several probes)

Ctrl-C or exit() ends it, prints its maps and brings the prompt back.

  help NAME   about a builtin or a probe type        quit   leave (or Ctrl-D)
";

/// Help on a name, or the overview.
pub fn topic(name: &str) -> String {
    if name.is_empty() {
        return overview();
    }
    let probe = probes::TYPES.iter().find(|of| of.names.contains(&name));
    match (builtins::find(name), probe) {
        (None, None) => unknown(name),
        (builtin, probe) => [builtin.map(on_builtin), probe.map(|of| on_probe(of))].into_iter().flatten().collect(),
    }
}

fn overview() -> String {
    let builtins: Vec<&str> = names().collect();
    let probes: Vec<&str> = probes::TYPES.iter().map(|of| of.names[0]).collect();
    format!("{INTRODUCTION}\nProbes:   {}\nBuiltins: {}\n", wrapped(&probes), wrapped(&builtins))
}

fn names() -> impl Iterator<Item = &'static str> {
    builtins::TABLES.iter().flat_map(|table| table.iter()).map(|builtin| builtin.name)
}

fn on_builtin(builtin: &Builtin) -> String {
    let params = if builtin.params.is_empty() { String::new() } else { format!("({})", builtin.params) };
    format!("{}{params}\n  {}\n  {}\n", builtin.name, builtin.doc, builtin.example)
}

fn on_probe(of: &ProbeType) -> String {
    let aliases = match of.names {
        [_, aliases @ ..] if !aliases.is_empty() => format!(" (or {})", aliases.join(", ")),
        _ => String::new(),
    };
    format!("{}{aliases}\n  {}\n  {}\n", of.syntax, of.doc, of.example)
}

fn unknown(name: &str) -> String {
    let probes = probes::TYPES.iter().flat_map(|of| of.names.iter().copied());
    match crate::names::nearest(name, names().chain(probes)) {
        Some(near) => format!("there is no '{name}'; did you mean: help {near}\n"),
        None => format!("there is no '{name}'; help alone lists what there is\n"),
    }
}

/// Words in lines of at most 100 columns, continued under the first.
fn wrapped(words: &[&str]) -> String {
    let mut text = String::new();
    let mut column = 10;
    for word in words {
        if column + word.len() > 100 {
            text.push_str("\n          ");
            column = 10;
        }
        text.push_str(word);
        text.push(' ');
        column += word.len() + 1;
    }
    text
}
