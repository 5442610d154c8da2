//! The assembler: operations on virtual registers and frame slots, in basic blocks, become instructions on real ones.
//!
//! Emission folds constants and numbers values as it goes: a pure operation that was already done on every path to here
//! is not done again. Code generation emits structured control flow and brackets each conditional part with
//! [`Asm::enter`] and [`Asm::leave`], which is what "on every path to here" means. [`Asm::finish`] removes dead code,
//! allocates registers r0–r9 with spills, lays out frame and blocks, and encodes.

use std::collections::HashMap;

pub use super::call::{Arg, Callee, FunctionId, Kfunc};
use super::fold::{Fact, Facts, Folded, Origin, holds, mirrored};
use super::lir::{Block, Effect, Op, fits};
use super::number::{Key, Numbering};
use super::unit::{FunctionInfo, Insn, Reloc};
use crate::plan::MapId;
use crate::source::Span;
use crate::types::Sign;

/// A virtual register: 64 bits, assigned once ([`Asm::variable`] ones may be set again).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VReg(pub u32);

/// A piece of the 512-byte stack frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// A basic block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(pub u32);

/// A register or a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operand {
    Reg(VReg),
    Imm(i64),
}

/// An address in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    pub base: Base,
    pub offset: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Base {
    Reg(VReg),
    Frame(Slot),
    /// The program's context (in a callback: its first parameter).
    Ctx,
    /// The value of a one-element array map, at a fixed address.
    Map(MapId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Size {
    B1,
    B2,
    B4,
    B8,
}

/// Two-operand arithmetic on 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alu {
    Add,
    Sub,
    Mul,
    /// Unsigned.
    Div,
    /// Unsigned.
    Mod,
    And,
    Or,
    Xor,
    Shl,
    /// Logical.
    Shr,
    /// Arithmetic.
    Sar,
}

/// Condition of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cond {
    Eq,
    Ne,
    /// Unsigned.
    Lt,
    Le,
    Gt,
    Ge,
    /// Signed.
    SLt,
    SLe,
    SGt,
    SGe,
    /// `a & b != 0`
    Set,
}

/// Assembles one program: its main function and its callbacks.
pub struct Asm {
    pub(super) facts: Facts,
    /// Bytes of each slot of all functions.
    pub(super) slots: Vec<u32>,
    pub(super) functions: Vec<Open>,
    pub(super) current: usize,
    pub(super) span: Span,
    /// Notes that wait for the next instruction.
    pub(super) notes: Vec<String>,
    labels: u32,
}

/// A function being built.
pub(super) struct Open {
    pub name: String,
    pub params: Vec<VReg>,
    pub blocks: Vec<Block>,
    /// Whether the last block still lacks its jump.
    pub reachable: bool,
    pub numbering: Numbering,
    /// What each variable is known to hold at the current point.
    pub held: HashMap<VReg, Operand>,
}

/// A finished program.
#[derive(Debug)]
pub struct Assembled {
    pub insns: Vec<Insn>,
    pub relocs: Vec<Reloc>,
    pub functions: Vec<FunctionInfo>,
    pub lines: Vec<(u32, Span)>,
    pub comments: Vec<(u32, String)>,
}

/// The program does not fit the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AsmError {
    /// Bytes of frame needed where 512 are to be had.
    FrameTooLarge(u32),
    /// Functions that call each other in a row, the main one included, where 8 are the most.
    CallsTooDeep(usize),
    /// A jump over more instructions than 16 bits count.
    JumpTooFar,
    /// A jump to a label that was never placed: a fault of the code generator.
    NowhereToGo(Label),
}

impl Asm {
    /// Begins a program; the main function is open, its entry block current.
    pub fn new() -> Self {
        let mut asm = Asm {
            facts: Facts::default(),
            slots: Vec::new(),
            functions: Vec::new(),
            current: 0,
            span: Span::default(),
            notes: Vec::new(),
            labels: 0,
        };
        asm.function("main", 1);
        asm
    }

    /// Begins another function with `params` 64-bit parameters and makes it current; returns it and its parameters.
    /// Go back with [`Asm::resume`]. Registers, variables and slots of one function are of no use in another.
    pub fn function(&mut self, name: &str, params: u8) -> (FunctionId, Vec<VReg>) {
        let entry = Block { label: self.label(), insts: Vec::new() };
        let params: Vec<VReg> = (0..params).map(|_| self.facts.opaque()).collect();
        self.current = self.functions.len();
        self.functions.push(Open {
            name: name.to_owned(),
            params: params.clone(),
            blocks: vec![entry],
            reachable: true,
            numbering: Numbering::default(),
            held: HashMap::new(),
        });
        for (index, &to) in (0..).zip(&params) {
            self.push(Op::Param { to, index });
        }
        (FunctionId(self.current as u32), params)
    }

    /// Makes a function current again, at the block it was left in.
    pub fn resume(&mut self, function: FunctionId) {
        self.current = function.0 as usize;
    }

    /// The span that following instructions come from.
    pub fn at(&mut self, span: Span) {
        self.span = span;
    }

    /// A note on the next instruction.
    pub fn comment(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// A conditional part begins: what is computed from here on is not available after the matching `leave`.
    pub fn enter(&mut self) {
        self.open().numbering.enter();
    }

    pub fn leave(&mut self) {
        self.open().numbering.leave();
    }

    /// Forgets numbered loads (not arithmetic): memory that pure loads may read has changed. In a loop that changes such
    /// memory, say it at the loop's head as well.
    pub fn clobber(&mut self) {
        self.open().numbering.clobber();
    }

    pub fn imm(&mut self, value: i64) -> VReg {
        self.facts.add(Fact { origin: Origin::Const(value), ones: value as u64 })
    }

    /// A register that may be set more than once.
    pub fn variable(&mut self) -> VReg {
        self.facts.add(Fact { origin: Origin::Variable, ones: u64::MAX })
    }

    pub fn set(&mut self, variable: VReg, value: Operand) {
        let value = self.held(value);
        self.assign(variable, value);
        // Variables change: only a value that stays may be handed out for this one later.
        match value {
            Operand::Reg(from) if self.is_variable(from) => self.open().held.remove(&variable),
            value => self.open().held.insert(variable, value),
        };
    }

    /// A copy of a variable's value now.
    pub fn get(&mut self, variable: VReg) -> VReg {
        match self.open().held.get(&variable) {
            Some(&Operand::Reg(held)) => held,
            Some(&Operand::Imm(value)) => self.imm(value),
            None => {
                let to = self.facts.opaque();
                self.push(Op::Copy { to, from: variable });
                self.open().held.insert(variable, Operand::Reg(to));
                to
            }
        }
    }

    /// Pure: folded and numbered.
    pub fn alu(&mut self, op: Alu, left: Operand, right: Operand) -> Operand {
        let (left, right) = (self.fixed(left), self.fixed(right));
        if let Some(address) = self.moved_address(op, left, right) {
            return Operand::Reg(address);
        }
        match self.facts.fold(op, left, right) {
            Folded::Value(value) => value,
            Folded::Op(op, left, right) => Operand::Reg(self.numbered_alu(op, left, right)),
        }
    }

    /// Pure: the low bits, extended by zeros or by the sign.
    pub fn extend(&mut self, value: Operand, bits: u8, sign: Sign) -> Operand {
        let value = self.fixed(value);
        let unused = 64 - i64::from(bits);
        match sign {
            _ if unused <= 0 => value,
            Sign::Unsigned => self.alu(Alu::And, value, Operand::Imm((u64::MAX >> unused) as i64)),
            Sign::Signed if self.facts.is_signed_within(value, bits) => value,
            Sign::Signed => {
                let high = self.alu(Alu::Shl, value, Operand::Imm(unused));
                self.alu(Alu::Sar, high, Operand::Imm(unused))
            }
        }
    }

    /// The address itself, as a value.
    pub fn address(&mut self, place: Place) -> VReg {
        let place = self.locate(place);
        let origin = match place.base {
            Base::Frame(slot) => Origin::Frame(slot, place.offset),
            Base::Map(map) => Origin::Map(map, place.offset),
            Base::Reg(reg) => return self.sum(reg, place.offset),
            Base::Ctx => return self.sum(self.context(), place.offset),
        };
        self.facts.add(Fact { origin, ones: u64::MAX })
    }

    /// Loads, zero-extended. Not numbered.
    pub fn load(&mut self, size: Size, from: Place) -> VReg {
        let from = self.locate(from);
        let from = self.memory(from);
        let fact = Fact { origin: Origin::Opaque, ones: size.mask() };
        self.define(fact, |to| Op::Load { size, to, from })
    }

    /// Loads something that does not change while the program runs (until [`Asm::clobber`]): numbered.
    pub fn load_pure(&mut self, size: Size, from: Place) -> VReg {
        let base = match from.base {
            Base::Reg(reg) => Base::Reg(self.fixed_reg(reg)),
            base => base,
        };
        let from = self.locate(Place { base, ..from });
        let key = self.open().numbering.load(size, from);
        self.numbered(key, |asm| asm.load(size, from))
    }

    pub fn store(&mut self, size: Size, to: Place, value: Operand) {
        let to = self.locate(to);
        let to = self.memory(to);
        let value = match self.held(value) {
            Operand::Imm(value) => self.limited(size.narrow(value)),
            reg => {
                let bits = self.facts.unmasked(reg, size.mask());
                Operand::Reg(self.reg(bits))
            }
        };
        self.push(Op::Store { size, to, value });
    }

    /// Adds to a `u64` in memory atomically (`BPF_ATOMIC | BPF_ADD`).
    pub fn atomic_add(&mut self, to: Place, value: Operand) {
        let to = self.locate(to);
        let to = self.memory(to);
        let value = self.held(value);
        let value = self.reg(value);
        self.push(Op::AtomicAdd { to, value });
    }

    /// A fresh piece of the frame, aligned to 8. Its contents are undefined. Slots whose uses do not overlap may share memory.
    pub fn slot(&mut self, bytes: u32) -> Slot {
        self.slots.push(bytes);
        Slot(self.slots.len() as u32 - 1)
    }

    /// A call for its effect and result. Not numbered.
    pub fn call(&mut self, callee: impl Into<Callee>, args: &[Arg]) -> VReg {
        let args = args.iter().map(|&arg| self.argument(arg)).collect();
        let fact = Fact { origin: Origin::Opaque, ones: u64::MAX };
        let callee = callee.into();
        self.define(fact, |to| Op::Call { callee, args, to, effect: Effect::Effect })
    }

    /// A call that gives the same result throughout the run: numbered.
    pub fn call_constant(&mut self, callee: impl Into<Callee>, args: &[Arg]) -> VReg {
        let callee = callee.into();
        let args: Vec<_> = args.iter().map(|&arg| self.fixed_argument(arg)).collect();
        let fact = Fact { origin: Origin::Opaque, ones: u64::MAX };
        self.numbered(Key::Call(callee, args.clone()), |asm| {
            asm.define(fact, |to| Op::Call { callee, args, to, effect: Effect::Pure })
        })
    }

    pub fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels - 1)
    }

    /// Ends the current block (falling into `label` if it is still open) and continues at `label`.
    pub fn place(&mut self, label: Label) {
        self.jump(label);
        self.begin(label);
        self.open().held.clear();
    }

    pub fn jump(&mut self, to: Label) {
        self.push(Op::Jump(to));
        self.open().reachable = false;
    }

    /// Goes to `to` if the condition holds, else falls on. Conditions on constants are decided at once.
    pub fn branch(&mut self, cond: Cond, left: Operand, right: Operand, to: Label) {
        match (cond, self.held(left), self.held(right)) {
            (_, Operand::Imm(a), Operand::Imm(b)) if holds(cond, a, b) => self.jump(to),
            (_, Operand::Imm(_), Operand::Imm(_)) | (Cond::Lt, _, Operand::Imm(0)) => {}
            (Cond::Ge, _, Operand::Imm(0)) => self.jump(to),
            (_, left @ Operand::Imm(_), right) => self.branch_on(mirrored(cond), right, left, to),
            (_, left, right) => self.branch_on(cond, left, right, to),
        }
    }

    /// Returns from the current function. One that ends without it returns 0.
    pub fn exit(&mut self, value: Operand) {
        let value = match self.held(value) {
            Operand::Imm(value) => Operand::Imm(value),
            reg => Operand::Reg(self.reg(reg)),
        };
        self.push(Op::Exit(value));
        self.open().reachable = false;
    }

    /// Whether the current point can be reached (not after `jump` or `exit`).
    pub fn is_reachable(&self) -> bool {
        self.functions[self.current].reachable
    }

    pub fn finish(self) -> Result<Assembled, AsmError> {
        super::emit::assemble(self)
    }

    fn branch_on(&mut self, cond: Cond, left: Operand, right: Operand, then: Label) {
        let left = self.reg(left);
        let right = match right {
            Operand::Imm(value) => self.limited(value),
            reg => Operand::Reg(self.reg(reg)),
        };
        let other = self.label();
        self.push(Op::Branch { cond, left, right, then, other });
        if self.is_reachable() {
            self.begin(other);
        }
    }

    fn numbered_alu(&mut self, op: Alu, left: Operand, right: Operand) -> VReg {
        self.numbered(Key::Alu(op, left, right), |asm| {
            let ones = asm.facts.result_ones(op, left, right);
            let origin = match left {
                Operand::Reg(left) => Origin::Alu(op, left, right),
                Operand::Imm(_) => Origin::Opaque,
            };
            let left = asm.reg(left);
            let right = match right {
                Operand::Imm(value) if fits(op, value) => right,
                right => Operand::Reg(asm.reg(right)),
            };
            asm.define(Fact { origin, ones }, |to| Op::Alu { op, to, left, right })
        })
    }
}

impl Default for Asm {
    fn default() -> Self {
        Self::new()
    }
}

impl Size {
    pub fn bytes(self) -> u32 {
        match self {
            Size::B1 => 1,
            Size::B2 => 2,
            Size::B4 => 4,
            Size::B8 => 8,
        }
    }

    /// The bits that a load of this size can set.
    fn mask(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes())
    }

    /// The constant that stores the same bytes and is small in magnitude.
    fn narrow(self, value: i64) -> i64 {
        match self {
            Size::B1 => i64::from(value as i8),
            Size::B2 => i64::from(value as i16),
            Size::B4 => i64::from(value as i32),
            Size::B8 => value,
        }
    }
}

impl Place {
    pub fn new(base: Base, offset: i32) -> Self {
        Self { base, offset }
    }
}

impl From<VReg> for Operand {
    fn from(reg: VReg) -> Self {
        Operand::Reg(reg)
    }
}

impl From<i64> for Operand {
    fn from(value: i64) -> Self {
        Operand::Imm(value)
    }
}
