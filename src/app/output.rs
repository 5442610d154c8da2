//! Where output goes, and how the run's words look.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::rc::Rc;

use rtrace::cli::{Buffering, Format, Invocation, Verbosity};
use rtrace::config::{Config, ControlCharacters};
use rtrace::diag::{Diagnostic, Severity, Style, render};
use rtrace::errno::reason;
use rtrace::error::{Error, Kind, Result};
use rtrace::report::json::JsonSink;
use rtrace::report::picture::{Picture, PictureSink};
use rtrace::report::text::TextSink;
use rtrace::report::{Chattiness, Manner, Sink, Warnings, written};
use rtrace::runtime;
use rtrace::source::Sources;

use crate::replacement::{Replacement, is_replaceable};
use crate::variable;

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
    let (target, style) = target(invocation)?;
    let manner = Manner {
        chattiness: chattiness(invocation),
        warnings: invocation.warnings,
        style,
        columns: columns(invocation),
    };
    let capacity = if invocation.buffering == Buffering::None { 0 } else { BUFFER };
    let outlet = Outlet(Rc::new(RefCell::new(BufWriter::with_capacity(capacity, target))));
    let out = Box::new(Tap { outlet: outlet.clone(), buffering: invocation.buffering });
    let sink = formatted(invocation.format, config, manner, out, Box::new(std::io::stderr()));
    Ok((sink, outlet))
}

/// Documents are of use as a whole only, and take the place of older ones when they are complete.
fn target(invocation: &Invocation) -> Result<(Target, Style)> {
    let is_document = matches!(invocation.format, Format::Picture(Picture::Flamegraph | Picture::Pprof | Picture::Svg));
    let Some(path) = &invocation.output else {
        if invocation.format == Format::Picture(Picture::Pprof) && std::io::stdout().is_terminal() {
            return Err(Error::usage("a profile for pprof is no text for a terminal").hint("-o profile.pb.gz"));
        }
        return Ok((Target::Stream(Box::new(std::io::stdout())), style(&std::io::stdout())));
    };
    let failed = |error| Error::usage(format!("Failed to open output file: \"{path}\": {}", reason(&error)));
    if is_document && is_replaceable(path.as_ref()) {
        return Ok((Target::Whole(Replacement::new(path.as_ref()).map_err(failed)?), Style::Plain));
    }
    let file = File::create(path).map_err(failed)?;
    let style = style(&file);
    Ok((Target::Stream(Box::new(file)), style))
}

/// The sink of one of several programs, which all write to the same place.
pub fn shell_sink(
    invocation: &Invocation,
    config: &Config,
    out: Box<dyn Write>,
    chatter: Box<dyn Write>,
) -> Box<dyn Sink> {
    let style = style(&std::io::stdout());
    let manner =
        Manner { chattiness: Chattiness::Shell, warnings: invocation.warnings, style, columns: columns(invocation) };
    formatted(invocation.format, config, manner, out, chatter)
}

/// How wide the output may be: only a terminal limits it.
fn columns(invocation: &Invocation) -> usize {
    let terminal = runtime::terminal_size(std::io::stdout()).filter(|_| invocation.output.is_none());
    terminal.map_or(usize::MAX, |(columns, _)| columns)
}

/// How wide what is said beside the output may be.
fn of_complaints() -> usize {
    runtime::terminal_size(std::io::stderr()).map_or(usize::MAX, |(columns, _)| columns)
}

/// Writes in a format; what is said beside the output goes to `chatter`.
fn formatted(
    format: Format,
    config: &Config,
    manner: Manner,
    out: Box<dyn Write>,
    chatter: Box<dyn Write>,
) -> Box<dyn Sink> {
    match format {
        Format::Json => Box::new(JsonSink::new(out, config.clone(), manner)),
        Format::Text => Box::new(TextSink::new(out, chatter, config.clone(), manner)),
        Format::Picture(picture) => {
            let aside = TextSink::new(chatter, Box::new(std::io::stderr()), config.clone(), manner);
            Box::new(PictureSink::new(picture, out, aside, config.clone()))
        }
    }
}

/// Where a program's output leaves.
#[derive(Clone)]
pub struct Outlet(Rc<RefCell<BufWriter<Target>>>);

enum Target {
    Stream(Box<dyn Write>),
    /// What is there when all of it is.
    Whole(Replacement),
}

impl Outlet {
    /// Writes what was kept back; only then it is known whether all of it could be written.
    pub fn close(self) -> Result<()> {
        let mut writer = self.0.borrow_mut();
        written(writer.flush())?;
        match writer.get_mut() {
            Target::Stream(_) => Ok(()),
            Target::Whole(replacement) => written(replacement.commit()),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Target::Stream(stream) => stream.write(bytes),
            Target::Whole(replacement) => replacement.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Target::Stream(stream) => stream.flush(),
            Target::Whole(replacement) => replacement.flush(),
        }
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
    eprint!("{}", render(&diagnostic, sources, style(&std::io::stderr()), of_complaints()));
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
            eprint!("{}", render(diagnostic, sources, style(&std::io::stderr()), of_complaints()));
        }
    }
}

/// Colours on a terminal, unless `NO_COLOR` or `RTRACE_COLOR` (`BPFTRACE_COLOR`) say otherwise.
pub fn style(screen: &impl IsTerminal) -> Style {
    let coloured = match variable("COLOR").unwrap_or_default().as_str() {
        "always" => true,
        "never" => false,
        _ => screen.is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    if coloured { Style::Coloured } else { Style::Plain }
}

/// Tells of a wish that [`style`] does not know; the screen decides then.
pub fn check_style(invocation: &Invocation) {
    let wish = variable("COLOR").filter(|wish| !matches!(wish.as_str(), "auto" | "always" | "never"));
    if let Some(wish) = wish.filter(|_| invocation.warnings == Warnings::Shown) {
        eprintln!(
            "WARNING: the variable RTRACE_COLOR (or BPFTRACE_COLOR) is one of auto, always and never, not '{wish}'"
        );
    }
}

fn chattiness(invocation: &Invocation) -> Chattiness {
    match invocation.verbosity {
        Verbosity::Quiet => Chattiness::Quiet,
        Verbosity::Normal | Verbosity::Verbose => Chattiness::Normal,
    }
}
