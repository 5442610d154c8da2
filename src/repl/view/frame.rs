//! Maps as a view shows them: lines of text, with what each value grew by since the last look.

use std::cell::RefCell;
use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use super::Order;
use super::grid::{self, Column, Grid, Heading, Rest};
use crate::config::Config;
use crate::diag::Style;
use crate::repl::fit;
use crate::report::text::{self, TextSink};
use crate::report::{Chattiness, Manner, Sink, Warnings, quantiles};
use crate::value::{Entries, MapReport, Value};

/// What was seen of some maps at one moment.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    values: HashMap<String, i128>,
}

/// How much room there is, and whether it shows colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub columns: usize,
    pub rows: usize,
    pub style: Style,
}

/// What is shown of maps, besides what they hold.
pub struct Frame<'f> {
    /// What was seen last, and how long ago.
    pub before: Option<(&'f Seen, Duration)>,
    pub order: Order,
    pub room: Room,
    pub config: &'f Config,
}

/// One entry of a map.
struct Row<'r> {
    key: &'r Value,
    value: &'r Value,
    /// The key as it is shown.
    name: String,
    /// What it counts, where it does, and what that grew by in a second.
    number: Option<i128>,
    rate: f64,
}

/// Of several maps, each has as many lines at least.
const LEAST_SHARE: usize = 3;

impl Seen {
    pub fn of(reports: &[MapReport], config: &Config) -> Seen {
        let mut values = HashMap::new();
        for report in reports {
            let numbers = entries(report).into_iter();
            let named = |(key, value)| Some((known_as(&report.name, &name(key, config)), number(value)?));
            values.extend(numbers.filter_map(named));
        }
        Seen { values }
    }
}

impl Frame<'_> {
    /// The lines of all maps. Of several, each has its share of the room; of one, there may be more than that.
    pub fn lines(&self, reports: &[MapReport]) -> Vec<String> {
        let maps: Vec<Vec<String>> = reports.iter().map(|report| self.map(report)).collect();
        let share = share(&maps, self.room.rows);
        let lines = maps.into_iter().flat_map(|lines| shortened(lines, share));
        lines.map(|line| fit::cut(&line, self.room.columns)).collect()
    }

    fn map(&self, report: &MapReport) -> Vec<String> {
        let mut rows: Vec<Row<'_>> =
            entries(report).into_iter().map(|(key, value)| self.row(&report.name, key, value)).collect();
        // The greatest come last where values are printed, and first on a screen.
        rows.reverse();
        rows.sort_by(|one, other| compare(self.order, one, other));
        self.table(&report.name, &rows).unwrap_or_else(|| self.printed(report, &rows))
    }

    fn row<'r>(&self, map: &str, key: &'r Value, value: &'r Value) -> Row<'r> {
        let (name, number) = (name(key, self.config), number(value));
        let rate = self.before.zip(number).map_or(0.0, |((seen, time), number)| {
            let old = seen.values.get(&known_as(map, &name)).copied().unwrap_or(0);
            (number - old) as f64 / time.as_secs_f64().max(0.001)
        });
        Row { key, value, name, number, rate }
    }

    /// Columns, if every value has the same figures.
    fn table(&self, name: &str, rows: &[Row<'_>]) -> Option<Vec<String>> {
        let figures = |row: &Row<'_>| figures(row.value, self.config);
        let mut columns: Vec<Column> = figures(rows.first()?)?.into_iter().map(|(column, _)| column).collect();
        columns.insert(1, PER_SECOND);
        let most = rows.iter().filter_map(|row| row.number).max()?.max(1);
        let row = |row: &Row<'_>| {
            let mut shown: Vec<String> = figures(row)?.into_iter().map(|(_, shown)| shown).collect();
            shown.insert(1, self.before.map_or(String::new(), |_| format!("{:+.0}", row.rate)));
            let part = row.number?.max(0) as f64 / most as f64;
            (shown.len() == columns.len()).then(|| grid::Row {
                name: row.name.clone(),
                figures: shown,
                rest: Rest::Bar(part),
            })
        };
        let rows = rows.iter().map(row).collect::<Option<Vec<_>>>()?;
        let heading = Heading { name: name.to_string(), figures: columns, rest: "", least: 0 };
        Some(Grid { heading, rows }.lines(self.room.columns))
    }

    /// Anything else as it is printed, but for the order.
    fn printed(&self, report: &MapReport, rows: &[Row<'_>]) -> Vec<String> {
        let mut report = report.clone();
        if let Entries::Keyed(entries) = &mut report.entries {
            *entries = rows.iter().map(|row| (row.key.clone(), row.value.clone())).collect();
        }
        let page = Page::default();
        let Room { columns, style, .. } = self.room;
        let manner = Manner { chattiness: Chattiness::Shell, warnings: Warnings::Hidden, style, columns };
        let mut sink = TextSink::new(Box::new(page.clone()), Box::new(std::io::sink()), self.config.clone(), manner);
        // Nothing can go wrong in memory.
        sink.map(&report).and_then(|()| sink.flush()).unwrap_or_default();
        String::from_utf8_lossy(&page.0.borrow()).lines().map(str::to_string).collect()
    }
}

/// How many lines of each map are shown, so that all have room: those with few leave theirs to the others.
fn share(maps: &[Vec<String>], rows: usize) -> usize {
    if maps.len() < 2 {
        return usize::MAX;
    }
    let mut lengths: Vec<usize> = maps.iter().map(Vec::len).collect();
    lengths.sort_unstable();
    let mut left = rows;
    for (at, length) in lengths.iter().enumerate() {
        let share = left / (lengths.len() - at);
        if *length > share {
            return share.max(LEAST_SHARE);
        }
        left -= length;
    }
    usize::MAX
}

fn shortened(mut lines: Vec<String>, share: usize) -> Vec<String> {
    if lines.len() > share {
        let more = lines.len() - share + 1;
        lines.truncate(share - 1);
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines.push(format!("  ... {more} more lines"));
    }
    lines
}

/// A page to print on.
#[derive(Clone, Default)]
struct Page(Rc<RefCell<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Values without a number come last.
fn compare(order: Order, one: &Row<'_>, other: &Row<'_>) -> Ordering {
    match order {
        Order::Value => Reverse(one.number).cmp(&Reverse(other.number)),
        Order::Rate => other.rate.total_cmp(&one.rate),
        Order::Key => compare_keys(one.key, other.key).then_with(|| one.name.cmp(&other.name)),
    }
}

/// Numbers by what they are, and not by their digits.
fn compare_keys(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Int(one), Value::Int(other)) => one.cmp(other),
        (Value::UInt(one), Value::UInt(other)) => one.cmp(other),
        (Value::Tuple(one), Value::Tuple(other)) => {
            let each = one.iter().zip(other).map(|(one, other)| compare_keys(one, other));
            each.fold(Ordering::Equal, Ordering::then)
        }
        (Value::Str { text: one, .. }, Value::Str { text: other, .. }) => one.cmp(other),
        _ => Ordering::Equal,
    }
}

/// Keys with their values; the only value of a map without keys has one of no width.
fn entries(report: &MapReport) -> Vec<(&Value, &Value)> {
    const NONE: &Value = &Value::Tuple(Vec::new());
    match &report.entries {
        Entries::Scalar(value) => vec![(NONE, value)],
        Entries::Keyed(rows) => rows.iter().map(|(key, value)| (key, value)).collect(),
    }
}

fn name(key: &Value, config: &Config) -> String {
    String::from_utf8_lossy(&text::key(key, config)).replace('\n', " ").trim().to_string()
}

fn known_as(map: &str, name: &str) -> String {
    format!("{map}[{name}]")
}

/// What a value counts, where it does.
fn number(value: &Value) -> Option<i128> {
    match value {
        Value::Int(number) => Some(i128::from(*number)),
        Value::UInt(number) => Some(i128::from(*number)),
        Value::Average { count, total } => Some(text::average(*count, *total)),
        Value::Quantiles(of) => Some(i128::from(of.count())),
        Value::Stats { count, .. } => Some(i128::from(*count)),
        Value::Histogram(of) => Some(of.counts.iter().map(|count| i128::from(*count)).sum()),
        _ => None,
    }
}

/// Left out of narrow tables before what it is the rate of, and the most telling percentiles.
const PER_SECOND: Column = Column { heading: "per second", rank: 4, width: 0 };

/// The figures of a value that is shown as a line of a table.
fn figures(value: &Value, config: &Config) -> Option<Vec<(Column, String)>> {
    let figure = |heading, rank, shown: String| (Column { heading, rank, width: 5 }, shown);
    let plain = || String::from_utf8_lossy(&text::plain(value, config)).into_owned();
    match value {
        Value::Int(_) | Value::UInt(_) | Value::Average { .. } => Some(vec![figure("value", 0, plain())]),
        Value::Stats { count, total } => Some(vec![
            figure("count", 0, count.to_string()),
            figure("average", 1, text::average(*count, *total).to_string()),
            figure("total", 5, total.to_string()),
        ]),
        Value::Quantiles(of) => {
            // The count first, then the 99th percentile, the median and the greatest.
            const RANKS: [u8; 5] = [2, 5, 1, 6, 3];
            let values = quantiles::values(of).into_iter().zip(RANKS);
            let values = values.map(|((heading, number), rank)| figure(heading, rank, number.to_string()));
            Some(std::iter::once(figure("count", 0, of.count().to_string())).chain(values).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Aggregate;
    use crate::value::{Histogram, Quantiles};

    fn text(text: &str) -> Value {
        Value::Str { text: text.into(), cut: false }
    }

    fn report(pairs: &[(&str, Value)]) -> MapReport {
        let rows = pairs.iter().map(|(key, value)| (text(key), value.clone())).collect();
        MapReport { name: "@m".into(), entries: Entries::Keyed(rows) }
    }

    fn lines(reports: &[MapReport], order: Order, [columns, rows]: [usize; 2]) -> Vec<String> {
        let room = Room { columns, rows, style: Style::Plain };
        Frame { before: None, order, room, config: &Config::default() }.lines(reports)
    }

    #[test]
    fn the_greatest_first_with_what_they_grew_by() {
        let config = Config::default();
        let seen = Seen::of(&[report(&[("a", Value::Int(10)), ("b", Value::Int(100))])], &config);
        let now = [report(&[("a", Value::Int(50)), ("b", Value::Int(120)), ("c", Value::Int(1))])];
        let before = Some((&seen, Duration::from_secs(2)));
        let room = Room { columns: 60, rows: 10, style: Style::Plain };
        let by_value = Frame { before, order: Order::Value, room, config: &config }.lines(&now);
        assert_eq!(by_value[0], "@m  value  per second");
        assert_eq!(by_value[1], format!("b     120         +10  {}", "@".repeat(37)));
        assert_eq!(by_value[3], "c       1          +0");
        let by_rate = Frame { before, order: Order::Rate, room, config: &config }.lines(&now);
        assert!(by_rate[1].starts_with("a      50         +20  @"), "{by_rate:?}");
    }

    #[test]
    fn quantiles_are_a_table_that_tells_the_most_where_it_is_narrow() {
        let of = |max| Value::Quantiles(Quantiles { max, buckets: vec![(1, 5), (2, 5)], div: 1 });
        let map = [report(&[("a", of(4096)), ("b", of(1))])];
        let wide = lines(&map, Order::Key, [60, 10]);
        assert_eq!(wide[0], "@m  count  per second    p50    p90    p99  p99.9    max");
        assert!(
            wide[1].starts_with("a      10                  0") && wide[1].contains("4096   4096   4096"),
            "{wide:?}"
        );
        let narrow = lines(&map, Order::Key, [24, 10]);
        assert_eq!(narrow[0], "@m  count    p50    p99");
    }

    #[test]
    fn histograms_are_sorted_and_fit() {
        let of =
            |count| Value::Histogram(Histogram { shape: Aggregate::Hist { bits: 0 }, counts: vec![0, count], div: 1 });
        let shown = lines(&[report(&[("few", of(1)), ("many", of(9))])], Order::Value, [40, 10]);
        assert_eq!(shown[..2], ["@m[many]:", "[0]                    9 |@@@@@@@@@@@@@|"]);
        let by_key = lines(&[report(&[("many", of(9)), ("few", of(1))])], Order::Key, [40, 10]);
        assert_eq!(by_key[0], "@m[few]:");
    }

    #[test]
    fn keys_that_are_numbers_are_sorted_as_such() {
        let rows = [10, 9, 100].map(|key| (Value::Int(key), Value::Int(1))).to_vec();
        let map = MapReport { name: "@m".into(), entries: Entries::Keyed(rows) };
        let shown = lines(&[map], Order::Key, [12, 10]);
        assert_eq!(shown[1..], ["9        1", "10       1", "100      1"]);
    }

    #[test]
    fn several_maps_share_the_room_and_one_may_have_more() {
        let many: Vec<(String, Value)> = (0..50).map(|number| (format!("key {number}"), Value::Int(number))).collect();
        let many: Vec<(&str, Value)> = many.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        let few = [("a", Value::Int(1))];
        let shown = lines(&[report(&many), report(&few)], Order::Key, [20, 8]);
        assert_eq!(shown.len(), 8);
        assert!(shown.iter().all(|line| line.chars().count() <= 20), "{shown:?}");
        assert_eq!(shown[5..], ["  ... 46 more lines", "@m  value", "a       1  @@@@@@@@@"]);
        assert_eq!(lines(&[report(&many)], Order::Key, [20, 8]).len(), 51);
    }
}
