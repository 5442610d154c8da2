//! Dead code goes away: what only defines registers that nothing needs.

use super::asm::VReg;
use super::lir::{Block, Function, Op};
use super::live::{self, Flow, RegSet};

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

fn need(reg: VReg, needed: &mut [bool], pending: &mut Vec<VReg>) {
    if !std::mem::replace(&mut needed[reg.0 as usize], true) {
        pending.push(reg);
    }
}
