//! A random program without the assembler, and the helpers that it and the interpreter share.

use rtrace::bpf::Helper;
use rtrace::bpf::asm::Size;
use rtrace::plan::MapId;
use rtrace::types::Sign;

use super::{Kind, MIX, Program, Step, Term};
use crate::machine::{Machine, World, alu, holds};
use crate::numbers::mix;

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

    fn map(&mut self, _: &mut Machine, map: MapId) -> Result<u64, String> {
        Err(format!("no {map:?} here"))
    }

    fn map_value(&mut self, _: &mut Machine, map: MapId) -> Result<u64, String> {
        Err(format!("no {map:?} here"))
    }
}
