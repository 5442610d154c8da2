//! Arguments of markers, written as assembler operands such as `-4@%edi 8@-24(%rbp) 1@$7`, become expressions.

use super::registers;
use crate::ir::{BinaryOp, Expr, ExprKind};
use crate::source::Span;
use crate::types::{Int, Sign, Space, Type};

/// One expression for each argument. One that no program can read is of type `Void`; its text says what it is.
pub fn arguments(text: &str, span: Span) -> Vec<Expr> {
    let one = |spec: &str| {
        let unreadable = || Expr::new(ExprKind::Str(spec.as_bytes().to_vec()), Type::Void, span);
        argument(spec, span).unwrap_or_else(unreadable)
    };
    split(text).into_iter().map(one).collect()
}

/// Splits at the spaces that stand outside of brackets, as arm64 has spaces within.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0i32;
    let parts = text.split(|c: char| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        c == ' ' && depth == 0
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// `SIZE@OPERAND`; a minus before the size marks signed values.
fn argument(spec: &str, span: Span) -> Option<Expr> {
    let (size, operand) = spec.split_once('@')?;
    let size: i8 = size.parse().ok()?;
    let bytes = size.unsigned_abs();
    let sign = if size < 0 { Sign::Signed } else { Sign::Unsigned };
    let ty = [1, 2, 4, 8].contains(&bytes).then_some(Type::Int(Int { bits: 8 * bytes, sign }))?;
    match Operand::parse(operand)? {
        Operand::Constant(value) => Some(Expr::new(ExprKind::Convert(Expr::int(value, Type::I64, span)), ty, span)),
        Operand::Register(name) => Some(Expr::new(ExprKind::Convert(registers::named(name, span)?), ty, span)),
        Operand::Memory(memory) => memory.read(ty, span),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Operand<'a> {
    Constant(i64),
    Register(&'a str),
    Memory(Memory<'a>),
}

/// `offset(base, index, scale)`
#[derive(Debug, PartialEq, Eq)]
struct Memory<'a> {
    base: &'a str,
    index: Option<(&'a str, i64)>,
    offset: i64,
}

impl<'a> Operand<'a> {
    /// Both AT&T's syntax for x86-64 and that of arm64.
    fn parse(text: &'a str) -> Option<Operand<'a>> {
        if let Some(constant) = text.strip_prefix('$') {
            return number(constant).map(Operand::Constant);
        }
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let (base, offset) = inner.split_once(',').unwrap_or((inner, "0"));
            let offset = number(offset.trim().trim_start_matches('#'))?;
            return Some(Operand::Memory(Memory { base: base.trim(), index: None, offset }));
        }
        if let Some((offset, inner)) = text.split_once('(') {
            return Memory::parse(offset, inner.strip_suffix(')')?).map(Operand::Memory);
        }
        match number(text) {
            Some(constant) => Some(Operand::Constant(constant)),
            None => Some(Operand::Register(text.trim_start_matches('%'))),
        }
    }
}

impl<'a> Memory<'a> {
    /// `-24` and `%rbp,%rax,8`.
    fn parse(offset: &str, inner: &'a str) -> Option<Memory<'a>> {
        let offset = if offset.is_empty() { 0 } else { number(offset)? };
        let mut parts = inner.split(',').map(|part| part.trim().trim_start_matches('%'));
        let base = parts.next()?;
        let index = match parts.next() {
            Some(index) => Some((index, parts.next().map_or(Some(1), number)?)),
            None => None,
        };
        Some(Memory { base, index, offset })
    }

    fn read(&self, ty: Type, span: Span) -> Option<Expr> {
        let binary = |op, left, right, ty| {
            Expr::new(ExprKind::Binary { op, sign: Sign::Unsigned, left, right, zero: None }, ty, span)
        };
        let mut address = registers::named(self.base, span)?;
        if let Some((index, scale)) = self.index {
            let index = registers::named(index, span)?;
            let scaled = binary(BinaryOp::Mul, index, Expr::int(scale, Type::U64, span), Type::U64);
            address = binary(BinaryOp::Add, address, scaled, Type::U64);
        }
        let addr = Expr { ty: Type::pointer(ty.clone(), Space::User), ..address };
        Some(Expr::new(ExprKind::Load { addr, offset: self.offset }, ty, span))
    }
}

fn number(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let value = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok()? as i64,
        None => digits.parse::<u64>().ok()? as i64,
    };
    Some(value.wrapping_mul(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_operand() {
        let memory = |base, index, offset| Operand::Memory(Memory { base, index, offset });
        for (text, expected) in [
            ("%edi", Operand::Register("edi")),
            ("$-5", Operand::Constant(-5)),
            ("$0xff", Operand::Constant(255)),
            ("-24(%rbp)", memory("rbp", None, -24)),
            ("(%rax)", memory("rax", None, 0)),
            ("8(%rax,%rbx,4)", memory("rax", Some(("rbx", 4)), 8)),
            ("(%rax,%rbx)", memory("rax", Some(("rbx", 1)), 0)),
            ("[sp, 16]", memory("sp", None, 16)),
            ("[x0]", memory("x0", None, 0)),
            ("x3", Operand::Register("x3")),
            ("7", Operand::Constant(7)),
        ] {
            assert_eq!(Operand::parse(text), Some(expected), "{text}");
        }
        assert_eq!(split("8@x0 -4@[sp, 16] 1@5"), ["8@x0", "-4@[sp, 16]", "1@5"]);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn sizes_and_signs_are_types() {
        let arguments = arguments("-4@%edi 8@-24(%rbp) 1@$7 8f@%xmm0 4@counter(%rip)", Span::default());
        let types: Vec<String> = arguments.iter().map(|argument| argument.ty.to_string()).collect();
        assert_eq!(types, ["int32", "uint64", "uint8", "void", "void"]);
        let ExprKind::Load { addr, offset } = &*arguments[1].kind else { panic!() };
        assert_eq!((&*addr.kind, *offset), (&ExprKind::CtxLoad { offset: 32 }, -24));
        let ExprKind::Convert(register) = &*arguments[0].kind else { panic!() };
        assert_eq!(*register.kind, ExprKind::CtxLoad { offset: 112 });
    }
}
