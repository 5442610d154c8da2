//! Format strings of `printf` and its kin: parsed once by the compiler, filled by the runtime.

mod gfp;

use crate::config::Config;
use crate::report::text::plain;
use crate::types::{Int, Type};
use crate::value::Value;

/// A parsed format string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Format {
    pub pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(Vec<u8>),
    Spec(Spec),
}

/// One conversion, `%[-][+][ ][#][0][width][.precision][length]conversion`, in this order: what is written otherwise is no conversion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    pub conversion: Conversion,
    align: Align,
    fill: Fill,
    sign: PlusSign,
    prefix: Prefix,
    width: usize,
    /// Bits that an integer is cut to.
    bits: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    Signed,
    Unsigned,
    Octal,
    Hex,
    UpperHex,
    Char,
    Pointer,
    /// `%s`: anything, as `print()` shows it.
    Text,
    /// `%r`, `%rx`, `%rh`: bytes, escaped where needed, always escaped, or as plain hexadecimal.
    Bytes(BytesAs),
    /// `%gr`: the names of the kernel's memory allocation flags.
    Gfp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BytesAs {
    Text,
    Escapes,
    Hex,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fill {
    Space,
    Zero,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlusSign {
    Hidden,
    Shown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    None,
    /// `0x`, `0`.
    Base,
}

/// Parses a format; the error is a message.
pub fn parse(text: &[u8]) -> Result<Format, String> {
    let mut pieces = Vec::new();
    let mut literal = Vec::new();
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        if *byte != b'%' {
            literal.push(*byte);
            rest = after;
            continue;
        }
        if let [b'%', after @ ..] = after {
            literal.push(b'%');
            rest = after;
            continue;
        }
        match spec(after)? {
            Some((spec, length)) => {
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Spec(spec));
                rest = &after[length..];
            }
            // What is no conversion is copied as it stands.
            None => {
                literal.push(b'%');
                rest = after;
            }
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(Format { pieces })
}

/// Whether values of these types can fill a format; the error is a message.
pub fn check(format: &Format, types: &[&Type]) -> Result<(), String> {
    let specs: Vec<&Spec> = format.specs().collect();
    let (supplied, expected) = (types.len(), specs.len());
    if supplied < expected {
        return Err(format!("not enough arguments for format string ({supplied} supplied, {expected} expected)"));
    }
    if supplied > expected {
        return Err(format!("too many arguments for format string ({supplied} supplied, {expected} expected)"));
    }
    for (spec, ty) in specs.iter().zip(types) {
        if !accepts(spec.conversion, ty) {
            return Err(format!("unsupported format specifier for type '{ty}': {}", letter(spec.conversion)));
        }
    }
    Ok(())
}

/// How the kernel takes a value to be formatted.
#[derive(Debug, Clone, PartialEq)]
pub enum KernelSpec {
    /// A number, cut to this type.
    Number(Type),
    Text,
}

impl Format {
    /// The same for the kernel's own `printf`, which takes all numbers with 64 bits; the error is a conversion that it does not have.
    pub fn for_kernel(&self) -> Result<(Vec<u8>, Vec<KernelSpec>), &'static str> {
        let (mut text, mut specs) = (Vec::new(), Vec::new());
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => literal.iter().for_each(|byte| match byte {
                    b'%' => text.extend(b"%%"),
                    other => text.push(*other),
                }),
                Piece::Spec(spec) => {
                    let (letters, taken) = spec.for_kernel()?;
                    text.extend(format!("%{}{letters}", spec.flags()).bytes());
                    specs.push(taken);
                }
            }
        }
        Ok((text, specs))
    }
}

impl Spec {
    fn for_kernel(&self) -> Result<(&'static str, KernelSpec), &'static str> {
        let number = match (self.bits, self.conversion) {
            (8, Conversion::Signed) => Type::Int(Int::I8),
            (8, _) => Type::U8,
            (16, Conversion::Signed) => Type::Int(Int::I16),
            (16, _) => Type::Int(Int::U16),
            (32, Conversion::Signed) => Type::Int(Int::I32),
            (32, _) => Type::U32,
            (_, Conversion::Signed) => Type::I64,
            _ => Type::U64,
        };
        match self.conversion {
            _ if self.prefix == Prefix::Base => Err("#"),
            Conversion::Signed => Ok(("lld", KernelSpec::Number(number))),
            Conversion::Unsigned => Ok(("llu", KernelSpec::Number(number))),
            Conversion::Hex => Ok(("llx", KernelSpec::Number(number))),
            Conversion::UpperHex => Ok(("llX", KernelSpec::Number(number))),
            Conversion::Text => Ok(("s", KernelSpec::Text)),
            Conversion::Octal | Conversion::Char | Conversion::Pointer | Conversion::Bytes(_) | Conversion::Gfp => {
                Err(letter(self.conversion))
            }
        }
    }

    /// Flags and width, as they were written.
    fn flags(&self) -> String {
        let align = if self.align == Align::Left { "-" } else { "" };
        let sign = if self.sign == PlusSign::Shown { "+" } else { "" };
        let fill = if self.fill == Fill::Zero { "0" } else { "" };
        let width = if self.width == 0 { String::new() } else { self.width.to_string() };
        format!("{align}{sign}{fill}{width}")
    }
}

/// Fills a format. Values beyond its conversions are ignored, missing ones leave nothing.
pub fn render(format: &Format, values: &[Value], config: &Config) -> Vec<u8> {
    let mut values = values.iter();
    let mut text = Vec::new();
    for piece in &format.pieces {
        match piece {
            Piece::Text(literal) => text.extend_from_slice(literal),
            Piece::Spec(spec) => {
                if let Some(value) = values.next() {
                    text.extend(filled(spec, value, config));
                }
            }
        }
    }
    text
}

impl Format {
    fn specs(&self) -> impl Iterator<Item = &Spec> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Spec(spec) => Some(spec),
            Piece::Text(_) => None,
        })
    }
}

/// What follows a percent sign: the conversion and its length, or `None` if it is none.
fn spec(text: &[u8]) -> Result<Option<(Spec, usize)>, String> {
    let mut at = 0;
    let mut flag = |wanted: u8| {
        let is_there = text.get(at) == Some(&wanted);
        at += usize::from(is_there);
        is_there
    };
    let align = if flag(b'-') { Align::Left } else { Align::Right };
    let sign = if flag(b'+') { PlusSign::Shown } else { PlusSign::Hidden };
    // A space has no meaning.
    flag(b' ');
    let prefix = if flag(b'#') { Prefix::Base } else { Prefix::None };
    let fill = if flag(b'0') { Fill::Zero } else { Fill::Space };
    let (width, length) = number(&text[at..]);
    at += length;
    // A precision is accepted and has no meaning for what can be printed.
    if let Some((b'.', precision)) = text[at..].split_first()
        && let (_, 1..) = number(precision)
    {
        at += 1 + number(precision).1;
    }
    let length = text[at..].iter().take_while(|byte| b"hlLjzt".contains(byte)).count();
    let bits = bits(&text[at..at + length]);
    at += length;
    let Some((conversion, length)) = conversion(&text[at..])? else { return Ok(None) };
    Ok(Some((Spec { conversion, align, fill, sign, prefix, width, bits }, at + length)))
}

/// Digits, or `*`, which takes no argument and counts as none; and how long it is.
fn number(text: &[u8]) -> (usize, usize) {
    if text.first() == Some(&b'*') {
        return (0, 1);
    }
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (std::str::from_utf8(&text[..digits]).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0), digits)
}

/// What a length modifier cuts integers to.
fn bits(modifier: &[u8]) -> u8 {
    match modifier {
        b"hh" => 8,
        b"h" => 16,
        b"l" | b"ll" | b"j" | b"z" | b"t" => 64,
        _ => 32,
    }
}

fn conversion(text: &[u8]) -> Result<Option<(Conversion, usize)>, String> {
    Ok(Some(match text {
        [b'd' | b'i', ..] => (Conversion::Signed, 1),
        [b'u', ..] => (Conversion::Unsigned, 1),
        [b'o', ..] => (Conversion::Octal, 1),
        [b'x', ..] => (Conversion::Hex, 1),
        [b'X', ..] => (Conversion::UpperHex, 1),
        [b'c', ..] => (Conversion::Char, 1),
        [b'p', ..] => (Conversion::Pointer, 1),
        [b's', ..] => (Conversion::Text, 1),
        [b'r', b'x', ..] => (Conversion::Bytes(BytesAs::Escapes), 2),
        [b'r', b'h', ..] => (Conversion::Bytes(BytesAs::Hex), 2),
        [b'r', ..] => (Conversion::Bytes(BytesAs::Text), 1),
        [b'g', b'r', ..] => (Conversion::Gfp, 2),
        [letter @ (b'f' | b'F' | b'e' | b'E' | b'g' | b'G' | b'a' | b'A' | b'n'), ..] => {
            return Err(format!("unsupported format specifier: {}", char::from(*letter)));
        }
        _ => return Ok(None),
    }))
}

fn accepts(conversion: Conversion, ty: &Type) -> bool {
    match conversion {
        Conversion::Text => *ty != Type::Void,
        Conversion::Bytes(_) => matches!(ty, Type::Buf(_)),
        Conversion::Signed
        | Conversion::Unsigned
        | Conversion::Octal
        | Conversion::Hex
        | Conversion::UpperHex
        | Conversion::Char
        | Conversion::Pointer => matches!(ty, Type::Int(_) | Type::Bool | Type::Ptr(..) | Type::Enum(_)),
        Conversion::Gfp => matches!(ty, Type::Int(_) | Type::Enum(_)),
    }
}

fn letter(conversion: Conversion) -> &'static str {
    match conversion {
        Conversion::Signed => "d",
        Conversion::Unsigned => "u",
        Conversion::Octal => "o",
        Conversion::Hex => "x",
        Conversion::UpperHex => "X",
        Conversion::Char => "c",
        Conversion::Pointer => "p",
        Conversion::Text => "s",
        Conversion::Bytes(BytesAs::Text) => "r",
        Conversion::Bytes(BytesAs::Escapes) => "rx",
        Conversion::Bytes(BytesAs::Hex) => "rh",
        Conversion::Gfp => "gr",
    }
}

fn filled(spec: &Spec, value: &Value, config: &Config) -> Vec<u8> {
    let number = integer(value);
    let cut = |bits: u8| number as u64 & (u64::MAX >> (64 - bits));
    let text = match spec.conversion {
        Conversion::Signed => signed(spec, number << (64 - spec.bits) >> (64 - spec.bits)),
        Conversion::Unsigned => cut(spec.bits).to_string(),
        Conversion::Octal => prefixed(spec, "0", format!("{:o}", cut(spec.bits))),
        Conversion::Hex => prefixed(spec, "0x", format!("{:x}", cut(spec.bits))),
        Conversion::UpperHex => prefixed(spec, "0X", format!("{:X}", cut(spec.bits))),
        Conversion::Pointer if number == 0 => "0".to_string(),
        Conversion::Pointer => format!("{number:#x}"),
        Conversion::Char => return padded(spec, vec![number as u8]),
        Conversion::Text => return padded(spec, shown(spec, value, config)),
        Conversion::Gfp => gfp::names(number as u64),
        Conversion::Bytes(form) => bytes(form, value),
    };
    padded(spec, text.into_bytes())
}

/// As `print()` shows it; a plus sign is put before numbers only.
fn shown(spec: &Spec, value: &Value, config: &Config) -> Vec<u8> {
    let text = plain(value, config);
    match (spec.sign, value) {
        (PlusSign::Shown, Value::Int(0..) | Value::UInt(_)) => [b"+", &text[..]].concat(),
        _ => text,
    }
}

fn signed(spec: &Spec, number: i64) -> String {
    match spec.sign {
        PlusSign::Shown if number >= 0 => format!("+{number}"),
        PlusSign::Shown | PlusSign::Hidden => number.to_string(),
    }
}

fn prefixed(spec: &Spec, prefix: &str, digits: String) -> String {
    match spec.prefix {
        Prefix::Base if digits != "0" => format!("{prefix}{digits}"),
        Prefix::Base | Prefix::None => digits,
    }
}

fn integer(value: &Value) -> i64 {
    match value {
        Value::Int(number) | Value::Enum { number, .. } => *number,
        Value::UInt(number) | Value::Pointer(number) => *number as i64,
        Value::Bool(truth) => i64::from(*truth),
        _ => 0,
    }
}

fn bytes(form: BytesAs, value: &Value) -> String {
    let Value::Bytes(bytes) = value else { return String::new() };
    let each = |before: &str, separator: &str| {
        let bytes: Vec<String> = bytes.iter().map(|byte| format!("{before}{byte:02x}")).collect();
        bytes.join(separator)
    };
    match form {
        BytesAs::Text => crate::report::text::escaped(bytes),
        BytesAs::Escapes => each("\\x", ""),
        BytesAs::Hex => each("", " "),
    }
}

/// Zeros, too, go before all of the text, a sign or `0x` included.
fn padded(spec: &Spec, text: Vec<u8>) -> Vec<u8> {
    let fill = match spec.fill {
        Fill::Space => b' ',
        Fill::Zero => b'0',
    };
    let missing = vec![fill; spec.width.saturating_sub(text.len())];
    match spec.align {
        Align::Left => [text, missing].concat(),
        Align::Right => [missing, text].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: &str, value: Value) -> String {
        let format = parse(format.as_bytes()).unwrap();
        String::from_utf8_lossy(&render(&format, &[value], &Config::default())).into_owned()
    }

    #[test]
    fn numbers_are_cut_and_padded() {
        let cases = [
            ("%d", Value::Int(5_000_000_000), "705032704"),
            ("%ld", Value::Int(5_000_000_000), "5000000000"),
            ("%u", Value::Int(-1), "4294967295"),
            ("%hhd", Value::Int(300), "44"),
            ("%#x|", Value::Int(255), "0xff|"),
            ("%#o", Value::Int(8), "010"),
            ("%5d|", Value::Int(-42), "  -42|"),
            ("%-5d|", Value::Int(42), "42   |"),
            ("%05d", Value::Int(-42), "00-42"),
            ("%+d", Value::Int(42), "+42"),
            ("%Ld", Value::Int(5_000_000_000), "705032704"),
            ("%+s", Value::Int(42), "+42"),
            ("%*d|%.*d", Value::Int(42), "42|"),
            ("%0-d", Value::Int(42), "%0-d"),
            ("%gr", Value::Int(0xdc0), "GFP_KERNEL|__GFP_ZERO"),
            ("%gr", Value::Int(0), "0"),
            ("%p", Value::UInt(0xdead), "0xdead"),
            ("%p", Value::UInt(0), "0"),
            ("%c", Value::Int(65), "A"),
            ("%d", Value::Bool(true), "1"),
            ("%s", Value::Bool(true), "true"),
        ];
        for (format, value, expected) in cases {
            assert_eq!(shown(format, value), expected, "{format}");
        }
    }

    #[test]
    fn text_and_bytes() {
        let bytes = || Value::Bytes(b"ab\x01\xff".to_vec());
        assert_eq!(shown("%r", bytes()), "ab\\x01\\xff");
        assert_eq!(shown("%rx", bytes()), "\\x61\\x62\\x01\\xff");
        assert_eq!(shown("%rh", bytes()), "61 62 01 ff");
        assert_eq!(shown("%-6s|", Value::Str { text: b"abc".to_vec(), cut: false }), "abc   |");
        assert_eq!(shown("%-08s", Value::Str { text: b"beef".to_vec(), cut: false }), "beef0000");
        assert_eq!(shown("100%% %q %s", Value::Int(1)), "100% %q 1");
    }

    #[test]
    fn mistakes_are_told() {
        let checked = |format: &str, types: &[&Type]| parse(format.as_bytes()).and_then(|format| check(&format, types));
        assert_eq!(checked("%d", &[]).unwrap_err(), "not enough arguments for format string (0 supplied, 1 expected)");
        assert_eq!(
            checked("", &[&Type::I64]).unwrap_err(),
            "too many arguments for format string (1 supplied, 0 expected)"
        );
        assert_eq!(
            checked("%d", &[&Type::Str(2)]).unwrap_err(),
            "unsupported format specifier for type 'string[2]': d"
        );
        assert_eq!(checked("%f", &[&Type::I64]).unwrap_err(), "unsupported format specifier: f");
    }
}
