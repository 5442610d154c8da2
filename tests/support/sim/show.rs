//! What a user would see of what programs left behind: records acted upon and maps printed by the runtime's own code.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use rtrace::config::Config;
use rtrace::diag::{Place, Style};
use rtrace::error::Result;
use rtrace::kernel::Kernel;
use rtrace::plan::{Host, MapId, Plan, Role};
use rtrace::report::pcap::Packet;
use rtrace::report::text::TextSink;
use rtrace::report::{Chattiness, Manner, Sink, Warnings};
use rtrace::runtime::Shown;
use rtrace::source::Span;

use super::store::{ONLY, Store};

/// The output of a session whose programs have all run.
pub fn output(plan: &Plan, kernel: &dyn Kernel, store: Store) -> Result<String> {
    let out = Output::default();
    let config = plan.config.clone();
    let chatter = Box::new(std::io::sink());
    let manner =
        Manner { chattiness: Chattiness::Quiet, warnings: Warnings::Shown, style: Style::Plain, columns: usize::MAX };
    let sink = TextSink::new(Box::new(out.clone()), chatter, config, manner);
    let mut desk = Desk { plan, store, shown: Shown::new(plan, kernel)?, sink: Box::new(sink), ended: false };
    for record in desk.store.records.clone() {
        let action = &plan.actions[record.action];
        let values = desk.shown.values(action, &record.fields);
        // After an exit, what follows is dropped.
        if !desk.ended {
            (action.act)(action, &values, &mut desk)?;
        }
    }
    desk.print_all()?;
    let text = out.0.borrow();
    Ok(String::from_utf8_lossy(&text).into_owned())
}

struct Desk<'a> {
    plan: &'a Plan,
    store: Store,
    shown: Shown<'a>,
    sink: Box<dyn Sink>,
    ended: bool,
}

impl Desk<'_> {
    fn print_all(&mut self) -> Result<()> {
        let mut maps: Vec<(&str, MapId)> = Vec::new();
        for (id, map) in self.plan.maps.iter() {
            if let Role::User { name, key, .. } = &map.role
                && (key.is_some() || self.is_assigned(id))
            {
                maps.push((name, id));
            }
        }
        maps.sort_unstable();
        maps.into_iter().try_for_each(|(_, id)| self.print_map(id, 0, 1))
    }

    /// Whether a scalar map bears its mark on any CPU.
    fn is_assigned(&self, id: MapId) -> bool {
        let Role::User { value, .. } = &self.plan.maps[id].role else { return false };
        let mark = Plan::mark_offset(value) as usize;
        self.store.maps[id.0 as usize].entries[&ONLY[..]].iter().any(|slot| slot[mark] != 0)
    }
}

impl Host for Desk<'_> {
    fn sink(&mut self) -> &mut dyn Sink {
        &mut *self.sink
    }

    fn config(&self) -> &Config {
        &self.plan.config
    }

    /// The reader keeps up with the programs here, so an interval ends when its map is emptied.
    fn end_interval(&mut self, _: MapId) -> Result<()> {
        Ok(())
    }

    fn print_map(&mut self, map: MapId, top: u64, div: u64) -> Result<()> {
        let entries: Vec<_> = self.store.map(map).entries.clone().into_iter().collect();
        let report = self.shown.map(map, &entries, top, div);
        report.map_or(Ok(()), |report| self.sink.map(&report))
    }

    fn clear_map(&mut self, map: MapId) -> Result<()> {
        let Role::User { key, .. } = &self.plan.maps[map].role else { return Ok(()) };
        match key {
            Some(_) => self.store.map(map).entries.clear(),
            None => self.store.map(map).entries.values_mut().flatten().for_each(|slot| slot.fill(0)),
        }
        Ok(())
    }

    fn zero_map(&mut self, map: MapId) -> Result<()> {
        let Role::User { key, value, .. } = &self.plan.maps[map].role else { return Ok(()) };
        let mark = Plan::mark_offset(value) as usize;
        for slot in self.store.map(map).entries.values_mut().flatten() {
            slot.fill(0);
            if key.is_none() {
                slot[mark] = 1;
            }
        }
        Ok(())
    }

    fn exit(&mut self, _: i64) {
        self.ended = true;
    }

    fn place(&self, _: Span) -> Option<Place> {
        None
    }

    fn fail(&mut self) {
        self.ended = true;
    }

    fn remember_process(&mut self, _: u32) {}

    fn capture(&mut self, _: &str, _: u64, _: Packet<'_>) -> Result<()> {
        Ok(())
    }

    fn unwatch(&mut self, _: u64) -> bool {
        false
    }
}

/// Text that can be looked at after its writer is gone.
#[derive(Clone, Default)]
struct Output(Rc<RefCell<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
