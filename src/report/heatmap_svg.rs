//! Heat maps as one picture in SVG (`-f svg`), one below the other.

use std::collections::BTreeMap;

use super::heatmap::{Grid, duration};
use super::text::key;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::strftime;
use crate::value::{Entries, Heat, MapReport, Value};

/// What has been printed of each map: the latest report, and those after which the map was emptied.
#[derive(Debug, Default)]
pub struct Gallery {
    ended: BTreeMap<String, Heat>,
    latest: BTreeMap<String, Vec<(String, Heat)>>,
}

impl Gallery {
    /// Takes a map as it is now, in place of what it was before; whether it is a heat map.
    pub fn update(&mut self, map: &MapReport, config: &Config) -> bool {
        let heats: Option<Vec<(String, Heat)>> = match &map.entries {
            Entries::Scalar(Value::Heat(of)) => Some(vec![(map.name.clone(), of.clone())]),
            Entries::Keyed(entries) => {
                entries.iter().map(|(key, value)| entry(&map.name, key, value, config)).collect()
            }
            Entries::Scalar(_) => None,
        };
        let is_heat = heats.is_some();
        self.latest.extend(heats.map(|heats| (map.name.clone(), heats)));
        is_heat
    }

    /// What the map counts from now on comes on top of what was last printed.
    pub fn emptied(&mut self, map: &str) {
        for (name, heat) in self.latest.remove(map).unwrap_or_default() {
            add(&mut self.ended, name, &heat);
        }
    }

    /// The picture.
    pub fn draw(&self) -> Result<Vec<u8>> {
        let mut all = self.ended.clone();
        self.latest.values().flatten().for_each(|(name, heat)| add(&mut all, name.clone(), heat));
        let grids = all.iter().filter_map(|(name, heat)| Some((name.as_str(), Grid::new(heat, COLUMNS)?)));
        let grids: Vec<(&str, Grid)> = grids.collect();
        if grids.is_empty() {
            return Err(Error::usage("nothing was counted, so there is no heat map to draw"));
        }
        Ok(document(&grids).into_bytes())
    }
}

fn entry(map: &str, key: &Value, value: &Value, config: &Config) -> Option<(String, Heat)> {
    let Value::Heat(of) = value else { return None };
    Some((format!("{map}[{}]", String::from_utf8_lossy(&self::key(key, config))), of.clone()))
}

/// Adds the columns, those of one interval as one.
fn add(all: &mut BTreeMap<String, Heat>, name: String, more: &Heat) {
    let sum = all.entry(name).or_insert_with(|| Heat { columns: Vec::new(), ..more.clone() });
    let mut columns: BTreeMap<u64, Vec<u64>> = std::mem::take(&mut sum.columns).into_iter().collect();
    for (epoch, counts) in &more.columns {
        let column = columns.entry(*epoch).or_insert_with(|| vec![0; counts.len()]);
        column.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    sum.columns = columns.into_iter().collect();
}

/// Columns of a heat map at the most.
const COLUMNS: usize = 300;

/// Lengths of the picture, in its units.
const WIDTH: usize = 1000;
const LEFT: usize = 120;
const RIGHT: usize = 40;
const ROW: usize = 18;
const HEADING: usize = 44;
const AXIS: usize = 44;

fn document(grids: &[(&str, Grid)]) -> String {
    let mut top = 0;
    let mut panels = String::new();
    for (name, grid) in grids {
        panels += &format!("<g transform=\"translate(0 {top})\">\n{}</g>\n", panel(name, grid));
        top += HEADING + grid.rows.len() * ROW + AXIS;
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{top}\" \
         viewBox=\"0 0 {WIDTH} {top}\" font-family=\"monospace\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{panels}</svg>\n"
    )
}

fn panel(name: &str, grid: &Grid) -> String {
    let columns = grid.times.len() - 1;
    let width = (WIDTH - LEFT - RIGHT) as f64 / columns as f64;
    let bottom = HEADING + grid.rows.len() * ROW;
    let rows: String =
        grid.rows.iter().enumerate().map(|(row, of)| self::row(grid, of, HEADING + row * ROW, width)).collect();
    let heading = format!("{name}: {} a column, up to {} in a cell", duration(grid.step), grid.most);
    let mut text = format!("<text x=\"{LEFT}\" y=\"28\" font-size=\"15\">{}</text>\n{rows}", escaped(&heading));
    // As many times as can be read beside each other.
    let every = columns.div_ceil(8).max(1);
    for column in (0..=columns).step_by(every) {
        let (x, time) = (LEFT as f64 + column as f64 * width, strftime::format("%H:%M:%S", grid.times[column]));
        text += &format!("<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{time}</text>\n", bottom + 16);
    }
    text + &format!(
        "<rect x=\"{LEFT}\" y=\"{HEADING}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#888888\"/>\n",
        WIDTH - LEFT - RIGHT,
        bottom - HEADING
    )
}

fn row(grid: &Grid, (name, cells): &(String, Vec<u64>), top: usize, width: f64) -> String {
    let name = escaped(name);
    let mut text = format!("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\n", LEFT - 8, top + 13);
    for (column, count) in cells.iter().enumerate() {
        let Some(shade) = grid.shade(*count) else { continue };
        let (x, colour) = (LEFT as f64 + column as f64 * width, COLOURS[shade]);
        let time = strftime::format("%H:%M:%S.%l", grid.times[column]);
        text += &format!(
            "<rect x=\"{x:.2}\" y=\"{top}\" width=\"{width:.2}\" height=\"{ROW}\" fill=\"{colour}\"><title>{time} {name}: {count}</title></rect>\n"
        );
    }
    text
}

/// Shades from the coldest to the hottest on a white ground.
const COLOURS: [&str; super::heatmap::SHADES] =
    ["#fff3c4", "#fee391", "#fec44f", "#fe9929", "#ec7014", "#d7301f", "#b10026", "#7f0022", "#4d0018"];

fn escaped(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::heatmap::tests::heat;
    use super::*;

    fn report(values: &[(u64, i64)]) -> MapReport {
        let key = Value::Str { text: b"a<b\x1b".to_vec(), cut: false };
        let entries = Entries::Keyed(vec![(key, Value::Heat(heat(1_000_000_000, values)))]);
        MapReport { name: "@us".to_string(), entries }
    }

    #[test]
    fn intervals_add_up_and_what_is_printed_again_counts_once() {
        let mut gallery = Gallery::default();
        let config = Config::default();
        assert!(gallery.draw().is_err());
        assert!(gallery.update(&report(&[(9, 5)]), &config));
        assert!(gallery.update(&report(&[(9, 5), (9, 5)]), &config));
        gallery.emptied("@us");
        assert!(gallery.update(&report(&[(9, 5), (10, 5)]), &config));
        let svg = String::from_utf8(gallery.draw().unwrap()).unwrap();
        assert!(svg.contains(">@us[a&lt;b\u{fffd}]: 1s a column, up to 3 in a cell</text>"), "{svg}");
        assert_eq!(svg.matches("[4, 8): 3</title>").count(), 1, "{svg}");
        assert_eq!(svg.matches("[4, 8): 1</title>").count(), 1, "{svg}");
        let other = MapReport { name: "@".to_string(), entries: Entries::Scalar(Value::Int(1)) };
        assert!(!gallery.update(&other, &config));
    }
}
