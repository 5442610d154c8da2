//! Fields of a tracepoint's record, as expressions over the program's context, which is that record.

use super::{ContextField, ctype};
use crate::ir::{BinaryOp, Expr, ExprKind};
use crate::kernel::{Kernel, TracepointField};
use crate::source::Span;
use crate::types::{Int, Sign, Space, Type};

/// Reads the fields of one tracepoint.
pub struct Reader<'a> {
    pub kernel: &'a dyn Kernel,
    /// Whose memory its pointers lead into.
    pub space: Space,
    pub span: Span,
}

/// Longest text read from a field whose length only the record tells, NUL included; `str()` can ask for more.
const TEXT: u32 = 256;

impl Reader<'_> {
    pub fn field(&self, field: &TracepointField) -> ContextField {
        let value = match split_location(&field.c_type) {
            Some((location, element)) => self.located(field, location, element),
            None if field.c_type.ends_with(']') => self.array(field),
            None => self.single(field),
        };
        ContextField { name: field.name.clone(), c_type: field.c_type.clone(), value }
    }

    /// Data at the record's end: the field holds its offset in the low half and its length in the high half.
    fn located(&self, field: &TracepointField, location: Location, element: &str) -> Expr {
        let word = self.ctx_load(field.offset, Type::U32);
        let offset = self.binary(BinaryOp::And, word, self.int(0xffff));
        let start = match location {
            Location::OfRecord => 0,
            // Relative ones count from the field's own end.
            Location::OfField => field.offset + 4,
        };
        let element = ctype::parse(self.kernel, element, self.space);
        let addr = self.binary(BinaryOp::Add, self.ctx(start), offset);
        let addr = Expr { ty: Type::pointer(element.clone(), Space::Kernel), ..addr };
        if element == Type::Int(Int::I8) { self.text(addr, TEXT) } else { addr }
    }

    /// Texts and other arrays of a fixed length.
    fn array(&self, field: &TracepointField) -> Expr {
        let element = field.c_type.split('[').next().unwrap_or("").trim_end();
        if element == "char" {
            return self.text(self.ctx(field.offset), field.size);
        }
        let element = match ctype::parse(self.kernel, element, self.space) {
            known if known.size() > 0 && field.size.is_multiple_of(known.size()) => known,
            _ => Type::U8,
        };
        let count = field.size / element.size();
        self.load(field.offset, Type::Array(Box::new(element), count))
    }

    /// Everything that is one value.
    fn single(&self, field: &TracepointField) -> Expr {
        let ty = self.single_type(field);
        // The verifier takes aligned loads of scalars only.
        if ty.is_scalar() && field.offset.is_multiple_of(ty.size()) {
            return self.ctx_load(field.offset, ty);
        }
        self.load(field.offset, ty)
    }

    /// Records of system calls give every argument eight bytes, so there the declared type counts; elsewhere the size does.
    fn single_type(&self, field: &TracepointField) -> Type {
        let by_size = Type::Int(Int { bits: 8 * field.size.min(8) as u8, sign: field.sign });
        let is_scalar_size = matches!(field.size, 1 | 2 | 4 | 8);
        let plain = self.space == Space::Kernel && is_scalar_size && !field.c_type.contains(['*', ' ']);
        if plain && field.c_type != "bool" {
            return by_size;
        }
        match ctype::parse(self.kernel, &field.c_type, self.space) {
            known if known.size() > 0 && known.size() <= field.size => known,
            _ if is_scalar_size => by_size,
            _ => Type::Array(Box::new(Type::U8), field.size),
        }
    }

    /// The record is kernel memory, so text in it can be read as such.
    fn text(&self, addr: Expr, size: u32) -> Expr {
        let addr = Expr { ty: Type::pointer(Type::Int(Int::I8), Space::Kernel), ..addr };
        Expr::new(ExprKind::ReadStr { addr, max: None }, Type::Str(size), self.span)
    }

    /// A read with a helper, which takes any size and alignment.
    fn load(&self, offset: u32, ty: Type) -> Expr {
        Expr::new(ExprKind::Load { addr: self.ctx(0), offset: i64::from(offset) }, ty, self.span)
    }

    fn ctx_load(&self, offset: u32, ty: Type) -> Expr {
        Expr::new(ExprKind::CtxLoad { offset }, ty, self.span)
    }

    fn ctx(&self, offset: u32) -> Expr {
        let ctx = Expr::new(ExprKind::Ctx, Type::pointer(Type::Void, Space::Kernel), self.span);
        if offset == 0 { ctx } else { self.binary(BinaryOp::Add, ctx, self.int(i64::from(offset))) }
    }

    fn int(&self, value: i64) -> Expr {
        Expr::int(value, Type::U64, self.span)
    }

    fn binary(&self, op: BinaryOp, left: Expr, right: Expr) -> Expr {
        let ty = if left.ty.is_scalar() && matches!(left.ty, Type::Ptr(..)) { left.ty.clone() } else { Type::U64 };
        Expr::new(ExprKind::Binary { op, sign: Sign::Unsigned, left, right, zero: None }, ty, self.span)
    }
}

/// What the offset in a field counts from.
#[derive(Clone, Copy)]
enum Location {
    OfRecord,
    OfField,
}

/// Splits `__data_loc char[]` into how it is located and `char`.
fn split_location(c_type: &str) -> Option<(Location, &str)> {
    let (location, rest) = match c_type.split_once(' ')? {
        ("__data_loc", rest) => (Location::OfRecord, rest),
        ("__rel_loc", rest) => (Location::OfField, rest),
        _ => return None,
    };
    Some((location, rest.trim_end_matches("[]").trim_end()))
}
