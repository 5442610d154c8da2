//! The shell's help, made of the same tables that the compiler works with.

use super::commands::{self, COMMANDS, Command};
use crate::builtins::{self, Builtin};
use crate::probes::{self, ProbeType};

const INTRODUCTION: &str = "\
Type a probe and what to do when it is hit; Enter runs it once its braces are closed, beside what runs already:

  tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }
  @                     prints a map; so does print(@, 5), or any expression: @a / @b
  :watch @              shows it again and again
  :stop 1               ends the program and prints its maps

Programs share maps of the same name. Ctrl-C throws a line away and ends a view; Ctrl-D ends everything.
";

/// Help on a name, or the overview.
pub fn topic(name: &str) -> String {
    if name.is_empty() {
        return overview();
    }
    let probe = probes::TYPES.iter().find(|of| of.names.contains(&name));
    let command = commands::find(name.trim_start_matches(':'));
    match (builtins::find(name), probe, command) {
        (None, None, None) => unknown(name),
        (builtin, probe, command) => {
            let texts = [builtin.map(on_builtin), probe.map(|of| on_probe(of)), command.map(on_command)];
            texts.into_iter().flatten().collect()
        }
    }
}

fn overview() -> String {
    let builtins: Vec<&str> = names().collect();
    let probes: Vec<&str> = probes::TYPES.iter().map(|of| of.names[0]).collect();
    let commands: String =
        COMMANDS.iter().map(|command| format!("  {:<24} {}\n", head(command), command.doc)).collect();
    let (probes, builtins) = (probes.join(" "), builtins.join(" "));
    format!("{INTRODUCTION}\nCommands:\n{commands}\nProbes:    {probes}\nBuiltins:  {builtins}\n")
}

fn names() -> impl Iterator<Item = &'static str> {
    builtins::TABLES.iter().flat_map(|table| table.iter()).map(|builtin| builtin.name)
}

/// `:stop [N...|all]`
pub fn head(command: &Command) -> String {
    format!(":{} {}", command.names[0], command.params).trim_end().to_string()
}

fn on_builtin(builtin: &Builtin) -> String {
    let params = if builtin.params.is_empty() { String::new() } else { format!("({})", builtin.params) };
    format!("{}{params}\n  {}\n  {}\n", builtin.name, builtin.doc, builtin.example)
}

fn on_probe(of: &ProbeType) -> String {
    format!("{}{}\n  {}\n  {}\n", of.syntax, aliases(of.names), of.doc, of.example)
}

fn on_command(command: &Command) -> String {
    let text = command.doc;
    format!("{}{}\n  {text}\n", head(command), aliases(command.names))
}

fn aliases(names: &[&str]) -> String {
    match names {
        [_, aliases @ ..] if !aliases.is_empty() => format!(" (or {})", aliases.join(", ")),
        _ => String::new(),
    }
}

fn unknown(name: &str) -> String {
    let probes = probes::TYPES.iter().flat_map(|of| of.names.iter().copied());
    let all: Vec<&str> = names().chain(probes).chain(commands::names()).collect();
    let longer = || all.iter().copied().find(|known| known.starts_with(name));
    match longer().or_else(|| crate::names::nearest(name, all.iter().copied())) {
        Some(near) => format!("there is no '{name}'; did you mean: help {near}\n"),
        None => format!("there is no '{name}'; help alone lists what there is\n"),
    }
}
