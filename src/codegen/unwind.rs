//! User stacks by unwind tables: what the compiler wrote down about each function (`.eh_frame`) says where the caller's registers
//! are, where frame pointers do not. User space puts the tables of traced processes into maps (see [`crate::plan::unwind`]);
//! here they are searched, once for each frame.

use super::state::{Gen, Generated, at};
use crate::bpf::Helper;
use crate::bpf::asm::{Alu, Arg, Base, Cond, Label, Operand, Place, Size, VReg};
use crate::plan::{CounterId, MapId, Role, unwind};
use crate::types::StackType;

/// Where in the working memory what is kept from frame to frame lies: registers, whether there are tables for this process, where its
/// ranges begin, how far the searches are, the hash of the frames, and the frames.
const IP: u32 = 0;
const SP: u32 = 8;
const BP: u32 = 16;
const KNOWN: u32 = 24;
const OWN: u32 = 32;
const RANGE: u32 = 40;
const ROW: u32 = 48;
const HASH: u32 = 56;
const FRAMES: u32 = 64;

/// Registers in `struct pt_regs` of x86-64.
const REGISTERS: [(u32, i32); 3] = [(IP, 128), (SP, 152), (BP, 32)];

/// Spreads the bits of addresses (the golden ratio's, as the kernel's own hashes do).
const SPREAD: i64 = 0x61c8_8646_80b5_83eb;
/// An id that no stack has.
const NONE: i64 = 0xffff_ffff;
const IDS: i64 = 0x7fff_ffff;
const ANY: i64 = 0;

/// The maps of the tables.
#[derive(Clone, Copy)]
struct Tables {
    processes: MapId,
    ranges: MapId,
    rows: MapId,
}

/// What the search for a frame's caller works with.
struct Step {
    work: Place,
    /// The instruction that was running, or that called.
    at: VReg,
    ip: VReg,
    sp: VReg,
    bp: VReg,
    /// Found: where the return address is, where the caller's frame pointer is (or 0 if it was not touched), and its stack pointer.
    return_at: VReg,
    saved_at: VReg,
    caller_sp: VReg,
    by_pointer: Label,
    stop: Label,
}

impl Gen<'_> {
    /// Records the stack in a map of hashes, and gives the id there (or one that there is not).
    pub fn unwound_stack(&mut self, of: StackType, map: MapId, collision: CounterId) -> Generated<Operand> {
        let Some(tables) = self.tables() else { return Ok(Operand::Imm(NONE)) };
        let start = self.keep_scratch(FRAMES + 8 * of.limit);
        let work = self.in_scratch(start);
        self.clear(at(work, HASH), 8 + 8 * of.limit);
        self.first_registers(work);
        self.find_own(work, tables)?;
        let function = self.callback("unwind", 2, |code, params| {
            code.unwind_frame(params[0], start, of.limit, tables);
            Ok(())
        })?;
        let frame = self.captured(0);
        let limit = Arg::Imm(i64::from(of.limit));
        self.asm.call(Helper::LOOP, &[limit, Arg::Function(function), Arg::Address(frame), Arg::Imm(0)]);
        Ok(self.stored(at(work, HASH), map, collision))
    }

    fn tables(&self) -> Option<Tables> {
        let (processes, _) = self.plan.unwound()?;
        let (ranges, rows) = (self.plan.map_of(&Role::UnwindRanges)?, self.plan.map_of(&Role::UnwindRows)?);
        Some(Tables { processes, ranges, rows })
    }

    /// Those that the process entered the kernel with.
    fn first_registers(&mut self, work: Place) {
        let task = self.asm.call_constant(Helper::GET_CURRENT_TASK_BTF, &[]);
        let saved = self.asm.call(Helper::TASK_PT_REGS, &[Arg::Reg(task)]);
        for (to, from) in REGISTERS {
            let value = self.asm.load(Size::B8, Place::new(Base::Reg(saved), from));
            self.asm.store(Size::B8, at(work, to), value.into());
        }
    }

    /// Other processes have other code at the same addresses.
    fn find_own(&mut self, work: Place, tables: Tables) -> Generated<()> {
        let unknown = self.asm.label();
        let process = self.process()?;
        let process = self.asm.alu(Alu::Shr, process, Operand::Imm(32));
        self.asm.store(Size::B8, at(work, KNOWN), Operand::Imm(0));
        self.enter();
        let entry = self.entry(tables.processes, process, unknown);
        let first = self.asm.load(Size::B4, Place::new(Base::Reg(entry), 0));
        self.asm.store(Size::B8, at(work, OWN), first.into());
        self.asm.store(Size::B8, at(work, KNOWN), Operand::Imm(1));
        self.leave();
        self.asm.place(unknown);
        Ok(())
    }

    /// A map's entry; there being none leads elsewhere.
    fn entry(&mut self, map: MapId, index: Operand, missing: Label) -> VReg {
        let key = self.stack(4);
        self.asm.store(Size::B4, key, index);
        let entry = self.asm.call(Helper::MAP_LOOKUP_ELEM, &[Arg::Map(map), Arg::Address(key)]);
        self.asm.branch(Cond::Eq, entry.into(), Operand::Imm(0), missing);
        entry
    }

    /// One round: notes the frame and goes to its caller. It gives 1 where there is none.
    fn unwind_frame(&mut self, round: VReg, start: u32, limit: u32, tables: Tables) {
        let work = self.in_scratch(start);
        let (by_pointer, found, stop) = (self.asm.label(), self.asm.label(), self.asm.label());
        let ip = self.asm.load(Size::B8, at(work, IP));
        self.asm.branch(Cond::Eq, ip.into(), Operand::Imm(0), stop);
        self.asm.branch(Cond::Ge, round.into(), Operand::Imm(i64::from(limit)), stop);
        self.enter();
        self.note_frame(work, round, ip);
        let [sp, bp, known] = [SP, BP, KNOWN].map(|offset| self.asm.load(Size::B8, at(work, offset)));
        let at = self.calling(round, ip);
        let [return_at, saved_at, caller_sp] = std::array::from_fn(|_| self.asm.variable());
        let step = Step { work, at, ip, sp, bp, return_at, saved_at, caller_sp, by_pointer, stop };
        self.asm.branch(Cond::Eq, known.into(), Operand::Imm(0), by_pointer);
        self.enter();
        self.by_tables(&step, tables);
        self.asm.jump(found);
        self.leave();
        self.asm.place(by_pointer);
        self.enter();
        self.by_pointer(&step);
        self.leave();
        self.asm.place(found);
        self.go_to_caller(&step);
        self.leave();
        self.asm.place(stop);
        self.asm.exit(Operand::Imm(1));
    }

    fn note_frame(&mut self, work: Place, round: VReg, ip: VReg) {
        let offset = self.asm.alu(Alu::Shl, round.into(), Operand::Imm(3));
        let frames = self.asm.address(at(work, FRAMES));
        if let Operand::Reg(to) = self.asm.alu(Alu::Add, frames.into(), offset) {
            self.asm.store(Size::B8, Place::new(Base::Reg(to), 0), ip.into());
        }
        let hash = self.asm.load(Size::B8, at(work, HASH));
        let mixed = self.asm.alu(Alu::Xor, hash.into(), ip.into());
        let spread = self.asm.imm(SPREAD);
        let mixed = self.asm.alu(Alu::Mul, mixed, spread.into());
        let high = self.asm.alu(Alu::Shr, mixed, Operand::Imm(29));
        let mixed = self.asm.alu(Alu::Xor, mixed, high);
        self.asm.store(Size::B8, at(work, HASH), mixed);
    }

    /// A return address may be the first one of another function, if what was called never returns.
    fn calling(&mut self, round: VReg, ip: VReg) -> VReg {
        let (place, first) = (self.asm.variable(), self.asm.label());
        self.asm.set(place, ip.into());
        self.asm.branch(Cond::Eq, round.into(), Operand::Imm(0), first);
        self.enter();
        let before = self.asm.alu(Alu::Sub, ip.into(), Operand::Imm(1));
        self.asm.set(place, before);
        self.leave();
        self.asm.place(first);
        self.asm.get(place)
    }

    /// Finds the mapping, then the row of its table, then what that says.
    fn by_tables(&mut self, step: &Step, tables: Tables) {
        let none = Operand::Imm(0);
        let own = self.asm.load(Size::B8, at(step.work, OWN));
        self.descend(step.work, RANGE, unwind::RANGES, |code, next, past| {
            let number = code.asm.alu(Alu::Add, own.into(), next);
            let entry = code.entry(tables.ranges, number, past);
            let begins = code.asm.load(Size::B8, Place::new(Base::Reg(entry), unwind::BEGIN));
            code.unless_below(step.at.into(), begins.into(), past);
        });
        let range = self.asm.load(Size::B8, at(step.work, RANGE));
        self.asm.branch(Cond::Eq, range.into(), none, step.by_pointer);
        let number = self.asm.alu(Alu::Add, own.into(), range.into());
        let entry = Base::Reg(self.entry(tables.ranges, number, step.by_pointer));
        let end = self.asm.load(Size::B8, Place::new(entry, unwind::END));
        self.asm.branch(Cond::Ge, step.at.into(), end.into(), step.by_pointer);
        let bias = self.asm.load(Size::B8, Place::new(entry, unwind::BIAS));
        let first = self.asm.load(Size::B4, Place::new(entry, unwind::FIRST));
        let count = self.asm.load(Size::B4, Place::new(entry, unwind::COUNT));
        let relative = self.asm.alu(Alu::Sub, step.at.into(), bias.into());
        self.descend(step.work, ROW, unwind::ROWS, |code, next, past| {
            let last = code.asm.alu(Alu::Sub, count.into(), Operand::Imm(1));
            code.unless_below(last, next, past);
            let number = code.asm.alu(Alu::Add, first.into(), next);
            let entry = code.entry(tables.rows, number, past);
            let begins = code.asm.load(Size::B4, Place::new(Base::Reg(entry), unwind::PC));
            code.unless_below(relative, begins.into(), past);
        });
        let row = self.asm.load(Size::B8, at(step.work, ROW));
        let number = self.asm.alu(Alu::Add, first.into(), row.into());
        let entry = self.entry(tables.rows, number, step.by_pointer);
        let rule = self.asm.load(Size::B4, Place::new(Base::Reg(entry), unwind::RULE));
        self.apply(step, rule);
    }

    /// Finds the last entry that `check` does not leave: it is come to in steps, each half as far as the one before. What was found
    /// so far is kept in memory, and nothing else depends on the way: some verifiers would walk each way on its own.
    fn descend(&mut self, work: Place, found: u32, entries: u32, check: impl Fn(&mut Self, Operand, Label)) {
        self.asm.store(Size::B8, at(work, found), Operand::Imm(0));
        for distance in unwind::steps(entries) {
            let past = self.asm.label();
            self.enter();
            let now = self.asm.load(Size::B8, at(work, found));
            let next = self.asm.alu(Alu::Add, now.into(), Operand::Imm(distance));
            check(self, next, past);
            self.asm.store(Size::B8, at(work, found), next);
            self.leave();
            self.asm.place(past);
        }
    }

    /// Goes elsewhere if a number is less than another, neither being as large as 2^63. The verifier learns nothing about them.
    fn unless_below(&mut self, number: Operand, other: Operand, elsewhere: Label) {
        let difference = self.asm.alu(Alu::Sub, number, other);
        let is_below = self.asm.alu(Alu::Shr, difference, Operand::Imm(63));
        self.asm.branch(Cond::Ne, is_below, Operand::Imm(0), elsewhere);
    }

    /// Where a rule says the caller's frame begins, and what is kept there.
    fn apply(&mut self, step: &Step, rule: VReg) {
        let (frame, found) = (self.asm.variable(), self.asm.label());
        let kind = self.asm.alu(Alu::And, rule.into(), Operand::Imm(unwind::KIND));
        self.asm.branch(Cond::Eq, kind, Operand::Imm(unwind::STOP), step.stop);
        let offset = self.asm.alu(Alu::Shr, rule.into(), Operand::Imm(unwind::OFFSET_SHIFT));
        let offset = self.asm.alu(Alu::Shl, offset, Operand::Imm(3));
        let by_sp = self.asm.alu(Alu::Add, step.sp.into(), offset);
        self.asm.set(frame, by_sp);
        self.asm.branch(Cond::Eq, kind, Operand::Imm(unwind::BY_SP), found);
        self.enter();
        let by_bp = self.asm.alu(Alu::Add, step.bp.into(), offset);
        self.asm.set(frame, by_bp);
        self.asm.branch(Cond::Eq, kind, Operand::Imm(unwind::BY_BP), found);
        self.in_linkage(step, frame, found);
        self.leave();
        self.asm.place(found);
        let frame = self.asm.get(frame);
        self.asm.set(step.caller_sp, frame.into());
        let return_at = self.asm.alu(Alu::Sub, frame.into(), Operand::Imm(8));
        self.asm.set(step.return_at, return_at);
        self.asm.set(step.saved_at, Operand::Imm(0));
        let kept = self.asm.label();
        let slot = self.asm.alu(Alu::Shr, rule.into(), Operand::Imm(unwind::SLOT_SHIFT));
        let slot = self.asm.alu(Alu::And, slot, Operand::Imm(unwind::SLOTS));
        self.asm.branch(Cond::Eq, slot, Operand::Imm(0), kept);
        self.enter();
        let distance = self.asm.alu(Alu::Shl, slot, Operand::Imm(3));
        let saved_at = self.asm.alu(Alu::Sub, frame.into(), distance);
        self.asm.set(step.saved_at, saved_at);
        self.leave();
        self.asm.place(kept);
    }

    /// An entry of the table through which libraries are called: from its 11th byte on, it has pushed a word.
    fn in_linkage(&mut self, step: &Step, frame: VReg, found: Label) {
        const PUSHED: i64 = 11;
        let before = self.asm.alu(Alu::Add, step.sp.into(), Operand::Imm(8));
        self.asm.set(frame, before);
        let within = self.asm.alu(Alu::And, step.ip.into(), Operand::Imm(15));
        self.asm.branch(Cond::Lt, within, Operand::Imm(PUSHED), found);
        let after = self.asm.alu(Alu::Add, step.sp.into(), Operand::Imm(16));
        self.asm.set(frame, after);
    }

    /// Code without a table, as compilers make it at run time, mostly keeps frame pointers.
    fn by_pointer(&mut self, step: &Step) {
        self.asm.set(step.saved_at, step.bp.into());
        let return_at = self.asm.alu(Alu::Add, step.bp.into(), Operand::Imm(8));
        self.asm.set(step.return_at, return_at);
        let caller_sp = self.asm.alu(Alu::Add, step.bp.into(), Operand::Imm(16));
        self.asm.set(step.caller_sp, caller_sp);
    }

    /// Stacks grow down, so callers are further up: anything else is no frame.
    fn go_to_caller(&mut self, step: &Step) {
        let [return_at, saved_at, caller_sp] =
            [step.return_at, step.saved_at, step.caller_sp].map(|variable| self.asm.get(variable));
        self.asm.branch(Cond::Le, caller_sp.into(), step.sp.into(), step.stop);
        let word = self.stack(8);
        let read = [Arg::Address(word), Arg::Imm(8), Arg::Reg(return_at)];
        let fault = self.asm.call(Helper::PROBE_READ_USER, &read);
        self.asm.branch(Cond::Ne, fault.into(), Operand::Imm(0), step.stop);
        let ip = self.asm.load(Size::B8, word);
        self.asm.store(Size::B8, at(step.work, IP), ip.into());
        self.asm.store(Size::B8, at(step.work, SP), caller_sp.into());
        let kept = self.asm.label();
        self.asm.branch(Cond::Eq, saved_at.into(), Operand::Imm(0), kept);
        self.enter();
        let read = [Arg::Address(word), Arg::Imm(8), Arg::Reg(saved_at)];
        let fault = self.asm.call(Helper::PROBE_READ_USER, &read);
        self.asm.branch(Cond::Ne, fault.into(), Operand::Imm(0), step.stop);
        let bp = self.asm.load(Size::B8, word);
        self.asm.store(Size::B8, at(step.work, BP), bp.into());
        self.leave();
        self.asm.place(kept);
        self.asm.exit(Operand::Imm(0));
    }

    /// The frames under their hash, which is part of what is stored: two stacks with one id are told apart.
    fn stored(&mut self, value: Place, map: MapId, collision: CounterId) -> Operand {
        let (id, done, lost) = (self.asm.variable(), self.asm.label(), self.asm.label());
        let hash = self.asm.load(Size::B8, value);
        let high = self.asm.alu(Alu::Shr, hash.into(), Operand::Imm(32));
        let folded = self.asm.alu(Alu::Xor, hash.into(), high);
        let number = self.asm.alu(Alu::And, folded, Operand::Imm(IDS));
        self.asm.set(id, number);
        let (key, new) = (self.stack(4), self.asm.label());
        self.asm.store(Size::B4, key, number);
        let entry = self.asm.call(Helper::MAP_LOOKUP_ELEM, &[Arg::Map(map), Arg::Address(key)]);
        self.asm.branch(Cond::Eq, entry.into(), Operand::Imm(0), new);
        self.enter();
        let known = self.asm.load(Size::B8, Place::new(Base::Reg(entry), 0));
        self.asm.branch(Cond::Eq, known.into(), hash.into(), done);
        self.asm.jump(lost);
        self.leave();
        self.asm.place(new);
        self.enter();
        let args = [Arg::Map(map), Arg::Address(key), Arg::Address(value), Arg::Imm(ANY)];
        let refused = self.asm.call(Helper::MAP_UPDATE_ELEM, &args);
        self.asm.branch(Cond::Eq, refused.into(), Operand::Imm(0), done);
        self.asm.place(lost);
        self.count(collision);
        self.asm.set(id, Operand::Imm(NONE));
        self.leave();
        self.asm.place(done);
        self.asm.get(id).into()
    }
}
