//! The last step: functions with registers, frame and block order decided become instructions, relocations and tables.
//!
//! The machine computes in place (`r1 += r2`), so a result in another register than the left operand costs a move first; the
//! allocator sees to it that this never overwrites the right operand. Moves of a register to itself, and jumps to what
//! follows, leave no trace.

use std::collections::HashMap;

use super::asm::{Alu, Asm, AsmError, Assembled, Callee, Cond, FunctionId, Label, Operand, Slot, VReg};
use super::color::parameter;
use super::flow::{self, Positions};
use super::fold::negated;
use super::frame::{Frame, STACK};
use super::insn::{Insn, Reg, Source, Wide};
use super::lir::{Argument, Function, Inst, LOW_HALF, Memory, MemoryBase, Op, commutes};
use super::regs::Registers;
use super::unit::{FunctionInfo, Reloc, RelocTarget};
use super::{dead, moves, regs};
use crate::source::Span;

pub(super) fn assemble(mut asm: Asm) -> Result<Assembled, AsmError> {
    let mut functions = Vec::new();
    for open in std::mem::take(&mut asm.functions) {
        let params = open.params.len() as u8;
        let mut function = Function { name: open.name, params, blocks: open.blocks };
        // Dead copies would hide tests, and tests skipped leave dead constants.
        dead::sweep(&mut function, asm.facts.len());
        flow::simplify(&mut function, asm.facts.len())?;
        dead::sweep(&mut function, asm.facts.len());
        dead::sweep_overwritten(&mut function, asm.facts.len());
        functions.push(function);
    }
    let mut emitter = Emitter::default();
    let mut depths = vec![0; functions.len()];
    for id in reached(&functions) {
        let function = &mut functions[id];
        let registers = regs::allocate(function, &mut asm.facts, &mut asm.slots);
        let frame = Frame::layout(function, &asm.slots, asm.facts.len());
        depths[id] = frame.size;
        emitter.function(id, function, &registers, &frame)?;
    }
    check_stack(&functions, &depths)?;
    Ok(emitter.finish())
}

/// The functions that the main one leads to, itself first.
fn reached(functions: &[Function]) -> Vec<usize> {
    let mut reached = vec![0];
    let mut at = 0;
    while let Some(&id) = reached.get(at) {
        for callee in callees(&functions[id]) {
            if !reached.contains(&callee) {
                reached.push(callee);
            }
        }
        at += 1;
    }
    reached
}

fn callees(function: &Function) -> impl Iterator<Item = usize> + '_ {
    let calls = function.insts().filter_map(|inst| match &inst.op {
        Op::Call { callee, args, .. } => Some((callee, args)),
        _ => None,
    });
    calls.flat_map(|(callee, args)| {
        let called = match callee {
            Callee::Function(id) => Some(id.0 as usize),
            Callee::Helper(_) | Callee::Kernel(_) => None,
        };
        let handed_over = args.iter().filter_map(|arg| match arg {
            Argument::Function(id) => Some(id.0 as usize),
            _ => None,
        });
        called.into_iter().chain(handed_over)
    })
}

/// Functions that may be under way at the same time (`MAX_CALL_FRAMES`).
const FRAMES: usize = 8;

/// The verifier adds up the frames along each chain of calls, in units of 32 bytes, and counts them.
fn check_stack(functions: &[Function], sizes: &[u32]) -> Result<(), AsmError> {
    let chain = longest_chain(functions, 0, 1);
    if chain > FRAMES {
        return Err(AsmError::CallsTooDeep(chain));
    }
    match depth(functions, sizes, 0) {
        0..=STACK => Ok(()),
        bytes => Err(AsmError::FrameTooLarge(bytes)),
    }
}

/// How many functions are under way when this one calls as deep as it can; no further than the first that is too many.
fn longest_chain(functions: &[Function], id: usize, under_way: usize) -> usize {
    let inner = callees(&functions[id]).filter(|_| under_way <= FRAMES);
    inner.map(|callee| longest_chain(functions, callee, under_way + 1)).max().unwrap_or(under_way)
}

fn depth(functions: &[Function], sizes: &[u32], id: usize) -> u32 {
    let inner = callees(&functions[id]).map(|callee| depth(functions, sizes, callee)).max().unwrap_or(0);
    sizes[id].max(1).next_multiple_of(32) + inner
}

#[derive(Default)]
struct Emitter {
    insns: Vec<Insn>,
    relocs: Vec<Reloc>,
    functions: Vec<FunctionInfo>,
    lines: Vec<(u32, Span)>,
    comments: Vec<(u32, String)>,
    /// Where each function begins, by number.
    starts: HashMap<usize, u32>,
    /// Calls of functions and loads of their addresses, to be filled in once all functions are there.
    function_references: Vec<(u32, FunctionId)>,
}

impl Emitter {
    fn function(
        &mut self,
        id: usize,
        function: &Function,
        registers: &Registers,
        frame: &Frame,
    ) -> Result<(), AsmError> {
        let at = self.here();
        self.starts.insert(id, at);
        self.functions.push(FunctionInfo { at, name: function.name.clone(), params: function.params });
        let mut body = Body { out: self, registers, frame, jumps: Vec::new(), next: None };
        body.emit(function)
    }

    fn finish(mut self) -> Assembled {
        for (at, id) in self.function_references {
            let start = self.starts[&(id.0 as usize)];
            self.insns[at as usize].imm = start as i32 - at as i32 - 1;
        }
        Assembled {
            insns: self.insns,
            relocs: self.relocs,
            functions: self.functions,
            lines: self.lines,
            comments: self.comments,
        }
    }

    fn here(&self) -> u32 {
        self.insns.len() as u32
    }
}

/// One function on its way into the [`Emitter`].
struct Body<'a> {
    out: &'a mut Emitter,
    registers: &'a Registers,
    frame: &'a Frame,
    /// Jump instructions and where they go.
    jumps: Vec<(u32, Label)>,
    /// The block that the current one may fall into.
    next: Option<Label>,
}

impl Body<'_> {
    fn emit(&mut self, function: &Function) -> Result<(), AsmError> {
        let mut span = None;
        let mut starts = Vec::with_capacity(function.blocks.len());
        let explicit = flow::explicit_jumps(&function.blocks);
        for (at, block) in function.blocks.iter().enumerate() {
            starts.push(self.out.here());
            self.next = function.blocks.get(at + 1).filter(|_| !explicit[at]).map(|block| block.label);
            for inst in &block.insts {
                let first = self.out.here();
                self.inst(inst);
                // Every function needs a line of its own at its start, be it that of the last one.
                if self.out.here() > first && span.replace(inst.span) != Some(inst.span) {
                    self.out.lines.push((first, inst.span));
                }
                if let Some(note) = &inst.note {
                    self.out.comments.push((first, note.clone()));
                }
            }
        }
        let positions = Positions::of(&function.blocks);
        for (at, label) in std::mem::take(&mut self.jumps) {
            let distance = i64::from(starts[positions[label]]) - i64::from(at) - 1;
            self.out.insns[at as usize].off = i16::try_from(distance).map_err(|_| AsmError::JumpTooFar)?;
        }
        Ok(())
    }

    fn inst(&mut self, inst: &Inst) {
        match &inst.op {
            Op::Param { to, index } => self.copy(self.reg(*to), parameter(*index)),
            Op::Const { to, value } => self.constant(self.reg(*to), *value),
            Op::Copy { to, from } => self.copy(self.reg(*to), self.reg(*from)),
            Op::Alu { op, to, left, right } => self.alu(*op, self.reg(*to), self.reg(*left), *right),
            Op::FrameAddress { to, slot, offset } => self.frame_address(self.reg(*to), *slot, *offset),
            Op::MapAddress { to, map, offset } => {
                self.wide(self.reg(*to), Wide::MapValue, *offset, RelocTarget::MapValue(*map));
            }
            Op::Load { size, to, from } => {
                let (base, off) = self.memory(*from);
                self.push(Insn::load(*size, self.reg(*to), base, off));
            }
            Op::Store { size, to, value } => {
                let (base, off) = self.memory(*to);
                self.push(Insn::store(*size, base, off, self.source(*value)));
            }
            Op::AtomicAdd { to, value } => {
                let (base, off) = self.memory(*to);
                self.push(Insn::atomic_add(base, off, self.reg(*value)));
            }
            Op::Call { callee, args, to, .. } => {
                self.arguments(args);
                self.call(*callee);
                self.copy(self.reg(*to), Reg::RESULT);
            }
            Op::Jump(to) => self.jump(*to),
            Op::Branch { cond, left, right, then, other } => {
                self.branch(*cond, self.reg(*left), self.source(*right), *then, *other);
            }
            Op::Exit(value) => {
                match value {
                    Operand::Imm(value) => self.constant(Reg::RESULT, *value),
                    Operand::Reg(reg) => self.copy(Reg::RESULT, self.reg(*reg)),
                }
                self.push(Insn::exit());
            }
        }
    }

    fn call(&mut self, callee: Callee) {
        match callee {
            Callee::Helper(helper) => self.push(Insn::call(helper)),
            Callee::Kernel(function) => self.push(Insn::call_kernel(function.id)),
            Callee::Function(id) => {
                self.out.function_references.push((self.out.here(), id));
                self.push(Insn::call_function());
            }
        }
    }

    fn push(&mut self, insn: Insn) {
        self.out.insns.push(insn);
    }

    /// The allocator gave every register that an instruction names its place.
    fn reg(&self, reg: VReg) -> Reg {
        self.registers[reg.0 as usize].unwrap_or(Reg::RESULT)
    }

    fn source(&self, operand: Operand) -> Source {
        match operand {
            Operand::Reg(reg) => Source::Reg(self.reg(reg)),
            Operand::Imm(value) => Source::Imm(value as i32),
        }
    }

    fn memory(&self, memory: Memory) -> (Reg, i16) {
        match memory.base {
            MemoryBase::Reg(reg) => (self.reg(reg), memory.offset as i16),
            MemoryBase::Frame(slot) => (Reg::FRAME, (self.frame.offset(slot) + memory.offset) as i16),
        }
    }

    fn copy(&mut self, to: Reg, from: Reg) {
        if to != from {
            self.push(Insn::mov(to, Source::Reg(from)));
        }
    }

    fn add(&mut self, to: Reg, value: i32) {
        if value != 0 {
            self.push(Insn::alu(Alu::Add, to, Source::Imm(value)));
        }
    }

    fn constant(&mut self, to: Reg, value: i64) {
        match i32::try_from(value) {
            Ok(value) => self.push(Insn::mov(to, Source::Imm(value))),
            Err(_) => self.out.insns.extend(Insn::wide(to, Wide::Value, value as u64)),
        }
    }

    fn frame_address(&mut self, to: Reg, slot: Slot, offset: i32) {
        self.push(Insn::mov(to, Source::Reg(Reg::FRAME)));
        self.add(to, self.frame.offset(slot) + offset);
    }

    /// A map's descriptor, or the address `offset` bytes into its value (the second half of the immediate).
    fn wide(&mut self, to: Reg, kind: Wide, offset: i32, target: RelocTarget) {
        self.out.relocs.push(Reloc { at: self.out.here(), to: target });
        self.out.insns.extend(Insn::wide(to, kind, (offset as u64) << 32));
    }

    fn alu(&mut self, op: Alu, to: Reg, left: Reg, right: Operand) {
        match (self.source(right), right) {
            (_, Operand::Imm(LOW_HALF)) if op == Alu::And => self.push(Insn::mov_low(to, left)),
            (Source::Reg(right), _) if right == to && left != to && commutes(op) => {
                self.push(Insn::alu(op, to, Source::Reg(left)));
            }
            (right, _) => {
                self.copy(to, left);
                self.push(Insn::alu(op, to, right));
            }
        }
    }

    /// Registers first, all at once, then what is made from nothing else.
    fn arguments(&mut self, args: &[Argument]) {
        let numbered = || (0..).map(parameter).zip(args);
        let moved = numbered().filter_map(|(to, arg)| match arg {
            Argument::Reg(from, _) => Some((self.reg(*from), to)),
            _ => None,
        });
        self.out.insns.extend(moves::parallel(moved.collect(), Reg::RESULT));
        for (to, arg) in numbered() {
            self.argument(to, *arg);
        }
    }

    fn argument(&mut self, to: Reg, arg: Argument) {
        match arg {
            Argument::Reg(_, plus) => self.add(to, plus),
            Argument::Spilled { slot, mask, plus } => {
                self.push(Insn::load(super::asm::Size::B8, to, Reg::FRAME, self.frame.offset(slot) as i16));
                if let Some(mask) = mask {
                    self.push(Insn::alu(Alu::And, to, Source::Imm(mask)));
                }
                self.add(to, plus);
            }
            Argument::Imm(value) => self.constant(to, value),
            Argument::Frame(slot, offset) => self.frame_address(to, slot, offset),
            Argument::Map(map) => self.wide(to, Wide::MapFd, 0, RelocTarget::Map(map)),
            Argument::MapValue(map, offset) => self.wide(to, Wide::MapValue, offset, RelocTarget::MapValue(map)),
            Argument::KernelVar(id) => self.out.insns.extend(Insn::wide(to, Wide::KernelVar, id.into())),
            Argument::Function(id) => {
                self.out.function_references.push((self.out.here(), id));
                self.out.insns.extend(Insn::wide(to, Wide::Function, 0));
            }
        }
    }

    fn jump(&mut self, to: Label) {
        if self.next != Some(to) {
            self.jumps.push((self.out.here(), to));
            self.push(Insn::jump());
        }
    }

    fn branch(&mut self, cond: Cond, left: Reg, right: Source, then: Label, other: Label) {
        let (cond, then, other) = match negated(cond) {
            Some(negated) if self.next == Some(then) => (negated, other, then),
            _ => (cond, then, other),
        };
        self.jumps.push((self.out.here(), then));
        self.push(Insn::branch(cond, left, right));
        self.jump(other);
    }
}
