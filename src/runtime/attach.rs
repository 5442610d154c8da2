//! Loaded programs are put in place: one arm for each mechanism of the kernel.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use super::links::Links;
use super::load::Loader;
use super::perf::{self, Source};
use super::refusal::refused;
use super::sys;
use super::sys::link::Location;
use super::sys::perf::{Counting, Event, Place};
use crate::bpf::unit::Unit;
use crate::error::{Error, Result};
use crate::kernel::{Feature, Kernel};
use crate::plan::{Access, Attach, Point, Sample, Scope, Target, When};

/// Programs in the kernel, and where they are yet to be attached.
pub struct Placed<'u> {
    parts: Vec<Part<'u>>,
}

/// A program, and the targets that it serves by one kind of link. A unit may have to be loaded twice to serve several.
struct Part<'u> {
    program: Rc<OwnedFd>,
    how: How,
    targets: Vec<&'u Target>,
}

/// The kind of link: what has to be known before loading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Single,
    KprobeMulti,
    UprobeMulti,
}

/// Programs that are run rather than attached.
#[derive(Default)]
pub struct Runs {
    pub begin: Vec<Run>,
    pub end: Vec<Run>,
    pub signal: Vec<Run>,
}

pub struct Run {
    name: String,
    program: Rc<OwnedFd>,
}

impl Run {
    pub fn run(&self) -> Result<()> {
        let failed = |error: io::Error| refused(format!("cannot run the probe {}", self.name), &error);
        sys::program::test_run(self.program.as_fd()).map_err(failed)
    }
}

impl<'u> Placed<'u> {
    /// Loads all units, each once for every kind of link that its targets need.
    pub fn load(units: &'u [Unit], loader: &Loader<'_>, kernel: &dyn Kernel) -> Result<Placed<'u>> {
        let mut parts = Vec::new();
        for unit in units {
            for how in [How::Single, How::KprobeMulti, How::UprobeMulti] {
                let targets: Vec<&Target> =
                    unit.targets.iter().filter(|of| How::to_attach(of, kernel) == how).collect();
                if !targets.is_empty() {
                    let program = Rc::new(loader.load(unit, how.expected_attach_type())?);
                    parts.push(Part { program, how, targets });
                }
            }
        }
        Ok(Placed { parts })
    }

    /// What is to be run, in the order of the script.
    pub fn runs(&self) -> Runs {
        let mut runs = Runs::default();
        for part in &self.parts {
            for target in &part.targets {
                let Attach::Run(when) = target.attach else { continue };
                let run = Run { name: target.name.clone(), program: Rc::clone(&part.program) };
                match when {
                    When::Begin => runs.begin.push(run),
                    When::End => runs.end.push(run),
                    When::Signal => runs.signal.push(run),
                }
            }
        }
        runs
    }

    pub fn attach(&self, kernel: &dyn Kernel) -> Result<Links> {
        let mut attacher = Attacher { kernel, links: Links::default() };
        for part in &self.parts {
            match part.how {
                How::Single => part.targets.iter().try_for_each(|target| attacher.single(part, target))?,
                How::KprobeMulti => attacher.kprobes(part)?,
                How::UprobeMulti => attacher.uprobes(part)?,
            }
        }
        Ok(attacher.links)
    }
}

impl How {
    fn to_attach(target: &Target, kernel: &dyn Kernel) -> How {
        match &target.attach {
            Attach::Kprobe { offset: 0, .. } if kernel.has(Feature::KprobeMulti) => How::KprobeMulti,
            // Even for one probe, as the others take long to detach.
            Attach::Uprobe { .. } if kernel.has(Feature::UprobeMulti) => How::UprobeMulti,
            Attach::Run(_)
            | Attach::Tracepoint { .. }
            | Attach::RawTracepoint { .. }
            | Attach::Kprobe { .. }
            | Attach::Uprobe { .. }
            | Attach::Perf { .. }
            | Attach::Watchpoint { .. } => How::Single,
        }
    }

    fn expected_attach_type(self) -> u32 {
        match self {
            How::Single => 0,
            How::KprobeMulti => sys::link::KPROBE_MULTI,
            How::UprobeMulti => sys::link::UPROBE_MULTI,
        }
    }
}

struct Attacher<'k> {
    kernel: &'k dyn Kernel,
    links: Links,
}

impl Attacher<'_> {
    fn single(&mut self, part: &Part<'_>, target: &Target) -> Result<()> {
        let program = part.program.as_fd();
        match &target.attach {
            Attach::Run(_) => Ok(()),
            Attach::Tracepoint { category, event } => self.tracepoint(program, target, category, event),
            Attach::RawTracepoint { event } => {
                let link = sys::link::raw_tracepoint(program, &c_string(event, target)?);
                self.links.add_fast([link.map_err(|error| cannot_attach(target, &error))?]);
                Ok(())
            }
            Attach::Kprobe { module, function, offset, at } => {
                let name = module.as_ref().map_or(function.clone(), |module| format!("{module}:{function}"));
                self.probe(program, target, (Source::Kprobe, Source::Kprobe.config(*at)), (&name, *offset), None)
            }
            Attach::Uprobe { path, offset, at, pid, semaphore } => {
                let config = Source::Uprobe.config(*at) | semaphore.unwrap_or(0) << SEMAPHORE;
                self.probe(program, target, (Source::Uprobe, config), (file(path), *offset), *pid)
            }
            Attach::Perf { event, sample, scope } => {
                let (kind, config) = (event.kind, event.config);
                self.counted(program, target, &Event { kind, config, sample: *sample, place: Place::None }, *scope)
            }
            Attach::Watchpoint { address, length, access, scope } => {
                let place = Place::Memory { address: *address, length: *length, access: bits(*access) };
                let event = Event { kind: perf::BREAKPOINT, config: 0, sample: Sample::Period(1), place };
                let first = self.links.counted();
                self.counted(program, target, &event, *scope)?;
                self.links.name_watchpoint(*address, first);
                Ok(())
            }
        }
    }

    fn tracepoint(&mut self, program: BorrowedFd<'_>, target: &Target, category: &str, event: &str) -> Result<()> {
        let Some(format) = self.kernel.tracepoint(category, event)? else {
            return Err(cannot_attach(target, &io::Error::from_raw_os_error(libc::ENOENT)));
        };
        let event = Event { kind: perf::TRACEPOINT, config: format.id, sample: Sample::Period(1), place: Place::None };
        self.slow(program, target, &event, anywhere())
    }

    /// A kprobe or uprobe as a perf event of its own.
    fn probe(
        &mut self,
        program: BorrowedFd<'_>,
        target: &Target,
        (source, config): (Source, u64),
        (name, offset): (&str, u64),
        pid: Option<u32>,
    ) -> Result<()> {
        let name = c_string(name, target)?;
        let event = Event {
            kind: source.kind().map_err(|error| error.at(target.span))?,
            config,
            sample: Sample::Period(1),
            place: Place::Code { name: &name, offset },
        };
        self.slow(program, target, &event, pid.map_or(anywhere(), Counting::process))
    }

    fn slow(&mut self, program: BorrowedFd<'_>, target: &Target, event: &Event<'_>, counting: Counting) -> Result<()> {
        let event = sys::perf::open(event, counting).map_err(|error| cannot_attach(target, &error))?;
        let link = self.connect(program, event.as_fd()).map_err(|error| cannot_attach(target, &error))?;
        self.links.add_slow(event, link);
        Ok(())
    }

    /// A clock, counter or breakpoint: one event for each CPU or thread.
    fn counted(&mut self, program: BorrowedFd<'_>, target: &Target, event: &Event<'_>, scope: Scope) -> Result<()> {
        let mut attach = |counting| {
            let event = sys::perf::open(event, counting)?;
            let link = self.connect(program, event.as_fd())?;
            self.links.add_counted(event, link);
            Ok(())
        };
        let attached = match scope {
            Scope::EveryCpu => perf::online().into_iter().map(Counting::on_cpu).try_for_each(attach),
            Scope::OneCpu => attach(Counting::on_cpu(perf::online()[0])),
            Scope::Process(pid) => perf::each_thread(pid, |thread| attach(Counting::thread(thread))),
        };
        attached.map_err(|error| match (target, error.raw_os_error()) {
            (Target { attach: Attach::Perf { event, .. }, .. }, Some(libc::ENOENT | libc::EOPNOTSUPP))
                if event.kind == perf::HARDWARE =>
            {
                without_counter(target)
            }
            _ => cannot_attach(target, &error),
        })
    }

    /// Has the program run on the event: by a link, or on older kernels for as long as the event lives.
    fn connect(&self, program: BorrowedFd<'_>, event: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
        if self.kernel.has(Feature::PerfLink) {
            return sys::link::perf(program, event).map(Some);
        }
        sys::perf::set_program(event, program).map(|()| None)
    }

    fn kprobes(&mut self, part: &Part<'_>) -> Result<()> {
        for wanted in [Point::Entry, Point::Return] {
            let mut functions = Vec::new();
            let mut targets = Vec::new();
            for target in &part.targets {
                if let Attach::Kprobe { function, at, .. } = &target.attach
                    && *at == wanted
                {
                    functions.push(c_string(function, target)?);
                    targets.push(*target);
                }
            }
            if !targets.is_empty() {
                let attach = |range: std::ops::Range<usize>| {
                    sys::link::kprobe_multi(part.program.as_fd(), &functions[range], wanted)
                };
                self.links.add_fast([together(&targets, attach)?]);
            }
        }
        Ok(())
    }

    fn uprobes(&mut self, part: &Part<'_>) -> Result<()> {
        let mut groups: Vec<(Group<'_>, Vec<Location>, Vec<&Target>)> = Vec::new();
        for target in &part.targets {
            let Attach::Uprobe { path, offset, at, pid, semaphore } = &target.attach else { continue };
            let group = Group { path: file(path), at: *at, pid: *pid };
            let location = Location { offset: *offset, semaphore: semaphore.unwrap_or(0) };
            if let Some((_, locations, targets)) = groups.iter_mut().find(|other| other.0 == group) {
                locations.push(location);
                targets.push(target);
            } else {
                groups.push((group, vec![location], vec![target]));
            }
        }
        for (group, locations, targets) in groups {
            let path = c_string(group.path, targets[0])?;
            let attach = |range: std::ops::Range<usize>| {
                let program = part.program.as_fd();
                sys::link::uprobe_multi(program, &path, &locations[range], group.at, group.pid.unwrap_or(0))
            };
            self.links.add_fast([together(&targets, attach)?]);
        }
        Ok(())
    }
}

/// Where in `perf_event_attr.config` a uprobe's semaphore stands.
const SEMAPHORE: u32 = 32;

/// The file in which a program lies: for `archive!/entry`, the archive.
fn file(path: &str) -> &str {
    path.split_once("!/").map_or(path, |(archive, _)| archive)
}

/// Uprobes that one link can hold.
#[derive(PartialEq, Eq)]
struct Group<'a> {
    path: &'a str,
    at: Point,
    pid: Option<u32>,
}

/// Attaches many targets at once. The kernel does not say which of them it refuses, so each is tried alone then.
fn together(targets: &[&Target], attach: impl Fn(std::ops::Range<usize>) -> io::Result<OwnedFd>) -> Result<OwnedFd> {
    attach(0..targets.len()).map_err(|all| {
        let alone = targets.iter().enumerate().find_map(|(at, target)| Some((target, attach(at..at + 1).err()?)));
        match alone {
            Some((target, error)) => cannot_attach(target, &error),
            None => cannot_attach(targets[0], &all),
        }
    })
}

/// For probes on code, which one event finds on all CPUs.
fn anywhere() -> Counting {
    Counting::on_cpu(perf::online()[0])
}

/// `HW_BREAKPOINT_*` of `include/uapi/linux/hw_breakpoint.h`.
fn bits(access: Access) -> u32 {
    match access {
        Access::Write => 2,
        Access::ReadWrite => 1 | 2,
        Access::Execute => 4,
    }
}

/// Virtual machines often do not let their guests count.
fn without_counter(target: &Target) -> Error {
    let message = format!("cannot attach {}: this machine's processor does not offer the counter", target.name);
    Error::kernel(message).at(target.span).hint(
        "virtual machines often have no hardware counters; software:cpu-clock or profile:hz:99 sample without them",
    )
}

fn cannot_attach(target: &Target, error: &io::Error) -> Error {
    refused(format!("cannot attach {}", target.name), error).at(target.span)
}

fn c_string(text: &str, target: &Target) -> Result<CString> {
    CString::new(text).map_err(|_| Error::usage(format!("the name {} contains a NUL", target.name)).at(target.span))
}
