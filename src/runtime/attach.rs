//! Units become programs in the kernel, each loaded once for every kind of link that its targets need, and are put in place.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use super::attacher::Attacher;
use super::links::Links;
use super::load::{Loader, Purpose};
use super::refusal::refused;
use super::sys;
use super::visit::Visit;
use crate::bpf::unit::Unit;
use crate::config::MissingProbes;
use crate::error::{Error, Result};
use crate::kernel::{Feature, Kernel};
use crate::plan::{Attach, ProgKind, Target, When};

/// Programs in the kernel, and where they are yet to be attached.
pub struct Placed<'u> {
    parts: Vec<Part<'u>>,
}

/// A program, and the targets that it serves by one kind of link. A unit may have to be loaded twice to serve several.
pub struct Part<'u> {
    pub program: Rc<OwnedFd>,
    how: How,
    pub targets: Vec<Numbered<'u>>,
}

/// A target with its number among those of its unit, which the program can ask for.
#[derive(Clone, Copy)]
pub struct Numbered<'u> {
    pub number: u64,
    pub target: &'u Target,
}

/// The kind of link: what has to be known before loading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Single,
    KprobeMulti,
    UprobeMulti,
    TracingMulti,
    /// Each target has a program of its own.
    Bound,
}

/// What is attached, and what could not be and was to be passed over.
pub struct Attached {
    pub links: Links,
    pub skipped: Vec<Error>,
    /// The visit of an iterator, which is then the only probe.
    pub visit: Option<Visit>,
    /// The file that an iterator was pinned as.
    pub pin: Option<String>,
}

/// Programs that are run rather than attached.
#[derive(Default)]
pub struct Runs {
    pub begin: Vec<Run>,
    pub end: Vec<Run>,
    pub signal: Vec<Run>,
    pub tests: Vec<Run>,
    pub benches: Vec<Run>,
}

pub struct Run {
    name: String,
    program: Rc<OwnedFd>,
}

impl Run {
    /// Gives what the program returns.
    pub fn run(&self) -> Result<u32> {
        sys::program::test_run(self.program.as_fd()).map_err(|error| self.failed(&error))
    }

    /// Gives the nanoseconds that one of so many runs takes.
    pub fn run_often(&self, times: u32) -> Result<u32> {
        sys::program::bench_run(self.program.as_fd(), times).map_err(|error| self.failed(&error))
    }

    /// The name behind `test:` or `bench:`.
    pub fn short_name(&self) -> &str {
        self.name.split_once(':').map_or(&self.name, |(_, name)| name)
    }

    fn failed(&self, error: &io::Error) -> Error {
        refused(format!("cannot run the probe {}", self.name), error)
    }
}

impl<'u> Placed<'u> {
    pub fn load(units: &'u [Unit], loader: &Loader<'_>, kernel: &dyn Kernel) -> Result<Placed<'u>> {
        Self::place(units, kernel, |unit, purpose| loader.load(unit, purpose).map(Rc::new))
    }

    /// The same again, of programs that were loaded before.
    pub fn again(units: &'u [Unit], programs: &[Rc<OwnedFd>], kernel: &dyn Kernel) -> Result<Placed<'u>> {
        let mut programs = programs.iter().cloned();
        let lacking = || Error::kernel("a probe's program is not loaded any more");
        Self::place(units, kernel, |_, _| programs.next().ok_or_else(lacking))
    }

    fn place(
        units: &'u [Unit],
        kernel: &dyn Kernel,
        mut program: impl FnMut(&'u Unit, &Purpose<'_>) -> Result<Rc<OwnedFd>>,
    ) -> Result<Placed<'u>> {
        let place = |(unit, how, targets): Share<'u>| {
            let program = program(unit, &how.purpose(unit.kind, targets[0].target))?;
            Ok(Part { program, how, targets })
        };
        shares(units, kernel).map(place).collect::<Result<_>>().map(|parts| Placed { parts })
    }

    /// What is to be run, in the order of the script.
    pub fn runs(&self) -> Runs {
        let mut runs = Runs::default();
        for part in &self.parts {
            for Numbered { target, .. } in &part.targets {
                let Attach::Run(when) = target.attach else { continue };
                let run = Run { name: target.name.clone(), program: Rc::clone(&part.program) };
                match when {
                    When::Begin => runs.begin.push(run),
                    When::End => runs.end.push(run),
                    When::Signal => runs.signal.push(run),
                    When::Test => runs.tests.push(run),
                    When::Bench => runs.benches.push(run),
                }
            }
        }
        runs
    }

    pub fn attach(&self, kernel: &dyn Kernel, missing: MissingProbes) -> Result<Attached> {
        let mut attacher = Attacher::new(kernel, missing);
        for part in &self.parts {
            match part.how {
                How::Single | How::Bound => self.attach_singly(part, &mut attacher)?,
                How::KprobeMulti => attacher.kprobes(part)?,
                How::UprobeMulti => attacher.uprobes(part)?,
                How::TracingMulti => attacher.functions(part)?,
            }
        }
        Ok(attacher.finish())
    }

    /// One event serves all system calls that a program tells apart by their numbers.
    fn attach_singly(&self, part: &Part<'_>, attacher: &mut Attacher<'_>) -> Result<()> {
        let mut events = HashSet::new();
        let is_new = |of: &&Numbered<'_>| match &of.target.attach {
            Attach::RawTracepoint { event } | Attach::Tracepoint { event, .. } if !of.target.name.ends_with(event) => {
                events.insert(event.clone())
            }
            _ => true,
        };
        part.targets.iter().filter(is_new).try_for_each(|of| attacher.single(part, *of))
    }

    /// The programs, each with what it is shown as: the first of its targets.
    pub fn programs(&self) -> Vec<(String, Rc<OwnedFd>)> {
        let named = |part: &Part<'_>| (part.targets[0].target.name.clone(), Rc::clone(&part.program));
        self.parts.iter().map(named).collect()
    }
}

/// What one program does for a unit: the kind of link, and the targets that it serves.
type Share<'u> = (&'u Unit, How, Vec<Numbered<'u>>);

/// The programs that are needed, in the order of the script.
fn shares<'u>(units: &'u [Unit], kernel: &dyn Kernel) -> impl Iterator<Item = Share<'u>> {
    let of_unit = |unit: &'u Unit| {
        let mut shares = Vec::new();
        for how in [How::Single, How::KprobeMulti, How::UprobeMulti, How::TracingMulti, How::Bound] {
            let numbered = (0..).zip(&unit.targets).map(|(number, target)| Numbered { number, target });
            let targets: Vec<_> = numbered.filter(|of| How::to_attach(unit.kind, of.target, kernel) == how).collect();
            shares.extend(targets.chunks(how.most()).map(|targets| (unit, how, targets.to_vec())));
        }
        shares
    };
    units.iter().flat_map(of_unit)
}

/// The attach plan in words: how many targets each mechanism serves by how many programs, and what a hit costs.
pub fn plan(units: &[Unit], kernel: &dyn Kernel) -> Vec<String> {
    let mut rows: Vec<(&str, usize, usize)> = Vec::new();
    for (_, how, targets) in shares(units, kernel) {
        let words = how.words(&targets[0].target.attach);
        match rows.iter_mut().find(|row| row.0 == words) {
            Some((_, served, programs)) => {
                *served += targets.len();
                *programs += 1;
            }
            None => rows.push((words, targets.len(), 1)),
        }
    }
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let line = |(words, targets, programs): (&str, usize, usize)| {
        format!("{} by {}: {words}", plural(targets, "target"), plural(programs, "program"))
    };
    rows.into_iter().map(line).collect()
}

impl How {
    fn to_attach(kind: ProgKind, target: &Target, kernel: &dyn Kernel) -> How {
        match &target.attach {
            Attach::Trampoline { .. } if kind == ProgKind::ManyTracing => How::TracingMulti,
            Attach::Kprobe { offset: 0, .. } if kernel.has(Feature::KprobeMulti) => How::KprobeMulti,
            // Even for one probe, as the others take long to detach.
            Attach::Uprobe { .. } if kernel.has(Feature::UprobeMulti) => How::UprobeMulti,
            Attach::Trampoline { .. } | Attach::Iterator { .. } => How::Bound,
            Attach::Run(_)
            | Attach::Tracepoint { .. }
            | Attach::RawTracepoint { .. }
            | Attach::Kprobe { .. }
            | Attach::KprobeAddress { .. }
            | Attach::Uprobe { .. }
            | Attach::Perf { .. }
            | Attach::Watchpoint { .. } => How::Single,
        }
    }

    /// How many targets a program can serve.
    fn most(self) -> usize {
        match self {
            How::Single | How::KprobeMulti | How::UprobeMulti | How::TracingMulti => usize::MAX,
            How::Bound => 1,
        }
    }

    fn purpose(self, kind: ProgKind, target: &Target) -> Purpose<'_> {
        let purpose = Purpose::of(kind, target);
        match self {
            How::Single | How::Bound | How::TracingMulti => purpose,
            How::KprobeMulti => Purpose { expected_attach_type: sys::link::KPROBE_MULTI, ..purpose },
            How::UprobeMulti => Purpose { expected_attach_type: sys::link::UPROBE_MULTI, ..purpose },
        }
    }

    /// The mechanism, with what a hit of an empty program costs.
    fn words(self, attach: &Attach) -> &'static str {
        match (self, attach) {
            (How::KprobeMulti, _) => "kprobe multi link, about 20 ns a hit (40 ns on return)",
            (How::TracingMulti, _) => "tracing multi link, about 6 ns a hit",
            (How::UprobeMulti, _) => "uprobe multi link, about 300 ns a hit",
            (_, Attach::Trampoline { .. }) => "trampoline, about 6 ns a hit",
            (_, Attach::Iterator { .. }) => "iterator, at no cost to others",
            (_, Attach::Run(_)) => "run by rtrace itself",
            (_, Attach::Tracepoint { category, .. }) if category == "raw_syscalls" => {
                "perf tracepoint of all system calls, about 12 ns a call"
            }
            (_, Attach::Tracepoint { .. }) => "perf tracepoint, about 12 ns a hit",
            (_, Attach::RawTracepoint { event }) if ["sys_enter", "sys_exit"].contains(&event.as_str()) => {
                "raw tracepoint of all system calls, about 5 ns a call"
            }
            (_, Attach::RawTracepoint { .. }) => "raw tracepoint, about 5 ns a hit",
            (_, Attach::Kprobe { .. } | Attach::KprobeAddress { .. }) => {
                "perf kprobe, about 20 ns a hit (40 ns on return)"
            }
            (_, Attach::Uprobe { .. }) => "perf uprobe, about 300 ns a hit",
            (_, Attach::Perf { .. }) => "perf counter",
            (_, Attach::Watchpoint { .. }) => "breakpoint of the processor",
        }
    }
}
