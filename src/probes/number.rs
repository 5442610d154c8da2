//! Numbers within attach points: the language's integer literals, read without its parser.

/// Why a text is no number, in words that follow a colon.
pub type Fault = String;

/// Reads `42`, `1_000`, `0xff`, `017` or `1e6`.
pub fn integer(text: &str) -> Result<u64, Fault> {
    match split(text)? {
        (value, "") => Ok(value),
        _ => Err(format!("invalid trailing bytes: {text}")),
    }
}

/// Reads a duration such as `10ms`, or a bare number of nanoseconds; the result is in nanoseconds.
pub fn duration(text: &str) -> Result<u64, Fault> {
    let (value, unit) = split(text)?;
    let scale = match unit {
        "" | "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(format!("invalid trailing bytes: {text}")),
    };
    value.checked_mul(scale).ok_or_else(|| format!("overflow: {text}"))
}

/// The number at the start of a text, and what follows it.
fn split(text: &str) -> Result<(u64, &str), Fault> {
    let lower = text.get(..2).map(str::to_ascii_lowercase);
    let (radix, body) = match lower.as_deref() {
        Some("0x") => (16, &text[2..]),
        Some(start) if start.starts_with('0') && start.as_bytes()[1].is_ascii_digit() => (8, &text[1..]),
        Some(_) | None => (10, text),
    };
    let end = body.find(|c: char| !c.is_digit(radix) && c != '_').unwrap_or(body.len());
    let (digits, rest) = body.split_at(end);
    let digits = digits.replace('_', "");
    if digits.is_empty() {
        return Err(format!("invalid integer: {text}"));
    }
    let value = u64::from_str_radix(&digits, radix).map_err(|_| format!("overflow: {text}"))?;
    match rest.strip_prefix('e').map(str::parse::<u32>) {
        Some(Ok(power)) => {
            let scaled = 10u64.checked_pow(power).and_then(|scale| value.checked_mul(scale));
            Ok((scaled.ok_or_else(|| format!("overflow: {text}"))?, ""))
        }
        Some(Err(_)) | None => Ok((value, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_as_the_language_writes_them() {
        for (text, value) in [("42", 42), ("1_000", 1000), ("0xfF", 255), ("017", 15), ("1e6", 1_000_000), ("0", 0)] {
            assert_eq!(integer(text), Ok(value), "{text}");
        }
        assert_eq!(integer("x").unwrap_err(), "invalid integer: x");
        assert_eq!(integer("5x").unwrap_err(), "invalid trailing bytes: 5x");
        assert!(integer("99999999999999999999").is_err() && integer("1e99").is_err() && integer("").is_err());
    }

    #[test]
    fn durations_are_nanoseconds() {
        assert_eq!(
            (duration("100ms"), duration("1m"), duration("500")),
            (Ok(100_000_000), Ok(60_000_000_000), Ok(500))
        );
        assert!(duration("5x").is_err() && duration("1000000d").is_err());
    }
}
