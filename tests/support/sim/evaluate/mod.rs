//! A probe of the core IR, run directly: the oracle for what code generation makes of it. Written for plainness; everything is
//! evaluated from left to right, and a value before the place that it goes to.

mod address;
mod expr;
mod memory;
mod text;

use address::Held;
use rtrace::id::Id;
use rtrace::ir::{Block, Expr, FunctionId, Probe, Step, StepOp, Stmt, StmtKind, VarId};
use rtrace::plan::{ActionId, Cause, CounterId, MapId, Plan, Refusals, Role};
use rtrace::types::{Sign, Type};

use super::scene::{Moment, Scene};
use super::store::{IfPresent, Insertion, ONLY, Record, Store, canonical};
pub use memory::word;

/// What an expression gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A scalar, extended to 64 bits as its type says.
    Scalar(u64),
    /// The bytes of anything else.
    Memory(Vec<u8>),
}

/// Why a block ended before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leave {
    Break,
    Continue,
    /// From the whole program or a function, with this result.
    Return(Value),
    /// The IR breaks one of its own rules.
    Broken(String),
}

pub type Run<T> = Result<T, Leave>;

/// Whether a loop goes on after a round of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    GoOn,
    Last,
}

pub struct Evaluator<'a> {
    plan: &'a Plan,
    probe: &'a Probe,
    vars: Vec<Value>,
    store: &'a mut Store,
    scene: Scene,
    /// What has an address because it was asked for.
    held: Vec<Held>,
    /// Statements that may still run before the program counts as endless.
    fuel: u32,
}

/// Runs one probe for one moment, and gives its result. The error says which rule the IR breaks.
pub fn run(probe: &Probe, plan: &Plan, store: &mut Store, moment: Moment) -> Result<u64, String> {
    let vars = probe.vars.values().map(|var| Value::zero(&var.ty)).collect();
    let mut evaluator =
        Evaluator { plan, probe, vars, store, scene: Scene::new(moment), held: Vec::new(), fuel: 1_000_000 };
    match evaluator.block(&probe.body) {
        Ok(()) => Ok(0),
        Err(Leave::Return(Value::Scalar(result))) => Ok(result),
        Err(Leave::Broken(rule)) => Err(rule),
        Err(leave) => Err(format!("{leave:?} outside of a loop")),
    }
}

impl Evaluator<'_> {
    fn block(&mut self, block: &Block) -> Run<()> {
        block.iter().try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &Stmt) -> Run<()> {
        self.burn()?;
        match &statement.kind {
            StmtKind::Eval(value) => self.effect(value),
            StmtKind::Set(var, value) => self.set(*var, value),
            StmtKind::MapSet { map, key, value, refused } => self.map_set(*map, key.as_ref(), value, *refused),
            StmtKind::Update { map, key, steps, refused } => self.update(*map, key.as_ref(), steps, *refused),
            StmtKind::Count(counter) => {
                self.store.count(*counter);
                Ok(())
            }
            StmtKind::Announce(seen) => {
                self.announce(*seen);
                Ok(())
            }
            StmtKind::Emit { action, values, lost } => self.emit(*action, values, *lost),
            StmtKind::If { cond, then, otherwise } => {
                if self.truth(cond)? {
                    self.block(then)
                } else {
                    self.block(otherwise)
                }
            }
            StmtKind::For { var, from, to, body, bound } => self.for_range(*var, from, to, body, *bound),
            StmtKind::ForMap { map, key, value, body } => self.for_map(*map, *key, *value, body),
            StmtKind::While { cond, body } => self.while_loop(cond, body),
            StmtKind::Break => Err(Leave::Break),
            StmtKind::Continue => Err(Leave::Continue),
            StmtKind::Return(value) => {
                let value = value.as_ref().map_or(Ok(Value::Scalar(0)), |value| self.value(value))?;
                Err(Leave::Return(value))
            }
            StmtKind::Block(block) => self.block(block),
        }
    }

    fn burn(&mut self) -> Run<()> {
        self.fuel = self.fuel.checked_sub(1).ok_or_else(|| Leave::Broken("it runs too long".to_owned()))?;
        Ok(())
    }

    /// An expression of type void has no value to look at.
    fn effect(&mut self, value: &Expr) -> Run<()> {
        match &*value.kind {
            rtrace::ir::ExprKind::Seq(block, value) => {
                self.block(block)?;
                self.effect(value)
            }
            _ => self.value(value).map(|_| ()),
        }
    }

    fn set(&mut self, var: VarId, value: &Expr) -> Run<()> {
        let ty = &self.probe.vars[var].ty;
        if value.ty != *ty {
            return broken(format!("a variable of type {ty} is set to a value of type {}", value.ty));
        }
        self.vars[var.index()] = self.value(value)?;
        Ok(())
    }

    /// A function of the script: its variables are its own, since it cannot be under way twice.
    pub(super) fn invoke(&mut self, function: FunctionId, args: &[Expr]) -> Run<Value> {
        self.burn()?;
        let probe = self.probe;
        let of = &probe.functions[function];
        let values = args.iter().map(|arg| self.value(arg)).collect::<Run<Vec<_>>>()?;
        for (param, (arg, value)) in of.params.iter().zip(args.iter().zip(values)) {
            if arg.ty != probe.vars[*param].ty {
                return broken(format!("an argument of {} is of type {}", of.name, arg.ty));
            }
            self.vars[param.index()] = value;
        }
        match (self.block(&of.body), &of.result) {
            (Err(Leave::Return(value)), _) => Ok(value),
            (Ok(()), Type::Void) => Ok(Value::Scalar(0)),
            (Ok(()), _) => broken(format!("{} ends without a value", of.name)),
            (Err(leave), _) => Err(leave),
        }
    }

    fn map_set(&mut self, map: MapId, key: Option<&Expr>, value: &Expr, refused: Refusals) -> Run<()> {
        let bytes = self.bytes(value)?;
        let Some(key) = key else { return self.scalar_map_set(map, &bytes) };
        let key = self.key(map, key)?;
        self.insert(map, &key, &bytes, refused)
    }

    fn scalar_map_set(&mut self, map: MapId, value: &[u8]) -> Run<()> {
        let mark = self.mark(map);
        let slot = self.slot(map, &ONLY)?;
        slot[..value.len()].copy_from_slice(value);
        slot[mark] = 1;
        Ok(())
    }

    fn insert(&mut self, map: MapId, key: &[u8], value: &[u8], refused: Refusals) -> Run<()> {
        let cpu = self.scene.moment.cpu;
        let inserted = self.store.map(map).insert(cpu, key, value, IfPresent::Replace);
        self.note(inserted, refused);
        Ok(())
    }

    /// Counts what was refused; gives whether it was not.
    fn note(&mut self, inserted: Insertion, refused: Refusals) -> bool {
        let counter = match inserted {
            Insertion::Done | Insertion::Exists => return true,
            Insertion::Full => refused.full,
            Insertion::NoMemory => refused.memory,
            Insertion::Busy => refused.busy,
        };
        self.store.count(counter);
        false
    }

    /// A key's bytes, which must fill the map's keys exactly.
    fn key(&mut self, map: MapId, key: &Expr) -> Run<Vec<u8>> {
        let bytes = self.bytes(key)?;
        let size = self.plan.maps[map].key_size as usize;
        if bytes.len() == size {
            Ok(bytes)
        } else {
            broken(format!("a key of {} bytes for one of {size}", bytes.len()))
        }
    }

    fn update(&mut self, map: MapId, key: Option<&Expr>, steps: &[Step], refused: Refusals) -> Run<()> {
        let mut prepared = Vec::new();
        for step in steps {
            prepared.push((self.number(&step.index)? as usize, step.op, self.number(&step.value)?));
        }
        let key = match key {
            Some(key) => self.key(map, key)?,
            None => ONLY.to_vec(),
        };
        let (cpu, mark) = (self.scene.moment.cpu, self.mark(map));
        let table = self.store.map(map);
        let zeros = vec![0; table.value_size];
        let inserted = table.insert(cpu, &key, &zeros, IfPresent::Keep);
        if !self.note(inserted, refused) {
            return Ok(());
        }
        let of = &self.plan.maps[map];
        let words = of.mark().unwrap_or(of.value_size) as usize / 8;
        let slot = self.slot(map, &key)?;
        for (index, op, value) in prepared {
            step(slot, index.min(words - 1), op, value);
        }
        if of.mark().is_some() {
            slot[mark] = 1;
        }
        Ok(())
    }

    /// Where the mark of a scalar map lies.
    fn mark(&self, map: MapId) -> usize {
        match &self.plan.maps[map].role {
            Role::User { value, .. } => Plan::mark_offset(value) as usize,
            _ => 0,
        }
    }

    fn slot(&mut self, map: MapId, key: &[u8]) -> Run<&mut Vec<u8>> {
        let cpu = self.scene.moment.cpu;
        self.store.map(map).get(cpu, key).ok_or_else(|| Leave::Broken(format!("{map:?} lacks its entry")))
    }

    fn emit(&mut self, action: ActionId, values: &[Expr], lost: CounterId) -> Run<()> {
        let values = values.iter().map(|value| Ok((&value.ty, self.bytes(value)?))).collect::<Run<Vec<_>>>()?;
        if !self.store.reserve() {
            self.store.count(lost);
            return Ok(());
        }
        let mut fields = Vec::new();
        for ((ty, bytes), field) in values.into_iter().zip(&self.plan.actions[action].fields) {
            if *ty != field.ty {
                return broken(format!("a field of type {} is given a value of type {ty}", field.ty));
            }
            let bytes: Vec<Option<u8>> = bytes.into_iter().map(Some).collect();
            fields.push(canonical(ty, &bytes).map_err(Leave::Broken)?);
        }
        self.store.records.push(Record { action, fields });
        Ok(())
    }

    fn for_range(&mut self, var: VarId, from: &Expr, to: &Expr, body: &Block, bound: CounterId) -> Run<()> {
        let (from, to) = (self.number(from)? as i64, self.number(to)? as i64);
        for (round, index) in (from..to).enumerate() {
            if self.is_beyond(bound, round) {
                self.store.count(bound);
                break;
            }
            self.vars[var.index()] = Value::Scalar(index as u64);
            if self.round(body)? == Round::Last {
                break;
            }
        }
        Ok(())
    }

    /// The body of a loop, once.
    fn round(&mut self, body: &Block) -> Run<Round> {
        self.burn()?;
        match self.block(body) {
            Err(Leave::Break) => Ok(Round::Last),
            Ok(()) | Err(Leave::Continue) => Ok(Round::GoOn),
            Err(leave) => Err(leave),
        }
    }

    /// The fake kernel walks through the entries that there are at the start, in the order of their keys.
    fn for_map(&mut self, map: MapId, key: VarId, value: Option<VarId>, body: &Block) -> Run<()> {
        let entries: Vec<Vec<u8>> = self.store.map(map).entries.keys().cloned().collect();
        for entry in entries {
            let Some(bytes) = self.store.map(map).get(0, &entry).cloned() else { continue };
            self.vars[key.index()] = Value::of(&entry, &self.probe.vars[key].ty);
            if let Some(value) = value {
                self.vars[value.index()] = Value::of(&bytes, &self.probe.vars[value].ty);
            }
            if self.round(body)? == Round::Last {
                break;
            }
        }
        Ok(())
    }

    fn is_beyond(&self, bound: CounterId, round: usize) -> bool {
        matches!(self.plan.counters[bound].cause, Cause::LoopBound { limit } if round >= limit as usize)
    }

    fn while_loop(&mut self, cond: &Expr, body: &Block) -> Run<()> {
        while self.truth(cond)? {
            if self.round(body)? == Round::Last {
                break;
            }
        }
        Ok(())
    }
}

/// What an aggregation does to one word of its slot.
fn step(slot: &mut [u8], index: usize, op: StepOp, value: u64) {
    let old = word(&slot[8 * index..]);
    let is_set = || word(&slot[8 * (index + 1)..]) != 0;
    let new = match op {
        StepOp::Add => old.wrapping_add(value),
        StepOp::Set | StepOp::Renew { .. } => value,
        StepOp::Min(sign) if is_set() && !is_less(sign, value, old) => old,
        StepOp::Max(sign) if is_set() && !is_less(sign, old, value) => old,
        StepOp::Min(_) | StepOp::Max(_) => value,
    };
    slot[8 * index..][..8].copy_from_slice(&new.to_le_bytes());
    match op {
        StepOp::Min(_) | StepOp::Max(_) => slot[8 * (index + 1)] = 1,
        StepOp::Renew { words } if new != old => slot[8 * (index + 1)..][..8 * words as usize].fill(0),
        StepOp::Add | StepOp::Set | StepOp::Renew { .. } => {}
    }
}

fn is_less(sign: Sign, one: u64, other: u64) -> bool {
    match sign {
        Sign::Signed => (one as i64) < other as i64,
        Sign::Unsigned => one < other,
    }
}

fn broken<T>(rule: String) -> Run<T> {
    Err(Leave::Broken(rule))
}
