//! A view that has the terminal for itself: maps drawn in place again and again, with keys to sort, pause, reset and write down.

use std::io::{Write, stdin};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode, size};

use super::frame::{self, Order, Room, Seen, cut};
use super::screen::Screen;
use super::shell::{Passed, Shell};
use crate::config::{Config, ControlCharacters};
use crate::diag::Style;
use crate::error::{Error, Result};
use crate::report::written;
use crate::strftime;
use crate::value::MapReport;

/// A view that is being looked at.
struct Watch {
    /// None for all maps that programs use.
    maps: Vec<String>,
    every: Duration,
    order: Order,
    state: State,
    /// What was read last, and before that.
    reports: Vec<MapReport>,
    seen: Option<(Seen, Duration)>,
    at: Instant,
    /// What the last key came to.
    word: String,
    config: Config,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Going,
    Paused,
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Leave,
    Stay,
}

/// Whatever happens, the terminal is given back.
struct Taken(Screen);

impl Taken {
    fn take(screen: &Screen) -> Result<Taken> {
        enable_raw_mode().map_err(|error| Error::usage(format!("cannot use the terminal for a view: {error}")))?;
        screen.hold();
        let taken = Taken(screen.clone());
        written(screen.draw(b"\x1b[?1049h\x1b[?25l\x1b[2J"))?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        self.0.draw(b"\x1b[?25h\x1b[?1049l").ok();
        disable_raw_mode().ok();
        self.0.release().ok();
    }
}

/// Shows maps until a key or a signal ends it; all that are used, if none are named, until no program runs.
pub fn run(shell: &mut Shell<'_>, maps: &[String], every: Duration) -> Result<()> {
    let taken = Taken::take(&shell.voice.screen)?;
    // What traced processes call themselves must not command the terminal.
    let config = Config { control_characters: ControlCharacters::Escaped, ..Config::default() };
    let mut watch = Watch {
        maps: maps.to_vec(),
        every,
        order: Order::Value,
        state: State::Going,
        reports: Vec::new(),
        seen: None,
        at: Instant::now(),
        word: String::new(),
        config,
    };
    watch.look(shell)?;
    loop {
        watch.draw(shell)?;
        let keys = stdin();
        let left = watch.every.saturating_sub(watch.at.elapsed());
        if shell.pass(left, Some(keys.as_fd()))? == Passed::Interrupted {
            break;
        }
        if watch.keys(shell)? == Wish::Leave || watch.maps.is_empty() && shell.workspace.numbers().is_empty() {
            break;
        }
        if watch.at.elapsed() >= watch.every {
            match watch.state {
                State::Going => watch.look(shell)?,
                State::Paused => watch.at = Instant::now(),
            }
        }
    }
    drop(taken);
    Ok(())
}

impl Watch {
    /// Reads the maps, and keeps what was there before.
    fn look(&mut self, shell: &mut Shell<'_>) -> Result<()> {
        let names = if self.maps.is_empty() { shell.used_maps() } else { self.maps.clone() };
        let reports = shell.reports(&names)?;
        if !self.reports.is_empty() {
            self.seen = Some((Seen::of(&self.reports, &self.config), self.at.elapsed()));
        }
        self.reports = reports;
        self.at = Instant::now();
        Ok(())
    }

    fn draw(&self, shell: &Shell<'_>) -> Result<()> {
        let room = room();
        let bar = |text: &str| match shell.voice.style {
            Style::Coloured => format!("\x1b[7m{:<1$}\x1b[0m", cut(text, room.columns), room.columns),
            Style::Plain => cut(text, room.columns),
        };
        let mut picture = format!("\x1b[?2026h\x1b[H{}\x1b[K\r\n", bar(&self.heading()));
        let inner = Room { rows: room.rows.saturating_sub(2).max(1), ..room };
        let before = self.seen.as_ref().map(|(seen, time)| (seen, *time));
        let mut lines = frame::lines(&self.reports, before, self.order, inner, &self.config);
        if lines.is_empty() {
            lines.push("nothing yet".to_string());
        }
        lines.iter().for_each(|line| picture.push_str(&format!("{line}\x1b[K\r\n")));
        picture.push_str("\x1b[J");
        picture.push_str(&bar("q leave  s sort  p pause  r reset  w write to a file"));
        picture.push_str("\x1b[?2026l");
        written(shell.voice.screen.draw(picture.as_bytes()))
    }

    fn heading(&self) -> String {
        let names = if self.maps.is_empty() { "all maps".to_string() } else { self.maps.join(" ") };
        let state = match self.state {
            State::Going => "",
            State::Paused => "  paused",
        };
        let word = if self.word.is_empty() { String::new() } else { format!("  {}", self.word) };
        let every = self.every.as_secs_f64();
        let time = strftime::format("%H:%M:%S", strftime::now());
        format!("{names}  every {every} s  by {}  {time}{state}{word}", self.order.word())
    }

    /// Does what the keys ask for that were pressed.
    fn keys(&mut self, shell: &mut Shell<'_>) -> Result<Wish> {
        // A terminal that is gone is left as if by a key.
        while event::poll(Duration::ZERO).unwrap_or(false) {
            match event::read() {
                Ok(Event::Key(key)) if self.key(shell, key)? == Wish::Leave => return Ok(Wish::Leave),
                Ok(_) => {}
                Err(_) => return Ok(Wish::Leave),
            }
        }
        Ok(Wish::Stay)
    }

    fn key(&mut self, shell: &mut Shell<'_>, key: KeyEvent) -> Result<Wish> {
        self.word.clear();
        match key.code {
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(Wish::Leave),
            KeyCode::Char('q') | KeyCode::Esc => return Ok(Wish::Leave),
            KeyCode::Char('s') => self.order = self.order.next(),
            KeyCode::Char('p' | ' ') => {
                self.state = match self.state {
                    State::Going => State::Paused,
                    State::Paused => State::Going,
                };
            }
            KeyCode::Char('r') => {
                let names: Vec<String> = self.reports.iter().map(|report| report.name.clone()).collect();
                names.iter().try_for_each(|name| shell.workspace.empty(name))?;
                self.seen = None;
                self.look(shell)?;
                self.word = "reset".to_string();
            }
            KeyCode::Char('w') => self.word = self.write(),
            _ => {}
        }
        Ok(Wish::Stay)
    }

    /// Writes what is shown, all of it, to a file named after the time.
    fn write(&self) -> String {
        let path = strftime::format("rtrace-%Y%m%d-%H%M%S.txt", strftime::now());
        let room = Room { columns: usize::MAX / 2, rows: usize::MAX / 2 };
        let before = self.seen.as_ref().map(|(seen, time)| (seen, *time));
        let lines = frame::lines(&self.reports, before, self.order, room, &self.config);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let written = std::fs::File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        match written {
            Ok(()) => format!("written to {path}"),
            Err(error) => format!("cannot write {path}: {error}"),
        }
    }
}

/// The terminal's size, or what most have.
fn room() -> Room {
    let (columns, rows) = size().ok().filter(|(columns, rows)| *columns > 0 && *rows > 0).unwrap_or((80, 24));
    Room { columns: columns.into(), rows: rows.into() }
}
