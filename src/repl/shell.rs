//! The shell itself: entries come in while programs run, and each is answered at once.

use std::fs::File;
use std::io::{Write, stdout};
use std::os::fd::BorrowedFd;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use super::entry::{self, AS_STATEMENT, AS_VALUE, Entry};
use super::fit;
use super::knowledge::{Knowledge, Known};
use super::screen::Screen;
use super::workspace::{Entered, Farewell, Workspace};
use crate::check::Sharing;
use crate::codegen::Compiled;
use crate::config::Config;
use crate::diag::{Diagnostic, Style, render};
use crate::engine::{Engine, Faults};
use crate::error::{Error, Kind, Result};
use crate::kernel::Kernel;
use crate::plan::Plan;
use crate::report::{Sink, written};
use crate::runtime::{self, Session, Stop};
use crate::source::Sources;
use crate::syntax::ast;
use crate::value::{Entries, MapReport};

/// Makes what shows values to the person: to the screen, in the way of these settings.
pub type MakeSink = Box<dyn Fn(&mut Config, &Screen) -> Box<dyn Sink>>;

/// Where the shell says things, and how.
pub struct Voice {
    pub screen: Screen,
    /// For complaints; the same as the screen on a terminal.
    pub complaints: Screen,
    pub sink: MakeSink,
    pub style: Style,
    pub form: Form,
}

impl Voice {
    fn entered<'s>(&self, text: &str, compiled: Compiled, sources: &'s Sources) -> Entered<'s> {
        let Compiled { units, mut plan } = compiled;
        let sink = (self.sink)(&mut plan.config, &self.screen);
        Entered { text: text.to_string(), compiled: Compiled { units, plan }, sources, sink }
    }
}

/// Whether a person sits there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Terminal,
    Plain,
}

/// What comes from outside.
pub struct Outside {
    /// Each entry; nothing at the end of the input.
    pub entries: Receiver<Option<String>>,
    /// Told after each entry, as the next may come: the text that it is to begin with.
    pub answers: Sender<String>,
    /// Pulled when there is an entry.
    pub bell: Stop,
    /// Pulled to end what takes its time.
    pub interrupt: Stop,
    pub idle_interrupt: IdleInterrupt,
    /// Pulled to end the shell.
    pub end: Stop,
}

/// What it means to be interrupted when nothing takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdleInterrupt {
    /// A person meant the line, or was late.
    Nothing,
    Leave,
}

/// What follows an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    Next,
    /// The next entry is to begin with this text.
    Offer(String),
    Leave,
}

/// How a wait came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// The time is over, or there was a key.
    Time,
    Interrupted,
}

pub struct Shell<'k> {
    pub engine: Engine<'k>,
    pub workspace: Workspace<'k>,
    pub voice: Voice,
    pub recorder: Option<File>,
    outside: Outside,
    known: Known,
    /// Files within files that are being read.
    pub depth: usize,
    leaving: bool,
}

impl<'k> Shell<'k> {
    pub fn new(engine: Engine<'k>, voice: Voice, outside: Outside, known: Known) -> Self {
        let workspace = Workspace::new(engine.kernel());
        Self { engine, workspace, voice, recorder: None, outside, known, depth: 0, leaving: false }
    }

    /// Runs one script and shows its maps until it ends, or is left.
    pub fn live(mut self, text: &str, every: Duration) -> Result<()> {
        let result = self.program(text).and_then(|()| match self.workspace.numbers().is_empty() {
            true => Ok(()),
            false => super::views::live(&mut self, every),
        });
        let farewell = self.leave();
        result.and(farewell)
    }

    /// Answers entries until the last; then detaches everything and shows the maps.
    pub fn run(mut self) -> Result<()> {
        let result = self.converse();
        let farewell = self.leave();
        result.and(farewell)
    }

    fn converse(&mut self) -> Result<()> {
        while !self.leaving {
            self.settle()?;
            match self.outside.entries.try_recv() {
                Ok(Some(text)) => {
                    let flow = self.enter(&text)?;
                    // What it has to say at once belongs to the answer.
                    self.settle()?;
                    match flow {
                        Flow::Leave => self.leaving = true,
                        // Whoever is told would begin a line on a terminal that is about to be given back.
                        Flow::Next | Flow::Offer(_) if self.leaving => {}
                        Flow::Next => self.answered(String::new()),
                        Flow::Offer(text) => self.answered(text),
                    }
                    continue;
                }
                Ok(None) | Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => {}
            }
            let Outside { bell, interrupt, end, .. } = &self.outside;
            self.workspace.wait(&[bell.reader(), interrupt.reader(), end.reader()], LONG)?;
            bell.take();
            let is_interrupted = interrupt.take() && self.outside.idle_interrupt == IdleInterrupt::Leave;
            self.leaving = is_interrupted || end.take();
        }
        Ok(())
    }

    fn answered(&mut self, text: String) {
        // Whoever asks has gone away only when the input has ended, which is heard next.
        let _ = self.outside.answers.send(text);
    }

    fn leave(&mut self) -> Result<()> {
        written(self.voice.screen.abandon_line())?;
        let maps = self.used_maps();
        // They are read while there is still someone who knows them; what comes later is the last words' own.
        self.workspace.detach_all()?;
        let reports = self.reports(&maps)?;
        self.workspace.finish_all()?;
        let mut sink = self.sink();
        reports.iter().try_for_each(|report| sink.map(report)).and_then(|()| sink.flush())
    }

    /// The maps of the programs that run, by name.
    pub fn used_maps(&self) -> Vec<String> {
        let programs = self.workspace.programs();
        let names = programs.flat_map(|(_, program)| program.session.map_names().map(str::to_string));
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Does what a text asks for, one entry after another. Its faults are told; only an output that is closed ends the shell.
    pub fn enter(&mut self, text: &str) -> Result<Flow> {
        let mut rest = text;
        while let Some((first, others)) = entry::split(rest) {
            if self.enter_one(first)? == Flow::Leave {
                return Ok(Flow::Leave);
            }
            self.settle()?;
            rest = others;
        }
        self.enter_one(rest)
    }

    fn enter_one(&mut self, text: &str) -> Result<Flow> {
        let is_about_recording = text.trim_start().starts_with(":record");
        if let Some(file) = self.recorder.as_mut().filter(|_| !is_about_recording) {
            written(writeln!(file, "{}", text.trim()))?;
        }
        let done = match entry::read(text) {
            Entry::Nothing => Ok(Flow::Next),
            Entry::Command(command, rest) => (command.run)(self, rest),
            Entry::Unknown(name) => Err(unknown_command(name)),
            Entry::Map(name) if self.workspace.map_names().iter().any(|map| map == name) => {
                self.show_map(name).map(|()| Flow::Next)
            }
            Entry::Map(text) | Entry::Line(text) => self.line(text).map(|()| Flow::Next),
            Entry::Program(text) => self.program(text).map(|()| Flow::Next),
        };
        let flow = match done {
            Err(error) if error.kind == Kind::Closed => return Err(error),
            Err(error) => self.complain(&error).map(|()| Flow::Next),
            flow => flow,
        };
        self.tell_known();
        flow
    }

    fn tell_known(&self) {
        let numbers = self.workspace.programs().map(|(number, program)| (number, program.text.clone())).collect();
        self.known.set(Knowledge { maps: self.workspace.maps(), numbers });
    }

    /// Runs a program beside the others.
    pub fn program(&mut self, text: &str) -> Result<()> {
        let name = format!("[{}]", self.workspace.next_number());
        let Some(compiled) = self.compile(&name, text)? else { return Ok(()) };
        let entered = self.voice.entered(text, compiled, &self.engine.sources);
        match self.workspace.add(entered)? {
            Some(number) => self.announce(number),
            None => Ok(()),
        }
    }

    /// Puts a program in the place of another.
    pub fn replace(&mut self, number: u32, text: &str) -> Result<()> {
        self.workspace.get(number)?;
        let Some(compiled) = self.compile(&format!("[{number}]"), text)? else { return Ok(()) };
        let entered = self.voice.entered(text, compiled, &self.engine.sources);
        self.workspace.replace(number, entered)?;
        self.announce(number)
    }

    fn announce(&mut self, number: u32) -> Result<()> {
        let program = self.workspace.get(number)?;
        let skipped: Vec<Error> = program.session.skipped().to_vec();
        let text = format!("[{number}] {}\n", summary(program.session.targets()));
        skipped.iter().try_for_each(|error| self.complain(error))?;
        self.say(&text)
    }

    /// Runs statements, or prints an expression.
    fn line(&mut self, text: &str) -> Result<()> {
        let parsed = entry::line_as(&mut self.engine, AS_VALUE, text);
        let as_value = parsed.and_then(|program| self.check(&program));
        let compiled = match as_value {
            Ok(compiled) => compiled,
            Err(_) => {
                let parsed = entry::line_as(&mut self.engine, AS_STATEMENT, text);
                match parsed.and_then(|program| self.check(&program)) {
                    Ok(compiled) => compiled,
                    Err(faults) => return self.diagnose(&faults),
                }
            }
        };
        let entered = self.voice.entered(text, compiled, &self.engine.sources);
        self.workspace.run(entered)
    }

    /// All stages before loading; tells the faults, if there are any, and gives nothing then.
    fn compile(&mut self, name: &str, text: &str) -> Result<Option<Compiled>> {
        match self.engine.parse(name, text).and_then(|program| self.check(&program)) {
            Ok(compiled) => Ok(Some(compiled)),
            Err(faults) => self.diagnose(&faults).map(|()| None),
        }
    }

    fn check(&mut self, program: &ast::Program) -> std::result::Result<Compiled, Faults> {
        self.engine.options.sharing = Sharing::With(self.workspace.maps());
        self.engine.options.start_ns = runtime::boot_time();
        let (program, warnings) = self.engine.check(program)?;
        // A warning that cannot be told is no reason not to run.
        self.diagnose(&warnings).ok();
        self.engine.generate(program)
    }

    /// Acts on what the programs have sent, and sees off those that are at their end.
    pub fn settle(&mut self) -> Result<()> {
        for number in self.workspace.attend()? {
            self.say(&format!("[{number}] ended\n"))?;
            self.workspace.finish(number, Farewell::Maps)?;
        }
        Ok(())
    }

    /// Lets time pass for the programs, until there is something to read from `keys`, if they are given.
    pub fn pass(&mut self, time: Duration, keys: Option<BorrowedFd<'_>>) -> Result<Passed> {
        let until = Instant::now() + time;
        loop {
            self.settle()?;
            let left = until.saturating_duration_since(Instant::now());
            let Outside { interrupt, end, .. } = &self.outside;
            let mut fds = vec![interrupt.reader(), end.reader()];
            fds.extend(keys);
            self.workspace.wait(&fds, left.min(LONG))?;
            if end.take() {
                self.leaving = true;
                return Ok(Passed::Interrupted);
            }
            if interrupt.take() {
                return Ok(Passed::Interrupted);
            }
            let is_key = |keys: BorrowedFd<'_>| runtime::is_readable(keys, Duration::ZERO);
            if left.is_zero() || keys.is_some_and(is_key) {
                return self.settle().map(|()| Passed::Time);
            }
        }
    }

    /// Prints a map as it is now.
    pub fn show_map(&mut self, name: &str) -> Result<()> {
        let Some(report) = self.workspace.report(name) else { return self.line(&format!("print({name})")) };
        let is_empty = |report: &MapReport| matches!(&report.entries, Entries::Keyed(rows) if rows.is_empty());
        let Some(report) = report?.filter(|report| !is_empty(report)) else {
            return self.say(&format!("{name} is empty\n"));
        };
        let mut sink = self.sink();
        sink.map(&report).and_then(|()| sink.flush())
    }

    /// Reads maps to be shown; those that no program uses are read by one made for that.
    pub fn reports(&mut self, names: &[String]) -> Result<Vec<MapReport>> {
        let mut reports = Vec::new();
        for name in names {
            let report = match self.workspace.report(name) {
                Some(report) => report?,
                None => self.viewer(name)?.map_or(Ok(None), |mut viewer| viewer.report(name))?,
            };
            reports.extend(report);
        }
        Ok(reports)
    }

    fn viewer(&mut self, name: &str) -> Result<Option<Session<'k>>> {
        let Ok(program) = entry::line_as(&mut self.engine, AS_STATEMENT, &format!("print({name})")) else {
            return Ok(None);
        };
        let Ok(compiled) = self.check(&program) else { return Ok(None) };
        let entered = self.voice.entered("", compiled, &self.engine.sources);
        self.workspace.viewer(entered).map(Some)
    }

    pub fn sink(&self) -> Box<dyn Sink> {
        (self.voice.sink)(&mut Plan::default().config, &self.voice.screen)
    }

    pub fn say(&mut self, text: &str) -> Result<()> {
        let screen = &mut self.voice.screen;
        written(screen.write_all(text.as_bytes()).and_then(|()| screen.flush()))
    }

    /// Faults and warnings of a text.
    pub fn diagnose(&mut self, diagnostics: &[Diagnostic]) -> Result<()> {
        let columns = Self::columns().unwrap_or(usize::MAX);
        let rendered = |one| render(one, &self.engine.sources, self.voice.style, columns);
        let text: String = diagnostics.iter().map(rendered).collect();
        self.blame(&text)
    }

    pub fn complain(&mut self, error: &Error) -> Result<()> {
        if let Some(span) = error.span.filter(|span| self.engine.sources.locate(*span).is_some()) {
            let diagnostic = Diagnostic::error(span, error.message.clone());
            return self.diagnose(&[error.hint.iter().fold(diagnostic, |one, hint| one.hint(hint.clone()))]);
        }
        let hint = error.hint.as_ref().map_or(String::new(), |hint| format!("HINT: {hint}\n"));
        self.blame(&format!("ERROR: {}\n{hint}", error.message))
    }

    fn blame(&mut self, text: &str) -> Result<()> {
        let text = Self::columns().map_or(text.to_string(), |columns| fit::wrapped(text, columns));
        let screen = &mut self.voice.complaints;
        written(screen.write_all(text.as_bytes()).and_then(|()| screen.flush()))
    }

    /// The width of the terminal that is written to, if it is one.
    pub fn columns() -> Option<usize> {
        runtime::terminal_size(stdout()).map(|(columns, _)| columns)
    }

    pub fn kernel(&self) -> &'k dyn Kernel {
        self.engine.kernel()
    }
}

/// As long as nothing happens.
const LONG: Duration = Duration::from_secs(1);

/// The first probe, and how many more there are.
pub fn summary<'t>(mut targets: impl Iterator<Item = &'t str>) -> String {
    let Some(first) = targets.next() else { return "no probes".to_string() };
    match targets.count() {
        0 => first.to_string(),
        more => format!("{first} and {more} more"),
    }
}

fn unknown_command(name: &str) -> Error {
    let error = Error::usage(format!("there is no command :{name}"));
    match crate::names::nearest(name, super::commands::names()) {
        Some(near) => error.hint(format!("did you mean :{near}?")),
        None => error.hint(":help shows what there is"),
    }
}
