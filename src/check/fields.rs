//! What lies within a value: fields by BTF, elements of tuples and arrays, what a pointer points at.

use super::{Cx, Fallible};
use crate::btf::{Btf, FieldInfo, TypeId};
use crate::diag::Diagnostic;
use crate::ir::{BinaryOp, Expr, ExprKind};
use crate::names;
use crate::plan::Cause;
use crate::probes::RESULT;
use crate::source::Span;
use crate::syntax::ast;
use crate::types::{Int, Sign, Space, StructRef, Type};

impl Cx<'_> {
    pub(super) fn field(&mut self, base: &ast::Expr, name: &ast::Name, span: Span) -> Fallible<Expr> {
        if matches!(&*base.kind, ast::ExprKind::Ident(word) if word == "args") {
            return self.argument(name, span);
        }
        let value = self.with_fields(base)?;
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
            Type::Record(names, _) => {
                let Some(position) = names.iter().position(|known| **known == *name.text) else {
                    let known: Vec<&str> = names.iter().map(|name| &**name).collect();
                    let message = format!("Record does not contain a field named '{}'", name.text);
                    let hint = suggestion(&name.text, &known);
                    return Err(self.error(Diagnostic::error(name.span, message).hint(hint)));
                };
                Ok(self.part(base, value, position, span))
            }
            other => Err(self.no_fields(other, name)),
        }
    }

    fn argument(&mut self, name: &ast::Name, span: Span) -> Fallible<Expr> {
        let fields = self.fields(span)?;
        if let Some(field) = fields.iter().find(|field| field.name == name.text) {
            return Ok(Expr { span, ..field.value.clone() });
        }
        let target = &self.target().name;
        if name.text.starts_with("common_") && self.probe.name() == "tracepoint" {
            let message = format!("BPF does not support accessing common tracepoint fields such as '{}'", name.text);
            return Err(
                self.error(Diagnostic::error(name.span, message).hint("pid, tid, cpu and the like are builtins"))
            );
        }
        let message =
            format!("Struct/union of type 'struct {target}_args' does not contain a field named '{}'", name.text);
        let known: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let hint = suggestion(&name.text, &known);
        Err(self.error(Diagnostic::error(name.span, message).hint(hint)))
    }

    /// What fields are looked for in. `retval` may be a number by itself, and have a type for this.
    fn with_fields(&mut self, base: &ast::Expr) -> Fallible<Expr> {
        let value = self.value(base)?;
        let has_types = || (self.probe.fields)(self.kernel, self.target()).map_or(true, |fields| !fields.is_empty());
        if value.ty != Type::U64 || !is_result(base) || !has_types() {
            return Ok(value);
        }
        let fields = self.fields(base.span)?;
        let typed = fields.iter().find(|field| field.name == RESULT);
        Ok(typed.map_or(value, |field| Expr { span: base.span, ..field.value.clone() }))
    }

    /// Whether `args`, a structure, what a pointer leads to or a `typeof(…)` has a field of this name here.
    pub fn has_field(&mut self, of: &ast::Expr, name: &ast::Name) -> Fallible<bool> {
        let ty = match &*of.kind {
            ast::ExprKind::Ident(word) if word == "args" => {
                return Ok(self.fields(of.span)?.iter().any(|field| field.name == name.text));
            }
            ast::ExprKind::Typeof(of) => self.type_of(of)?,
            _ => self.with_fields(of)?.ty,
        };
        let ty = if let Type::Ptr(to, _) = ty { *to } else { ty };
        match &ty {
            Type::Struct(of) => {
                Ok(self.kernel.btf().is_some_and(|btf| btf.field(TypeId(of.btf), &name.text).is_some()))
            }
            Type::Record(names, _) => Ok(names.iter().any(|known| **known == *name.text)),
            other => Err(self.no_fields(other, name)),
        }
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
        Ok(read(addr, 0, info, of.size, ty, space, span))
    }

    /// A field of a structure that is itself the value of an expression.
    fn embedded(&mut self, value: Expr, of: &StructRef, name: &ast::Name, span: Span) -> Fallible<Expr> {
        let info = self.find_field(of, name)?;
        // A structure read from memory is not copied: only the field is read, further along.
        if let ExprKind::Load { addr, offset } = *value.kind {
            let space = space_of(&addr);
            let ty = self.btf_type(info.ty, space);
            return Ok(read(addr, offset, info, of.size, ty, space, span));
        }
        let space = if of.space == Space::Unknown { self.context.space } else { of.space };
        let ty = from_space(self.btf_type(info.ty, space), space);
        Ok(within(value, info, of.size, ty, span))
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
        if index >= elements.len() as u64 {
            let message = format!("Invalid tuple index: {index}. Found {} elements in tuple.", elements.len());
            let hint = format!("the elements are counted from 0 on: the type is {}", value.ty);
            return Err(self.error(Diagnostic::error(span, message).hint(hint)));
        }
        Ok(self.part(base, value, index as usize, span))
    }

    /// An element of a tuple or record.
    fn part(&self, base: &ast::Expr, value: Expr, position: usize, span: Span) -> Expr {
        // Of a loop's entry only the part that is wanted is used; anything else is made once, as it may have effects.
        if let (ExprKind::Compose(parts), ast::ExprKind::Var(_)) = (&*value.kind, &*base.kind)
            && let Some((_, part)) = parts.get(position)
        {
            return Expr { span, ..part.clone() };
        }
        let (ty, offset) = (value.ty.elements()[position].clone(), value.ty.offsets()[position]);
        Expr::new(ExprKind::Field { base: value, offset }, ty, span)
    }

    pub(super) fn index(&mut self, base: &ast::Expr, index: &ast::Expr, span: Span) -> Fallible<Expr> {
        let value = self.value(base)?;
        if let (Type::Tuple(_), ast::ExprKind::Int { value: number, .. }) = (&value.ty, &*index.kind) {
            return self.tuple_index(base, *number, span);
        }
        if let Type::Tuple(_) = value.ty {
            let message = "Array-style access for tuples only valid for integer literals";
            let hint = "the elements of a tuple are .0, .1 and so on";
            return Err(self.error(Diagnostic::error(index.span, message).hint(hint)));
        }
        let index = self.scalar(index)?;
        if super::operators::constant(&index).is_some_and(|number| number < 0) {
            let message =
                format!("The array index operator [] only accepts non-negative integer indices. Got: {}", index.ty);
            return Err(self.error(Diagnostic::error(index.span, message)));
        }
        match value.ty.clone() {
            Type::Ptr(to, space) => self.pointed_element(value, &to, space, index, span),
            // A flexible array ends where its structure does, which only the program knows.
            Type::Array(of, 0) => {
                let address = |(addr, start): (Expr, i64)| shifted(addr, start, span);
                match source(value, base).map(address) {
                    Ok(addr) => {
                        let space = space_of(&addr);
                        self.pointed_element(addr, &of, space, index, span)
                    }
                    Err(array) => Err(self.out_of_bounds(&index, 0, array.span)),
                }
            }
            Type::Array(of, count) => self.element(value, base, &of, count, index, span),
            Type::Str(count) => self.element(value, base, &Type::Int(Int::I8), count, index, span),
            other => {
                let message = format!(
                    "The array index operator [] can only be used on arrays, pointers, and tuples, found {other}."
                );
                let fault = Diagnostic::error(span, message);
                Err(self.error(match other {
                    Type::Int(of) => {
                        fault.hint(format!("the bytes of a number are an array: ((uint8[{}])$x)[0]", of.bits / 8))
                    }
                    _ => fault,
                }))
            }
        }
    }

    fn pointed_element(&mut self, base: Expr, to: &Type, space: Space, index: Expr, span: Span) -> Fallible<Expr> {
        if to.size() == 0 {
            let message =
                format!("The array index operator [] cannot be used on a pointer to an unsized type ({to} *).");
            let hint = "cast the pointer first: ((uint8 *)$p)[1]";
            return Err(self.error(Diagnostic::error(span, message).hint(hint)));
        }
        let addr = advance(base, index, to.size(), space, to, span);
        Ok(load(addr, 0, to.clone(), span))
    }

    fn out_of_bounds(&mut self, index: &Expr, count: u32, span: Span) -> super::Reported {
        let number = super::operators::constant(index).unwrap_or(0);
        let message = format!("the index {number} is out of bounds for array of size {count}");
        let hint = "the first element is 0, the last one is one less than the size";
        self.error(Diagnostic::error(span, message).hint(hint))
    }

    /// An element of an array: read from where the array lies, or, of one that is a value, taken from that.
    fn element(
        &mut self,
        array: Expr,
        base: &ast::Expr,
        of: &Type,
        count: u32,
        index: Expr,
        span: Span,
    ) -> Fallible<Expr> {
        let known = super::operators::constant(&index);
        if known.is_some_and(|number| number >= i128::from(count)) {
            return Err(self.out_of_bounds(&index, count, span));
        }
        let array = match (source(array, base), known) {
            (Ok((addr, start)), Some(number)) => {
                let offset = number as i64 * i64::from(of.size());
                return Ok(load(addr, start + offset, of.clone(), span));
            }
            (Ok((addr, start)), None) => return Ok(self.checked_element(addr, start, of, count, index, span)),
            (Err(array), _) => array,
        };
        // The bytes themselves are wanted, not what is left of them as a text.
        let array = match *array.kind {
            ExprKind::Terminate(of) => of,
            kind => Expr { kind: Box::new(kind), ..array },
        };
        let kind = match known {
            Some(number) => ExprKind::Field { base: array, offset: number as u32 * of.size() },
            None => {
                let outside = self.counter(Cause::OutOfBounds, span);
                ExprKind::Element { base: array, index, count, outside }
            }
        };
        Ok(terminated(Expr::new(kind, of.clone(), span)))
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
                let message = format!("The * operator can not be used on expressions of type '{other}'");
                let hint = "what it is used on must be a pointer, and what that points to must have a size";
                Err(self.error(Diagnostic::error(span, message).hint(hint)))
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
    let ty = from_space(ty, space_of(&addr));
    Expr::new(ExprKind::Load { addr, offset }, ty, span)
}

fn is_result(expr: &ast::Expr) -> bool {
    match &*expr.kind {
        ast::ExprKind::Ident(word) => word == RESULT,
        ast::ExprKind::Call { name, args } => name.text == RESULT && args.is_empty(),
        _ => false,
    }
}

/// The type of a value that was read from memory of this kind.
fn from_space(ty: Type, space: Space) -> Type {
    match ty {
        Type::Struct(of) => Type::Struct(StructRef { space, ..of }),
        other => other,
    }
}

/// Where an array in the memory of the kernel or a process lies: an address and how far from it. The error is the array itself,
/// if it is a value (the text that `str()` gives is one).
fn source(array: Expr, written: &ast::Expr) -> Result<(Expr, i64), Expr> {
    match *array.kind {
        ExprKind::Load { addr, offset } => Ok((addr, offset)),
        ExprKind::ReadStr { addr, max: None } if !is_call(written) => Ok((addr, 0)),
        kind => Err(Expr { kind: Box::new(kind), ..array }),
    }
}

/// The text of an array with all its characters, to be compared: the last may be where a NUL would be.
pub(super) fn uncut(array: &Expr, written: &ast::Expr, other: &Expr) -> Expr {
    let is_array = match &*array.kind {
        ExprKind::ReadStr { max: None, .. } => !is_call(written),
        ExprKind::Terminate(_) => true,
        _ => false,
    };
    let ty = match (&array.ty, &*other.kind) {
        // A text that leaves room is told by its own NUL.
        (Type::Str(size), ExprKind::Str(text)) if text.len() as u32 + 1 < *size => Type::Str(*size),
        (Type::Str(size), _) if is_array => Type::Str(size + 1),
        (ty, _) => ty.clone(),
    };
    Expr { ty, ..array.clone() }
}

fn is_call(written: &ast::Expr) -> bool {
    matches!(&*written.kind, ast::ExprKind::Call { .. } | ast::ExprKind::Ident(_))
}

fn read(addr: Expr, start: i64, info: FieldInfo, size: u32, ty: Type, space: Space, span: Span) -> Expr {
    let addr = with_space(addr, space);
    let Some(width) = info.bitfield else {
        return load(addr, start + i64::from(info.bit_offset / 8), ty, span);
    };
    let unit = Unit::of(info.bit_offset, width, size);
    let value = load(addr, start + i64::from(unit.byte), unit.ty, span);
    Expr::new(ExprKind::Bits { value, shift: unit.shift, width }, ty, span)
}

fn within(base: Expr, info: FieldInfo, size: u32, ty: Type, span: Span) -> Expr {
    let Some(width) = info.bitfield else {
        return terminated(Expr::new(ExprKind::Field { base, offset: info.bit_offset / 8 }, ty, span));
    };
    let unit = Unit::of(info.bit_offset, width, size);
    let value = Expr::new(ExprKind::Field { base, offset: unit.byte }, unit.ty, span);
    Expr::new(ExprKind::Bits { value, shift: unit.shift, width }, ty, span)
}

/// The bytes of a structure that hold all bits of a bit field.
struct Unit {
    byte: u32,
    /// Where in them the field begins.
    shift: u8,
    ty: Type,
}

impl Unit {
    /// As many bytes as can be read at once; nothing beyond the structure's end is touched.
    fn of(bit_offset: u32, width: u8, size: u32) -> Self {
        let first = bit_offset / 8;
        let bits = (bit_offset % 8 + u32::from(width)).next_power_of_two().clamp(8, 64);
        let byte = first.min(size.saturating_sub(bits / 8));
        let ty = Type::Int(Int { bits: bits as u8, sign: Sign::Unsigned });
        Self { byte, shift: (bit_offset - 8 * byte) as u8, ty }
    }
}

/// A text that was taken out of a structure or an array is made a proper one.
fn terminated(part: Expr) -> Expr {
    let is_raw =
        matches!(&*part.kind, ExprKind::Field { base, .. } | ExprKind::Element { base, .. } if base.ty.is_raw());
    match part.ty.clone() {
        ty @ Type::Str(_) if is_raw => {
            let span = part.span;
            Expr::new(ExprKind::Terminate(part), ty, span)
        }
        _ => part,
    }
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

pub(super) fn suggestion(name: &str, known: &[&str]) -> String {
    match names::nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => {
            let more = if known.len() > 12 { ", ..." } else { "" };
            let shown: Vec<&str> = known.iter().copied().filter(|name| !name.is_empty()).take(12).collect();
            format!("its fields are: {}{more}", shown.join(", "))
        }
    }
}
