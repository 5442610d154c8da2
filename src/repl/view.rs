//! A view that has the terminal for itself: something is drawn in place again and again, with keys to sort, pause, reset and
//! write down.

pub mod costs;
mod frame;
pub mod maps;

use std::io::{Write, stdin};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode, size};

pub use self::frame::Room;
use self::frame::cut;
use super::screen::Screen;
use super::shell::{Passed, Shell};
use crate::diag::Style;
use crate::error::{Error, Result};
use crate::report::written;
use crate::runtime;
use crate::strftime;

/// What a view shows.
pub trait Subject {
    /// What it is called in the heading.
    fn name(&self) -> String;
    /// Reads it anew.
    fn look(&mut self, shell: &mut Shell<'_>) -> Result<()>;
    /// Has it begin again from nothing.
    fn reset(&mut self, shell: &mut Shell<'_>) -> Result<()>;
    /// What was read last; nothing, if there is nothing to show.
    fn lines(&self, order: Order, room: Room) -> Vec<String>;
    /// Whether there will be nothing new any more.
    fn is_over(&self, shell: &Shell<'_>) -> bool;
}

/// In which order lines are shown, the greatest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Value,
    Rate,
    Key,
}

impl Order {
    fn next(self) -> Order {
        match self {
            Order::Value => Order::Rate,
            Order::Rate => Order::Key,
            Order::Key => Order::Value,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Order::Value => "value",
            Order::Rate => "rate",
            Order::Key => "key",
        }
    }
}

/// A view that is being looked at.
struct View<'s> {
    subject: &'s mut dyn Subject,
    every: Duration,
    order: Order,
    state: State,
    /// When the subject was read last.
    at: Instant,
    /// What the last key came to.
    word: String,
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

/// Shows something until a key or a signal ends it, or it is over.
pub fn run(shell: &mut Shell<'_>, subject: &mut dyn Subject, every: Duration) -> Result<()> {
    let taken = Taken::take(&shell.voice.screen)?;
    subject.look(shell)?;
    let (at, word) = (Instant::now(), String::new());
    let mut view = View { subject, every, order: Order::Value, state: State::Going, at, word };
    loop {
        view.draw(shell)?;
        let keys = stdin();
        let left = view.every.saturating_sub(view.at.elapsed());
        if shell.pass(left, Some(keys.as_fd()))? == Passed::Interrupted {
            break;
        }
        if view.keys(shell)? == Wish::Leave || view.subject.is_over(shell) {
            break;
        }
        if view.at.elapsed() >= view.every {
            view.at = Instant::now();
            if view.state == State::Going {
                view.subject.look(shell)?;
            }
        }
    }
    drop(taken);
    Ok(())
}

impl View<'_> {
    fn draw(&self, shell: &Shell<'_>) -> Result<()> {
        let room = room();
        let bar = |text: &str| match shell.voice.style {
            Style::Coloured => format!("\x1b[7m{:<1$}\x1b[0m", cut(text, room.columns), room.columns),
            Style::Plain => cut(text, room.columns),
        };
        let mut picture = format!("\x1b[?2026h\x1b[H{}\x1b[K\r\n", bar(&self.heading()));
        let inner = Room { rows: room.rows.saturating_sub(2).max(1), style: shell.voice.style, ..room };
        let mut lines = self.subject.lines(self.order, inner);
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
        let state = match self.state {
            State::Going => "",
            State::Paused => "  paused",
        };
        let word = if self.word.is_empty() { String::new() } else { format!("  {}", self.word) };
        let (name, every) = (self.subject.name(), self.every.as_secs_f64());
        let time = strftime::format("%H:%M:%S", strftime::now());
        format!("{name}  every {every} s  by {}  {time}{state}{word}", self.order.word())
    }

    /// Does what the keys ask for that were pressed.
    fn keys(&mut self, shell: &mut Shell<'_>) -> Result<Wish> {
        // A terminal that is gone is left as if by a key, and is not asked: whoever reads its keys would wait for ever.
        while !runtime::is_gone(stdin().as_fd()) {
            if !event::poll(Duration::ZERO).unwrap_or(false) {
                return Ok(Wish::Stay);
            }
            match event::read() {
                Ok(Event::Key(key)) if self.key(shell, key)? == Wish::Leave => return Ok(Wish::Leave),
                Ok(_) => {}
                Err(_) => return Ok(Wish::Leave),
            }
        }
        Ok(Wish::Leave)
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
                self.subject.reset(shell)?;
                self.at = Instant::now();
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
        let room = Room { columns: usize::MAX / 2, rows: usize::MAX / 2, style: Style::Plain };
        let text: String = self.subject.lines(self.order, room).iter().map(|line| format!("{line}\n")).collect();
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
    Room { columns: columns.into(), rows: rows.into(), style: Style::Plain }
}
