//! Values as bpftrace shows them to a person: the text sink, and the text form of each value.

use std::borrow::Cow;
use std::io::Write;

use super::testing::{self, Mood};
use super::{
    Benchmark, Chattiness, Excerpt, Loss, Manner, Message, Sink, Testing, Warnings, heatmap, histogram, quantiles,
    series, written,
};
use crate::config::{Config, ControlCharacters};
use crate::diag::{Severity, Style};
use crate::error::Result;
use crate::types::StackMode;
use crate::value::{Entries, Frame, FrameKind, MapReport, Value};

/// Writes program output to `out` and words about the run to `chatter`.
pub struct TextSink {
    out: Box<dyn Write>,
    chatter: Box<dyn Write>,
    config: Config,
    manner: Manner,
}

impl TextSink {
    pub fn new(out: Box<dyn Write>, chatter: Box<dyn Write>, config: Config, manner: Manner) -> Self {
        Self { out, chatter, config, manner }
    }

    fn put(&mut self, text: &[u8]) -> Result<()> {
        written(self.out.write_all(text))
    }

    fn histogram(&mut self, heading: &[u8], value: &Value) -> Result<()> {
        let Value::Histogram(of) = value else { return Ok(()) };
        self.put(heading)?;
        self.put(b":\n")?;
        self.put(histogram::text(of, self.manner.columns).as_bytes())?;
        if self.config.hist_percentiles {
            self.put(histogram::percentiles(of).as_bytes())?;
        }
        self.put(b"\n")
    }

    fn entry(&mut self, heading: &[u8], value: &Value) -> Result<()> {
        if matches!(value, Value::Histogram(_)) {
            return self.histogram(heading, value);
        }
        let drawing = match value {
            Value::Series(of) => Some(series::text(of)),
            Value::Heat(of) => Some(heatmap::text(of, self.manner.style, self.manner.columns)),
            _ => None,
        };
        if let Some(rows) = drawing {
            let text = if rows.is_empty() { Vec::new() } else { [heading, b":\n", rows.as_bytes(), b"\n"].concat() };
            return self.put(&text);
        }
        let line = [heading, b": ", &plain(value, &self.config), b"\n"].concat();
        self.put(&line)
    }
}

impl Sink for TextSink {
    fn attached(&mut self, probes: usize) -> Result<()> {
        if self.manner.chattiness != Chattiness::Normal {
            return Ok(());
        }
        let plural = if probes == 1 { "" } else { "s" };
        written(writeln!(self.chatter, "Attached {probes} probe{plural}"))
    }

    fn text(&mut self, kind: &'static str, text: &[u8]) -> Result<()> {
        self.put(text)?;
        // bpftrace ends a command's output with a line's end of its own.
        if kind == "system" { self.put(b"\n") } else { Ok(()) }
    }

    fn value(&mut self, value: &Value) -> Result<()> {
        let line = [&plain(value, &self.config)[..], b"\n"].concat();
        self.put(&line)
    }

    fn map(&mut self, map: &MapReport) -> Result<()> {
        match &map.entries {
            Entries::Scalar(value) => self.entry(map.name.as_bytes(), value),
            Entries::Keyed(entries) => entries.iter().try_for_each(|(key, value)| {
                let heading = [map.name.as_bytes(), b"[", &self::key(key, &self.config), b"]"].concat();
                self.entry(&heading, value)
            }),
        }
    }

    fn finale(&mut self) -> Result<()> {
        match self.manner.chattiness {
            Chattiness::Normal | Chattiness::Quiet => self.put(b"\n\n"),
            Chattiness::Shell => Ok(()),
        }
    }

    fn lost(&mut self, events: u64) -> Result<()> {
        self.flush()?;
        written(writeln!(self.chatter, "Lost {events} events"))
    }

    fn message(&mut self, message: &Message<'_>) -> Result<()> {
        if message.severity == Severity::Warning && self.manner.warnings == Warnings::Hidden {
            return Ok(());
        }
        self.flush()?;
        written(self.chatter.write_all(worded(message).as_bytes()))
    }

    fn test(&mut self, event: &Testing<'_>) -> Result<()> {
        let text = testing::lines(event, |mood, text| match (self.manner.style, mood) {
            (Style::Plain, _) => text.to_string(),
            (Style::Coloured, Mood::Good) => format!("\x1b[32m{text}\x1b[0m"),
            (Style::Coloured, Mood::Bad) => format!("\x1b[31m{text}\x1b[0m"),
        });
        self.put(text.as_bytes())
    }

    fn benchmarks(&mut self, results: &[Benchmark]) -> Result<()> {
        self.put(testing::table(results).as_bytes())
    }

    fn losses(&mut self, losses: &[Loss]) -> Result<()> {
        if self.manner.warnings == Warnings::Hidden {
            return Ok(());
        }
        self.flush()?;
        losses.iter().try_for_each(|Loss { count, what, place, .. }| {
            let place = place.as_ref().map_or(String::new(), |at| format!("{}: ", at.position));
            written(writeln!(self.chatter, "{place}WARNING: {count} {what}"))
        })
    }

    fn flush(&mut self) -> Result<()> {
        written(self.out.flush())
    }
}

/// A message as bpftrace shows it, with a newline at its end.
pub fn worded(message: &Message<'_>) -> String {
    let severity = match message.severity {
        Severity::Error => "ERROR",
        Severity::Warning => "WARNING",
    };
    let position = message.place.map_or(String::new(), |place| format!("{}: ", place.position));
    let helper = message.helper.map_or(String::new(), |fault| {
        format!("Additional Info - helper: {}, retcode: {}\n", fault.helper, fault.code)
    });
    let excerpt = match (message.source, message.place) {
        (Excerpt::Shown, Some(place)) => place.excerpt.as_str(),
        (Excerpt::Shown, None) | (Excerpt::Hidden, _) => "",
    };
    format!("{position}{severity}: {}\n{helper}{excerpt}", message.text.trim_end_matches('\n'))
}

/// The text of a value, as `print(v)` and `%s` give it. A text that filled its buffer ends with the configured trailer.
pub fn plain(value: &Value, config: &Config) -> Vec<u8> {
    match value {
        Value::Int(number) => number.to_string().into_bytes(),
        Value::UInt(number) => number.to_string().into_bytes(),
        Value::Bool(truth) => truth.to_string().into_bytes(),
        Value::Str { text, cut: false } => harmless(text, config).into_owned(),
        Value::Str { text, cut: true } => [&harmless(text, config), config.str_trunc_trailer.as_bytes()].concat(),
        Value::Bytes(bytes) => escaped(bytes).into_bytes(),
        Value::Pointer(address) => format!("{address:#x}").into_bytes(),
        Value::Enum { name: Some(name), .. } => name.clone().into_bytes(),
        Value::Enum { name: None, number } => number.to_string().into_bytes(),
        Value::Mac(bytes) => mac(bytes).into_bytes(),
        Value::Inet(address) => address.to_string().into_bytes(),
        Value::Time(text) => text.clone().into_bytes(),
        Value::Symbol(text) => harmless(text.as_bytes(), config).into_owned(),
        Value::Stack { mode, frames } => harmless(stack(*mode, frames).as_bytes(), config).into_owned(),
        Value::Tuple(elements) => enclosed(b"(", elements, b", ", b")", config),
        Value::Array(elements) => enclosed(b"[", elements, b",", b"]", config),
        Value::Record(fields) => record(fields, config),
        Value::Average { count, total } => average(*count, *total).to_string().into_bytes(),
        Value::Stats { count, total } => {
            let average = average(*count, *total);
            format!("{{ .count = {count}, .average = {average}, .total = {total} }}").into_bytes()
        }
        Value::Histogram(of) => histogram::text(of, usize::MAX).into_bytes(),
        Value::Series(of) => series::text(of).into_bytes(),
        Value::Quantiles(of) => quantiles::text(of).into_bytes(),
        Value::Heat(of) => heatmap::text(of, Style::Plain, usize::MAX).into_bytes(),
    }
}

/// Text of traced programs, with what a terminal would obey escaped if the configuration says so.
pub fn harmless<'t>(text: &'t [u8], config: &Config) -> Cow<'t, [u8]> {
    let is_command = |c: char| c.is_control() && c != '\n' && c != '\t';
    if config.control_characters != ControlCharacters::Escaped || !text.iter().any(|byte| is_command((*byte).into())) {
        return Cow::Borrowed(text);
    }
    let mut shown = Vec::with_capacity(text.len() + 16);
    let escape = |bytes: &[u8], shown: &mut Vec<u8>| {
        shown.extend(bytes.iter().flat_map(|byte| format!("\\x{byte:02x}").into_bytes()))
    };
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut bytes = [0; 4];
            let bytes = c.encode_utf8(&mut bytes).as_bytes();
            if is_command(c) { escape(bytes, &mut shown) } else { shown.extend(bytes) }
        }
        escape(chunk.invalid(), &mut shown);
    }
    Cow::Owned(shown)
}

/// A value in the place of a key: a tuple loses its outer parentheses.
pub fn key(value: &Value, config: &Config) -> Vec<u8> {
    match value {
        Value::Tuple(elements) => enclosed(b"", elements, b", ", b"", config),
        _ => plain(value, config),
    }
}

/// The average that `avg` and `stats` show: towards zero, 0 of nothing.
pub fn average(count: u64, total: i128) -> i128 {
    if count == 0 { 0 } else { total / i128::from(count) }
}

/// `AA:BB:CC:DD:EE:FF`.
pub fn mac(bytes: &[u8; 6]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

/// Bytes with everything that is not printable ASCII as `\xNN`.
pub fn escaped(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&byte| match byte {
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        })
        .collect()
}

fn enclosed(open: &[u8], elements: &[Value], separator: &[u8], close: &[u8], config: &Config) -> Vec<u8> {
    let elements: Vec<Vec<u8>> = elements.iter().map(|element| plain(element, config)).collect();
    [open, &elements.join(separator), close].concat()
}

fn record(fields: &[(String, Value)], config: &Config) -> Vec<u8> {
    let fields: Vec<Vec<u8>> =
        fields.iter().map(|(name, value)| [b".", name.as_bytes(), b" = ", &plain(value, config)].concat()).collect();
    [b"{ ", &fields.join(&b", "[..])[..], b" }"].concat()
}

/// A newline, then a line for each frame.
fn stack(mode: StackMode, frames: &[Frame]) -> String {
    let lines: String = frames.iter().map(|frame| self::frame(mode, frame)).collect();
    format!("\n{lines}")
}

fn frame(mode: StackMode, frame: &Frame) -> String {
    let address = frame.address;
    match (mode, &frame.symbol) {
        (StackMode::Raw, _) => format!("{address:x}\n"),
        (StackMode::BuildId, _) => match &frame.build {
            Some((id, offset)) => format!("{id} {offset:#x}\n"),
            None => format!("{address:#x}\n"),
        },
        (StackMode::Bpftrace, Some(symbol)) => format!("        {}\n", named(symbol, frame)),
        (StackMode::Bpftrace, None) => format!("        {address:#x}\n"),
        (StackMode::Perf, symbol) => {
            let symbol = symbol.as_ref().map_or("[unknown]".to_string(), |name| named(name, frame));
            let module = frame.module.as_ref().map_or(String::new(), |module| format!(" ({module})"));
            format!("\t{address:x} {symbol}{module}\n")
        }
    }
}

/// `function+12 file.c:34`, or `function [inlined] file.c:34`; most stacks are shown without places.
fn named(symbol: &str, frame: &Frame) -> String {
    let place = frame.place.as_ref().map_or(String::new(), |place| format!(" {place}"));
    match frame.kind {
        FrameKind::Called => format!("{symbol}+{}{place}", frame.offset),
        FrameKind::Inlined => format!("{symbol} [inlined]{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: Value) -> String {
        String::from_utf8(plain(&value, &Config::default())).unwrap()
    }

    #[test]
    fn values_read_as_in_bpftrace() {
        let text = |text: &str| Value::Str { text: text.into(), cut: false };
        let nested = Value::Tuple(vec![Value::Int(1), text("a"), Value::Tuple(vec![Value::Int(2), Value::Bool(true)])]);
        assert_eq!(shown(nested.clone()), "(1, a, (2, true))");
        assert_eq!(key(&nested, &Config::default()), b"1, a, (2, true)");
        assert_eq!(shown(Value::Tuple(vec![Value::Int(1)])), "(1)");
        assert_eq!(shown(Value::Array(vec![Value::UInt(4), Value::UInt(3)])), "[4,3]");
        assert_eq!(shown(Value::Record(vec![("a".into(), Value::Int(1))])), "{ .a = 1 }");
        assert_eq!(shown(Value::Stats { count: 2, total: 7 }), "{ .count = 2, .average = 3, .total = 7 }");
        assert_eq!(shown(Value::Bytes(b"ab\x01\xff".to_vec())), "ab\\x01\\xff");
        assert_eq!(shown(Value::Pointer(16)), "0x10");
        assert_eq!(shown(Value::Str { text: b"long".to_vec(), cut: true }), "long..");
    }

    #[test]
    fn terminals_are_not_commanded() {
        let config = Config { control_characters: ControlCharacters::Escaped, ..Config::default() };
        let shown =
            |text: &[u8]| String::from_utf8(plain(&Value::Str { text: text.to_vec(), cut: false }, &config)).unwrap();
        assert_eq!(shown(b"a\x1b[31mb\r\x07\tc\nd"), "a\\x1b[31mb\\x0d\\x07\tc\nd");
        // The eight-bit form of an escape sequence, and a byte that is no text.
        assert_eq!(shown("\u{9b}31m \u{e4}".as_bytes()), "\\xc2\\x9b31m \u{e4}");
        assert_eq!(shown(b"\x9b31m"), "\\x9b31m");
        let raw = plain(&Value::Str { text: b"\x1b[31m".to_vec(), cut: false }, &Config::default());
        assert_eq!(raw, b"\x1b[31m");
    }

    #[test]
    fn stacks_begin_on_a_line_of_their_own() {
        let frame = |symbol: Option<&str>| Frame { symbol: symbol.map(str::to_string), offset: 3, ..Frame::bare(0x10) };
        let frames = vec![frame(Some("vfs_read")), frame(None)];
        assert_eq!(
            shown(Value::Stack { mode: StackMode::Bpftrace, frames: frames.clone() }),
            "\n        vfs_read+3\n        0x10\n"
        );
        assert_eq!(shown(Value::Stack { mode: StackMode::Perf, frames }), "\n\t10 vfs_read+3\n\t10 [unknown]\n");
        let build = Some(("ab01".to_string(), 0x20));
        let frames = vec![Frame { build, ..Frame::bare(0x7f20) }, Frame::bare(0x10)];
        assert_eq!(shown(Value::Stack { mode: StackMode::BuildId, frames }), "\nab01 0x20\n0x10\n");
    }
}
