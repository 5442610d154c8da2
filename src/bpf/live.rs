//! Liveness: where in the code each virtual register holds a value that is still wanted.
//!
//! First the sets of registers wanted after each block, going backwards until nothing changes; then, within each block, the
//! ranges from definitions to last uses.

use super::asm::VReg;
use super::flow;
use super::lir::{Block, Function, Read};

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
        let outs = live_outs(&function.blocks, &flow, regs);
        let mut ranges = vec![Vec::new(); regs];
        for (at, block) in function.blocks.iter().enumerate().rev() {
            scan(block, flow.starts[at], &outs[at], &mut ranges);
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
    pub successors: Vec<Vec<usize>>,
}

impl Flow {
    pub fn of(blocks: &[Block]) -> Flow {
        let index = flow::index(blocks);
        let mut starts = Vec::with_capacity(blocks.len());
        let mut count = 0;
        for block in blocks {
            starts.push(count);
            count += block.insts.len() as u32;
        }
        let successors = blocks
            .iter()
            .map(|block| block.successors().into_iter().flatten().map(|label| index[&label]).collect())
            .collect();
        Flow { starts, successors }
    }

    /// Loops, as ranges of blocks: from the target of each backward jump to the block that jumps.
    pub fn loops(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.successors
            .iter()
            .enumerate()
            .flat_map(|(from, successors)| successors.iter().filter(move |to| **to <= from).map(move |&to| (to, from)))
    }

    fn depths(&self, blocks: &[Block]) -> Vec<u32> {
        let mut depths = vec![0; blocks.len()];
        for (head, last) in self.loops() {
            depths[head..=last].iter_mut().for_each(|depth| *depth += 1);
        }
        blocks.iter().zip(depths).flat_map(|(block, depth)| std::iter::repeat_n(depth, block.insts.len())).collect()
    }
}

/// A set of registers, one bit each.
#[derive(Clone)]
struct RegSet(Vec<u64>);

impl RegSet {
    fn new(regs: usize) -> Self {
        RegSet(vec![0; regs.div_ceil(64)])
    }

    fn insert(&mut self, reg: VReg) {
        self.0[reg.0 as usize / 64] |= 1 << (reg.0 % 64);
    }

    fn remove(&mut self, reg: VReg) {
        self.0[reg.0 as usize / 64] &= !(1 << (reg.0 % 64));
    }

    fn add(&mut self, other: &RegSet) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// Makes this what is wanted before a block that has this effect. Tells whether it was something else.
    fn become_in(&mut self, out: &RegSet, effect: &Effect) -> bool {
        let words = out.0.iter().zip(&effect.read.0).zip(&effect.set.0);
        let mut changed = false;
        for (word, ((out, read), set)) in self.0.iter_mut().zip(words) {
            let wanted = out & !set | read;
            changed |= std::mem::replace(word, wanted) != wanted;
        }
        changed
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
fn live_outs(blocks: &[Block], flow: &Flow, regs: usize) -> Vec<RegSet> {
    let effects: Vec<Effect> = blocks.iter().map(|block| Effect::of(block, regs)).collect();
    let mut ins = vec![RegSet::new(regs); blocks.len()];
    let mut outs = ins.clone();
    let mut changed = true;
    while changed {
        changed = false;
        for (at, effect) in effects.iter().enumerate().rev() {
            let out = &mut outs[at];
            flow.successors[at].iter().for_each(|next| out.add(&ins[*next]));
            changed |= ins[at].become_in(out, effect);
        }
    }
    outs
}

/// What a block does to the set of registers wanted after it.
struct Effect {
    /// Read before they are set.
    read: RegSet,
    set: RegSet,
}

impl Effect {
    fn of(block: &Block, regs: usize) -> Effect {
        let mut effect = Effect { read: RegSet::new(regs), set: RegSet::new(regs) };
        for inst in block.insts.iter().rev() {
            if let Some(reg) = inst.op.def() {
                effect.read.remove(reg);
                effect.set.insert(reg);
            }
            inst.op.each_use(|reg, _| effect.read.insert(reg));
        }
        effect
    }
}

/// Adds the segments within one block, last first.
fn scan(block: &Block, first: u32, out: &RegSet, ranges: &mut [Vec<Segment>]) {
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
