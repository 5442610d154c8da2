//! A view that has the terminal for itself: something is drawn in place again and again, with keys to sort, pause, reset and
//! write down.

pub mod costs;
mod frame;
mod grid;
mod keys;
pub mod maps;

use std::io::{self, Write, stdout};
use std::time::{Duration, Instant};

use crossterm::style::{Attribute, Print, SetAttribute};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
};
use crossterm::{cursor, queue};

pub use self::frame::Room;
use self::keys::{Key, Keys};
use super::fit::{self, Part};
use super::screen::Screen;
use super::shell::{Passed, Shell};
use crate::diag::Style;
use crate::errno;
use crate::error::{Error, Result};
use crate::report::written;
use crate::runtime::{self, TerminalSettings};
use crate::strftime;

/// What a view shows.
pub trait Subject {
    /// What it is called in the heading.
    fn name(&self) -> String;
    /// Reads it anew.
    fn look(&mut self, shell: &mut Shell<'_>) -> Result<()>;
    /// Has it begin again from nothing.
    fn reset(&mut self, shell: &mut Shell<'_>) -> Result<()>;
    /// What was read last; nothing, if there is nothing to show. What is more than there is room for can be scrolled to.
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
    /// When the subject was read last, and what the clock showed then.
    at: Instant,
    clock: String,
    /// Lines that have been scrolled away.
    above: usize,
    /// How much is shown: at the most, a screen.
    room: Room,
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
struct Taken {
    screen: Screen,
    before: TerminalSettings,
}

impl Taken {
    fn take(screen: &Screen) -> Result<Taken> {
        let before = TerminalSettings::read().map_err(unusable)?;
        before.take_keys();
        screen.hold();
        let taken = Taken { screen: screen.clone(), before };
        let begin = || {
            let mut picture = Vec::new();
            queue!(picture, EnterAlternateScreen, cursor::Hide, Clear(ClearType::All))?;
            screen.draw(&picture)
        };
        written(begin())?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut picture = Vec::new();
        // A terminal that is gone needs nothing back.
        if queue!(picture, cursor::Show, LeaveAlternateScreen).is_ok() {
            self.screen.draw(&picture).ok();
        }
        self.before.set();
        self.screen.release().ok();
    }
}

fn unusable(error: std::io::Error) -> Error {
    Error::usage(format!("cannot use the terminal for a view: {}", errno::reason(&error)))
}

/// How often it is looked whether the terminal has another size.
const SIZE_CHECK: Duration = Duration::from_millis(200);

/// Shows something until a key or a signal ends it, or it is over.
pub fn run(shell: &mut Shell<'_>, subject: &mut dyn Subject, every: Duration) -> Result<()> {
    let taken = Taken::take(&shell.voice.screen)?;
    let mut keys = Keys::open().map_err(unusable)?;
    let room = room(shell.voice.style);
    let (order, state, word) = (Order::Value, State::Going, String::new());
    let mut view = View { subject, every, order, state, at: Instant::now(), clock: clock(), above: 0, room, word };
    view.subject.look(shell)?;
    view.draw(shell)?;
    loop {
        let left = view.every.saturating_sub(view.at.elapsed());
        if shell.pass(left.min(SIZE_CHECK), Some(keys.fd()))? == Passed::Interrupted || view.subject.is_over(shell) {
            break;
        }
        let mut is_changed = view.follow_size();
        while let Some(key) = keys.next() {
            is_changed = true;
            if view.key(shell, key)? == Wish::Leave {
                drop(taken);
                return Ok(());
            }
        }
        if view.at.elapsed() >= view.every {
            view.at = Instant::now();
            if view.state == State::Going {
                is_changed = true;
                view.clock = clock();
                view.subject.look(shell)?;
            }
        }
        if is_changed {
            view.draw(shell)?;
        }
    }
    drop(taken);
    Ok(())
}

impl View<'_> {
    /// Whether the terminal has another size than before.
    fn follow_size(&mut self) -> bool {
        let room = room(self.room.style);
        std::mem::replace(&mut self.room, room) != room
    }

    fn draw(&mut self, shell: &Shell<'_>) -> Result<()> {
        written(self.picture().and_then(|picture| shell.voice.screen.draw(&picture)))
    }

    /// What is sent to the terminal: all lines at once, each over the one that was there.
    fn picture(&mut self) -> io::Result<Vec<u8>> {
        let mut picture = Vec::new();
        queue!(picture, BeginSynchronizedUpdate, cursor::MoveTo(0, 0))?;
        self.bar(&mut picture, &self.heading())?;
        queue!(picture, Clear(ClearType::UntilNewLine), Print("\r\n"))?;
        for line in self.visible() {
            queue!(picture, Print(line), Clear(ClearType::UntilNewLine), Print("\r\n"))?;
        }
        queue!(picture, Clear(ClearType::FromCursorDown))?;
        self.bar(&mut picture, &self.footing())?;
        queue!(picture, EndSynchronizedUpdate)?;
        Ok(picture)
    }

    /// The heading or the footing.
    fn bar(&self, picture: &mut Vec<u8>, text: &str) -> io::Result<()> {
        let Room { columns, style, .. } = self.room;
        let text = fit::cut(text, columns);
        match style {
            Style::Coloured => {
                let (begin, end) = (SetAttribute(Attribute::Reverse), SetAttribute(Attribute::Reset));
                queue!(picture, begin, Print(format!("{text:<columns$}")), end)
            }
            Style::Plain => queue!(picture, Print(text)),
        }
    }

    /// Rows between heading and footing.
    fn page(&self) -> usize {
        self.room.rows.saturating_sub(2).max(1)
    }

    /// The lines that are scrolled to, and how many more there are.
    fn visible(&mut self) -> Vec<String> {
        let page = self.page();
        let mut lines = self.subject.lines(self.order, Room { rows: page, ..self.room });
        if lines.is_empty() {
            return vec![fit::cut("nothing yet", self.room.columns)];
        }
        if lines.len() <= page {
            self.above = 0;
            return lines;
        }
        // The last row tells of more.
        let rows = (page - 1).max(1);
        self.above = self.above.min(lines.len() - rows);
        let below = lines.len() - rows - self.above;
        lines.drain(..self.above);
        lines.truncate(rows);
        let parts = [(self.above, "above"), (below, if below == 1 { "more line" } else { "more lines" })]
            .into_iter()
            .filter(|(count, _)| *count > 0);
        let more: Vec<String> = parts.map(|(count, word)| format!("{count} {word}")).collect();
        lines.push(fit::cut(&format!("  ... {}", more.join(", ")), self.room.columns));
        lines.truncate(page);
        lines
    }

    fn heading(&self) -> String {
        let every = format!("every {} s", self.every.as_secs_f64());
        let mut parts = vec![
            Part::new(1, self.subject.name()),
            Part::new(4, every),
            Part::new(3, format!("by {}", self.order.word())),
            Part::new(5, self.clock.clone()),
        ];
        if self.state == State::Paused {
            parts.push(Part::new(2, "paused"));
        }
        if !self.word.is_empty() {
            parts.push(Part::new(0, self.word.clone()));
        }
        fit::joined(&parts, self.room.columns)
    }

    fn footing(&self) -> String {
        let pause = match self.state {
            State::Going => "p pause",
            State::Paused => "p go on",
        };
        let keys = ["q leave", "s sort", pause, "r reset", "w write to a file", "arrows scroll"];
        let parts: Vec<Part> = (0..).zip(keys).map(|(rank, text)| Part::new(rank, text)).collect();
        fit::joined(&parts, self.room.columns)
    }

    fn key(&mut self, shell: &mut Shell<'_>, key: Key) -> Result<Wish> {
        self.word.clear();
        match key {
            Key::Control('c' | 'd') | Key::Char('q') | Key::Escape => return Ok(Wish::Leave),
            Key::Char('s') => self.order = self.order.next(),
            Key::Char('p' | ' ') => {
                self.state = match self.state {
                    State::Going => State::Paused,
                    State::Paused => State::Going,
                };
            }
            Key::Char('r') => {
                self.subject.reset(shell)?;
                (self.at, self.clock) = (Instant::now(), clock());
                self.word = "reset".to_string();
            }
            Key::Char('w') => self.word = self.write(),
            Key::Up | Key::Char('k') => self.above = self.above.saturating_sub(1),
            Key::Down | Key::Char('j') => self.above = self.above.saturating_add(1),
            Key::PageUp => self.above = self.above.saturating_sub(self.page()),
            Key::PageDown => self.above = self.above.saturating_add(self.page()),
            Key::Home => self.above = 0,
            // It is brought back to what there is when it is drawn.
            Key::End => self.above = usize::MAX,
            Key::Char(_) | Key::Control(_) | Key::Other => {}
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
fn room(style: Style) -> Room {
    let (columns, rows) = runtime::terminal_size(stdout()).unwrap_or((80, 24));
    Room { columns, rows, style }
}

fn clock() -> String {
    strftime::format("%H:%M:%S", strftime::now())
}
