//! The unwind tables of traced processes, written to where programs look for them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::mappings::{self, FileId, Mapping, Origin};
use super::maps::Maps;
use super::user_symbols;
use crate::error::Result;
use crate::kernel::{FrameRegister, Kernel, Rule, UnwindTable};
use crate::plan::{MapId, Plan, Role, unwind};

/// What has been written so far, and for which mappings.
pub struct Unwinding {
    processes: MapId,
    ranges: MapId,
    rows: MapId,
    used: u32,
    files: HashMap<FileId, Option<Written>>,
    unwound: Vec<Process>,
    looked: Instant,
}

struct Process {
    pid: u32,
    /// The number by which programs know it.
    known_as: u32,
    /// Where its ranges begin.
    first: u32,
    shown: Vec<Mapping>,
}

struct Written {
    table: UnwindTable,
    first: u32,
    count: u32,
}

/// Libraries may be loaded at any time; this is how often that is looked for.
const LOOK: Duration = Duration::from_millis(100);

impl Unwinding {
    /// `None` if no program of the plan asks for such stacks.
    pub fn new(plan: &Plan, kernel: &dyn Kernel) -> Option<Unwinding> {
        let (processes, pids) = plan.unwound()?;
        let process = |(number, pid): (u32, &u32)| Process {
            pid: *pid,
            known_as: known_as(*pid, kernel),
            first: number * unwind::RANGES,
            shown: Vec::new(),
        };
        Some(Unwinding {
            processes,
            ranges: plan.map_of(&Role::UnwindRanges)?,
            rows: plan.map_of(&Role::UnwindRows)?,
            used: 0,
            files: HashMap::new(),
            unwound: (0..).zip(pids).map(process).collect(),
            looked: Instant::now(),
        })
    }

    /// Looks at the processes' mappings again, if it is time to.
    pub fn follow(&mut self, maps: &Maps) -> Result<()> {
        if self.looked.elapsed() < LOOK { Ok(()) } else { self.look(maps) }
    }

    /// Writes the tables of what the processes have mapped.
    pub fn look(&mut self, maps: &Maps) -> Result<()> {
        self.looked = Instant::now();
        (0..self.unwound.len()).try_for_each(|number| self.look_at(number, maps))
    }

    fn look_at(&mut self, number: usize, maps: &Maps) -> Result<()> {
        let Process { pid, known_as, first, ref shown } = self.unwound[number];
        let code = mappings::of_process(pid);
        if code.is_empty() || code == *shown {
            return Ok(());
        }
        let mut ranges = vec![range([0; 3], 0, 0)];
        for mapping in &code {
            if let Some(entry) = self.range(pid, mapping, maps)? {
                ranges.push(entry);
            }
        }
        ranges.resize(unwind::RANGES as usize, range([unwind::NOWHERE, 0, 0], 0, 0));
        self.unwound[number].shown = code;
        maps.write_from(self.ranges, first, &ranges.concat())?;
        maps.write_from(self.processes, known_as, &first.to_ne_bytes())
    }

    /// The entry for a mapping; files without a table have none.
    fn range(&mut self, pid: u32, mapping: &Mapping, maps: &Maps) -> Result<Option<Vec<u8>>> {
        let Origin::File { id, path, offset } = &mapping.origin else { return Ok(None) };
        if !self.files.contains_key(id) {
            let written = self.write(pid, mapping, path, maps)?;
            self.files.insert(id.clone(), written);
        }
        let Some(Some(written)) = self.files.get(id) else { return Ok(None) };
        let Some(address) = written.table.address_of(*offset) else { return Ok(None) };
        let addresses = &mapping.addresses;
        let place = [addresses.start, addresses.end, addresses.start.wrapping_sub(address)];
        Ok(Some(range(place, written.first, written.count)))
    }

    fn write(&mut self, pid: u32, mapping: &Mapping, path: &str, maps: &Maps) -> Result<Option<Written>> {
        let Some(bytes) = user_symbols::open(pid, mapping, path) else { return Ok(None) };
        let Some(table) = UnwindTable::read(&bytes) else { return Ok(None) };
        let (first, count) = (self.used, table.rows.len() as u32);
        if count > unwind::ROWS - first {
            return Ok(None);
        }
        let rows: Vec<u8> =
            table.rows.iter().flat_map(|row| [row.pc, packed(row.rule)]).flat_map(u32::to_ne_bytes).collect();
        maps.write_from(self.rows, first, &rows)?;
        self.used += count;
        Ok(Some(Written { table, first, count }))
    }
}

/// What programs find to be the current process in our PID namespace: nothing, if it is in one of its own.
fn known_as(pid: u32, kernel: &dyn Kernel) -> u32 {
    match kernel.own_number(pid) {
        Some((namespace, _)) if Some(namespace) != kernel.pid_namespace() => 0,
        Some(_) | None => pid,
    }
}

fn range(place: [u64; 3], first: u32, count: u32) -> Vec<u8> {
    place.into_iter().flat_map(u64::to_ne_bytes).chain([first, count].into_iter().flat_map(u32::to_ne_bytes)).collect()
}

/// What does not fit ends the stack.
fn packed(rule: Rule) -> u32 {
    let (kind, offset, saved) = match rule {
        Rule::Stop => (unwind::STOP, 0, None),
        Rule::Linkage => (unwind::IN_LINKAGE, 0, None),
        Rule::Above { register: FrameRegister::StackPointer, offset, saved } => (unwind::BY_SP, offset, saved),
        Rule::Above { register: FrameRegister::FramePointer, offset, saved } => (unwind::BY_BP, offset, saved),
    };
    let (words, slot) = (offset / 8, saved.map_or(0, |bytes| bytes / 8));
    let fits = offset % 8 == 0 && saved.is_none_or(|bytes| bytes % 8 == 0 && bytes > 0);
    if !fits || i64::from(slot) > unwind::SLOTS || words >= 1 << (32 - unwind::OFFSET_SHIFT) {
        return unwind::STOP as u32;
    }
    kind as u32 | slot << unwind::SLOT_SHIFT | words << unwind::OFFSET_SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_fit_a_word() {
        let above = |offset, saved| Rule::Above { register: FrameRegister::StackPointer, offset, saved };
        assert_eq!(packed(above(8, None)), 1 | 1 << 10);
        assert_eq!(packed(above(64, Some(16))), 1 | 2 << 2 | 8 << 10);
        assert_eq!((packed(above(12, None)), packed(above(1 << 30, None)), packed(Rule::Linkage)), (0, 0, 3));
    }
}
