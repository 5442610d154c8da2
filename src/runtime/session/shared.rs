//! What a shell asks of a session that runs beside others: its maps and programs, and to be put out of the way for a while.

use std::os::fd::AsFd;
use std::rc::Rc;

use super::{Look, Session};
use crate::bpf::unit::Unit;
use crate::error::Result;
use crate::plan::{MapId, Plan, Role};
use crate::report::Sink;
use crate::runtime::attach::{Attached, Placed};
use crate::runtime::maps::Pool;
use crate::runtime::order::Choice;
use crate::runtime::shown::map_report;
use crate::runtime::sys;
use crate::value::MapReport;

/// What the kernel has counted for one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The first of its targets.
    pub probe: String,
    pub hits: u64,
    pub nanoseconds: u64,
    /// Hits that it was not run for, as it was running already.
    pub missed: u64,
}

impl Session<'_> {
    /// Lets sessions to come use the maps of this one.
    pub fn share(&self, pool: &mut Pool) {
        self.state.maps.share(&self.state.plan, pool);
    }

    pub fn plan(&self) -> &Plan {
        &self.state.plan
    }

    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// The full names of all probes.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.units.iter().flat_map(|unit| &unit.targets).map(|target| target.name.as_str())
    }

    /// Whether there is anything that can happen yet, rather than what ran at the start.
    pub fn is_lasting(&self) -> bool {
        !self.alone
    }

    /// Detaches everything; programs and maps stay.
    pub fn pause(&mut self, sink: &mut dyn Sink) -> Result<()> {
        std::mem::take(&mut self.state.links).detach();
        while self.look(sink)? == Look::Busy {}
        Ok(())
    }

    /// Attaches again what [`Session::pause`] has detached.
    pub fn resume(&mut self) -> Result<()> {
        let programs: Vec<_> = self.programs.iter().map(|(_, program)| Rc::clone(program)).collect();
        let placed = Placed::again(&self.units, &programs, self.state.kernel)?;
        let missing = self.state.plan.config.missing_probes;
        let Attached { links, skipped, visit, pin } = placed.attach(self.state.kernel, missing)?;
        self.state.links = links;
        self.skipped = skipped;
        self.visit = visit;
        self.pin = pin;
        Ok(())
    }

    /// Has the end say nothing of the maps.
    pub fn silence(&mut self) {
        Rc::make_mut(&mut self.state.plan).config.print_maps_on_exit = false;
    }

    /// The maps of the script, by name.
    pub fn map_names(&self) -> impl Iterator<Item = &str> {
        self.user_maps().map(|(name, _)| name)
    }

    /// A map as it is now; `None` if there is nothing to show, or no such map.
    pub fn report(&mut self, name: &str) -> Result<Option<MapReport>> {
        let Some(id) = self.find(name) else { return Ok(None) };
        let plan = Rc::clone(&self.state.plan);
        let entries = self.state.maps.read(id)?;
        Ok(map_report(&mut self.state.decoder(), &plan, id, &entries, Choice::ALL))
    }

    /// Removes all entries of a map.
    pub fn clear(&self, name: &str) -> Result<()> {
        self.find(name).map_or(Ok(()), |id| self.state.maps.clear(id))
    }

    /// What the kernel has counted for each program, while [`count_usage`](crate::runtime::count_usage) has it count.
    pub fn usage(&self) -> Vec<Usage> {
        let of = |(name, program): &(String, Rc<_>)| {
            let counted = sys::program::usage(AsFd::as_fd(&**program)).unwrap_or_default();
            let [hits, nanoseconds, missed] = counted;
            Usage { probe: name.clone(), hits, nanoseconds, missed }
        };
        self.programs.iter().map(of).collect()
    }

    fn user_maps(&self) -> impl Iterator<Item = (&str, MapId)> {
        self.state.plan.maps.iter().filter_map(|(id, map)| match &map.role {
            Role::User { name, .. } => Some((name.as_str(), id)),
            _ => None,
        })
    }

    fn find(&self, name: &str) -> Option<MapId> {
        self.user_maps().find(|(other, _)| *other == name).map(|(_, id)| id)
    }
}
