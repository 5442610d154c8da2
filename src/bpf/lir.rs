//! The program between the builder and the encoder: functions of basic blocks, whose operations work on virtual registers
//! and frame slots. The builder writes it; [`flow`](super::flow), [`dead`](super::dead) and [`regs`](super::regs) rework it.

use super::asm::{Alu, Callee, Cond, FunctionId, Label, Operand, Size, Slot, VReg};
use crate::plan::MapId;
use crate::source::Span;

pub(super) struct Function {
    pub name: String,
    pub params: u8,
    /// In the order in which the blocks were placed, which is the order they are laid out in.
    pub blocks: Vec<Block>,
}

/// Straight-line code. The last instruction, and only that one, jumps, branches or exits.
pub(super) struct Block {
    pub label: Label,
    pub insts: Vec<Inst>,
}

#[derive(Debug, Clone)]
pub(super) struct Inst {
    pub op: Op,
    pub span: Span,
    /// A note for the listing.
    pub note: Option<String>,
}

/// Immediate operands fit the instruction (see [`fits`]): others were put into a register by the builder.
#[derive(Debug, Clone)]
pub(super) enum Op {
    /// The function's parameter, by number; parameters stand first in the entry block.
    Param {
        to: VReg,
        index: u8,
    },
    Const {
        to: VReg,
        value: i64,
    },
    Copy {
        to: VReg,
        from: VReg,
    },
    Alu {
        op: Alu,
        to: VReg,
        left: VReg,
        right: Operand,
    },
    FrameAddress {
        to: VReg,
        slot: Slot,
        offset: i32,
    },
    MapAddress {
        to: VReg,
        map: MapId,
        offset: i32,
    },
    Load {
        size: Size,
        to: VReg,
        from: Memory,
    },
    Store {
        size: Size,
        to: Memory,
        value: Operand,
    },
    AtomicAdd {
        to: Memory,
        value: VReg,
    },
    Call {
        callee: Callee,
        args: Vec<Argument>,
        to: VReg,
        effect: Effect,
    },
    Jump(Label),
    Branch {
        cond: Cond,
        left: VReg,
        right: Operand,
        then: Label,
        other: Label,
    },
    Exit(Operand),
}

/// An address that one instruction can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    pub base: MemoryBase,
    pub offset: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemoryBase {
    Reg(VReg),
    Frame(Slot),
}

/// What to put into an argument register before a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Argument {
    /// A register's value plus a constant.
    Reg(VReg, i32),
    /// A spilled register: loaded, masked with what is known of its bits if that fits, plus a constant.
    Spilled {
        slot: Slot,
        mask: Option<i32>,
        plus: i32,
    },
    Imm(i64),
    Frame(Slot, i32),
    Map(MapId),
    MapValue(MapId, i32),
    KernelVar(u32),
    Function(FunctionId),
}

/// Whether a call may be left out when nothing needs its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Pure,
    Effect,
}

/// When, within its instruction, a register is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Before anything is written: the result may take the same register.
    Early,
    /// After the result was begun: the result needs another register.
    Late,
}

/// Whether an immediate can be the right-hand side of this operation, in one instruction. The mask of the low 32 bits
/// can: it becomes a 32-bit move.
pub(super) fn fits(op: Alu, value: i64) -> bool {
    i32::try_from(value).is_ok() || (op == Alu::And && value == LOW_HALF)
}

pub(super) const LOW_HALF: i64 = 0xffff_ffff;

impl Inst {
    pub fn like(&self, op: Op) -> Inst {
        Inst { op, span: self.span, note: None }
    }
}

impl Function {
    pub fn insts(&self) -> impl DoubleEndedIterator<Item = &Inst> {
        self.blocks.iter().flat_map(|block| &block.insts)
    }
}

impl Block {
    /// Where control may go from here.
    pub fn successors(&self) -> [Option<Label>; 2] {
        match self.insts.last().map(|inst| &inst.op) {
            Some(Op::Jump(to)) => [Some(*to), None],
            Some(Op::Branch { then, other, .. }) => [Some(*then), Some(*other)],
            _ => [None, None],
        }
    }
}

impl Op {
    pub fn def(&self) -> Option<VReg> {
        match self {
            Op::Param { to, .. }
            | Op::Const { to, .. }
            | Op::Copy { to, .. }
            | Op::Alu { to, .. }
            | Op::FrameAddress { to, .. }
            | Op::MapAddress { to, .. }
            | Op::Load { to, .. }
            | Op::Call { to, .. } => Some(*to),
            Op::Store { .. } | Op::AtomicAdd { .. } | Op::Jump(_) | Op::Branch { .. } | Op::Exit(_) => None,
        }
    }

    pub fn def_mut(&mut self) -> Option<&mut VReg> {
        match self {
            Op::Param { to, .. }
            | Op::Const { to, .. }
            | Op::Copy { to, .. }
            | Op::Alu { to, .. }
            | Op::FrameAddress { to, .. }
            | Op::MapAddress { to, .. }
            | Op::Load { to, .. }
            | Op::Call { to, .. } => Some(to),
            Op::Store { .. } | Op::AtomicAdd { .. } | Op::Jump(_) | Op::Branch { .. } | Op::Exit(_) => None,
        }
    }

    /// Whether it does nothing but define its register.
    pub fn is_pure(&self) -> bool {
        match self {
            Op::Call { effect, .. } => *effect == Effect::Pure,
            op => op.def().is_some(),
        }
    }

    /// The registers read here.
    pub fn each_use(&self, mut visit: impl FnMut(VReg, Read)) {
        match self {
            Op::Param { .. } | Op::Const { .. } | Op::FrameAddress { .. } | Op::MapAddress { .. } | Op::Jump(_) => {}
            Op::Alu { op, left, right: Operand::Reg(right), .. } => {
                let read = if commutes(*op) || right == left { Read::Early } else { Read::Late };
                visit(*left, Read::Early);
                visit(*right, read);
            }
            Op::Alu { left: from, right: Operand::Imm(_), .. } | Op::Copy { from, .. } => visit(*from, Read::Early),
            Op::Load { from, .. } => from.reg().into_iter().for_each(|reg| visit(reg, Read::Early)),
            Op::Store { to, value, .. } => {
                to.reg().into_iter().chain(value.reg()).for_each(|reg| visit(reg, Read::Early));
            }
            Op::AtomicAdd { to, value } => to.reg().into_iter().chain([*value]).for_each(|reg| visit(reg, Read::Early)),
            Op::Call { args, .. } => {
                for arg in args {
                    if let Argument::Reg(reg, _) = arg {
                        visit(*reg, Read::Early);
                    }
                }
            }
            Op::Branch { left, right, .. } => {
                visit(*left, Read::Early);
                right.reg().into_iter().for_each(|reg| visit(reg, Read::Early));
            }
            Op::Exit(value) => value.reg().into_iter().for_each(|reg| visit(reg, Read::Early)),
        }
    }

    /// The registers read here, to be replaced; those that are handed over in a call are not among them.
    pub fn operands_mut(&mut self) -> [Option<&mut VReg>; 2] {
        match self {
            Op::Param { .. } | Op::Const { .. } | Op::FrameAddress { .. } | Op::MapAddress { .. } => [None, None],
            Op::Call { .. } | Op::Jump(_) => [None, None],
            Op::Copy { from, .. } => [Some(from), None],
            Op::Alu { left, right, .. } | Op::Branch { left, right, .. } => [Some(left), right.reg_mut()],
            Op::Load { from, .. } => [from.reg_mut(), None],
            Op::Store { to, value, .. } => [to.reg_mut(), value.reg_mut()],
            Op::AtomicAdd { to, value } => [to.reg_mut(), Some(value)],
            Op::Exit(value) => [value.reg_mut(), None],
        }
    }

    /// The frame slots named here.
    pub fn each_slot(&self, mut visit: impl FnMut(Slot)) {
        match self {
            Op::FrameAddress { slot, .. } => visit(*slot),
            Op::Load { from: memory, .. } | Op::Store { to: memory, .. } | Op::AtomicAdd { to: memory, .. } => {
                if let MemoryBase::Frame(slot) = memory.base {
                    visit(slot);
                }
            }
            Op::Call { args, .. } => {
                for arg in args {
                    if let Argument::Frame(slot, _) | Argument::Spilled { slot, .. } = arg {
                        visit(*slot);
                    }
                }
            }
            Op::Param { .. } | Op::Const { .. } | Op::Copy { .. } | Op::Alu { .. } | Op::MapAddress { .. } => {}
            Op::Jump(_) | Op::Branch { .. } | Op::Exit(_) => {}
        }
    }
}

/// Whether the sides may be exchanged.
pub(super) fn commutes(op: Alu) -> bool {
    match op {
        Alu::Add | Alu::Mul | Alu::And | Alu::Or | Alu::Xor => true,
        Alu::Sub | Alu::Div | Alu::Mod | Alu::Shl | Alu::Shr | Alu::Sar => false,
    }
}

impl Operand {
    pub(super) fn reg(self) -> Option<VReg> {
        match self {
            Operand::Reg(reg) => Some(reg),
            Operand::Imm(_) => None,
        }
    }

    fn reg_mut(&mut self) -> Option<&mut VReg> {
        match self {
            Operand::Reg(reg) => Some(reg),
            Operand::Imm(_) => None,
        }
    }
}

impl Memory {
    fn reg(self) -> Option<VReg> {
        match self.base {
            MemoryBase::Reg(reg) => Some(reg),
            MemoryBase::Frame(_) => None,
        }
    }

    fn reg_mut(&mut self) -> Option<&mut VReg> {
        match &mut self.base {
            MemoryBase::Reg(reg) => Some(reg),
            MemoryBase::Frame(_) => None,
        }
    }
}
