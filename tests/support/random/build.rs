//! A random program through the assembler.

use rtrace::bpf::Helper;
use rtrace::bpf::asm::{Alu, Arg, Asm, Base, Cond, Label, Operand, Place, Size, Slot, VReg};

use super::{Kind, MIX, Program, Step, Term};

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
