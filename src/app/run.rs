//! One program from its text to its exit code.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use regex_lite::Regex;
use rtrace::cdecl::Headers;
use rtrace::check::{Loader, Options, Sharing, Trials};
use rtrace::cli::{Group, Invocation, Losses, Mode, Program, Stage, Verbosity};
use rtrace::codegen::Compiled;
use rtrace::config::Overrides;
use rtrace::engine::{Engine, Faults};
use rtrace::errno::reason;
use rtrace::error::{Error, Result};
use rtrace::kernel::cgroups;
use rtrace::kernel::live::Live;
use rtrace::report::Sink;
use rtrace::runtime::{self, Child, Completeness, Ending, Session, Status, Stop};

use crate::hlog::Hlog;
use crate::parameters::{self, Settled};
use crate::{bench, intervals, output, pictures, signals, source, trials, variable};

/// The exit code of `--strict` when something was lost.
const LOSSY: u8 = 3;

/// Seconds that one wait for events lasts at the most.
const WAIT: Duration = Duration::from_secs(1);

/// Runs a program, or shows what was asked for of it.
pub fn program(invocation: &Invocation, program: &Program, kernel: &Live) -> Result<u8> {
    let (name, text) = source(program)?;
    let is_shown_only =
        !invocation.dump.is_empty() || invocation.emit_elf.is_some() || parameters::asks_for_help(&invocation.named);
    if !is_shown_only {
        runtime::check_privilege()?;
    }
    let child = invocation.command.as_deref().map(Child::new).transpose()?;
    let mut engine = engine(invocation, kernel, child.as_ref())?;
    let compiled = match compile(&mut engine, invocation, &name, &text) {
        Ok(compiled) => compiled,
        Err(Stopped::Faults(faults)) => {
            output::show_diagnostics(&faults, &engine.sources, invocation);
            return Ok(1);
        }
        Err(Stopped::Done) => return Ok(0),
        Err(Stopped::Error(error)) => return Err(error),
    };
    if let Some(path) = &invocation.emit_elf {
        return write_object(&compiled, &engine, path).map(|()| 0);
    }
    match invocation.mode {
        Mode::Plan => return plan(&compiled, kernel).map(|()| 0),
        Mode::Compile => return Ok(0),
        Mode::CompileBench => return bench::compile(&mut engine, &name, &text).map(|()| 0),
        _ => {}
    }
    pictures::check(invocation.format, &compiled.plan)?;
    let stop = signals::stop_handle()?;
    signals::kill_at_second()?;
    let code = trace(&engine, compiled, kernel, invocation, Some(stop), child);
    code.or_else(|error| {
        if error.span.is_none() {
            return Err(error);
        }
        output::show_error_at(&error, &engine.sources, invocation);
        Ok(crate::exit_code(&error))
    })
}

fn plan(compiled: &Compiled, kernel: &Live) -> Result<()> {
    output::line(&runtime::plan(&compiled.units, kernel).iter().map(|line| format!("{line}\n")).collect::<String>())
}

/// What compiles programs for this run.
pub fn engine<'k>(invocation: &Invocation, kernel: &'k Live, child: Option<&Child>) -> Result<Engine<'k>> {
    let overrides = Overrides::from_environment(std::env::vars()).map_err(Error::usage)?;
    let options = Options {
        params: invocation.params.clone(),
        named: invocation.named.clone(),
        trials: match invocation.mode {
            Mode::Test => Trials::Tests,
            Mode::Bench => Trials::Benches,
            _ => Trials::None,
        },
        filter: invocation.probe_filter.as_deref().map(filter).transpose()?,
        pid: invocation.pid,
        cgroup: invocation.group.as_ref().map(folder).transpose()?,
        child: child.map(Child::pid),
        dwarf_pids: invocation.dwarf_pids.clone(),
        safety: invocation.safety,
        start_ns: runtime::boot_time(),
        tai_offset_ns: runtime::tai_offset(),
        wall_offset_ns: runtime::wall_offset(),
        clock_map: variable("DUMMY_TS_MAP"),
        faults: invocation.faults,
        sharing: Sharing::Alone,
        loader: if invocation.emit_elf.is_some() { Loader::Foreign } else { Loader::Own },
    };
    let mut engine = Engine::new(kernel, options, overrides);
    engine.headers = headers(invocation);
    Ok(engine)
}

fn folder(group: &Group) -> Result<PathBuf> {
    match group {
        Group::Cgroup(wanted) => cgroups::find(wanted),
        Group::Container(wanted) => cgroups::of_container(wanted),
    }
}

/// Folders given come first, then the kernel's own headers, where they are installed.
fn headers(invocation: &Invocation) -> Headers {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let installed = |part: &str| format!("/lib/modules/{}/{part}", release.trim());
    let (source, build) = (variable("KERNEL_SOURCE"), variable("KERNEL_BUILD"));
    let trees = [source.clone().or(build.clone()), build.or(source)];
    let trees = trees.into_iter().zip(["source", "build"]).map(|(tree, part)| tree.unwrap_or_else(|| installed(part)));
    let folders = invocation.include_folders.iter().map(PathBuf::from).collect();
    Headers { folders, trees: trees.map(PathBuf::from).collect(), included: invocation.includes.clone() }
}

fn filter(text: &str) -> Result<Regex> {
    Regex::new(text).map_err(|error| Error::usage(format!("--probe-filter: {error}")))
}

/// Why there is nothing to run.
pub enum Stopped {
    Faults(Faults),
    /// All that was asked for has been shown.
    Done,
    Error(Error),
}

/// All stages, with those shown that `-d` asks for.
pub fn compile(
    engine: &mut Engine<'_>,
    invocation: &Invocation,
    name: &str,
    text: &str,
) -> std::result::Result<Compiled, Stopped> {
    let show = |stage: Stage, text: &dyn Fn() -> String| -> std::result::Result<(), Stopped> {
        if invocation.dump.contains(&stage) { output::line(&text()).map_err(Stopped::Error) } else { Ok(()) }
    };
    let parsed = engine.parse(name, text).map_err(Stopped::Faults)?;
    let parsed = intervals::with_interval(engine, parsed, invocation)?;
    show(Stage::Ast, &|| rtrace::syntax::print::program(&parsed))?;
    let (program, warnings) = engine.check(&parsed).map_err(Stopped::Faults)?;
    let about = match &invocation.program {
        Some(Program::Tool(tool)) => format!("{}\n", tool.header()),
        _ => String::new(),
    };
    let settled = parameters::settle(&program.plan.parameters, &invocation.named, &about);
    if settled.map_err(Stopped::Error)? == Settled::Shown {
        return Err(Stopped::Done);
    }
    output::show_diagnostics(&warnings, &engine.sources, invocation);
    show(Stage::Ir, &|| rtrace::ir::print::program(&program))?;
    let compiled = engine.generate(program).map_err(Stopped::Faults)?;
    show(Stage::Insns, &|| {
        let listing = |unit| rtrace::bpf::list::Listing { unit, plan: &compiled.plan, sources: &engine.sources };
        compiled.units.iter().map(|unit| format!("{}\n", listing(unit))).collect()
    })?;
    if invocation.dump.contains(&Stage::Verifier) {
        let log = runtime::verifier_log(&compiled, &engine.sources, engine.kernel()).map_err(Stopped::Error)?;
        output::line(&log).map_err(Stopped::Error)?;
    }
    if invocation.dump.is_empty() { Ok(compiled) } else { Err(Stopped::Done) }
}

/// Loads, attaches and reports until the program ends; gives the exit code.
pub fn trace(
    engine: &Engine<'_>,
    mut compiled: Compiled,
    kernel: &Live,
    invocation: &Invocation,
    stop: Option<Stop>,
    child: Option<Child>,
) -> Result<u8> {
    output::tame(&mut compiled.plan.config, invocation);
    let (sink, outlet) = output::sink(invocation, &compiled.plan.config)?;
    let (mut sink, mut log) = match &invocation.hlog {
        Some(path) => Hlog::begin(path, &compiled.plan, sink).map(|(sink, log)| (sink, Some(log)))?,
        None => (sink, None),
    };
    let options = runtime::Options {
        stop,
        signal: Some(signals::signal_handle()?),
        pid: invocation.pid,
        child,
        top: invocation.top,
        ..runtime::Options::default()
    };
    let session = Session::start(compiled, &engine.sources, kernel, options)?;
    if invocation.verbosity == Verbosity::Verbose {
        tell_of_mounts(kernel);
        runtime::plan(session.units(), kernel).iter().for_each(|line| eprintln!("{line}"));
    }
    output::show_skipped(session.skipped(), &engine.sources, invocation);
    if invocation.mode == Mode::DryRun {
        return Ok(0);
    }
    let code = match invocation.mode {
        Mode::Test => trials::tests(session, sink.as_mut())?,
        Mode::Bench => trials::benches(session, sink.as_mut())?,
        _ => {
            announce(&session, sink.as_mut())?;
            let ending = follow(session, sink.as_mut(), invocation.ttl, log.as_mut())?;
            match (invocation.losses, ending.completeness) {
                (Losses::Failure, Completeness::Lossy) => LOSSY,
                (Losses::Told, _) | (_, Completeness::Whole) => ending.code as u8,
            }
        }
    };
    outlet.close().map(|()| code)
}

/// Follows the program to its end, or until its time is over.
fn follow(
    mut session: Session<'_>,
    sink: &mut dyn Sink,
    ttl: Option<Duration>,
    mut log: Option<&mut Hlog>,
) -> Result<Ending> {
    let start = Instant::now();
    loop {
        let left = ttl.map_or(WAIT, |ttl| ttl.saturating_sub(start.elapsed()));
        let due = log.as_mut().map_or(Ok(WAIT), |log| log.keep_up(&mut session))?;
        if left.is_zero() || session.poll(sink, left.min(due))? == Status::Ended {
            session.stop(sink)?;
            log.map_or(Ok(()), |log| log.complete(&mut session))?;
            return session.finish(sink);
        }
    }
}

/// Tells everyone who waits for it that tracing has begun.
fn announce(session: &Session<'_>, sink: &mut dyn Sink) -> Result<()> {
    sink.attached(session.probes())?;
    if let Some(pin) = session.pin() {
        sink.text("printf", format!("Program pinned to {pin}\n").as_bytes())?;
    }
    if std::env::var_os("__BPFTRACE_NOTIFY_PROBES_ATTACHED").is_some() {
        sink.text("printf", b"__BPFTRACE_NOTIFY_PROBES_ATTACHED\n")?;
    }
    sink.flush()?;
    match std::env::var_os("NOTIFY_SOCKET") {
        Some(socket) => runtime::notify_ready(&socket),
        None => Ok(()),
    }
}

fn tell_of_mounts(kernel: &Live) {
    if let Some(mount) = kernel.tracefs() {
        eprintln!("tracefs: {mount:?}");
    }
}

fn write_object(compiled: &Compiled, engine: &Engine<'_>, path: &str) -> Result<()> {
    let object = rtrace::bpf::elf::object(&compiled.units, &compiled.plan, &engine.sources)?;
    std::fs::write(path, object).map_err(|error| Error::usage(format!("cannot write '{path}': {}", reason(&error))))
}
