//! The account of a run at its end: what was lost, how often, why, and to which part of the script.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use super::maps::Maps;
use super::sys;
use crate::diag::{self, Place};
use crate::errno;
use crate::error::Result;
use crate::plan::{Cause, Counter, MapId, Plan, Role};
use crate::report::Loss;
use crate::source::{Sources, Span};

/// What is counted in the kernel, and where each count belongs.
pub struct Ledger {
    counters: Option<MapId>,
    causes: Vec<(Counter, Option<Place>)>,
    programs: Vec<(String, Rc<OwnedFd>)>,
}

/// What the kernel did not have programs run for.
#[derive(Debug, Clone, Default)]
pub struct Unserved {
    /// Hits that it counted itself, by probe.
    pub missed: Vec<(String, u64)>,
    /// How often timers should have ticked, by the places of their targets.
    pub due: Vec<(Span, u64)>,
}

impl Ledger {
    pub fn new(plan: &Plan, sources: &Sources, programs: Vec<(String, Rc<OwnedFd>)>) -> Ledger {
        let cause = |counter: &Counter| (counter.clone(), diag::place(counter.span, sources));
        Ledger { counters: plan.map_of(&Role::Counters), causes: plan.counters.values().map(cause).collect(), programs }
    }

    /// Everything that was lost, in the order of the script's causes.
    pub fn close(&self, maps: &Maps, unserved: Unserved) -> Result<Vec<Loss>> {
        let Unserved { missed, due } = unserved;
        let bytes = self.counters.map_or(Ok(None), |map| maps.get(map, &[0; 4]))?.unwrap_or_default();
        let counts = bytes.as_chunks::<8>().0.iter().map(|count| u64::from_ne_bytes(*count));
        let counted = self.causes.iter().zip(counts).map(|((counter, place), count)| match counter.cause {
            Cause::Ticks => loss(&counter.cause, due_to(counter.span, &due).saturating_sub(count), place),
            _ => loss(&counter.cause, count, place),
        });
        let by_links = missed.into_iter().map(|(name, count)| Loss {
            cause: "missed",
            count,
            what: format!(
                "{} of {name} missed: too many calls were under way, or one came from within a probe",
                many("hit", count)
            ),
            place: None,
            probe: Some(name),
        });
        let missed = self.programs.iter().map(|(name, program)| {
            // Kernels before 5.12 do not tell.
            let count = sys::program::missed(program.as_fd()).unwrap_or(0);
            let what = format!("{} of {name} missed: it was running on that processor already", many("hit", count));
            Loss { cause: "missed", count, what, place: None, probe: Some(name.clone()) }
        });
        Ok(counted.chain(by_links).chain(missed).filter(|loss| loss.count > 0).collect())
    }
}

/// The ticks of all targets of a probe.
fn due_to(probe: Span, due: &[(Span, u64)]) -> u64 {
    let is_within = |target: &Span| probe.start <= target.start && target.end <= probe.end;
    due.iter().filter(|(target, _)| is_within(target)).map(|(_, ticks)| ticks).sum()
}

fn loss(cause: &Cause, count: u64, place: &Option<Place>) -> Loss {
    let (cause, what) = match cause {
        Cause::RingFull { action } => (
            "ring_full",
            format!(
                "{} of {action}() lost: the ring buffer was full (perf_rb_pages sets its size)",
                many("record", count)
            ),
        ),
        Cause::MapFull { map } => (
            "map_full",
            format!("{} of {map} lost: the map was full (max_map_keys sets its size)", many("update", count)),
        ),
        Cause::MapMemory { map } => {
            ("map_memory", format!("{} of {map} lost: the kernel had no memory for a new entry", many("update", count)))
        }
        Cause::MapBusy { map } => {
            ("map_busy", format!("{} of {map} lost: the entry was in use elsewhere", many("update", count)))
        }
        Cause::MissingKey => {
            ("missing_key", format!("{} of keys that a map does not have: each gave 0", many("read", count)))
        }
        Cause::HelperFailed { helper, code } => (
            "read_fault",
            format!(
                "{} of memory failed: {helper} said \"{}\"",
                many("read", count),
                errno::describe(-i64::from(*code))
            ),
        ),
        Cause::TextCut => ("text_cut", format!("{} cut (max_strlen sets how long they may be)", many("text", count))),
        Cause::DivideByZero => ("division_by_zero", format!("{} by zero: each gave 1", many("division", count))),
        Cause::OutOfBounds => {
            ("out_of_bounds", format!("{} out of an array's bounds: each gave 0", many("read", count)))
        }
        Cause::StackCollision => (
            "stack_collision",
            format!("{} lost: others were in their places (max_stacks sets how many there are)", many("stack", count)),
        ),
        Cause::Ticks => (
            "sampled_out",
            format!(
                "{} of the timer lost: the kernel was late, or allows no more (kernel.perf_event_max_sample_rate)",
                many("tick", count)
            ),
        ),
        Cause::LoopBound { limit } => {
            ("loop_bound", format!("{} ended early, after {limit} rounds", many("loop", count)))
        }
    };
    Loss { cause, count, what, place: place.clone(), probe: None }
}

/// The word for one of them, or for several.
fn many(one: &str, count: u64) -> String {
    if count == 1 { one.to_string() } else { format!("{one}s") }
}
