//! Registers that found no place move to the frame: each use loads, each definition stores.
//!
//! Kernels before 6.0 or so forget the bounds of a spilled number (but not what a spilled pointer points to). Where bits of
//! a value are known to be clear, a reload is therefore followed by the mask that says so again. Bounds that come from a
//! comparison are not repeated: a value that needs them after a call has to be bounded by a mask.

use std::collections::HashSet;

use super::asm::{Alu, Operand, Size, Slot, VReg};
use super::fold::Facts;
use super::lir::{Argument, Function, Inst, Memory, MemoryBase, Op};

/// Rewrites the function so that the registers with a slot (by register number) live there. The new registers are added to
/// `temporaries`.
pub(super) fn rewrite(
    function: &mut Function,
    facts: &mut Facts,
    slots: &[Option<Slot>],
    temporaries: &mut HashSet<VReg>,
) {
    let mut spill = Spill { facts, slots, temporaries, insts: Vec::new() };
    for block in &mut function.blocks {
        for inst in std::mem::take(&mut block.insts) {
            spill.inst(inst);
        }
        block.insts = std::mem::take(&mut spill.insts);
    }
}

struct Spill<'a> {
    facts: &'a mut Facts,
    slots: &'a [Option<Slot>],
    temporaries: &'a mut HashSet<VReg>,
    insts: Vec<Inst>,
}

impl Spill<'_> {
    fn inst(&mut self, mut inst: Inst) {
        match inst.op {
            Op::Copy { to, from } => match (self.slot(to), self.slot(from)) {
                (Some(to), Some(from)) if to == from => return,
                (Some(slot), None) => inst.op = store(slot, Operand::Reg(from)),
                (None, Some(slot)) => inst.op = self.reload_into(to, from, slot, &inst),
                _ => {}
            },
            Op::Const { to, value } if i32::try_from(value).is_ok() => {
                if let Some(slot) = self.slot(to) {
                    inst.op = store(slot, Operand::Imm(value));
                }
            }
            _ => {}
        }
        self.reload(&mut inst);
        self.define(inst);
    }

    /// The operation that ends the reload of a spilled register into a given one.
    fn reload_into(&mut self, to: VReg, from: VReg, slot: Slot, inst: &Inst) -> Op {
        let Some(mask) = self.mask(from) else { return load(to, slot) };
        let left = self.temporary();
        self.insts.push(inst.like(load(left, slot)));
        Op::Alu { op: Alu::And, to, left, right: Operand::Imm(mask.into()) }
    }

    /// Replaces each spilled register that is read by one that is loaded first.
    fn reload(&mut self, inst: &mut Inst) {
        if let Op::Call { args, .. } = &mut inst.op {
            args.iter_mut().for_each(|arg| self.reload_argument(arg));
            return;
        }
        let mut loaded: Vec<(VReg, VReg)> = Vec::new();
        let mut loads = Vec::new();
        for reg in inst.op.operands_mut().into_iter().flatten() {
            let Some(slot) = self.slot(*reg) else { continue };
            *reg = match loaded.iter().find(|(spilled, _)| spilled == reg) {
                Some((_, temporary)) => *temporary,
                None => {
                    let temporary = self.load(*reg, slot, &mut loads);
                    loaded.push((*reg, temporary));
                    temporary
                }
            };
        }
        self.insts.extend(loads.into_iter().map(|op| inst.like(op)));
    }

    fn load(&mut self, reg: VReg, slot: Slot, loads: &mut Vec<Op>) -> VReg {
        let temporary = self.temporary();
        loads.push(load(temporary, slot));
        let Some(mask) = self.mask(reg) else { return temporary };
        let masked = self.temporary();
        loads.push(Op::Alu { op: Alu::And, to: masked, left: temporary, right: Operand::Imm(mask.into()) });
        masked
    }

    fn reload_argument(&mut self, arg: &mut Argument) {
        if let Argument::Reg(reg, plus) = *arg
            && let Some(slot) = self.slot(reg)
        {
            *arg = Argument::Spilled { slot, mask: self.mask(reg), plus };
        }
    }

    /// Appends the instruction, and a store if what it defines is spilled.
    fn define(&mut self, mut inst: Inst) {
        let defined = inst.op.def_mut().and_then(|reg| Some((self.slot(*reg)?, reg)));
        let Some((slot, reg)) = defined else {
            self.insts.push(inst);
            return;
        };
        *reg = self.temporary();
        let stored = store(slot, Operand::Reg(*reg));
        let after = inst.like(stored);
        self.insts.extend([inst, after]);
    }

    fn slot(&self, reg: VReg) -> Option<Slot> {
        // Temporaries made in this round have no entry.
        self.slots.get(reg.0 as usize).copied().flatten()
    }

    /// The mask that repeats what is known of the bits, if that is of use and fits an instruction.
    fn mask(&self, reg: VReg) -> Option<i32> {
        i32::try_from(self.facts.of(reg).ones).ok()
    }

    fn temporary(&mut self) -> VReg {
        let reg = self.facts.opaque();
        self.temporaries.insert(reg);
        reg
    }
}

fn load(to: VReg, slot: Slot) -> Op {
    Op::Load { size: Size::B8, to, from: Memory { base: MemoryBase::Frame(slot), offset: 0 } }
}

fn store(slot: Slot, value: Operand) -> Op {
    Op::Store { size: Size::B8, to: Memory { base: MemoryBase::Frame(slot), offset: 0 }, value }
}
