//! Maps: look-ups, stores, and the steps of aggregations.

use super::memory::Padding;
use super::state::{Gen, Generated, at, size_of};
use crate::bpf::Helper;
use crate::bpf::asm::{Alu, Arg, Base, Cond, FunctionId, Label, Operand, Place, Size, VReg};
use crate::ir::{Expr, ExprKind, Step, StepOp};
use crate::plan::{MapId, MapKind, Refusals, Role};
use crate::types::{MapValue, Sign, Type};

/// Where a map's value is.
pub enum Found {
    /// A scalar map's value is always there.
    Always(Place),
    /// A pointer to it, or null.
    Maybe(VReg),
}

/// `BPF_ANY` and `BPF_NOEXIST` of `bpf_map_update_elem`.
const ANY: i64 = 0;
const NOEXIST: i64 = 1;

/// `-E2BIG` and `-ENOMEM`, as maps refuse new entries.
const FULL: i64 = -7;
const NO_MEMORY: i64 = -12;

impl Gen<'_> {
    /// Finds the value at a key (or this CPU's slot of it).
    pub fn look_up(&mut self, map: MapId, key: Option<&Expr>) -> Generated<Found> {
        let Some(key) = key else {
            return Ok(match self.plan.maps[map].kind {
                // An array of one has its value at a fixed address.
                MapKind::Array => Found::Always(Place::new(Base::Map(map), 0)),
                _ => Found::Maybe(self.look_up_at(map, None)),
            });
        };
        let key = self.key_place(key)?;
        Ok(Found::Maybe(self.look_up_at(map, Some(key))))
    }

    fn look_up_at(&mut self, map: MapId, key: Option<Place>) -> VReg {
        let key = key.unwrap_or_else(|| self.only_key());
        let map_arg = self.map_arg(map);
        self.look_up_in(map, map_arg, key)
    }

    fn look_up_in(&mut self, map: MapId, map_arg: Arg, key: Place) -> VReg {
        self.comment(map, "look up");
        self.asm.call(Helper::MAP_LOOKUP_ELEM, &[map_arg, Arg::Address(key)])
    }

    /// The map as an argument of helpers. Of two that take turns, it is the one in use; without it (which cannot happen) the
    /// function does nothing.
    pub fn map_arg(&mut self, map: MapId) -> Arg {
        if !self.plan.turning.contains(&map) {
            return Arg::Map(map);
        }
        let key = self.only_key();
        self.comment(map, "the one in use of");
        let in_use = self.asm.call(Helper::MAP_LOOKUP_ELEM, &[Arg::Map(map), Arg::Address(key)]);
        let there = self.asm.label();
        self.asm.branch(Cond::Ne, in_use.into(), Operand::Imm(0), there);
        self.exit(Operand::Imm(0));
        self.asm.place(there);
        Arg::Reg(in_use)
    }

    /// The key of an array's only entry.
    pub fn only_key(&mut self) -> Place {
        let zero = self.stack(4);
        self.asm.store(Size::B4, zero, Operand::Imm(0));
        zero
    }

    pub fn comment(&mut self, map: MapId, what: &str) {
        if let Role::User { name, .. } = &self.plan.maps[map].role {
            self.asm.comment(format!("{what} {name}"));
        }
    }

    /// A key in memory.
    pub fn key_place(&mut self, key: &Expr) -> Generated<Place> {
        if !key.ty.is_scalar() {
            return self.place_of(key);
        }
        let place = self.stack(key.ty.size());
        self.write(key, place, Padding::Zeros)?;
        Ok(place)
    }

    /// Where a value in memory lies in its map; zeros if the key is missing.
    pub fn map_memory(&mut self, map: MapId, key: Option<&Expr>, expr: &Expr) -> Generated<Place> {
        let to = self.temporary(expr.ty.size());
        let copy = Expr::new(ExprKind::MapGet { map, key: key.cloned() }, expr.ty.clone(), expr.span);
        self.write(&copy, to, Padding::Zeros)?;
        Ok(to)
    }

    pub fn map_set(&mut self, map: MapId, key: Option<&Expr>, value: &Expr, refused: Refusals) -> Generated<()> {
        let Some(key) = key else { return self.scalar_map_set(map, value) };
        if self.keeps_entries(map) && value.ty.is_scalar() {
            return self.set_in_place(map, key, value, refused);
        }
        let value = self.value_place(value)?;
        let key = self.key_place(key)?;
        let stored = self.asm.label();
        self.update_entry(map, key, value, refused, stored);
        self.asm.place(stored);
        Ok(())
    }

    /// An entry that stays where it is once it is there may be changed there, which costs half as much as putting a new one in its
    /// place. One that is removed at the same time may be another key's by then.
    fn keeps_entries(&self, map: MapId) -> bool {
        self.plan.maps[map].kind == MapKind::Hash && !self.plan.shrinking.contains(&map)
    }

    fn set_in_place(&mut self, map: MapId, key: &Expr, value: &Expr, refused: Refusals) -> Generated<()> {
        let (ty, value) = (&value.ty, self.scalar(value)?);
        let key = self.key_place(key)?;
        let (missing, stored) = (self.asm.label(), self.asm.label());
        let entry = self.look_up_at(map, Some(key));
        self.asm.branch(Cond::Eq, entry.into(), Operand::Imm(0), missing);
        self.store_scalar(ty, Place::new(Base::Reg(entry), 0), value);
        self.asm.jump(stored);
        self.asm.place(missing);
        self.enter();
        let new = self.stack(ty.size());
        self.store_scalar(ty, new, value);
        self.update_entry(map, key, new, refused, stored);
        self.leave();
        self.asm.place(stored);
        Ok(())
    }

    fn update_entry(&mut self, map: MapId, key: Place, value: Place, refused: Refusals, stored: Label) {
        self.comment(map, "set");
        let args = [Arg::Map(map), Arg::Address(key), Arg::Address(value), Arg::Imm(ANY)];
        let failed = self.asm.call(Helper::MAP_UPDATE_ELEM, &args);
        self.asm.branch(Cond::Eq, failed.into(), Operand::Imm(0), stored);
        self.count_refusal(failed, refused);
    }

    /// Counts an update that failed with this error.
    fn count_refusal(&mut self, error: VReg, refused: Refusals) {
        let Refusals { full, memory, busy } = refused;
        let high = self.low_half(error);
        let error = self.asm.alu(Alu::Sar, high, Operand::Imm(32));
        let (other, unknown, done) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.asm.branch(Cond::Ne, error, Operand::Imm(FULL), other);
        self.count(full);
        self.asm.jump(done);
        self.asm.place(other);
        self.asm.branch(Cond::Ne, error, Operand::Imm(NO_MEMORY), unknown);
        self.count(memory);
        self.asm.jump(done);
        self.asm.place(unknown);
        self.count(busy);
        self.asm.place(done);
    }

    /// What a map's function gives, in the high half of a register: before 6.4, where the verifier puts the call of the function itself
    /// in place of the helper's, it has 32 bits.
    fn low_half(&mut self, result: VReg) -> Operand {
        self.asm.alu(Alu::Shl, result.into(), Operand::Imm(32))
    }

    fn value_place(&mut self, value: &Expr) -> Generated<Place> {
        if !value.ty.is_scalar() {
            return self.place_of(value);
        }
        let place = self.stack(value.ty.size());
        self.write(value, place, Padding::Zeros)?;
        Ok(place)
    }

    fn scalar_map_set(&mut self, map: MapId, value: &Expr) -> Generated<()> {
        let to = Place::new(Base::Map(map), 0);
        if value.ty.is_scalar() {
            self.write(value, to, Padding::Zeros)?;
        } else {
            // Built elsewhere first: the new value may be made of the old one.
            let from = self.place_of(value)?;
            self.copy(to, from, value.ty.size());
        }
        self.set_mark(map, to);
        Ok(())
    }

    /// Notes that a scalar map has been assigned.
    fn set_mark(&mut self, map: MapId, value: Place) {
        if let Some(offset) = self.mark_offset(map) {
            self.asm.store(Size::B8, at(value, offset), Operand::Imm(1));
        }
    }

    fn mark_offset(&self, map: MapId) -> Option<u32> {
        self.plan.maps[map].mark()
    }

    pub fn delete(&mut self, map: MapId, key: Option<&Expr>) -> Generated<Operand> {
        let Some(key) = key else { return self.unset(map) };
        let key = self.key_place(key)?;
        let map_arg = self.map_arg(map);
        self.comment(map, "delete from");
        let failed = self.asm.call(Helper::MAP_DELETE_ELEM, &[map_arg, Arg::Address(key)]);
        // 0 or a negative error.
        let high = self.low_half(failed);
        let sign = self.asm.alu(Alu::Sar, high, Operand::Imm(63));
        Ok(self.asm.alu(Alu::Add, sign, Operand::Imm(1)))
    }

    /// A scalar map is made as if it had never been assigned; true if it had.
    fn unset(&mut self, map: MapId) -> Generated<Operand> {
        let size = self.plan.maps[map].value_size;
        let (Some(mark), place) = (self.mark_offset(map), Place::new(Base::Map(map), 0)) else {
            return Ok(Operand::Imm(0));
        };
        if self.plan.maps[map].kind == MapKind::PerCpuArray {
            return Ok(self.clear_slots(map, mark, size));
        }
        let was_set = self.asm.load(Size::B8, at(place, mark));
        self.clear(place, size);
        Ok(was_set.into())
    }

    pub fn map_len(&mut self, map: MapId) -> Generated<Operand> {
        let callback = self.counting_callback();
        let nothing = self.stack(8);
        self.asm.store(Size::B8, nothing, Operand::Imm(0));
        let map_arg = self.map_arg(map);
        self.comment(map, "count entries of");
        let args = [map_arg, Arg::Function(callback), Arg::Address(nothing), Arg::Imm(0)];
        Ok(self.asm.call(Helper::FOR_EACH_MAP_ELEM, &args).into())
    }

    /// A function that does nothing: the helper itself counts how often it called it.
    fn counting_callback(&mut self) -> FunctionId {
        let (function, _) = self.asm.function("count_entry", 4);
        self.asm.exit(Operand::Imm(0));
        self.asm.resume(self.function.id);
        function
    }

    /// An aggregation: this CPU's slot is found or made, then changed step by step.
    pub fn update(&mut self, map: MapId, key: Option<&Expr>, steps: &[Step], refused: Refusals) -> Generated<()> {
        let mut prepared = Vec::new();
        for step in steps {
            prepared.push((self.scalar(&step.index)?, step.op, self.scalar(&step.value)?));
        }
        let done = self.asm.label();
        let slot = match key {
            Some(key) => {
                let key = self.key_place(key)?;
                let new = self.new_entry(map, &prepared);
                self.slot_at(map, key, new, refused, done)
            }
            None => {
                let slot = self.look_up_at(map, None);
                self.asm.branch(Cond::Eq, slot.into(), Operand::Imm(0), done);
                slot
            }
        };
        let count = self.slot_words(map);
        self.enter();
        for (index, op, value) in prepared {
            self.step(map, slot, (index, count), (op, value), done);
        }
        self.set_mark(map, Place::new(Base::Reg(slot), 0));
        self.leave();
        self.asm.place(done);
        Ok(())
    }

    pub fn slot_words(&self, map: MapId) -> i64 {
        let map = &self.plan.maps[map];
        match &map.role {
            Role::User { value: MapValue::Aggregate(of), .. } if map.is_parted() => i64::from(of.part_size() / 8),
            Role::User { value: MapValue::Aggregate(of), .. } => i64::from(of.size() / 8),
            _ => 1,
        }
    }

    /// What a new entry is: where one word is added to, the value is all that there is to it.
    fn new_entry(&self, map: MapId, steps: &[(Operand, StepOp, Operand)]) -> NewEntry {
        match steps {
            [(_, StepOp::Add, value)] if self.slot_words(map) == 1 => NewEntry::Complete(*value),
            _ => NewEntry::Zeros,
        }
    }

    fn slot_at(&mut self, map: MapId, key: Place, new: NewEntry, refused: Refusals, done: Label) -> VReg {
        let slot = self.asm.variable();
        let there = self.asm.label();
        let map_arg = self.map_arg(map);
        let found = self.look_up_in(map, map_arg, key);
        self.asm.set(slot, found.into());
        self.asm.branch(Cond::Ne, found.into(), Operand::Imm(0), there);
        self.enter();
        self.comment(map, "new entry in");
        let entry = match new {
            NewEntry::Zeros => Place::new(Base::Map(self.shared.zeros), 0),
            NewEntry::Complete(value) => {
                let place = self.stack(8);
                self.asm.store(Size::B8, place, value);
                place
            }
        };
        let args = [map_arg, Arg::Address(key), Arg::Address(entry), Arg::Imm(NOEXIST)];
        let failed = self.asm.call(Helper::MAP_UPDATE_ELEM, &args);
        if let NewEntry::Complete(_) = new {
            self.asm.branch(Cond::Eq, failed.into(), Operand::Imm(0), done);
        }
        // It is rarely asked for, and would take a register from the index, whose limits the verifier forgets when it is spilled.
        let error = self.stack(8);
        self.asm.store(Size::B8, error, failed.into());
        // Another CPU may have been first; then it is there all the same.
        let made = self.look_up_in(map, map_arg, key);
        self.asm.set(slot, made.into());
        self.asm.branch(Cond::Ne, made.into(), Operand::Imm(0), there);
        let failed = self.asm.load(Size::B8, error);
        self.count_refusal(failed, refused);
        self.leave();
        self.asm.jump(done);
        self.asm.place(there);
        self.asm.get(slot)
    }

    fn step(
        &mut self,
        map: MapId,
        slot: VReg,
        (index, count): (Operand, i64),
        (op, value): (StepOp, Operand),
        done: Label,
    ) {
        let last = count - 1 - i64::from(words_after(op));
        let word = self.word(Place::new(Base::Reg(slot), 0), index, last, done);
        match op {
            StepOp::Add if self.shared.overlapping.contains(&map) => self.asm.atomic_add(word, value),
            StepOp::Add => {
                let old = self.asm.load(Size::B8, word);
                let new = self.asm.alu(Alu::Add, old.into(), value);
                self.asm.store(Size::B8, word, new);
            }
            StepOp::Set => self.asm.store(Size::B8, word, value),
            StepOp::Renew { words } => self.renew(word, value, words),
            StepOp::Min(sign) => self.keep(word, value, if sign == Sign::Signed { Cond::SGe } else { Cond::Ge }),
            StepOp::Max(sign) => self.keep(word, value, if sign == Sign::Signed { Cond::SLe } else { Cond::Le }),
        }
    }

    /// The place of a word in a slot; an index that is found to be beyond `last` leads to `outside`.
    pub fn word(&mut self, slot: Place, index: Operand, last: i64, outside: Label) -> Place {
        match index {
            Operand::Imm(index) => at(slot, 8 * index.clamp(0, last) as u32),
            Operand::Reg(_) => {
                // Said again right before its use: verifiers forget the bounds of numbers across calls.
                self.asm.branch(Cond::Gt, index, Operand::Imm(last), outside);
                let offset = self.asm.alu(Alu::Shl, index, Operand::Imm(3));
                let base = self.asm.address(slot);
                match self.asm.alu(Alu::Add, base.into(), offset) {
                    Operand::Reg(address) => Place::new(Base::Reg(address), 0),
                    Operand::Imm(_) => slot,
                }
            }
        }
    }

    fn renew(&mut self, word: Place, value: Operand, words: u32) {
        let same = self.asm.label();
        let old = self.asm.load(Size::B8, word);
        self.asm.branch(Cond::Eq, old.into(), value, same);
        self.asm.store(Size::B8, word, value);
        for after in 1..=words {
            self.asm.store(Size::B8, at(word, 8 * after), Operand::Imm(0));
        }
        self.asm.place(same);
    }

    /// Stores the value unless one is there already that `better` says to keep: `value better old`.
    fn keep(&mut self, word: Place, value: Operand, better: Cond) {
        let (store, done) = (self.asm.label(), self.asm.label());
        let is_set = self.asm.load(Size::B8, at(word, 8));
        self.asm.branch(Cond::Eq, is_set.into(), Operand::Imm(0), store);
        let old = self.asm.load(Size::B8, word);
        // A constant can only stand on the right.
        let value = match value {
            Operand::Imm(number) => self.asm.imm(number).into(),
            reg => reg,
        };
        self.asm.branch(better, value, old.into(), done);
        self.asm.place(store);
        self.asm.store(Size::B8, word, value);
        self.asm.store(Size::B8, at(word, 8), Operand::Imm(1));
        self.asm.place(done);
    }

    /// Stores a scalar of this type.
    pub fn store_scalar(&mut self, ty: &Type, to: Place, value: Operand) {
        self.asm.store(size_of(ty), to, value);
    }
}

/// What is put where an aggregation has no slot yet.
#[derive(Clone, Copy)]
enum NewEntry {
    /// Nothing but zeros; the steps are done afterwards.
    Zeros,
    /// The slot as the steps leave it.
    Complete(Operand),
}

/// Words beside its own that a step touches.
fn words_after(op: StepOp) -> u32 {
    match op {
        StepOp::Add | StepOp::Set => 0,
        StepOp::Min(_) | StepOp::Max(_) => 1,
        StepOp::Renew { words } => words,
    }
}
