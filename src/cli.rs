//! Arguments in, an [`Invocation`] out. One table of options makes both the parser and the help.

mod flags;
mod pages;

use std::path::Path;

use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use crate::check::{Named, Safety};
use crate::kernel::Feature;
use crate::plan::Faults;
use crate::report::Warnings;
use crate::report::picture::Picture;
use crate::shelf::{self, Tool};
use flags::FLAGS;
pub use pages::Page;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Invocation {
    pub mode: Mode,
    pub program: Option<Program>,
    /// `$1`, `$2`, …; with `-l`, the pattern is the first.
    pub params: Vec<String>,
    /// `--name=value` after `--`, for `getopt()`.
    pub named: Vec<Named>,
    pub verbosity: Verbosity,
    pub pid: Option<u32>,
    pub command: Option<String>,
    /// Processes whose stacks can be unwound by tables, beside those of `-p` and `-c`.
    pub dwarf_pids: Vec<u32>,
    /// Whose tasks alone are traced.
    pub group: Option<Group>,
    /// How long the run may last.
    pub ttl: Option<Duration>,
    /// How often aggregations are printed and begun anew.
    pub every: Option<Duration>,
    /// How many entries of each map are shown at the end; 0 for all.
    pub top: u64,
    pub output: Option<String>,
    /// Where distributions are logged.
    pub hlog: Option<String>,
    pub format: Format,
    pub buffering: Buffering,
    pub warnings: Warnings,
    pub losses: Losses,
    pub safety: Safety,
    pub emit_elf: Option<String>,
    pub dump: Vec<Stage>,
    /// A regular expression for the names of probes.
    pub probe_filter: Option<String>,
    /// Features not to be used although the kernel has them.
    pub unused: Vec<Feature>,
    /// File with the functions that may be traced, one a line.
    pub traceable: Option<String>,
    /// Folders in which `#include` looks first.
    pub include_folders: Vec<String>,
    /// Where debug information of programs is looked for first: folders and files, lists of them.
    pub debug_places: Vec<String>,
    /// Headers that stand before the script's first line.
    pub includes: Vec<String>,
    /// Whether reads that fail are told of.
    pub faults: Faults,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Run the program, or the interactive shell where there is none.
    #[default]
    Run,
    /// The interactive shell.
    Shell,
    /// Run the program and show its maps in place.
    Live,
    /// Compile, load and attach, then end.
    DryRun,
    /// Compile, tell how it would be attached, then end.
    Plan,
    /// Compile, then end.
    Compile,
    /// Tell how long compiling takes.
    CompileBench,
    /// Run the `test` probes.
    Test,
    /// Run the `bench` probes.
    Bench,
    /// Print the script with its white space in order.
    Format,
    List,
    Info,
    /// List the tools that come with rtrace.
    Tools,
    /// Print a page made of the table of options.
    Generate(Page),
    /// Print the script that is the program.
    Source,
    Version,
    Help,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// `-e PROGRAM`.
    Text(String),
    File(String),
    /// One of the tools that come with rtrace.
    Tool(&'static Tool),
    /// `-`.
    Stdin,
}

/// A control group, by what names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// A path or a number.
    Cgroup(String),
    /// A container's id or name.
    Container(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verbosity {
    Quiet,
    #[default]
    Normal,
    Verbose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Text,
    Json,
    /// Nothing but the maps that a picture is made of.
    Picture(Picture),
}

/// When program output reaches its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Buffering {
    /// At each line.
    #[default]
    Line,
    /// When the buffer is full and at the end.
    Full,
    None,
}

/// What it means for a run that something was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Losses {
    #[default]
    Told,
    /// They are told, and the run counts as failed.
    Failure,
}

/// A stage of compilation that `-d` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Ast,
    Ir,
    Insns,
    /// What the kernel's verifier says of the programs.
    Verifier,
}

/// What is wrong with the arguments.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such option: the help may show the right one.
    Unknown(String),
    /// An option is used wrongly.
    Wrong(String),
}

/// Reads the arguments that follow the program's name. What stands behind `--` belongs to the script, and so do the long options
/// behind the name of a tool.
pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Invocation, Fault> {
    let mut args: Vec<String> = args.into_iter().collect();
    let of_script = args.iter().position(|arg| arg == "--").map(|at| args.split_off(at)).unwrap_or_default();
    let mut invocation = Invocation::default();
    let mut words: Vec<String> = Vec::new();
    let wrong = |error: lexopt::Error| Fault::Wrong(error.to_string());
    let mut parser = Parser::from_args(args);
    while let Some(arg) = parser.next().map_err(wrong)? {
        match arg {
            Arg::Short(short) => {
                apply(&mut invocation, &mut parser, |flag| flag.short == Some(short), &format!("-{short}"))?
            }
            Arg::Long(long) if words.first().is_some_and(|word| is_tool(&invocation, word)) => {
                let name = long.to_string();
                let value = parser.optional_value().map(|value| value.string().map_err(wrong)).transpose()?;
                invocation.named.push(Named { name, value });
            }
            Arg::Long(long) => {
                let long = long.to_string();
                apply(&mut invocation, &mut parser, |flag| flag.long == long, &format!("--{long}"))?;
            }
            Arg::Value(word) => words.push(word.string().map_err(wrong)?),
        }
    }
    for word in of_script.into_iter().skip(1) {
        match word.strip_prefix("--") {
            Some(named) => invocation.named.push(named_parameter(named)),
            None => words.push(word),
        }
    }
    assign_words(&mut invocation, words);
    exclude(&invocation)?;
    Ok(invocation)
}

/// The text of `--help`.
pub fn help() -> String {
    let options: String = FLAGS
        .iter()
        .map(|flag| {
            let short = flag.short.map_or("   ".to_string(), |short| format!("-{short},"));
            format!("  {short} {:<27} {}\n", format!("--{} {}", flag.long, flag.value), flag.doc)
        })
        .collect();
    format!(
        "USAGE:\n  rtrace [OPTIONS] FILE [PARAMS]        run a script ('-' reads it from standard input)\n  \
         rtrace [OPTIONS] -e PROGRAM [PARAMS]  run a one-liner\n  \
         rtrace [OPTIONS] FILE -- --NAME=VALUE give a script its named parameters (-- --help lists them)\n  \
         rtrace [OPTIONS] TOOL [--NAME=VALUE]  run a tool of the shelf (--tools lists them, TOOL --help its options)\n  \
         rtrace -l [PATTERN]                   list probes\n  \
         rtrace                                start the interactive shell\n\nOPTIONS:\n{options}\nEXAMPLES:\n  \
         rtrace -e 'tracepoint:raw_syscalls:sys_enter {{ @[comm] = count(); }}'\n      count system calls by program until Ctrl-C\n  \
         rtrace -e 'profile:hz:99 {{ @[kstack] = count(); }}'\n      sample kernel stacks 99 times a second\n  \
         rtrace -l 'tracepoint:syscalls:*open*'\n      find probes\n"
    )
}

fn apply(
    invocation: &mut Invocation,
    parser: &mut Parser,
    is_meant: impl Fn(&flags::Flag) -> bool,
    written: &str,
) -> Result<(), Fault> {
    let flag = FLAGS.iter().find(|flag| is_meant(flag)).ok_or_else(|| unknown(written))?;
    let value = if flag.value.is_empty() {
        String::new()
    } else {
        let missing = |_| Fault::Wrong(format!("{written} needs a value: {written} {}", flag.value));
        let value = parser.value().map_err(missing)?;
        value.string().map_err(|error| Fault::Wrong(error.to_string()))?
    };
    (flag.set)(invocation, &value).map_err(Fault::Wrong)
}

fn unknown(written: &str) -> Fault {
    let names = FLAGS.iter().map(|flag| flag.long);
    Fault::Unknown(match crate::names::nearest(written.trim_start_matches('-'), names) {
        Some(name) => format!("unrecognized option '{written}'; did you mean --{name}?"),
        None => format!("unrecognized option '{written}'"),
    })
}

/// `name=value`, or `name` alone.
fn named_parameter(text: &str) -> Named {
    match text.split_once('=') {
        Some((name, value)) => Named { name: name.to_string(), value: Some(value.to_string()) },
        None => Named { name: text.to_string(), value: None },
    }
}

/// The first word is the script, unless the program was given by `-e` or a pattern is meant.
fn assign_words(invocation: &mut Invocation, mut words: Vec<String>) {
    let is_script = |word: &String| invocation.mode != Mode::List || word.ends_with(".bt");
    if invocation.program.is_none() && words.first().is_some_and(is_script) {
        let word = words.remove(0);
        invocation.program = Some(match tool(&word) {
            Some(tool) => Program::Tool(tool),
            None if word == "-" => Program::Stdin,
            None => Program::File(word),
        });
    }
    invocation.params = words;
}

/// A file of the same name wins.
fn tool(word: &str) -> Option<&'static Tool> {
    shelf::find(word).filter(|_| !Path::new(word).is_file())
}

fn is_tool(invocation: &Invocation, word: &str) -> bool {
    invocation.program.is_none() && invocation.mode != Mode::List && tool(word).is_some()
}

fn exclude(invocation: &Invocation) -> Result<(), Fault> {
    if invocation.faults == Faults::Told && invocation.warnings == Warnings::Hidden {
        return Err(Fault::Wrong("USAGE: -k, --warnings conflicts with --no-warnings".to_string()));
    }
    if invocation.pid.is_some() && invocation.command.is_some() {
        let why = "USAGE: Cannot use both -c and -p. -p names a running process, -c starts one";
        return Err(Fault::Wrong(why.to_string()));
    }
    if invocation.group.is_some() && invocation.emit_elf.is_some() {
        let why =
            "USAGE: --emit-elf cannot be used with --cgroup or --container: an object file cannot hold on to a cgroup";
        return Err(Fault::Wrong(why.to_string()));
    }
    if matches!(invocation.format, Format::Picture(_)) && opens_shell(invocation) {
        let why = "USAGE: -f folded, flamegraph, pprof and svg show what a program has counted when it ends: rtrace -f flamegraph -e PROGRAM";
        return Err(Fault::Wrong(why.to_string()));
    }
    if invocation.command.is_some() && invocation.program.is_none() {
        let why = "USAGE: -c needs a program to trace the command with: -e PROGRAM, or a script";
        return Err(Fault::Wrong(why.to_string()));
    }
    Ok(())
}

/// Whether there will be a session without an end at which a picture could be drawn.
fn opens_shell(invocation: &Invocation) -> bool {
    match invocation.mode {
        Mode::Shell | Mode::Live => true,
        Mode::Run | Mode::DryRun | Mode::Plan | Mode::Compile | Mode::CompileBench | Mode::Test | Mode::Bench => {
            invocation.program.is_none()
        }
        Mode::Format | Mode::List | Mode::Info | Mode::Tools => false,
        Mode::Generate(_) | Mode::Source | Mode::Version | Mode::Help => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Invocation {
        parse(line.split_whitespace().map(str::to_string)).unwrap()
    }

    #[test]
    fn words_after_the_program_are_its_parameters() {
        let run = parsed("-v script.bt 1 two");
        assert_eq!(run.program, Some(Program::File("script.bt".into())));
        assert_eq!(run.params, ["1", "two"]);
        assert_eq!(run.verbosity, Verbosity::Verbose);
        let run = parsed("-e x 1");
        assert_eq!((run.program, run.params), (Some(Program::Text("x".into())), vec!["1".to_string()]));
    }

    #[test]
    fn listing_takes_a_pattern_or_a_script() {
        let list = parsed("-lv tracepoint:*");
        assert_eq!((list.mode, list.verbosity, list.program), (Mode::List, Verbosity::Verbose, None));
        assert_eq!(list.params, ["tracepoint:*"]);
        assert_eq!(parsed("-l a.bt").program, Some(Program::File("a.bt".into())));
    }

    #[test]
    fn mistakes_say_what_to_type() {
        let failed = |line: &str| parse(line.split_whitespace().map(str::to_string)).unwrap_err();
        let wrong = |text: &str| Fault::Wrong(text.to_string());
        assert_eq!(
            failed("--dry-rn"),
            Fault::Unknown("unrecognized option '--dry-rn'; did you mean --dry-run?".into())
        );
        assert_eq!(
            failed("-f xml"),
            wrong(
                "Invalid output format \"xml\"\nValid formats: 'text', 'json', 'folded', 'flamegraph', 'pprof', 'svg'"
            )
        );
        assert_eq!(failed("-p 0 -e x"), wrong("Failed to attach to pid: no process has the number 0"));
        assert!(matches!(failed("-c ls"), Fault::Wrong(why) if why.contains("-c needs a program")));
        assert!(matches!(failed("-f svg --test"), Fault::Wrong(why) if why.contains("when it ends")));
        assert_eq!(failed("--cgroup= -e x"), wrong("USAGE: the name after --cgroup or --container is empty"));
        assert_eq!(failed("-e"), wrong("-e needs a value: -e PROGRAM"));
        assert_eq!(failed("-d foo"), wrong("USAGE: invalid option for -d: foo (stages: ast, ir, insns, verifier)"));
        assert!(matches!(failed("--aot x"), Fault::Wrong(why) if why.contains("no compiler")));
    }

    #[test]
    fn what_follows_two_dashes_is_the_scripts() {
        let run = parsed("a.bt 1 -- --n=7 two --flag");
        assert_eq!(run.params, ["1", "two"]);
        let named = |name: &str, value: Option<&str>| Named { name: name.into(), value: value.map(str::to_string) };
        assert_eq!(run.named, [named("n", Some("7")), named("flag", None)]);
    }

    #[test]
    fn long_options_behind_a_tool_are_the_tools() {
        let run = parsed("-q opensnoop --failed --comm=cat -p 7 two");
        assert!(matches!(run.program, Some(Program::Tool(tool)) if tool.name == "opensnoop"));
        let named = |name: &str, value: Option<&str>| Named { name: name.into(), value: value.map(str::to_string) };
        assert_eq!(run.named, [named("failed", None), named("comm", Some("cat"))]);
        assert_eq!((run.verbosity, run.pid, run.params), (Verbosity::Quiet, Some(7), vec!["two".to_string()]));
        assert_eq!(parsed("script.bt --help").mode, Mode::Help);
        assert_eq!(parsed("-l opensnoop").program, None);
    }

    #[test]
    fn stages_go_by_bpftraces_names_too() {
        assert_eq!(parsed("-d types,dis -e x").dump, [Stage::Ir, Stage::Insns]);
        assert_eq!(parsed("-d all -e x").dump, [Stage::Ast, Stage::Ir, Stage::Insns]);
        assert_eq!(parsed("--no-feature uprobe_multi -e x").unused, [Feature::UprobeMulti]);
        assert_eq!(parsed("--mode test -e x").mode, Mode::Test);
    }
}
