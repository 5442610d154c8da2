//! The attach planner: [`ir::Program`] in, the same program out, its tracepoints served by the mechanism that costs least a hit
//! and lets go at once, where that gives the same answer.
//!
//! The kernel takes some 80 ms to let go of each tracepoint of perf, one after the other, and a tenth of a millisecond for a raw
//! tracepoint, which is cheaper at each hit, too. But a raw tracepoint has no record of named fields, and no system calls of its
//! own: one event serves them all, and a program tells them apart by their number.
//!
//! Where a raw tracepoint's program may have to wait for its processor, the hits of all others there are missed meanwhile, a quarter of
//! them in the worst case. perf's tracepoints lose none there, but for those of single system calls. So system calls are then served by
//! perf's event of all of them, and other events as they are.

mod bursts;
mod follow;
mod functions;
mod intervals;
mod needs;
mod over;
mod rings;
mod syscalls;

use crate::btf::TypeId;
use crate::ir::{Probe, Program};
use crate::kernel::{Feature, Kernel};
use crate::plan::{Attach, Plan, ProgKind, Target};
use crate::probes::raw_event_exists;
use needs::{Context, Needs};

/// Programs on all system calls that are fewer than this cost less than perf's tracepoints do.
const DISPATCHERS: usize = 8;

/// Chooses the mechanism of every probe.
pub fn choose(program: Program, kernel: &dyn Kernel) -> Program {
    let Program { probes, mut plan } = program;
    bursts::mark(&probes, &mut plan);
    let on_calls = probes.iter().filter(|probe| is_tracepoint(probe) && syscalls::serves(&probe.targets)).count();
    let mut chosen = Vec::new();
    for probe in probes {
        if !is_tracepoint(&probe) {
            chosen.push(probe);
            continue;
        }
        let (raw, perf) = Chooser { kernel, on_calls }.split(probe, &mut plan);
        chosen.extend(raw);
        chosen.extend(perf);
    }
    let mut chosen = chosen.into_iter().flat_map(|probe| functions::together(probe, kernel)).collect::<Vec<_>>();
    follow::read_directly(&mut chosen, kernel, plan.faults);
    over::heed(&mut chosen, &mut plan, kernel);
    Program { probes: chosen, plan }
}

/// Has the maps take turns whose intervals are to be exact.
pub fn separate_intervals(mut program: Program) -> Program {
    intervals::mark(&program.probes, &mut program.plan);
    program
}

/// Has processors write into several rings where they are many.
pub fn share_out_rings(mut program: Program, kernel: &dyn Kernel) -> Program {
    rings::share_out(&program.probes, &mut program.plan, kernel.cpus());
    program
}

fn is_tracepoint(probe: &Probe) -> bool {
    probe.kind == ProgKind::Tracepoint
}

struct Chooser<'a> {
    kernel: &'a dyn Kernel,
    /// How many programs would have to look at every system call.
    on_calls: usize,
}

impl Chooser<'_> {
    /// The parts of a probe that events of all system calls and raw tracepoints can serve, and what is left of it.
    fn split(&self, mut probe: Probe, plan: &mut Plan) -> (Vec<Probe>, Option<Probe>) {
        let needs = Needs::of(&probe);
        // A kernel stack would begin elsewhere.
        if needs.kernel_stack || !self.may_call(&needs) {
            return (Vec::new(), Some(probe));
        }
        let mut raw = Vec::new();
        if self.on_calls <= DISPATCHERS {
            raw.extend(syscalls::dispatch(&mut probe, &needs, self.kernel, plan));
        }
        if self.kernel.has(Feature::RawTracepointsUnpreempted) {
            raw.extend(self.events(&mut probe, &needs));
        }
        let rest = (!probe.targets.is_empty()).then_some(probe);
        (raw, rest)
    }

    /// Whether raw tracepoints may call what the probe does.
    fn may_call(&self, needs: &Needs) -> bool {
        let from = ProgKind::RawTracepoint;
        needs.calls.iter().all(|id| self.kernel.has(Feature::Call { function: TypeId(*id), from }))
    }

    /// Takes the events out of a probe that need no record.
    fn events(&self, probe: &mut Probe, needs: &Needs) -> Option<Probe> {
        let is_possible =
            needs.context == Context::Nothing && (!needs.cookie || self.kernel.has(Feature::RawTracepointCookie));
        // With names by number, the numbers must stay.
        if !is_possible || needs.cookie && !probe.targets.iter().all(|target| self.raw(target).is_some()) {
            return None;
        }
        let (raw, rest): (Vec<_>, Vec<_>) =
            probe.targets.drain(..).map(|target| (self.raw(&target), target)).partition(|(raw, _)| raw.is_some());
        probe.targets = rest.into_iter().map(|(_, target)| target).collect();
        let targets: Vec<Target> = raw.into_iter().filter_map(|(raw, _)| raw).collect();
        let raw = Probe { kind: ProgKind::RawTracepoint, targets, ..probe.clone() };
        (!raw.targets.is_empty()).then_some(raw)
    }

    /// The same event without its record; `None` for system calls and where the kernel's types do not tell.
    fn raw(&self, target: &Target) -> Option<Target> {
        let Attach::Tracepoint { category, event } = &target.attach else { return None };
        let has_raw = category != syscalls::CATEGORY && raw_event_exists(self.kernel, event);
        has_raw.then(|| Target { attach: Attach::RawTracepoint { event: event.clone() }, ..target.clone() })
    }
}
