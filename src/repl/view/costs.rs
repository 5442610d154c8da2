//! What probes cost, counted by the kernel as long as it is looked at.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::frame::{Room, cut};
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

    fn line(&self, row: &Row<'_>) -> String {
        let seconds = self.time.as_secs_f64().max(f64::EPSILON);
        let Difference { hits, nanoseconds, .. } = row.lately;
        let (rate, share) = (hits as f64 / seconds, nanoseconds as f64 / seconds / 1e7);
        let each = nanoseconds.checked_div(hits).unwrap_or(0);
        let number = format!("[{}]", row.number);
        let (hits, missed, probe) = (row.all.hits, row.all.missed, &row.usage.probe);
        format!("{number:<5} {hits:>10} {rate:>11.0} {each:>7} {share:>7.3} {missed:>7}  {probe}")
    }
}

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
        let heading =
            format!("{:<5} {:>10} {:>11} {:>7} {:>7} {:>7}  probe", "", "hits", "hits/s", "ns/hit", "% CPU", "missed");
        let lines = std::iter::once(heading).chain(rows.iter().map(|row| self.line(row)));
        lines.take(room.rows).map(|line| cut(&line, room.columns)).collect()
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
