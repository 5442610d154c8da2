//! Values as bytes: composed, resized, read from the fake kernel's memory.

use rtrace::ir::{Expr, ExprKind};
use rtrace::types::{Sign, Type};

use super::text::{cut, text};
use super::{Evaluator, Run, Value, broken};

impl Evaluator<'_> {
    /// A value as it lies in memory.
    pub(super) fn bytes(&mut self, expr: &Expr) -> Run<Vec<u8>> {
        Ok(match self.value(expr)? {
            Value::Scalar(number) => number.to_le_bytes()[..expr.ty.size() as usize].to_vec(),
            Value::Memory(bytes) => bytes,
        })
    }

    /// A pointer that leads nowhere leads on to zeros.
    fn follow(&mut self, from: &Expr, hops: &[u32], offset: u32, size: usize) -> Run<Vec<u8>> {
        let mut from = self.number(from)?;
        for hop in hops {
            from = super::word(&self.scene.follow(from.wrapping_add(u64::from(*hop)), 8));
        }
        Ok(self.scene.follow(from.wrapping_add(u64::from(offset)), size as u64))
    }

    /// What is made in memory.
    pub(super) fn memory(&mut self, expr: &Expr) -> Run<Vec<u8>> {
        let size = expr.ty.size() as usize;
        let mut out = match &*expr.kind {
            ExprKind::Zero => Vec::new(),
            ExprKind::Load { addr, offset } => {
                let address = self.number(addr)?.wrapping_add_signed(*offset);
                self.read(address, size as u64).unwrap_or_default()
            }
            ExprKind::Field { base, offset } => {
                let base = self.bytes(base)?;
                match base.get(*offset as usize..*offset as usize + size) {
                    Some(part) => part.to_vec(),
                    None => return broken(format!("a field at {offset} of a value of {} bytes", base.len())),
                }
            }
            ExprKind::Str(text) => text.clone(),
            ExprKind::Bytes(bytes) => [&(bytes.len() as u32).to_le_bytes()[..], bytes].concat(),
            ExprKind::Compose(parts) => self.compose(parts, size)?,
            ExprKind::Follow { from, hops, offset, .. } => self.follow(from, hops, *offset, size)?,
            ExprKind::PathName { .. } => return broken("the name of a file, of which there are none".to_string()),
            ExprKind::OfObject { given, .. } => return broken(format!("a call of {}, which there is not", given.name)),
            ExprKind::Comm => self.scene.comm().to_vec(),
            ExprKind::ReadStr { addr, max } => {
                let address = self.number(addr)?;
                let max = match max {
                    Some(max) => self.number(max)?.min(size as u64),
                    None => size as u64,
                };
                self.read_text(address, max).unwrap_or_default()
            }
            ExprKind::ReadBuf { addr, len } => {
                let address = self.number(addr)?;
                let length = self.number(len)?.min(size as u64 - 4);
                let bytes = self.read(address, length).unwrap_or_default();
                [&(length as u32).to_le_bytes()[..], &bytes].concat()
            }
            ExprKind::StrConcat(left, right) => {
                let (left, right) = (self.bytes(left)?, self.bytes(right)?);
                cut(&[text(&left), text(&right)].concat(), size)
            }
            ExprKind::Terminate(of) => cut(&self.bytes(of)?, size),
            ExprKind::Reinterpret(of) => self.bytes(of)?,
            ExprKind::Element { base, index, count, outside } => {
                let base = self.bytes(base)?;
                let index = self.number(index)?;
                if index >= u64::from(*count) {
                    self.store.count(*outside);
                    Vec::new()
                } else {
                    base[index as usize * size..][..size].to_vec()
                }
            }
            ExprKind::Resize(of) => {
                let from = self.bytes(of)?;
                resize(&from, &of.ty, &expr.ty)
            }
            _ => return self.bytes(expr),
        };
        out.resize(size, 0);
        Ok(out)
    }

    fn compose(&mut self, parts: &[(u32, Expr)], size: usize) -> Run<Vec<u8>> {
        let mut out = vec![0; size];
        for (offset, part) in parts {
            let bytes = self.bytes(part)?;
            match out.get_mut(*offset as usize..*offset as usize + bytes.len()) {
                Some(to) => to.copy_from_slice(&bytes),
                None => return broken(format!("a part at {offset} of a value of {size} bytes")),
            }
        }
        Ok(out)
    }
}

impl Value {
    pub(super) fn zero(ty: &Type) -> Value {
        Value::of(&vec![0; ty.size() as usize], ty)
    }

    /// The value that these bytes hold at their start.
    pub(super) fn of(bytes: &[u8], ty: &Type) -> Value {
        if ty.is_scalar() {
            Value::Scalar(scalar_at(bytes, ty))
        } else {
            Value::Memory(bytes[..ty.size() as usize].to_vec())
        }
    }
}

pub fn scalar_at(bytes: &[u8], ty: &Type) -> u64 {
    let mut word = [0; 8];
    let size = ty.size() as usize;
    word[..size].copy_from_slice(&bytes[..size]);
    extend(u64::from_le_bytes(word), ty)
}

/// A number cut to a scalar's width, and extended by its sign.
pub fn extend(number: u64, ty: &Type) -> u64 {
    if *ty == Type::Bool {
        return u64::from(number != 0);
    }
    let shift = 64 - 8 * ty.size();
    match (shift, ty.sign()) {
        (64.., _) => 0,
        (_, Sign::Signed) => (((number << shift) as i64) >> shift) as u64,
        (_, Sign::Unsigned) => number << shift >> shift,
    }
}

/// A value converted to a wider or narrower type of its kind.
fn resize(from: &[u8], old: &Type, new: &Type) -> Vec<u8> {
    let size = new.size() as usize;
    match (old, new) {
        (Type::Tuple(_), Type::Tuple(_)) | (Type::Record(..), Type::Record(..)) => {
            let mut out = vec![0; size];
            let sources = new.matching(old).unwrap_or_default();
            for (source, (element, at)) in sources.into_iter().zip(new.elements().iter().zip(new.offsets())) {
                let (old, start) = (&old.elements()[source], old.offsets()[source] as usize);
                let part = resize(&from[start..][..old.size() as usize], old, element);
                out[at as usize..][..part.len()].copy_from_slice(&part);
            }
            out
        }
        (Type::Str(_), Type::Str(_)) => cut(from, size),
        _ if old.is_scalar() && new.is_scalar() => extend(scalar_at(from, old), new).to_le_bytes()[..size].to_vec(),
        _ => {
            let mut out = from.to_vec();
            out.resize(size, 0);
            out
        }
    }
}

/// Eight bytes as a number.
pub fn word(bytes: &[u8]) -> u64 {
    scalar_at(bytes, &Type::U64)
}
