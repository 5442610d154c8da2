//! Has processors share out rings among them where they are many: all of them writing into one would wait for each other at each
//! record.

use crate::ir::Probe;
use crate::plan::{Attach, Plan};

/// From so many processors on.
const MANY: u32 = 8;

/// No more rings than this, as each takes memory and time at the start.
const AT_MOST: u32 = 16;

/// Programs that run once have a ring for themselves anyway.
pub fn share_out(probes: &[Probe], plan: &mut Plan, cpus: u32) {
    let runs_once = |probe: &Probe| probe.targets.iter().all(|target| matches!(target.attach, Attach::Run(_)));
    if cpus >= MANY && !probes.iter().all(runs_once) {
        plan.rings = cpus.next_power_of_two().min(AT_MOST);
    }
}
