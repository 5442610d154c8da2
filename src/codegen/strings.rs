//! Comparing and searching texts. All are zero-padded, so equal texts are equal word by word.

use super::memory::{Padding, chunks, chunks_of_both};
use super::state::{Gen, Generated, Refused, at};
use crate::bpf::Helper;
use crate::bpf::asm::{Alu, Arg, Base, Cond, Label, Operand, Place, Size, VReg};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};

/// Texts up to so many bytes are compared by code that is laid out for each of their words, longer ones in a loop.
const UNROLLED: u32 = 512;

/// Character comparisons that a search for a text only known at run time may come to, all laid out one after another.
const SEARCH: u32 = 4096;

/// What a search is to tell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Presence,
    Place,
}

/// A search under way: where to leave its result, and where to go with it.
#[derive(Clone, Copy)]
struct Search {
    result: VReg,
    found: Label,
    wanted: Wanted,
}

impl Gen<'_> {
    /// 0 if the texts are equal (within `len` bytes), else 1.
    pub fn text_differs(&mut self, left: &Expr, right: &Expr, len: Option<u32>) -> Generated<Operand> {
        let result = self.asm.variable();
        let different = self.asm.label();
        self.asm.set(result, Operand::Imm(1));
        self.branch_if_different(left, right, len, different)?;
        self.asm.set(result, Operand::Imm(0));
        self.asm.place(different);
        Ok(self.asm.get(result).into())
    }

    pub fn branch_if_different(&mut self, left: &Expr, right: &Expr, len: Option<u32>, to: Label) -> Generated<()> {
        match (&*left.kind, &*right.kind) {
            (_, ExprKind::Str(text)) => self.compare_literal(left, text, len, to),
            (ExprKind::Str(text), _) => self.compare_literal(right, text, len, to),
            _ => self.compare_texts(left, right, len, to),
        }
    }

    /// Up to and including the literal's NUL, unless that is more than `len`.
    fn compare_literal(&mut self, text: &Expr, literal: &[u8], len: Option<u32>, to: Label) -> Generated<()> {
        let wanted = (literal.len() as u32 + 1).min(len.unwrap_or(u32::MAX));
        let size = text.ty.size();
        let place = self.place_of(text)?;
        if wanted > size {
            // The literal is longer than anything the other could hold.
            self.asm.jump(to);
            let unreachable = self.asm.label();
            self.asm.place(unreachable);
            return Ok(());
        }
        for (offset, width) in chunks(place, wanted) {
            let mut word = [0; 8];
            for (byte, slot) in word.iter_mut().enumerate().take(width.bytes() as usize) {
                *slot = literal.get(offset as usize + byte).copied().unwrap_or(0);
            }
            let found = self.asm.load(width, at(place, offset));
            self.asm.branch(Cond::Ne, found.into(), Operand::Imm(i64::from_le_bytes(word)), to);
        }
        Ok(())
    }

    fn compare_texts(&mut self, left: &Expr, right: &Expr, len: Option<u32>, to: Label) -> Generated<()> {
        let size = left.ty.size().min(right.ty.size()).min(len.unwrap_or(u32::MAX));
        let (one, other) = (self.place_of(left)?, self.place_of(right)?);
        if size > UNROLLED {
            self.compare_in_loop(one, other, size / 8, to);
        }
        let rest = if size > UNROLLED { size - size % 8 } else { 0 };
        for (offset, width) in chunks_of_both(at(one, rest), at(other, rest), size - rest) {
            let offset = rest + offset;
            let left = self.asm.load(width, at(one, offset));
            let right = self.asm.load(width, at(other, offset));
            self.asm.branch(Cond::Ne, left.into(), right.into(), to);
        }
        Ok(())
    }

    /// Goes to `to` at the first of so many words that differs. Values this large lie beside the stack, where such loads may be.
    fn compare_in_loop(&mut self, one: Place, other: Place, words: u32, to: Label) {
        let (one, other) = (self.asm.address(one), self.asm.address(other));
        let at = self.asm.variable();
        self.asm.set(at, Operand::Imm(0));
        let (head, done) = (self.asm.label(), self.asm.label());
        self.asm.place(head);
        self.enter();
        let now = self.asm.get(at);
        self.asm.branch(Cond::Ge, now.into(), Operand::Imm(8 * i64::from(words)), done);
        let left = self.word_at(one, now);
        let right = self.word_at(other, now);
        self.asm.branch(Cond::Ne, left, right, to);
        let next = self.asm.alu(Alu::Add, now.into(), Operand::Imm(8));
        self.asm.set(at, next);
        self.leave();
        self.asm.jump(head);
        self.asm.place(done);
    }

    fn word_at(&mut self, start: VReg, distance: VReg) -> Operand {
        match self.asm.alu(Alu::Add, start.into(), distance.into()) {
            Operand::Reg(address) => self.asm.load(Size::B8, Place::new(Base::Reg(address), 0)).into(),
            constant => constant,
        }
    }

    /// The helper that copies a text tells its length, the NUL included.
    pub fn text_length(&mut self, text: &Expr) -> Generated<Operand> {
        let size = text.ty.size();
        let place = self.place_of(text)?;
        let copy = self.temporary(size);
        let length = self.copy_text(copy, size, place);
        Ok(self.asm.alu(Alu::Sub, length, Operand::Imm(1)))
    }

    /// Whether `hay` contains `needle` (1 or 0), or where (-1 if it does not).
    pub fn search(&mut self, hay: &Expr, needle: &Expr, wanted: Wanted) -> Generated<Operand> {
        let search = Search { result: self.asm.variable(), found: self.asm.label(), wanted };
        self.asm.set(search.result, Operand::Imm(if wanted == Wanted::Place { -1 } else { 0 }));
        match &*needle.kind {
            ExprKind::Str(literal) => self.search_literal(hay, literal, search)?,
            _ => self.search_text(hay, needle, search)?,
        }
        self.asm.place(search.found);
        Ok(self.asm.get(search.result).into())
    }

    fn found(&mut self, search: Search, start: u32) {
        let answer = if search.wanted == Wanted::Place { i64::from(start) } else { 1 };
        self.asm.set(search.result, Operand::Imm(answer));
        self.asm.jump(search.found);
    }

    /// Tries every place: eight bytes at a time, which takes unaligned loads and so memory beside the stack.
    fn search_literal(&mut self, hay: &Expr, literal: &[u8], search: Search) -> Generated<()> {
        if literal.is_empty() {
            if hay.has_effects() {
                self.place_of(hay)?;
            }
            self.found(search, 0);
            return Ok(());
        }
        let size = hay.ty.size();
        let length = literal.len() as u32;
        // Loads at the last places reach beyond the text.
        let text = self.scratch(size + 8);
        self.write(hay, text, Padding::Zeros)?;
        for start in 0..(size).saturating_sub(length) {
            let next = self.asm.label();
            for (offset, piece) in literal.chunks(8).enumerate() {
                let mut word = [0; 8];
                word[..piece.len()].copy_from_slice(piece);
                let loaded = self.asm.load(Size::B8, at(text, start + 8 * offset as u32));
                let mask = if piece.len() == 8 { -1 } else { (1i64 << (8 * piece.len())) - 1 };
                let relevant = self.asm.alu(Alu::And, loaded.into(), Operand::Imm(mask));
                self.asm.branch(Cond::Ne, relevant, Operand::Imm(i64::from_le_bytes(word)), next);
            }
            self.found(search, start);
            self.asm.place(next);
        }
        Ok(())
    }

    /// Character by character at every place.
    fn search_text(&mut self, hay: &Expr, needle: &Expr, search: Search) -> Generated<()> {
        let (size, longest) = (hay.ty.size(), needle.ty.size());
        if size * longest > SEARCH {
            let message = format!(
                "searching a text of {size} bytes for one of {longest} bytes takes more steps than a BPF program may have"
            );
            let hint = "read less of them, for example str(args.filename, 63), or search for a literal text";
            return Err(Refused(Diagnostic::error(hay.span, message).hint(hint)));
        }
        let (text, part) = (self.place_of(hay)?, self.place_of(needle)?);
        for start in 0..size {
            let (next, here) = (self.asm.label(), self.asm.label());
            for index in 0..longest.min(size - start) {
                let wanted = self.character(part, index);
                self.asm.branch(Cond::Eq, wanted, Operand::Imm(0), here);
                let there = self.character(text, start + index);
                self.asm.branch(Cond::Ne, wanted, there, next);
            }
            self.asm.jump(next);
            self.asm.place(here);
            self.found(search, start);
            self.asm.place(next);
        }
        Ok(())
    }

    /// -1, 0 or 1, by the first byte that differs.
    pub fn memory_order(&mut self, left: &Expr, right: &Expr, len: u32) -> Generated<Operand> {
        let (one, other) = (self.place_of(left)?, self.place_of(right)?);
        let (order, done) = (self.asm.variable(), self.asm.label());
        self.asm.set(order, Operand::Imm(0));
        for index in 0..len {
            let next = self.asm.label();
            let (left, right) = (self.character(one, index), self.character(other, index));
            self.asm.branch(Cond::Eq, left, right, next);
            self.asm.set(order, Operand::Imm(-1));
            self.asm.branch(Cond::Lt, left, right, done);
            self.asm.set(order, Operand::Imm(1));
            self.asm.jump(done);
            self.asm.place(next);
        }
        self.asm.place(done);
        Ok(self.asm.get(order).into())
    }

    /// One text after the other, in memory that holds both in full; then as much of it as fits. The helper that copies a text
    /// tells where the second has to begin.
    pub fn concat(&mut self, left: &Expr, right: &Expr, to: Place, size: u32, padding: Padding) -> Generated<()> {
        let (first, second) = (left.ty.size(), right.ty.size());
        let (from, then) = (self.place_of(left)?, self.place_of(right)?);
        let both = self.scratch(first + second);
        let length = self.copy_text(both, first, from);
        let end = self.asm.alu(Alu::Sub, length, Operand::Imm(1));
        let end = self.clamped(end, i64::from(first) - 1);
        let start = self.asm.address(both);
        if let Operand::Reg(seam) = self.asm.alu(Alu::Add, start.into(), end) {
            self.copy_text(Place::new(Base::Reg(seam), 0), second, then);
        }
        if padding == Padding::Zeros {
            self.clear(to, size);
        }
        self.copy_text(to, size, both);
        Ok(())
    }

    /// The length copied, the NUL included.
    fn copy_text(&mut self, to: Place, size: u32, from: Place) -> Operand {
        let args = [Arg::Address(to), Arg::Imm(i64::from(size)), Arg::Address(from)];
        self.asm.call(Helper::PROBE_READ_KERNEL_STR, &args).into()
    }

    fn character(&mut self, text: Place, index: u32) -> Operand {
        self.asm.load(Size::B1, at(text, index)).into()
    }
}
