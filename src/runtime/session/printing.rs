//! Maps become reports, which a sink is given.

use std::rc::Rc;

use super::State;
use crate::error::Result;
use crate::plan::{MapId, Role};
use crate::report::Sink;
use crate::runtime::content::Entry;
use crate::runtime::order::Choice;
use crate::runtime::shown::map_report;
use crate::types::{Aggregate, MapValue};

impl State<'_> {
    /// All maps that have something to show, by name.
    pub(super) fn print_all(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let plan = Rc::clone(&self.plan);
        let mut maps: Vec<(&str, MapId)> = Vec::new();
        for (id, map) in plan.maps.iter() {
            let Role::User { name, value, .. } = &map.role else { continue };
            // An array always has its entry; whether that was ever assigned, its mark tells.
            if map.mark().is_none() || self.maps.read_all(id)?.iter().any(|entry| entry.is_marked(value)) {
                maps.push((name, id));
            }
        }
        maps.sort_unstable();
        maps.into_iter().try_for_each(|(_, id)| {
            let entries = self.maps.read_all(id)?;
            self.show(id, &entries, Choice { top: self.top, ..Choice::ALL }, sink)
        })
    }

    pub(super) fn print(&mut self, id: MapId, choice: Choice, sink: &mut dyn Sink) -> Result<()> {
        let entries = self.maps.read(id)?;
        if choice.top > 0 && self.has_quantiles(id) {
            let plan = Rc::clone(&self.plan);
            let all = map_report(&mut self.decoder(), &plan, id, &entries, Choice::ALL);
            all.map_or(Ok(()), |all| sink.counted(&all))?;
        }
        self.show(id, &entries, choice, sink)
    }

    fn has_quantiles(&self, id: MapId) -> bool {
        matches!(self.plan.maps[id].role, Role::User { value: MapValue::Aggregate(Aggregate::Quantiles), .. })
    }

    fn show(&mut self, id: MapId, entries: &[Entry], choice: Choice, sink: &mut dyn Sink) -> Result<()> {
        let plan = Rc::clone(&self.plan);
        let report = map_report(&mut self.decoder(), &plan, id, entries, choice);
        report.map_or(Ok(()), |report| sink.map(&report))
    }
}
