//! `rtrace` alone: the interactive shell on a terminal, or entries from standard input.

use std::io::IsTerminal;
use std::path::PathBuf;

use rtrace::cli::Invocation;
use rtrace::error::{Kind, Result};
use rtrace::kernel::live::Live;
use rtrace::repl::plain::Plain;
use rtrace::repl::terminal::Terminal;
use rtrace::repl::{self, Lines};

use crate::run::{self, Stopped};
use crate::{output, signals};

pub fn run(invocation: &Invocation, kernel: &Live) -> Result<()> {
    let mut lines: Box<dyn Lines> = if std::io::stdin().is_terminal() {
        output::line("rtrace: type a probe and its action; help explains, quit leaves\n")?;
        Box::new(Terminal::open(history(), output::style(&std::io::stdout()))?)
    } else {
        Box::new(Plain::new(std::io::stdin().lock()))
    };
    // The handle stays: Ctrl-C ends the program that runs, never the shell.
    let stop = signals::stop_handle()?;
    let termination = signals::Termination::watch()?;
    repl::run(lines.as_mut(), &mut std::io::stdout(), &mut |text| {
        stop.take();
        termination.during(|| entry(invocation, kernel, text, stop.clone()))
    })
}

/// Runs one entry. Its errors are told here; only a closed output ends the shell.
fn entry(invocation: &Invocation, kernel: &Live, text: &str, stop: rtrace::runtime::Stop) -> Result<()> {
    let mut engine = run::engine(invocation, kernel, None)?;
    let result = match run::compile(&mut engine, invocation, "stdin", text) {
        Ok(compiled) => run::trace(&engine, compiled, kernel, invocation, Some(stop), None).map(|_| ()),
        Err(Stopped::Faults(faults)) => {
            output::show_diagnostics(&faults, &engine.sources, invocation);
            Ok(())
        }
        Err(Stopped::Done) => Ok(()),
        Err(Stopped::Error(error)) => Err(error),
    };
    match result {
        Err(error) if error.kind == Kind::Closed => Err(error),
        Err(error) => {
            output::show_error_at(&error, &engine.sources, invocation);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Where entries are kept from session to session.
fn history() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")));
    state.map(|state| state.join("rtrace/history"))
}
