//! Register allocation: virtual registers that can share are merged, groups of them get machine registers, and what finds
//! none moves to the frame, until everything fits.
//!
//! Programs are short and ten registers are few, of which calls leave four: what matters is that values used around calls
//! get those four, that arguments are computed where they are passed, and that nothing is copied for the sake of the
//! two-address machine. Live ranges have holes, so a register may hold one value in two arms of a branch and another
//! between them.

use std::collections::{HashMap, HashSet};

use super::asm::{Operand, Slot, VReg};
use super::fold::Facts;
use super::insn::Reg;
use super::lir::{Function, LOW_HALF, Op, commutes};
use super::live::{Live, POINTS, Segment, WRITE, overlap, overlaps};
use super::{color, spill};

/// The machine register of each virtual one; `None` where nothing uses it.
pub(super) type Registers = Vec<Option<Reg>>;

/// Rewrites the function until every register it uses has a machine register.
pub(super) fn allocate(function: &mut Function, facts: &mut Facts, slots: &mut Vec<u32>) -> Registers {
    let mut temporaries = HashSet::new();
    let mut apart = HashSet::new();
    loop {
        let groups = Groups::of(function, Live::of(function, facts.len()), &apart, &temporaries);
        let failed = match color::color(function, &groups, &temporaries) {
            Ok(registers) => return registers,
            Err(failed) => failed,
        };
        // What was merged only to save a move is tried in parts before it goes to memory.
        let mut loose = failed.iter().filter(|root| groups.loose[**root]).copied().peekable();
        if loose.peek().is_some() {
            let loose: HashSet<usize> = loose.collect();
            apart.extend(groups.members().filter(|(root, _)| loose.contains(root)).map(|(_, reg)| reg));
            continue;
        }
        let homes: HashMap<usize, Slot> =
            (slots.len() as u32..).zip(failed).map(|(slot, root)| (root, Slot(slot))).collect();
        slots.extend(homes.iter().map(|_| 8));
        let spilled: Vec<Option<Slot>> = groups.members().map(|(root, _)| homes.get(&root).copied()).collect();
        spill::rewrite(function, facts, &spilled, &mut temporaries);
    }
}

/// Virtual registers that share a place: because copies connect them, or because one is computed from another that ends there
/// and the machine computes in place.
pub(super) struct Groups {
    parents: Vec<u32>,
    /// By root: the joint live range.
    pub ranges: Vec<Vec<Segment>>,
    /// By root: the points of all definitions, in order.
    definitions: Vec<Vec<u32>>,
    pub depths: Vec<u32>,
    /// By root: whether more than copies holds the group together.
    loose: Vec<bool>,
}

impl Groups {
    /// Registers in `apart` join by copies only, and temporaries not at all.
    fn of(function: &Function, live: Live, apart: &HashSet<VReg>, temporaries: &HashSet<VReg>) -> Groups {
        let mut definitions = vec![Vec::new(); live.ranges.len()];
        for (at, inst) in (0..).zip(function.insts()) {
            if let Some(reg) = inst.op.def() {
                definitions[reg.0 as usize].push(at * POINTS + WRITE);
            }
        }
        let parents = (0..live.ranges.len() as u32).collect();
        let loose = vec![false; live.ranges.len()];
        let mut groups = Groups { parents, ranges: live.ranges, definitions, depths: live.depths, loose };
        groups.join_copies(function);
        groups.join_in_place(function, |reg| !apart.contains(&reg) && !temporaries.contains(&reg));
        groups
    }

    fn join_copies(&mut self, function: &Function) {
        let mut first = 0;
        for block in &function.blocks {
            let end = (first + block.insts.len() as u32) * POINTS;
            for (at, inst) in (first..).zip(&block.insts) {
                if let Op::Copy { to, from } = inst.op {
                    self.try_merge(to, from, at * POINTS + WRITE, end);
                }
            }
            first += block.insts.len() as u32;
        }
    }

    /// Gives results the place of an operand that ends there, where the machine would otherwise have to copy it.
    fn join_in_place(&mut self, function: &Function, joins: impl Fn(VReg) -> bool) {
        for inst in function.insts() {
            let Op::Alu { op, to, left, right } = inst.op else { continue };
            let right = match right {
                Operand::Reg(right) if commutes(op) => Some(right),
                // A 32-bit move: it takes its operand from anywhere.
                Operand::Imm(LOW_HALF) => continue,
                Operand::Reg(_) | Operand::Imm(_) => None,
            };
            if let Some(from) = [Some(left), right].into_iter().flatten().find(|from| self.are_apart(to, *from))
                && joins(to)
                && joins(from)
            {
                self.merge_in_place(to, from);
            }
        }
    }

    pub fn root(&self, reg: VReg) -> usize {
        let mut at = reg.0;
        while self.parents[at as usize] != at {
            at = self.parents[at as usize];
        }
        at as usize
    }

    /// Every register, in order, with the root of its group.
    fn members(&self) -> impl Iterator<Item = (usize, VReg)> + '_ {
        (0..self.parents.len() as u32).map(|reg| (self.root(VReg(reg)), VReg(reg)))
    }

    fn try_merge(&mut self, to: VReg, from: VReg, copied: u32, block_end: u32) {
        let (to, from) = (self.root(to), self.root(from));
        if to != from && self.may_share(to, from, copied, block_end) {
            self.merge(to, from);
        }
    }

    fn are_apart(&self, to: VReg, from: VReg) -> bool {
        let (to, from) = (self.root(to), self.root(from));
        to != from && !overlap(&self.ranges[to], &self.ranges[from])
    }

    fn merge_in_place(&mut self, to: VReg, from: VReg) {
        let (to, from) = (self.root(to), self.root(from));
        self.merge(to, from);
        self.loose[to] = true;
    }

    /// Makes one group of two, by their roots.
    fn merge(&mut self, to: usize, from: usize) {
        let moved = std::mem::take(&mut self.ranges[from]);
        self.ranges[to] = union(&self.ranges[to], &moved);
        let mut moved = std::mem::take(&mut self.definitions[from]);
        self.definitions[to].append(&mut moved);
        self.definitions[to].sort_unstable();
        self.parents[from] = to as u32;
        self.loose[to] |= self.loose[from];
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

/// The segments of both, in order; those that touch are joined.
fn union(a: &[Segment], b: &[Segment]) -> Vec<Segment> {
    let mut joined: Vec<Segment> = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let Some(&segment) = match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if x.start <= y.start => a.next(),
        (_, Some(_)) => b.next(),
        (_, None) => a.next(),
    } {
        match joined.last_mut() {
            Some(last) if last.end >= segment.start => last.end = last.end.max(segment.end),
            _ => joined.push(segment),
        }
    }
    joined
}
