//! The command: arguments in, exit code out. Everything that prints, reads the environment or handles signals is here.

#[path = "app/bench.rs"]
mod bench;
#[path = "app/format.rs"]
mod format;
#[path = "app/hlog.rs"]
mod hlog;
#[path = "app/info.rs"]
mod info;
#[path = "app/intervals.rs"]
mod intervals;
#[path = "app/list.rs"]
mod list;
#[path = "app/output.rs"]
mod output;
#[path = "app/parameters.rs"]
mod parameters;
#[path = "app/pictures.rs"]
mod pictures;
#[path = "app/replacement.rs"]
mod replacement;
#[path = "app/run.rs"]
mod run;
#[path = "app/shell.rs"]
mod shell;
#[path = "app/signals.rs"]
mod signals;
#[path = "app/trials.rs"]
mod trials;

use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;

use rtrace::cli::{self, Fault, Invocation, Mode, Program};
use rtrace::errno::reason;
use rtrace::error::{Error, Kind, Result};
use rtrace::kernel::DebugPlaces;
use rtrace::kernel::live::Live;
use rtrace::runtime::{self, features};
use rtrace::shelf;

/// musl's own takes half as long again for what a compiler does: many small pieces, by few threads.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    let invocation = match cli::parse(std::env::args().skip(1)) {
        Ok(invocation) => invocation,
        Err(Fault::Unknown(message)) => {
            eprintln!("ERROR: {message}\n\n{}", cli::help());
            return ExitCode::from(1);
        }
        Err(Fault::Wrong(message)) => {
            eprintln!("ERROR: {message}");
            return ExitCode::from(1);
        }
    };
    output::check_style(&invocation);
    match dispatch(&invocation) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::show_error(&error, &invocation);
            ExitCode::from(exit_code(&error))
        }
    }
}

fn dispatch(invocation: &Invocation) -> Result<u8> {
    if let (Mode::Format, Some(program)) = (invocation.mode, &invocation.program) {
        return format::program(invocation, program);
    }
    let kernel = Live::new(features::probe).with_programs(runtime::PROGRAMS).without(&invocation.unused);
    let kernel = match &invocation.traceable {
        Some(path) => kernel.with_functions(path)?,
        None => kernel,
    };
    let kernel = match variable("BTF") {
        Some(path) => kernel.with_types(&path)?,
        None => kernel,
    };
    let kernel = match variable("VMLINUX") {
        Some(path) => kernel.with_image(&path)?,
        None => kernel,
    };
    let kernel = kernel.with_debug_places(DebugPlaces::of(&invocation.debug_places));
    runtime::raise_limits(&kernel);
    match invocation.mode {
        Mode::Help => output::line(&cli::help())?,
        Mode::Version => output::line(&format!("rtrace v{}\n", env!("CARGO_PKG_VERSION")))?,
        Mode::Generate(page) => output::line(&page.text())?,
        Mode::Tools => output::line(&shelf::list())?,
        Mode::Info => output::line(&info::text(&kernel))?,
        Mode::List => return list::show(invocation, &kernel),
        Mode::Source => output::line(&invocation.program.as_ref().map(source).transpose()?.unwrap_or_default().1)?,
        Mode::Format => return Err(Error::usage("USAGE: --fmt needs a script".to_string())),
        Mode::Shell => shell::run(invocation, &kernel)?,
        Mode::Live => shell::live(invocation, &kernel)?,
        Mode::Run | Mode::DryRun | Mode::Plan | Mode::Compile | Mode::CompileBench | Mode::Test | Mode::Bench => {
            match &invocation.program {
                Some(program) => return run::program(invocation, program, &kernel),
                None => shell::run(invocation, &kernel)?,
            }
        }
    }
    Ok(0)
}

/// What the environment says by either of the two names, ours first.
pub fn variable(name: &str) -> Option<String> {
    ["RTRACE", "BPFTRACE"].iter().find_map(|of| std::env::var(format!("{of}_{name}")).ok())
}

/// As bpftrace has them; a reader who has gone away is no fault.
fn exit_code(error: &Error) -> u8 {
    match error.kind {
        Kind::Usage => 1,
        Kind::Kernel => 255,
        Kind::Closed => 0,
    }
}

/// The text of a program, and the name that diagnostics give it.
pub fn source(program: &Program) -> Result<(String, String)> {
    match program {
        Program::Text(text) => Ok(("stdin".to_string(), text.clone())),
        Program::Stdin => {
            let text = std::io::read_to_string(std::io::stdin());
            text.map(|text| ("stdin".to_string(), text))
                .map_err(|error| Error::usage(format!("cannot read the program: {error}")))
        }
        Program::Tool(tool) => Ok((tool.name.to_string(), tool.text.to_string())),
        Program::File(path) => match std::fs::read(path).map(String::from_utf8) {
            Ok(Ok(text)) => Ok((path.clone(), text)),
            Ok(Err(_)) => Err(Error::usage(format!("cannot read '{path}': it is not text (UTF-8)"))),
            Err(error) => Err(Error::usage(format!("failed to open file '{path}': {}", reason(&error)))
                .hint("a one-liner is given with -e 'PROGRAM'")),
        },
    }
}
