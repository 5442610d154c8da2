//! Where output goes, and how the run's words look.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::rc::Rc;

use rtrace::cli::{Buffering, Format, Invocation, Verbosity};
use rtrace::config::{Config, ControlCharacters};
use rtrace::diag::{Diagnostic, Severity, Style, render};
use rtrace::error::{Error, Kind, Result};
use rtrace::report::folded::FoldedSink;
use rtrace::report::json::JsonSink;
use rtrace::report::text::TextSink;
use rtrace::report::{Chattiness, Manner, Sink, Warnings, written};
use rtrace::source::Sources;

/// Bytes kept back until there is more or the session flushes.
const BUFFER: usize = 64 << 10;

/// On a terminal, text of traced processes is shown without what would command it.
pub fn tame(config: &mut Config, invocation: &Invocation) {
    if config.control_characters == ControlCharacters::Auto {
        let is_terminal = invocation.output.is_none() && std::io::stdout().is_terminal();
        config.control_characters = if is_terminal { ControlCharacters::Escaped } else { ControlCharacters::Raw };
    }
}

/// The sink that the command line asks for, and the outlet to close when it has had its last word.
pub fn sink(invocation: &Invocation, config: &Config) -> Result<(Box<dyn Sink>, Outlet)> {
    let (to, style): (Box<dyn Write>, Style) = match &invocation.output {
        Some(path) => {
            let file = File::create(path).map_err(|error| {
                Error::usage(format!("Failed to open output file: \"{path}\": {}", crate::reason(&error)))
            })?;
            let style = style(&file);
            (Box::new(file), style)
        }
        None => (Box::new(std::io::stdout()), style(&std::io::stdout())),
    };
    let manner = Manner { chattiness: chattiness(invocation), warnings: invocation.warnings, style };
    let capacity = if invocation.buffering == Buffering::None { 0 } else { BUFFER };
    let outlet = Outlet(Rc::new(RefCell::new(BufWriter::with_capacity(capacity, to))));
    let out = Box::new(Tap { outlet: outlet.clone(), buffering: invocation.buffering });
    let sink: Box<dyn Sink> = match invocation.format {
        Format::Json => Box::new(JsonSink::new(out, config.clone(), manner)),
        Format::Text => Box::new(TextSink::new(out, Box::new(std::io::stderr()), config.clone(), manner)),
        Format::Folded => {
            let aside = || Box::new(std::io::stderr());
            let aside = TextSink::new(aside(), aside(), config.clone(), manner);
            Box::new(FoldedSink::new(out, aside, config.clone()))
        }
    };
    Ok((sink, outlet))
}

/// The sink of one of several programs, which all write to the same place.
pub fn shell_sink(
    invocation: &Invocation,
    config: &Config,
    out: Box<dyn Write>,
    chatter: Box<dyn Write>,
) -> Box<dyn Sink> {
    let style = style(&std::io::stdout());
    let manner = Manner { chattiness: Chattiness::Shell, warnings: invocation.warnings, style };
    match invocation.format {
        Format::Json => Box::new(JsonSink::new(out, config.clone(), manner)),
        Format::Text => Box::new(TextSink::new(out, chatter, config.clone(), manner)),
        Format::Folded => {
            let aside = TextSink::new(chatter, Box::new(std::io::stderr()), config.clone(), manner);
            Box::new(FoldedSink::new(out, aside, config.clone()))
        }
    }
}

/// Where a program's output leaves.
#[derive(Clone)]
pub struct Outlet(Rc<RefCell<BufWriter<Box<dyn Write>>>>);

impl Outlet {
    /// Writes what was kept back; only then it is known whether all of it could be written.
    pub fn close(self) -> Result<()> {
        written(self.0.borrow_mut().flush())
    }
}

/// A sink's end of the outlet.
struct Tap {
    outlet: Outlet,
    buffering: Buffering,
}

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.outlet.0.borrow_mut().write(bytes)
    }

    /// With full buffering only what does not fit the buffer is handed on before the end.
    fn flush(&mut self) -> std::io::Result<()> {
        match self.buffering {
            Buffering::Full => Ok(()),
            Buffering::Line | Buffering::None => self.outlet.0.borrow_mut().flush(),
        }
    }
}

/// Prints to standard output; a closed pipe ends quietly.
pub fn line(text: &str) -> Result<()> {
    let mut out = std::io::stdout();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

pub fn show_error(error: &Error, invocation: &Invocation) {
    if error.kind == Kind::Closed {
        return;
    }
    eprintln!("ERROR: {}", error.message);
    if let Some(hint) = &error.hint {
        eprintln!("HINT: {hint}");
    }
    match &error.detail {
        Some(detail) if invocation.verbosity == Verbosity::Verbose => eprintln!("{detail}"),
        Some(_) => eprintln!("HINT: -v shows the kernel's whole log"),
        None => {}
    }
}

/// An error of the machine that a place in the script is to blame for is shown there.
pub fn show_error_at(error: &Error, sources: &Sources, invocation: &Invocation) {
    let Some(span) = error.span.filter(|span| sources.locate(*span).is_some()) else {
        return show_error(error, invocation);
    };
    let diagnostic = Diagnostic::error(span, error.message.clone());
    let diagnostic = error.hint.iter().fold(diagnostic, |diagnostic, hint| diagnostic.hint(hint.clone()));
    eprint!("{}", render(&diagnostic, sources, style(&std::io::stderr())));
    match &error.detail {
        Some(detail) if invocation.verbosity == Verbosity::Verbose => eprintln!("{detail}"),
        Some(_) => eprintln!("HINT: -v shows the kernel's whole log"),
        None => {}
    }
}

/// Targets that could not be attached, where `missing_probes` says that this is no reason to end.
pub fn show_skipped(skipped: &[Error], sources: &Sources, invocation: &Invocation) {
    let warning = |error: &Error| {
        let span = error.span.filter(|span| sources.locate(*span).is_some()).unwrap_or_default();
        let warning = Diagnostic::warning(span, format!("{}. Skipping.", error.message));
        error.hint.iter().fold(warning, |warning, hint| warning.hint(hint.clone()))
    };
    show_diagnostics(&skipped.iter().map(warning).collect::<Vec<_>>(), sources, invocation);
}

pub fn show_diagnostics(diagnostics: &[Diagnostic], sources: &Sources, invocation: &Invocation) {
    for diagnostic in diagnostics {
        let is_shown = diagnostic.severity == Severity::Error || invocation.warnings == Warnings::Shown;
        if is_shown {
            eprint!("{}", render(diagnostic, sources, style(&std::io::stderr())));
        }
    }
}

/// Colours on a terminal, unless `NO_COLOR` or `RTRACE_COLOR` (`BPFTRACE_COLOR`) say otherwise.
pub fn style(screen: &impl IsTerminal) -> Style {
    let wish = std::env::var("RTRACE_COLOR").or_else(|_| std::env::var("BPFTRACE_COLOR")).unwrap_or_default();
    let coloured = match wish.as_str() {
        "always" => true,
        "never" => false,
        _ => screen.is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    if coloured { Style::Coloured } else { Style::Plain }
}

fn chattiness(invocation: &Invocation) -> Chattiness {
    match invocation.verbosity {
        Verbosity::Quiet => Chattiness::Quiet,
        Verbosity::Normal | Verbosity::Verbose => Chattiness::Normal,
    }
}
