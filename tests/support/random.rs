//! Random programs: made from a seed, built through the assembler, and evaluated directly as the oracle for what was built.

use rtrace::bpf::Helper;
use rtrace::bpf::asm::{Alu, Arg, Asm, Base, Cond, Label, Operand, Place, Size, Slot, VReg};
use rtrace::types::Sign;

use super::machine::{Machine, World};

/// Whether the program must also please the kernel's verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Anything,
    Loadable,
}

/// Bytes of context: what a raw tracepoint program may read.
pub const CONTEXT: usize = 96;

/// Variables, values and slots are named by number. Values are numbered as they are made; those of inner blocks are not
/// seen outside.
#[derive(Debug, Clone)]
pub enum Step {
    Alu(Alu, Term, Term),
    Extend(Term, u8, Sign),
    LoadContext(Size, i32, Kind),
    Get(usize),
    Set(usize, Term),
    /// A slot of this many words, each stored with a term.
    Slot(Vec<Term>),
    LoadSlot(Size, usize, i32),
    /// Loads the byte at a computed offset.
    LoadDynamic(usize, Term),
    StoreSlot(Size, usize, i32, Term),
    StoreDynamic(usize, Term, Term),
    AtomicAdd(usize, i32, Term),
    Call(Kind, Vec<Term>),
    /// Reads kernel memory at the term into a slot's first word.
    Read(usize, Term),
    If(Cond, Term, Term, Vec<Step>, Vec<Step>),
    Loop(i64, Vec<Step>),
    /// Leaves the innermost loop.
    BreakIf(Cond, Term, Term),
    Exit(Term),
}

#[derive(Debug, Clone, Copy)]
pub enum Term {
    Value(usize),
    Variable(usize),
    Imm(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The same each time, so done only once.
    Constant,
    Effect,
}

#[derive(Debug, Clone)]
pub struct Program {
    pub variables: usize,
    pub steps: Vec<Step>,
}

/// A helper of the test's own that takes as many arguments as its number is greater than this.
const MIX: u32 = 100_000;

/// A generator of numbers (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

impl Program {
    pub fn random(seed: u64, dialect: Dialect) -> Program {
        let length = 3 + Random(!seed).below(60);
        Self::random_of(seed, dialect, length)
    }

    /// One with this many steps at the top level.
    pub fn random_of(seed: u64, dialect: Dialect, length: usize) -> Program {
        let mut random = Random(seed);
        let variables = random.below(6);
        let mut author = Author { random, dialect, variables, values: Vec::new(), made: 0, slots: 0, loops: 0 };
        let steps = author.steps(length, 0);
        Program { variables, steps }
    }
}

struct Author {
    random: Random,
    dialect: Dialect,
    variables: usize,
    /// Values in scope.
    values: Vec<usize>,
    made: usize,
    slots: usize,
    loops: usize,
}

const ALUS: [Alu; 11] =
    [Alu::Add, Alu::Sub, Alu::Mul, Alu::Div, Alu::Mod, Alu::And, Alu::Or, Alu::Xor, Alu::Shl, Alu::Shr, Alu::Sar];
const CONDS: [Cond; 11] =
    [Cond::Eq, Cond::Ne, Cond::Lt, Cond::Le, Cond::Gt, Cond::Ge, Cond::SLt, Cond::SLe, Cond::SGt, Cond::SGe, Cond::Set];
const SIZES: [Size; 4] = [Size::B1, Size::B2, Size::B4, Size::B8];
const CONSTANTS: [i64; 22] = [
    0,
    1,
    2,
    3,
    7,
    8,
    10,
    16,
    31,
    32,
    63,
    64,
    100,
    255,
    0xffff,
    0xffff_ffff,
    -1,
    -8,
    i32::MAX as i64,
    1 << 40,
    i64::MIN,
    i64::MAX,
];

impl Author {
    fn steps(&mut self, length: usize, depth: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..length {
            let step = self.step(depth);
            let ends = matches!(step, Step::Exit(_));
            steps.push(step);
            if ends {
                break;
            }
        }
        steps
    }

    fn step(&mut self, depth: usize) -> Step {
        let slots = self.slots;
        match self.random.below(40) {
            0..=13 => {
                let (op, a, b) = (self.random.pick(&ALUS), self.term(), self.term());
                self.value(Step::Alu(op, a, b))
            }
            14..=15 => {
                let (term, bits) = (self.term(), self.random.pick(&[1, 8, 16, 31, 32, 33, 64]));
                let sign = self.random.pick(&[Sign::Signed, Sign::Unsigned]);
                self.value(Step::Extend(term, bits, sign))
            }
            16..=18 => self.load_context(),
            19 if self.variables > 0 => {
                let variable = self.random.below(self.variables);
                self.value(Step::Get(variable))
            }
            20..=22 if self.variables > 0 => Step::Set(self.random.below(self.variables), self.term()),
            23 if self.slots < 12 => {
                let words = 1 + self.random.below(3);
                let step = Step::Slot((0..words).map(|_| self.term()).collect());
                self.slots += 1;
                step
            }
            24 if slots > 0 => {
                let slot = self.random.below(slots);
                let (size, at) = self.piece();
                self.value(Step::LoadSlot(size, slot, at))
            }
            25 if slots > 0 => {
                let (slot, at) = (self.random.below(slots), self.term());
                self.value(Step::LoadDynamic(slot, at))
            }
            26 if slots > 0 => {
                let (size, at) = self.piece();
                Step::StoreSlot(size, self.random.below(slots), at, self.term())
            }
            27 if slots > 0 => Step::StoreDynamic(self.random.below(slots), self.term(), self.term()),
            28 if slots > 0 => Step::AtomicAdd(self.random.below(slots), 0, self.term()),
            29..=31 => self.call(),
            32 if slots > 0 => {
                let (slot, from) = (self.random.below(slots), self.term());
                self.value(Step::Read(slot, from))
            }
            33..=35 if depth < 3 => self.branch(depth),
            36 if depth < 3 && (self.dialect == Dialect::Anything || self.loops == 0) => self.repeat(depth),
            37 if self.loops > 0 => Step::BreakIf(self.random.pick(&CONDS), self.term(), self.term()),
            38 if depth > 0 && self.random.below(4) == 0 => Step::Exit(self.term()),
            _ => {
                let (op, a, b) = (self.random.pick(&ALUS), self.term(), self.term());
                self.value(Step::Alu(op, a, b))
            }
        }
    }

    fn value(&mut self, step: Step) -> Step {
        self.values.push(self.made);
        self.made += 1;
        step
    }

    fn term(&mut self) -> Term {
        match self.random.below(10) {
            0..=6 if !self.values.is_empty() => Term::Value(self.random.pick(&self.values)),
            7 if self.variables > 0 => Term::Variable(self.random.below(self.variables)),
            8 => Term::Imm(self.random.next() as i64 >> self.random.below(64)),
            _ => Term::Imm(self.random.pick(&CONSTANTS)),
        }
    }

    /// A size and an aligned offset within a word.
    fn piece(&mut self) -> (Size, i32) {
        let size = self.random.pick(&SIZES);
        (size, (self.random.below(8 / size.bytes() as usize) * size.bytes() as usize) as i32)
    }

    fn load_context(&mut self) -> Step {
        let word = 8 * self.random.below(CONTEXT / 8) as i32;
        let (size, within) = match self.dialect {
            Dialect::Anything => self.piece(),
            Dialect::Loadable => (Size::B8, 0),
        };
        let kind = self.random.pick(&[Kind::Constant, Kind::Effect]);
        self.value(Step::LoadContext(size, word + within, kind))
    }

    fn call(&mut self) -> Step {
        let kind = self.random.pick(&[Kind::Constant, Kind::Effect]);
        let count = match self.dialect {
            Dialect::Anything => self.random.below(6),
            Dialect::Loadable => 0,
        };
        let args = (0..count).map(|_| self.term()).collect();
        self.value(Step::Call(kind, args))
    }

    fn branch(&mut self, depth: usize) -> Step {
        let (cond, a, b) = (self.random.pick(&CONDS), self.term(), self.term());
        let (then, other) = (self.random.below(8), self.random.below(6));
        let then = self.inner(then, depth);
        let other = self.inner(other, depth);
        Step::If(cond, a, b, then, other)
    }

    fn repeat(&mut self, depth: usize) -> Step {
        let (count, length) = (1 + self.random.below(4) as i64, 1 + self.random.below(10));
        self.loops += 1;
        let body = self.inner(length, depth);
        self.loops -= 1;
        Step::Loop(count, body)
    }

    /// Steps whose values and slots are not seen outside; the numbers of values go on, those of slots are taken back.
    fn inner(&mut self, length: usize, depth: usize) -> Vec<Step> {
        let (values, slots) = (self.values.len(), self.slots);
        let steps = self.steps(length, depth + 1);
        self.values.truncate(values);
        self.slots = slots;
        steps
    }
}

/// Builds a program through the assembler.
pub struct Builder {
    pub asm: Asm,
    variables: Vec<VReg>,
    values: Vec<Operand>,
    slots: Vec<(Slot, i32)>,
    ends: Vec<Label>,
}

impl Builder {
    pub fn build(program: &Program) -> Asm {
        let mut builder =
            Builder { asm: Asm::new(), variables: Vec::new(), values: Vec::new(), slots: Vec::new(), ends: Vec::new() };
        for number in 0..program.variables {
            let variable = builder.asm.variable();
            builder.asm.set(variable, Operand::Imm(number as i64));
            builder.variables.push(variable);
        }
        let visible = builder.steps(&program.steps);
        builder.sum(&visible);
        builder.asm
    }

    /// Exits with a value that depends on all that can be seen at the end.
    fn sum(&mut self, visible: &[usize]) {
        let mut sum = Operand::Imm(1);
        let values: Vec<Operand> = visible.iter().map(|value| self.values[*value]).collect();
        let variables: Vec<Operand> = self.variables.iter().map(|variable| Operand::Reg(*variable)).collect();
        for term in values.into_iter().chain(variables) {
            sum = self.asm.alu(Alu::Mul, sum, Operand::Imm(31));
            sum = self.asm.alu(Alu::Add, sum, term);
        }
        for (slot, words) in self.slots.clone() {
            for word in 0..words {
                let value = self.asm.load(Size::B8, Place::new(Base::Frame(slot), word * 8));
                sum = self.asm.alu(Alu::Mul, sum, Operand::Imm(31));
                sum = self.asm.alu(Alu::Add, sum, value.into());
            }
        }
        self.asm.exit(sum);
    }

    /// Builds steps; gives the values made at this level.
    fn steps(&mut self, steps: &[Step]) -> Vec<usize> {
        steps.iter().filter_map(|step| self.step(step)).collect()
    }

    fn step(&mut self, step: &Step) -> Option<usize> {
        let value = match step {
            Step::Alu(op, a, b) => self.asm.alu(*op, self.term(a), self.term(b)),
            Step::Extend(term, bits, sign) => self.asm.extend(self.term(term), *bits, *sign),
            Step::LoadContext(size, at, Kind::Constant) => self.asm.load_pure(*size, Place::new(Base::Ctx, *at)).into(),
            Step::LoadContext(size, at, Kind::Effect) => self.asm.load(*size, Place::new(Base::Ctx, *at)).into(),
            Step::Get(variable) => self.asm.get(self.variables[*variable]).into(),
            Step::LoadSlot(size, slot, at) => {
                self.asm.load(*size, Place::new(Base::Frame(self.slots[*slot].0), *at)).into()
            }
            Step::LoadDynamic(slot, at) => {
                let place = self.dynamic(*slot, at);
                self.asm.load(Size::B1, place).into()
            }
            Step::Call(kind, args) => self.call(*kind, args).into(),
            Step::Read(slot, from) => {
                let from = Arg::from_term(self.term(from));
                let to = Arg::Address(Place::new(Base::Frame(self.slots[*slot].0), 0));
                self.asm.call(Helper::PROBE_READ_KERNEL, &[to, Arg::Imm(8), from]).into()
            }
            _ => {
                self.effect(step);
                return None;
            }
        };
        self.values.push(value);
        Some(self.values.len() - 1)
    }

    fn effect(&mut self, step: &Step) {
        match step {
            Step::Set(variable, term) => self.asm.set(self.variables[*variable], self.term(term)),
            Step::Slot(words) => {
                let slot = self.asm.slot(8 * words.len() as u32);
                for (word, term) in (0..).zip(words) {
                    self.asm.store(Size::B8, Place::new(Base::Frame(slot), word * 8), self.term(term));
                }
                self.slots.push((slot, words.len() as i32));
            }
            Step::StoreSlot(size, slot, at, term) => {
                self.asm.store(*size, Place::new(Base::Frame(self.slots[*slot].0), *at), self.term(term));
            }
            Step::StoreDynamic(slot, at, term) => {
                let place = self.dynamic(*slot, at);
                self.asm.store(Size::B1, place, self.term(term));
            }
            Step::AtomicAdd(slot, at, term) => {
                self.asm.atomic_add(Place::new(Base::Frame(self.slots[*slot].0), *at), self.term(term));
            }
            Step::If(cond, a, b, then, other) => self.branch(*cond, self.term(a), self.term(b), then, other),
            Step::Loop(count, body) => self.repeat(*count, body),
            Step::BreakIf(cond, a, b) => {
                let end = self.ends[self.ends.len() - 1];
                self.asm.branch(*cond, self.term(a), self.term(b), end);
            }
            Step::Exit(term) => self.asm.exit(self.term(term)),
            _ => unreachable!("{step:?} makes a value"),
        }
    }

    fn term(&self, term: &Term) -> Operand {
        match *term {
            Term::Value(value) => self.values[value],
            Term::Variable(variable) => Operand::Reg(self.variables[variable]),
            Term::Imm(value) => Operand::Imm(value),
        }
    }

    /// A byte of the slot's first word, at an offset taken from the term's low bits.
    fn dynamic(&mut self, slot: usize, at: &Term) -> Place {
        let at = self.asm.alu(Alu::And, self.term(at), Operand::Imm(7));
        let start = self.asm.address(Place::new(Base::Frame(self.slots[slot].0), 0));
        match self.asm.alu(Alu::Add, start.into(), at) {
            Operand::Reg(reg) => Place::new(Base::Reg(reg), 0),
            Operand::Imm(_) => unreachable!("an address is no constant"),
        }
    }

    fn call(&mut self, kind: Kind, args: &[Term]) -> VReg {
        let args: Vec<Arg> = args.iter().map(|term| Arg::from_term(self.term(term))).collect();
        match (kind, args.is_empty()) {
            (Kind::Constant, true) => self.asm.call_constant(Helper::GET_CURRENT_PID_TGID, &[]),
            (Kind::Effect, true) => self.asm.call(Helper::KTIME_GET_NS, &[]),
            (Kind::Constant, false) => self.asm.call_constant(Helper(MIX + args.len() as u32), &args),
            (Kind::Effect, false) => self.asm.call(Helper(MIX + args.len() as u32), &args),
        }
    }

    fn branch(&mut self, cond: Cond, a: Operand, b: Operand, then: &[Step], other: &[Step]) {
        let (taken, not_taken, end) = (self.asm.label(), self.asm.label(), self.asm.label());
        let slots = self.slots.len();
        self.asm.branch(cond, a, b, taken);
        self.asm.jump(not_taken);
        for (begin, steps) in [(taken, then), (not_taken, other)] {
            self.asm.place(begin);
            self.asm.enter();
            self.steps(steps);
            self.asm.leave();
            self.slots.truncate(slots);
            self.asm.jump(end);
        }
        self.asm.place(end);
    }

    fn repeat(&mut self, count: i64, body: &[Step]) {
        let (head, end) = (self.asm.label(), self.asm.label());
        let slots = self.slots.len();
        let index = self.asm.variable();
        self.asm.set(index, Operand::Imm(0));
        self.asm.place(head);
        self.asm.branch(Cond::Ge, index.into(), Operand::Imm(count), end);
        self.asm.enter();
        self.ends.push(end);
        self.steps(body);
        self.ends.pop();
        let next = self.asm.alu(Alu::Add, index.into(), Operand::Imm(1));
        self.asm.set(index, next);
        self.asm.jump(head);
        self.asm.leave();
        self.slots.truncate(slots);
        self.asm.place(end);
    }
}

/// Turns an operand into an argument.
trait FromTerm {
    fn from_term(term: Operand) -> Arg;
}

impl FromTerm for Arg {
    fn from_term(term: Operand) -> Arg {
        match term {
            Operand::Reg(reg) => Arg::Reg(reg),
            Operand::Imm(value) => Arg::Imm(value),
        }
    }
}

/// What helpers return, for the interpreter and the direct evaluation alike.
#[derive(Default)]
pub struct Helpers {
    /// Calls with an effect so far.
    calls: u64,
}

impl Helpers {
    fn mix(&mut self, args: &[u64]) -> u64 {
        args.iter().fold(0x1234, |hash, arg| mix(hash ^ arg))
    }

    fn time(&mut self) -> u64 {
        self.calls += 1;
        mix(self.calls)
    }
}

impl World for Helpers {
    fn call(&mut self, machine: &mut Machine, helper: Helper, args: [Option<u64>; 5]) -> Result<u64, String> {
        match helper {
            Helper::GET_CURRENT_PID_TGID => Ok(self.mix(&[])),
            Helper::KTIME_GET_NS => Ok(self.time()),
            Helper(number @ MIX..) => {
                let args = args.into_iter().take((number - MIX) as usize).collect::<Option<Vec<u64>>>();
                Ok(self.mix(&args.ok_or("an argument was never set")?))
            }
            Helper::PROBE_READ_KERNEL => {
                let [Some(to), Some(8), Some(from), ..] = args else { return Err(format!("arguments {args:?}")) };
                machine.memory.write(to, &mix(from).to_le_bytes())?;
                Ok(from & 1)
            }
            _ => Err(format!("no {helper} here")),
        }
    }

    fn map(&mut self, _: &mut Machine, map: rtrace::plan::MapId) -> Result<u64, String> {
        Err(format!("no {map:?} here"))
    }

    fn map_value(&mut self, _: &mut Machine, map: rtrace::plan::MapId) -> Result<u64, String> {
        Err(format!("no {map:?} here"))
    }
}

/// Runs a program without the assembler.
pub struct Evaluator<'a> {
    context: &'a [u8],
    helpers: Helpers,
    variables: Vec<u64>,
    values: Vec<u64>,
    slots: Vec<Vec<u8>>,
}

/// Why steps ended before their end.
enum Leave {
    Break,
    Exit(u64),
}

impl Evaluator<'_> {
    pub fn run(program: &Program, context: &[u8]) -> u64 {
        let mut evaluator = Evaluator {
            context,
            helpers: Helpers::default(),
            variables: (0..program.variables as u64).collect(),
            values: vec![0; count(&program.steps)],
            slots: Vec::new(),
        };
        let mut next = 0;
        match evaluator.steps(&program.steps, &mut next) {
            Err(Leave::Exit(value)) => value,
            Err(Leave::Break) => unreachable!("a break outside of loops"),
            Ok(visible) => evaluator.sum(&visible),
        }
    }

    fn sum(&self, visible: &[usize]) -> u64 {
        let values = visible.iter().map(|value| self.values[*value]).chain(self.variables.iter().copied());
        let words = self.slots.iter().flat_map(|slot| slot.chunks(8)).map(number);
        values.chain(words).fold(1, |sum: u64, term| sum.wrapping_mul(31).wrapping_add(term))
    }

    fn steps(&mut self, steps: &[Step], next: &mut usize) -> Result<Vec<usize>, Leave> {
        let mut visible = Vec::new();
        for step in steps {
            match self.value(step) {
                Some(value) => {
                    self.values[*next] = value;
                    visible.push(*next);
                    *next += 1;
                }
                None => self.effect(step, next)?,
            }
        }
        Ok(visible)
    }

    fn value(&mut self, step: &Step) -> Option<u64> {
        Some(match step {
            Step::Alu(op, a, b) => alu(*op, self.term(a), self.term(b)),
            Step::Extend(term, bits, sign) => extend(self.term(term), *bits, *sign),
            Step::LoadContext(size, at, _) => load(self.context, *size, *at),
            Step::Get(variable) => self.variables[*variable],
            Step::LoadSlot(size, slot, at) => load(&self.slots[*slot], *size, *at),
            Step::LoadDynamic(slot, at) => self.slots[*slot][(self.term(at) & 7) as usize].into(),
            Step::Call(kind, args) => match (kind, args.is_empty()) {
                (Kind::Effect, true) => self.helpers.time(),
                _ => {
                    let args: Vec<u64> = args.iter().map(|term| self.term(term)).collect();
                    self.helpers.mix(&args)
                }
            },
            Step::Read(slot, from) => {
                let from = self.term(from);
                self.slots[*slot][..8].copy_from_slice(&mix(from).to_le_bytes());
                from & 1
            }
            _ => return None,
        })
    }

    fn effect(&mut self, step: &Step, next: &mut usize) -> Result<(), Leave> {
        match step {
            Step::Set(variable, term) => self.variables[*variable] = self.term(term),
            Step::Slot(words) => {
                self.slots.push(words.iter().flat_map(|term| self.term(term).to_le_bytes()).collect());
            }
            Step::StoreSlot(size, slot, at, term) => {
                let bytes = self.term(term).to_le_bytes();
                let (at, size) = (*at as usize, size.bytes() as usize);
                self.slots[*slot][at..at + size].copy_from_slice(&bytes[..size]);
            }
            Step::StoreDynamic(slot, at, term) => {
                let at = (self.term(at) & 7) as usize;
                self.slots[*slot][at] = self.term(term) as u8;
            }
            Step::AtomicAdd(slot, _, term) => {
                let sum = number(&self.slots[*slot][..8]).wrapping_add(self.term(term));
                self.slots[*slot][..8].copy_from_slice(&sum.to_le_bytes());
            }
            Step::If(cond, a, b, then, other) => {
                self.branch(holds(*cond, self.term(a), self.term(b)), then, other, next)?
            }
            Step::Loop(times, body) => self.repeat(*times, body, next)?,
            Step::BreakIf(cond, a, b) if holds(*cond, self.term(a), self.term(b)) => return Err(Leave::Break),
            Step::BreakIf(..) => {}
            Step::Exit(term) => return Err(Leave::Exit(self.term(term))),
            _ => unreachable!("{step:?} makes a value"),
        }
        Ok(())
    }

    fn branch(&mut self, holds: bool, then: &[Step], other: &[Step], next: &mut usize) -> Result<(), Leave> {
        let slots = self.slots.len();
        let mut first = *next;
        let mut second = first + count(then);
        *next = second + count(other);
        let result = if holds { self.steps(then, &mut first) } else { self.steps(other, &mut second) };
        self.slots.truncate(slots);
        result.map(|_| ())
    }

    fn repeat(&mut self, times: i64, body: &[Step], next: &mut usize) -> Result<(), Leave> {
        let first = *next;
        *next += count(body);
        let slots = self.slots.len();
        for _ in 0..times {
            let result = self.steps(body, &mut first.clone());
            self.slots.truncate(slots);
            match result {
                Ok(_) => {}
                Err(Leave::Break) => break,
                Err(exit) => return Err(exit),
            }
        }
        Ok(())
    }

    fn term(&self, term: &Term) -> u64 {
        match *term {
            Term::Value(value) => self.values[value],
            Term::Variable(variable) => self.variables[variable],
            Term::Imm(value) => value as u64,
        }
    }
}

/// How many values these steps make, inner ones included.
fn count(steps: &[Step]) -> usize {
    let each = |step: &Step| match step {
        Step::If(_, _, _, then, other) => count(then) + count(other),
        Step::Loop(_, body) => count(body),
        Step::Alu(..) | Step::Extend(..) | Step::LoadContext(..) | Step::Get(_) | Step::LoadSlot(..) => 1,
        Step::LoadDynamic(..) | Step::Call(..) | Step::Read(..) => 1,
        Step::Set(..) | Step::Slot(_) | Step::StoreSlot(..) | Step::StoreDynamic(..) | Step::AtomicAdd(..) => 0,
        Step::BreakIf(..) | Step::Exit(_) => 0,
    };
    steps.iter().map(each).sum()
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn load(bytes: &[u8], size: Size, at: i32) -> u64 {
    number(&bytes[at as usize..at as usize + size.bytes() as usize])
}

fn extend(value: u64, bits: u8, sign: Sign) -> u64 {
    let unused = 64 - bits;
    match sign {
        Sign::Signed => ((value << unused) as i64 >> unused) as u64,
        Sign::Unsigned => value << unused >> unused,
    }
}

fn alu(op: Alu, a: u64, b: u64) -> u64 {
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

fn holds(cond: Cond, a: u64, b: u64) -> bool {
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
