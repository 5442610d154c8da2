//! Liveness: where in the code each virtual register holds a value that is still wanted.
//!
//! First the sets of registers wanted after each block, going backwards until nothing changes; then, within each block, the
//! ranges from definitions to last uses.

use super::asm::{Label, VReg};
use super::flow::Positions;
use super::lir::{Block, Function, Op, Read};

/// Each instruction has four points: reads happen at `EARLY`, calls destroy registers at `CLOBBER`, writes happen at `WRITE`.
pub(super) const POINTS: u32 = 4;
pub(super) const CLOBBER: u32 = 1;
pub(super) const WRITE: u32 = 2;

/// A half-open range of points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub start: u32,
    pub end: u32,
}

/// The live ranges of a function's registers.
pub(super) struct Live {
    /// By register number: disjoint segments in ascending order, empty for registers of no use.
    pub ranges: Vec<Vec<Segment>>,
    /// Loop depth of each instruction.
    pub depths: Vec<u32>,
}

impl Live {
    pub fn of(function: &Function, regs: usize) -> Live {
        let flow = Flow::of(&function.blocks);
        let mut after = wanted_after(&function.blocks, &flow, regs);
        let mut ranges = vec![Vec::new(); regs];
        for (at, block) in function.blocks.iter().enumerate().rev() {
            scan(block, flow.starts[at], &after.of_block(at), &mut ranges);
        }
        for range in &mut ranges {
            range.reverse();
        }
        Live { ranges, depths: flow.depths(&function.blocks) }
    }
}

/// Whether two ranges have a point in common.
pub(super) fn overlap(a: &[Segment], b: &[Segment]) -> bool {
    overlaps(a, b).next().is_some()
}

/// The common points of two ranges, in order.
pub(super) fn overlaps<'a>(a: &'a [Segment], b: &'a [Segment]) -> impl Iterator<Item = Segment> + 'a {
    let (mut i, mut j) = (0, 0);
    std::iter::from_fn(move || {
        while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
            let common = Segment { start: x.start.max(y.start), end: x.end.min(y.end) };
            if x.end < y.end {
                i += 1
            } else {
                j += 1
            }
            if common.start < common.end {
                return Some(common);
            }
        }
        None
    })
}

/// Blocks by position: where each begins, and where control goes from it.
pub(super) struct Flow {
    /// Index of each block's first instruction.
    pub starts: Vec<u32>,
    pub successors: Vec<[Option<usize>; 2]>,
}

impl Flow {
    pub fn of(blocks: &[Block]) -> Flow {
        let positions = Positions::of(blocks);
        let mut starts = Vec::with_capacity(blocks.len());
        let mut count = 0;
        for block in blocks {
            starts.push(count);
            count += block.insts.len() as u32;
        }
        let position = |label: Option<Label>| label.map(|label| positions[label]);
        let successors = blocks.iter().map(|block| block.successors().map(position)).collect();
        Flow { starts, successors }
    }

    /// Loops, as ranges of blocks: from the target of each backward jump to the block that jumps.
    pub fn loops(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.successors.iter().enumerate().flat_map(|(from, successors)| {
            successors.iter().flatten().filter(move |to| **to <= from).map(move |&to| (to, from))
        })
    }

    fn depths(&self, blocks: &[Block]) -> Vec<u32> {
        let mut depths = vec![0; blocks.len()];
        for (head, last) in self.loops() {
            depths[head..=last].iter_mut().for_each(|depth| *depth += 1);
        }
        blocks.iter().zip(depths).flat_map(|(block, depth)| std::iter::repeat_n(depth, block.insts.len())).collect()
    }
}

/// Sets of registers, one for each block: a bit for each register.
#[derive(Clone)]
pub(super) struct RegSets {
    words: Vec<u64>,
    /// Words of one set.
    len: usize,
}

impl RegSets {
    fn new(blocks: usize, regs: usize) -> RegSets {
        let len = regs.div_ceil(64);
        RegSets { words: vec![0; blocks * len], len }
    }

    pub fn of_block(&mut self, at: usize) -> RegSet<'_> {
        RegSet(&mut self.words[at * self.len..][..self.len])
    }

    fn words(&self, at: usize) -> &[u64] {
        &self.words[at * self.len..][..self.len]
    }
}

/// A set of registers.
pub(super) struct RegSet<'a>(&'a mut [u64]);

impl RegSet<'_> {
    pub fn insert(&mut self, reg: VReg) {
        self.0[reg.0 as usize / 64] |= 1 << (reg.0 % 64);
    }

    pub fn remove(&mut self, reg: VReg) {
        self.0[reg.0 as usize / 64] &= !(1 << (reg.0 % 64));
    }

    pub fn contains(&self, reg: VReg) -> bool {
        self.0[reg.0 as usize / 64] & 1 << (reg.0 % 64) != 0
    }

    /// Goes back over an instruction: from what is wanted after it to what is wanted before.
    pub fn step_back(&mut self, op: &Op) {
        op.def().into_iter().for_each(|reg| self.remove(reg));
        op.each_use(|reg, _| self.insert(reg));
    }

    fn add(&mut self, other: &[u64]) {
        self.0.iter_mut().zip(other).for_each(|(mine, theirs)| *mine |= theirs);
    }

    fn iter(&self) -> impl Iterator<Item = VReg> + '_ {
        self.0.iter().zip((0..).step_by(64)).flat_map(|(&word, first)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(VReg(first + bit))
            })
        })
    }
}

/// The registers wanted after each block.
pub(super) fn wanted_after(blocks: &[Block], flow: &Flow, regs: usize) -> RegSets {
    let (read, set) = effects(blocks, regs);
    // Before each block.
    let mut before = RegSets::new(blocks.len(), regs);
    let mut after = before.clone();
    let has_loops = flow.loops().next().is_some();
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for at in (0..blocks.len()).rev() {
            let mut out = after.of_block(at);
            flow.successors[at].iter().flatten().for_each(|next| out.add(before.words(*next)));
            let effect = read.words(at).iter().zip(set.words(at));
            for (wanted, (out, (read, set))) in before.of_block(at).0.iter_mut().zip(out.0.iter().zip(effect)) {
                // Without loops, all that follows a block was looked at before it.
                changed |= std::mem::replace(wanted, out & !set | read) != *wanted && has_loops;
            }
        }
    }
    after
}

/// What each block reads before it sets it, and what it sets.
fn effects(blocks: &[Block], regs: usize) -> (RegSets, RegSets) {
    let (mut read, mut set) = (RegSets::new(blocks.len(), regs), RegSets::new(blocks.len(), regs));
    for (at, block) in blocks.iter().enumerate() {
        let (mut read, mut set) = (read.of_block(at), set.of_block(at));
        for inst in block.insts.iter().rev() {
            inst.op.def().into_iter().for_each(|reg| set.insert(reg));
            read.step_back(&inst.op);
        }
    }
    (read, set)
}

/// Adds the segments within one block, last first.
fn scan(block: &Block, first: u32, out: &RegSet<'_>, ranges: &mut [Vec<Segment>]) {
    let start = first * POINTS;
    let end = start + block.insts.len() as u32 * POINTS;
    for reg in out.iter() {
        extend(&mut ranges[reg.0 as usize], start, end);
    }
    for (at, inst) in block.insts.iter().enumerate().rev() {
        let point = (first + at as u32) * POINTS;
        if let Some(reg) = inst.op.def() {
            define(&mut ranges[reg.0 as usize], start, point + WRITE);
        }
        inst.op.each_use(|reg, read| {
            let end = match read {
                Read::Early => point + CLOBBER,
                Read::Late => point + POINTS,
            };
            extend(&mut ranges[reg.0 as usize], start, end);
        });
    }
}

/// The register is live from the start of the block (as far as is known yet) to `end`.
fn extend(range: &mut Vec<Segment>, start: u32, end: u32) {
    match range.last_mut() {
        Some(last) if last.start <= end => {
            last.start = start;
            last.end = last.end.max(end);
        }
        _ => range.push(Segment { start, end }),
    }
}

/// The register's life within this block begins at `point`; one that nothing reads still occupies its register there.
fn define(range: &mut Vec<Segment>, start: u32, point: u32) {
    match range.last_mut() {
        Some(last) if last.start == start && last.end > point => last.start = point,
        _ => range.push(Segment { start: point, end: point + POINTS - WRITE }),
    }
}
