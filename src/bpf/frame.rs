//! The stack frame: each slot gets an offset below register 10; slots that are never in use at the same time share bytes.
//!
//! Unlike registers, slots are not followed precisely: helpers write them through addresses, in pieces. A slot counts as in
//! use from its first mention to its last, in the order of the code.

use super::asm::{Operand, Slot, VReg};
use super::lir::{Function, MemoryBase, Op};
use super::live::Flow;

/// Bytes that one program and the callbacks it runs have together (`MAX_BPF_STACK`).
pub(super) const STACK: u32 = 512;

pub(super) struct Frame {
    /// By slot number: offset of its first byte from the frame register, a negative multiple of 8.
    offsets: Vec<i32>,
    pub size: u32,
}

/// First and last instruction at which a slot may be in use.
#[derive(Clone, Copy)]
struct Extent {
    first: usize,
    last: usize,
}

impl Frame {
    /// `sizes` are the slots' bytes, by slot number.
    pub fn layout(function: &Function, sizes: &[u32], regs: usize) -> Frame {
        let extents = extents(function, sizes.len(), regs);
        let mut order: Vec<(Slot, Extent)> =
            extents.into_iter().enumerate().filter_map(|(slot, extent)| Some((Slot(slot as u32), extent?))).collect();
        let bytes = |slot: Slot| sizes[slot.0 as usize].next_multiple_of(8);
        order.sort_by_key(|(slot, extent)| (std::cmp::Reverse(bytes(*slot)), extent.first));
        let mut placed: Vec<(u32, u32, Extent)> = Vec::new();
        let mut offsets = vec![0; sizes.len()];
        for (slot, extent) in order {
            let size = bytes(slot);
            let depth = first_gap(&placed, extent, size);
            placed.push((depth, depth + size, extent));
            offsets[slot.0 as usize] = -((depth + size) as i32);
        }
        Frame { offsets, size: placed.iter().map(|(_, end, _)| *end).max().unwrap_or(0) }
    }

    /// Where a slot lies that the function mentions.
    pub fn offset(&self, slot: Slot) -> i32 {
        self.offsets[slot.0 as usize]
    }
}

/// The smallest depth at which `size` bytes are free throughout the extent.
fn first_gap(placed: &[(u32, u32, Extent)], extent: Extent, size: u32) -> u32 {
    let mut taken: Vec<(u32, u32)> = placed
        .iter()
        .filter(|(_, _, other)| other.first <= extent.last && extent.first <= other.last)
        .map(|(start, end, _)| (*start, *end))
        .collect();
    taken.sort_unstable();
    taken.into_iter().fold(0, |depth, (start, end)| if depth + size <= start { depth } else { depth.max(end) })
}

/// When each slot may be in use: from its first to its last mention, by name or through an address derived from it; all of
/// a loop that it is carried around; and always once its address was stored.
fn extents(function: &Function, slots: usize, regs: usize) -> Vec<Option<Extent>> {
    let derived = derived(function, regs);
    let mut extents = vec![None; slots];
    let last = function.insts().count();
    for (at, inst) in function.insts().enumerate() {
        inst.op.each_slot(|slot| mention(&mut extents[slot.0 as usize], at, at));
        inst.op.each_use(|reg, _| {
            derived[reg.0 as usize].iter().for_each(|slot| mention(&mut extents[slot.0 as usize], at, at));
        });
        if let Op::Store { value: Operand::Reg(value), .. } = inst.op {
            derived[value.0 as usize].iter().for_each(|slot| mention(&mut extents[slot.0 as usize], 0, last));
        }
    }
    carry_around_loops(function, &mut extents);
    extents
}

fn mention(extent: &mut Option<Extent>, first: usize, last: usize) {
    let known = extent.get_or_insert(Extent { first, last });
    *known = Extent { first: known.first.min(first), last: known.last.max(last) };
}

/// Extends what is in use both inside and outside of a loop over the whole loop: its contents go round. So may those of a
/// slot that the loop reads before it writes.
fn carry_around_loops(function: &Function, extents: &mut [Option<Extent>]) {
    let loops = loops(function);
    let reads: Vec<Option<Slot>> = function.insts().map(|inst| slot_read(&inst.op)).collect();
    // One loop may extend a slot into the next.
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for (slot, extent) in extents.iter_mut().enumerate() {
            let Some(extent) = extent else { continue };
            for around in &loops {
                let apart = extent.last < around.first || around.last < extent.first;
                let inside = around.first <= extent.first && extent.last <= around.last;
                let covers = extent.first <= around.first && around.last <= extent.last;
                let reads_first = reads[extent.first] == Some(Slot(slot as u32));
                if !apart && !covers && (!inside || reads_first) {
                    extent.first = extent.first.min(around.first);
                    extent.last = extent.last.max(around.last);
                    changed = true;
                }
            }
        }
    }
}

/// The instructions of each loop, from its first to its last in the order of the code.
fn loops(function: &Function) -> Vec<Extent> {
    let flow = Flow::of(&function.blocks);
    let end = |block: usize| flow.starts[block] as usize + function.blocks[block].insts.len() - 1;
    flow.loops().map(|(head, last)| Extent { first: flow.starts[head] as usize, last: end(last) }).collect()
}

fn slot_read(op: &Op) -> Option<Slot> {
    match op {
        Op::Load { from, .. } => match from.base {
            MemoryBase::Frame(slot) => Some(slot),
            MemoryBase::Reg(_) => None,
        },
        _ => None,
    }
}

/// The slots that each register may point into, by register number.
fn derived(function: &Function, regs: usize) -> Vec<Vec<Slot>> {
    let mut derived: Vec<Vec<Slot>> = vec![Vec::new(); regs];
    let add = |derived: &mut Vec<Vec<Slot>>, to: VReg, slot: Slot| {
        let slots = &mut derived[to.0 as usize];
        let new = !slots.contains(&slot);
        if new {
            slots.push(slot);
        }
        new
    };
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for inst in function.insts() {
            match &inst.op {
                Op::FrameAddress { to, slot, .. } => changed |= add(&mut derived, *to, *slot),
                Op::Copy { to, .. } | Op::Alu { to, .. } => {
                    let mut from = Vec::new();
                    inst.op.each_use(|reg, _| from.extend_from_slice(&derived[reg.0 as usize]));
                    from.into_iter().for_each(|slot| changed |= add(&mut derived, *to, slot));
                }
                _ => {}
            }
        }
    }
    derived
}
