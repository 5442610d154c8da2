//! What the assembler's operations share: values in the form that operations take, addresses that one instruction can reach,
//! and the numbering of what was computed before.

use super::asm::{Alu, Arg, Asm, Base, Label, Open, Operand, Place, VReg};
use super::fold::{Fact, Origin};
use super::lir::{Argument, Block, Inst, Memory, MemoryBase, Op};
use super::number::Key;

impl Asm {
    pub(super) fn open(&mut self) -> &mut Open {
        &mut self.functions[self.current]
    }

    /// Appends to the current block; what cannot be reached is dropped. Jumps leave the notes alone, since most of them
    /// only end a block and disappear.
    pub(super) fn push(&mut self, op: Op) {
        let span = self.span;
        let notes = if matches!(op, Op::Jump(_)) { Vec::new() } else { std::mem::take(&mut self.notes) };
        let open = self.open();
        if !open.reachable {
            return;
        }
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        if let Some(block) = open.blocks.last_mut() {
            block.insts.push(Inst { op, span, note });
        }
    }

    pub(super) fn begin(&mut self, label: Label) {
        let open = self.open();
        open.blocks.push(Block { label, insts: Vec::new() });
        open.reachable = true;
    }

    pub(super) fn define(&mut self, fact: Fact, op: impl FnOnce(VReg) -> Op) -> VReg {
        let to = self.facts.add(fact);
        self.push(op(to));
        to
    }

    /// The value numbered so, or else what `make` gives. What is dropped because it cannot be reached must not be found
    /// later.
    pub(super) fn numbered(&mut self, key: Key, make: impl FnOnce(&mut Asm) -> VReg) -> VReg {
        if let Some(value) = self.open().numbering.get(&key) {
            return value;
        }
        let value = make(self);
        if self.is_reachable() {
            self.open().numbering.insert(key, value);
        }
        value
    }

    pub(super) fn is_variable(&self, reg: VReg) -> bool {
        matches!(self.facts.of(reg).origin, Origin::Variable)
    }

    pub(super) fn context(&self) -> VReg {
        self.functions[self.current].params[0]
    }

    /// The operand with constants as such and, for a variable, the unchanging value it is known to hold.
    pub(super) fn held(&mut self, operand: Operand) -> Operand {
        let Operand::Reg(reg) = operand else { return operand };
        match self.facts.of(reg).origin {
            Origin::Const(value) => Operand::Imm(value),
            Origin::Variable => self.open().held.get(&reg).copied().unwrap_or(operand),
            Origin::Opaque | Origin::Frame(..) | Origin::Map(..) | Origin::Alu(..) => operand,
        }
    }

    /// The operand as a value that does not change any more.
    pub(super) fn fixed(&mut self, operand: Operand) -> Operand {
        match self.held(operand) {
            Operand::Reg(reg) if self.is_variable(reg) => Operand::Reg(self.get(reg)),
            held => held,
        }
    }

    /// A register that holds, for good, what this one holds now.
    pub(super) fn fixed_reg(&mut self, reg: VReg) -> VReg {
        if self.is_variable(reg) { self.get(reg) } else { reg }
    }

    /// The operand in a register that an instruction defines.
    pub(super) fn reg(&mut self, operand: Operand) -> VReg {
        let origin = match operand {
            Operand::Imm(value) => Origin::Const(value),
            Operand::Reg(reg) => self.facts.of(reg).origin,
        };
        match (origin, operand) {
            (Origin::Opaque | Origin::Variable | Origin::Alu(..), Operand::Reg(reg)) => reg,
            _ => {
                let to = self.facts.opaque();
                self.assign(to, operand);
                to
            }
        }
    }

    /// Emits what puts a value into a register.
    pub(super) fn assign(&mut self, to: VReg, value: Operand) {
        let op = match value {
            Operand::Imm(value) => Op::Const { to, value },
            Operand::Reg(from) => match self.facts.of(from).origin {
                Origin::Const(value) => Op::Const { to, value },
                Origin::Frame(slot, offset) => Op::FrameAddress { to, slot, offset },
                Origin::Map(map, offset) => Op::MapAddress { to, map, offset },
                Origin::Opaque | Origin::Variable | Origin::Alu(..) => Op::Copy { to, from },
            },
        };
        self.push(op);
    }

    /// A constant as an immediate if 32 bits hold it, else in a register.
    pub(super) fn limited(&mut self, value: i64) -> Operand {
        match i32::try_from(value) {
            Ok(_) => Operand::Imm(value),
            Err(_) => Operand::Reg(self.reg(Operand::Imm(value))),
        }
    }

    pub(super) fn sum(&mut self, reg: VReg, offset: i32) -> VReg {
        match self.alu(Alu::Add, Operand::Reg(reg), Operand::Imm(offset.into())) {
            Operand::Reg(sum) => sum,
            Operand::Imm(value) => self.imm(value),
        }
    }

    /// The address that results when a constant is added to a known one.
    pub(super) fn moved_address(&mut self, op: Alu, left: Operand, right: Operand) -> Option<VReg> {
        let (reg, by) = match (op, left, right) {
            (Alu::Add, Operand::Reg(reg), Operand::Imm(by)) | (Alu::Add, Operand::Imm(by), Operand::Reg(reg)) => {
                (reg, by)
            }
            (Alu::Sub, Operand::Reg(reg), Operand::Imm(by)) => (reg, by.checked_neg()?),
            _ => return None,
        };
        let moved = |offset: i32| i32::try_from(i64::from(offset).checked_add(by)?).ok();
        let origin = match self.facts.of(reg).origin {
            Origin::Frame(slot, offset) => Origin::Frame(slot, moved(offset)?),
            Origin::Map(map, offset) => Origin::Map(map, moved(offset)?),
            Origin::Opaque | Origin::Variable | Origin::Const(_) | Origin::Alu(..) => return None,
        };
        Some(self.facts.add(Fact { origin, ones: u64::MAX }))
    }

    /// The same place named by its root: a slot, a map, or the register that a constant was added to.
    pub(super) fn locate(&mut self, place: Place) -> Place {
        let reg = match place.base {
            Base::Ctx => return Place { base: Base::Reg(self.context()), ..place },
            Base::Frame(_) | Base::Map(_) => return place,
            Base::Reg(reg) => reg,
        };
        let moved = |by: i64| i32::try_from(i64::from(place.offset) + by).ok();
        let (base, offset) = match self.facts.of(reg).origin {
            Origin::Frame(slot, by) => (Base::Frame(slot), moved(by.into())),
            Origin::Map(map, by) => (Base::Map(map), moved(by.into())),
            Origin::Alu(Alu::Add, root, Operand::Imm(by)) => (Base::Reg(root), i32::try_from(by).ok().and(moved(by))),
            Origin::Const(_) => (Base::Reg(self.reg(Operand::Reg(reg))), Some(place.offset)),
            Origin::Variable => match self.open().held.get(&reg).copied() {
                Some(held) => {
                    let base = Base::Reg(self.reg(held));
                    return self.locate(Place { base, ..place });
                }
                None => return place,
            },
            Origin::Opaque | Origin::Alu(..) => return place,
        };
        match offset {
            Some(offset) if i16::try_from(offset).is_ok() || !matches!(base, Base::Reg(_)) => Place { base, offset },
            _ => place,
        }
    }

    /// A located place as one instruction reaches it.
    pub(super) fn memory(&mut self, place: Place) -> Memory {
        let address = match place.base {
            Base::Frame(slot) => return Memory { base: MemoryBase::Frame(slot), offset: place.offset },
            Base::Reg(reg) if i16::try_from(place.offset).is_ok() => {
                return Memory { base: MemoryBase::Reg(self.reg(Operand::Reg(reg))), offset: place.offset };
            }
            Base::Reg(reg) => self.sum(reg, place.offset),
            Base::Ctx => self.sum(self.context(), place.offset),
            Base::Map(map) => self.facts.add(Fact { origin: Origin::Map(map, place.offset), ones: u64::MAX }),
        };
        Memory { base: MemoryBase::Reg(self.reg(Operand::Reg(address))), offset: 0 }
    }

    /// The argument of a call whose result may be used again.
    pub(super) fn fixed_argument(&mut self, arg: Arg) -> Argument {
        match arg {
            Arg::Reg(reg) => {
                let reg = self.fixed_reg(reg);
                self.argument(Arg::Reg(reg))
            }
            Arg::Address(Place { base: Base::Reg(reg), offset }) => {
                let base = Base::Reg(self.fixed_reg(reg));
                self.argument(Arg::Address(Place { base, offset }))
            }
            Arg::Imm(_) | Arg::Address(_) | Arg::Map(_) | Arg::KernelVar(_) | Arg::Function(_) => self.argument(arg),
        }
    }

    pub(super) fn argument(&mut self, arg: Arg) -> Argument {
        match arg {
            Arg::Imm(value) => Argument::Imm(value),
            Arg::Map(map) => Argument::Map(map),
            Arg::KernelVar(id) => Argument::KernelVar(id),
            Arg::Function(function) => Argument::Function(function),
            Arg::Address(place) => {
                let place = self.locate(place);
                match place.base {
                    Base::Frame(slot) => Argument::Frame(slot, place.offset),
                    Base::Map(map) => Argument::MapValue(map, place.offset),
                    Base::Reg(reg) => Argument::Reg(reg, place.offset),
                    Base::Ctx => Argument::Reg(self.context(), place.offset),
                }
            }
            Arg::Reg(reg) => match self.held(Operand::Reg(reg)) {
                Operand::Imm(value) => Argument::Imm(value),
                Operand::Reg(reg) => match self.facts.of(reg).origin {
                    Origin::Frame(slot, offset) => Argument::Frame(slot, offset),
                    Origin::Map(map, offset) => Argument::MapValue(map, offset),
                    Origin::Opaque | Origin::Variable | Origin::Const(_) | Origin::Alu(..) => Argument::Reg(reg, 0),
                },
            },
        }
    }
}
