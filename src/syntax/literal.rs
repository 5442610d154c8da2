//! Numbers, durations and strings as written, to what they stand for.

use super::ast::ExprKind;

const LARGEST: &str = "overflow error, maximum value is 18446744073709551615";

/// Suffixes that say how wide a number is; its value does not depend on them.
const WIDTHS: [&str; 5] = ["u", "l", "ul", "ll", "ull"];

const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Digits with whatever sticks to them. The error is the message of a syntax error.
pub fn number(text: &str) -> Result<ExprKind, String> {
    if text.ends_with('_') {
        return Err(format!("syntax: invalid trailing bytes: '{text}' ends with an underscore"));
    }
    let digits = text.replace('_', "");
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return radix(text, hex, 16);
    }
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (head, suffix) = digits.split_at(end);
    if suffix.is_empty() && head.len() > 1 && head.starts_with('0') {
        return radix(text, &head[1..], 8);
    }
    let value = head.parse().map_err(|_| format!("syntax: {LARGEST}: {text}"))?;
    suffixed(text, value, suffix)
}

fn radix(text: &str, digits: &str, radix: u32) -> Result<ExprKind, String> {
    use std::num::IntErrorKind::PosOverflow;
    u64::from_str_radix(digits, radix).map(|value| ExprKind::Int { value, suffix: String::new() }).map_err(|error| {
        match error.kind() {
            PosOverflow => format!("syntax: {LARGEST}: {text}"),
            _ => format!("syntax: invalid trailing bytes: '{text}' is not a number in base {radix}"),
        }
    })
}

fn suffixed(text: &str, value: u64, suffix: &str) -> Result<ExprKind, String> {
    if suffix.is_empty() || WIDTHS.contains(&suffix) {
        return Ok(ExprKind::Int { value, suffix: suffix.to_string() });
    }
    if let Some(power) =
        suffix.strip_prefix('e').filter(|power| !power.is_empty() && power.bytes().all(|b| b.is_ascii_digit()))
    {
        if !(1..=9).contains(&value) {
            return Err(format!("syntax: coefficient part of scientific literal must be 1-9: '{text}'"));
        }
        let scaled =
            power.parse().ok().and_then(|power| 10u64.checked_pow(power)).and_then(|scale| value.checked_mul(scale));
        return scaled
            .map(|value| ExprKind::Int { value, suffix: String::new() })
            .ok_or_else(|| format!("syntax: {LARGEST}: {text}"));
    }
    let Some((_, unit)) = UNITS.iter().find(|(name, _)| *name == suffix) else {
        return Err(format!("syntax: invalid integer suffix '{suffix}'; durations end in ns, us, ms, s, m, h or d"));
    };
    let value = value.checked_mul(*unit).ok_or_else(|| format!("syntax: {LARGEST}: {text}"))?;
    Ok(ExprKind::Int { value, suffix: suffix.to_string() })
}

/// A quoted text with its escapes resolved. The error is a message and the place of the fault within `quoted`.
pub fn string(quoted: &str) -> Result<Vec<u8>, (String, usize)> {
    let inner = quoted[1..quoted.len() - 1].as_bytes();
    let mut bytes = Vec::with_capacity(inner.len());
    let mut at = 0;
    while let Some(&byte) = inner.get(at) {
        if byte != b'\\' {
            bytes.push(byte);
            at += 1;
            continue;
        }
        let (escaped, length) = escape(&inner[at + 1..]).map_err(|message| (message, at + 1))?;
        bytes.push(escaped);
        at += 1 + length;
    }
    Ok(bytes)
}

/// What follows a backslash: the byte it means, and how many characters say so.
fn escape(rest: &[u8]) -> Result<(u8, usize), String> {
    let byte = match rest {
        [b'n', ..] => b'\n',
        [b't', ..] => b'\t',
        [b'r', ..] => b'\r',
        [quote @ (b'"' | b'\\'), ..] => *quote,
        [b'x', digits @ ..] => return coded(digits, 16, 2).map(|(byte, length)| (byte, length + 1)),
        [b'0'..=b'7', ..] => return coded(rest, 8, 3),
        [other, ..] => return Err(format!("syntax: invalid escape character '\\{}'", char::from(*other))),
        [] => return Err("syntax: unterminated string".to_string()),
    };
    Ok((byte, 1))
}

fn coded(digits: &[u8], radix: u32, most: usize) -> Result<(u8, usize), String> {
    let length = digits.iter().take(most).take_while(|digit| char::from(**digit).is_digit(radix)).count();
    let text = std::str::from_utf8(&digits[..length]).unwrap_or("");
    match u32::from_str_radix(text, radix).ok().and_then(|value| u8::try_from(value).ok()) {
        Some(byte) => Ok((byte, length)),
        None => {
            Err("syntax: invalid escape character: \\xHH takes two hexadecimal digits, \\ooo goes up to \\377"
                .to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<u64> {
        match number(text) {
            Ok(ExprKind::Int { value, .. }) => Some(value),
            _ => None,
        }
    }

    #[test]
    fn numbers_in_every_form() {
        let accepted = [
            ("42", 42),
            ("1_000_000", 1_000_000),
            ("5ull", 5),
            ("0XfF", 255),
            ("017", 15),
            ("1e6", 1_000_000),
            ("5s", 5_000_000_000),
            ("2h", 7_200_000_000_000),
            ("0", 0),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, expected) in accepted {
            assert_eq!(value(text), Some(expected), "{text}");
        }
        for text in ["5UL", "5_", "0xffu", "08", "0b11", "12e3", "18446744073709551616", "1e99", "9999999999999d", "0x"]
        {
            assert!(number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn strings_resolve_their_escapes() {
        assert_eq!(string(r#""a\n\t\x41\101\"\\""#).unwrap(), b"a\n\tAA\"\\");
        assert_eq!(string(r#""\q""#).unwrap_err(), ("syntax: invalid escape character '\\q'".to_string(), 1));
        assert!(string(r#""\777""#).is_err());
    }
}
