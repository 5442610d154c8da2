//! Single instructions: fields to the kernel's eight bytes and back, and the text that bpftool prints for them.

use std::fmt;

use super::asm::{Alu, Cond, Size};
use super::helpers::Helper;

/// One eBPF instruction as the kernel has it (`struct bpf_insn`); a 64-bit immediate takes two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Insn {
    pub code: u8,
    /// Destination in the low four bits, source in the high four.
    pub regs: u8,
    pub off: i16,
    pub imm: i32,
}

/// A machine register, 0 to 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg(pub u8);

impl Reg {
    /// Result of calls and of the program.
    pub const RESULT: Reg = Reg(0);
    /// End of the stack frame; read-only.
    pub const FRAME: Reg = Reg(10);
}

/// What a 64-bit immediate stands for: the source register field of `ld_imm64` (`linux/bpf.h`, `BPF_PSEUDO_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wide {
    Value = 0,
    MapFd = 1,
    MapValue = 2,
    KernelVar = 3,
    Function = 4,
}

/// Right-hand side of an ALU or jump instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Reg(Reg),
    Imm(i32),
}

/// An instruction taken apart; what [`Insn::decode`] gives for everything that this crate emits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    Alu {
        op: Alu,
        to: Reg,
        from: Source,
    },
    Move {
        to: Reg,
        from: Source,
    },
    /// The low 32 bits, zero-extended.
    MoveLow {
        to: Reg,
        from: Reg,
    },
    /// First half of a 64-bit immediate; the second half has code 0 and the high bits.
    Wide {
        to: Reg,
        kind: u8,
    },
    Load {
        size: Size,
        to: Reg,
        base: Reg,
    },
    Store {
        size: Size,
        base: Reg,
        from: Source,
    },
    AtomicAdd {
        base: Reg,
        from: Reg,
    },
    Jump,
    Branch {
        cond: Cond,
        left: Reg,
        right: Source,
    },
    Call(Helper),
    /// A function of the kernel, by its id in the kernel's BTF.
    CallKernel {
        id: i32,
    },
    /// A function of the same program, so many instructions behind the next one.
    CallFunction {
        distance: i32,
    },
    Exit,
}

// Instruction classes, the low three bits of the code (kernel: Documentation/bpf/standardization/instruction-set.rst).
const LD: u8 = 0x00;
const LDX: u8 = 0x01;
const ST: u8 = 0x02;
const STX: u8 = 0x03;
const ALU32: u8 = 0x04;
const JMP: u8 = 0x05;
const ALU64: u8 = 0x07;
/// Bit that says the right-hand side is a register.
const FROM_REG: u8 = 0x08;
const IMM_MODE: u8 = 0x00;
const MEM_MODE: u8 = 0x60;
const ATOMIC_MODE: u8 = 0xc0;
const MOVE: u8 = 0xb0;
const CALL: u8 = 0x80;
const EXIT: u8 = 0x90;
/// The source register field of a call within the program (`BPF_PSEUDO_CALL`).
const PSEUDO_CALL: u8 = 1;
/// That of a call of a kernel function (`BPF_PSEUDO_KFUNC_CALL`).
const PSEUDO_KFUNC_CALL: u8 = 2;

impl Insn {
    pub fn alu(op: Alu, to: Reg, from: Source) -> Insn {
        Insn::with_source(ALU64 | alu_code(op), to, from)
    }

    pub fn mov(to: Reg, from: Source) -> Insn {
        Insn::with_source(ALU64 | MOVE, to, from)
    }

    /// `w1 = w2`: the low 32 bits, zero-extended.
    pub fn mov_low(to: Reg, from: Reg) -> Insn {
        Insn::with_source(ALU32 | MOVE, to, Source::Reg(from))
    }

    /// Both halves of a 64-bit immediate.
    pub fn wide(to: Reg, kind: Wide, value: u64) -> [Insn; 2] {
        let first =
            Insn { code: LD | IMM_MODE | size_code(Size::B8), regs: fields(to, kind as u8), off: 0, imm: value as i32 };
        [first, Insn { imm: (value >> 32) as i32, ..Insn::default() }]
    }

    pub fn load(size: Size, to: Reg, base: Reg, off: i16) -> Insn {
        Insn { code: LDX | MEM_MODE | size_code(size), regs: fields(to, base.0), off, imm: 0 }
    }

    pub fn store(size: Size, base: Reg, off: i16, from: Source) -> Insn {
        match from {
            Source::Reg(from) => {
                Insn { code: STX | MEM_MODE | size_code(size), regs: fields(base, from.0), off, imm: 0 }
            }
            Source::Imm(imm) => Insn { code: ST | MEM_MODE | size_code(size), regs: fields(base, 0), off, imm },
        }
    }

    pub fn atomic_add(base: Reg, off: i16, from: Reg) -> Insn {
        Insn { code: STX | ATOMIC_MODE | size_code(Size::B8), regs: fields(base, from.0), off, imm: 0 }
    }

    pub fn jump() -> Insn {
        Insn { code: JMP, ..Insn::default() }
    }

    pub fn branch(cond: Cond, left: Reg, right: Source) -> Insn {
        Insn::with_source(JMP | cond_code(cond), left, right)
    }

    pub fn call(helper: Helper) -> Insn {
        Insn { code: JMP | CALL, imm: helper.0 as i32, ..Insn::default() }
    }

    /// A call of the kernel function of this id.
    pub fn call_kernel(id: u32) -> Insn {
        Insn { code: JMP | CALL, regs: fields(Reg(0), PSEUDO_KFUNC_CALL), imm: id as i32, ..Insn::default() }
    }

    /// A call of a function of the same program; the distance is still to be filled in.
    pub fn call_function() -> Insn {
        Insn { code: JMP | CALL, regs: fields(Reg(0), PSEUDO_CALL), ..Insn::default() }
    }

    pub fn exit() -> Insn {
        Insn { code: JMP | EXIT, ..Insn::default() }
    }

    /// The kernel's bytes, little endian.
    pub fn encode(self) -> [u8; 8] {
        let [o0, o1] = self.off.to_le_bytes();
        let [i0, i1, i2, i3] = self.imm.to_le_bytes();
        [self.code, self.regs, o0, o1, i0, i1, i2, i3]
    }

    pub fn to(self) -> Reg {
        Reg(self.regs & 15)
    }

    pub fn from(self) -> Reg {
        Reg(self.regs >> 4)
    }

    /// Takes an instruction apart; `None` for the second half of a 64-bit immediate and for what this crate never emits.
    pub fn decode(self) -> Option<Decoded> {
        let from = if self.code & FROM_REG != 0 { Source::Reg(self.from()) } else { Source::Imm(self.imm) };
        let base = self.to();
        Some(match self.code & 7 {
            LD if self.code == LD | IMM_MODE | size_code(Size::B8) => Decoded::Wide { to: base, kind: self.from().0 },
            LDX if self.code & 0xe0 == MEM_MODE => Decoded::Load { size: self.size(), to: base, base: self.from() },
            ST if self.code & 0xe0 == MEM_MODE => {
                Decoded::Store { size: self.size(), base, from: Source::Imm(self.imm) }
            }
            STX if self.code & 0xe0 == MEM_MODE => {
                Decoded::Store { size: self.size(), base, from: Source::Reg(self.from()) }
            }
            STX if self.code == STX | ATOMIC_MODE | size_code(Size::B8) && self.imm == 0 => {
                Decoded::AtomicAdd { base, from: self.from() }
            }
            ALU64 if self.code & 0xf0 == MOVE => Decoded::Move { to: base, from },
            ALU64 => Decoded::Alu { op: *ALUS.iter().find(|op| alu_code(**op) == self.code & 0xf0)?, to: base, from },
            ALU32 if self.code == ALU32 | MOVE | FROM_REG => Decoded::MoveLow { to: base, from: self.from() },
            JMP => self.decode_jump(from)?,
            _ => return None,
        })
    }

    fn decode_jump(self, right: Source) -> Option<Decoded> {
        Some(match self.code & 0xf0 {
            0 => Decoded::Jump,
            CALL => match self.from().0 {
                0 => Decoded::Call(Helper(self.imm as u32)),
                PSEUDO_CALL => Decoded::CallFunction { distance: self.imm },
                PSEUDO_KFUNC_CALL => Decoded::CallKernel { id: self.imm },
                _ => return None,
            },
            EXIT => Decoded::Exit,
            code => {
                let cond = *CONDS.iter().find(|cond| cond_code(**cond) == code)?;
                Decoded::Branch { cond, left: self.to(), right }
            }
        })
    }

    fn size(self) -> Size {
        match self.code & 0x18 {
            0x00 => Size::B4,
            0x08 => Size::B2,
            0x10 => Size::B1,
            _ => Size::B8,
        }
    }

    fn with_source(code: u8, to: Reg, from: Source) -> Insn {
        match from {
            Source::Reg(from) => Insn { code: code | FROM_REG, regs: fields(to, from.0), off: 0, imm: 0 },
            Source::Imm(imm) => Insn { code, regs: fields(to, 0), off: 0, imm },
        }
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Reg(reg) => reg.fmt(f),
            Source::Imm(imm) => imm.fmt(f),
        }
    }
}

impl fmt::Display for Insn {
    /// As `bpftool prog dump xlated` writes it; jumps are relative (`pc+3`). A 64-bit immediate shows its low half.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let off = self.off;
        let Some(decoded) = self.decode() else {
            return write!(f, ".insn {:02x} {:02x} {off:+} {:#x}", self.code, self.regs, self.imm);
        };
        match decoded {
            Decoded::Alu { op, to, from } => write!(f, "{to} {} {from}", alu_text(op)),
            Decoded::Move { to, from } => write!(f, "{to} = {from}"),
            Decoded::MoveLow { to, from } => write!(f, "w{} = w{}", to.0, from.0),
            Decoded::Wide { to, .. } => write!(f, "{to} = {:#x}", self.imm),
            Decoded::Load { size, to, base } => write!(f, "{to} = *({} *)({base} {off:+})", size_text(size)),
            Decoded::Store { size, base, from } => write!(f, "*({} *)({base} {off:+}) = {from}", size_text(size)),
            Decoded::AtomicAdd { base, from } => write!(f, "lock *(u64 *)({base} {off:+}) += {from}"),
            Decoded::Jump => write!(f, "goto pc{off:+}"),
            Decoded::Branch { cond, left, right } => {
                write!(f, "if {left} {} {right} goto pc{off:+}", cond_text(cond))
            }
            Decoded::Call(helper) => write!(f, "call {helper}"),
            Decoded::CallKernel { id } => write!(f, "call kernel-function#{id}"),
            Decoded::CallFunction { distance } => write!(f, "call pc{distance:+}"),
            Decoded::Exit => f.write_str("exit"),
        }
    }
}

const ALUS: [Alu; 11] =
    [Alu::Add, Alu::Sub, Alu::Mul, Alu::Div, Alu::Mod, Alu::And, Alu::Or, Alu::Xor, Alu::Shl, Alu::Shr, Alu::Sar];

const CONDS: [Cond; 11] =
    [Cond::Eq, Cond::Ne, Cond::Lt, Cond::Le, Cond::Gt, Cond::Ge, Cond::SLt, Cond::SLe, Cond::SGt, Cond::SGe, Cond::Set];

fn fields(to: Reg, from: u8) -> u8 {
    to.0 | from << 4
}

fn alu_code(op: Alu) -> u8 {
    match op {
        Alu::Add => 0x00,
        Alu::Sub => 0x10,
        Alu::Mul => 0x20,
        Alu::Div => 0x30,
        Alu::Or => 0x40,
        Alu::And => 0x50,
        Alu::Shl => 0x60,
        Alu::Shr => 0x70,
        Alu::Mod => 0x90,
        Alu::Xor => 0xa0,
        Alu::Sar => 0xc0,
    }
}

fn alu_text(op: Alu) -> &'static str {
    match op {
        Alu::Add => "+=",
        Alu::Sub => "-=",
        Alu::Mul => "*=",
        Alu::Div => "/=",
        Alu::Mod => "%=",
        Alu::And => "&=",
        Alu::Or => "|=",
        Alu::Xor => "^=",
        Alu::Shl => "<<=",
        Alu::Shr => ">>=",
        Alu::Sar => "s>>=",
    }
}

fn cond_code(cond: Cond) -> u8 {
    match cond {
        Cond::Eq => 0x10,
        Cond::Gt => 0x20,
        Cond::Ge => 0x30,
        Cond::Set => 0x40,
        Cond::Ne => 0x50,
        Cond::SGt => 0x60,
        Cond::SGe => 0x70,
        Cond::Lt => 0xa0,
        Cond::Le => 0xb0,
        Cond::SLt => 0xc0,
        Cond::SLe => 0xd0,
    }
}

fn cond_text(cond: Cond) -> &'static str {
    match cond {
        Cond::Eq => "==",
        Cond::Ne => "!=",
        Cond::Lt => "<",
        Cond::Le => "<=",
        Cond::Gt => ">",
        Cond::Ge => ">=",
        Cond::SLt => "s<",
        Cond::SLe => "s<=",
        Cond::SGt => "s>",
        Cond::SGe => "s>=",
        Cond::Set => "&",
    }
}

fn size_code(size: Size) -> u8 {
    match size {
        Size::B4 => 0x00,
        Size::B2 => 0x08,
        Size::B1 => 0x10,
        Size::B8 => 0x18,
    }
}

fn size_text(size: Size) -> &'static str {
    match size {
        Size::B1 => "u8",
        Size::B2 => "u16",
        Size::B4 => "u32",
        Size::B8 => "u64",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as clang's assembler writes them.
    #[test]
    fn instructions_are_the_bytes_that_others_write() {
        let cases: &[(Insn, [u8; 8], &str)] = &[
            (Insn::mov(Reg(6), Source::Reg(Reg(1))), [0xbf, 0x16, 0, 0, 0, 0, 0, 0], "r6 = r1"),
            (Insn::mov(Reg(1), Source::Imm(-1)), [0xb7, 1, 0, 0, 255, 255, 255, 255], "r1 = -1"),
            (Insn::mov_low(Reg(1), Reg(2)), [0xbc, 0x21, 0, 0, 0, 0, 0, 0], "w1 = w2"),
            (Insn::alu(Alu::Add, Reg(2), Source::Imm(-8)), [7, 2, 0, 0, 248, 255, 255, 255], "r2 += -8"),
            (Insn::alu(Alu::Sar, Reg(3), Source::Reg(Reg(4))), [0xcf, 0x43, 0, 0, 0, 0, 0, 0], "r3 s>>= r4"),
            (Insn::load(Size::B8, Reg(1), Reg(6), 8), [0x79, 0x61, 8, 0, 0, 0, 0, 0], "r1 = *(u64 *)(r6 +8)"),
            (Insn::load(Size::B1, Reg(0), Reg(1), -2), [0x71, 0x10, 254, 255, 0, 0, 0, 0], "r0 = *(u8 *)(r1 -2)"),
            (
                Insn::store(Size::B4, Reg::FRAME, -4, Source::Reg(Reg(0))),
                [0x63, 0x0a, 252, 255, 0, 0, 0, 0],
                "*(u32 *)(r10 -4) = r0",
            ),
            (
                Insn::store(Size::B8, Reg::FRAME, -8, Source::Imm(7)),
                [0x7a, 0x0a, 248, 255, 7, 0, 0, 0],
                "*(u64 *)(r10 -8) = 7",
            ),
            (Insn::atomic_add(Reg(1), 16, Reg(2)), [0xdb, 0x21, 16, 0, 0, 0, 0, 0], "lock *(u64 *)(r1 +16) += r2"),
            (
                Insn { off: 3, ..Insn::branch(Cond::SGt, Reg(1), Source::Imm(5)) },
                [0x65, 1, 3, 0, 5, 0, 0, 0],
                "if r1 s> 5 goto pc+3",
            ),
            (Insn { off: -2, ..Insn::jump() }, [5, 0, 254, 255, 0, 0, 0, 0], "goto pc-2"),
            (Insn::call(Helper::KTIME_GET_NS), [0x85, 0, 0, 0, 5, 0, 0, 0], "call bpf_ktime_get_ns#5"),
            (Insn { imm: -3, ..Insn::call_function() }, [0x85, 0x10, 0, 0, 253, 255, 255, 255], "call pc-3"),
            (Insn::call_kernel(65486), [0x85, 0x20, 0, 0, 0xce, 0xff, 0, 0], "call kernel-function#65486"),
            (Insn::exit(), [0x95, 0, 0, 0, 0, 0, 0, 0], "exit"),
        ];
        for (insn, bytes, text) in cases {
            assert_eq!((insn.encode(), insn.to_string().as_str()), (*bytes, *text));
        }
    }

    #[test]
    fn every_operation_decodes_to_itself() {
        for from in [Source::Reg(Reg(3)), Source::Imm(-7)] {
            for op in ALUS {
                assert_eq!(Insn::alu(op, Reg(9), from).decode(), Some(Decoded::Alu { op, to: Reg(9), from }));
            }
            for cond in CONDS {
                let expected = Decoded::Branch { cond, left: Reg(9), right: from };
                assert_eq!(Insn::branch(cond, Reg(9), from).decode(), Some(expected));
            }
        }
    }
}
