//! Values as one JSON object a line (`-f json`), in bpftrace's shapes.

use std::io::Write;

use super::histogram::{self, Bucket};
use super::quantiles;
use super::series;
use super::text::{average, key};
use super::{Benchmark, Chattiness, Loss, Manner, Message, Sink, Testing, Warnings, written};
use crate::config::Config;
use crate::diag::Severity;
use crate::errno;
use crate::error::Result;
use crate::types::Aggregate;
use crate::value::{Entries, Histogram, MapReport, Value};

/// Integers beyond this are quoted: not every reader keeps them exactly.
const EXACT: i128 = 1 << 53;

/// Writes everything, words about the run included, as objects to one place.
pub struct JsonSink {
    out: Box<dyn Write>,
    config: Config,
    manner: Manner,
}

impl JsonSink {
    pub fn new(out: Box<dyn Write>, config: Config, manner: Manner) -> Self {
        Self { out, config, manner }
    }

    fn object(&mut self, kind: &str, data: &str) -> Result<()> {
        written(writeln!(self.out, "{{\"type\": \"{kind}\", \"data\": {data}}}"))
    }
}

impl Sink for JsonSink {
    fn attached(&mut self, probes: usize) -> Result<()> {
        if self.manner.chattiness == Chattiness::Quiet {
            return Ok(());
        }
        written(writeln!(
            self.out,
            "{{\"type\": \"attached_probes\", \"count\": {probes}, \"data\": {{\"probes\": {probes}}}}}"
        ))
    }

    fn text(&mut self, kind: &'static str, text: &[u8]) -> Result<()> {
        // bpftrace names the kind of `system()` after what it does.
        let kind = if kind == "system" { "syscall" } else { kind };
        // What is joined is one line; its end is no part of it.
        let text = if kind == "join" { text.strip_suffix(b"\n").unwrap_or(text) } else { text };
        self.object(kind, &quoted(text))
    }

    fn value(&mut self, value: &Value) -> Result<()> {
        let data = json(value, &self.config);
        self.object("value", &data)
    }

    fn map(&mut self, map: &MapReport) -> Result<()> {
        let (kind, data) = match &map.entries {
            Entries::Scalar(value) => (kind(value), json(value, &self.config)),
            Entries::Keyed(entries) => {
                let Some((_, first)) = entries.first() else { return Ok(()) };
                (kind(first), keyed(entries, &self.config))
            }
        };
        self.object(kind, &format!("{{{}: {data}}}", quoted(map.name.as_bytes())))
    }

    fn finale(&mut self) -> Result<()> {
        Ok(())
    }

    fn lost(&mut self, events: u64) -> Result<()> {
        written(writeln!(
            self.out,
            "{{\"type\": \"lost_events\", \"count\": {events}, \"data\": {{\"events\": {events}}}}}"
        ))
    }

    /// What helpers did not do is told by their error alone.
    fn message(&mut self, message: &Message<'_>) -> Result<()> {
        if message.severity == Severity::Warning && self.manner.warnings == Warnings::Hidden {
            return Ok(());
        }
        let (text, helper) = match message.helper {
            Some(fault) => (
                errno::describe(-i64::from(fault.code)),
                format!(", \"helper\": \"{}\", \"retcode\": {}", fault.helper, fault.code),
            ),
            None => (message.text.to_string(), String::new()),
        };
        let place = message.place.map_or(String::new(), |place| {
            let file = quoted(place.file.as_bytes());
            format!(", \"filename\": {file}, \"line\": {}, \"col\": {}", place.line, place.column)
        });
        let (kind, text) = (message.kind, quoted(text.as_bytes()));
        written(writeln!(self.out, "{{\"type\": \"{kind}\", \"msg\": {text}{helper}{place}}}"))
    }

    fn test(&mut self, event: &Testing<'_>) -> Result<()> {
        let Testing::Ends { name, passed, took, said } = event else { return Ok(()) };
        let (name, said, nanoseconds) = (quoted(name.as_bytes()), quoted(said.as_bytes()), took.as_nanos());
        let data = format!("{{\"duration\": {nanoseconds}, \"passed\": {passed}, \"output\": {said}}}");
        self.object("test_result", &format!("{{{name}: {data}}}"))
    }

    fn benchmarks(&mut self, results: &[Benchmark]) -> Result<()> {
        results.iter().try_for_each(|of| {
            let data = format!("{{\"average\": {}, \"iters\": {}}}", of.nanoseconds, of.iterations);
            self.object("benchmark_result", &format!("{{{}: {data}}}", quoted(of.name.as_bytes())))
        })
    }

    fn losses(&mut self, losses: &[Loss]) -> Result<()> {
        losses.iter().try_for_each(|Loss { cause, count, what, place, probe }| {
            let place = place.as_ref().map_or(String::new(), |at| {
                let file = quoted(at.file.as_bytes());
                format!(", \"filename\": {file}, \"line\": {}, \"col\": {}", at.line, at.column)
            });
            let what = quoted(what.as_bytes());
            let probe =
                probe.as_ref().map_or(String::new(), |name| format!(", \"probe\": {}", quoted(name.as_bytes())));
            let cause = format!("\"cause\": \"{cause}\", \"count\": {count}, \"msg\": {what}");
            written(writeln!(self.out, "{{\"type\": \"loss\", {cause}{probe}{place}}}"))
        })
    }

    fn flush(&mut self) -> Result<()> {
        written(self.out.flush())
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Histogram(_) => "hist",
        Value::Series(_) => "tseries",
        Value::Quantiles(_) => "quantiles",
        Value::Heat(_) => "heatmap",
        Value::Average { .. } | Value::Stats { .. } => "stats",
        _ => "map",
    }
}

fn keyed(entries: &[(Value, Value)], config: &Config) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|(key, value)| format!("{}: {}", quoted(&key_text(key, config)), json(value, config)))
        .collect();
    format!("{{{}}}", entries.join(", "))
}

/// A key as its text. Spaces that only lay it out are left out; those within texts are part of the key.
pub(super) fn key_text(key: &Value, config: &Config) -> Vec<u8> {
    match key {
        Value::Tuple(elements) => {
            let elements: Vec<Vec<u8>> = elements.iter().map(|element| key_element(element, config)).collect();
            elements.join(&b","[..])
        }
        _ => key_element(key, config),
    }
}

fn key_element(element: &Value, config: &Config) -> Vec<u8> {
    match element {
        Value::Tuple(_) => [b"(", &key_text(element, config)[..], b")"].concat(),
        Value::Str { .. } | Value::Bytes(_) => self::key(element, config),
        _ => self::key(element, config).into_iter().filter(|byte| *byte != b' ').collect(),
    }
}

fn json(value: &Value, config: &Config) -> String {
    match value {
        Value::Int(number) => self::number(i128::from(*number)),
        Value::UInt(number) | Value::Pointer(number) => self::number(i128::from(*number)),
        Value::Bool(truth) => truth.to_string(),
        Value::Enum { number, .. } => self::number(i128::from(*number)),
        Value::Bytes(bytes) => {
            let bytes: Vec<String> = bytes.iter().map(u8::to_string).collect();
            format!("[{}]", bytes.join(","))
        }
        Value::Tuple(elements) | Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(|element| json(element, config)).collect();
            format!("[{}]", elements.join(","))
        }
        Value::Record(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", quoted(name.as_bytes()), json(value, config)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Average { count, total } => self::number(average(*count, *total)),
        Value::Stats { count, total } => format!(
            "{{\"count\": {count}, \"average\": {}, \"total\": {}}}",
            self::number(average(*count, *total)),
            self::number(*total)
        ),
        Value::Histogram(of) => {
            let buckets: Vec<String> = histogram::buckets(of).iter().map(bucket).collect();
            format!("[{}]", buckets.join(","))
        }
        Value::Series(of) => {
            let point = |(epoch, value): &(u64, i128)| {
                let start = quoted(series::start(of.interval, *epoch).as_bytes());
                format!("{{\"interval_start\":{start},\"value\":{}}}", self::number(*value))
            };
            let points: Vec<String> = of.points.iter().map(point).collect();
            format!("[{}]", points.join(","))
        }
        Value::Heat(of) => {
            let column = |(epoch, counts): &(u64, Vec<u64>)| {
                let start = series::start(of.interval, *epoch);
                let shape = Aggregate::Hist { bits: of.bits };
                let histogram = Histogram { shape, counts: counts.clone(), div: of.div };
                let buckets = json(&Value::Histogram(histogram), config);
                format!("{{\"interval_start\":\"{start}\",\"buckets\":{buckets}}}")
            };
            format!("[{}]", of.columns.iter().map(column).collect::<Vec<_>>().join(","))
        }
        Value::Quantiles(of) => {
            let values: Vec<String> = quantiles::values(of)
                .into_iter()
                .map(|(name, value)| format!("\"{name}\": {}", self::number(i128::from(value))))
                .collect();
            format!("{{\"count\": {}, {}}}", of.count(), values.join(", "))
        }
        Value::Str { .. }
        | Value::Mac(_)
        | Value::Inet(_)
        | Value::Time(_)
        | Value::Symbol(_)
        | Value::Stack { .. } => quoted(&super::text::plain(value, config)),
    }
}

fn bucket(bucket: &Bucket) -> String {
    let border = |name: &str, value: Option<i64>| {
        value.map_or(String::new(), |value| format!("\"{name}\": {}, ", number(i128::from(value))))
    };
    format!("{{{}{}\"count\": {}}}", border("min", bucket.min), border("max", bucket.max), bucket.count)
}

fn number(value: i128) -> String {
    if value.abs() < EXACT || value.abs().trailing_zeros() + 53 >= 128 - value.abs().leading_zeros() {
        value.to_string()
    } else {
        format!("\"{value}\"")
    }
}

/// A JSON string; bytes that are not UTF-8 become U+FFFD.
fn quoted(text: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for character in String::from_utf8_lossy(text).chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if (control as u32) < 0x20 => {
                quoted.push_str(&format!("\\u{:04x}", control as u32));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Aggregate;
    use crate::value::Histogram;

    fn shown(value: Value) -> String {
        json(&value, &Config::default())
    }

    fn text(text: &str) -> Value {
        Value::Str { text: text.into(), cut: false }
    }

    #[test]
    fn values_have_bpftraces_shapes() {
        assert_eq!(shown(Value::Tuple(vec![Value::Int(1), text("a\"\x01\n")])), r#"[1,"a\"\u0001\n"]"#);
        assert_eq!(shown(Value::UInt(i64::MAX as u64)), r#""9223372036854775807""#);
        assert_eq!(shown(Value::UInt(1 << 60)), "1152921504606846976");
        assert_eq!(shown(Value::Stats { count: 2, total: 7 }), r#"{"count": 2, "average": 3, "total": 7}"#);
        assert_eq!(shown(Value::Bytes(vec![97, 32])), "[97,32]");
        let histogram =
            Histogram { shape: Aggregate::LHist { min: 0, max: 4, step: 2 }, counts: vec![1, 0, 0, 1], div: 1 };
        assert_eq!(
            shown(Value::Histogram(histogram)),
            r#"[{"max": -1, "count": 1},{"min": 0, "max": 1, "count": 0},{"min": 2, "max": 3, "count": 0},{"min": 4, "count": 1}]"#
        );
    }

    #[test]
    fn keys_lose_their_outer_parentheses_and_layout() {
        let inner = Value::Tuple(vec![Value::Int(1), text("c d")]);
        assert_eq!(key_text(&Value::Tuple(vec![text("a b"), inner]), &Config::default()), b"a b,(1,c d)");
    }
}
