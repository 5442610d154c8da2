//! Finds the aggregations that one program may change in the midst of another's change, on the same processor: a timer or an
//! interrupt's event while a raw tracepoint's program runs. They have one slot of a processor, so what is added there is added atomically.
//!
//! The kernel lets no program of a perf event, tracepoint or kprobe begin within another of them, nor any program within itself. All
//! others overlap.

use std::collections::{BTreeMap, BTreeSet};

use super::guard::Guard;
use crate::ir::{Probe, StmtKind, walk_statements};
use crate::plan::{Attach, MapId, When};

/// What keeps a program from others' midst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Apart {
    /// The kernel, from all others of that kind.
    ByKernel,
    /// That it keeps its processor, from others that do.
    ByGuard,
    /// That nothing else runs yet, or any more.
    ByTime,
    /// It is kept from itself only.
    FromItself,
    /// Not even that.
    Nothing,
}

/// The maps that this holds for.
pub fn overlapping(probes: &[Probe], guard: Option<Guard>) -> BTreeSet<MapId> {
    let mut changed: BTreeMap<MapId, Vec<Apart>> = BTreeMap::new();
    for probe in probes {
        for map in updated(probe) {
            let programs = probe.targets.iter().map(|target| apart(&target.attach, guard));
            changed.entry(map).or_default().extend(programs.filter(|program| *program != Apart::ByTime));
        }
    }
    changed.into_iter().filter(|(_, programs)| may_overlap(programs)).map(|(map, _)| map).collect()
}

fn updated(probe: &Probe) -> BTreeSet<MapId> {
    let mut maps = BTreeSet::new();
    for block in probe.blocks() {
        walk_statements(block, &mut |statement| {
            if let StmtKind::Update { map, .. } = &statement.kind {
                maps.insert(*map);
            }
        });
    }
    maps
}

fn may_overlap(programs: &[Apart]) -> bool {
    let [first, others @ ..] = programs else { return false };
    match first {
        Apart::Nothing => true,
        Apart::FromItself => !others.is_empty(),
        Apart::ByKernel | Apart::ByGuard | Apart::ByTime => others.iter().any(|other| other != first),
    }
}

fn apart(attach: &Attach, guard: Option<Guard>) -> Apart {
    match attach {
        Attach::Tracepoint { .. }
        | Attach::Kprobe { .. }
        | Attach::KprobeAddress { .. }
        | Attach::Perf { .. }
        | Attach::Watchpoint { .. } => Apart::ByKernel,
        Attach::Uprobe { .. } if guard.is_some() => Apart::ByGuard,
        Attach::Uprobe { .. } => Apart::Nothing,
        Attach::Run(When::Begin | When::End) => Apart::ByTime,
        Attach::Run(When::Signal | When::Test | When::Bench)
        | Attach::RawTracepoint { .. }
        | Attach::Trampoline { .. }
        | Attach::Iterator { .. } => Apart::FromItself,
    }
}
