//! The assembler: operations on virtual registers and frame slots, in basic blocks, become instructions on real ones.
//!
//! Emission folds constants and numbers values as it goes: a pure operation that was already done on every path to here
//! is not done again. Code generation emits structured control flow and brackets each conditional part with
//! [`Asm::enter`] and [`Asm::leave`], which is what "on every path to here" means. [`Asm::finish`] removes dead code,
//! allocates registers r0–r9 with spills, lays out frame and blocks, and encodes.

use super::Helper;
use super::unit::{FunctionInfo, Insn, Reloc};
use crate::plan::MapId;
use crate::source::Span;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// The program's context.
    Ctx,
    /// The value of a one-element array map, at a fixed address.
    Map(MapId),
}

/// Argument of a call; everything but `Reg` is made in the argument register itself, just before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arg {
    Reg(VReg),
    Imm(i64),
    Address(Place),
    Map(MapId),
    /// Address of a function of this program (`BPF_PSEUDO_FUNC`).
    Function(FunctionId),
}

/// A function of the program: 0 is the main one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FunctionId(pub u32);

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
pub struct Asm {}

/// A finished program.
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
    /// A jump over more instructions than 16 bits count.
    JumpTooFar,
}

impl Asm {
    /// Begins a program; the main function is open, its entry block current.
    pub fn new() -> Self {
        todo!()
    }

    /// Begins another function with `params` 64-bit parameters and makes it current; returns it and its parameters.
    /// Go back with [`Asm::resume`].
    pub fn function(&mut self, _name: &str, _params: u8) -> (FunctionId, Vec<VReg>) {
        todo!()
    }

    /// Makes a function current again, at the block it was left in.
    pub fn resume(&mut self, _function: FunctionId) {
        todo!()
    }

    /// The span that following instructions come from.
    pub fn at(&mut self, _span: Span) {
        todo!()
    }

    /// A note on the next instruction.
    pub fn comment(&mut self, _text: impl Into<String>) {
        todo!()
    }

    /// A conditional part begins: what is computed from here on is not available after the matching `leave`.
    pub fn enter(&mut self) {
        todo!()
    }

    pub fn leave(&mut self) {
        todo!()
    }

    /// Forgets numbered loads (not arithmetic): memory that pure loads may read has changed.
    pub fn clobber(&mut self) {
        todo!()
    }

    pub fn imm(&mut self, _value: i64) -> VReg {
        todo!()
    }

    /// A register that may be set more than once.
    pub fn variable(&mut self) -> VReg {
        todo!()
    }

    pub fn set(&mut self, _variable: VReg, _value: Operand) {
        todo!()
    }

    /// A copy of a variable's value now.
    pub fn get(&mut self, _variable: VReg) -> VReg {
        todo!()
    }

    /// Pure: folded and numbered.
    pub fn alu(&mut self, _op: Alu, _left: Operand, _right: Operand) -> Operand {
        todo!()
    }

    /// Pure: the low bits, extended by zeros or by the sign.
    pub fn extend(&mut self, _value: Operand, _bits: u8, _sign: crate::types::Sign) -> Operand {
        todo!()
    }

    /// The address itself, as a value.
    pub fn address(&mut self, _place: Place) -> VReg {
        todo!()
    }

    /// Loads, zero-extended. Not numbered.
    pub fn load(&mut self, _size: Size, _from: Place) -> VReg {
        todo!()
    }

    /// Loads something that does not change while the program runs (until [`Asm::clobber`]): numbered.
    pub fn load_pure(&mut self, _size: Size, _from: Place) -> VReg {
        todo!()
    }

    pub fn store(&mut self, _size: Size, _to: Place, _value: Operand) {
        todo!()
    }

    /// Adds to a `u64` in memory atomically (`BPF_ATOMIC | BPF_ADD`).
    pub fn atomic_add(&mut self, _to: Place, _value: Operand) {
        todo!()
    }

    /// A fresh piece of the frame, aligned to 8. Its contents are undefined. Slots whose uses do not overlap may share memory.
    pub fn slot(&mut self, _bytes: u32) -> Slot {
        todo!()
    }

    /// A call for its effect and result. Not numbered.
    pub fn call(&mut self, _helper: Helper, _args: &[Arg]) -> VReg {
        todo!()
    }

    /// A call that gives the same result throughout the run: numbered.
    pub fn call_constant(&mut self, _helper: Helper, _args: &[Arg]) -> VReg {
        todo!()
    }

    pub fn label(&mut self) -> Label {
        todo!()
    }

    /// Ends the current block (falling into `label` if it is still open) and continues at `label`.
    pub fn place(&mut self, _label: Label) {
        todo!()
    }

    pub fn jump(&mut self, _to: Label) {
        todo!()
    }

    /// Goes to `to` if the condition holds, else falls on. Conditions on constants are decided at once.
    pub fn branch(&mut self, _cond: Cond, _left: Operand, _right: Operand, _to: Label) {
        todo!()
    }

    /// Returns from the current function.
    pub fn exit(&mut self, _value: Operand) {
        todo!()
    }

    /// Whether the current point can be reached (not after `jump` or `exit`).
    pub fn is_reachable(&self) -> bool {
        todo!()
    }

    pub fn finish(self) -> Result<Assembled, AsmError> {
        todo!()
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
