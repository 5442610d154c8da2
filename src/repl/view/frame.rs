//! Maps as a view shows them: one screen of lines, with what each value grew by since the last look.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use unicode_width::UnicodeWidthChar;

use super::Order;
use crate::config::Config;
use crate::diag::Style;
use crate::report::text::{self, TextSink};
use crate::report::{Chattiness, Manner, Sink, Warnings};
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

/// One entry with a number.
struct Row {
    key: String,
    shown: String,
    number: i128,
    /// What it grew by in a second.
    rate: Option<f64>,
}

/// The longest bar.
const BAR: usize = 40;

impl Seen {
    pub fn of(reports: &[MapReport], config: &Config) -> Seen {
        let mut values = HashMap::new();
        for report in reports {
            let name = &report.name;
            let numbers = entries(report, config).into_iter();
            values.extend(numbers.filter_map(|(key, value)| Some((format!("{name}[{key}]"), number(value)?))));
        }
        Seen { values }
    }
}

/// The lines of all maps, as many as there is room for; each map has its share.
pub fn lines(
    reports: &[MapReport],
    before: Option<(&Seen, Duration)>,
    order: Order,
    room: Room,
    config: &Config,
) -> Vec<String> {
    let share = (room.rows / reports.len().max(1)).max(3);
    let mut all = Vec::new();
    for report in reports {
        let mut of_map = map(report, before, order, room, config);
        if of_map.len() > share && reports.len() > 1 {
            let more = of_map.len() - share + 1;
            of_map.truncate(share - 1);
            of_map.push(format!("  ... {more} more lines"));
        }
        all.extend(of_map);
    }
    all.truncate(room.rows);
    let cut = match room.style {
        Style::Plain => cut,
        Style::Coloured => cut_coloured,
    };
    all.iter().map(|line| cut(line, room.columns)).collect()
}

fn map(
    report: &MapReport,
    before: Option<(&Seen, Duration)>,
    order: Order,
    room: Room,
    config: &Config,
) -> Vec<String> {
    let entries = entries(report, config);
    if !entries.is_empty() && entries.iter().all(|(_, value)| number(value).is_some()) {
        return table(&report.name, entries, before, order, room.columns, config);
    }
    printed(report, room.style, config).lines().map(str::to_string).collect()
}

/// Anything else as it is printed, but for the order: the greatest come last there, and first on a screen.
fn printed(report: &MapReport, style: Style, config: &Config) -> String {
    let mut report = report.clone();
    if let Entries::Keyed(rows) = &mut report.entries {
        rows.reverse();
    }
    let page = Page::default();
    let manner = Manner { chattiness: Chattiness::Shell, warnings: Warnings::Hidden, style };
    let mut sink = TextSink::new(Box::new(page.clone()), Box::new(std::io::sink()), config.clone(), manner);
    // Nothing can go wrong in memory.
    sink.map(&report).and_then(|()| sink.flush()).unwrap_or_default();
    String::from_utf8_lossy(&page.0.borrow()).into_owned()
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

fn table(
    name: &str,
    entries: Vec<(String, &Value)>,
    before: Option<(&Seen, Duration)>,
    order: Order,
    columns: usize,
    config: &Config,
) -> Vec<String> {
    let row = |(key, value): (String, &Value)| {
        let number = number(value).unwrap_or(0);
        let old = |seen: &Seen| seen.values.get(&format!("{name}[{key}]")).copied().unwrap_or(0);
        let rate = before.map(|(seen, time)| (number - old(seen)) as f64 / time.as_secs_f64().max(0.001));
        Row { shown: shown(value, config), number, rate, key }
    };
    let mut rows: Vec<Row> = entries.into_iter().map(row).collect();
    rows.sort_by(|one, other| match order {
        Order::Value => other.number.cmp(&one.number),
        Order::Rate => other.rate.unwrap_or(0.0).total_cmp(&one.rate.unwrap_or(0.0)),
        Order::Key => one.key.cmp(&other.key),
    });
    let most = rows.iter().map(|row| row.number).max().unwrap_or(0).max(1);
    let longest = |text: fn(&Row) -> &str, least: usize| {
        rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0).max(least)
    };
    let keys = longest(|row| &row.key, name.chars().count()).min(columns / 2);
    let values = longest(|row| &row.shown, 5);
    let heading = format!("{name:<keys$}  {:>values$}  {:>10}", "value", "per second");
    let line = |row: &Row| {
        let rate = row.rate.map_or(String::new(), |rate| format!("{rate:+.0}"));
        let key: String = row.key.chars().take(keys).collect();
        let left = columns.saturating_sub(keys + values + 16).min(BAR) as i128;
        let bar = "@".repeat((row.number.max(0) * left / most) as usize);
        format!("{key:<keys$}  {:>values$}  {rate:>10}  {bar}", row.shown).trim_end().to_string()
    };
    std::iter::once(heading).chain(rows.iter().map(line)).collect()
}

/// Keys as text with their values; the only value of a map without keys has an empty one.
fn entries<'r>(report: &'r MapReport, config: &Config) -> Vec<(String, &'r Value)> {
    match &report.entries {
        Entries::Scalar(value) => vec![(String::new(), value)],
        Entries::Keyed(rows) => {
            let key =
                |key: &Value| String::from_utf8_lossy(&text::key(key, config)).replace('\n', " ").trim().to_string();
            rows.iter().map(|(of, value)| (key(of), value)).collect()
        }
    }
}

fn shown(value: &Value, config: &Config) -> String {
    String::from_utf8_lossy(&text::plain(value, config)).into_owned()
}

/// What a value counts, where it does.
fn number(value: &Value) -> Option<i128> {
    match value {
        Value::Int(number) => Some(i128::from(*number)),
        Value::UInt(number) => Some(i128::from(*number)),
        Value::Average { count, total } => Some(text::average(*count, *total)),
        _ => None,
    }
}

/// The beginning of a line that fits, without what would move the cursor.
pub fn cut(line: &str, columns: usize) -> String {
    let mut width = 0;
    let fits = |c: &char| {
        width += c.width().unwrap_or(0);
        width <= columns
    };
    line.chars().filter(|c| !c.is_control()).take_while(fits).collect()
}

/// The same of a line whose cells have colours; nothing else that would command a terminal is left in it.
fn cut_coloured(line: &str, columns: usize) -> String {
    let (mut text, mut width, mut rest) = (String::new(), 0, line);
    while let Some(c) = rest.chars().next() {
        let colour =
            rest.strip_prefix("\x1b[").map(|codes| codes.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';'));
        if let Some(after) = colour.and_then(|after| after.strip_prefix('m')) {
            text.push_str(&rest[..rest.len() - after.len()]);
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        width += c.width().unwrap_or(0);
        if !c.is_control() && width <= columns {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_take_no_room() {
        let line = "ab\x1b[48;5;18m \x1b[0mcd\x1b[2Je";
        assert_eq!(cut_coloured(line, 4), "ab\x1b[48;5;18m \x1b[0mc");
        assert_eq!(cut_coloured(line, 20), "ab\x1b[48;5;18m \x1b[0mcd[2Je");
    }

    fn report(pairs: &[(&str, i64)]) -> MapReport {
        let text = |text: &str| Value::Str { text: text.into(), cut: false };
        let rows = pairs.iter().map(|(key, value)| (text(key), Value::Int(*value))).collect();
        MapReport { name: "@m".into(), entries: Entries::Keyed(rows) }
    }

    const ROOM: Room = Room { columns: 60, rows: 10, style: Style::Plain };

    #[test]
    fn the_greatest_first_with_what_they_grew_by() {
        let config = Config::default();
        let seen = Seen::of(&[report(&[("a", 10), ("b", 100)])], &config);
        let now = report(&[("a", 50), ("b", 120), ("c", 1)]);
        let before = Some((&seen, Duration::from_secs(2)));
        let by_value = lines(std::slice::from_ref(&now), before, Order::Value, ROOM, &config);
        assert_eq!(by_value[0], "@m  value  per second");
        assert_eq!(by_value[1], format!("b     120         +10  {}", "@".repeat(37)));
        assert_eq!(by_value[3], "c       1          +0");
        let by_rate = lines(&[now], before, Order::Rate, ROOM, &config);
        assert!(by_rate[1].starts_with("a      50         +20  @"), "{by_rate:?}");
    }

    #[test]
    fn narrow_and_low_screens_are_kept_to() {
        let config = Config::default();
        let rows: Vec<(String, i64)> = (0..50).map(|number| (format!("a long key {number}"), number)).collect();
        let rows: Vec<(&str, i64)> = rows.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        let two = [report(&rows), report(&rows)];
        let room = Room { columns: 20, rows: 8, style: Style::Plain };
        let shown = lines(&two, None, Order::Key, room, &config);
        assert_eq!(shown.len(), 8);
        assert!(shown.iter().all(|line| line.chars().count() <= 20), "{shown:?}");
        assert_eq!(shown[3], "  ... 48 more lines");
        assert_eq!(cut("a\tb\u{754c}\u{754c}", 4), "ab\u{754c}");
    }
}
