//! Programs are attached to targets: one arm for each mechanism of the kernel.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::attach::{Attached, Numbered, Part};
use super::links::Links;
use super::perf::{self, Source};
use super::refusal::refused;
use super::sys;
use super::sys::link::Location;
use super::sys::perf::{Begin, Counting, Event, Heirs, Place};
use super::visit::Visit;
use crate::config::MissingProbes;
use crate::error::{Error, Result};
use crate::kernel::{Feature, Kernel};
use crate::plan::{Access, Attach, Extent, Point, Sample, Scope, Target};

pub struct Attacher<'k> {
    kernel: &'k dyn Kernel,
    missing: MissingProbes,
    links: Links,
    skipped: Vec<Error>,
    visit: Option<Visit>,
    pin: Option<String>,
}

impl<'k> Attacher<'k> {
    pub fn new(kernel: &'k dyn Kernel, missing: MissingProbes) -> Attacher<'k> {
        Attacher { kernel, missing, links: Links::default(), skipped: Vec::new(), visit: None, pin: None }
    }

    pub fn finish(self) -> Attached {
        Attached { links: self.links, skipped: self.skipped, visit: self.visit, pin: self.pin }
    }

    /// A target that has a link of its own.
    pub fn single(&mut self, part: &Part<'_>, of: Numbered<'_>) -> Result<()> {
        match self.attach_single(part.program.as_fd(), of) {
            Err(error) => self.pass_over(error),
            Ok(()) => Ok(()),
        }
    }

    fn attach_single(&mut self, program: BorrowedFd<'_>, of: Numbered<'_>) -> Result<()> {
        match &of.target.attach {
            Attach::Run(_) => Ok(()),
            Attach::Tracepoint { category, event } => self.tracepoint(program, of, category, event),
            Attach::RawTracepoint { event } => self.raw_tracepoint(program, of, event),
            Attach::Trampoline { at, .. } => {
                let link = match self.kernel.has(Feature::TracingCookie) {
                    true => sys::link::trampoline_with_cookie(program, of.number, *at),
                    false => sys::link::trampoline(program),
                };
                self.links.add_fast([link.map_err(|error| cannot_attach(of.target, &error))?]);
                Ok(())
            }
            Attach::Iterator { over, pin, .. } => self.iterator(program, of, *over, pin.as_deref()),
            Attach::Kprobe { module, function, offset, at } => {
                let name = module.as_ref().map_or(function.clone(), |module| format!("{module}:{function}"));
                self.probe(program, of, (Source::Kprobe, Source::Kprobe.config(*at)), (&name, *offset), None)
            }
            Attach::KprobeAddress { address } => {
                let kind = Source::Kprobe.kind().map_err(|error| error.at(of.target.span))?;
                let place = Place::Instruction(*address);
                let event = Event { kind, config: 0, sample: Sample::Period(1), place };
                self.slow(program, of, &event, anywhere())
            }
            Attach::Uprobe { path, offset, at, pid, semaphore } => {
                let config = Source::Uprobe.config(*at) | semaphore.unwrap_or(0) << SEMAPHORE;
                self.probe(program, of, (Source::Uprobe, config), (file(path), *offset), *pid)
            }
            Attach::Perf { event, sample, scope } => {
                let (kind, config) = (event.kind, event.config);
                self.counted(program, of, &Event { kind, config, sample: *sample, place: Place::None }, *scope)
            }
            Attach::Watchpoint { address, length, access, scope } => {
                let place = Place::Memory { address: *address, length: *length, access: bits(*access) };
                let event = Event { kind: perf::BREAKPOINT, config: 0, sample: Sample::Period(1), place };
                let first = self.links.counted();
                self.counted(program, of, &event, *scope)?;
                self.links.name_watchpoint(*address, first);
                Ok(())
            }
        }
    }

    /// A pinned iterator waits for its readers, another is visited at once.
    fn iterator(&mut self, program: BorrowedFd<'_>, of: Numbered<'_>, over: Extent, pin: Option<&str>) -> Result<()> {
        let link = sys::link::iterator(program, over).map_err(|error| cannot_attach(of.target, &error))?;
        match pin {
            None => self.visit = Some(Visit::begin(link, &of.target.name)?),
            Some(path) => {
                let pinned = sys::link::pin(link.as_fd(), &c_string(path, of.target)?);
                pinned.map_err(|error| cannot_pin(of.target, path, &error))?;
                self.pin = Some(path.to_string());
            }
        }
        Ok(())
    }

    /// What cannot be attached ends the run, or is passed over, as `missing_probes` has it.
    fn pass_over(&mut self, error: Error) -> Result<()> {
        match self.missing {
            MissingProbes::Error | MissingProbes::Alternatives => return Err(error),
            MissingProbes::Warn => self.skipped.push(error),
            MissingProbes::Ignore => {}
        }
        Ok(())
    }

    fn tracepoint(&mut self, program: BorrowedFd<'_>, of: Numbered<'_>, category: &str, event: &str) -> Result<()> {
        let Some(format) = self.kernel.tracepoint(category, event)? else {
            return Err(cannot_attach(of.target, &io::Error::from_raw_os_error(libc::ENOENT)));
        };
        let event = Event { kind: perf::TRACEPOINT, config: format.id, sample: Sample::Period(1), place: Place::None };
        self.slow(program, of, &event, anywhere())
    }

    fn raw_tracepoint(&mut self, program: BorrowedFd<'_>, of: Numbered<'_>, event: &str) -> Result<()> {
        let cookie = if self.kernel.has(Feature::RawTracepointCookie) { of.number } else { 0 };
        let link = sys::link::raw_tracepoint(program, &c_string(event, of.target)?, cookie);
        self.links.add_fast([link.map_err(|error| cannot_attach(of.target, &error))?]);
        Ok(())
    }

    /// A kprobe or uprobe as a perf event of its own.
    fn probe(
        &mut self,
        program: BorrowedFd<'_>,
        of: Numbered<'_>,
        (source, config): (Source, u64),
        (name, offset): (&str, u64),
        pid: Option<u32>,
    ) -> Result<()> {
        let name = c_string(name, of.target)?;
        let event = Event {
            kind: source.kind().map_err(|error| error.at(of.target.span))?,
            config,
            sample: Sample::Period(1),
            place: Place::Code { name: &name, offset },
        };
        self.slow(program, of, &event, pid.map_or(anywhere(), Counting::process))
    }

    fn slow(&mut self, program: BorrowedFd<'_>, of: Numbered<'_>, event: &Event<'_>, counting: Counting) -> Result<()> {
        let event =
            sys::perf::open(event, counting, Begin::AtOnce).map_err(|error| cannot_attach(of.target, &error))?;
        let link = self.connect(program, event.as_fd(), of).map_err(|error| cannot_attach(of.target, &error))?;
        self.links.add_slow(event, link);
        self.links.count_missed(&of.target.name);
        Ok(())
    }

    /// A clock, counter or breakpoint: one event for each CPU or thread.
    fn counted(&mut self, program: BorrowedFd<'_>, of: Numbered<'_>, event: &Event<'_>, scope: Scope) -> Result<()> {
        let heirs = if self.kernel.version() >= (5, 13) { Heirs::Threads } else { Heirs::None };
        let mut attach = |counting| {
            // Clocks are not to tick before the program is there.
            let event = sys::perf::open(event, counting, Begin::WhenTold)?;
            let link = self.connect(program, event.as_fd(), of)?;
            sys::perf::enable(event.as_fd())?;
            self.links.add_counted(event, link);
            if let Some(period) = of.target.attach.period() {
                self.links.add_clock(of.target.span, period);
            }
            Ok(())
        };
        let attached = match scope {
            Scope::EveryCpu => perf::online().into_iter().map(Counting::on_cpu).try_for_each(attach),
            Scope::OneCpu => attach(Counting::on_cpu(perf::online()[0])),
            Scope::Process(pid) => perf::each_thread(pid, |thread| attach(Counting::thread(thread, heirs))),
        };
        attached.map_err(|error| match (of.target, error.raw_os_error()) {
            (Target { attach: Attach::Perf { event, .. }, .. }, Some(libc::ENOENT | libc::EOPNOTSUPP))
                if event.kind == perf::HARDWARE =>
            {
                without_counter(of.target)
            }
            (Target { attach: Attach::Watchpoint { .. }, .. }, Some(libc::ENOSPC)) => without_breakpoint(of.target),
            _ => cannot_attach(of.target, &error),
        })
    }

    /// Has the program run on the event: by a link, or on older kernels for as long as the event lives.
    fn connect(&self, program: BorrowedFd<'_>, event: BorrowedFd<'_>, of: Numbered<'_>) -> io::Result<Option<OwnedFd>> {
        if self.kernel.has(Feature::PerfLink) {
            return sys::link::perf(program, event, of.number).map(Some);
        }
        sys::perf::set_program(event, program).map(|()| None)
    }

    pub fn kprobes(&mut self, part: &Part<'_>) -> Result<()> {
        for wanted in [Point::Entry, Point::Return] {
            let is_wanted =
                |of: &&Numbered<'_>| matches!(&of.target.attach, Attach::Kprobe { at, .. } if *at == wanted);
            let targets: Vec<Numbered<'_>> = part.targets.iter().filter(is_wanted).copied().collect();
            self.together(targets, |targets| {
                let names = targets.iter().filter_map(|of| match &of.target.attach {
                    Attach::Kprobe { function, .. } => CString::new(function.as_str()).ok(),
                    _ => None,
                });
                let cookies: Vec<u64> = targets.iter().map(|of| of.number).collect();
                sys::link::kprobe_multi(part.program.as_fd(), &names.collect::<Vec<_>>(), &cookies, wanted)
            })?;
        }
        Ok(())
    }

    pub fn functions(&mut self, part: &Part<'_>) -> Result<()> {
        // All targets of a program are of one kind of probe.
        let Some(Attach::Trampoline { at, .. }) = part.targets.first().map(|of| &of.target.attach) else {
            return Ok(());
        };
        self.together(part.targets.clone(), |targets| {
            let types = targets.iter().filter_map(|of| match &of.target.attach {
                Attach::Trampoline { type_id, .. } => Some(*type_id),
                _ => None,
            });
            let cookies: Vec<u64> = targets.iter().map(|of| of.number).collect();
            sys::link::tracing_multi(part.program.as_fd(), &types.collect::<Vec<_>>(), &cookies, *at)
        })
    }

    pub fn uprobes(&mut self, part: &Part<'_>) -> Result<()> {
        let mut groups: Vec<(Group<'_>, Vec<Numbered<'_>>)> = Vec::new();
        for of in &part.targets {
            let Attach::Uprobe { path, at, pid, .. } = &of.target.attach else { continue };
            let group = Group { path: file(path), at: *at, pid: *pid };
            match groups.iter_mut().find(|other| other.0 == group) {
                Some((_, targets)) => targets.push(*of),
                None => groups.push((group, vec![*of])),
            }
        }
        for (group, targets) in groups {
            let path = c_string(group.path, targets[0].target)?;
            self.together(targets, |targets| {
                let places: Vec<Location> = targets.iter().filter_map(location).collect();
                sys::link::uprobe_multi(part.program.as_fd(), &path, &places, group.at, group.pid.unwrap_or(0))
            })?;
        }
        Ok(())
    }

    /// Attaches many targets by one link. The kernel does not say which of them it refuses, so that is found by halving.
    fn together(
        &mut self,
        mut targets: Vec<Numbered<'_>>,
        attach: impl Fn(&[Numbered<'_>]) -> io::Result<OwnedFd>,
    ) -> Result<()> {
        if targets.is_empty() {
            return Ok(());
        }
        if let Ok(link) = attach(&targets) {
            self.links.add_fast([link]);
            self.links.count_missed(&together_named(&targets));
            return Ok(());
        }
        let mut refused = Vec::new();
        find_refused(&targets, &attach, &mut refused);
        targets.retain(|of| !refused.iter().any(|(number, _)| *number == of.number));
        for (_, error) in refused {
            self.pass_over(error)?;
        }
        self.together(targets, attach)
    }
}

/// What a link of many targets is called.
fn together_named(targets: &[Numbered<'_>]) -> String {
    match targets {
        [] => String::new(),
        [of] => of.target.name.clone(),
        [of, others @ ..] => format!("{} and {} more", of.target.name, others.len()),
    }
}

/// The numbers of the targets that cannot be attached, and why.
fn find_refused(
    targets: &[Numbered<'_>],
    attach: &impl Fn(&[Numbered<'_>]) -> io::Result<OwnedFd>,
    refused: &mut Vec<(u64, Error)>,
) {
    match (attach(targets), targets) {
        (Ok(_), _) | (Err(_), []) => {}
        (Err(error), [of]) => refused.push((of.number, cannot_attach(of.target, &error))),
        (Err(_), _) => {
            let (first, second) = targets.split_at(targets.len() / 2);
            let before = refused.len();
            find_refused(first, attach, refused);
            find_refused(second, attach, refused);
            if let (true, [of, ..]) = (refused.len() == before, targets) {
                // Each half is accepted alone: the whole is too much.
                refused.push((of.number, cannot_attach(of.target, &io::Error::from_raw_os_error(libc::E2BIG))));
            }
        }
    }
}

/// Uprobes that one link can hold.
#[derive(PartialEq, Eq)]
struct Group<'a> {
    path: &'a str,
    at: Point,
    pid: Option<u32>,
}

fn location(of: &Numbered<'_>) -> Option<Location> {
    let Attach::Uprobe { offset, semaphore, .. } = &of.target.attach else { return None };
    Some(Location { offset: *offset, semaphore: semaphore.unwrap_or(0), cookie: of.number })
}

/// Where in `perf_event_attr.config` a uprobe's semaphore stands.
const SEMAPHORE: u32 = 32;

/// The file in which a program lies: for `archive!/entry`, the archive.
fn file(path: &str) -> &str {
    path.split_once("!/").map_or(path, |(archive, _)| archive)
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

fn without_breakpoint(target: &Target) -> Error {
    let message = format!("cannot attach {}: all breakpoints of the processor are in use", target.name);
    let hint = "x86 has four for each CPU, which debuggers use too: watch fewer addresses at once";
    Error::kernel(message).at(target.span).hint(hint)
}

fn cannot_pin(target: &Target, path: &str, error: &io::Error) -> Error {
    let pinned = refused(format!("cannot pin {} as {path}", target.name), error).at(target.span);
    match error.raw_os_error() {
        Some(libc::EEXIST) => {
            let message = format!("cannot pin {} as {path}: there is such a file already", target.name);
            Error::kernel(message).at(target.span).hint(format!("remove it: rm {path}"))
        }
        Some(libc::ENOENT | libc::EPERM | libc::EINVAL) => {
            pinned.hint("pins lie in a bpf file system: mount -t bpf bpf /sys/fs/bpf")
        }
        _ => pinned,
    }
}

fn cannot_attach(target: &Target, error: &io::Error) -> Error {
    refused(format!("cannot attach {}", target.name), error).at(target.span)
}

fn c_string(text: &str, target: &Target) -> Result<CString> {
    CString::new(text).map_err(|_| Error::usage(format!("the name {} contains a NUL", target.name)).at(target.span))
}
