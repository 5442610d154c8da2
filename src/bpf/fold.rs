//! An operation becomes a simpler one of the same value: constants, algebraic identities, and what is known of bits.
//!
//! Only facts that the kernel's verifier finds as well are used to leave a mask out, so that a bound it needs never
//! disappears: masks, shifts, narrow loads, but not the result of a remainder.

use super::asm::{Alu, Cond, Operand, Slot, VReg};
use super::lir::LOW_HALF;
use crate::plan::MapId;

/// What is known of each virtual register, by its number.
#[derive(Default)]
pub(super) struct Facts(Vec<Fact>);

#[derive(Clone, Copy)]
pub(super) struct Fact {
    pub origin: Origin,
    /// The bits that may be set.
    pub ones: u64,
}

/// Where a register's value comes from.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    Opaque,
    /// Assigned more than once: nothing may be concluded from its value at one time.
    Variable,
    /// No instruction defines the following three; each use makes them anew.
    Const(i64),
    Frame(Slot, i32),
    Map(MapId, i32),
    Alu(Alu, VReg, Operand),
}

pub(super) enum Folded {
    Value(Operand),
    Op(Alu, Operand, Operand),
}

impl Facts {
    pub fn add(&mut self, fact: Fact) -> VReg {
        self.0.push(fact);
        VReg(self.0.len() as u32 - 1)
    }

    pub fn opaque(&mut self) -> VReg {
        self.add(Fact { origin: Origin::Opaque, ones: u64::MAX })
    }

    pub fn of(&self, reg: VReg) -> Fact {
        self.0[reg.0 as usize]
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The bits that may be set in an operand.
    pub fn ones(&self, operand: Operand) -> u64 {
        match operand {
            Operand::Reg(reg) => self.of(reg).ones,
            Operand::Imm(value) => value as u64,
        }
    }

    /// The bits that may be set in the result of an operation.
    pub fn result_ones(&self, op: Alu, left: Operand, right: Operand) -> u64 {
        let (a, b) = (self.ones(left), self.ones(right));
        match (op, right) {
            (Alu::And, _) => a & b,
            (Alu::Or | Alu::Xor, _) => a | b,
            (Alu::Shl, Operand::Imm(by)) => a << (by & 63),
            (Alu::Shr, Operand::Imm(by)) => a >> (by & 63),
            _ => u64::MAX,
        }
    }

    fn origin(&self, operand: Operand) -> Option<(Alu, VReg, i64)> {
        let Operand::Reg(reg) = operand else { return None };
        match self.of(reg).origin {
            Origin::Alu(op, left, Operand::Imm(right)) => Some((op, left, right)),
            _ => None,
        }
    }

    /// Neither operand is a variable or a register that stands for a constant.
    pub fn fold(&self, op: Alu, left: Operand, right: Operand) -> Folded {
        match (left, right) {
            (Operand::Imm(a), Operand::Imm(b)) => Folded::Value(Operand::Imm(compute(op, a, b))),
            (Operand::Imm(a), right) => self.fold_left(op, a, right),
            (left, Operand::Imm(b)) => self.fold_right(op, left, b),
            (left, right) if left == right => same(op, left),
            (left, right) if super::lir::commutes(op) && right < left => Folded::Op(op, right, left),
            (left, right) => Folded::Op(op, left, right),
        }
    }

    fn fold_left(&self, op: Alu, a: i64, right: Operand) -> Folded {
        match op {
            _ if super::lir::commutes(op) => self.fold_right(op, right, a),
            Alu::Shl | Alu::Shr | Alu::Sar | Alu::Mod | Alu::Div if a == 0 => Folded::Value(Operand::Imm(0)),
            _ => Folded::Op(op, Operand::Imm(a), right),
        }
    }

    fn fold_right(&self, op: Alu, x: Operand, c: i64) -> Folded {
        match (op, c) {
            (Alu::Add | Alu::Sub | Alu::Or | Alu::Xor, 0) | (Alu::Mul | Alu::Div, 1) | (Alu::Mod, 0) => {
                Folded::Value(x)
            }
            (Alu::Mul | Alu::Div | Alu::And, 0) | (Alu::Mod, 1) => Folded::Value(Operand::Imm(0)),
            (Alu::Or, -1) => Folded::Value(Operand::Imm(-1)),
            (Alu::Sub, _) => self.fold_right(Alu::Add, x, c.wrapping_neg()),
            (Alu::Mul, _) if power(c) => self.fold_right(Alu::Shl, x, log2(c)),
            (Alu::Div, _) if power(c) => self.fold_right(Alu::Shr, x, log2(c)),
            (Alu::Mod, _) if power(c) => self.fold_right(Alu::And, x, c.wrapping_sub(1)),
            (Alu::And, _) => self.fold_and(x, c),
            (Alu::Shl | Alu::Shr | Alu::Sar, _) => self.fold_shift(op, x, c & 63),
            (Alu::Add | Alu::Mul | Alu::Or | Alu::Xor, _) => match self.origin(x) {
                Some((inner, y, b)) if inner == op => self.fold_right(op, Operand::Reg(y), compute(op, b, c)),
                _ => Folded::Op(op, x, Operand::Imm(c)),
            },
            (Alu::Div | Alu::Mod, _) => Folded::Op(op, x, Operand::Imm(c)),
        }
    }

    fn fold_and(&self, x: Operand, mask: i64) -> Folded {
        let ones = self.ones(x);
        let needed = mask as u64 & ones;
        if needed == ones {
            return Folded::Value(x);
        }
        if needed == 0 {
            return Folded::Value(Operand::Imm(0));
        }
        match self.origin(x) {
            Some((Alu::And, y, b)) => self.fold_and(Operand::Reg(y), b & mask),
            // The low bits of a sign extension are those of the value.
            Some((Alu::Sar, y, by)) => match self.origin(Operand::Reg(y)) {
                Some((Alu::Shl, z, same)) if same == by && needed <= u64::MAX >> by => {
                    self.fold_and(Operand::Reg(z), needed as i64)
                }
                _ => masked(x, needed, mask),
            },
            _ => masked(x, needed, mask),
        }
    }

    fn fold_shift(&self, op: Alu, x: Operand, by: i64) -> Folded {
        if by == 0 {
            return Folded::Value(x);
        }
        if self.result_ones(op, x, Operand::Imm(by)) == 0 {
            return Folded::Value(Operand::Imm(0));
        }
        let plain = Folded::Op(op, x, Operand::Imm(by));
        match (op, self.origin(x)) {
            (Alu::Sar, _) if self.ones(x) >> 63 == 0 => self.fold_shift(Alu::Shr, x, by),
            (Alu::Sar, Some((Alu::Sar, y, first))) => {
                Folded::Op(op, Operand::Reg(y), Operand::Imm((first + by).min(63)))
            }
            (Alu::Shl | Alu::Shr, Some((inner, y, first))) if inner == op => match first + by {
                sum @ ..=63 => self.fold_shift(op, Operand::Reg(y), sum),
                _ => Folded::Value(Operand::Imm(0)),
            },
            // Bits set or changed below those that stay do not matter.
            (Alu::Shr | Alu::Sar, Some((Alu::Or | Alu::Xor, y, low))) if low >= 0 && low >> by == 0 => {
                self.fold_shift(op, Operand::Reg(y), by)
            }
            (Alu::Shr, Some((Alu::Shl, y, first))) if first == by => {
                self.fold_and(Operand::Reg(y), (u64::MAX >> by) as i64)
            }
            // A mask or an extension below the bits that are shifted out changes nothing.
            (Alu::Shl, Some((Alu::And, y, mask))) if mask << by == -1 << by => self.fold_shift(op, Operand::Reg(y), by),
            (Alu::Shl, Some((Alu::Sar, y, first))) if first <= by => match self.origin(Operand::Reg(y)) {
                Some((Alu::Shl, z, same)) if same == first => self.fold_shift(op, Operand::Reg(z), by),
                _ => plain,
            },
            _ => plain,
        }
    }

    /// A value with the same bits where the mask has them: without masks that keep all of those.
    pub fn unmasked(&self, value: Operand, mask: u64) -> Operand {
        match self.origin(value) {
            Some((Alu::And, y, kept)) if kept as u64 & mask == mask => self.unmasked(Operand::Reg(y), mask),
            _ => value,
        }
    }

    /// Whether the value, as a signed number, needs no more than this many bits.
    pub fn is_signed_within(&self, value: Operand, bits: u8) -> bool {
        let extended = matches!(self.origin(value), Some((Alu::Sar, _, by)) if by >= 64 - i64::from(bits));
        extended || self.ones(value) < 1 << (bits - 1)
    }
}

/// The operation on constants, as the machine does it.
pub(super) fn compute(op: Alu, a: i64, b: i64) -> i64 {
    let (ua, ub) = (a as u64, b as u64);
    match op {
        Alu::Add => a.wrapping_add(b),
        Alu::Sub => a.wrapping_sub(b),
        Alu::Mul => a.wrapping_mul(b),
        Alu::Div => ua.checked_div(ub).unwrap_or(0) as i64,
        Alu::Mod => ua.checked_rem(ub).unwrap_or(ua) as i64,
        Alu::And => a & b,
        Alu::Or => a | b,
        Alu::Xor => a ^ b,
        Alu::Shl => a << (b & 63),
        Alu::Shr => (ua >> (b & 63)) as i64,
        Alu::Sar => a >> (b & 63),
    }
}

pub(super) fn holds(cond: Cond, a: i64, b: i64) -> bool {
    let (ua, ub) = (a as u64, b as u64);
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::Lt => ua < ub,
        Cond::Le => ua <= ub,
        Cond::Gt => ua > ub,
        Cond::Ge => ua >= ub,
        Cond::SLt => a < b,
        Cond::SLe => a <= b,
        Cond::SGt => a > b,
        Cond::SGe => a >= b,
        Cond::Set => a & b != 0,
    }
}

/// The condition with its sides exchanged.
pub(super) fn mirrored(cond: Cond) -> Cond {
    match cond {
        Cond::Eq | Cond::Ne | Cond::Set => cond,
        Cond::Lt => Cond::Gt,
        Cond::Le => Cond::Ge,
        Cond::Gt => Cond::Lt,
        Cond::Ge => Cond::Le,
        Cond::SLt => Cond::SGt,
        Cond::SLe => Cond::SGe,
        Cond::SGt => Cond::SLt,
        Cond::SGe => Cond::SLe,
    }
}

/// The condition that holds when this one does not; there is none for `Set`.
pub(super) fn negated(cond: Cond) -> Option<Cond> {
    Some(match cond {
        Cond::Eq => Cond::Ne,
        Cond::Ne => Cond::Eq,
        Cond::Lt => Cond::Ge,
        Cond::Le => Cond::Gt,
        Cond::Gt => Cond::Le,
        Cond::Ge => Cond::Lt,
        Cond::SLt => Cond::SGe,
        Cond::SLe => Cond::SGt,
        Cond::SGt => Cond::SLe,
        Cond::SGe => Cond::SLt,
        Cond::Set => return None,
    })
}

fn same(op: Alu, x: Operand) -> Folded {
    match op {
        Alu::Sub | Alu::Xor => Folded::Value(Operand::Imm(0)),
        Alu::And | Alu::Or => Folded::Value(x),
        Alu::Add => Folded::Op(Alu::Shl, x, Operand::Imm(1)),
        Alu::Mul | Alu::Div | Alu::Mod | Alu::Shl | Alu::Shr | Alu::Sar => Folded::Op(op, x, x),
    }
}

/// Of the masks that do the same, one that needs no constant load.
fn masked(x: Operand, needed: u64, mask: i64) -> Folded {
    let fits = |mask: i64| i32::try_from(mask).is_ok() || mask == LOW_HALF;
    let mask = if fits(needed as i64) || !fits(mask) { needed as i64 } else { mask };
    Folded::Op(Alu::And, x, Operand::Imm(mask))
}

fn power(value: i64) -> bool {
    (value as u64).is_power_of_two()
}

fn log2(value: i64) -> i64 {
    i64::from(value.trailing_zeros())
}
