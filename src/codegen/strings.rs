//! Comparing and searching texts. All are zero-padded, so equal texts are equal word by word.

use super::memory::{chunks, chunks_of_both};
use super::state::{Gen, Generated, Refused, at};
use crate::bpf::Helper;
use crate::bpf::asm::{Alu, Arg, Cond, Label, Operand, Place, Size};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};

/// Character comparisons that a search for a text only known at run time may come to, all laid out one after another.
const SEARCH: u32 = 4096;

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
        for (offset, width) in chunks_of_both(one, other, size) {
            let left = self.asm.load(width, at(one, offset));
            let right = self.asm.load(width, at(other, offset));
            self.asm.branch(Cond::Ne, left.into(), right.into(), to);
        }
        Ok(())
    }

    /// The helper that copies a text tells its length, the NUL included.
    pub fn text_length(&mut self, text: &Expr) -> Generated<Operand> {
        let size = text.ty.size();
        let place = self.place_of(text)?;
        let copy = self.temporary(size);
        let args = [Arg::Address(copy), Arg::Imm(i64::from(size)), Arg::Address(place)];
        let length = self.asm.call(Helper::PROBE_READ_KERNEL_STR, &args);
        Ok(self.asm.alu(Alu::Sub, length.into(), Operand::Imm(1)))
    }

    /// 1 if `hay` contains `needle`, else 0.
    pub fn text_contains(&mut self, hay: &Expr, needle: &Expr) -> Generated<Operand> {
        let result = self.asm.variable();
        let found = self.asm.label();
        self.asm.set(result, Operand::Imm(1));
        match &*needle.kind {
            ExprKind::Str(literal) => self.search_literal(hay, literal, found)?,
            _ => self.search_text(hay, needle, found)?,
        }
        self.asm.set(result, Operand::Imm(0));
        self.asm.place(found);
        Ok(self.asm.get(result).into())
    }

    /// Tries every place: eight bytes at a time, which takes unaligned loads and so memory beside the stack.
    fn search_literal(&mut self, hay: &Expr, literal: &[u8], found: Label) -> Generated<()> {
        if literal.is_empty() {
            self.asm.jump(found);
            let unreachable = self.asm.label();
            self.asm.place(unreachable);
            return Ok(());
        }
        let size = hay.ty.size();
        let length = literal.len() as u32;
        // Loads at the last places reach beyond the text.
        let text = self.scratch(size + 8);
        self.write(hay, text, super::memory::Padding::Zeros)?;
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
            self.asm.jump(found);
            self.asm.place(next);
        }
        Ok(())
    }

    /// Character by character at every place.
    fn search_text(&mut self, hay: &Expr, needle: &Expr, found: Label) -> Generated<()> {
        let (size, longest) = (hay.ty.size(), needle.ty.size());
        if size * longest > SEARCH {
            let message = format!(
                "strcontains() of texts of {size} and {longest} bytes takes more steps than a BPF program may have"
            );
            let hint = "read less of them, for example str(args.filename, 63), or search for a literal text";
            return Err(Refused(Diagnostic::error(hay.span, message).hint(hint)));
        }
        let (text, part) = (self.place_of(hay)?, self.place_of(needle)?);
        for start in 0..size {
            let next = self.asm.label();
            for index in 0..longest.min(size - start) {
                let wanted = self.character(part, index);
                self.asm.branch(Cond::Eq, wanted, Operand::Imm(0), found);
                let there = self.character(text, start + index);
                self.asm.branch(Cond::Ne, wanted, there, next);
            }
            self.asm.place(next);
        }
        Ok(())
    }

    fn character(&mut self, text: Place, index: u32) -> Operand {
        self.asm.load(Size::B1, at(text, index)).into()
    }
}
