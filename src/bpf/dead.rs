//! Dead code goes away: what only defines registers that nothing needs.

use super::asm::VReg;
use super::lir::{Function, Op};
use super::live::{Live, POINTS, Segment, WRITE};

/// Removes pure operations whose results nothing with an effect depends on, circles among variables included.
pub(super) fn sweep(function: &mut Function, regs: usize) {
    let mut definitions: Vec<Vec<&Op>> = vec![Vec::new(); regs];
    let mut needed = vec![false; regs];
    let mut pending = Vec::new();
    for inst in function.insts() {
        match inst.op.def() {
            Some(reg) if inst.op.is_pure() => definitions[reg.0 as usize].push(&inst.op),
            _ => inst.op.each_use(|reg, _| need(reg, &mut needed, &mut pending)),
        }
    }
    while let Some(reg) = pending.pop() {
        for op in &definitions[reg.0 as usize] {
            op.each_use(|reg, _| need(reg, &mut needed, &mut pending));
        }
    }
    for block in &mut function.blocks {
        block.insts.retain(|inst| match inst.op.def() {
            Some(reg) => needed[reg.0 as usize] || !inst.op.is_pure(),
            None => true,
        });
    }
}

/// Removes pure operations whose result is not read before the register is set again, until there are none.
pub(super) fn sweep_overwritten(function: &mut Function, regs: usize) {
    let mut changed = true;
    while std::mem::take(&mut changed) {
        let live = Live::of(function, regs);
        let unread = |at: u32, reg: VReg| {
            let dead = Segment { start: at * POINTS + WRITE, end: (at + 1) * POINTS };
            live.ranges[reg.0 as usize]
                .binary_search_by_key(&dead.start, |segment| segment.start)
                .is_ok_and(|found| live.ranges[reg.0 as usize][found] == dead)
        };
        let mut at = 0..;
        for block in &mut function.blocks {
            block.insts.retain(|inst| {
                let at = at.next().unwrap_or(0);
                let dead = inst.op.is_pure() && inst.op.def().is_some_and(|reg| unread(at, reg));
                changed |= dead;
                !dead
            });
        }
    }
}

fn need(reg: VReg, needed: &mut [bool], pending: &mut Vec<VReg>) {
    if !std::mem::replace(&mut needed[reg.0 as usize], true) {
        pending.push(reg);
    }
}
