//! Values that lie in memory: texts, tuples, structures. Each is built directly where it is wanted.
//!
//! Everything is zero-padded to its type's size, but for what goes into a ring record ([`Padding::Free`]).

use super::cache::{self, Cached};
use super::maps::Found;
use super::state::{Gen, Generated, Storage, at, size_of};
use crate::bpf::Helper;
use crate::bpf::asm::{Alu, Arg, Base, Cond, Operand, Place, Size};
use crate::ir::{Expr, ExprKind};
use crate::plan::CounterId;
use crate::source::Span;
use crate::types::{Space, Type};

/// What the bytes after a text must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    Zeros,
    /// Anything: the reader stops at the NUL or knows the length.
    Free,
}

/// Copies and clearings up to this many bytes are done by loads and stores, larger ones by one helper call.
const INLINE: u32 = 96;

impl Gen<'_> {
    /// Where a value in memory lies, built first if it is nowhere yet. The place must not be written to.
    pub fn place_of(&mut self, expr: &Expr) -> Generated<Place> {
        match &*expr.kind {
            ExprKind::Var(var) => {
                if let Storage::Memory(place) = self.storage(*var) {
                    return Ok(place);
                }
            }
            ExprKind::Reinterpret(of) if !of.ty.is_scalar() => return self.place_of(of),
            ExprKind::Field { base, offset } => return Ok(at(self.place_of(base)?, *offset)),
            ExprKind::MapGet { map, key } if !expr.ty.is_scalar() => {
                return self.map_memory(*map, key.as_ref(), expr);
            }
            _ => {}
        }
        let key = cache::key(expr);
        if let Some(Cached::Memory(place)) = key.as_ref().and_then(|key| self.cache.get(key)) {
            return Ok(place);
        }
        // What is remembered must outlive the statement.
        let size = expr.ty.size();
        let place = if key.is_some() { self.lasting(size) } else { self.temporary(size) };
        self.write(expr, place, Padding::Zeros)?;
        if let Some(key) = key {
            self.cache.insert(key, Cached::Memory(place));
        }
        Ok(place)
    }

    /// A place of its own for a value as it is now, whatever it was made of changes later.
    pub fn copy_of(&mut self, expr: &Expr) -> Generated<Place> {
        let place = self.temporary(expr.ty.size());
        self.write(expr, place, Padding::Zeros)?;
        Ok(place)
    }

    /// Writes a value of any type.
    pub fn write(&mut self, expr: &Expr, to: Place, padding: Padding) -> Generated<()> {
        if expr.ty.is_scalar() {
            let value = self.scalar(expr)?;
            self.asm.store(size_of(&expr.ty), to, value);
            return Ok(());
        }
        self.write_memory(expr, to, padding)
    }

    /// Writes a value by its bytes.
    pub fn write_memory(&mut self, expr: &Expr, to: Place, padding: Padding) -> Generated<()> {
        let key = cache::key(expr);
        if let Some(Cached::Memory(place)) = key.as_ref().and_then(|key| self.cache.get(key))
            && place != to
        {
            self.copy(to, place, expr.ty.size());
            return Ok(());
        }
        match &*expr.kind {
            ExprKind::Str(text) => self.literal(text, to, expr.ty.size(), padding),
            ExprKind::Bytes(bytes) => {
                let length = bytes.len() as u32;
                self.literal(&[&length.to_le_bytes()[..], bytes].concat(), to, expr.ty.size(), padding);
            }
            ExprKind::Zero => self.clear(to, expr.ty.size()),
            ExprKind::Compose(parts) => self.compose(parts, to, expr.ty.size(), padding)?,
            ExprKind::Follow { from, cast, hops, offset } => {
                let from = self.led_to(from, *cast, hops, *offset)?;
                self.copy(to, from.place, expr.ty.size());
            }
            ExprKind::OfObject { given, args, taken, offset } => {
                self.of_object(*given, args, *taken, *offset, to, expr.ty.size())?;
            }
            ExprKind::Comm => {
                // Some kernels leave what follows the NUL as it was.
                if padding == Padding::Zeros {
                    self.clear(to, expr.ty.size());
                }
                self.asm.call(Helper::GET_CURRENT_COMM, &[Arg::Address(to), Arg::Imm(i64::from(expr.ty.size()))]);
            }
            ExprKind::ReadStr { addr, max } => self.read_text(addr, max.as_ref(), to, expr, padding)?,
            ExprKind::PathName { base, offset } => self.path_name(base, *offset, to, expr.ty.size(), padding)?,
            ExprKind::StrConcat(left, right) => self.concat(left, right, to, expr.ty.size(), padding)?,
            ExprKind::ReadBuf { addr, len } => self.read_bytes(addr, len, to, expr, padding)?,
            ExprKind::Load { addr, offset } => self.probe_read(to, expr.ty.size(), addr, *offset, expr.span)?,
            ExprKind::Resize(of) => self.resize(of, &expr.ty, to, padding)?,
            ExprKind::Terminate(of) => self.terminate(of, to, expr.ty.size(), padding)?,
            ExprKind::Reinterpret(of) if of.ty.is_scalar() => {
                // An array may lie anywhere, the number that it is made of may not.
                let size = of.ty.size();
                self.aligned(to, size, size, |code, place| code.write(of, place, padding))?;
            }
            ExprKind::Element { base, index, count, outside } => {
                self.element(base, index, *count, *outside, to, expr.ty.size())?;
            }
            ExprKind::Cond { cond, then, otherwise } => {
                self.branches(cond, |code| code.write(then, to, padding), |code| code.write(otherwise, to, padding))?;
            }
            ExprKind::Seq(block, value) => {
                self.block(block)?;
                self.write(value, to, padding)?;
            }
            ExprKind::MapGet { map, key } => self.copy_from_map(*map, key.as_ref(), to, expr)?,
            ExprKind::Invoke { function, args } => {
                // Functions rely on a multiple of 8 bytes.
                self.aligned(to, expr.ty.size(), 8, |code, place| {
                    code.invoke(*function, args, Some(place))?;
                    Ok(())
                })?;
            }
            _ => {
                let from = self.place_of(expr)?;
                self.copy(to, from, expr.ty.size());
            }
        }
        Ok(())
    }

    /// Has something written that needs an aligned place: beside the one that is given, if that is none.
    fn aligned(
        &mut self,
        to: Place,
        size: u32,
        align: u32,
        write: impl FnOnce(&mut Self, Place) -> Generated<()>,
    ) -> Generated<()> {
        let place = if to.offset % align as i32 == 0 { to } else { self.temporary(size) };
        write(self, place)?;
        if place != to {
            self.copy(to, place, size);
        }
        Ok(())
    }

    /// `bpf_probe_read_*`: a fault leaves zeros.
    pub fn probe_read(&mut self, to: Place, size: u32, addr: &Expr, offset: i64, site: Span) -> Generated<()> {
        let space = space_of(addr);
        let addr = self.scalar(addr)?;
        let from = self.asm.alu(Alu::Add, addr, Operand::Imm(offset));
        let helper = Self::reader(space);
        let result = self.asm.call(helper, &[Arg::Address(to), Arg::Imm(i64::from(size)), argument(from)]);
        self.check_read(helper, result, site);
        Ok(())
    }

    fn read_text(
        &mut self,
        addr: &Expr,
        max: Option<&Expr>,
        to: Place,
        expr: &Expr,
        padding: Padding,
    ) -> Generated<()> {
        let (size, site) = (expr.ty.size(), expr.span);
        let space = space_of(addr);
        let addr = self.scalar(addr)?;
        let length = match max {
            None => Arg::Imm(i64::from(size)),
            Some(max) => {
                let max = self.scalar(max)?;
                argument(self.clamped(max, i64::from(size)))
            }
        };
        if padding == Padding::Zeros {
            self.clear(to, size);
        } else if max.is_some() {
            // Of no length at all the helper writes nothing, not even the NUL.
            self.asm.store(Size::B1, to, Operand::Imm(0));
        }
        let helper = Self::text_reader(space);
        let result = self.asm.call(helper, &[Arg::Address(to), length, argument(addr)]);
        self.check_read(helper, result, site);
        self.check_whole(addr, space, size, result, site);
        Ok(())
    }

    fn read_bytes(&mut self, addr: &Expr, len: &Expr, to: Place, expr: &Expr, padding: Padding) -> Generated<()> {
        let (capacity, site) = (expr.ty.size() - 4, expr.span);
        let space = space_of(addr);
        let (addr, len) = (self.scalar(addr)?, self.scalar(len)?);
        if padding == Padding::Zeros {
            self.clear(to, capacity + 4);
        }
        let length = self.clamped(len, i64::from(capacity));
        self.asm.store(Size::B4, to, length);
        let helper = Self::reader(space);
        let result = self.asm.call(helper, &[Arg::Address(at(to, 4)), argument(length), argument(addr)]);
        self.check_read(helper, result, site);
        Ok(())
    }

    /// A number kept within 0 and `most`, in a way that every verifier follows; to be used before the next call.
    pub fn clamped(&mut self, value: Operand, most: i64) -> Operand {
        if let Operand::Imm(number) = value {
            return Operand::Imm((number as u64).min(most as u64) as i64);
        }
        let clamped = self.asm.variable();
        let done = self.asm.label();
        self.asm.set(clamped, value);
        self.asm.branch(Cond::Le, value, Operand::Imm(most), done);
        self.asm.set(clamped, Operand::Imm(most));
        self.asm.place(done);
        self.asm.get(clamped).into()
    }

    fn compose(&mut self, parts: &[(u32, Expr)], to: Place, size: u32, padding: Padding) -> Generated<()> {
        let mut end = 0;
        for (offset, part) in parts {
            self.clear(at(to, end), offset.saturating_sub(end));
            self.write(part, at(to, *offset), padding)?;
            end = offset + part.ty.size();
        }
        self.clear(at(to, end), size.saturating_sub(end));
        Ok(())
    }

    /// Copies as text what may have no end.
    fn terminate(&mut self, of: &Expr, to: Place, size: u32, padding: Padding) -> Generated<()> {
        let from = self.place_of(of)?;
        if padding == Padding::Zeros {
            self.clear(to, size);
        }
        let args = [Arg::Address(to), Arg::Imm(i64::from(size)), Arg::Address(from)];
        self.asm.call(Helper::PROBE_READ_KERNEL_STR, &args);
        Ok(())
    }

    /// The helper reads from any address, where the verifier would want to see that of a load on the stack.
    fn element(
        &mut self,
        base: &Expr,
        index: &Expr,
        count: u32,
        outside: CounterId,
        to: Place,
        size: u32,
    ) -> Generated<()> {
        let place = self.place_of(base)?;
        let index = self.scalar(index)?;
        let (beyond, done) = (self.asm.label(), self.asm.label());
        self.asm.branch(Cond::Ge, index, Operand::Imm(i64::from(count)), beyond);
        self.enter();
        let start = self.asm.address(place);
        let distance = self.asm.alu(Alu::Mul, index, Operand::Imm(i64::from(size)));
        let from = self.asm.alu(Alu::Add, start.into(), distance);
        self.asm.call(Helper::PROBE_READ_KERNEL, &[Arg::Address(to), Arg::Imm(i64::from(size)), argument(from)]);
        self.leave();
        self.asm.jump(done);
        self.asm.place(beyond);
        self.enter();
        self.count(outside);
        self.clear(to, size);
        self.leave();
        self.asm.place(done);
        Ok(())
    }

    fn resize(&mut self, of: &Expr, ty: &Type, to: Place, padding: Padding) -> Generated<()> {
        if !of.ty.elements().is_empty() {
            // The tuple is evaluated once; its elements are then fields of it.
            let from = self.place_of(of)?;
            self.convert_elements(from, &of.ty, to, ty, padding);
            return Ok(());
        }
        let (old, new) = (of.ty.size(), ty.size());
        if old <= new {
            self.write(of, to, padding)?;
            if padding == Padding::Zeros {
                self.clear(at(to, old), new - old);
            }
            return Ok(());
        }
        let from = self.place_of(of)?;
        self.copy(to, from, new);
        if matches!(ty, Type::Str(_)) && new > 0 {
            self.asm.store(Size::B1, at(to, new - 1), Operand::Imm(0));
        }
        Ok(())
    }

    fn convert_elements(&mut self, from: Place, old: &Type, to: Place, new: &Type, padding: Padding) {
        let mut end = 0;
        let starts = old.offsets();
        let sources = new.matching(old).unwrap_or_default();
        for (source, (element, offset)) in sources.into_iter().zip(new.elements().iter().zip(new.offsets())) {
            self.clear(at(to, end), offset - end);
            let (old, start) = (&old.elements()[source], starts[source]);
            self.convert_in_memory(at(from, start), old, at(to, offset), element, padding);
            end = offset + element.size();
        }
        self.clear(at(to, end), new.size() - end);
    }

    fn convert_in_memory(&mut self, from: Place, old: &Type, to: Place, new: &Type, padding: Padding) {
        if new.is_scalar() {
            let value = self.load_from(from, old);
            self.asm.store(size_of(new), to, value);
        } else if old != new && !new.elements().is_empty() {
            self.convert_elements(from, old, to, new, padding);
        } else {
            self.copy(to, from, old.size().min(new.size()));
            if padding == Padding::Zeros || !matches!(new, Type::Str(_)) {
                self.clear(at(to, old.size()), new.size().saturating_sub(old.size()));
            }
        }
    }

    fn copy_from_map(&mut self, map: crate::plan::MapId, key: Option<&Expr>, to: Place, expr: &Expr) -> Generated<()> {
        let size = expr.ty.size();
        match self.look_up(map, key)? {
            Found::Always(from) => self.copy(to, from, size),
            Found::Maybe(pointer) => {
                let (missing, done) = (self.asm.label(), self.asm.label());
                self.asm.branch(Cond::Eq, pointer.into(), Operand::Imm(0), missing);
                self.enter();
                self.copy(to, Place::new(Base::Reg(pointer), 0), size);
                self.leave();
                self.asm.jump(done);
                self.asm.place(missing);
                self.enter();
                self.note_missing(expr.span);
                self.clear(to, size);
                self.leave();
                self.asm.place(done);
            }
        }
        Ok(())
    }

    /// The bytes of a literal, then zeros where they are wanted.
    fn literal(&mut self, bytes: &[u8], to: Place, size: u32, padding: Padding) {
        let length = (bytes.len() as u32).min(size);
        // One byte more is the NUL of a text.
        let stored =
            if padding == Padding::Free { (length + 1).min(size) } else { length.next_multiple_of(8).min(size) };
        for (offset, width) in chunks(to, stored) {
            let mut word = [0; 8];
            for (byte, slot) in word.iter_mut().enumerate().take(width.bytes() as usize) {
                *slot = bytes.get(offset as usize + byte).copied().unwrap_or(0);
            }
            self.asm.store(width, at(to, offset), Operand::Imm(i64::from_le_bytes(word)));
        }
        if padding == Padding::Zeros {
            self.clear(at(to, stored), size - stored);
        }
    }

    pub fn clear(&mut self, to: Place, size: u32) {
        if size > INLINE {
            self.zeros = self.zeros.max(size);
            let zeros = Place::new(Base::Map(self.shared.zeros), 0);
            let args = [Arg::Address(to), Arg::Imm(i64::from(size)), Arg::Address(zeros)];
            self.asm.call(Helper::PROBE_READ_KERNEL, &args);
            return;
        }
        for (offset, width) in chunks(to, size) {
            self.asm.store(width, at(to, offset), Operand::Imm(0));
        }
    }

    pub fn copy(&mut self, to: Place, from: Place, size: u32) {
        if size > INLINE {
            self.asm
                .call(Helper::PROBE_READ_KERNEL, &[Arg::Address(to), Arg::Imm(i64::from(size)), Arg::Address(from)]);
            return;
        }
        for (offset, width) in chunks_of_both(to, from, size) {
            let word = self.asm.load(width, at(from, offset));
            self.asm.store(width, at(to, offset), word.into());
        }
    }
}

pub fn argument(value: Operand) -> Arg {
    match value {
        Operand::Reg(reg) => Arg::Reg(reg),
        Operand::Imm(number) => Arg::Imm(number),
    }
}

fn space_of(addr: &Expr) -> Space {
    match &addr.ty {
        Type::Ptr(_, space) => *space,
        _ => Space::Unknown,
    }
}

/// A range of memory as loads or stores that are aligned, which the stack demands: each an offset and a width.
pub fn chunks(place: Place, size: u32) -> Vec<(u32, Size)> {
    let mut chunks = Vec::new();
    let mut offset = 0;
    while offset < size {
        let width = [Size::B8, Size::B4, Size::B2, Size::B1]
            .into_iter()
            .find(|width| {
                let bytes = width.bytes();
                offset + bytes <= size && (place.offset + offset as i32).rem_euclid(bytes as i32) == 0
            })
            .unwrap_or(Size::B1);
        chunks.push((offset, width));
        offset += width.bytes();
    }
    chunks
}

/// Chunks that are aligned in both places.
pub fn chunks_of_both(one: Place, other: Place, size: u32) -> Vec<(u32, Size)> {
    // Where the two are offset against each other, nothing wider than that offset is aligned in both.
    let apart = (one.offset ^ other.offset) as u32;
    let widest = 1 << apart.trailing_zeros().min(3);
    chunks(one, size).into_iter().flat_map(|(offset, width)| narrowed(offset, width, widest)).collect()
}

/// A chunk as several of at most `widest` bytes.
fn narrowed(offset: u32, width: Size, widest: u32) -> Vec<(u32, Size)> {
    let narrow = match widest.min(width.bytes()) {
        1 => Size::B1,
        2 => Size::B2,
        4 => Size::B4,
        _ => Size::B8,
    };
    (0..width.bytes() / narrow.bytes()).map(|part| (offset + part * narrow.bytes(), narrow)).collect()
}
