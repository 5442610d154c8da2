//! Times as text, in the formats of strftime(3).

use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

/// Nanoseconds since 1970, by the wall clock.
pub fn now() -> i128 {
    Timestamp::now().as_nanosecond()
}

/// A wall-clock time, in nanoseconds since 1970, in the local time zone. Beyond strftime(3), `%f` is microseconds, `%l`
/// milliseconds and `%k` nanoseconds of the second. Conversions that do not exist are copied as they stand.
pub fn format(format: &str, unix_ns: i128) -> String {
    let fraction = |conversion: &str, nanoseconds: i32| match conversion {
        "f" => Some(format!("{:06}", nanoseconds / 1000)),
        "l" => Some(format!("{:03}", nanoseconds / 1_000_000)),
        "k" => Some(format!("{nanoseconds:09}")),
        _ => None,
    };
    formatted(format, unix_ns, fraction)
}

/// The same with the conversions of strftime(3) only.
pub fn plain(format: &str, unix_ns: i128) -> String {
    formatted(format, unix_ns, |conversion, _| (conversion == "f").then(|| "%f".to_string()))
}

fn formatted(format: &str, unix_ns: i128, special: impl Fn(&str, i32) -> Option<String>) -> String {
    let Ok(time) = Timestamp::from_nanosecond(unix_ns) else { return String::new() };
    let zoned = time.to_zoned(TimeZone::system());
    let broken = BrokenDownTime::from(&zoned);
    let nanoseconds = zoned.subsec_nanosecond();
    let mut text = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let length = conversion_length(after);
        let (conversion, after) = after.split_at(length);
        match special(conversion, nanoseconds) {
            Some(special) => text.push_str(&special),
            None if conversion.is_empty() => text.push('%'),
            None => {
                let whole = in_full(conversion);
                text.push_str(&broken.to_string(&whole).unwrap_or(whole));
            }
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// A conversion as the C locale has it, which knows no eras and no digits but its own.
fn in_full(conversion: &str) -> String {
    match conversion.trim_start_matches(['E', 'O']) {
        "c" => "%a %b %e %H:%M:%S %Y".to_string(),
        "x" => "%m/%d/%y".to_string(),
        "X" => "%H:%M:%S".to_string(),
        "r" => "%I:%M:%S %p".to_string(),
        other => format!("%{other}"),
    }
}

/// Flags and width, then one letter.
fn conversion_length(text: &str) -> usize {
    let flags =
        text.find(|c: char| !matches!(c, '_' | '-' | '^' | '#' | '0'..='9' | 'E' | 'O' | ':')).unwrap_or(text.len());
    text[flags..].chars().next().map_or(text.len(), |letter| flags + letter.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_those_of_strftime() {
        let time = 1_700_000_000_123_456_789;
        assert_eq!(format("%s %f %l %k %% 100%", time), "1700000000 123456 123 123456789 % 100%");
        assert_eq!(plain("%s %f", time), "1700000000 %f");
        assert_eq!(format("%Y-%m-%dT%H:%M:%S", time).len(), 19);
        for (short, full) in [("%c", "%a %b %e %T %Y"), ("%x", "%D"), ("%r", "%I:%M:%S %p"), ("%Ey%OdE", "%y%dE")] {
            assert_eq!(format(short, time), format(full, time));
        }
    }
}
