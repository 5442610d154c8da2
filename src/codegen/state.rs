//! The state of generating one program.

use std::collections::HashSet;

use super::cache::Cache;
use super::guard::{Guard, is_preempted};
use super::{Memory, Shared};
use crate::bpf::Helper;
use crate::bpf::asm::{Alu, Arg, Asm, AsmError, Assembled, Base, Cond, FunctionId, Label, Operand, Place, Size, VReg};
use crate::diag::Diagnostic;
use crate::ir::{Block, Probe, VarId};
use crate::kernel::Kernel;
use crate::plan::{CounterId, Plan};
use crate::types::Type;

/// Generation gives up on the program.
pub struct Refused(pub Diagnostic);

pub type Generated<T> = Result<T, Refused>;

pub struct Gen<'a> {
    pub asm: Asm,
    pub probe: &'a Probe,
    pub plan: &'a Plan,
    pub kernel: &'a dyn Kernel,
    pub(super) shared: &'a Shared,
    pub cache: Cache,
    /// Where each variable is kept; decided on first mention.
    pub vars: Vec<Option<Kept>>,
    pub loops: Vec<Loop>,
    pub function: Function,
    /// The functions of the script that this program calls, by their numbers in the probe.
    pub functions: Vec<FunctionId>,
    guard: Option<Guard>,
    /// Number of the program, which is its entry in the scratch map.
    index: u32,
    on_stack: u32,
    scratch: Scratch,
    /// The functions that use scratch memory.
    in_scratch: HashSet<FunctionId>,
    /// Bytes of the largest piece of memory that is cleared by copying zeros to it.
    pub zeros: u32,
}

pub const MAIN: FunctionId = FunctionId(0);

/// Where a variable is kept.
#[derive(Clone, Copy)]
pub enum Kept {
    Register(VReg),
    Memory(Place),
    /// In the frame that loop bodies share with the code around them, at this offset.
    Captured(i32),
    /// In scratch memory, at this offset.
    Scratch(u32),
}

/// Where a variable is for the function being generated.
#[derive(Clone, Copy)]
pub enum Storage {
    Register(VReg),
    Memory(Place),
}

/// The function that code is being generated for.
#[derive(Clone, Copy)]
pub struct Function {
    pub id: FunctionId,
    /// Where the context is: the first parameter in the main function, kept in the captured frame for loop bodies. Functions of the
    /// script have it if they need it.
    pub ctx: Option<Base>,
    /// The captured frame.
    pub captured: Option<Base>,
    /// The scratch memory, where it has been looked up.
    pub scratch: Option<VReg>,
    /// The record that is being filled in.
    pub reserved: Option<VReg>,
    pub role: FunctionRole,
    pub returns: Returns,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FunctionRole {
    Main,
    LoopBody,
    /// A function of the script.
    Called,
}

/// What becomes of the value that the script returns: from the program, or from the function of the script that this is or is
/// part of.
#[derive(Clone, Copy)]
pub enum Returns {
    /// The program's own result, a small number; functions without a value give 0.
    Status,
    /// It is handed over in the register of results.
    Number,
    /// It is written to this address.
    Memory(VReg),
}

/// Where `break` and `continue` go.
#[derive(Clone, Copy)]
pub enum Loop {
    Native {
        next: Label,
        end: Label,
    },
    /// The body is a function: it returns 0 to go on and 1 to stop.
    Callback,
}

/// Bytes of scratch memory handed out so far. What is kept comes first; then the temporaries of a statement, which those of
/// the next may overwrite.
#[derive(Clone, Copy, Default)]
struct Scratch {
    /// Where temporaries begin, if the program needs scratch memory at all: a first run, whose code is thrown away, finds out.
    temporaries: Option<u32>,
    kept: u32,
    transient: u32,
    most: u32,
}

pub struct Outcome {
    pub assembled: Result<Assembled, AsmError>,
    pub needs: Needs,
}

/// Bytes that a program needs of the shared maps.
#[derive(Clone, Copy, Default)]
pub struct Needs {
    pub scratch: u32,
    pub zeros: u32,
}

impl<'a> Gen<'a> {
    /// Generates the program with temporaries of up to `on_stack` bytes on the stack.
    pub(super) fn run(
        probe: &'a Probe,
        plan: &'a Plan,
        kernel: &'a dyn Kernel,
        shared: &'a Shared,
        index: u32,
        on_stack: u32,
    ) -> Generated<Outcome> {
        let generate = |scratch, in_scratch| -> Generated<Gen<'a>> {
            let mut code = Gen::new(probe, plan, kernel, shared, index, on_stack, scratch);
            code.in_scratch = in_scratch;
            code.program()?;
            Ok(code)
        };
        let mut code = generate(Scratch::default(), HashSet::new())?;
        let scratch = code.scratch.kept + code.scratch.most;
        if scratch > 0 {
            let temporaries = Some(code.scratch.kept);
            code = generate(Scratch { temporaries, ..Scratch::default() }, code.in_scratch)?;
        }
        let needs = Needs { scratch, zeros: code.zeros };
        Ok(Outcome { assembled: code.asm.finish(), needs })
    }

    fn new(
        probe: &'a Probe,
        plan: &'a Plan,
        kernel: &'a dyn Kernel,
        shared: &'a Shared,
        index: u32,
        on_stack: u32,
        scratch: Scratch,
    ) -> Self {
        let function = Function {
            id: MAIN,
            ctx: Some(Base::Ctx),
            captured: None,
            scratch: None,
            reserved: None,
            role: FunctionRole::Main,
            returns: Returns::Status,
        };
        Self {
            asm: Asm::new(),
            probe,
            plan,
            kernel,
            shared,
            cache: Cache::new(),
            vars: vec![None; probe.vars.len()],
            loops: Vec::new(),
            function,
            functions: Vec::new(),
            guard: None,
            index,
            on_stack,
            scratch,
            in_scratch: HashSet::new(),
            zeros: 0,
        }
    }

    fn program(&mut self) -> Generated<()> {
        let probe = self.probe;
        for function in probe.functions.values() {
            self.called_function(function)?;
            // What is called may be in the middle of a statement, whose temporaries must stay.
            self.scratch.transient = self.scratch.most;
        }
        self.guard = self.shared.guard.filter(|_| is_preempted(probe));
        if let Some(Guard { hold, .. }) = self.guard {
            self.asm.comment("nobody else on this CPU until the end");
            self.asm.call(hold, &[]);
        }
        self.note_tick();
        self.body(&probe.body, &[])
    }

    /// Leaves the current function with this result. A record that is being filled in goes back to the ring.
    pub fn exit(&mut self, result: Operand) {
        if let Some(record) = self.function.reserved {
            self.asm.call(Helper::RINGBUF_DISCARD, &[Arg::Reg(record), Arg::Imm(0)]);
        }
        if let (FunctionRole::Main, Some(Guard { release, .. })) = (self.function.role, self.guard) {
            self.asm.call(release, &[]);
        }
        self.asm.exit(result);
    }

    /// The body of the current function, up to its end. Parameters are in these registers.
    pub fn body(&mut self, body: &'a Block, params: &[(VarId, VReg)]) -> Generated<()> {
        self.find_scratch();
        self.capture_variables(body, params);
        self.keep_addressed(body);
        for (var, handed) in params {
            self.take_over(*var, *handed, body);
        }
        self.block(body)?;
        if self.asm.is_reachable() {
            self.exit(Operand::Imm(0));
        }
        Ok(())
    }

    /// Looks up this program's scratch memory on this CPU. Without it (which cannot happen) the function does nothing.
    pub fn find_scratch(&mut self) {
        if self.scratch.temporaries.is_none() || !self.in_scratch.contains(&self.function.id) {
            return;
        }
        let key = Place::new(Base::Frame(self.asm.slot(4)), 0);
        self.asm.comment("scratch memory of this program");
        let entry = self.scratch_entry();
        self.asm.store(Size::B4, key, entry);
        let memory = self.asm.call(Helper::MAP_LOOKUP_ELEM, &[Arg::Map(self.shared.scratch), Arg::Address(key)]);
        let there = self.asm.label();
        self.asm.branch(Cond::Ne, memory.into(), Operand::Imm(0), there);
        self.exit(Operand::Imm(0));
        self.asm.place(there);
        self.function.scratch = Some(memory);
    }

    fn scratch_entry(&mut self) -> Operand {
        let program = i64::from(self.index);
        match self.shared.memory {
            Memory::PerCpu => Operand::Imm(program),
            Memory::ForEachCpu => {
                let cpu = self.asm.call_constant(Helper::GET_SMP_PROCESSOR_ID, &[]);
                self.asm.alu(Alu::Add, cpu.into(), Operand::Imm(program * i64::from(self.kernel.cpus())))
            }
        }
    }

    /// Memory for a value that other statements use too; its contents are undefined.
    pub fn lasting(&mut self, bytes: u32) -> Place {
        if !self.is_large(bytes) {
            return self.stack(bytes);
        }
        let start = self.keep_scratch(bytes);
        self.in_scratch(start)
    }

    /// Memory for a temporary of one statement; its contents are undefined.
    pub fn temporary(&mut self, bytes: u32) -> Place {
        if self.is_large(bytes) { self.scratch(bytes) } else { self.stack(bytes) }
    }

    pub fn stack(&mut self, bytes: u32) -> Place {
        Place::new(Base::Frame(self.asm.slot(bytes.max(1).next_multiple_of(8))), 0)
    }

    /// Memory beside the stack, where loads need not be aligned.
    pub fn scratch(&mut self, bytes: u32) -> Place {
        let Scratch { temporaries, transient, most, .. } = self.scratch;
        self.scratch.transient = transient + bytes.next_multiple_of(8);
        self.scratch.most = most.max(self.scratch.transient);
        self.in_scratch(temporaries.unwrap_or(0) + transient)
    }

    /// Does something whose temporaries nobody needs afterwards.
    pub fn with_temporaries<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.scratch.transient;
        let result = act(self);
        self.scratch.transient = before;
        result
    }

    /// A piece of scratch memory: its offset, the same in all functions.
    pub fn keep_scratch(&mut self, bytes: u32) -> u32 {
        let start = self.scratch.kept;
        self.scratch.kept = start + bytes.next_multiple_of(8);
        start
    }

    pub fn in_scratch(&mut self, start: u32) -> Place {
        match self.function.scratch {
            Some(memory) => Place::new(Base::Reg(memory), start as i32),
            // The first run only finds out who needs how much; its code is thrown away.
            None => {
                self.in_scratch.insert(self.function.id);
                self.stack(8)
            }
        }
    }

    pub fn count(&mut self, counter: CounterId) {
        self.asm.comment("counted");
        let place = Place::new(Base::Map(self.shared.counters), 8 * counter.0 as i32);
        self.asm.atomic_add(place, Operand::Imm(1));
    }

    /// A conditional part begins.
    pub fn enter(&mut self) {
        self.asm.enter();
        self.cache.enter();
    }

    pub fn leave(&mut self) {
        self.asm.leave();
        self.cache.leave();
    }

    pub fn storage(&mut self, var: VarId) -> Storage {
        let kept = self.vars[var.0 as usize].unwrap_or_else(|| self.keep_variable(var));
        match kept {
            Kept::Register(variable) => Storage::Register(variable),
            Kept::Memory(place) => Storage::Memory(place),
            Kept::Captured(offset) => Storage::Memory(self.captured(offset)),
            Kept::Scratch(start) => Storage::Memory(self.in_scratch(start)),
        }
    }

    fn keep_variable(&mut self, var: VarId) -> Kept {
        let ty = &self.probe.vars[var].ty;
        let kept =
            if ty.is_scalar() { Kept::Register(self.asm.variable()) } else { Kept::Memory(self.lasting(ty.size())) };
        self.vars[var.0 as usize] = Some(kept);
        kept
    }

    pub fn keep_in_memory(&mut self, var: VarId) {
        if self.vars[var.0 as usize].is_none() {
            let place = self.lasting(self.probe.vars[var].ty.size());
            self.vars[var.0 as usize] = Some(Kept::Memory(place));
        }
    }

    /// Whether a temporary of this size goes to scratch memory rather than the stack.
    pub fn is_large(&self, bytes: u32) -> bool {
        bytes > self.on_stack
    }

    /// A place in the frame that loop bodies share with the code around them.
    pub fn captured(&self, offset: i32) -> Place {
        // Only code that shares the frame mentions captured variables.
        Place::new(self.function.captured.unwrap_or(Base::Ctx), offset)
    }

    pub fn ctx(&self, offset: i32) -> Place {
        // The checker has it handed to all functions that ask for it.
        Place::new(self.function.ctx.unwrap_or(Base::Ctx), offset)
    }
}

/// The size of a scalar's load or store.
pub fn size_of(ty: &Type) -> Size {
    match ty.size() {
        1 => Size::B1,
        2 => Size::B2,
        4 => Size::B4,
        _ => Size::B8,
    }
}

/// `place`, so many bytes further.
pub fn at(place: Place, offset: u32) -> Place {
    Place::new(place.base, place.offset + offset as i32)
}
