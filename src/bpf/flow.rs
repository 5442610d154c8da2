//! Control flow made simpler: jumps to jumps go straight to the end, unreachable blocks go away, and a block that only one
//! jump leads to joins the one it follows.

use std::collections::HashMap;
use std::ops::Index;

use super::asm::{AsmError, Label, Operand, VReg};
use super::fold::{compute, holds};
use super::lir::{Block, Function, Inst, Op};
use crate::source::Span;

/// `regs` are the registers that there are.
pub(super) fn simplify(function: &mut Function, regs: usize) -> Result<(), AsmError> {
    close(function);
    let positions = Positions::of(&function.blocks);
    thread(&mut function.blocks, &positions)?;
    skip_decided_tests(&mut function.blocks, &positions, regs);
    thread(&mut function.blocks, &positions)?;
    remove_unreachable(&mut function.blocks, &positions);
    join(&mut function.blocks);
    Ok(())
}

/// Where each block is, by its label.
pub(super) struct Positions(Vec<Option<usize>>);

impl Positions {
    pub fn of(blocks: &[Block]) -> Positions {
        let labels = blocks.iter().map(|block| block.label.0 as usize + 1).max().unwrap_or(0);
        let mut positions = vec![None; labels];
        for (at, block) in blocks.iter().enumerate() {
            positions[block.label.0 as usize] = Some(at);
        }
        Positions(positions)
    }

    fn get(&self, label: Label) -> Option<usize> {
        self.0.get(label.0 as usize).copied().flatten()
    }
}

/// For labels that were placed, as all are once jumps were threaded.
impl Index<Label> for Positions {
    type Output = usize;

    fn index(&self, label: Label) -> &usize {
        self.0[label.0 as usize].as_ref().expect("a label that was placed")
    }
}

/// Truth values come from `a && b` and the like as constants set on each way to one test; each way can go straight to
/// where the test will send it.
fn skip_decided_tests(blocks: &mut [Block], positions: &Positions, regs: usize) {
    // Kept up to date, since each redirection changes what is known elsewhere.
    let mut sources: Vec<Vec<usize>> = vec![Vec::new(); blocks.len()];
    for (from, block) in blocks.iter().enumerate() {
        block.successors().into_iter().flatten().for_each(|to| sources[positions[to]].push(from));
    }
    let tests = only_tests(blocks, regs);
    for at in tests {
        let decide = |from: usize| decision(&blocks[at], |reg| constant_after(blocks, &sources, from, reg));
        // A loop's test is skipped on the way in only if it is on every way in: loops keep a single entrance.
        let is_loop = sources[at].iter().any(|from| *from >= at);
        if is_loop && !sources[at].iter().all(|from| *from >= at || decide(*from).is_some()) {
            continue;
        }
        for from in sources[at].clone() {
            // Asked anew, since an earlier redirection may lead here.
            let decided = decision(&blocks[at], |reg| constant_after(blocks, &sources, from, reg));
            if let Some(instead) = decided {
                let label = blocks[at].label;
                redirect(&mut blocks[from], label, instead);
                sources[at].retain(|source| *source != from);
                sources[positions[instead]].push(from);
            }
        }
    }
}

/// The blocks that do nothing but decide where to go: all that they define is only used by themselves.
fn only_tests(blocks: &[Block], regs: usize) -> Vec<usize> {
    let mut users = vec![Users::None; regs];
    for (at, block) in blocks.iter().enumerate() {
        for inst in &block.insts {
            inst.op.each_use(|reg, _| users[reg.0 as usize].add(at));
        }
    }
    let is_test = |at: &usize| {
        let Some((Inst { op: Op::Branch { .. }, .. }, before)) = blocks[*at].insts.split_last() else { return false };
        before.iter().all(|inst| match inst.op {
            Op::Copy { to, .. } | Op::Alu { to, .. } | Op::Const { to, .. } => !users[to.0 as usize].is_beside(*at),
            _ => false,
        })
    };
    (0..blocks.len()).filter(is_test).collect()
}

/// The blocks that use a register.
#[derive(Clone, Copy)]
enum Users {
    None,
    One(usize),
    Several,
}

impl Users {
    fn add(&mut self, block: usize) {
        *self = match self {
            Users::None => Users::One(block),
            Users::One(user) if *user == block => return,
            Users::One(_) | Users::Several => Users::Several,
        }
    }

    /// Whether another block is among them.
    fn is_beside(self, block: usize) -> bool {
        match self {
            Users::None => false,
            Users::One(user) => user != block,
            Users::Several => true,
        }
    }
}

/// Where a test will go, if `constant` knows what the registers hold on the way to it.
fn decision(block: &Block, constant: impl Fn(VReg) -> Option<i64>) -> Option<Label> {
    let mut known: HashMap<VReg, Option<i64>> = HashMap::new();
    for inst in &block.insts {
        let value = |operand: Operand| match operand {
            Operand::Imm(value) => Some(value),
            Operand::Reg(reg) => known.get(&reg).copied().unwrap_or_else(|| constant(reg)),
        };
        let (to, result) = match inst.op {
            Op::Const { to, value } => (to, Some(value)),
            Op::Copy { to, from } => (to, value(Operand::Reg(from))),
            Op::Alu { op, to, left, right } => {
                let sides = value(Operand::Reg(left)).zip(value(right));
                (to, sides.map(|(left, right)| compute(op, left, right)))
            }
            Op::Branch { cond, left, right, then, other } => {
                let holds = holds(cond, value(Operand::Reg(left))?, value(right)?);
                return Some(if holds { then } else { other });
            }
            _ => return None,
        };
        known.insert(to, result);
    }
    None
}

/// The constant that a register holds after a block: set there, or in the blocks that alone lead to it.
fn constant_after(blocks: &[Block], sources: &[Vec<usize>], at: usize, reg: VReg) -> Option<i64> {
    let mut at = at;
    // As many steps as there are blocks go round any circle.
    for _ in 0..blocks.len() {
        match blocks[at].insts.iter().rev().find(|inst| inst.op.def() == Some(reg)).map(|inst| &inst.op) {
            Some(Op::Const { value, .. }) => return Some(*value),
            Some(_) => return None,
            None => match sources[at][..] {
                [only] if at != 0 => at = only,
                _ => return None,
            },
        }
    }
    None
}

/// How far the walk over the blocks has come with one of them.
#[derive(Clone, Copy, PartialEq)]
enum Visit {
    Not,
    /// On the way from the entry to the current block.
    Open,
    Done,
}

/// The blocks that must jump to the one after them, though they could fall into it: those from which that is a way back.
/// Kernels before 6.12 or so walk the code depth first before they verify it, what comes next before what is jumped to,
/// and accept a way back only as a jump (`check_cfg` in kernel/bpf/verifier.c).
pub(super) fn explicit_jumps(blocks: &[Block]) -> Vec<bool> {
    let positions = Positions::of(blocks);
    let mut explicit = vec![false; blocks.len()];
    let mut visits = vec![Visit::Not; blocks.len()];
    let mut stack = vec![(0, ways(blocks, &positions, 0))];
    visits[0] = Visit::Open;
    while let Some((at, rest)) = stack.last_mut() {
        let at = *at;
        match rest.next() {
            None => {
                visits[at] = Visit::Done;
                stack.pop();
            }
            Some(next) if visits[next] == Visit::Not => {
                visits[next] = Visit::Open;
                stack.push((next, ways(blocks, &positions, next)));
            }
            Some(next) => {
                let jumps = matches!(blocks[at].successors(), [Some(_), None]);
                explicit[at] |= jumps && visits[next] == Visit::Open && next == at + 1;
            }
        }
    }
    explicit
}

/// The blocks that control may go to, in the order in which the kernel follows them.
fn ways(blocks: &[Block], positions: &Positions, at: usize) -> impl Iterator<Item = usize> + use<> {
    let ways = match blocks[at].successors().map(|label| label.map(|label| positions[label])) {
        // A branch to the next block is emitted as the opposite branch to the other.
        [Some(then), other @ Some(_)] if then != at + 1 => [other, Some(then)],
        ways => ways,
    };
    ways.into_iter().flatten()
}

fn redirect(block: &mut Block, from: Label, to: Label) {
    match block.insts.last_mut().map(|inst| &mut inst.op) {
        Some(Op::Jump(label)) if *label == from => *label = to,
        Some(Op::Branch { then, other, .. }) => {
            [then, other].into_iter().filter(|label| **label == from).for_each(|label| *label = to);
        }
        _ => {}
    }
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

fn thread(blocks: &mut [Block], positions: &Positions) -> Result<(), AsmError> {
    let end = |label: Option<Label>| label.map(|label| destination(blocks, positions, label)).transpose();
    let ends = blocks.iter().map(|block| {
        let [first, second] = block.successors();
        Ok((end(first)?, end(second)?))
    });
    let ends: Vec<_> = ends.collect::<Result<_, AsmError>>()?;
    for (block, ends) in blocks.iter_mut().zip(ends) {
        let Some(last) = block.insts.last_mut() else { continue };
        match (&mut last.op, ends) {
            (Op::Branch { .. }, (Some(then), Some(other))) if then == other => last.op = Op::Jump(then),
            (Op::Branch { then, other, .. }, (Some(then_end), Some(other_end))) => {
                (*then, *other) = (then_end, other_end);
            }
            (Op::Jump(to), (Some(end), None)) => *to = end,
            _ => {}
        }
    }
    Ok(())
}

/// Where a jump to this label ends up, past blocks that do nothing but jump on.
fn destination(blocks: &[Block], positions: &Positions, label: Label) -> Result<Label, AsmError> {
    let mut label = label;
    // An endless loop of jumps stays one.
    for _ in 0..blocks.len() {
        let block = &blocks[positions.get(label).ok_or(AsmError::NowhereToGo(label))?];
        match block.insts.as_slice() {
            [Inst { op: Op::Jump(next), .. }] => label = *next,
            _ => break,
        }
    }
    Ok(label)
}

fn remove_unreachable(blocks: &mut Vec<Block>, positions: &Positions) {
    let mut reached = vec![false; blocks.len()];
    let mut pending = vec![0];
    while let Some(at) = pending.pop() {
        if !std::mem::replace(&mut reached[at], true) {
            pending.extend(blocks[at].successors().into_iter().flatten().map(|label| positions[label]));
        }
    }
    let mut reached = reached.into_iter();
    blocks.retain(|_| reached.next() == Some(true));
}

/// Appends blocks that a single jump leads to, to the block with that jump.
fn join(blocks: &mut Vec<Block>) {
    let positions = Positions::of(blocks);
    let mut entries = vec![0; blocks.len()];
    for label in blocks.iter().flat_map(|block| block.successors()).flatten() {
        entries[positions[label]] += 1;
    }
    for at in 0..blocks.len() {
        while let Some(Op::Jump(to)) = blocks[at].insts.last().map(|inst| &inst.op) {
            let next = positions[*to];
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
