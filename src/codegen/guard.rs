//! Programs that a task could be taken from its processor in the midst of are kept from that.
//!
//! The kernel runs the programs of uprobes with preemption on, and lets another task on the same processor run the same program
//! meanwhile. Both would build their values in the same scratch memory, and add to the same slot of an aggregation.

use crate::bpf::asm::Kfunc;
use crate::ir::Probe;
use crate::kernel::Kernel;
use crate::plan::Attach;

/// The kernel's functions that turn preemption off and on again (6.10).
#[derive(Clone, Copy)]
pub struct Guard {
    pub hold: Kfunc,
    pub release: Kfunc,
}

impl Guard {
    /// What programs need of which some do, if the kernel has it. They are all of one kind.
    pub fn of(probes: &[Probe], kernel: &dyn Kernel) -> Option<Guard> {
        let kind = probes.iter().find(|probe| is_preempted(probe))?.kind;
        let function = |name| Kfunc::find(kernel, name, kind);
        Some(Guard { hold: function("bpf_preempt_disable")?, release: function("bpf_preempt_enable")? })
    }
}

pub fn is_preempted(probe: &Probe) -> bool {
    probe.targets.iter().any(|target| matches!(target.attach, Attach::Uprobe { .. }))
}
