//! With `-k`, programs count the reads that fail; each place in the script has a counter of its own.

use super::state::Gen;
use crate::bpf::Helper;
use crate::bpf::asm::{Cond, Operand, VReg};
use crate::ir::{self, Expr, ExprKind, Probe};
use crate::plan::{Cause, CounterId, Faults, Plan};
use crate::source::Span;
use crate::types::{Space, Type};

/// `-EFAULT`: the address is not one.
const BAD_ADDRESS: i32 = -libc::EFAULT;

/// Makes the counters for everything that may fail, if that is to be told.
pub fn register(probes: &[Probe], plan: &mut Plan) {
    if plan.faults == Faults::Ignored {
        return;
    }
    for block in probes.iter().flat_map(Probe::blocks) {
        ir::walk(block, &mut |expr| {
            if let Some(cause) = cause(expr) {
                plan.counter(cause, expr.span);
            }
        });
    }
}

fn cause(expr: &Expr) -> Option<Cause> {
    match &*expr.kind {
        ExprKind::MapGet { key: Some(_), .. } => Some(Cause::MissingKey),
        ExprKind::Load { addr, .. } | ExprKind::ReadBuf { addr, .. } => Some(failed(Gen::reader(space_of(addr)))),
        ExprKind::ReadStr { addr, .. } => Some(failed(Gen::text_reader(space_of(addr)))),
        _ => None,
    }
}

fn failed(helper: Helper) -> Cause {
    Cause::HelperFailed { helper: helper.name().unwrap_or("helper"), code: BAD_ADDRESS }
}

fn space_of(addr: &Expr) -> Space {
    match &addr.ty {
        Type::Ptr(_, space) => *space,
        _ => Space::Unknown,
    }
}

impl Gen<'_> {
    /// Counts what a helper that reads memory could not read.
    pub fn check_read(&mut self, helper: Helper, result: VReg, site: Span) {
        let Some(counter) = self.fault_counter(&failed(helper), site) else { return };
        let fine = self.asm.label();
        self.asm.branch(Cond::SGe, result.into(), Operand::Imm(0), fine);
        self.count(counter);
        self.asm.place(fine);
    }

    /// Counts a key that was not found; the current point is where that is known.
    pub fn note_missing(&mut self, site: Span) {
        if let Some(counter) = self.fault_counter(&Cause::MissingKey, site) {
            self.count(counter);
        }
    }

    fn fault_counter(&self, cause: &Cause, site: Span) -> Option<CounterId> {
        if self.plan.faults == Faults::Ignored {
            return None;
        }
        self.plan.counters.iter().find(|(_, counter)| counter.cause == *cause && counter.span == site).map(|(id, _)| id)
    }
}
