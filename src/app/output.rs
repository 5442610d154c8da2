//! Where output goes, and how the run's words look.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};

use rtrace::cli::{Buffering, Format, Invocation, Verbosity};
use rtrace::config::Config;
use rtrace::diag::{Diagnostic, Severity, Style, render};
use rtrace::error::{Error, Kind, Result};
use rtrace::report::json::JsonSink;
use rtrace::report::text::TextSink;
use rtrace::report::{Chattiness, Manner, Sink, Warnings};
use rtrace::source::Sources;

/// Bytes kept back until there is more or the session flushes.
const BUFFER: usize = 64 << 10;

/// The sink that the command line asks for.
pub fn sink(invocation: &Invocation, config: &Config) -> Result<Box<dyn Sink>> {
    let (out, style): (Box<dyn Write>, Style) = match &invocation.output {
        Some(path) => {
            let file = File::create(path).map_err(|error| {
                Error::usage(format!("Failed to open output file: \"{path}\": {}", crate::reason(&error)))
            })?;
            let style = style(&file);
            (buffered(file, invocation.buffering), style)
        }
        None => (buffered(std::io::stdout(), invocation.buffering), style(&std::io::stdout())),
    };
    let manner = Manner { chattiness: chattiness(invocation), warnings: invocation.warnings, style };
    Ok(match invocation.format {
        Format::Json => Box::new(JsonSink::new(out, config.clone(), manner)),
        Format::Text => Box::new(TextSink::new(out, Box::new(std::io::stderr()), config.clone(), manner)),
    })
}

/// Prints to standard output; a closed pipe ends quietly.
pub fn line(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Error::closed()),
        Err(error) => Err(Error::usage(format!("cannot write the output: {error}"))),
        Ok(()) => Ok(()),
    }
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

fn buffered(out: impl Write + 'static, buffering: Buffering) -> Box<dyn Write> {
    match buffering {
        Buffering::None => Box::new(out),
        Buffering::Line => Box::new(BufWriter::with_capacity(BUFFER, out)),
        Buffering::Full => Box::new(Full(BufWriter::with_capacity(BUFFER, out))),
    }
}

/// Hands on only what does not fit the buffer; the rest when it is dropped, at the end.
struct Full<W: Write>(BufWriter<W>);

impl<W: Write> Write for Full<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
