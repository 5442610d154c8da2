//! Programs on many probes that the kernel is slow to let go of first look whether the session is over.
//!
//! The kernel takes up to 80 ms to let go of each such probe, one after the other, which a process left behind waits for. Programs run on
//! until then; what they would do then is seen by nobody, and costs.

use crate::ir::{Expr, ExprKind, Probe, Stmt, StmtKind, UnaryOp};
use crate::kernel::{Feature, Kernel};
use crate::plan::{Attach, FEW_WAITS, Map, MapKind, Plan, Role};
use crate::types::Type;

/// Has them look, if they are many.
pub fn heed(probes: &mut [Probe], plan: &mut Plan, kernel: &dyn Kernel) {
    let slow = |probe: &Probe| probe.targets.iter().filter(|target| is_slow(&target.attach, kernel)).count();
    if probes.iter().map(slow).sum::<usize>() <= FEW_WAITS {
        return;
    }
    let over =
        plan.shared_map(Map { role: Role::Over, kind: MapKind::Array, key_size: 4, value_size: 8, max_entries: 1 });
    for probe in probes.iter_mut().filter(|probe| slow(probe) > 0) {
        let is_over = Expr::new(ExprKind::MapGet { map: over, key: None }, Type::U64, probe.span);
        let cond = Expr::new(ExprKind::Unary(UnaryOp::Not, is_over), Type::Bool, probe.span);
        let then = std::mem::take(&mut probe.body);
        probe.body = vec![Stmt::new(StmtKind::If { cond, then, otherwise: Vec::new() }, probe.span)];
    }
}

/// Whether it is an event of perf that is waited for.
fn is_slow(attach: &Attach, kernel: &dyn Kernel) -> bool {
    match attach {
        Attach::Tracepoint { .. } | Attach::KprobeAddress { .. } => true,
        Attach::Kprobe { offset, .. } => *offset != 0 || !kernel.has(Feature::KprobeMulti),
        Attach::Uprobe { .. } => !kernel.has(Feature::UprobeMulti),
        Attach::Run(_)
        | Attach::RawTracepoint { .. }
        | Attach::Trampoline { .. }
        | Attach::Iterator { .. }
        | Attach::Perf { .. }
        | Attach::Watchpoint { .. } => false,
    }
}
