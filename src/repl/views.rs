//! Commands that show something again and again: maps, and what probes cost.

use std::time::{Duration, Instant};

use super::manage::seconds;
use super::shell::{Flow, Form, Passed, Shell};
use super::watch;
use crate::error::{Error, Result};
use crate::runtime::{self, Usage};

pub fn watch(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let mut words = rest.split_whitespace();
    let Some(map) = words.next() else {
        return Err(Error::usage(":watch needs the name of a map").hint("for instance :watch @ 1"));
    };
    let map = map.to_string();
    if !shell.workspace.map_names().contains(&map) {
        return Err(Error::usage(format!("there is no map {map}")).hint(":maps shows those there are"));
    }
    view(shell, &[map], words)
}

pub fn top(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let maps = shell.workspace.map_names();
    if maps.is_empty() {
        return Err(Error::usage("there are no maps to show"));
    }
    view(shell, &maps, rest.split_whitespace())
}

/// How often a view is renewed, unless it is said.
const EVERY: Duration = Duration::from_secs(1);

fn view<'w>(shell: &mut Shell<'_>, maps: &[String], mut words: impl Iterator<Item = &'w str>) -> Result<Flow> {
    let every = words.next().map_or(Ok(EVERY), seconds)?;
    let times = match words.next() {
        Some(word) => Some(word.parse().map_err(|_| Error::usage(format!("'{word}' is no number of times")))?),
        None => None,
    };
    match (shell.voice.form, times) {
        (Form::Terminal, None) => watch::run(shell, maps, every)?,
        (Form::Terminal | Form::Plain, times) => print(shell, maps, every, times.unwrap_or(u64::MAX))?,
    }
    Ok(Flow::Next)
}

/// All maps there are, until no program runs any more.
pub fn live(shell: &mut Shell<'_>, every: Duration) -> Result<()> {
    match shell.voice.form {
        Form::Terminal => watch::run(shell, &[], every),
        Form::Plain => {
            let maps = shell.used_maps();
            print(shell, &maps, every, u64::MAX)
        }
    }
}

/// One after another, where there is no screen to draw on, or so many are wanted.
fn print(shell: &mut Shell<'_>, maps: &[String], every: Duration, times: u64) -> Result<()> {
    let had_programs = !shell.workspace.numbers().is_empty();
    for round in 0..times {
        if round > 0 && shell.pass(every, None)? == Passed::Interrupted {
            break;
        }
        if had_programs && shell.workspace.numbers().is_empty() {
            break;
        }
        maps.iter().try_for_each(|map| shell.show_map(map))?;
    }
    Ok(())
}

pub fn stats(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let time = if rest.is_empty() { EVERY } else { seconds(rest)? };
    let counting = runtime::count_usage()?;
    let before = usage(shell);
    let since = Instant::now();
    let passed = shell.pass(time, None)?;
    let elapsed = since.elapsed();
    let after = usage(shell);
    drop(counting);
    let rows: Vec<Row> = after.iter().filter_map(|now| Row::new(now, &before, elapsed)).collect();
    if passed == Passed::Interrupted && rows.is_empty() {
        return Ok(Flow::Next);
    }
    shell.say(&table(&rows)).map(|()| Flow::Next)
}

/// The counts of each program of each number.
fn usage(shell: &Shell<'_>) -> Vec<(u32, Vec<Usage>)> {
    shell.workspace.programs().map(|(number, program)| (number, program.session.usage())).collect()
}

/// What one number's programs did in some time.
struct Row {
    number: u32,
    probes: Vec<Usage>,
    time: Duration,
}

impl Row {
    /// Nothing for one that was not there before.
    fn new((number, now): &(u32, Vec<Usage>), before: &[(u32, Vec<Usage>)], time: Duration) -> Option<Row> {
        let (_, then) = before.iter().find(|(other, then)| other == number && then.len() == now.len())?;
        let difference = |(now, then): (&Usage, &Usage)| Usage {
            probe: now.probe.clone(),
            hits: now.hits.saturating_sub(then.hits),
            nanoseconds: now.nanoseconds.saturating_sub(then.nanoseconds),
            missed: now.missed.saturating_sub(then.missed),
        };
        Some(Row { number: *number, probes: now.iter().zip(then).map(difference).collect(), time })
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        self.probes.iter().map(|usage| {
            let seconds = self.time.as_secs_f64().max(f64::EPSILON);
            let each = usage.nanoseconds.checked_div(usage.hits).unwrap_or(0);
            let share = usage.nanoseconds as f64 / seconds / 1e7;
            let rate = usage.hits as f64 / seconds;
            let number = format!("[{}]", self.number);
            let Usage { probe, hits, missed, .. } = usage;
            format!("{number:<5} {hits:>10} {rate:>11.0} {each:>7} {share:>7.3} {missed:>7}  {probe}\n")
        })
    }
}

fn table(rows: &[Row]) -> String {
    let heading = format!(
        "{:<5} {:>10} {:>11} {:>7} {:>7} {:>7}  {}\n",
        "", "hits", "hits/s", "ns/hit", "% CPU", "missed", "probe"
    );
    let lines = rows.iter().flat_map(Row::lines);
    std::iter::once(heading).chain(lines).collect()
}
