//! Literals read: the text of a number or a string in, its value out, or what is wrong with it and where.

use std::ops::Range;

/// A number's value; durations are nanoseconds. The suffix is as written, `s` or `ul`, or empty.
pub type Integer<'t> = (u64, &'t str);

/// What is wrong in a literal, with the bytes of its text to underline.
#[derive(Debug, PartialEq, Eq)]
pub struct LiteralFault {
    pub range: Range<usize>,
    pub message: String,
    pub hint: Option<String>,
}

/// Units of durations in nanoseconds.
pub const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Suffixes that C gives its integers; they change no value.
const C_SUFFIXES: [&str; 6] = ["", "u", "l", "ul", "ll", "ull"];

/// Reads `42`, `1_000`, `0xff`, `017`, `1e6`, `5ms`, `7ul`.
pub fn integer(text: &str) -> Result<Integer<'_>, LiteralFault> {
    match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => Ok((radix(text, 2, 16)?, "")),
        [b'0', b'0'..=b'9' | b'_', ..] => Ok((radix(text, 0, 8)?, "")),
        _ => decimal(text),
    }
}

fn decimal(text: &str) -> Result<Integer<'_>, LiteralFault> {
    let (digits, rest) = split_digits(text, 10);
    trailing_underscore(digits, 0)?;
    let (value, suffix) = match rest.strip_prefix(['e', 'E']) {
        Some(exponent) => power(text, digits, exponent)?,
        None => (parse(text, digits, 10)?, rest),
    };
    if C_SUFFIXES.contains(&suffix) {
        return Ok((value, suffix));
    }
    match UNITS.iter().find(|(unit, _)| *unit == suffix) {
        Some((_, nanoseconds)) => Ok((value.checked_mul(*nanoseconds).ok_or_else(|| overflow(text))?, suffix)),
        None => Err(bad_suffix(text, suffix)),
    }
}

/// `1e6`: one digit, then the number of zeros, then perhaps a suffix.
fn power<'t>(text: &str, coefficient: &str, exponent: &'t str) -> Result<Integer<'t>, LiteralFault> {
    let (zeros, suffix) = split_digits(exponent, 10);
    if zeros.is_empty() {
        return Err(whole(text, format!("invalid trailing bytes: {text}")));
    }
    if coefficient.len() != 1 || coefficient == "0" {
        let message = format!("coefficient part of scientific literal must be 1-9: {text}");
        return Err(whole(text, message).hint("one digit may stand before the 'e', as in 3e6"));
    }
    let scale = parse(text, zeros, 10)?.try_into().ok().and_then(|zeros| 10u64.checked_pow(zeros));
    let value = scale.and_then(|scale| parse(text, coefficient, 10).ok()?.checked_mul(scale));
    Ok((value.ok_or_else(|| overflow(text))?, suffix))
}

/// A number with a prefix of `skip` bytes and no suffix.
fn radix(text: &str, skip: usize, radix: u32) -> Result<u64, LiteralFault> {
    let (digits, rest) = split_digits(&text[skip..], radix);
    if digits.is_empty() {
        return Err(whole(text, format!("invalid integer: {text}")));
    }
    if !rest.is_empty() {
        return Err(match radix {
            8 => whole(text, format!("invalid trailing bytes: {text}")).hint("a number that begins with 0 is octal"),
            _ => bad_suffix(text, rest),
        });
    }
    trailing_underscore(digits, skip)?;
    parse(text, digits, radix)
}

fn split_digits(text: &str, radix: u32) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_digit(radix) && c != '_').unwrap_or(text.len()))
}

fn parse(text: &str, digits: &str, radix: u32) -> Result<u64, LiteralFault> {
    u64::from_str_radix(&digits.replace('_', ""), radix).map_err(|_| overflow(text))
}

fn trailing_underscore(digits: &str, skip: usize) -> Result<(), LiteralFault> {
    match digits.ends_with('_') {
        true => Err(LiteralFault::new(
            skip + digits.len() - 1..skip + digits.len(),
            "trailing underscore in integer literal".to_string(),
        )),
        false => Ok(()),
    }
}

fn overflow(text: &str) -> LiteralFault {
    whole(text, format!("overflow error, maximum value is {}: {text}", u64::MAX)).hint("numbers have 64 bits")
}

fn bad_suffix(text: &str, suffix: &str) -> LiteralFault {
    let fault = LiteralFault::new(text.len() - suffix.len()..text.len(), format!("invalid integer suffix '{suffix}'"));
    let binary = suffix.strip_prefix('b').and_then(|digits| u64::from_str_radix(digits, 2).ok());
    match binary {
        Some(value) if text.starts_with("0b") => fault.hint(format!("there are no binary literals: write 0x{value:x}")),
        _ if text.starts_with("0x") || text.starts_with("0X") => fault.hint("hexadecimal numbers take no suffix"),
        _ if C_SUFFIXES.contains(&suffix.to_ascii_lowercase().as_str()) => {
            whole(text, format!("invalid trailing bytes: {text}"))
                .hint(format!("suffixes are lower-case: write {}", text.to_ascii_lowercase()))
        }
        _ => fault.hint("durations end in ns, us, ms, s, m, h or d; integers in u, l, ul, ll or ull"),
    }
}

fn whole(text: &str, message: String) -> LiteralFault {
    LiteralFault::new(0..text.len(), message)
}

/// Resolves the escapes between the quotes of a string. Ranges of faults count from the opening quote. What has a fault is left out,
/// so that all faults of one string are told.
pub fn string(quoted: &str) -> (Vec<u8>, Vec<LiteralFault>) {
    let inner = quoted.strip_prefix('"').unwrap_or(quoted);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let (mut bytes, mut faults) = (Vec::with_capacity(inner.len()), Vec::new());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let start = inner.len() - rest.len() + at + 1;
        let (length, byte) = escape(&rest[at + 1..]);
        match byte {
            Ok(byte) => bytes.push(byte),
            Err(message) => faults.push(
                LiteralFault::new(start..start + 1 + length, message)
                    .hint(r#"the escapes are \n \t \r \" \\, octal \101 and hexadecimal \x41"#),
            ),
        }
        rest = &rest[at + 1 + length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    (bytes, faults)
}

/// The byte that an escape stands for, given what follows its backslash, and how many bytes of that belong to it.
fn escape(after: &str) -> (usize, Result<u8, String>) {
    let first = after.chars().next();
    match first {
        Some('n') => (1, Ok(b'\n')),
        Some('t') => (1, Ok(b'\t')),
        Some('r') => (1, Ok(b'\r')),
        Some(c @ ('"' | '\\')) => (1, Ok(c as u8)),
        Some('0'..='7') => octal(after),
        Some('x') => hex(after),
        other => {
            let shown = other.map_or(String::new(), String::from);
            (shown.len(), Err(format!("invalid escape character '\\{shown}'")))
        }
    }
}

fn octal(after: &str) -> (usize, Result<u8, String>) {
    let length = digits(after, 3, 8);
    let value = u8::from_str_radix(&after[..length], 8);
    (length, value.map_err(|_| format!("octal escape sequence out of range '\\{}'", &after[..length])))
}

fn hex(after: &str) -> (usize, Result<u8, String>) {
    let length = digits(&after[1..], 2, 16);
    let value = u8::from_str_radix(&after[1..1 + length], 16);
    (1 + length, value.map_err(|_| "invalid hex escape sequence".to_string()))
}

fn digits(text: &str, most: usize, radix: u32) -> usize {
    text.chars().take(most).take_while(|c| c.is_digit(radix)).count()
}

impl LiteralFault {
    fn new(range: Range<usize>, message: String) -> Self {
        Self { range, message, hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> u64 {
        integer(text).unwrap_or_else(|fault| panic!("{text}: {}", fault.message)).0
    }

    fn fault(text: &str) -> String {
        integer(text).map(|(value, _)| value).unwrap_err().message
    }

    #[test]
    fn integers_in_every_form() {
        for (text, expected) in [
            ("0", 0),
            ("42", 42),
            ("1_000_000", 1_000_000),
            ("1__0", 10),
            ("5ull", 5),
            ("0xff", 255),
            ("0XF_f", 255),
            ("017", 15),
            ("00", 0),
            ("1e6", 1_000_000),
            ("9e1u", 90),
            ("1e3s", 1_000_000_000_000),
            ("5ns", 5),
            ("5s", 5_000_000_000),
            ("2h", 7_200_000_000_000),
            ("1d", 86_400_000_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn integers_refused_in_the_words_of_bpftrace() {
        for (text, expected) in [
            ("5UL", "invalid trailing bytes: 5UL"),
            ("08", "invalid trailing bytes: 08"),
            ("1_", "trailing underscore in integer literal"),
            ("0xf_", "trailing underscore in integer literal"),
            ("0xffu", "invalid integer suffix 'u'"),
            ("0b11", "invalid integer suffix 'b11'"),
            ("5u_s", "invalid integer suffix 'u_s'"),
            ("0x", "invalid integer: 0x"),
            ("1e", "invalid trailing bytes: 1e"),
            ("12e3", "coefficient part of scientific literal must be 1-9: 12e3"),
            ("1e20", "overflow error, maximum value is 18446744073709551615: 1e20"),
            ("18446744073709551616", "overflow error, maximum value is 18446744073709551615: 18446744073709551616"),
            ("9999999999999d", "overflow error, maximum value is 18446744073709551615: 9999999999999d"),
        ] {
            assert_eq!(fault(text), expected, "{text}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(string(r#""a\n\t\r\"\\\101\x41\0z""#), (b"a\n\t\r\"\\AA\0z".to_vec(), vec![]));
        let (bytes, faults) = string(r#""\q\400\xz""#);
        assert_eq!(bytes, b"z");
        let told: Vec<_> = faults.iter().map(|fault| (fault.range.clone(), fault.message.as_str())).collect();
        assert_eq!(
            told,
            [
                (1..3, r"invalid escape character '\q'"),
                (3..7, r"octal escape sequence out of range '\400'"),
                (7..9, "invalid hex escape sequence")
            ]
        );
    }
}
