//! `tseries`: values by interval of time, drawn downwards, as bpftrace draws them.

use crate::strftime;
use crate::value::Series;

/// Columns from one border of the drawing to the other.
const WIDTH: usize = 53;

const MICROSECONDS: u64 = 1_000;
const MILLISECONDS: u64 = 1_000_000;
const SECONDS: u64 = 1_000_000_000;

/// How finely times are told.
struct Scale {
    heading: &'static str,
    /// For [`strftime::format`].
    format: &'static str,
    /// Columns of a time and the space behind it.
    width: usize,
}

/// The rows, each with its newline; nothing of no data.
pub fn text(series: &Series) -> String {
    let (Some((first, _)), Some((last, _))) = (series.points.first(), series.points.last()) else {
        return String::new();
    };
    let scale = if first == last { Scale::FINEST } else { Scale::of(series.interval) };
    let (min, max) = range(series);
    let indent = " ".repeat(scale.width);
    let (low, high) = (min.to_string(), max.to_string());
    let ends = format!("{indent}{low}{high:>width$}\n", width = WIDTH.saturating_sub(low.len()));
    let heading = format!("{:<width$}", scale.heading, width = scale.width);
    let border = |edge: &str| format!("{edge}{}{edge}\n", "_".repeat(WIDTH - 2));
    let rows: String = (*first..=*last).map(|epoch| row(series, epoch, min, max, &scale)).collect();
    format!("{ends}{heading}{}{rows}{indent}{}{ends}", border("|"), border("v"))
}

/// When an interval begins, as JSON has it.
pub fn start(interval: u64, epoch: u64) -> String {
    strftime::format("%Y-%m-%d %H:%M:%S.%k", i128::from(epoch) * i128::from(interval))
}

impl Scale {
    /// Of a single interval as well, as bpftrace does it.
    const FINEST: Scale = Scale { heading: "hh:mm:ss.ns", format: "%H:%M:%S.%k", width: 19 };

    /// By the length of the intervals.
    fn of(interval: u64) -> Scale {
        match interval {
            0..MICROSECONDS => Scale::FINEST,
            MICROSECONDS..MILLISECONDS => Scale { heading: "hh:mm:ss.\u{3bc}s", format: "%H:%M:%S.%f", width: 16 },
            MILLISECONDS..SECONDS => Scale { heading: "hh:mm:ss.ms", format: "%H:%M:%S.%l", width: 13 },
            SECONDS.. => Scale { heading: "hh:mm:ss", format: "%H:%M:%S", width: 9 },
        }
    }
}

/// The least and the greatest value; if they are the same, there is one above and one below.
fn range(series: &Series) -> (i128, i128) {
    let values = || series.points.iter().map(|(_, value)| *value);
    let (min, max) = (values().min().unwrap_or(0), values().max().unwrap_or(0));
    if min == max { (min - 1, max + 1) } else { (min, max) }
}

fn row(series: &Series, epoch: u64, min: i128, max: i128, scale: &Scale) -> String {
    let place = |value: i128| ((WIDTH as i128 - 1) * (value - min) / (max - min)) as usize;
    let value = series.points.iter().find(|(at, _)| *at == epoch).map(|(_, value)| *value);
    let mut cells = vec![' '; WIDTH];
    cells[0] = '|';
    cells[WIDTH - 1] = '|';
    if min < 0 && max > 0 {
        cells[place(0)] = '.';
    }
    if let Some(value) = value {
        cells[place(value)] = '*';
    }
    let time = i128::from(epoch) * i128::from(series.interval);
    let time = strftime::format(scale.format, time);
    let shown = value.map_or("-".to_string(), |value| value.to_string());
    format!("{time} {} {shown}\n", cells.into_iter().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(interval: u64, points: &[(u64, i128)]) -> Vec<String> {
        let text = text(&Series { interval, points: points.to_vec() });
        text.lines().map(str::to_string).collect()
    }

    /// What stands right of the time, which depends on the time zone.
    fn cells(row: &str) -> &str {
        row.split_once(' ').map_or("", |(_, cells)| cells)
    }

    #[test]
    fn drawn_as_bpftrace_draws() {
        let rows = rows(100 * MILLISECONDS, &[(10, 2), (11, 7), (14, -3)]);
        assert_eq!(rows[0], "             -3                                                  7");
        assert_eq!(rows[1], "hh:mm:ss.ms  |___________________________________________________|");
        assert_eq!(cells(&rows[2]), "|              .          *                         | 2");
        assert_eq!(cells(&rows[3]), "|              .                                    * 7");
        assert_eq!(cells(&rows[4]), "|              .                                    | -");
        assert_eq!(cells(&rows[6]), "*              .                                    | -3");
        assert_eq!(rows[7], "             v___________________________________________________v");
        assert_eq!((rows.len(), &rows[8]), (9, &rows[0]));
    }

    #[test]
    fn whole_seconds_have_no_fraction() {
        let rows = rows(2 * SECONDS, &[(1, 5), (2, 6)]);
        assert_eq!(rows[1], "hh:mm:ss |___________________________________________________|");
        assert_eq!(cells(&rows[3]), "|                                                   * 6");
    }

    #[test]
    fn a_flat_series_lies_in_the_middle() {
        let rows = rows(SECONDS, &[(1, 5)]);
        assert_eq!(rows[0], "                   4                                                   6");
        assert_eq!(rows[1], "hh:mm:ss.ns        |___________________________________________________|");
        assert_eq!(cells(&rows[2]), "|                         *                         | 5");
        assert!(text(&Series { interval: 1, points: Vec::new() }).is_empty());
    }
}
