//! Commands that show something again and again: maps, and what probes cost.

use std::time::Duration;

use super::manage::seconds;
use super::shell::{Flow, Form, Passed, Shell};
use super::view::costs::Costs;
use super::view::maps::{Maps, Which};
use super::view::{self, Order, Room, Subject};
use crate::diag::Style;
use crate::error::{Error, Result};

pub fn watch(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let mut words = rest.split_whitespace();
    let Some(map) = words.next() else {
        return Err(Error::usage(":watch needs the name of a map").hint("for instance :watch @ 1"));
    };
    let map = map.to_string();
    if !shell.workspace.map_names().contains(&map) {
        return Err(Error::usage(format!("there is no map {map}")).hint(":maps shows those there are"));
    }
    maps(shell, vec![map], Pace::read(words)?)
}

pub fn top(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let names = shell.workspace.map_names();
    if names.is_empty() {
        return Err(Error::usage("there are no maps to show"));
    }
    maps(shell, names, Pace::read(rest.split_whitespace())?)
}

pub fn stats(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let Pace { every, times } = Pace::read(rest.split_whitespace())?;
    let mut costs = Costs::new(shell)?;
    match (shell.voice.form, times) {
        (Form::Terminal, None) => view::run(shell, &mut costs, every)?,
        (Form::Terminal | Form::Plain, times) => print_costs(shell, &mut costs, every, times.unwrap_or(1))?,
    }
    Ok(Flow::Next)
}

/// How often something is shown.
struct Pace {
    every: Duration,
    /// How many times it is printed, instead of being drawn until a key is pressed.
    times: Option<u64>,
}

impl Pace {
    fn read<'w>(mut words: impl Iterator<Item = &'w str>) -> Result<Pace> {
        let every = words.next().map_or(Ok(Duration::from_secs(1)), seconds)?;
        let times =
            words.next().map(|word| word.parse().map_err(|_| Error::usage(format!("'{word}' is no number of times"))));
        Ok(Pace { every, times: times.transpose()? })
    }
}

fn maps(shell: &mut Shell<'_>, names: Vec<String>, Pace { every, times }: Pace) -> Result<Flow> {
    match (shell.voice.form, times) {
        (Form::Terminal, None) => view::run(shell, &mut Maps::new(Which::Named(names)), every)?,
        (Form::Terminal | Form::Plain, times) => print_maps(shell, &names, every, times.unwrap_or(u64::MAX))?,
    }
    Ok(Flow::Next)
}

/// All maps there are, until no program runs any more.
pub fn live(shell: &mut Shell<'_>, every: Duration) -> Result<()> {
    match shell.voice.form {
        Form::Terminal => view::run(shell, &mut Maps::new(Which::Used), every),
        Form::Plain => {
            let names = shell.used_maps();
            print_maps(shell, &names, every, u64::MAX)
        }
    }
}

/// One after another, where there is no screen to draw on, or so many are wanted.
fn print_maps(shell: &mut Shell<'_>, names: &[String], every: Duration, times: u64) -> Result<()> {
    let had_programs = !shell.workspace.numbers().is_empty();
    for round in 0..times {
        if round > 0 && shell.pass(every, None)? == Passed::Interrupted {
            break;
        }
        if had_programs && shell.workspace.numbers().is_empty() {
            break;
        }
        names.iter().try_for_each(|name| shell.show_map(name))?;
    }
    Ok(())
}

fn print_costs(shell: &mut Shell<'_>, costs: &mut Costs, every: Duration, times: u64) -> Result<()> {
    let room = Room { columns: usize::MAX, rows: usize::MAX, style: Style::Plain };
    for _ in 0..times {
        let passed = shell.pass(every, None)?;
        costs.look(shell)?;
        let text: String = costs.lines(Order::Key, room).iter().map(|line| format!("{line}\n")).collect();
        shell.say(&text)?;
        if passed == Passed::Interrupted {
            break;
        }
    }
    Ok(())
}
