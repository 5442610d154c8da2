//! Which bucket of a histogram a number falls into; without loops, so that every verifier follows.

use super::state::Gen;
use crate::bpf::asm::{Alu, Cond, Operand};

impl Gen<'_> {
    /// [`crate::types::log2_bucket`]: the number is shifted down until its sub-bucket bits and one more are left.
    pub fn log2_bucket(&mut self, value: Operand, bits: u8) -> Operand {
        let bucket = self.asm.variable();
        let done = self.asm.label();
        self.asm.set(bucket, Operand::Imm(0));
        self.asm.branch(Cond::SLt, value, Operand::Imm(0), done);
        self.enter();
        let (rest, shift) = (self.asm.variable(), self.asm.variable());
        self.asm.set(rest, value);
        self.asm.set(shift, Operand::Imm(0));
        for step in [32i64, 16, 8, 4, 2, 1] {
            self.shift_down(rest, shift, step, bits);
        }
        let (rest, shift) = (self.asm.get(rest), self.asm.get(shift));
        let base = self.asm.alu(Alu::Shl, shift.into(), Operand::Imm(i64::from(bits)));
        let index = self.asm.alu(Alu::Add, base, rest.into());
        let index = self.asm.alu(Alu::Add, index, Operand::Imm(1));
        self.asm.set(bucket, index);
        self.leave();
        self.asm.place(done);
        self.asm.get(bucket).into()
    }

    /// Shifts down by `step` if the number stays at or above its sub-bucket bits.
    fn shift_down(&mut self, rest: crate::bpf::asm::VReg, shift: crate::bpf::asm::VReg, step: i64, bits: u8) {
        let small = self.asm.label();
        let value = self.asm.get(rest);
        self.asm.branch(Cond::Lt, value.into(), Operand::Imm(1 << (step + i64::from(bits))), small);
        self.enter();
        let less = self.asm.alu(Alu::Shr, value.into(), Operand::Imm(step));
        self.asm.set(rest, less);
        let so_far = self.asm.get(shift);
        let more = self.asm.alu(Alu::Add, so_far.into(), Operand::Imm(step));
        self.asm.set(shift, more);
        self.leave();
        self.asm.place(small);
    }

    /// 0 below `min`, the last one from `max` on.
    pub fn linear_bucket(&mut self, value: Operand, min: i64, max: i64, step: i64) -> Operand {
        let bucket = self.asm.variable();
        let done = self.asm.label();
        self.asm.set(bucket, Operand::Imm(0));
        self.asm.branch(Cond::SLt, value, Operand::Imm(min), done);
        self.enter();
        self.asm.set(bucket, Operand::Imm(1 + (max - min) / step));
        self.asm.branch(Cond::SGe, value, Operand::Imm(max), done);
        let above = self.asm.alu(Alu::Sub, value, Operand::Imm(min));
        let steps = self.asm.alu(Alu::Div, above, Operand::Imm(step));
        let index = self.asm.alu(Alu::Add, steps, Operand::Imm(1));
        self.asm.set(bucket, index);
        self.leave();
        self.asm.place(done);
        self.asm.get(bucket).into()
    }
}
