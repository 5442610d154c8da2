//! Maps in a view: what they hold, and what each value grew by.

use std::time::{Duration, Instant};

use super::frame::{Frame, Room, Seen};
use super::{Order, Subject};
use crate::config::{Config, ControlCharacters};
use crate::error::Result;
use crate::repl::shell::Shell;
use crate::value::MapReport;

/// Maps that are looked at.
pub struct Maps {
    which: Which,
    /// What was read last, and before that.
    reports: Vec<MapReport>,
    seen: Option<(Seen, Duration)>,
    at: Instant,
    config: Config,
}

/// Which maps are looked at.
pub enum Which {
    Named(Vec<String>),
    /// Those that programs use, as long as any run.
    Used,
}

impl Maps {
    pub fn new(which: Which) -> Maps {
        // What traced processes call themselves must not command the terminal.
        let config = Config { control_characters: ControlCharacters::Escaped, ..Config::default() };
        Maps { which, reports: Vec::new(), seen: None, at: Instant::now(), config }
    }
}

impl Subject for Maps {
    fn name(&self) -> String {
        match &self.which {
            Which::Named(names) => names.join(" "),
            Which::Used => "all maps".to_string(),
        }
    }

    fn look(&mut self, shell: &mut Shell<'_>) -> Result<()> {
        let reports = match &self.which {
            Which::Named(names) => shell.reports(names)?,
            Which::Used => shell.reports(&shell.used_maps())?,
        };
        if !self.reports.is_empty() {
            self.seen = Some((Seen::of(&self.reports, &self.config), self.at.elapsed()));
        }
        self.reports = reports;
        self.at = Instant::now();
        Ok(())
    }

    fn reset(&mut self, shell: &mut Shell<'_>) -> Result<()> {
        self.reports.iter().try_for_each(|report| shell.workspace.empty(&report.name))?;
        self.reports.clear();
        self.seen = None;
        self.look(shell)
    }

    fn lines(&self, order: Order, room: Room) -> Vec<String> {
        let before = self.seen.as_ref().map(|(seen, time)| (seen, *time));
        Frame { before, order, room, config: &self.config }.lines(&self.reports)
    }

    fn is_over(&self, shell: &Shell<'_>) -> bool {
        matches!(self.which, Which::Used) && shell.workspace.numbers().is_empty()
    }
}
