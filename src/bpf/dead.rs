//! Dead code goes away: what only defines registers that nothing needs.

use super::asm::VReg;
use super::lir::{Function, Op};

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

fn need(reg: VReg, needed: &mut [bool], pending: &mut Vec<VReg>) {
    if !std::mem::replace(&mut needed[reg.0 as usize], true) {
        pending.push(reg);
    }
}
