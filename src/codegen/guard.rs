//! Programs that a task could be taken from its processor in the midst of are kept from that.
//!
//! The kernel runs the programs of uprobes with preemption on, and lets another task on the same processor run the same program
//! meanwhile. Both would build their values in the same scratch memory, and add to the same slot of an aggregation.

use crate::bpf::asm::Kfunc;
use crate::btf::Kind;
use crate::ir::Probe;
use crate::kernel::{Feature, Kernel};
use crate::plan::Attach;

/// The kernel's functions that turn preemption off and on again (6.10).
#[derive(Clone, Copy)]
pub struct Guard {
    pub hold: Kfunc,
    pub release: Kfunc,
}

impl Guard {
    /// What a probe needs, if it does and the kernel has it.
    pub fn of(probe: &Probe, kernel: &dyn Kernel) -> Option<Guard> {
        let is_preempted = |attach: &Attach| matches!(attach, Attach::Uprobe { .. });
        if !probe.targets.iter().any(|target| is_preempted(&target.attach)) || !kernel.types_are_its_own() {
            return None;
        }
        let function = |name| {
            let function = kernel.btf()?.find(name, Kind::Func)?;
            let may_call = kernel.has(Feature::Call { function, from: probe.kind });
            may_call.then_some(Kfunc { name, id: function.0 })
        };
        Some(Guard { hold: function("bpf_preempt_disable")?, release: function("bpf_preempt_enable")? })
    }
}
