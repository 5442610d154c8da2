//! Aggregations read in the kernel: the slots of all CPUs, one after another, become one number.

use super::state::{Gen, Generated, at};
use crate::bpf::Helper;
use crate::bpf::asm::{Alu, Arg, Base, Cond, Label, Operand, Place, Size, VReg};
use crate::ir::{Expr, Merge};
use crate::plan::MapId;
use crate::types::Sign;

impl Gen<'_> {
    pub fn merged(&mut self, map: MapId, key: Option<&Expr>, how: Merge) -> Generated<Operand> {
        let key = match key {
            Some(key) => self.key_place(key)?,
            None => self.only_key(),
        };
        let (result, seen) = (self.asm.variable(), self.asm.variable());
        self.asm.set(result, Operand::Imm(0));
        self.asm.set(seen, Operand::Imm(0));
        self.each_slot(map, key, |code, slot, next| code.merge_slot(slot, how, result, seen, next));
        Ok(self.asm.get(result).into())
    }

    pub fn slot_sum(&mut self, map: MapId, key: Option<&Expr>, index: &Expr) -> Generated<Operand> {
        let index = self.scalar(index)?;
        let last = self.slot_words(map) - 1;
        let key = match key {
            Some(key) => self.key_place(key)?,
            None => self.only_key(),
        };
        let result = self.asm.variable();
        self.asm.set(result, Operand::Imm(0));
        self.each_slot(map, key, |code, slot, next| {
            let word = code.word(slot, index, last, next);
            let part = code.asm.load(Size::B8, word);
            let sum = code.asm.get(result);
            let sum = code.asm.alu(Alu::Add, sum.into(), part.into());
            code.asm.set(result, sum);
        });
        Ok(self.asm.get(result).into())
    }

    /// Clears the slots of all CPUs; 1 if there was a mark at this offset in any of them.
    pub fn clear_slots(&mut self, map: MapId, mark: u32, size: u32) -> Operand {
        let was_set = self.asm.variable();
        self.asm.set(was_set, Operand::Imm(0));
        let key = self.only_key();
        self.each_slot(map, key, |code, slot, _| {
            let old = code.asm.get(was_set);
            let mark = code.asm.load(Size::B8, at(slot, mark));
            let either = code.asm.alu(Alu::Or, old.into(), mark.into());
            code.asm.set(was_set, either);
            code.clear(slot, size);
        });
        self.asm.get(was_set).into()
    }

    /// Does something with the slot of every CPU that has one; it may go on to the next at any time.
    fn each_slot(&mut self, map: MapId, key: Place, act: impl FnOnce(&mut Self, Place, Label)) {
        let cpus = i64::from(self.kernel.cpus());
        let map_arg = self.map_arg(map);
        let cpu = self.asm.variable();
        self.asm.set(cpu, Operand::Imm(0));
        let (head, next, end) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.asm.place(head);
        self.enter();
        let now = self.asm.get(cpu);
        self.asm.branch(Cond::Ge, now.into(), Operand::Imm(cpus), end);
        self.comment(map, "one CPU's slot of");
        let args = [map_arg, Arg::Address(key), Arg::Reg(now)];
        let slot = self.asm.call(Helper::MAP_LOOKUP_PERCPU_ELEM, &args);
        self.asm.branch(Cond::Eq, slot.into(), Operand::Imm(0), next);
        act(self, Place::new(Base::Reg(slot), 0), next);
        self.asm.place(next);
        let now = self.asm.get(cpu);
        let following = self.asm.alu(Alu::Add, now.into(), Operand::Imm(1));
        self.asm.set(cpu, following);
        self.leave();
        self.asm.jump(head);
        self.asm.place(end);
    }

    /// Adds one CPU's slot to the result; `seen` is 1 once a marked slot was met.
    fn merge_slot(&mut self, slot: Place, how: Merge, result: VReg, seen: VReg, next: Label) {
        let better = match how {
            Merge::Sum(index) => {
                let part = self.asm.load(Size::B8, at(slot, 8 * index));
                let sum = self.asm.get(result);
                let sum = self.asm.alu(Alu::Add, sum.into(), part.into());
                self.asm.set(result, sum);
                return;
            }
            Merge::Min(Sign::Signed) => Cond::SGe,
            Merge::Min(Sign::Unsigned) => Cond::Ge,
            Merge::Max(Sign::Signed) => Cond::SLe,
            Merge::Max(Sign::Unsigned) => Cond::Le,
        };
        let mark = self.asm.load(Size::B8, at(slot, 8));
        self.asm.branch(Cond::Eq, mark.into(), Operand::Imm(0), next);
        let take = self.asm.label();
        let value = self.asm.load(Size::B8, slot);
        let was_seen = self.asm.get(seen);
        self.asm.branch(Cond::Eq, was_seen.into(), Operand::Imm(0), take);
        let old = self.asm.get(result);
        self.asm.branch(better, value.into(), old.into(), next);
        self.asm.place(take);
        self.asm.set(result, value.into());
        self.asm.set(seen, Operand::Imm(1));
    }
}
