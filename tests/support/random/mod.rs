//! Random programs: made from a seed, built through the assembler, and evaluated directly as the oracle for what was built.

mod build;
mod evaluate;

use rtrace::bpf::asm::{Alu, Cond, Size};
use rtrace::types::Sign;

use crate::numbers::Random;

pub use build::Builder;
pub use evaluate::{Evaluator, Helpers};

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
            // Kernels before 5.12 do not follow writes to the stack at a computed offset.
            27 if slots > 0 && self.dialect == Dialect::Anything => {
                Step::StoreDynamic(self.random.below(slots), self.term(), self.term())
            }
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
