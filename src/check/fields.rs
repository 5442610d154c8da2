//! What lies within a value: fields by BTF, elements of tuples and arrays, what a pointer points at.

use super::{Cx, Fallible};
use crate::btf::{Btf, FieldInfo, TypeId};
use crate::diag::Diagnostic;
use crate::ir::{BinaryOp, Expr, ExprKind};
use crate::names;
use crate::plan::Cause;
use crate::source::Span;
use crate::syntax::ast;
use crate::types::{Int, Sign, Space, StructRef, Type};

impl Cx<'_> {
    pub(super) fn field(&mut self, base: &ast::Expr, name: &ast::Name, span: Span) -> Fallible<Expr> {
        if matches!(&*base.kind, ast::ExprKind::Ident(word) if word == "args") {
            return self.argument(name, span);
        }
        let value = self.value(base)?;
        match &value.ty {
            Type::Ptr(to, space) => match &**to {
                Type::Struct(of) => {
                    let (of, space) = (of.clone(), *space);
                    self.member(value, &of, space, name, span)
                }
                other => Err(self.no_fields(other, name)),
            },
            Type::Struct(of) => {
                let of = of.clone();
                self.embedded(value, &of, name, span)
            }
            other => Err(self.no_fields(other, name)),
        }
    }

    fn argument(&mut self, name: &ast::Name, span: Span) -> Fallible<Expr> {
        let fields = self.fields(span)?;
        if let Some(field) = fields.iter().find(|field| field.name == name.text) {
            return Ok(Expr { span, ..field.value.clone() });
        }
        let target = &self.target.name;
        let message =
            format!("Struct/union of type 'struct {target}_args' does not contain a field named '{}'", name.text);
        let known: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let hint = suggestion(&name.text, &known);
        Err(self.error(Diagnostic::error(name.span, message).hint(hint)))
    }

    fn no_fields(&mut self, ty: &Type, name: &ast::Name) -> super::Reported {
        let message = format!("Can not access field '{}' on expression of type '{ty}'", name.text);
        let hint = "only structures have fields; cast an address first: ((struct task_struct *)$x).pid";
        self.error(Diagnostic::error(name.span, message).hint(hint))
    }

    /// A field of a structure that a pointer leads to.
    fn member(&mut self, addr: Expr, of: &StructRef, space: Space, name: &ast::Name, span: Span) -> Fallible<Expr> {
        let info = self.find_field(of, name)?;
        let ty = self.btf_type(info.ty, space);
        Ok(read(addr, 0, info, ty, space, span))
    }

    /// A field of a structure that is itself the value of an expression.
    fn embedded(&mut self, value: Expr, of: &StructRef, name: &ast::Name, span: Span) -> Fallible<Expr> {
        let info = self.find_field(of, name)?;
        // A structure read from memory is not copied: only the field is read, further along.
        if let ExprKind::Load { addr, offset } = *value.kind {
            let space = space_of(&addr);
            let ty = self.btf_type(info.ty, space);
            return Ok(read(addr, offset, info, ty, space, span));
        }
        let ty = self.btf_type(info.ty, Space::Kernel);
        Ok(within(value, info, ty, span))
    }

    fn find_field(&mut self, of: &StructRef, name: &ast::Name) -> Fallible<FieldInfo> {
        let found = self.kernel.btf().and_then(|btf| btf.field(TypeId(of.btf), &name.text));
        found.ok_or_else(|| {
            let message = format!("Struct/union of type '{}' does not contain a field named '{}'", of.name, name.text);
            let known = self.kernel.btf().map(|btf| btf.field_names(TypeId(of.btf))).unwrap_or_default();
            let hint = suggestion(&name.text, &known);
            self.error(Diagnostic::error(name.span, message).hint(hint))
        })
    }

    fn btf_type(&self, id: TypeId, space: Space) -> Type {
        self.kernel.btf().map_or(Type::Void, |btf: &Btf| btf.to_type(id, space))
    }

    pub(super) fn tuple_index(&mut self, base: &ast::Expr, index: u64, span: Span) -> Fallible<Expr> {
        let value = self.value(base)?;
        let Type::Tuple(elements) = value.ty.clone() else {
            let message = format!("Can not access index '{index}' on expression of type '{}'", value.ty);
            return Err(self.error(Diagnostic::error(span, message).hint("only tuples have numbered elements")));
        };
        let Some(ty) = elements.get(index as usize) else {
            let message = format!("Invalid tuple index: {index}. Found {} elements in tuple.", elements.len());
            return Err(self.error(Diagnostic::error(span, message)));
        };
        let offset = value.ty.offsets()[index as usize];
        // Of a loop's entry only the part that is wanted is used; anything else is made once, as it may have effects.
        if let (ExprKind::Compose(parts), ast::ExprKind::Var(_)) = (&*value.kind, &*base.kind)
            && let Some((_, part)) = parts.get(index as usize)
        {
            return Ok(Expr { span, ..part.clone() });
        }
        Ok(Expr::new(ExprKind::Field { base: value, offset }, ty.clone(), span))
    }

    pub(super) fn index(&mut self, base: &ast::Expr, index: &ast::Expr, span: Span) -> Fallible<Expr> {
        let value = self.value(base)?;
        if let (Type::Tuple(_), ast::ExprKind::Int { value: number, .. }) = (&value.ty, &*index.kind) {
            return self.tuple_index(base, *number, span);
        }
        let index = self.scalar(index)?;
        match value.ty.clone() {
            Type::Ptr(to, space) => self.pointed_element(value, &to, space, index, span),
            Type::Array(of, count) => self.element(value, &of, count, index, span),
            Type::Str(count) => self.element(value, &Type::Int(Int::I8), count, index, span),
            other => {
                let message =
                    format!("The array index operator [] can only be used on arrays and pointers, found {other}");
                Err(self.error(Diagnostic::error(span, message)))
            }
        }
    }

    fn pointed_element(&mut self, base: Expr, to: &Type, space: Space, index: Expr, span: Span) -> Fallible<Expr> {
        if to.size() == 0 {
            let message =
                format!("The array index operator [] can not be used on a pointer to '{to}': its size is not known");
            return Err(self.error(Diagnostic::error(span, message)));
        }
        let addr = advance(base, index, to.size(), space, to, span);
        Ok(load(addr, 0, to.clone(), span))
    }

    fn element(&mut self, array: Expr, of: &Type, count: u32, index: Expr, span: Span) -> Fallible<Expr> {
        if let Some(number) = super::operators::constant(&index) {
            if !(0..i128::from(count)).contains(&number) {
                let message = format!("the index {number} is out of bounds for array of size {count}");
                return Err(self.error(Diagnostic::error(span, message)));
            }
            let offset = number as u32 * of.size();
            return Ok(match *array.kind {
                ExprKind::Load { addr, offset: start } => load(addr, start + i64::from(offset), of.clone(), span),
                ExprKind::ReadStr { addr, .. } => load(addr, i64::from(offset), of.clone(), span),
                _ => Expr::new(ExprKind::Field { base: array, offset }, of.clone(), span),
            });
        }
        let (addr, start) = match *array.kind {
            ExprKind::Load { addr, offset } => (addr, offset),
            ExprKind::ReadStr { addr, .. } => (addr, 0),
            _ => {
                let diagnostic =
                    Diagnostic::error(span, "an array held in a variable or map can be indexed by a literal only");
                return Err(self.error(diagnostic.hint("index where it is read: $pointer->array[$i]")));
            }
        };
        Ok(self.checked_element(addr, start, of, count, index, span))
    }

    /// An element by run-time index; beyond the end it is zero, and that is counted.
    fn checked_element(&mut self, addr: Expr, start: i64, of: &Type, count: u32, index: Expr, span: Span) -> Expr {
        let bound = Expr::int(i64::from(count), Type::U64, span);
        let sign = Sign::Unsigned;
        let kind = ExprKind::Compare { op: crate::ir::CompareOp::Lt, sign, left: index.clone(), right: bound };
        let cond = Expr::new(kind, Type::Bool, span);
        let space = space_of(&addr);
        let then = load(advance(addr, index, of.size(), space, of, span), start, of.clone(), span);
        let counter = self.counter(Cause::OutOfBounds, span);
        let count = crate::ir::Stmt::new(crate::ir::StmtKind::Count(counter), span);
        let zero = Expr::new(ExprKind::Zero, of.clone(), span);
        let otherwise = Expr::new(ExprKind::Seq(vec![count], zero), of.clone(), span);
        Expr::new(ExprKind::Cond { cond, then, otherwise }, of.clone(), span)
    }

    pub(super) fn deref(&mut self, operand: &ast::Expr, span: Span) -> Fallible<Expr> {
        let value = self.value(operand)?;
        match value.ty.clone() {
            Type::Ptr(to, _) if to.size() > 0 => Ok(load(value, 0, *to, span)),
            // A plain number is taken for the address of one, as bpftrace does.
            Type::Int(_) => {
                let addr = Expr { ty: Type::pointer(Type::U64, self.context.space), ..value };
                Ok(load(addr, 0, Type::U64, span))
            }
            other => {
                let message = format!("Can not dereference type '{other}'. It needs to be a pointer.");
                Err(self.error(Diagnostic::error(span, message)))
            }
        }
    }
}

/// The value of type `ty` at an address; arrays of characters are text.
pub fn load(addr: Expr, offset: i64, ty: Type, span: Span) -> Expr {
    if let Type::Str(_) = ty {
        let addr = shifted(addr, offset, span);
        return Expr::new(ExprKind::ReadStr { addr, max: None }, ty, span);
    }
    Expr::new(ExprKind::Load { addr, offset }, ty, span)
}

fn read(addr: Expr, start: i64, info: FieldInfo, ty: Type, space: Space, span: Span) -> Expr {
    let addr = with_space(addr, space);
    let Some(width) = info.bitfield else {
        return load(addr, start + i64::from(info.bit_offset / 8), ty, span);
    };
    // The eight bytes (or fewer, at a lower address) that hold all bits of the field.
    let (byte, shift) = (info.bit_offset / 8, (info.bit_offset % 8) as u8);
    let held = Type::Int(Int { bits: holding(shift + width), sign: Sign::Unsigned });
    let value = load(addr, start + i64::from(byte), held, span);
    Expr::new(ExprKind::Bits { value, shift, width }, ty, span)
}

fn within(base: Expr, info: FieldInfo, ty: Type, span: Span) -> Expr {
    let offset = info.bit_offset / 8;
    let Some(width) = info.bitfield else {
        return Expr::new(ExprKind::Field { base, offset }, ty, span);
    };
    let shift = (info.bit_offset % 8) as u8;
    let held = Type::Int(Int { bits: holding(shift + width), sign: Sign::Unsigned });
    let value = Expr::new(ExprKind::Field { base, offset }, held, span);
    Expr::new(ExprKind::Bits { value, shift, width }, ty, span)
}

fn holding(bits: u8) -> u8 {
    bits.next_power_of_two().clamp(8, 64)
}

fn space_of(addr: &Expr) -> Space {
    match &addr.ty {
        Type::Ptr(_, space) => *space,
        _ => Space::Unknown,
    }
}

fn with_space(addr: Expr, space: Space) -> Expr {
    match addr.ty {
        Type::Ptr(to, Space::Unknown) => Expr { ty: Type::Ptr(to, space), ..addr },
        _ => addr,
    }
}

fn shifted(addr: Expr, offset: i64, span: Span) -> Expr {
    if offset == 0 {
        return addr;
    }
    let ty = addr.ty.clone();
    let right = Expr::int(offset, Type::I64, span);
    let kind = ExprKind::Binary { op: BinaryOp::Add, sign: Sign::Unsigned, left: addr, right, zero: None };
    Expr::new(kind, ty, span)
}

/// The address of an element, so many elements of `size` bytes along.
fn advance(base: Expr, index: Expr, size: u32, space: Space, to: &Type, span: Span) -> Expr {
    let sign = Sign::Unsigned;
    let size = Expr::int(i64::from(size), Type::U64, span);
    let bytes = ExprKind::Binary { op: BinaryOp::Mul, sign, left: index, right: size, zero: None };
    let right = Expr::new(bytes, Type::U64, span);
    let kind = ExprKind::Binary { op: BinaryOp::Add, sign, left: base, right, zero: None };
    Expr::new(kind, Type::pointer(to.clone(), space), span)
}

fn suggestion(name: &str, known: &[&str]) -> String {
    match names::nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => {
            let more = if known.len() > 12 { ", ..." } else { "" };
            let shown: Vec<&str> = known.iter().copied().filter(|name| !name.is_empty()).take(12).collect();
            format!("its fields are: {}{more}", shown.join(", "))
        }
    }
}
