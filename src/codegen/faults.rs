//! With `-k` or `--strict`, programs count the reads that fail and the texts that are cut; each place in the script has counters of its own.

use super::memory::argument;
use super::state::Gen;
use crate::bpf::Helper;
use crate::bpf::asm::{Alu, Arg, Cond, Operand, Size, VReg};
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
    for probe in probes.iter().filter(|probe| is_timer(probe)) {
        plan.counter(Cause::Ticks, probe.span);
    }
    for block in probes.iter().flat_map(Probe::blocks) {
        ir::walk(block, &mut |expr| {
            for cause in causes(expr, plan) {
                plan.counter(cause, expr.span);
            }
        });
    }
}

fn is_timer(probe: &Probe) -> bool {
    probe.targets.iter().all(|target| target.attach.period().is_some())
}

fn causes(expr: &Expr, plan: &Plan) -> Vec<Cause> {
    match &*expr.kind {
        ExprKind::MapGet { key: Some(_), .. } if plan.faults == Faults::Told => vec![Cause::MissingKey],
        ExprKind::Load { addr, .. } | ExprKind::ReadBuf { addr, .. } => vec![failed(Gen::reader(space_of(addr)))],
        ExprKind::ReadStr { addr, .. } => {
            let failed = failed(Gen::text_reader(space_of(addr)));
            if may_cut(expr.ty.size(), plan) { vec![failed, Cause::TextCut] } else { vec![failed] }
        }
        _ => Vec::new(),
    }
}

/// Buffers that are smaller than the setting allows were made to measure: what is cut there was not wanted.
fn may_cut(size: u32, plan: &Plan) -> bool {
    u64::from(size) > plan.config.max_strlen
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

    /// Counts a text that goes on where its buffer ends: the helper tells whether the buffer was filled, and one more byte of the text
    /// whether that was all of it.
    pub fn check_whole(&mut self, addr: Operand, space: Space, size: u32, result: VReg, site: Span) {
        let Some(counter) = self.fault_counter(&Cause::TextCut, site) else { return };
        let whole = self.asm.label();
        self.asm.branch(Cond::Ne, result.into(), Operand::Imm(i64::from(size)), whole);
        let next = self.stack(8);
        self.asm.store(Size::B8, next, Operand::Imm(0));
        let last = self.asm.alu(Alu::Add, addr, Operand::Imm(i64::from(size) - 1));
        self.asm.call(Self::reader(space), &[Arg::Address(next), Arg::Imm(1), argument(last)]);
        let byte = self.asm.load(Size::B8, next);
        self.asm.branch(Cond::Eq, byte.into(), Operand::Imm(0), whole);
        self.count(counter);
        self.asm.place(whole);
    }

    /// Counts a run of a timer's program.
    pub fn note_tick(&mut self) {
        if !is_timer(self.probe) {
            return;
        }
        if let Some(counter) = self.fault_counter(&Cause::Ticks, self.probe.span) {
            self.count(counter);
        }
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
