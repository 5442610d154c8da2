//! Arguments of markers, written as assembler operands such as `-4@%edi 8@-24(%rbp) 1@$7 8@counter(%rip)`, become expressions.

use super::registers;
use crate::ir::{BinaryOp, Expr, ExprKind};
use crate::kernel::Marker;
use crate::source::Span;
use crate::types::{Int, Sign, Space, Type};

/// One expression for each argument. One that no program can read is of type `Void`; its text says what it is.
pub fn arguments(marker: &Marker, span: Span) -> Vec<Expr> {
    let reader = Reader { marker, span };
    let one = |spec: &str| {
        reader.argument(spec).unwrap_or_else(|why| {
            let text = format!("{spec}, {}", why.told());
            Expr::new(ExprKind::Str(text.into_bytes()), Type::Void, span)
        })
    };
    split(&marker.arguments).into_iter().map(one).collect()
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

/// Why an argument cannot be read.
#[derive(Debug, PartialEq, Eq)]
enum Unreadable {
    Float,
    ThreadLocal,
    /// A variable that the file's symbols do not tell the place of, or several places.
    Variable(String),
    Other,
}

impl Unreadable {
    fn told(&self) -> String {
        match self {
            Unreadable::Float => "a floating-point number".to_string(),
            Unreadable::ThreadLocal => "a variable of the thread".to_string(),
            Unreadable::Variable(name) => {
                format!("and where '{name}' lies is not told by the symbols of the file, which may be stripped")
            }
            Unreadable::Other => "which is none of the forms of sys/sdt.h".to_string(),
        }
    }
}

type Readable<T> = Result<T, Unreadable>;

/// Makes expressions of one marker's operands.
struct Reader<'a> {
    marker: &'a Marker,
    span: Span,
}

impl Reader<'_> {
    /// `SIZE@OPERAND`; a minus before the size marks signed values, an `f` behind it floating-point numbers.
    fn argument(&self, spec: &str) -> Readable<Expr> {
        let (size, operand) = spec.split_once('@').ok_or(Unreadable::Other)?;
        if size.ends_with('f') || ["%xmm", "%ymm", "%zmm", "%st"].iter().any(|unit| operand.starts_with(unit)) {
            return Err(Unreadable::Float);
        }
        let size: i8 = size.parse().map_err(|_| Unreadable::Other)?;
        let bytes = size.unsigned_abs();
        let sign = if size < 0 { Sign::Signed } else { Sign::Unsigned };
        if ![1, 2, 4, 8].contains(&bytes) {
            return Err(Unreadable::Other);
        }
        let ty = Type::Int(Int { bits: 8 * bytes, sign });
        match Operand::parse(operand)? {
            Operand::Constant(value) => Ok(self.convert(self.place(&value)?, ty)),
            Operand::Register(name) => Ok(self.convert(self.register(name)?, ty)),
            Operand::Memory(memory) => {
                let addr = Expr { ty: Type::pointer(ty.clone(), Space::User), ..self.address(&memory)? };
                let offset = if memory.offset.symbol.is_some() { 0 } else { memory.offset.number };
                Ok(Expr::new(ExprKind::Load { addr, offset }, ty, self.span))
            }
        }
    }

    /// The address of an operand in memory, but for a plain number before its registers.
    fn address(&self, memory: &Memory<'_>) -> Readable<Expr> {
        let variable = memory.offset.symbol.map(|_| self.place(&memory.offset)).transpose()?;
        // With a variable, the program counter only says that its distance from the code is meant.
        let base = match memory.base {
            Some("rip") if variable.is_some() => None,
            Some("rip") => return Err(Unreadable::Other),
            base => base.map(|base| self.register(base)).transpose()?,
        };
        let index = match memory.index {
            Some((name, scale)) => {
                let scale = Expr::int(scale, Type::U64, self.span);
                Some(self.binary(BinaryOp::Mul, self.register(name)?, scale))
            }
            None => None,
        };
        let parts = [variable, base, index].into_iter().flatten();
        parts.reduce(|sum, part| self.binary(BinaryOp::Add, sum, part)).ok_or(Unreadable::Other)
    }

    /// A number, or the address of a variable: the marker's own, which the program counter tells, and its distance from there.
    fn place(&self, offset: &Offset<'_>) -> Readable<Expr> {
        let Some(name) = offset.symbol else { return Ok(Expr::int(offset.number, Type::I64, self.span)) };
        let known = self.marker.variables.iter().find(|(known, _)| known == name);
        let (_, distance) = known.ok_or_else(|| Unreadable::Variable(name.to_string()))?;
        let distance = Expr::int(distance.wrapping_add(offset.number), Type::U64, self.span);
        Ok(self.binary(BinaryOp::Add, registers::program_counter(self.span), distance))
    }

    /// The second byte of some registers has a name of its own.
    fn register(&self, name: &str) -> Readable<Expr> {
        let high = name.strip_suffix('h').filter(|letter| matches!(*letter, "a" | "b" | "c" | "d"));
        let known = |name: &str| registers::named(name, self.span).ok_or(Unreadable::Other);
        match high {
            Some(letter) => {
                let eight = Expr::int(8, Type::U64, self.span);
                Ok(self.binary(BinaryOp::Shr, known(&format!("{letter}x"))?, eight))
            }
            None => known(name),
        }
    }

    fn convert(&self, value: Expr, ty: Type) -> Expr {
        Expr::new(ExprKind::Convert(value), ty, self.span)
    }

    fn binary(&self, op: BinaryOp, left: Expr, right: Expr) -> Expr {
        let kind = ExprKind::Binary { op, sign: Sign::Unsigned, left, right, zero: None };
        Expr::new(kind, Type::U64, self.span)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Operand<'a> {
    Constant(Offset<'a>),
    Register(&'a str),
    Memory(Memory<'a>),
}

/// `offset(base, index, scale)`
#[derive(Debug, PartialEq, Eq)]
struct Memory<'a> {
    base: Option<&'a str>,
    index: Option<(&'a str, i64)>,
    offset: Offset<'a>,
}

/// A number, a variable, or a place so many bytes from it.
#[derive(Debug, PartialEq, Eq, Default)]
struct Offset<'a> {
    symbol: Option<&'a str>,
    number: i64,
}

impl<'a> Operand<'a> {
    /// Both AT&T's syntax for x86-64 and that of arm64.
    fn parse(text: &'a str) -> Readable<Operand<'a>> {
        if text.starts_with("%fs:") || text.starts_with("%gs:") || text.contains("@tpoff") {
            return Err(Unreadable::ThreadLocal);
        }
        if let Some(constant) = text.strip_prefix('$') {
            return Offset::parse(constant).map(Operand::Constant).ok_or(Unreadable::Other);
        }
        if let Some(register) = text.strip_prefix('%') {
            return Ok(Operand::Register(register));
        }
        let memory = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => Memory::bracketed(inner),
            None => match text.split_once('(') {
                Some((offset, rest)) => rest.strip_suffix(')').and_then(|inner| Memory::parse(offset, inner)),
                None => return Self::bare(text),
            },
        };
        memory.map(Operand::Memory).ok_or(Unreadable::Other)
    }

    /// Without a sign of what it is: a constant or register of arm64, or a variable by its address.
    fn bare(text: &'a str) -> Readable<Operand<'a>> {
        match Offset::parse(text) {
            Some(offset) if offset.symbol.is_none() => Ok(Operand::Constant(offset)),
            _ if registers::named(text, Span::default()).is_some() => Ok(Operand::Register(text)),
            Some(offset) => Ok(Operand::Memory(Memory { base: None, index: None, offset })),
            None => Err(Unreadable::Other),
        }
    }
}

impl<'a> Memory<'a> {
    /// `-24` and `%rbp,%rax,8`, of which each may be missing.
    fn parse(offset: &'a str, inner: &'a str) -> Option<Memory<'a>> {
        let offset = if offset.is_empty() { Offset::default() } else { Offset::parse(offset)? };
        let mut parts = inner.split(',').map(|part| part.trim().trim_start_matches('%'));
        let base = parts.next().filter(|base| !base.is_empty());
        let index = match parts.next() {
            Some(index) => Some((index, parts.next().map_or(Some(1), number)?)),
            None => None,
        };
        Some(Memory { base, index, offset })
    }

    /// arm64's `sp, 16`.
    fn bracketed(inner: &'a str) -> Option<Memory<'a>> {
        let (base, offset) = inner.split_once(',').unwrap_or((inner, "0"));
        let number = number(offset.trim().trim_start_matches('#'))?;
        Some(Memory { base: Some(base.trim()), index: None, offset: Offset { symbol: None, number } })
    }
}

impl<'a> Offset<'a> {
    /// Terms with signs between them: `-24`, `counter`, `table+16`, `8+table-4`.
    fn parse(text: &'a str) -> Option<Offset<'a>> {
        let mut offset = Offset::default();
        let starts = text.char_indices().filter(|(at, c)| *at > 0 && matches!(c, '+' | '-')).map(|(at, _)| at);
        let bounds: Vec<usize> = std::iter::once(0).chain(starts).chain([text.len()]).collect();
        for term in bounds.windows(2).map(|bounds| &text[bounds[0]..bounds[1]]) {
            let term = term.strip_prefix('+').unwrap_or(term);
            match number(term) {
                Some(number) => offset.number = offset.number.wrapping_add(number),
                None if offset.symbol.is_none() && is_symbol(term) => offset.symbol = Some(term),
                None => return None,
            }
        }
        Some(offset)
    }
}

fn is_symbol(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
    text.starts_with(|c: char| is_part(c) && !c.is_ascii_digit()) && text.chars().all(is_part)
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
#[cfg(target_arch = "x86_64")]
mod tests {
    use super::*;

    fn memory<'a>(base: Option<&'a str>, index: Option<(&'a str, i64)>, offset: Offset<'a>) -> Operand<'a> {
        Operand::Memory(Memory { base, index, offset })
    }

    #[test]
    fn every_form_of_operand() {
        let plain = |number| Offset { symbol: None, number };
        let variable = |symbol, number| Offset { symbol: Some(symbol), number };
        for (text, expected) in [
            ("%edi", Operand::Register("edi")),
            ("$-5", Operand::Constant(plain(-5))),
            ("$0xff", Operand::Constant(plain(255))),
            ("$table+8", Operand::Constant(variable("table", 8))),
            ("-24(%rbp)", memory(Some("rbp"), None, plain(-24))),
            ("(%rax)", memory(Some("rax"), None, plain(0))),
            ("8(%rax,%rbx,4)", memory(Some("rax"), Some(("rbx", 4)), plain(8))),
            ("(%rax,%rbx)", memory(Some("rax"), Some(("rbx", 1)), plain(0))),
            ("counter(%rip)", memory(Some("rip"), None, variable("counter", 0))),
            ("8+table-4(%rip)", memory(Some("rip"), None, variable("table", 4))),
            ("table(,%rax,8)", memory(None, Some(("rax", 8)), variable("table", 0))),
            ("counter.0", memory(None, None, variable("counter.0", 0))),
            ("[sp, 16]", memory(Some("sp"), None, plain(16))),
            ("[x0]", memory(Some("x0"), None, plain(0))),
            ("7", Operand::Constant(plain(7))),
        ] {
            assert_eq!(Operand::parse(text), Ok(expected), "{text}");
        }
        assert_eq!(Operand::parse("%fs:errno@tpoff"), Err(Unreadable::ThreadLocal));
        assert_eq!(Operand::parse("a+b(%rip)"), Err(Unreadable::Other));
        assert_eq!(split("8@x0 -4@[sp, 16] 1@5"), ["8@x0", "-4@[sp, 16]", "1@5"]);
    }

    fn of(arguments: &str) -> Vec<Expr> {
        let marker = Marker {
            arguments: arguments.to_string(),
            variables: vec![("counter".to_string(), 0x2000)],
            ..Marker::default()
        };
        super::arguments(&marker, Span::default())
    }

    #[test]
    fn sizes_and_signs_are_types() {
        let arguments = of("-4@%edi 8@-24(%rbp) 1@$7 4@counter+4(%rip)");
        let types: Vec<String> = arguments.iter().map(|argument| argument.ty.to_string()).collect();
        assert_eq!(types, ["int32", "uint64", "uint8", "uint32"]);
        let ExprKind::Load { addr, offset } = &*arguments[1].kind else { panic!() };
        assert_eq!((&*addr.kind, *offset), (&ExprKind::CtxLoad { offset: 32 }, -24));
        let ExprKind::Convert(register) = &*arguments[0].kind else { panic!() };
        assert_eq!(*register.kind, ExprKind::CtxLoad { offset: 112 });
        let ExprKind::Load { addr, offset: 0 } = &*arguments[3].kind else { panic!() };
        let ExprKind::Binary { left, right, .. } = &*addr.kind else { panic!() };
        assert_eq!((&*left.kind, &*right.kind), (&ExprKind::CtxLoad { offset: 128 }, &ExprKind::Int(0x2004)));
    }

    #[test]
    fn what_cannot_be_read_says_what_it_is() {
        for (text, told) in [
            ("8f@%xmm0", "a floating-point number"),
            ("8f@-8(%rbp)", "a floating-point number"),
            ("16@%xmm1", "a floating-point number"),
            ("8@%fs:-8", "a variable of the thread"),
            ("8@other(%rip)", "where 'other' lies is not told"),
            ("8@16(%rip)", "none of the forms"),
            ("16@(%rax)", "none of the forms"),
            ("8@%bad", "none of the forms"),
        ] {
            let argument = &of(text)[0];
            let ExprKind::Str(words) = &*argument.kind else { panic!("{text}") };
            let words = String::from_utf8_lossy(words);
            assert!(argument.ty == Type::Void && words.contains(told) && words.contains(text), "{words}");
        }
    }
}
