//! Distributions of `quantiles` as a log of HdrHistogram intervals (`--hlog`), which its analysers and plotters read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::json::key_text;
use super::quantiles::middle;
use super::{Benchmark, Loss, Message, Sink, Testing};
use crate::config::Config;
use crate::errno;
use crate::error::{Error, Result};
use crate::strftime;
use crate::types::{QUANTILE_BITS, log2_bucket};
use crate::value::{Entries, MapReport, Quantiles, Value};

/// Significant decimal digits of the log: ten times as fine as what is counted.
const DIGITS: u8 = 3;

/// A log, and what is already in it.
pub struct Log {
    out: Box<dyn Write>,
    config: Config,
    serializer: V2DeflateSerializer,
    /// The map whose intervals have no tag, so that a log of one distribution needs no option to be read.
    untagged: Option<String>,
    started: Instant,
    series: BTreeMap<Series, Recorded>,
    /// When each map was last recorded.
    maps: BTreeMap<String, Duration>,
}

/// A map, and the key as text if it has keys.
type Series = (String, Option<String>);

/// What the log has of a series since its map was last emptied, and until when.
#[derive(Default)]
struct Recorded {
    buckets: BTreeMap<u32, u64>,
    until: Duration,
}

impl Log {
    /// Begins the log.
    pub fn new(mut out: Box<dyn Write>, untagged: Option<String>, config: Config) -> Result<Log> {
        let now = strftime::now();
        let (seconds, milliseconds) = (now / 1_000_000_000, now / 1_000_000 % 1000);
        let time = strftime::plain("%a %b %d %H:%M:%S %Z %Y", now);
        let header = format!(
            "#[Logged by rtrace {}]\n#[Histogram log format version 1.3]\n\
             #[BaseTime: {seconds}.{milliseconds:03} (seconds since epoch)]\n\
             #[StartTime: {seconds}.{milliseconds:03} (seconds since epoch), {time}]\n\
             \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
            env!("CARGO_PKG_VERSION")
        );
        written(out.write_all(header.as_bytes()))?;
        let (serializer, started) = (V2DeflateSerializer::new(), Instant::now());
        Ok(Log { out, config, serializer, untagged, started, series: BTreeMap::new(), maps: BTreeMap::new() })
    }

    /// Ends an interval: what the map has counted since the last one is written.
    pub fn record(&mut self, map: &MapReport) -> Result<()> {
        self.record_at(map, self.started.elapsed())
    }

    fn record_at(&mut self, map: &MapReport, now: Duration) -> Result<()> {
        let before = self.maps.insert(map.name.clone(), now).unwrap_or_default();
        match &map.entries {
            Entries::Scalar(Value::Quantiles(of)) => self.interval((map.name.clone(), None), of, before, now),
            Entries::Keyed(entries) => entries.iter().try_for_each(|(key, value)| {
                let Value::Quantiles(of) = value else { return Ok(()) };
                let key = String::from_utf8_lossy(&key_text(key, &self.config)).into_owned();
                self.interval((map.name.clone(), Some(key)), of, before, now)
            }),
            Entries::Scalar(_) => Ok(()),
        }
    }

    /// What is counted from now on is on top of nothing.
    pub fn emptied(&mut self, map: &str) {
        self.series.iter_mut().filter(|((name, _), _)| name == map).for_each(|(_, recorded)| recorded.buckets.clear());
    }

    fn interval(&mut self, series: Series, of: &Quantiles, before: Duration, now: Duration) -> Result<()> {
        let tag = self.tag(&series);
        let recorded = self.series.entry(series).or_insert(Recorded { until: before, ..Recorded::default() });
        let counts: BTreeMap<u32, u64> = of.buckets.iter().copied().collect();
        let has_shrunk = recorded.buckets.iter().any(|(bucket, old)| counts.get(bucket).is_none_or(|new| new < old));
        if has_shrunk {
            recorded.buckets.clear();
        }
        let already = |bucket: &u32| recorded.buckets.get(bucket).copied().unwrap_or(0);
        let more: Vec<(u32, u64)> = counts.iter().map(|(bucket, count)| (*bucket, count - already(bucket))).collect();
        let start = std::mem::replace(&mut recorded.until, now);
        recorded.buckets = counts;
        if more.iter().all(|(_, count)| *count == 0) {
            return Ok(());
        }
        let histogram = histogram(&more, of.max)?;
        self.write(&histogram, start, now - start, tag.as_deref())
    }

    fn write(&mut self, of: &Histogram<u64>, start: Duration, length: Duration, tag: Option<&str>) -> Result<()> {
        let mut line = Vec::new();
        let writer = IntervalLogWriterBuilder::new();
        let writer = writer.begin_log_with(&mut line, &mut self.serializer);
        written(writer.and_then(|mut writer| {
            writer
                .write_histogram(of, start, length, tag.and_then(Tag::new))
                .map_err(|error| std::io::Error::other(error.to_string()))
        }))?;
        written(self.out.write_all(&line).and_then(|()| self.out.flush()))
    }

    /// Commas end a tag, and white space is not allowed in it.
    fn tag(&self, (map, key): &Series) -> Option<String> {
        let name = match key {
            None if self.untagged.as_ref() == Some(map) => return None,
            None => map.clone(),
            Some(key) => format!("{map}[{key}]"),
        };
        let plain = |c: char| match c {
            ',' => ';',
            c if c.is_whitespace() || c.is_control() => '_',
            c => c,
        };
        Some(name.chars().map(plain).collect())
    }
}

/// The middle of each bucket, but for the greatest value, which is known. Negative numbers, which these histograms cannot hold,
/// count as 0.
fn histogram(buckets: &[(u32, u64)], max: i64) -> Result<Histogram<u64>> {
    let failed = |error: &dyn std::fmt::Display| Error::usage(format!("cannot make an HdrHistogram: {error}"));
    let mut histogram = Histogram::new(DIGITS).map_err(|error| failed(&error))?;
    let last = log2_bucket(max, QUANTILE_BITS);
    // To record a value no times would still count as having met it.
    for (bucket, count) in buckets.iter().filter(|(_, count)| *count > 0) {
        let greatest = u64::from(*bucket == last);
        let value = |value: i64| u64::try_from(value).unwrap_or(0);
        let middle = value(middle(*bucket).min(max));
        let recorded = [(middle, count - greatest), (value(max), greatest)];
        for (value, count) in recorded.into_iter().filter(|(_, count)| *count > 0) {
            histogram.record_n(value, count).map_err(|error| failed(&error))?;
        }
    }
    Ok(histogram)
}

fn written(result: std::io::Result<()>) -> Result<()> {
    result.map_err(|error| {
        let reason = errno::reason(&error).to_lowercase();
        Error::usage(format!("cannot write the log of --hlog: {reason}"))
    })
}

/// Logs the distributions that a program prints, and hands everything on.
pub struct HlogSink {
    pub inner: Box<dyn Sink>,
    pub log: Rc<RefCell<Log>>,
}

impl Sink for HlogSink {
    fn attached(&mut self, probes: usize) -> Result<()> {
        self.inner.attached(probes)
    }

    fn text(&mut self, kind: &'static str, text: &[u8]) -> Result<()> {
        self.inner.text(kind, text)
    }

    fn value(&mut self, value: &Value) -> Result<()> {
        self.inner.value(value)
    }

    fn map(&mut self, map: &MapReport) -> Result<()> {
        self.log.borrow_mut().record(map)?;
        self.inner.map(map)
    }

    fn counted(&mut self, map: &MapReport) -> Result<()> {
        self.log.borrow_mut().record(map)?;
        self.inner.counted(map)
    }

    fn emptied(&mut self, map: &str) -> Result<()> {
        self.log.borrow_mut().emptied(map);
        self.inner.emptied(map)
    }

    fn finale(&mut self) -> Result<()> {
        self.inner.finale()
    }

    fn lost(&mut self, events: u64) -> Result<()> {
        self.inner.lost(events)
    }

    fn message(&mut self, message: &Message<'_>) -> Result<()> {
        self.inner.message(message)
    }

    fn test(&mut self, event: &Testing<'_>) -> Result<()> {
        self.inner.test(event)
    }

    fn benchmarks(&mut self, results: &[Benchmark]) -> Result<()> {
        self.inner.benchmarks(results)
    }

    fn losses(&mut self, losses: &[Loss]) -> Result<()> {
        self.inner.losses(losses)
    }

    fn flush(&mut self) -> Result<()> {
        self.inner.flush()
    }

    fn end(&mut self) -> Result<()> {
        self.inner.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that can be looked at.
    #[derive(Clone, Default)]
    struct Page(Rc<RefCell<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn report(name: &str, values: &[i64]) -> MapReport {
        let mut buckets = BTreeMap::new();
        values.iter().for_each(|value| *buckets.entry(log2_bucket(*value, QUANTILE_BITS)).or_insert(0) += 1);
        let max = values.iter().copied().max().unwrap_or(0);
        let of = Quantiles { max, buckets: buckets.into_iter().collect(), div: 1 };
        MapReport { name: name.to_string(), entries: Entries::Scalar(Value::Quantiles(of)) }
    }

    /// Start, length and greatest value of each interval, with its tag, of a log made so.
    fn intervals(untagged: Option<&str>, make: impl FnOnce(&mut Log)) -> Vec<String> {
        let page = Page::default();
        let untagged = untagged.map(str::to_string);
        make(&mut Log::new(Box::new(page.clone()), untagged, Config::default()).unwrap());
        let text = String::from_utf8(page.0.borrow().clone()).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with(['#', '"']));
        lines.map(|line| line.rsplit_once(',').unwrap().0.to_string()).collect()
    }

    #[test]
    fn an_interval_has_what_came_since_the_last() {
        let second = Duration::from_secs;
        let seen = intervals(Some("@"), |log| {
            log.record_at(&report("@", &[5, 900]), second(1)).unwrap();
            log.record_at(&report("@", &[5, 900]), second(2)).unwrap();
            log.record_at(&report("@", &[5, 7, 900]), second(3)).unwrap();
            log.emptied("@");
            log.record_at(&report("@", &[5]), second(4)).unwrap();
        });
        assert_eq!(seen, ["0.000,1.000,900.000", "2.000,1.000,7.000", "3.000,1.000,5.000"]);
    }

    #[test]
    fn several_distributions_have_tags() {
        let keyed = |name: &str| {
            let Entries::Scalar(value) = report("@", &[3]).entries else { unreachable!() };
            let key = Value::Tuple(vec![Value::Int(1), Value::Str { text: b"a b".to_vec(), cut: false }]);
            MapReport { name: name.to_string(), entries: Entries::Keyed(vec![(key, value)]) }
        };
        let seen = intervals(None, |log| log.record_at(&keyed("@us"), Duration::from_secs(1)).unwrap());
        assert_eq!(seen, ["Tag=@us[1;a_b],0.000,1.000,3.000"]);
    }
}
