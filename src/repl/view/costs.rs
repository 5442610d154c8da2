//! What probes cost, counted by the kernel as long as it is looked at.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::frame::Room;
use super::grid::{self, Column, Grid, Heading, Rest};
use super::{Order, Subject};
use crate::error::Result;
use crate::repl::shell::Shell;
use crate::runtime::{self, Usage};

/// The counts of each program of each number.
type Counts = Vec<(u32, Vec<Usage>)>;

pub struct Costs {
    /// The kernel counts while this is open.
    _counting: OwnedFd,
    /// When it was begun or reset, read before last, and read last.
    begun: Counts,
    before: Counts,
    now: Counts,
    at: Instant,
    /// Between the last two readings.
    time: Duration,
}

impl Costs {
    /// Begins to count.
    pub fn new(shell: &Shell<'_>) -> Result<Costs> {
        let counting = runtime::count_usage()?;
        let now = counts(shell);
        let [begun, before] = [now.clone(), now.clone()];
        Ok(Costs { _counting: counting, begun, before, now, at: Instant::now(), time: Duration::ZERO })
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let mut rows = Vec::new();
        for (number, usages) in &self.now {
            for (at, usage) in usages.iter().enumerate() {
                let lately = since(&self.before, *number, at, usage);
                rows.push(Row { number: *number, usage, lately, all: since(&self.begun, *number, at, usage) });
            }
        }
        rows
    }

    fn line(&self, row: &Row<'_>) -> grid::Row {
        let seconds = self.time.as_secs_f64().max(f64::EPSILON);
        let Difference { hits, nanoseconds, .. } = row.lately;
        let (rate, share) = (hits as f64 / seconds, nanoseconds as f64 / seconds / 1e7);
        let each = nanoseconds.checked_div(hits).unwrap_or(0);
        let figures = vec![
            row.all.hits.to_string(),
            format!("{rate:.0}"),
            each.to_string(),
            format!("{share:.3}"),
            row.all.missed.to_string(),
        ];
        grid::Row { name: format!("[{}]", row.number), figures, rest: Rest::Text(row.usage.probe.clone()) }
    }
}

/// Where there is little room, the share of a processor is kept longest.
const COLUMNS: [Column; 5] = [
    Column { heading: "hits", rank: 3, width: 8 },
    Column { heading: "hits/s", rank: 1, width: 8 },
    Column { heading: "ns/hit", rank: 2, width: 6 },
    Column { heading: "% CPU", rank: 0, width: 6 },
    Column { heading: "missed", rank: 4, width: 6 },
];

/// Columns of a probe's name that are to be seen.
const PROBE: usize = 16;

impl Subject for Costs {
    fn name(&self) -> String {
        "what probes cost".to_string()
    }

    fn look(&mut self, shell: &mut Shell<'_>) -> Result<()> {
        self.before = std::mem::replace(&mut self.now, counts(shell));
        self.time = self.at.elapsed();
        self.at = Instant::now();
        Ok(())
    }

    fn reset(&mut self, shell: &mut Shell<'_>) -> Result<()> {
        self.look(shell)?;
        self.begun = self.now.clone();
        Ok(())
    }

    fn lines(&self, order: Order, room: Room) -> Vec<String> {
        let mut rows = self.rows();
        match order {
            Order::Value => rows.sort_by_key(|row| std::cmp::Reverse(row.all.hits)),
            Order::Rate => rows.sort_by_key(|row| std::cmp::Reverse(row.lately.nanoseconds)),
            Order::Key => rows.sort_by_key(|row| row.number),
        }
        let heading = Heading { name: String::new(), figures: COLUMNS.to_vec(), rest: "probe", least: PROBE };
        Grid { heading, rows: rows.iter().map(|row| self.line(row)).collect() }.lines(room.columns)
    }

    fn is_over(&self, _: &Shell<'_>) -> bool {
        false
    }
}

/// One program of one number.
struct Row<'c> {
    number: u32,
    usage: &'c Usage,
    /// Between the last two readings, and since the beginning.
    lately: Difference,
    all: Difference,
}

struct Difference {
    hits: u64,
    nanoseconds: u64,
    missed: u64,
}

/// How much was counted after an earlier reading; all, for a program that was not there then.
fn since(earlier: &Counts, number: u32, at: usize, now: &Usage) -> Difference {
    let found = earlier.iter().find(|(other, _)| *other == number).and_then(|(_, usages)| usages.get(at));
    let then = found.filter(|then| then.probe == now.probe);
    let difference = |count: fn(&Usage) -> u64| count(now).saturating_sub(then.map_or(0, count));
    Difference {
        hits: difference(|usage| usage.hits),
        nanoseconds: difference(|usage| usage.nanoseconds),
        missed: difference(|usage| usage.missed),
    }
}

fn counts(shell: &Shell<'_>) -> Counts {
    shell.workspace.programs().map(|(number, program)| (number, program.session.usage())).collect()
}
