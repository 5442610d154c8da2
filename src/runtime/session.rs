//! A run from its start to its end: programs loaded and attached, records read and acted on, maps printed.

mod desk;
mod ending;
mod printing;
mod shared;

use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::attach::{Attached, Placed, Runs};
use super::child::Child;
use super::decode::Decoder;
use super::ends::{Ends, Heard, NO_RINGS};
use super::ledger::Ledger;
use super::links::Links;
use super::load::Loader;
use super::mappings;
use super::maps::{Maps, Pool};
use super::packets::Captures;
use super::records::{Drained, Patience, Reader, Records};
use super::stop::Stop;
use super::symbols::Symbols;
use super::sys::process;
use super::unwind::Unwinding;
use super::visit::Visit;
use super::warnings::Warnings;
use crate::bpf::unit::Unit;
use crate::codegen::Compiled;
use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::plan::{Action, ActionId, Attach, Plan, Role, Target, When};
use crate::report::{Benchmark, Sink};
use crate::source::Sources;
use crate::strftime;
use crate::value::Value;

pub use shared::Usage;

use desk::Desk;

/// How a session is to be run.
#[derive(Default)]
pub struct Options {
    /// Ends the session from outside.
    pub stop: Option<Stop>,
    /// Has the `self` probes run.
    pub signal: Option<Stop>,
    /// The session ends with this process.
    pub pid: Option<u32>,
    /// The child to run once everything is attached; the session ends with it.
    pub child: Option<Child>,
    /// Maps to be used rather than made.
    pub pool: Pool,
    /// How many entries of each map are shown at the end, the last ones in order; 0 for all.
    pub top: u64,
}

/// Whether there is more to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Running,
    /// Time to [`Session::finish`].
    Ended,
}

/// What a look at a session's records found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// There was something to do, and more may wait.
    Busy,
    /// All there was is done.
    Idle,
    /// Time to [`Session::finish`].
    Ended,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    pub code: i32,
    pub completeness: Completeness,
}

/// Whether everything that happened was counted and told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    Whole,
    Lossy,
}

/// A running program. Dropping it detaches everything without a last word.
pub struct Session<'k> {
    state: State<'k>,
    records: Records,
    runs: Runs,
    warnings: Warnings,
    ledger: Ledger,
    looked: Instant,
    visit: Option<Visit>,
    pin: Option<String>,
    ends: Ends,
    skipped: Vec<Error>,
    units: Vec<Unit>,
    programs: Vec<(String, Rc<OwnedFd>)>,
    /// Nothing is attached: all there is to see has happened.
    alone: bool,
    probes: usize,
    stopped: Option<ending::Stopped>,
}

/// What actions work on.
struct State<'k> {
    plan: Rc<Plan>,
    maps: Maps,
    kernel: &'k dyn Kernel,
    links: Links,
    symbols: Symbols,
    unwinding: Option<Unwinding>,
    /// The process that is traced.
    pid: Option<u32>,
    boot: i128,
    sources: Sources,
    /// The code of the last `exit()`.
    exit: Option<i64>,
    captures: Captures,
    /// Assertions that failed.
    failures: usize,
    /// Of [`Options::top`].
    top: u64,
}

/// What became of a `test` probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub passed: bool,
    pub took: Duration,
}

/// Runs of a `bench` probe at first, and the nanoseconds that all of them together should take.
const FIRST: u32 = 10_000;
const LONG_ENOUGH: u64 = 1_000_000;

/// The exit code of a run that failed by its own account.
const FAILED: i64 = 1;

/// How often counters are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Records acted on before a stop request is looked for.
const RECORDS: usize = 10_000;

impl<'k> Session<'k> {
    /// Loads, runs the `begin` probes in their order, and attaches. Whether that is allowed, [`super::check_privilege`] tells beforehand; what it
    /// takes, [`super::raise_limits`] sees to.
    ///
    /// The child runs from the first [`Session::poll`] on.
    pub fn start(
        compiled: Compiled,
        sources: &Sources,
        kernel: &'k dyn Kernel,
        options: Options,
    ) -> Result<Session<'k>> {
        let Compiled { units, plan } = compiled;
        let maps = Maps::create(&plan, kernel, &options.pool)?;
        let (pid, top) = (options.pid, options.top);
        let ends = Ends::new(options)?;
        let license = CString::new(plan.config.license.as_str()).unwrap_or_default();
        let placed = Placed::load(&units, &Loader::new(&maps, sources, license), kernel)?;
        let records = Records::open(&plan, &maps)?;
        let mut symbols = Symbols::new(&plan.config, kernel.debug_places());
        symbols.prepare(&plan);
        if let Some(pid) = pid.filter(|_| wants_names(&plan)) {
            symbols.remember(pid);
        }
        let mut unwinding = Unwinding::new(&plan, kernel);
        // A child's program is not there yet.
        if let (None, Some(unwinding)) = (&ends.child, &mut unwinding) {
            unwinding.look(&maps)?;
        }
        let captures = Captures::open(&plan)?;
        let boot = strftime::now() - process::boot_time();
        let runs = placed.runs();
        runs.begin.iter().try_for_each(|run| run.run().map(drop))?;
        ends.child.iter().for_each(Child::settle);
        let Attached { links, skipped, visit, pin } = placed.attach(kernel, plan.config.missing_probes)?;
        let targets = || units.iter().flat_map(|unit| &unit.targets);
        let at_once = |target: &Target| {
            matches!(
                target.attach,
                Attach::Run(When::Begin | When::End | When::Test | When::Bench) | Attach::Iterator { .. }
            )
        };
        let alone = !ends.awaits_process() && targets().all(at_once);
        Ok(Session {
            records,
            runs,
            warnings: Warnings::new(&plan, sources),
            ledger: Ledger::new(&plan, sources, placed.programs()),
            programs: placed.programs(),
            looked: Instant::now(),
            visit,
            pin,
            ends,
            alone,
            probes: targets().count() - skipped.len(),
            skipped,
            units,
            stopped: None,
            state: State {
                plan: Rc::new(plan),
                maps,
                kernel,
                links,
                symbols,
                unwinding,
                pid,
                boot,
                sources: sources.clone(),
                exit: None,
                captures,
                failures: 0,
                top,
            },
        })
    }

    /// How many probes are attached, `begin` and `end` included.
    pub fn probes(&self) -> usize {
        self.probes
    }

    /// The file that an iterator was pinned as, which outlives the session.
    pub fn pin(&self) -> Option<&str> {
        self.pin.as_deref()
    }

    /// What could not be attached and was passed over.
    pub fn skipped(&self) -> &[Error] {
        &self.skipped
    }

    /// The process id of the `-c` child.
    pub fn child(&self) -> Option<u32> {
        self.ends.child.as_ref().map(Child::pid)
    }

    /// Acts on the records there are; if there are none, waits for some, `timeout` at the most.
    pub fn poll(&mut self, sink: &mut dyn Sink, timeout: Duration) -> Result<Status> {
        match self.look(sink)? {
            Look::Busy => Ok(Status::Running),
            Look::Ended => Ok(Status::Ended),
            Look::Idle => {
                let heard = self.records.wait(&self.ends, timeout.min(LOOK))?;
                self.answer(heard)
            }
        }
    }

    /// For whoever waits for several sessions at once, see [`Session::fds`]: acts on the records that are there after such a wait.
    pub fn attend(&mut self, waited: Duration, sink: &mut dyn Sink) -> Result<Look> {
        self.records.waited(waited);
        self.look(sink)
    }

    /// Readable while there are records.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.records.fds().into_iter().flatten()
    }

    fn look(&mut self, sink: &mut dyn Sink) -> Result<Look> {
        // Only from here on are records read, and a child may be so short-lived that its addresses must be looked up at once.
        self.release_child()?;
        self.state.follow_unwinding()?;
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.warnings.tell(&self.state.maps, sink)?;
        }
        if self.visit.is_some() {
            return self.visit(sink);
        }
        let patience = if self.alone { Patience::None } else { Patience::Some };
        let Drained { records, heard } = self.drain(sink, patience, RECORDS)?;
        sink.flush()?;
        if self.state.exit.is_some() {
            return Ok(Look::Ended);
        }
        match heard {
            Heard::Nothing if records > 0 => Ok(Look::Busy),
            Heard::Nothing if self.alone => Ok(Look::Ended),
            Heard::Nothing => Ok(Look::Idle),
            Heard::Signal | Heard::End => self.look_after(heard),
        }
    }

    /// Acts on what some more objects of an iterator give.
    fn visit(&mut self, sink: &mut dyn Sink) -> Result<Look> {
        let Session { state, visit: Some(visit), .. } = self else { return Ok(Look::Ended) };
        let is_over = !visit.advance()?;
        let plan = Rc::clone(&state.plan);
        while let Some(record) = visit.record(&plan) {
            Desk { state, sink }.record(record)?;
        }
        sink.flush()?;
        if is_over || state.exit.is_some() {
            return Ok(Look::Ended);
        }
        let heard = self.ends.wait(NO_RINGS, Duration::ZERO)?;
        self.look_after(heard)
    }

    /// Answers in the midst of work.
    fn look_after(&self, heard: Heard) -> Result<Look> {
        self.answer(heard).map(|status| match status {
            Status::Running => Look::Busy,
            Status::Ended => Look::Ended,
        })
    }

    fn answer(&self, heard: Heard) -> Result<Status> {
        match heard {
            Heard::Nothing => Ok(Status::Running),
            Heard::Signal => self.runs.signal.iter().try_for_each(|run| run.run().map(drop)).map(|()| Status::Running),
            Heard::End => Ok(Status::Ended),
        }
    }

    fn release_child(&mut self) -> Result<()> {
        let Some(child) = self.ends.child.as_mut().filter(|child| child.is_held()) else { return Ok(()) };
        let pid = child.pid();
        let wants_names = wants_names(&self.state.plan);
        self.state.pid = Some(pid);
        let State { symbols, unwinding, maps, .. } = &mut self.state;
        let mut looked = Ok(());
        // Should the child end at once, its program's own functions still have their names.
        child.release(|| {
            if wants_names {
                symbols.remember(pid)
            }
            if let Some(unwinding) = unwinding {
                // By then its libraries are mapped.
                if let Some(entry) = mappings::entry(pid) {
                    process::run_to(pid, entry);
                }
                looked = unwinding.look(maps);
            }
        })?;
        looked
    }

    /// The names of the `test` probes, in their order.
    pub fn tests(&self) -> Vec<String> {
        self.runs.tests.iter().map(|run| run.short_name().to_string()).collect()
    }

    /// Runs a `test` probe and acts on what it sent.
    pub fn test(&mut self, number: usize, sink: &mut dyn Sink) -> Result<Verdict> {
        let failures = self.state.failures;
        let start = Instant::now();
        let returned = self.runs.tests[number].run()?;
        let took = start.elapsed();
        self.drain(sink, Patience::None, usize::MAX)?;
        // A test that ends itself ends nothing else.
        self.state.exit = None;
        Ok(Verdict { passed: returned == 0 && self.state.failures == failures, took })
    }

    /// Runs each `bench` probe often enough to tell what one run takes.
    pub fn bench(&mut self, sink: &mut dyn Sink) -> Result<Vec<Benchmark>> {
        let mut results = Vec::new();
        for number in 0..self.runs.benches.len() {
            let run = &self.runs.benches[number];
            let mut iterations = FIRST;
            let mut nanoseconds = u64::from(run.run_often(iterations)?);
            while nanoseconds * u64::from(iterations) < LONG_ENOUGH && iterations < u32::MAX / 2 {
                iterations *= 2;
                nanoseconds = u64::from(run.run_often(iterations)?);
            }
            results.push(Benchmark { name: run.short_name().to_string(), nanoseconds, iterations: iterations.into() });
            self.drain(sink, Patience::None, usize::MAX)?;
        }
        Ok(results)
    }

    /// Acts on records; see [`Records::drain`].
    fn drain(&mut self, sink: &mut dyn Sink, patience: Patience, limit: usize) -> Result<Drained> {
        let Session { state, records, ends, .. } = self;
        let drained = records.drain(ends, patience, limit, &mut Desk { state, sink })?;
        state.captures.flush()?;
        Ok(drained)
    }
}

impl State<'_> {
    fn follow_unwinding(&mut self) -> Result<()> {
        self.unwinding.as_mut().map_or(Ok(()), |unwinding| unwinding.follow(&self.maps))
    }

    fn act(&mut self, record: &[u8], sink: &mut dyn Sink) -> Result<()> {
        let plan = Rc::clone(&self.plan);
        let id = record.first_chunk().map(|id| u64::from_ne_bytes(*id));
        let action = id.and_then(|id| plan.actions.get(ActionId(u32::try_from(id).ok()?)));
        let Some(action) = action else { return Err(Error::kernel("a record of no known kind came from the kernel")) };
        let values = self.values(action, record);
        (action.act)(action, &values, &mut Desk { state: self, sink })
    }

    fn values(&mut self, action: &Action, record: &[u8]) -> Vec<Value> {
        let mut decoder = self.decoder();
        let field = |at: u32| record.get(at as usize..).unwrap_or_default();
        action.fields.iter().map(|of| decoder.decode(&of.ty, field(of.offset))).collect()
    }

    fn decoder(&mut self) -> Decoder<'_> {
        let State { plan, maps, kernel, symbols, boot, .. } = self;
        Decoder { plan, maps, kernel: *kernel, symbols, boot: *boot }
    }
}

/// Whether addresses of processes are to have names.
fn wants_names(plan: &Plan) -> bool {
    plan.maps.values().any(|map| map.role == Role::SeenProcesses)
}
