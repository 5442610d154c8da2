//! Arithmetic on 64 bits; signed division and modulo by way of magnitudes, since the machine divides without sign.

use super::state::{Gen, Generated};
use crate::bpf::asm::{Alu, Cond, Operand};
use crate::ir::BinaryOp;
use crate::plan::CounterId;
use crate::types::Sign;

impl Gen<'_> {
    pub fn binary(
        &mut self,
        op: BinaryOp,
        sign: Sign,
        left: Operand,
        right: Operand,
        zero: Option<CounterId>,
    ) -> Generated<Operand> {
        let op = match op {
            BinaryOp::Add => Alu::Add,
            BinaryOp::Sub => Alu::Sub,
            BinaryOp::Mul => Alu::Mul,
            BinaryOp::And => Alu::And,
            BinaryOp::Or => Alu::Or,
            BinaryOp::Xor => Alu::Xor,
            BinaryOp::Shl => return Ok(self.shift(Alu::Shl, left, right)),
            BinaryOp::Shr => {
                let op = if sign == Sign::Signed { Alu::Sar } else { Alu::Shr };
                return Ok(self.shift(op, left, right));
            }
            BinaryOp::Div => return Ok(self.divide(Alu::Div, sign, left, right, zero)),
            BinaryOp::Mod => return Ok(self.divide(Alu::Mod, sign, left, right, zero)),
        };
        Ok(self.asm.alu(op, left, right))
    }

    /// Shift counts are taken modulo 64.
    fn shift(&mut self, op: Alu, value: Operand, count: Operand) -> Operand {
        let count = self.asm.alu(Alu::And, count, Operand::Imm(63));
        self.asm.alu(op, value, count)
    }

    /// Division by zero gives 1, and is counted.
    fn divide(&mut self, op: Alu, sign: Sign, left: Operand, right: Operand, zero: Option<CounterId>) -> Operand {
        let Some(counter) = zero else { return self.quotient(op, sign, left, right) };
        let result = self.asm.variable();
        let (possible, done) = (self.asm.label(), self.asm.label());
        self.asm.branch(Cond::Ne, right, Operand::Imm(0), possible);
        self.enter();
        self.count(counter);
        self.asm.set(result, Operand::Imm(1));
        self.leave();
        self.asm.jump(done);
        self.asm.place(possible);
        self.enter();
        let quotient = self.quotient(op, sign, left, right);
        self.asm.set(result, quotient);
        self.leave();
        self.asm.place(done);
        self.asm.get(result).into()
    }

    fn quotient(&mut self, op: Alu, sign: Sign, left: Operand, right: Operand) -> Operand {
        if sign == Sign::Unsigned {
            return self.asm.alu(op, left, right);
        }
        let (dividend, divisor) = (self.magnitude(left), self.magnitude(right));
        let magnitude = self.asm.alu(op, dividend, divisor);
        // A quotient is negative if the signs differ; a remainder has the sign of the dividend.
        let sign = if op == Alu::Div { self.asm.alu(Alu::Xor, left, right) } else { left };
        let mask = self.asm.alu(Alu::Sar, sign, Operand::Imm(63));
        let flipped = self.asm.alu(Alu::Xor, magnitude, mask);
        self.asm.alu(Alu::Sub, flipped, mask)
    }

    /// The absolute value, without a branch: flip all bits of a negative number and add one.
    fn magnitude(&mut self, value: Operand) -> Operand {
        if let Operand::Imm(number) = value {
            return Operand::Imm(number.wrapping_abs());
        }
        let mask = self.asm.alu(Alu::Sar, value, Operand::Imm(63));
        let flipped = self.asm.alu(Alu::Xor, value, mask);
        self.asm.alu(Alu::Sub, flipped, mask)
    }
}
