//! Rows of cells as columns that fit: names to the left, figures to the right of them, and what takes the rest of the line.

use crate::repl::fit;

/// A table to be drawn.
pub struct Grid {
    pub heading: Heading,
    pub rows: Vec<Row>,
}

/// What stands above the columns.
pub struct Heading {
    pub name: String,
    pub figures: Vec<Column>,
    pub rest: &'static str,
    /// Columns that the rest is to have, if figures have to be left out for that.
    pub least: usize,
}

/// A column of figures; the lower its rank, the longer it is kept when there is little room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub heading: &'static str,
    pub rank: u8,
    /// How wide it is at the least, so that columns do not move with every digit.
    pub width: usize,
}

/// One line of a table.
pub struct Row {
    pub name: String,
    pub figures: Vec<String>,
    pub rest: Rest,
}

/// What stands to the right of the figures.
pub enum Rest {
    Text(String),
    /// A bar as long as this part of the longest.
    Bar(f64),
}

/// The longest bar.
const BAR: usize = 40;

/// Between columns.
const GAP: usize = 2;

impl Grid {
    pub fn lines(&self, columns: usize) -> Vec<String> {
        let rows = || self.rows.iter();
        let name = rows().map(|row| fit::width(&row.name)).chain([fit::width(&self.heading.name)]).max().unwrap_or(0);
        let name = name.min(columns / 2);
        let width = |(at, column): (usize, &Column)| {
            let shown = rows().map(|row| fit::width(&row.figures[at]));
            GAP + shown.chain([column.heading.len(), column.width]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = self.heading.figures.iter().enumerate().map(width).collect();
        let wanted: Vec<(usize, u8)> =
            widths.iter().zip(&self.heading.figures).map(|(width, column)| (*width, column.rank)).collect();
        let chosen = fit::chosen(&wanted, columns.saturating_sub(name + self.heading.least));
        let layout = Layout { name, widths, chosen, columns };
        let headings: Vec<&str> = self.heading.figures.iter().map(|column| column.heading).collect();
        let heading = layout.line(&self.heading.name, &headings, |_| self.heading.rest.to_string());
        let line = |row: &Row| {
            let figures: Vec<&str> = row.figures.iter().map(String::as_str).collect();
            layout.line(&row.name, &figures, |room| row.rest.shown(room))
        };
        std::iter::once(heading).chain(rows().map(line)).collect()
    }
}

/// How wide everything is.
struct Layout {
    name: usize,
    widths: Vec<usize>,
    chosen: Vec<bool>,
    columns: usize,
}

impl Layout {
    fn line(&self, name: &str, figures: &[&str], rest: impl Fn(usize) -> String) -> String {
        let mut line = fit::cut(name, self.name);
        line.push_str(&" ".repeat(self.name - fit::width(&line)));
        for ((figure, width), is_chosen) in figures.iter().zip(&self.widths).zip(&self.chosen) {
            if *is_chosen {
                line.push_str(&format!("{figure:>width$}"));
            }
        }
        let room = self.columns.saturating_sub(fit::width(&line) + GAP);
        let line = format!("{line}{:GAP$}{}", "", rest(room));
        fit::cut(line.trim_end(), self.columns)
    }
}

impl Rest {
    fn shown(&self, room: usize) -> String {
        match self {
            Rest::Text(text) => text.clone(),
            Rest::Bar(part) => "@".repeat((part * room.min(BAR) as f64) as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let figures = [("hits", 2), ("ns", 0), ("missed", 3)].map(|(heading, rank)| Column { heading, rank, width: 0 });
        let heading = Heading { name: String::new(), figures: figures.to_vec(), rest: "probe", least: 8 };
        let row = |name: &str, figures: [&str; 3]| Row {
            name: name.to_string(),
            figures: figures.map(str::to_string).to_vec(),
            rest: Rest::Text("interval:s:1".to_string()),
        };
        Grid { heading, rows: vec![row("[1]", ["100000", "20", "0"]), row("[2]", ["7", "1000", "0"])] }
    }

    #[test]
    fn columns_are_as_wide_as_what_they_hold() {
        let expected = ["       hits    ns  missed  probe", "[1]  100000    20       0  interval:s:1"];
        assert_eq!(grid().lines(80)[..2], expected);
    }

    #[test]
    fn where_there_is_little_room_the_least_important_are_left_out() {
        assert_eq!(grid().lines(27)[1], "[1]  100000    20  interva>");
        assert_eq!(grid().lines(18)[1], "[1]    20  interv>");
    }
}
