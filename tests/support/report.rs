//! Turns what a run reports, written as TOML, into what the text and the JSON output make of it.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use rtrace::config::Config;
use rtrace::diag::{Place, Severity, Style};
use rtrace::report::json::JsonSink;
use rtrace::report::text::TextSink;
use rtrace::report::{Chattiness, Excerpt, HelperFault, Manner, Message, Sink, Warnings};
use rtrace::types::{Aggregate, StackMode, log2_bucket, log2_buckets};
use rtrace::value::{Entries, Frame, Histogram, MapReport, Value};
use serde::Deserialize;

/// One run's reports, in their order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default)]
    hist_percentiles: bool,
    report: Vec<Report>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Report {
    Attached(usize),
    /// The builtin and its text.
    Text(String, String),
    Value(Item),
    /// A map's name and its value.
    Scalar(String, Item),
    /// A map's name and its keys with their values.
    Keyed(String, Vec<(Item, Item)>),
    Lost(u64),
    Warning(String),
    /// A warning of a place, the helper that failed there and its error number.
    Refused(String, String, i32),
    Finale,
}

/// A value as it is written here: numbers, texts and booleans as they are, lists for tuples, and the rest by name.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum Item {
    Int(i64),
    Bool(bool),
    Text(String),
    Tuple(Vec<Item>),
    Named(Box<Named>),
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "lowercase")]
enum Named {
    /// A number too large for TOML.
    Unsigned(String),
    Cut(String),
    Bytes(Vec<u8>),
    Pointer(u64),
    Enum(String, i64),
    /// A number that the enumeration has no name for.
    Unnamed(i64),
    Mac([u8; 6]),
    Inet(std::net::IpAddr),
    Time(String),
    Symbol(String),
    Array(Vec<Item>),
    Record(Vec<(String, Item)>),
    /// The samples.
    Avg(Vec<i64>),
    Stats(Vec<i64>),
    /// Sub-buckets as a power of two, and the samples.
    Hist(u8, Vec<i64>),
    /// `min, max, step`, and the samples.
    LHist([i64; 3], Vec<i64>),
    /// Mode, and address, symbol, offset and module of each frame.
    Stack(String, Vec<(u64, String, u64, String)>),
}

const MANNER: Manner =
    Manner { chattiness: Chattiness::Normal, warnings: Warnings::Shown, style: Style::Plain, columns: usize::MAX };

/// What both sinks write.
pub fn shown(input: &str) -> String {
    let input: Input = toml::from_str(input).unwrap_or_else(|error| panic!("{error}"));
    let config = Config { hist_percentiles: input.hist_percentiles, ..Config::default() };
    let text = Shared::default();
    let chatter = Box::new(text.clone());
    feed(&mut TextSink::new(Box::new(text.clone()), chatter, config.clone(), MANNER), &input.report);
    let json = Shared::default();
    feed(&mut JsonSink::new(Box::new(json.clone()), config, MANNER), &input.report);
    format!("{}= json\n{}", text.text(), json.text())
}

fn feed(sink: &mut dyn Sink, reports: &[Report]) {
    for report in reports {
        put(sink, report).expect("memory takes all that is written");
    }
}

fn put(sink: &mut dyn Sink, report: &Report) -> rtrace::error::Result<()> {
    match report {
        Report::Attached(probes) => sink.attached(*probes),
        Report::Text(kind, text) => sink.text(kind.clone().leak(), text.as_bytes()),
        Report::Value(item) => sink.value(&value(item)),
        Report::Scalar(name, item) => {
            sink.map(&MapReport { name: name.clone(), entries: Entries::Scalar(value(item)) })
        }
        Report::Keyed(name, items) => {
            let entries = items.iter().map(|(key, item)| (value(key), value(item))).collect();
            sink.map(&MapReport { name: name.clone(), entries: Entries::Keyed(entries) })
        }
        Report::Lost(events) => sink.lost(*events),
        Report::Warning(text) => sink.message(&Message::new(Severity::Warning, text)),
        Report::Refused(text, helper, code) => refused(sink, text, helper, *code),
        Report::Finale => sink.finale(),
    }
}

fn refused(sink: &mut dyn Sink, text: &str, helper: &str, code: i32) -> rtrace::error::Result<()> {
    let place = Place {
        file: "stdin".to_string(),
        line: 1,
        column: 9,
        position: "stdin:1:9-14".to_string(),
        excerpt: "begin { @a[1] = 2; }\n        ~~~~~\n".to_string(),
    };
    let helper = Some(HelperFault { helper: helper.to_string().leak(), code });
    let (kind, source) = ("helper_error", Excerpt::Shown);
    sink.message(&Message { kind, place: Some(&place), source, helper, ..Message::new(Severity::Warning, text) })
}

fn value(item: &Item) -> Value {
    match item {
        Item::Int(number) => Value::Int(*number),
        Item::Bool(truth) => Value::Bool(*truth),
        Item::Text(text) => Value::Str { text: text.clone().into_bytes(), cut: false },
        Item::Tuple(items) => Value::Tuple(items.iter().map(value).collect()),
        Item::Named(named) => self::named(named),
    }
}

fn named(named: &Named) -> Value {
    match named.clone() {
        Named::Unsigned(digits) => Value::UInt(digits.parse().expect("a number")),
        Named::Cut(text) => Value::Str { text: text.into_bytes(), cut: true },
        Named::Bytes(bytes) => Value::Bytes(bytes),
        Named::Pointer(address) => Value::Pointer(address),
        Named::Enum(name, number) => Value::Enum { name: Some(name), number },
        Named::Unnamed(number) => Value::Enum { name: None, number },
        Named::Mac(bytes) => Value::Mac(bytes),
        Named::Inet(address) => Value::Inet(address),
        Named::Time(text) => Value::Time(text),
        Named::Symbol(text) => Value::Symbol(text),
        Named::Array(items) => Value::Array(items.iter().map(value).collect()),
        Named::Record(fields) => Value::Record(fields.iter().map(|(name, item)| (name.clone(), value(item))).collect()),
        Named::Avg(samples) => Value::Average { count: samples.len() as u64, total: total(&samples) },
        Named::Stats(samples) => Value::Stats { count: samples.len() as u64, total: total(&samples) },
        Named::Hist(bits, samples) => {
            let buckets = samples.iter().map(|sample| log2_bucket(*sample, bits));
            histogram(Aggregate::Hist { bits }, log2_buckets(bits), buckets)
        }
        Named::LHist([min, max, step], samples) => {
            let last = ((max - min) / step + 1) as u32;
            let bucket = |sample: &i64| match *sample {
                below if below < min => 0,
                above if above >= max => last,
                within => ((within - min) / step + 1) as u32,
            };
            histogram(Aggregate::LHist { min, max, step }, last + 1, samples.iter().map(bucket))
        }
        Named::Stack(mode, frames) => {
            Value::Stack { mode: self::mode(&mode), frames: frames.into_iter().map(frame).collect() }
        }
    }
}

fn total(samples: &[i64]) -> i128 {
    samples.iter().map(|sample| i128::from(*sample)).sum()
}

fn histogram(shape: Aggregate, buckets: u32, filled: impl Iterator<Item = u32>) -> Value {
    let mut counts = vec![0; buckets as usize];
    for bucket in filled {
        counts[bucket as usize] += 1;
    }
    Value::Histogram(Histogram { shape, counts, div: 1 })
}

fn mode(name: &str) -> StackMode {
    match name {
        "bpftrace" => StackMode::Bpftrace,
        "perf" => StackMode::Perf,
        "raw" => StackMode::Raw,
        "build_id" => StackMode::BuildId,
        other => panic!("there is no stack mode '{other}'"),
    }
}

/// Empty names stand for what the symboliser did not find.
fn frame((address, symbol, offset, module): (u64, String, u64, String)) -> Frame {
    let known = |name: String| (!name.is_empty()).then_some(name);
    Frame { symbol: known(symbol), offset, module: known(module), ..Frame::bare(address) }
}

/// Memory that a sink writes to and that can be read afterwards.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
