//! Dead code goes away: what only defines registers that nothing needs.

use super::lir::{Block, Function, Op};
use super::live::{self, Flow, RegSet};

/// Removes pure operations whose results nothing with an effect depends on, circles among variables included.
pub(super) fn sweep(function: &mut Function, regs: usize) {
    let mut needed = vec![false; regs];
    let is_needed = |op: &Op, needed: &[bool]| !op.is_pure() || op.def().is_some_and(|reg| needed[reg.0 as usize]);
    // Values are mostly defined before they are used, so few rounds find all.
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for inst in function.insts().rev() {
            if is_needed(&inst.op, &needed) {
                inst.op.each_use(|reg, _| changed |= !std::mem::replace(&mut needed[reg.0 as usize], true));
            }
        }
    }
    for block in &mut function.blocks {
        block.insts.retain(|inst| is_needed(&inst.op, &needed));
    }
}

/// Removes pure operations whose result is not read before the register is set again, until there are none.
pub(super) fn sweep_overwritten(function: &mut Function, regs: usize) {
    let mut changed = true;
    while std::mem::take(&mut changed) {
        let mut wanted = live::wanted_after(&function.blocks, &Flow::of(&function.blocks), regs);
        for (at, block) in function.blocks.iter_mut().enumerate() {
            let before = block.insts.len();
            sweep_block(block, wanted.of_block(at));
            changed |= block.insts.len() < before;
        }
    }
}

fn sweep_block(block: &mut Block, mut wanted: RegSet<'_>) {
    let back = block.insts.iter().rev().map(|inst| {
        let keep = !inst.op.is_pure() || inst.op.def().is_some_and(|reg| wanted.contains(reg));
        if keep {
            wanted.step_back(&inst.op);
        }
        keep
    });
    let keep: Vec<bool> = back.collect();
    let mut keep = keep.into_iter().rev();
    block.insts.retain(|_| keep.next() == Some(true));
}
