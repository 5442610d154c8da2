//! Arguments in, an [`Invocation`] out. One table of options makes both the parser and the help.

use lexopt::{Arg, Parser, ValueExt};

use crate::report::Warnings;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Invocation {
    pub mode: Mode,
    pub program: Option<Program>,
    /// `$1`, `$2`, …; with `-l`, the pattern is the first.
    pub params: Vec<String>,
    pub verbosity: Verbosity,
    pub pid: Option<u32>,
    pub command: Option<String>,
    pub output: Option<String>,
    pub format: Format,
    pub buffering: Buffering,
    pub warnings: Warnings,
    pub safety: crate::check::Safety,
    pub emit_elf: Option<String>,
    pub dump: Vec<Stage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Run the program, or the interactive shell where there is none.
    #[default]
    Run,
    /// Compile, load and attach, then end.
    DryRun,
    List,
    Info,
    Version,
    Help,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// `-e PROGRAM`.
    Text(String),
    File(String),
    /// `-`.
    Stdin,
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

/// A stage of compilation that `-d` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Ast,
    Ir,
    Insns,
}

/// One option of the command line.
struct Flag {
    short: Option<char>,
    long: &'static str,
    /// Name of its value in the help; empty if it takes none.
    value: &'static str,
    doc: &'static str,
    set: fn(&mut Invocation, &str) -> Result<(), String>,
}

const FLAGS: &[Flag] = &[
    flag(Some('e'), "eval", "PROGRAM", "run this program", |to, value| {
        to.program = Some(Program::Text(value.to_string()));
        Ok(())
    }),
    flag(Some('l'), "list", "", "list probes that match the pattern, or those of the program", |to, _| {
        to.mode = Mode::List;
        Ok(())
    }),
    flag(Some('p'), "pid", "PID", "trace this process only; end when it ends", |to, value| {
        let pid =
            value.parse().map_err(|_| format!("'{value}' is not a process id; try: -p {}", std::process::id()))?;
        to.pid = Some(pid);
        Ok(())
    }),
    flag(Some('c'), "cmd", "COMMAND", "run this command once attached; end when it ends", |to, value| {
        to.command = Some(value.to_string());
        Ok(())
    }),
    flag(Some('o'), "output", "FILE", "write the program's output to this file", |to, value| {
        to.output = Some(value.to_string());
        Ok(())
    }),
    flag(Some('f'), "format", "FORMAT", "output format: text, json", |to, value| {
        to.format = one_of(value, "format", &[("text", Format::Text), ("json", Format::Json)])?;
        Ok(())
    }),
    flag(Some('B'), "buffering", "MODE", "buffering of the output: line, full, none", |to, value| {
        let modes = [("line", Buffering::Line), ("full", Buffering::Full), ("none", Buffering::None)];
        to.buffering = one_of(value, "buffering mode", &modes)?;
        Ok(())
    }),
    flag(Some('d'), "debug", "STAGE", "show a stage of compilation and end: ast, ir, insns", |to, value| {
        for stage in value.split(',') {
            let stages = [("ast", Stage::Ast), ("ir", Stage::Ir), ("insns", Stage::Insns)];
            to.dump.push(one_of(stage, "stage", &stages)?);
        }
        Ok(())
    }),
    flag(None, "emit-elf", "FILE", "write the compiled programs as an eBPF object and end", |to, value| {
        to.emit_elf = Some(value.to_string());
        Ok(())
    }),
    flag(None, "dry-run", "", "compile, load and attach, then end", |to, _| {
        to.mode = Mode::DryRun;
        Ok(())
    }),
    flag(None, "unsafe", "", "allow actions that change the system, such as system()", |to, _| {
        to.safety = crate::check::Safety::Unsafe;
        Ok(())
    }),
    flag(Some('q'), "quiet", "", "print nothing but the program's output", |to, _| {
        to.verbosity = Verbosity::Quiet;
        Ok(())
    }),
    flag(Some('v'), "verbose", "", "say what is done; with -l, show arguments", |to, _| {
        to.verbosity = Verbosity::Verbose;
        Ok(())
    }),
    flag(None, "no-warnings", "", "hide warnings", |to, _| {
        to.warnings = Warnings::Hidden;
        Ok(())
    }),
    flag(None, "info", "", "show what this kernel offers", |to, _| {
        to.mode = Mode::Info;
        Ok(())
    }),
    flag(Some('V'), "version", "", "show the version", |to, _| {
        to.mode = Mode::Version;
        Ok(())
    }),
    flag(Some('h'), "help", "", "show this help", |to, _| {
        to.mode = Mode::Help;
        Ok(())
    }),
];

/// Reads the arguments that follow the program's name.
pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Invocation, String> {
    let mut invocation = Invocation::default();
    let mut words = Vec::new();
    let mut parser = Parser::from_args(args);
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Arg::Short(short) => {
                apply(&mut invocation, &mut parser, |flag| flag.short == Some(short), &format!("-{short}"))?
            }
            Arg::Long(long) => {
                let long = long.to_string();
                apply(&mut invocation, &mut parser, |flag| flag.long == long, &format!("--{long}"))?;
            }
            Arg::Value(word) => words.push(word.string().map_err(|error| error.to_string())?),
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
            format!("  {short} {:<22} {}\n", format!("--{} {}", flag.long, flag.value), flag.doc)
        })
        .collect();
    format!(
        "USAGE:\n  rtrace [OPTIONS] FILE [PARAMS]        run a script ('-' reads it from standard input)\n  \
         rtrace [OPTIONS] -e PROGRAM [PARAMS]  run a one-liner\n  rtrace -l [PATTERN]                   list probes\n  \
         rtrace                                start the interactive shell\n\nOPTIONS:\n{options}\nEXAMPLES:\n  \
         rtrace -e 'tracepoint:raw_syscalls:sys_enter {{ @[comm] = count(); }}'\n      count system calls by program until Ctrl-C\n  \
         rtrace -e 'profile:hz:99 {{ @[kstack] = count(); }}'\n      sample kernel stacks 99 times a second\n  \
         rtrace -l 'tracepoint:syscalls:*open*'\n      find probes\n"
    )
}

const fn flag(
    short: Option<char>,
    long: &'static str,
    value: &'static str,
    doc: &'static str,
    set: fn(&mut Invocation, &str) -> Result<(), String>,
) -> Flag {
    Flag { short, long, value, doc, set }
}

fn apply(
    invocation: &mut Invocation,
    parser: &mut Parser,
    is_meant: impl Fn(&Flag) -> bool,
    written: &str,
) -> Result<(), String> {
    let flag = FLAGS.iter().find(|flag| is_meant(flag)).ok_or_else(|| unknown(written))?;
    let value = if flag.value.is_empty() {
        String::new()
    } else {
        let value = parser.value().map_err(|_| format!("{written} needs a value: {written} {}", flag.value))?;
        value.string().map_err(|error| error.to_string())?
    };
    (flag.set)(invocation, &value)
}

fn unknown(written: &str) -> String {
    let names = FLAGS.iter().map(|flag| flag.long);
    match crate::names::nearest(written.trim_start_matches('-'), names) {
        Some(name) => format!("unknown option {written}; did you mean --{name}?"),
        None => format!("unknown option {written}"),
    }
}

fn one_of<T: Copy>(value: &str, what: &str, choices: &[(&str, T)]) -> Result<T, String> {
    choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        format!("'{value}' is not a {what}; it is one of: {}", names.join(", "))
    })
}

/// The first word is the script, unless the program was given by `-e` or a pattern is meant.
fn assign_words(invocation: &mut Invocation, mut words: Vec<String>) {
    let is_script = |word: &String| invocation.mode != Mode::List || word.ends_with(".bt");
    if invocation.program.is_none() && words.first().is_some_and(is_script) {
        let word = words.remove(0);
        invocation.program = Some(if word == "-" { Program::Stdin } else { Program::File(word) });
    }
    invocation.params = words;
}

fn exclude(invocation: &Invocation) -> Result<(), String> {
    if invocation.pid.is_some() && invocation.command.is_some() {
        return Err("-p and -c exclude each other: one names a running process, the other starts one".to_string());
    }
    Ok(())
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
        assert_eq!(failed("--dry-rn"), "unknown option --dry-rn; did you mean --dry-run?");
        assert_eq!(failed("-f xml"), "'xml' is not a format; it is one of: text, json");
        assert_eq!(failed("-e"), "-e needs a value: -e PROGRAM");
    }
}
