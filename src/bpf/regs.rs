//! Register allocation: virtual registers that can share are merged, groups of them get machine registers, and what finds
//! none moves to the frame, until everything fits.

use std::collections::HashSet;

use super::asm::{Slot, VReg};
use super::fold::Facts;
use super::insn::Reg;
use super::lir::{Function, Op};
use super::live::{Live, POINTS, Segment, WRITE, overlaps};
use super::{color, spill};

/// The machine register of each virtual one; `None` where nothing uses it.
pub(super) type Registers = Vec<Option<Reg>>;

/// Rewrites the function until every register it uses has a machine register.
pub(super) fn allocate(function: &mut Function, facts: &mut Facts, slots: &mut Vec<u32>) -> Registers {
    let mut temporaries = HashSet::new();
    loop {
        let live = Live::of(function, facts.len());
        let groups = Groups::coalesce(function, live);
        match color::color(function, &groups, &temporaries) {
            Ok(registers) => return registers,
            Err(roots) => {
                let spilled = groups.members(&roots, || {
                    slots.push(8);
                    Slot(slots.len() as u32 - 1)
                });
                spill::rewrite(function, facts, &spilled, &mut temporaries);
            }
        }
    }
}

/// Virtual registers that share a place because copies connect them.
pub(super) struct Groups {
    parents: Vec<u32>,
    /// By root: the joint live range.
    pub ranges: Vec<Vec<Segment>>,
    /// By root: the points of all definitions, in order.
    definitions: Vec<Vec<u32>>,
    pub depths: Vec<u32>,
}

impl Groups {
    fn coalesce(function: &Function, live: Live) -> Groups {
        let mut definitions = vec![Vec::new(); live.ranges.len()];
        for (at, inst) in (0..).zip(function.insts()) {
            if let Some(reg) = inst.op.def() {
                definitions[reg.0 as usize].push(at * POINTS + WRITE);
            }
        }
        let parents = (0..live.ranges.len() as u32).collect();
        let mut groups = Groups { parents, ranges: live.ranges, definitions, depths: live.depths };
        let mut first = 0;
        for block in &function.blocks {
            let end = (first + block.insts.len() as u32) * POINTS;
            for (at, inst) in (first..).zip(&block.insts) {
                if let Op::Copy { to, from } = inst.op {
                    groups.try_merge(to, from, at * POINTS + WRITE, end);
                }
            }
            first += block.insts.len() as u32;
        }
        groups
    }

    pub fn root(&self, reg: VReg) -> usize {
        let mut at = reg.0;
        while self.parents[at as usize] != at {
            at = self.parents[at as usize];
        }
        at as usize
    }

    /// The registers of these groups, each with a slot for its group.
    fn members(&self, roots: &[usize], mut slot: impl FnMut() -> Slot) -> Vec<Option<Slot>> {
        let mut slots = vec![None; self.parents.len()];
        for &root in roots {
            slots[root] = Some(slot());
        }
        (0..self.parents.len()).map(|reg| slots[self.root(VReg(reg as u32))]).collect()
    }

    fn try_merge(&mut self, to: VReg, from: VReg, copied: u32, block_end: u32) {
        let (to, from) = (self.root(to), self.root(from));
        if to == from || !self.may_share(to, from, copied, block_end) {
            return;
        }
        let ranges = [std::mem::take(&mut self.ranges[to]), std::mem::take(&mut self.ranges[from])];
        self.ranges[to] = union(ranges.concat());
        let mut moved = std::mem::take(&mut self.definitions[from]);
        self.definitions[to].append(&mut moved);
        self.definitions[to].sort_unstable();
        self.parents[from] = to as u32;
    }

    /// Whether one place can hold both: wherever both live, they are equal since the copy at `copied`.
    fn may_share(&self, to: usize, from: usize, copied: u32, block_end: u32) -> bool {
        let changes = |group: usize, segment: Segment| {
            let between = self.definitions[group].iter().skip_while(|point| **point <= segment.start);
            between.take_while(|point| **point < segment.end).next().is_some()
        };
        if self.definitions[to] == [copied] {
            return !self.ranges[to].iter().any(|segment| changes(from, *segment));
        }
        overlaps(&self.ranges[to], &self.ranges[from]).all(|common| {
            common.start == copied && common.end <= block_end && !changes(to, common) && !changes(from, common)
        })
    }
}

/// Segments in order, those that touch joined.
fn union(mut segments: Vec<Segment>) -> Vec<Segment> {
    segments.sort_unstable_by_key(|segment| segment.start);
    let mut joined: Vec<Segment> = Vec::with_capacity(segments.len());
    for segment in segments {
        match joined.last_mut() {
            Some(last) if last.end >= segment.start => last.end = last.end.max(segment.end),
            _ => joined.push(segment),
        }
    }
    joined
}
