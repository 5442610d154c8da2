//! Heat maps: time goes to the right, values upwards, and the more there were, the hotter the cell.

use std::collections::BTreeMap;

use super::histogram::{Bucket, bar, borders, label};
use crate::diag::Style;
use crate::strftime;
use crate::types::Aggregate;
use crate::value::Heat;

/// Cells from the coldest to the hottest where there are no colours.
const LETTERS: [char; 9] = ['.', ':', '-', '=', '+', '*', '#', '%', '@'];

/// The same of a palette of 256 colours.
const COLOURS: [u8; 9] = [18, 54, 90, 126, 162, 198, 203, 209, 221];

/// How many shades of heat there are.
pub const SHADES: usize = LETTERS.len();

/// A heat map by its cells.
pub struct Grid {
    /// Rows from the greatest values to the least: what they are, and the cells, oldest first.
    pub rows: Vec<(String, Vec<u64>)>,
    /// When each column begins, and when the last one ends: nanoseconds since 1970.
    pub times: Vec<i128>,
    /// The count of the hottest cell.
    pub most: u64,
    /// Nanoseconds of one column.
    pub step: u64,
}

impl Grid {
    /// At most so many columns, each of as many intervals as it takes. `None` of no data.
    pub fn new(of: &Heat, width: usize) -> Option<Grid> {
        let (first, last) = (of.columns.first()?.0, of.columns.last()?.0);
        let each = (last - first + 1).div_ceil(width as u64);
        let columns = ((last - first) / each + 1) as usize;
        let mut rows: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for (epoch, counts) in &of.columns {
            let column = ((epoch - first) / each) as usize;
            for (bucket, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                rows.entry(bucket).or_insert_with(|| vec![0; columns])[column] += count;
            }
        }
        let (least, greatest) = (*rows.first_key_value()?.0, *rows.last_key_value()?.0);
        let row = |bucket| (name(of.bits, bucket), rows.get(&bucket).cloned().unwrap_or_else(|| vec![0; columns]));
        let step = each * of.interval;
        let start = i128::from(first) * i128::from(of.interval);
        Some(Grid {
            rows: (least..=greatest).rev().map(row).collect(),
            times: (0..=columns).map(|column| start + column as i128 * i128::from(step)).collect(),
            most: rows.values().flatten().copied().max().unwrap_or(1),
            step,
        })
    }

    /// How hot a cell is, as one of the shades; by the logarithm, so that what is rare can be seen beside what is not.
    pub fn shade(&self, count: u64) -> Option<usize> {
        let part = if self.most > 1 { (count as f64).ln() / (self.most as f64).ln() } else { 1.0 };
        (count > 0).then_some((part * (SHADES - 1) as f64).round() as usize)
    }
}

/// The rows, each with its newline; nothing of no data.
pub fn text(of: &Heat, style: Style, columns: usize) -> String {
    let Some(grid) = Grid::new(of, bar(columns)) else { return String::new() };
    let div = of.div.max(1);
    let row = |(name, cells): &(String, Vec<u64>)| {
        let total = cells.iter().sum::<u64>() / div;
        let cells: String = cells.iter().map(|count| cell(grid.shade(*count), style)).collect();
        format!("{name:<16}{total:>8} |{cells}|\n")
    };
    let rows: String = grid.rows.iter().map(row).collect();
    let legend: String = (0..SHADES).map(|shade| cell(Some(shade), style)).collect();
    let (step, most) = (duration(grid.step), (grid.most / div).max(1));
    // Below the cells, or further to the left if that would be too long.
    let width = format!("{step} a column, 1  {most}").len() + SHADES;
    let indent = columns.saturating_sub(width).min(26);
    format!("{rows}{}{:indent$}{step} a column, 1 {legend} {most}\n", axis(&grid), "")
}

/// When the first column begins and, where there is room for it, when the last one ends.
fn axis(grid: &Grid) -> String {
    let time = |at: Option<&i128>| at.map_or(String::new(), |at| strftime::format("%H:%M:%S", *at));
    let (start, end) = (time(grid.times.first()), time(grid.times.last()));
    let left = grid.times.len().saturating_sub(1 + start.len());
    let end = if left > end.len() { format!("{end:>left$}") } else { String::new() };
    format!("{:26}{start}{end}\n", "")
}

fn cell(shade: Option<usize>, style: Style) -> String {
    match (shade, style) {
        (None, _) => " ".to_string(),
        (Some(shade), Style::Plain) => LETTERS[shade].to_string(),
        (Some(shade), Style::Coloured) => format!("\x1b[48;5;{}m \x1b[0m", COLOURS[shade]),
    }
}

/// The borders of a row, as histograms have them.
fn name(bits: u8, bucket: usize) -> String {
    let shape = Aggregate::Hist { bits };
    let (min, max) = borders(shape, bucket as u32);
    label(shape, &Bucket { min, max, count: 0 })
}

/// A length of time in the largest unit that divides it.
pub fn duration(nanoseconds: u64) -> String {
    let units =
        [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000)];
    let unit = units.into_iter().find(|(_, unit)| nanoseconds.is_multiple_of(*unit));
    unit.map_or(format!("{nanoseconds}ns"), |(name, unit)| format!("{}{name}", nanoseconds / unit))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::types::{log2_bucket, log2_buckets};

    /// A value in each interval that is given.
    pub fn heat(interval: u64, values: &[(u64, i64)]) -> Heat {
        let mut columns: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (epoch, value) in values {
            let counts = columns.entry(*epoch).or_insert_with(|| vec![0; log2_buckets(0) as usize]);
            counts[log2_bucket(*value, 0) as usize] += 1;
        }
        Heat { interval, bits: 0, columns: columns.into_iter().collect(), div: 1 }
    }

    #[test]
    fn values_go_up_and_time_to_the_right() {
        let text =
            text(&heat(1_000_000_000, &[(60, 5), (60, 5), (60, 5), (62, 5), (64, 40)]), Style::Plain, usize::MAX);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows[0], "[32, 64)               1 |    .|");
        assert_eq!(rows[1], "[16, 32)               0 |     |");
        assert_eq!(rows[3], "[4, 8)                 4 |@ .  |");
        assert!(rows[4].ends_with(":01:00"), "{text}");
        assert_eq!((rows.len(), rows[5]), (6, "                          1s a column, 1 .:-=+*#%@ 3"));
    }

    #[test]
    fn many_intervals_share_columns() {
        let values: Vec<(u64, i64)> = (0..120).map(|epoch| (1000 + epoch, 1)).collect();
        let grid = Grid::new(&heat(100_000_000, &values), 52).unwrap();
        assert_eq!((grid.step, grid.rows[0].1.len(), grid.most), (300_000_000, 40, 3));
        assert_eq!(duration(grid.step), "300ms");
        assert!(text(&heat(1, &[]), Style::Plain, usize::MAX).is_empty());
    }

    #[test]
    fn colours_where_there_are_some() {
        let text = text(&heat(1_000_000_000, &[(1, 5)]), Style::Coloured, usize::MAX);
        assert!(text.starts_with("[4, 8)                 1 |\x1b[48;5;221m \x1b[0m|\n"), "{text:?}");
    }
}
