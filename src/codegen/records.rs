//! Records for user space: a place in the ring is reserved, filled in where it is, and submitted.

use super::memory::Padding;
use super::state::{Gen, Generated, at};
use crate::bpf::Helper;
use crate::bpf::asm::{Alu, Arg, Base, Cond, Label, Operand, Place, Size, VReg};
use crate::ir::{Expr, ExprKind};
use crate::plan::{ActionId, CounterId, Lane, MapId, ProgKind};

/// A field's value: computed or built before the record is reserved, or built in it.
enum Field<'a> {
    Computed(Operand, &'a Expr),
    Built(Place, &'a Expr),
    InPlace(&'a Expr),
}

/// Bytes of the time that records begin with, where there are several rings.
const TIME: u32 = 8;

impl Gen<'_> {
    pub fn emit(&mut self, action: ActionId, values: &[Expr], lost: CounterId) -> Generated<()> {
        let layout = &self.plan.actions[action];
        // Effects happen in their order even if there is no room for the record.
        let in_order = values.iter().any(Expr::has_effects);
        let mut fields = Vec::new();
        for value in values {
            fields.push(match &*value.kind {
                ExprKind::Int(_) | ExprKind::Str(_) => Field::InPlace(value),
                _ if value.ty.is_scalar() => Field::Computed(self.scalar(value)?, value),
                _ if in_order => Field::Built(self.copy_of(value)?, value),
                _ => Field::InPlace(value),
            });
        }
        if self.probe.kind == ProgKind::Iterator {
            return self.emit_to_reader(action, &fields);
        }
        let (size, rings) = (layout.size, self.rings(layout.lane));
        let done = self.asm.label();
        for ring in rings {
            let full = self.asm.label();
            let (record, start) = self.reserve(ring, size, full);
            self.enter();
            self.function.reserved = Some(record);
            self.fill(start, action, &fields)?;
            self.function.reserved = None;
            self.leave();
            self.submit(record, done);
            self.asm.place(full);
        }
        self.count(lost);
        self.asm.place(done);
        Ok(())
    }

    /// The record of an iterator goes to whoever reads its file. If there is no room for it, the program runs on the object again.
    fn emit_to_reader(&mut self, action: ActionId, fields: &[Field<'_>]) -> Generated<()> {
        let size = self.plan.actions[action].size;
        // The verifier wants all of it written before, which memory in a map always is.
        let record = self.scratch(size);
        self.fill(record, action, fields)?;
        let file = self.output_file();
        self.asm.comment("a record for the reader");
        self.asm.call(Helper::SEQ_WRITE, &[Arg::Reg(file), Arg::Address(record), Arg::Imm(i64::from(size))]);
        Ok(())
    }

    /// The file that an iterator writes to: `ctx->meta->seq`.
    pub fn output_file(&mut self) -> VReg {
        let meta = self.asm.load(Size::B8, self.ctx(0));
        self.asm.load(Size::B8, Place::new(Base::Reg(meta), 0))
    }

    /// The rings that a record is tried on, in turn.
    fn rings(&self, lane: Lane) -> Vec<MapId> {
        match lane {
            Lane::Data => vec![self.shared.ring],
            Lane::Control => [self.shared.ring].into_iter().chain(self.shared.control).collect(),
        }
    }

    fn fill(&mut self, start: Place, action: ActionId, fields: &[Field<'_>]) -> Generated<()> {
        self.asm.store(Size::B8, start, Operand::Imm(i64::from(action.0)));
        for (field, place) in fields.iter().zip(&self.plan.actions[action].fields) {
            let to = at(start, place.offset);
            match field {
                Field::Computed(value, of) => self.store_scalar(&of.ty, to, *value),
                Field::Built(from, of) => self.copy(to, *from, of.ty.size()),
                Field::InPlace(value) => self.write(value, to, Padding::Free)?,
            }
        }
        Ok(())
    }

    /// A record of one number.
    pub fn emit_number(&mut self, action: ActionId, value: Operand, lost: CounterId) {
        let layout = &self.plan.actions[action];
        let (full, done) = (self.asm.label(), self.asm.label());
        let (record, start) = self.reserve(self.shared.ring, layout.size, full);
        self.asm.store(Size::B8, start, Operand::Imm(i64::from(action.0)));
        for field in &layout.fields {
            self.store_scalar(&field.ty, at(start, field.offset), value);
        }
        self.submit(record, done);
        self.asm.place(full);
        self.count(lost);
        self.asm.place(done);
    }

    /// A place in the ring, and where in it the record begins.
    fn reserve(&mut self, ring: MapId, size: u32, full: Label) -> (VReg, Place) {
        let shared_out = self.shared.rings.filter(|_| ring == self.shared.ring);
        let record = match shared_out {
            Some(rings) => self.reserve_in_own(rings, ring, size + TIME),
            None => self.reserve_in(Arg::Map(ring), size),
        };
        self.asm.branch(Cond::Eq, record.into(), Operand::Imm(0), full);
        let start = Place::new(Base::Reg(record), 0);
        if shared_out.is_none() {
            return (record, start);
        }
        // The record is seen to be there before it is told when.
        let now = self.asm.call(Helper::KTIME_GET_NS, &[]);
        self.asm.store(Size::B8, start, now.into());
        (record, at(start, TIME))
    }

    /// A place in the ring that this processor shares with few others, or in the one for all as long as that is not there.
    fn reserve_in_own(&mut self, rings: MapId, one: MapId, size: u32) -> VReg {
        let (missing, done) = (self.asm.label(), self.asm.label());
        let cpu = self.asm.call(Helper::GET_SMP_PROCESSOR_ID, &[]);
        let last = i64::from(self.plan.maps[rings].max_entries - 1);
        let number = self.asm.alu(Alu::And, cpu.into(), Operand::Imm(last));
        let key = self.stack(4);
        self.asm.store(Size::B4, key, number);
        self.asm.comment("the ring of this processor");
        let own = self.asm.call(Helper::MAP_LOOKUP_ELEM, &[Arg::Map(rings), Arg::Address(key)]);
        let record = self.asm.variable();
        self.asm.branch(Cond::Eq, own.into(), Operand::Imm(0), missing);
        let reserved = self.reserve_in(Arg::Reg(own), size);
        self.asm.set(record, reserved.into());
        self.asm.jump(done);
        self.asm.place(missing);
        let reserved = self.reserve_in(Arg::Map(one), size);
        self.asm.set(record, reserved.into());
        self.asm.place(done);
        self.asm.get(record)
    }

    fn reserve_in(&mut self, ring: Arg, size: u32) -> VReg {
        self.asm.comment("a record in the ring");
        self.asm.call(Helper::RINGBUF_RESERVE, &[ring, Arg::Imm(i64::from(size)), Arg::Imm(0)])
    }

    fn submit(&mut self, record: VReg, done: Label) {
        self.asm.call(Helper::RINGBUF_SUBMIT, &[Arg::Reg(record), Arg::Imm(0)]);
        self.asm.jump(done);
    }
}
