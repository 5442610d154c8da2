//! What actions may ask of the session whose record they act on.

use super::{FAILED, State};
use crate::config::Config;
use crate::diag::{self, Place};
use crate::error::Result;
use crate::plan::{Host, MapId, Role};
use crate::report::Sink;
use crate::report::pcap::Packet;
use crate::runtime::order::Choice;
use crate::runtime::records::Reader;
use crate::source::Span;

/// Where actions come to ask.
pub struct Desk<'d, 'k> {
    pub state: &'d mut State<'k>,
    pub sink: &'d mut dyn Sink,
}

impl Reader for Desk<'_, '_> {
    /// After an exit, records are dropped.
    fn record(&mut self, bytes: &[u8]) -> Result<()> {
        if self.state.exit.is_some() { Ok(()) } else { self.state.act(bytes, self.sink) }
    }

    fn pause(&mut self) -> Result<()> {
        self.state.captures.flush()?;
        self.sink.flush()
    }
}

impl Desk<'_, '_> {
    fn emptied(&mut self, map: MapId) -> Result<()> {
        match &self.state.plan.maps[map].role {
            Role::User { name, .. } => self.sink.emptied(name),
            _ => Ok(()),
        }
    }
}

impl Host for Desk<'_, '_> {
    fn sink(&mut self) -> &mut dyn Sink {
        self.sink
    }

    fn config(&self) -> &Config {
        &self.state.plan.config
    }

    fn print_map(&mut self, map: MapId, top: u64, div: u64) -> Result<()> {
        self.state.print(map, Choice { top, div }, self.sink)
    }

    fn end_interval(&mut self, map: MapId) -> Result<()> {
        self.state.maps.end_interval(map)
    }

    fn clear_map(&mut self, map: MapId) -> Result<()> {
        self.state.maps.clear(map)?;
        self.emptied(map)
    }

    fn zero_map(&mut self, map: MapId) -> Result<()> {
        self.state.maps.zero(map)?;
        self.emptied(map)
    }

    fn exit(&mut self, code: i64) {
        self.state.exit = Some(code);
    }

    fn place(&self, span: Span) -> Option<Place> {
        diag::place(span, &self.state.sources)
    }

    fn fail(&mut self) {
        self.state.exit = Some(FAILED);
        self.state.failures += 1;
    }

    fn remember_process(&mut self, pid: u32) {
        self.state.symbols.remember(pid);
    }

    fn capture(&mut self, file: &str, since_boot: u64, packet: Packet<'_>) -> Result<()> {
        let State { captures, boot, .. } = &mut *self.state;
        captures.add(file, *boot + i128::from(since_boot), &packet)
    }

    fn unwatch(&mut self, address: u64) -> bool {
        self.state.links.unwatch(address)
    }
}
