//! The end of a run: first nothing is counted any more, then all is told.

use super::{Completeness, Ending, Session};
use crate::error::Result;
use crate::report::Sink;
use crate::runtime::ledger::Unserved;
use crate::runtime::records::Patience;

/// What is left to be told of a run that has stopped.
#[derive(Debug, Clone, Default)]
pub struct Stopped {
    unserved: Unserved,
    code: i64,
}

impl Session<'_> {
    /// Detaches and runs the `end` probes. From then on the maps stay as they are.
    pub fn stop(&mut self, sink: &mut dyn Sink) -> Result<()> {
        if self.stopped.is_none() {
            self.stopped = Some(self.stopped(sink)?);
        }
        Ok(())
    }

    fn stopped(&mut self, sink: &mut dyn Sink) -> Result<Stopped> {
        let unserved = Unserved { missed: self.state.links.missed(), due: self.state.links.stop_clocks() };
        self.state.maps.end_session(&self.state.plan)?;
        drop(std::mem::take(&mut self.state.links));
        self.state.maps.settle()?;
        self.drain(sink, Patience::None, self.records.waiting())?;
        // What was asked before does not silence the end.
        let asked = self.state.exit.take();
        self.runs.end.iter().try_for_each(|run| run.run().map(drop))?;
        self.drain(sink, Patience::None, self.records.waiting())?;
        Ok(Stopped { unserved, code: self.state.exit.or(asked).unwrap_or(0) })
    }

    /// Stops, prints the maps and the account of what was lost.
    pub fn finish(mut self, sink: &mut dyn Sink) -> Result<Ending> {
        self.stop(sink)?;
        let Stopped { unserved, code } = self.stopped.take().unwrap_or_default();
        self.warnings.tell(&self.state.maps, sink)?;
        self.warnings.total(sink)?;
        sink.finale()?;
        if self.state.plan.config.print_maps_on_exit {
            self.state.print_all(sink)?;
        }
        let losses = self.ledger.close(&self.state.maps, unserved)?;
        sink.losses(&losses)?;
        sink.end()?;
        let completeness = if losses.is_empty() { Completeness::Whole } else { Completeness::Lossy };
        Ok(Ending { code: (code & 0xff) as i32, completeness })
    }
}
