//! The commands of the shell: one table that makes help, completion and the reference, each row with what it does.

use super::inspect;
use super::manage;
use super::shell::{Flow, Shell};
use super::views;
use crate::error::Result;

/// A command.
pub struct Command {
    /// The name first, then shorter ones.
    pub names: &'static [&'static str],
    /// What may follow it.
    pub params: &'static str,
    pub doc: &'static str,
    /// What its parameters are, for completion.
    pub takes: Takes,
    pub run: fn(&mut Shell<'_>, &str) -> Result<Flow>,
}

/// What stands behind a command's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    /// The number of a program that runs.
    Number,
    Map,
    File,
    Topic,
    /// A pattern of probes.
    Probes,
    Type,
}

const fn command(
    names: &'static [&'static str],
    params: &'static str,
    takes: Takes,
    doc: &'static str,
    run: fn(&mut Shell<'_>, &str) -> Result<Flow>,
) -> Command {
    Command { names, params, doc, takes, run }
}

/// All of them, in the order of the help.
pub static COMMANDS: &[Command] = &[
    command(
        &["help", "h", "?"],
        "[TOPIC]",
        Takes::Topic,
        "explains a builtin, a probe type or a command",
        inspect::help,
    ),
    command(&["list", "ls"], "", Takes::Nothing, "shows the programs that run", manage::list),
    command(&["maps"], "", Takes::Nothing, "shows the maps there are, with their types", inspect::maps),
    command(
        &["stop"],
        "[N...|all]",
        Takes::Number,
        "ends programs and prints their maps; the only one needs no number",
        manage::stop,
    ),
    command(
        &["edit"],
        "[N [PROGRAM]]",
        Takes::Number,
        "puts a changed program in the place of N; the only one needs no number",
        manage::edit,
    ),
    command(
        &["pause"],
        "[N...|all]",
        Takes::Number,
        "detaches programs; they stay loaded and keep their maps",
        manage::pause,
    ),
    command(&["resume"], "[N...|all]", Takes::Number, "attaches paused programs again", manage::resume),
    command(
        &["clear"],
        "[@MAP...]",
        Takes::Map,
        "empties maps, all without a name; one that no program uses is forgotten",
        manage::clear,
    ),
    command(&["reset"], "", Takes::Nothing, "ends all programs and forgets all maps", manage::reset),
    command(
        &["watch"],
        "@MAP [SECONDS]",
        Takes::Map,
        "shows a map again and again, in place on a terminal",
        views::watch,
    ),
    command(&["top"], "[SECONDS]", Takes::Nothing, "shows all maps again and again", views::top),
    command(
        &["stats"],
        "[SECONDS]",
        Takes::Nothing,
        "shows again and again what each probe costs, counted by the kernel meanwhile",
        views::stats,
    ),
    command(&["save"], "FILE", Takes::File, "writes the programs that run as one script", manage::save),
    command(&["load"], "FILE", Takes::File, "runs a script beside the other programs", manage::load),
    command(&["source"], "FILE", Takes::File, "does what a file says as if it were typed", manage::source),
    command(
        &["record"],
        "[FILE]",
        Takes::File,
        "writes down what is typed from now on; without a file, no more",
        manage::record,
    ),
    command(&["probes"], "PATTERN", Takes::Probes, "lists probes that match", inspect::probes),
    command(&["type"], "struct NAME", Takes::Type, "shows one of the kernel's types", inspect::type_of),
    command(&["insns"], "N", Takes::Number, "shows the instructions of a program", inspect::insns),
    command(&["plan"], "N", Takes::Number, "shows how a program is attached, and its maps", inspect::plan),
    command(&["wait"], "[N]", Takes::Number, "waits until a program has ended, or all", manage::wait),
    command(&["sleep"], "SECONDS", Takes::Nothing, "waits a while", manage::sleep),
    command(
        &["quit", "q", "exit"],
        "",
        Takes::Nothing,
        "detaches everything, prints the maps and leaves (or Ctrl-D)",
        manage::quit,
    ),
];

pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.names.contains(&name))
}

/// All names, the short ones too.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().flat_map(|command| command.names.iter().copied())
}
