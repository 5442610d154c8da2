//! Commands that begin, change and end programs, and those about files of them.

use std::fs;
use std::io::BufReader;
use std::time::{Duration, Instant};

use super::Lines;
use super::plain::Plain;
use super::shell::{Flow, Form, Passed, Shell, summary};
use super::workspace::{Farewell, State};
use crate::errno;
use crate::error::{Error, Result};

pub fn list(shell: &mut Shell<'_>, _: &str) -> Result<Flow> {
    let line = |(number, program): (u32, &super::workspace::Program<'_>)| {
        let state = match program.state {
            State::Running => "",
            State::Paused => " (paused)",
        };
        format!("[{number}]{state} {}\n", indented(&program.text))
    };
    let text: String = shell.workspace.programs().map(line).collect();
    shell.say(if text.is_empty() { "no programs run\n" } else { &text })?;
    Ok(Flow::Next)
}

/// The text with its further lines below the first.
fn indented(text: &str) -> String {
    text.trim().replace('\n', "\n    ")
}

pub fn stop(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    for number in numbers(shell, rest)? {
        shell.workspace.get(number)?;
        shell.say(&format!("[{number}] ended\n"))?;
        shell.workspace.finish(number, Farewell::Maps)?;
    }
    Ok(Flow::Next)
}

pub fn pause(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    for number in numbers(shell, rest)? {
        shell.workspace.pause(number)?;
        shell.say(&format!("[{number}] paused\n"))?;
    }
    Ok(Flow::Next)
}

pub fn resume(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    for number in numbers(shell, rest)? {
        shell.workspace.resume(number)?;
        let text = summary(shell.workspace.get(number)?.session.targets());
        shell.say(&format!("[{number}] {text}\n"))?;
    }
    Ok(Flow::Next)
}

/// The numbers given; without any, that of the only program.
fn numbers(shell: &Shell<'_>, rest: &str) -> Result<Vec<u32>> {
    let all = shell.workspace.numbers();
    match rest {
        "all" => Ok(all),
        "" => Ok(vec![only(shell)?]),
        words => words.split([' ', ',']).filter(|word| !word.is_empty()).map(number).collect(),
    }
}

/// The number of the only program.
fn only(shell: &Shell<'_>) -> Result<u32> {
    match *shell.workspace.numbers() {
        [number] => Ok(number),
        [] => Err(Error::usage("no programs run")),
        _ => Err(Error::usage("several programs run").hint("give the number of one; :list shows them")),
    }
}

/// A program's number, with or without brackets.
pub fn number(word: &str) -> Result<u32> {
    let digits = word.trim_matches(['[', ']']);
    digits
        .parse()
        .map_err(|_| Error::usage(format!("'{word}' is not the number of a program")).hint(":list shows them"))
}

/// With a text, replaces; without, offers the old one to be changed.
pub fn edit(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let (word, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let number = if word.is_empty() { only(shell)? } else { number(word)? };
    if text.trim().is_empty() {
        let old = shell.workspace.get(number)?.text.trim().to_string();
        return match shell.voice.form {
            Form::Terminal => Ok(Flow::Offer(format!(":edit {number} {old}"))),
            // Nobody could change what is offered.
            Form::Plain => Err(Error::usage(format!(":edit {number} needs the changed program behind the number"))
                .hint(format!("it is now: {old}"))),
        };
    }
    shell.replace(number, text.trim()).map(|()| Flow::Next)
}

pub fn clear(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let known = shell.workspace.map_names();
    let names: Vec<&str> = match rest {
        "" => known.iter().map(String::as_str).collect(),
        names => names.split([' ', ',']).filter(|name| !name.is_empty()).collect(),
    };
    if let Some(name) = names.iter().find(|name| !known.iter().any(|known| known == *name)) {
        let near = crate::names::nearest(name, known.iter().map(String::as_str));
        let error = Error::usage(format!("there is no map {name}"));
        return Err(near.map(|near| format!("did you mean {near}?")).into_iter().fold(error, Error::hint));
    }
    names.iter().try_for_each(|name| shell.workspace.clear(name)).map(|()| Flow::Next)
}

pub fn reset(shell: &mut Shell<'_>, _: &str) -> Result<Flow> {
    shell.workspace.finish_all()?;
    clear(shell, "")
}

/// The programs as one script, which must be one.
pub fn save(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let path = file(rest, "save")?;
    let part =
        |(number, program): (u32, &super::workspace::Program<'_>)| format!("// [{number}]\n{}\n", program.text.trim());
    let text = shell.workspace.programs().map(part).collect::<Vec<_>>().join("\n");
    if text.is_empty() {
        return Err(Error::usage("no programs run, so there is nothing to save"));
    }
    if let Err(faults) = shell.engine.parse(path, &text) {
        shell.diagnose(&faults)?;
        return Err(Error::usage("these programs do not make one script; nothing was saved")
            .hint("settings and definitions may stand in the first one only"));
    }
    fs::write(path, &text).map_err(|error| failed("write", path, &error))?;
    let count = shell.workspace.numbers().len();
    shell.say(&format!("{path}: {count} program{}\n", if count == 1 { "" } else { "s" }))?;
    Ok(Flow::Next)
}

pub fn load(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let path = file(rest, "load")?;
    let text = fs::read_to_string(path).map_err(|error| failed("read", path, &error))?;
    shell.program(&text).map(|()| Flow::Next)
}

/// Files that read each other would never end.
const DEPTH: usize = 8;

pub fn source(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let path = file(rest, "source")?;
    if shell.depth == DEPTH {
        return Err(Error::usage(format!("'{path}' is read by a file that it reads itself")));
    }
    let file = fs::File::open(path).map_err(|error| failed("read", path, &error))?;
    let mut lines = Plain::new(BufReader::new(file));
    shell.depth += 1;
    let mut flow = Flow::Next;
    while flow != Flow::Leave {
        let Some(text) = lines.next("")? else { break };
        flow = shell.enter(&text)?;
        shell.settle()?;
    }
    shell.depth -= 1;
    Ok(flow)
}

pub fn record(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    shell.recorder = match rest {
        "" => None,
        path => Some(fs::File::create(path).map_err(|error| failed("write", path, &error))?),
    };
    Ok(Flow::Next)
}

fn file<'r>(rest: &'r str, command: &str) -> Result<&'r str> {
    if rest.is_empty() {
        return Err(Error::usage(format!(":{command} needs the name of a file")));
    }
    Ok(rest)
}

fn failed(what: &str, path: &str, error: &std::io::Error) -> Error {
    Error::usage(format!("cannot {what} '{path}': {}", errno::reason(error)))
}

/// Waits for programs that end by themselves.
pub fn wait(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let wanted = if rest.is_empty() { shell.workspace.numbers() } else { vec![number(rest)?] };
    let is_there = |shell: &Shell<'_>| shell.workspace.numbers().iter().any(|number| wanted.contains(number));
    while is_there(shell) {
        if shell.pass(TICK, None)? == Passed::Interrupted {
            break;
        }
    }
    Ok(Flow::Next)
}

/// How often it is looked whether a program has ended.
const TICK: Duration = Duration::from_millis(10);

pub fn sleep(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let until = Instant::now() + seconds(rest)?;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        if shell.pass(left, None)? == Passed::Interrupted {
            break;
        }
    }
    Ok(Flow::Next)
}

/// A time in seconds, as `1`, `0.5` or `0.5s`, or in milliseconds, as `500ms`.
pub fn seconds(text: &str) -> Result<Duration> {
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 0.001),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let time = digits.trim().parse::<f64>().ok().and_then(|number| Duration::try_from_secs_f64(number * unit).ok());
    time.ok_or_else(|| Error::usage(format!("'{text}' is not a time")).hint("give seconds, as in 0.5, or 500ms"))
}

pub fn quit(_: &mut Shell<'_>, _: &str) -> Result<Flow> {
    Ok(Flow::Leave)
}
