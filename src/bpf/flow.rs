//! Control flow made simpler: jumps to jumps go straight to the end, unreachable blocks go away, and a block that only one
//! jump leads to joins the one it follows.

use std::collections::HashMap;

use super::asm::{AsmError, Label, Operand};
use super::lir::{Block, Function, Inst, Op};
use crate::source::Span;

pub(super) fn simplify(function: &mut Function) -> Result<(), AsmError> {
    close(function);
    let index = index(&function.blocks);
    thread(&mut function.blocks, &index)?;
    remove_unreachable(&mut function.blocks, &index);
    join(&mut function.blocks);
    Ok(())
}

/// Position of each block by its label.
pub(super) fn index(blocks: &[Block]) -> HashMap<Label, usize> {
    blocks.iter().enumerate().map(|(at, block)| (block.label, at)).collect()
}

/// A function that falls off its end returns 0.
fn close(function: &mut Function) {
    let Some(block) = function.blocks.last_mut() else { return };
    let ends = matches!(block.insts.last().map(|inst| &inst.op), Some(Op::Jump(_) | Op::Branch { .. } | Op::Exit(_)));
    if !ends {
        let span = block.insts.last().map_or(Span::default(), |inst| inst.span);
        block.insts.push(Inst { op: Op::Exit(Operand::Imm(0)), span, note: None });
    }
}

fn thread(blocks: &mut [Block], index: &HashMap<Label, usize>) -> Result<(), AsmError> {
    let mut ends = HashMap::new();
    for block in blocks.iter() {
        for label in block.successors().into_iter().flatten() {
            ends.insert(label, destination(blocks, index, label)?);
        }
    }
    for block in blocks {
        let Some(last) = block.insts.last_mut() else { continue };
        match &mut last.op {
            Op::Jump(to) => *to = ends[to],
            Op::Branch { then, other, .. } => {
                (*then, *other) = (ends[then], ends[other]);
                if then == other {
                    last.op = Op::Jump(*then);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where a jump to this label ends up, past blocks that do nothing but jump on.
fn destination(blocks: &[Block], index: &HashMap<Label, usize>, label: Label) -> Result<Label, AsmError> {
    let mut label = label;
    // An endless loop of jumps stays one.
    for _ in 0..blocks.len() {
        let block = &blocks[*index.get(&label).ok_or(AsmError::NowhereToGo(label))?];
        match block.insts.as_slice() {
            [Inst { op: Op::Jump(next), .. }] => label = *next,
            _ => break,
        }
    }
    Ok(label)
}

fn remove_unreachable(blocks: &mut Vec<Block>, index: &HashMap<Label, usize>) {
    let mut reached = vec![false; blocks.len()];
    let mut pending = vec![0];
    while let Some(at) = pending.pop() {
        if !std::mem::replace(&mut reached[at], true) {
            pending.extend(blocks[at].successors().into_iter().flatten().map(|label| index[&label]));
        }
    }
    let mut reached = reached.into_iter();
    blocks.retain(|_| reached.next() == Some(true));
}

/// Appends blocks that a single jump leads to, to the block with that jump.
fn join(blocks: &mut Vec<Block>) {
    let index = index(blocks);
    let mut entries = vec![0; blocks.len()];
    for label in blocks.iter().flat_map(|block| block.successors()).flatten() {
        entries[index[&label]] += 1;
    }
    for at in 0..blocks.len() {
        while let Some(Op::Jump(to)) = blocks[at].insts.last().map(|inst| &inst.op) {
            let next = index[to];
            if entries[next] != 1 || next == at || next == 0 {
                break;
            }
            let moved = std::mem::take(&mut blocks[next].insts);
            blocks[at].insts.pop();
            blocks[at].insts.extend(moved);
        }
    }
    blocks.retain(|block| !block.insts.is_empty());
}
