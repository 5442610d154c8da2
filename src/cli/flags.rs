//! The options, one row each.

use super::pages::PAGES;
use std::time::Duration;

use super::{Buffering, Format, Group, Invocation, Losses, Mode, Program, Stage, Verbosity};
use crate::check::Safety;
use crate::kernel::Feature;
use crate::plan::Faults;
use crate::report::Warnings;
use crate::report::picture::Picture;
use crate::shelf;

/// One option of the command line.
pub struct Flag {
    pub short: Option<char>,
    pub long: &'static str,
    /// Name of its value in the help; empty if it takes none.
    pub value: &'static str,
    pub doc: &'static str,
    pub set: fn(&mut Invocation, &str) -> Result<(), String>,
}

pub const FLAGS: &[Flag] = &[
    flag(Some('e'), "eval", "PROGRAM", "run this program", |to, value| {
        to.program = Some(Program::Text(value.to_string()));
        Ok(())
    }),
    flag(Some('l'), "list", "", "list probes that match the pattern, or those of the program", |to, _| {
        mode(to, Mode::List)
    }),
    flag(Some('p'), "pid", "PID", "trace this process only; end when it ends", |to, value| {
        to.pid = Some(process(value)?);
        Ok(())
    }),
    flag(Some('c'), "cmd", "COMMAND", "run this command once attached; end when it ends", |to, value| {
        to.command = Some(value.to_string());
        Ok(())
    }),
    flag(None, "dwarf-pid", "PID", "let dw_ustack() unwind this process's stacks, too; repeatable", |to, value| {
        to.dwarf_pids.push(process(value)?);
        Ok(())
    }),
    flag(None, "cgroup", "PATH|ID", "trace only what is in this cgroup or below it", |to, value| {
        group(to, Group::Cgroup(value.to_string()))
    }),
    flag(None, "container", "NAME|ID", "trace only what is in this container", |to, value| {
        group(to, Group::Container(value.to_string()))
    }),
    flag(None, "live", "", "run the script and show its maps in place while it runs", |to, _| mode(to, Mode::Live)),
    flag(None, "repl", "", "start the interactive shell, or read its entries from standard input", |to, _| {
        mode(to, Mode::Shell)
    }),
    flag(None, "ttl", "TIME", "end the run after this time: 500ms, 30s, 10m, 2h", |to, value| {
        let wrong = || format!("--ttl takes a time such as 500ms, 30s, 10m or 2h ({value} provided)");
        to.ttl = Some(duration(value).ok_or_else(wrong)?);
        Ok(())
    }),
    flag(
        Some('i'),
        "interval",
        "TIME",
        "print all aggregations each TIME, with the time, and begin them anew",
        |to, value| {
            let wrong = || format!("--interval takes a time such as 500ms, 1s or 5m ({value} provided)");
            to.every = Some(duration(value).filter(|time| !time.is_zero()).ok_or_else(wrong)?);
            Ok(())
        },
    ),
    flag(None, "top", "N", "show the N largest entries of each map at the end", |to, value| {
        let wrong = || format!("--top takes a number of entries from 1 on ({value} provided)");
        to.top = value.parse().ok().filter(|top| *top > 0).ok_or_else(wrong)?;
        Ok(())
    }),
    flag(None, "hlog", "FILE", "log what quantiles() collects to this file, in HdrHistogram's format", |to, value| {
        to.hlog = Some(value.to_string());
        Ok(())
    }),
    flag(Some('o'), "output", "FILE", "write the program's output to this file", |to, value| {
        to.output = Some(value.to_string());
        Ok(())
    }),
    flag(
        Some('f'),
        "format",
        "FORMAT",
        "output format: text, json; of stacks: folded, flamegraph, pprof; of heat maps: svg",
        format,
    ),
    flag(Some('B'), "buffering", "MODE", "buffering of the output: line, full, none", |to, value| {
        let modes = [("line", Buffering::Line), ("full", Buffering::Full), ("none", Buffering::None)];
        to.buffering = one_of(value, &modes).ok_or("USAGE: -B must be either 'line', 'full', or 'none'.")?;
        Ok(())
    }),
    flag(Some('d'), "debug", "STAGE", "show a stage of compilation and end: ast, ir, insns, verifier", stages),
    flag(None, "emit-elf", "FILE", "write the compiled programs as an eBPF object and end", |to, value| {
        to.emit_elf = Some(value.to_string());
        Ok(())
    }),
    flag(None, "plan", "", "tell by which mechanisms it would be attached, and end", |to, _| mode(to, Mode::Plan)),
    flag(None, "dry-run", "", "compile, load and attach, then end", |to, _| mode(to, Mode::DryRun)),
    flag(None, "unsafe", "", "allow actions that change the system, such as system()", |to, _| {
        to.safety = Safety::Unsafe;
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
    flag(Some('k'), "warnings", "", "tell of map look-ups and reads of memory that fail", |to, _| {
        if to.faults == Faults::Told {
            let why = "USAGE: -kk has been deprecated. Use a single -k for runtime warnings for errors in map lookups and probe reads.";
            return Err(why.to_string());
        }
        to.faults = Faults::Told;
        Ok(())
    }),
    flag(None, "no-warnings", "", "hide warnings", |to, _| {
        to.warnings = Warnings::Hidden;
        Ok(())
    }),
    flag(None, "strict", "", "exit with code 3 if anything was lost", |to, _| {
        to.losses = Losses::Failure;
        // What reads could not get at is a loss as well.
        if to.faults == Faults::Ignored {
            to.faults = Faults::Counted;
        }
        Ok(())
    }),
    flag(None, "test", "", "run the program's test probes", |to, _| trial(to, "--test", Mode::Test)),
    flag(None, "bench", "", "run the program's bench probes", |to, _| trial(to, "--bench", Mode::Bench)),
    flag(None, "fmt", "", "print the script formatted, or write it to the file given by -o", |to, _| {
        mode(to, Mode::Format)
    }),
    flag(None, "mode", "MODE", "codegen, compiler-bench, bench, test or format", |to, value| {
        let modes = [
            ("codegen", Mode::Compile),
            ("compiler-bench", Mode::CompileBench),
            ("bench", Mode::Bench),
            ("test", Mode::Test),
            ("format", Mode::Format),
        ];
        let wrong = "USAGE: --mode can only be 'codegen', 'compiler-bench', 'bench', 'test' or 'format'.";
        mode(to, one_of(value, &modes).ok_or(wrong)?)
    }),
    flag(
        None,
        "probe-filter",
        "REGEX",
        "run only probes whose name matches (begin and end run always)",
        |to, value| {
            to.probe_filter = Some(value.to_string());
            Ok(())
        },
    ),
    flag(None, "no-feature", "FEATURES", "do without: kprobe_multi, kprobe_session, uprobe_multi", without),
    flag(None, "usdt-file-activation", "", "accepted: the kernel raises semaphores of all who map the file", |_, _| {
        Ok(())
    }),
    flag(None, "traceable-functions", "FILE", "the functions that may be traced, one a line", |to, value| {
        to.traceable = Some(value.to_string());
        Ok(())
    }),
    flag(Some('I'), "include-dir", "DIR", "look for C headers in this folder first", |to, value| {
        to.include_folders.push(value.to_string());
        Ok(())
    }),
    flag(None, "include", "FILE", "include this C header before the program", |to, value| {
        to.includes.push(value.to_string());
        Ok(())
    }),
    flag(
        None,
        "debuginfo",
        "DIR[:DIR]",
        "look in these folders (or files) for debug information of programs first",
        |to, value| {
            to.debug_places.push(value.to_string());
            Ok(())
        },
    ),
    flag(None, "verify-llvm-ir", "", "accepted for bpftrace's sake: there is no LLVM here to be verified", |_, _| {
        Ok(())
    }),
    flag(None, "emit-llvm", "FILE", "not possible: there is no LLVM here", |_, _| {
        Err("--emit-llvm: there is no LLVM in rtrace. -d ir and -d insns show what is generated, --emit-elf writes it"
            .to_string())
    }),
    flag(None, "aot", "FILE", "not needed: there is no compiler here to be left behind", |_, _| {
        Err("--aot: rtrace has no compiler to leave behind: take rtrace itself, one file, and the script".to_string())
    }),
    flag(None, "tools", "", "list the tools of the shelf", |to, _| mode(to, Mode::Tools)),
    flag(None, "source", "TOOL", "print a tool's script", |to, value| {
        let unknown = || format!("there is no tool '{value}'; --tools lists them");
        to.program = Some(Program::Tool(shelf::find(value).ok_or_else(unknown)?));
        mode(to, Mode::Source)
    }),
    flag(None, "generate", "PAGE", "print the manual page or a completion: man, bash, zsh, fish", |to, value| {
        let unknown = "--generate makes one of: man, bash, zsh, fish";
        mode(to, Mode::Generate(one_of(value, &PAGES).ok_or(unknown)?))
    }),
    flag(None, "info", "", "show what this kernel offers", |to, _| mode(to, Mode::Info)),
    flag(Some('V'), "version", "", "show the version", |to, _| mode(to, Mode::Version)),
    flag(Some('h'), "help", "", "show this help", |to, _| mode(to, Mode::Help)),
];

const fn flag(
    short: Option<char>,
    long: &'static str,
    value: &'static str,
    doc: &'static str,
    set: fn(&mut Invocation, &str) -> Result<(), String>,
) -> Flag {
    Flag { short, long, value, doc, set }
}

fn mode(to: &mut Invocation, mode: Mode) -> Result<(), String> {
    to.mode = mode;
    Ok(())
}

/// Tests and benchmarks are not run in one go, nor beside anything else that `--mode` names.
fn trial(to: &mut Invocation, name: &str, wanted: Mode) -> Result<(), String> {
    match to.mode {
        Mode::Test | Mode::Bench | Mode::Compile | Mode::CompileBench | Mode::Format => {
            Err(format!("USAGE: {name} conflicts with existing --mode"))
        }
        _ => mode(to, wanted),
    }
}

fn process(value: &str) -> Result<u32, String> {
    match value.parse() {
        Ok(0) => Err("Failed to attach to pid: no process has the number 0".to_string()),
        Ok(pid) => Ok(pid),
        Err(_) => Err(format!("Failed to parse pid: invalid integer: {value}")),
    }
}

/// An empty name is that of a variable which was never set; as a path it would be the root, and all would be traced.
fn group(to: &mut Invocation, group: Group) -> Result<(), String> {
    let (Group::Cgroup(wanted) | Group::Container(wanted)) = &group;
    if wanted.is_empty() {
        return Err("USAGE: the name after --cgroup or --container is empty".to_string());
    }
    match to.group.replace(group) {
        None => Ok(()),
        Some(_) => Err("USAGE: --cgroup and --container name one cgroup between them".to_string()),
    }
}

/// Stages go by bpftrace's names as well, where there is something like them.
fn stages(to: &mut Invocation, value: &str) -> Result<(), String> {
    let all = [Stage::Ast, Stage::Ir, Stage::Insns];
    let names: [(&str, &[Stage]); 11] = [
        ("ast", &[Stage::Ast]),
        ("parse", &[Stage::Ast]),
        ("ir", &[Stage::Ir]),
        ("types", &[Stage::Ir]),
        ("codegen", &[Stage::Ir]),
        ("insns", &[Stage::Insns]),
        ("codegen-opt", &[Stage::Insns]),
        ("dis", &[Stage::Insns]),
        ("libbpf", &[Stage::Verifier]),
        ("verifier", &[Stage::Verifier]),
        ("all", &all),
    ];
    for stage in value.split(',') {
        let wrong = || format!("USAGE: invalid option for -d: {stage} (stages: ast, ir, insns, verifier)");
        to.dump.extend(one_of(stage, &names).ok_or_else(wrong)?);
    }
    Ok(())
}

/// kprobe_session is one of bpftrace's own optimisations, so there is nothing to do without.
fn without(to: &mut Invocation, value: &str) -> Result<(), String> {
    for name in value.split(',') {
        match name {
            "kprobe_multi" => to.unused.push(Feature::KprobeMulti),
            "uprobe_multi" => to.unused.push(Feature::UprobeMulti),
            "kprobe_session" => {}
            _ => {
                let why = "USAGE: --no-feature can only have values 'kprobe_multi,kprobe_session,uprobe_multi'.";
                return Err(why.to_string());
            }
        }
    }
    Ok(())
}

fn format(to: &mut Invocation, value: &str) -> Result<(), String> {
    let formats = [
        ("text", Format::Text),
        ("json", Format::Json),
        ("folded", Format::Picture(Picture::Folded)),
        ("flamegraph", Format::Picture(Picture::Flamegraph)),
        ("pprof", Format::Picture(Picture::Pprof)),
        ("svg", Format::Picture(Picture::Svg)),
    ];
    let names: Vec<String> = formats.iter().map(|(name, _)| format!("'{name}'")).collect();
    let wrong = || format!("Invalid output format \"{value}\"\nValid formats: {}", names.join(", "));
    to.format = one_of(value, &formats).ok_or_else(wrong)?;
    Ok(())
}

fn one_of<T: Copy>(value: &str, choices: &[(&str, T)]) -> Option<T> {
    choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| *choice)
}

/// A number with its unit.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(milliseconds)?))
}
