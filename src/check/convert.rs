//! The order of types: which type holds the values of two, and how a value becomes one of a wider type.

use std::sync::Arc;

use super::{Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::types::{Int, Sign, Space, StructRef, Type};

/// The narrowest type that holds all values of both; `None` if there is none.
pub fn join(left: &Type, right: &Type) -> Option<Type> {
    Some(match (left, right) {
        _ if left == right => left.clone(),
        (Type::Int(left), Type::Int(right)) => Type::Int(join_ints(*left, *right)),
        (Type::Str(left), Type::Str(right)) => Type::Str(*left.max(right)),
        (Type::Buf(left), Type::Buf(right)) => Type::Buf(*left.max(right)),
        (Type::Ptr(..), Type::Ptr(..)) => join_pointers(left, right),
        (Type::Enum(one), Type::Enum(other)) => Type::Int(join_ints(one.numbers(), other.numbers())),
        (Type::Enum(_), Type::Int(int)) | (Type::Int(int), Type::Enum(_)) => Type::Int(join_ints(*int, Int::U32)),
        (Type::Tuple(_), Type::Tuple(_)) | (Type::Record(..), Type::Record(..)) => join_elements(left, right)?,
        (Type::Struct(one), Type::Struct(other)) if one.btf == other.btf => {
            Type::Struct(StructRef { space: Space::Unknown, ..one.clone() })
        }
        (Type::Stack(one), Type::Stack(other)) if one.side == other.side => left.clone(),
        _ => return None,
    })
}

/// How a value's type came about: a literal that is not negative is as good an unsigned number as a signed one.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    ByLiterals,
    ByOthers,
    Elements(Vec<Told>),
}

impl Told {
    pub fn by(value: &Expr) -> Told {
        match (&*value.kind, &value.ty) {
            (ExprKind::Int(0..), Type::Int(int)) if int.sign == Sign::Signed => Told::ByLiterals,
            (ExprKind::Compose(parts), Type::Tuple(_) | Type::Record(..)) => {
                Told::Elements(parts.iter().map(|(_, part)| Told::by(part)).collect())
            }
            _ => Told::ByOthers,
        }
    }

    fn element(&self, index: usize) -> &Told {
        match self {
            Told::Elements(elements) => &elements[index],
            Told::ByLiterals | Told::ByOthers => self,
        }
    }
}

/// Joins what literals told and what others did: beside an unsigned number, literals are unsigned.
pub fn join_told(left: (&Type, &Told), right: (&Type, &Told)) -> Option<(Type, Told)> {
    match (left, right) {
        ((Type::Int(literal), Told::ByLiterals), (Type::Int(other), Told::ByOthers))
        | ((Type::Int(other), Told::ByOthers), (Type::Int(literal), Told::ByLiterals))
            if other.sign == Sign::Unsigned =>
        {
            let bits = literal.bits.max(other.bits);
            Some((Type::Int(Int { bits, sign: Sign::Unsigned }), Told::ByOthers))
        }
        ((these, told), (those, by)) => match these.matching(those) {
            Some(matching) => {
                let element = |(at, other): (usize, usize)| {
                    let (these, those) = (these.elements(), those.elements());
                    join_told((&these[at], told.element(at)), (&those[other], by.element(other)))
                };
                let joined: Option<Vec<_>> = matching.into_iter().enumerate().map(element).collect();
                let (types, told) = joined?.into_iter().unzip();
                Some((these.with_elements(types), Told::Elements(told)))
            }
            None => Some((join(these, those)?, if told == by { told.clone() } else { Told::ByOthers })),
        },
    }
}

/// The type of what is one or the other at run time: besides what joins, a number beside a truth value or an address.
pub fn join_branches(left: &Type, right: &Type) -> Option<Type> {
    match (left, right) {
        (Type::Bool, Type::Int(int)) | (Type::Int(int), Type::Bool) => Some(Type::Int(*int)),
        (Type::Ptr(..), Type::Int(_)) => Some(left.clone()),
        (Type::Int(_), Type::Ptr(..)) => Some(right.clone()),
        _ => join(left, right),
    }
}

fn join_elements(left: &Type, right: &Type) -> Option<Type> {
    let (these, those) = (left.elements(), right.elements());
    let matching = left.matching(right)?;
    let joined: Option<Vec<Type>> =
        these.iter().zip(matching).map(|(element, other)| join(element, &those[other])).collect();
    Some(left.with_elements(joined?))
}

/// Mixed signs need the next larger signed type; beyond 64 bits there is none, and signed wins.
fn join_ints(left: Int, right: Int) -> Int {
    if left.sign == right.sign {
        return Int { bits: left.bits.max(right.bits), sign: left.sign };
    }
    let (signed, unsigned) = if left.sign == Sign::Signed { (left, right) } else { (right, left) };
    Int { bits: signed.bits.max(unsigned.bits.saturating_mul(2)).min(64), sign: Sign::Signed }
}

/// What two pointers may lead to is joined too: the address of a variable leads to what that is found to hold in the end.
fn join_pointers(left: &Type, right: &Type) -> Type {
    match (left, right) {
        (Type::Ptr(left, space), Type::Ptr(right, other)) => {
            let space = if space == other { *space } else { Space::Unknown };
            Type::pointer(join(left, right).unwrap_or(Type::Void), space)
        }
        _ => Type::pointer(Type::Void, Space::Unknown),
    }
}

/// A key's type with the longest texts in it cut, so that it takes no more than `limit` bytes; as it is if that is not possible.
pub fn shortened(ty: &Type, limit: u32) -> Type {
    let lengths = (1..=limit / 8).rev().map(|words| 8 * words);
    lengths.map(|most| cut(ty, most)).find(|cut| cut.size() <= limit).unwrap_or_else(|| ty.clone())
}

/// The type with texts of at most so many bytes.
fn cut(ty: &Type, most: u32) -> Type {
    match ty {
        Type::Str(size) if *size > most => Type::Str(most),
        Type::Tuple(elements) => Type::Tuple(elements.iter().map(|element| cut(element, most)).collect()),
        Type::Record(names, elements) => {
            Type::Record(names.clone(), elements.iter().map(|element| cut(element, most)).collect())
        }
        other => other.clone(),
    }
}

/// The narrowest signed type for a literal; unsigned 64 bits above that.
pub fn literal_type(value: i128) -> Type {
    let widths = [Int::I8, Int::I16, Int::I32, Int::I64];
    let fitting = widths.into_iter().find(|int| {
        let bound = 1i128 << (int.bits - 1);
        (-bound..bound).contains(&value)
    });
    Type::Int(fitting.unwrap_or(Int::U64))
}

impl Cx<'_> {
    /// Converts a value to a type that can hold it (widening, padding); reports what cannot be.
    pub fn convert(&mut self, value: Expr, to: &Type) -> Fallible<Expr> {
        if value.ty == *to {
            return Ok(value);
        }
        if join_branches(&value.ty, to).is_none() {
            let message = format!("Type mismatch: expected a value of type '{to}', found '{}'", value.ty);
            return Err(self.error(Diagnostic::error(value.span, message)));
        }
        Ok(converted(value, to))
    }
}

/// A value of a type that [`join`]s with `to`, as one of type `to`.
pub fn converted(value: Expr, to: &Type) -> Expr {
    let span = value.span;
    let kind = match (*value.kind, &value.ty, to) {
        (kind, from, to) if from == to => kind,
        (ExprKind::Int(number), _, Type::Int(int)) => ExprKind::Int(narrow(number, *int)),
        (ExprKind::Str(text), _, Type::Str(_)) => ExprKind::Str(text),
        // Less is read then.
        (read @ ExprKind::ReadStr { .. }, Type::Str(old), Type::Str(new)) if new < old => read,
        (ExprKind::Compose(parts), from, to) if to.matching(from).is_some() => {
            let sources = to.matching(from).unwrap_or_default();
            let part = |(source, ty): (usize, &Type)| converted(parts[source].1.clone(), ty);
            let parts = sources.into_iter().zip(to.elements()).map(part);
            ExprKind::Compose(to.offsets().into_iter().zip(parts).collect())
        }
        (kind, from, to) if to.is_scalar() => ExprKind::Convert(Expr { kind: Box::new(kind), ty: from.clone(), span }),
        (kind, from, _) => ExprKind::Resize(Expr { kind: Box::new(kind), ty: from.clone(), span }),
    };
    Expr { kind: Box::new(kind), ty: to.clone(), span }
}

/// A number cut to a type's width and extended again by its sign.
pub fn narrow(number: i64, int: Int) -> i64 {
    let shift = 64 - u32::from(int.bits);
    match int.sign {
        Sign::Signed => number << shift >> shift,
        Sign::Unsigned => ((number as u64) << shift >> shift) as i64,
    }
}

/// A tuple of these values.
pub fn tuple(elements: Vec<Expr>, span: crate::source::Span) -> Expr {
    let types: Arc<[Type]> = elements.iter().map(|element| element.ty.clone()).collect();
    let ty = Type::Tuple(types);
    let parts = ty.offsets().into_iter().zip(elements).collect();
    Expr::new(ExprKind::Compose(parts), ty, span)
}

/// A record of these values.
pub fn record(names: &[&str], elements: Vec<Expr>, span: crate::source::Span) -> Expr {
    let types: Arc<[Type]> = elements.iter().map(|element| element.ty.clone()).collect();
    let ty = Type::Record(names.iter().map(|name| Arc::from(*name)).collect(), types);
    let parts = ty.offsets().into_iter().zip(elements).collect();
    Expr::new(ExprKind::Compose(parts), ty, span)
}

/// A type that holds what others of its kind may come to: all numbers, and texts as long as a process's name.
pub fn ample(ty: &Type) -> Type {
    const NAME: u32 = 16;
    match ty {
        Type::Int(int) => Type::Int(Int { bits: 64, ..*int }),
        Type::Str(size) => Type::Str(NAME.max(*size)),
        Type::Tuple(elements) => Type::Tuple(elements.iter().map(ample).collect()),
        Type::Record(names, elements) => Type::Record(names.clone(), elements.iter().map(ample).collect()),
        _ => ty.clone(),
    }
}

/// Whether values of both types lie in memory alike and only their signs may be read differently.
pub fn is_alike(one: &Type, other: &Type) -> bool {
    match (one, other) {
        (Type::Int(one), Type::Int(other)) => one.bits == other.bits,
        (Type::Tuple(these), Type::Tuple(those)) => are_alike(these, those),
        (Type::Record(names, these), Type::Record(others, those)) => names == others && are_alike(these, those),
        _ => one == other,
    }
}

fn are_alike(these: &[Type], those: &[Type]) -> bool {
    these.len() == those.len() && these.iter().zip(those).all(|(one, other)| is_alike(one, other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_types_hold_both() {
        let int = |int| Type::Int(int);
        assert_eq!(join(&int(Int::I8), &int(Int::I32)), Some(int(Int::I32)));
        assert_eq!(join(&int(Int::U32), &int(Int::I8)), Some(int(Int::I64)));
        assert_eq!(join(&int(Int::U64), &int(Int::I8)), Some(int(Int::I64)));
        assert_eq!(join(&Type::Str(2), &Type::Str(64)), Some(Type::Str(64)));
        assert_eq!(join(&Type::Str(2), &int(Int::I8)), None);
        let pair = |first, second| Type::tuple(vec![int(first), Type::Str(second)]);
        assert_eq!(join(&pair(Int::I8, 3), &pair(Int::I16, 2)), Some(pair(Int::I16, 3)));
    }

    #[test]
    fn keys_are_cut_no_more_than_they_must_be() {
        let key = |first, second| Type::tuple(vec![Type::Int(Int::I32), Type::Str(first), Type::Str(second)]);
        assert_eq!(shortened(&key(16, 256), 512), key(16, 256));
        assert_eq!(shortened(&key(16, 1024), 512), key(16, 488));
        assert_eq!(shortened(&Type::Str(1024), 512), Type::Str(512));
        assert_eq!(shortened(&Type::Buf(1024), 512), Type::Buf(1024));
    }

    #[test]
    fn literals_take_the_narrowest_signed_type() {
        let name = |value| literal_type(value).to_string();
        assert_eq!([name(1), name(-128), name(128), name(70_000)], ["int8", "int8", "int16", "int32"]);
        assert_eq!([name(1 << 40), name(i128::from(u64::MAX))], ["int64", "uint64"]);
    }
}
