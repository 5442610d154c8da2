//! Encoded instructions in, the program's result out: an interpreter for tests, with helpers, maps and memory supplied by a
//! [`World`]. Stricter than the kernel: it reports what the verifier would refuse, such as reading a register or a piece of
//! stack that nothing has written, or memory out of bounds.

use std::collections::HashMap;
use std::fmt;

use rtrace::bpf::Helper;
use rtrace::bpf::asm::{Alu, Cond, Size};
use rtrace::bpf::insn::{Decoded, Insn, Reg, Source};
use rtrace::bpf::unit::{Reloc, RelocTarget};
use rtrace::plan::MapId;

/// What a program may call upon.
pub trait World {
    /// Runs a helper; the arguments that the program did not set are `None`. Callbacks are run by [`Machine::callback`].
    fn call(&mut self, machine: &mut Machine, helper: Helper, args: [Option<u64>; 5]) -> Result<u64, String>;

    /// Runs a function of the kernel that is no helper.
    fn call_kernel(&mut self, id: i32, _args: [Option<u64>; 5]) -> Result<u64, String> {
        Err(format!("a call of the kernel function {id}, which there is not"))
    }

    /// The value that stands for a map in calls.
    fn map(&mut self, machine: &mut Machine, map: MapId) -> Result<u64, String>;

    /// Address of a one-element array's value.
    fn map_value(&mut self, machine: &mut Machine, map: MapId) -> Result<u64, String>;

    /// What lies at an address outside of the machine's memory, where programs may load from there.
    fn foreign(&self, _address: u64, _bytes: u64) -> Option<Vec<u8>> {
        None
    }
}

/// Why a program could not go on, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Instruction index.
    pub at: usize,
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.why)
    }
}

/// A program and the memory it runs in. Memory stays from run to run; stack frames do not.
pub struct Machine {
    pub memory: Memory,
    insns: Vec<Insn>,
    relocs: HashMap<usize, RelocTarget>,
    /// Instructions that may still run before the program counts as endless.
    pub fuel: u64,
}

/// Where the context lies.
pub const CONTEXT: u64 = 0xffff_c900_0000_0000;

/// Addresses of functions begin here; instruction indices follow.
const FUNCTIONS: u64 = 0xf000_0000_0000_0000;

const STACK: u64 = 512;

impl Machine {
    pub fn new(insns: &[Insn], relocs: &[Reloc]) -> Machine {
        Machine {
            memory: Memory::default(),
            insns: insns.to_vec(),
            relocs: relocs.iter().map(|reloc| (reloc.at as usize, reloc.to.clone())).collect(),
            fuel: 10_000_000,
        }
    }

    /// Runs the main function with a context of these bytes, which it may only read.
    pub fn run(&mut self, world: &mut dyn World, context: &[u8]) -> Result<u64, Fault> {
        self.memory.add_at(CONTEXT, context, Access::ReadOnly);
        let result = self.function(world, 0, &[CONTEXT]);
        self.memory.remove(CONTEXT);
        result
    }

    /// Runs a function of the program, for helpers that take one.
    pub fn callback(&mut self, world: &mut dyn World, function: u64, args: &[u64]) -> Result<u64, String> {
        let Some(start) = function.checked_sub(FUNCTIONS) else { return Err(format!("{function:#x} is no function")) };
        self.function(world, start as usize, args).map_err(|fault| format!("in the callback: {fault}"))
    }

    fn function(&mut self, world: &mut dyn World, start: usize, args: &[u64]) -> Result<u64, Fault> {
        let stack = self.memory.add_undefined(STACK);
        let mut regs = [None; 11];
        regs[10] = Some(stack + STACK);
        for (reg, arg) in regs[1..].iter_mut().zip(args) {
            *reg = Some(*arg);
        }
        let mut at = start;
        let result = loop {
            match self.step(world, &mut at, &mut regs) {
                Ok(None) => {}
                Ok(Some(result)) => break Ok(result),
                Err(why) => {
                    let insn = self.insns.get(at).map(Insn::to_string).unwrap_or_default();
                    break Err(Fault { at, why: format!("{insn}: {why}") });
                }
            }
        };
        self.memory.remove(stack);
        result
    }

    /// Runs one instruction; gives the result when it was an exit.
    fn step(&mut self, world: &mut dyn World, at: &mut usize, regs: &mut Regs) -> Result<Option<u64>, String> {
        let insn = *self.insns.get(*at).ok_or("ran off the program")?;
        self.fuel = self.fuel.checked_sub(1).ok_or("ran too long")?;
        let mut next = *at + 1;
        match insn.decode().ok_or("unknown instruction")? {
            Decoded::Alu { op, to, from } => {
                let (a, b) = (read(regs, to)?, source(regs, from)?);
                check_constant(op, from)?;
                write(regs, to, alu(op, a, b))?;
            }
            Decoded::Move { to, from } => {
                let value = source(regs, from)?;
                write(regs, to, value)?;
            }
            Decoded::MoveLow { to, from } => {
                let value = read(regs, from)? & 0xffff_ffff;
                write(regs, to, value)?;
            }
            Decoded::Wide { to, kind } => {
                let value = self.wide(world, *at, kind, insn)?;
                write(regs, to, value)?;
                next += 1;
            }
            Decoded::Load { size, to, base } => {
                let address = read(regs, base)?.wrapping_add_signed(insn.off.into());
                let loaded = self.memory.load(size, address);
                let foreign = || world.foreign(address, size.bytes().into()).map(|bytes| number(&bytes));
                let value = loaded.or_else(|why| foreign().ok_or(why))?;
                write(regs, to, value)?;
            }
            Decoded::Store { size, base, from } => {
                let address = read(regs, base)?.wrapping_add_signed(insn.off.into());
                self.memory.store(size, address, source(regs, from)?)?;
            }
            Decoded::AtomicAdd { base, from } => {
                let address = read(regs, base)?.wrapping_add_signed(insn.off.into());
                let sum = self.memory.load(Size::B8, address)?.wrapping_add(read(regs, from)?);
                self.memory.store(Size::B8, address, sum)?;
            }
            Decoded::Jump => next = next.wrapping_add_signed(insn.off.into()),
            Decoded::Branch { cond, left, right } => {
                if holds(cond, read(regs, left)?, source(regs, right)?) {
                    next = next.wrapping_add_signed(insn.off.into());
                }
            }
            Decoded::Call(helper) => {
                let args = [regs[1], regs[2], regs[3], regs[4], regs[5]];
                regs[0] = Some(world.call(self, helper, args)?);
                regs[1..=5].fill(None);
            }
            Decoded::CallKernel { id } => {
                let args = [regs[1], regs[2], regs[3], regs[4], regs[5]];
                regs[0] = Some(world.call_kernel(id, args)?);
                regs[1..=5].fill(None);
            }
            Decoded::CallFunction { distance } => {
                let args: Vec<u64> = regs[1..=5].iter().map_while(|arg| *arg).collect();
                let start = (*at + 1).wrapping_add_signed(distance as isize);
                regs[0] = Some(self.function(world, start, &args).map_err(|fault| fault.to_string())?);
                regs[1..=5].fill(None);
            }
            Decoded::Exit => return read(regs, Reg::RESULT).map(Some),
        }
        *at = next;
        Ok(None)
    }

    fn wide(&mut self, world: &mut dyn World, at: usize, kind: u8, insn: Insn) -> Result<u64, String> {
        let high = self.insns.get(at + 1).filter(|insn| insn.code == 0).ok_or("half a 64-bit immediate")?.imm;
        match (kind, self.relocs.get(&at).cloned()) {
            (0, None) => Ok(u64::from(insn.imm as u32) | u64::from(high as u32) << 32),
            (1, Some(RelocTarget::Map(map))) => world.map(self, map),
            (2, Some(RelocTarget::MapValue(map))) => {
                Ok(world.map_value(self, map)?.wrapping_add(u64::from(high as u32)))
            }
            (4, None) => Ok(FUNCTIONS + (at as u64 + 1).wrapping_add_signed(insn.imm.into())),
            (kind, reloc) => Err(format!("64-bit immediate of kind {kind} with relocation {reloc:?}")),
        }
    }
}

type Regs = [Option<u64>; 11];

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn read(regs: &Regs, reg: Reg) -> Result<u64, String> {
    regs[usize::from(reg.0)].ok_or_else(|| format!("{reg} was never set"))
}

fn write(regs: &mut Regs, reg: Reg, value: u64) -> Result<(), String> {
    if reg == Reg::FRAME {
        return Err("r10 is read-only".to_owned());
    }
    regs[usize::from(reg.0)] = Some(value);
    Ok(())
}

fn source(regs: &Regs, from: Source) -> Result<u64, String> {
    match from {
        Source::Reg(reg) => read(regs, reg),
        Source::Imm(imm) => Ok(imm as i64 as u64),
    }
}

/// Refuses what the verifier refuses of constants.
fn check_constant(op: Alu, from: Source) -> Result<(), String> {
    let refused = match (op, from) {
        (Alu::Shl | Alu::Shr | Alu::Sar, Source::Imm(by)) => !(0..64).contains(&by),
        (Alu::Div | Alu::Mod, Source::Imm(by)) => by == 0,
        _ => false,
    };
    if refused { Err("this constant is refused".to_owned()) } else { Ok(()) }
}

/// What the machine computes.
pub fn alu(op: Alu, a: u64, b: u64) -> u64 {
    match op {
        Alu::Add => a.wrapping_add(b),
        Alu::Sub => a.wrapping_sub(b),
        Alu::Mul => a.wrapping_mul(b),
        Alu::Div => a.checked_div(b).unwrap_or(0),
        Alu::Mod => a.checked_rem(b).unwrap_or(a),
        Alu::And => a & b,
        Alu::Or => a | b,
        Alu::Xor => a ^ b,
        Alu::Shl => a << (b & 63),
        Alu::Shr => a >> (b & 63),
        Alu::Sar => (a as i64 >> (b & 63)) as u64,
    }
}

pub fn holds(cond: Cond, a: u64, b: u64) -> bool {
    let (sa, sb) = (a as i64, b as i64);
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::Lt => a < b,
        Cond::Le => a <= b,
        Cond::Gt => a > b,
        Cond::Ge => a >= b,
        Cond::SLt => sa < sb,
        Cond::SLe => sa <= sb,
        Cond::SGt => sa > sb,
        Cond::SGe => sa >= sb,
        Cond::Set => a & b != 0,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// Address ranges with gaps between them, so that every access out of bounds is found.
#[derive(Default)]
pub struct Memory {
    regions: Vec<Region>,
    /// How many regions there have ever been: addresses are not used twice.
    made: u64,
}

struct Region {
    start: u64,
    /// `None` where nothing has been written yet.
    bytes: Vec<Option<u8>>,
    access: Access,
}

impl Memory {
    /// Adds memory with these contents and returns its address.
    pub fn add(&mut self, bytes: &[u8], access: Access) -> u64 {
        let start = self.free_address();
        self.add_at(start, bytes, access);
        start
    }

    /// Adds memory at an address of the caller's choice, which must be free.
    pub fn add_at(&mut self, start: u64, bytes: &[u8], access: Access) {
        self.insert(Region { start, bytes: bytes.iter().map(|byte| Some(*byte)).collect(), access });
    }

    /// Adds writable memory that must be written before it is read.
    pub fn add_undefined(&mut self, bytes: u64) -> u64 {
        let start = self.free_address();
        self.insert(Region { start, bytes: vec![None; bytes as usize], access: Access::ReadWrite });
        start
    }

    pub fn remove(&mut self, start: u64) {
        self.regions.retain(|region| region.start != start);
    }

    pub fn read(&self, address: u64, bytes: u64) -> Result<Vec<u8>, String> {
        let range = self.written(address, bytes)?;
        let undefined = || format!("{bytes} bytes at {address:#x} were not all written before");
        range.iter().copied().collect::<Option<Vec<u8>>>().ok_or_else(undefined)
    }

    /// What was written of these bytes.
    pub fn written(&self, address: u64, bytes: u64) -> Result<&[Option<u8>], String> {
        let (region, at) = self.find(address, bytes)?;
        Ok(&self.regions[region].bytes[at..at + bytes as usize])
    }

    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), String> {
        let (region, at) = self.find(address, bytes.len() as u64)?;
        let region = &mut self.regions[region];
        if region.access == Access::ReadOnly {
            return Err(format!("{address:#x} is read-only"));
        }
        for (to, from) in region.bytes[at..].iter_mut().zip(bytes) {
            *to = Some(*from);
        }
        Ok(())
    }

    pub fn load(&self, size: Size, address: u64) -> Result<u64, String> {
        self.read(address, size.bytes().into()).map(|bytes| number(&bytes))
    }

    pub fn store(&mut self, size: Size, address: u64, value: u64) -> Result<(), String> {
        self.write(address, &value.to_le_bytes()[..size.bytes() as usize])
    }

    fn free_address(&mut self) -> u64 {
        self.made += 1;
        self.made << 32
    }

    /// Regions are kept in the order of their addresses.
    fn insert(&mut self, region: Region) {
        let at = self.regions.partition_point(|other| other.start < region.start);
        self.regions.insert(at, region);
    }

    fn find(&self, address: u64, bytes: u64) -> Result<(usize, usize), String> {
        let index = self.regions.partition_point(|region| region.start <= address).wrapping_sub(1);
        let found = self.regions.get(index).and_then(|region| {
            let at = address - region.start;
            (at.checked_add(bytes)? <= region.bytes.len() as u64).then_some((index, at as usize))
        });
        found.ok_or_else(|| format!("{bytes} bytes at {address:#x} are out of bounds"))
    }
}
