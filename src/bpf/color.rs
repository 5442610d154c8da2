//! Groups of virtual registers get machine registers: the most used per instruction they live through choose first, and take
//! the register that saves a move if it is free.

use std::collections::HashSet;

use super::asm::{Operand, VReg};
use super::insn::Reg;
use super::lir::{Argument, Function, Op};
use super::live::{CLOBBER, POINTS, Segment, WRITE};
use super::regs::{Groups, Registers};

/// Registers in order of preference where nothing else decides: those that calls destroy and that are seldom
/// arguments, other arguments, then those that survive calls.
const ORDER: [Reg; 10] = [Reg(5), Reg(4), Reg(3), Reg(0), Reg(2), Reg(1), Reg(6), Reg(7), Reg(8), Reg(9)];

/// Calls destroy registers 0 to this one.
const LAST_CLOBBERED: u8 = 5;

/// The register of each virtual register, or else the roots of the groups that found none. Temporaries always find one.
pub(super) fn color(
    function: &Function,
    groups: &Groups,
    temporaries: &HashSet<VReg>,
) -> Result<Registers, Vec<usize>> {
    let wishes = Wishes::of(function, groups);
    let wanted = wishes.wanted(function, groups);
    let mut file = RegisterFile::of(function);
    let mut chosen: Registers = vec![None; groups.ranges.len()];
    let mut failed = Vec::new();
    for root in by_weight(function, groups, temporaries) {
        let range = &groups.ranges[root];
        let unwanted = ORDER.into_iter().filter(|reg| wanted.is_free(*reg, range));
        let mut preferred = wishes.registers(root, &chosen).chain(unwanted).chain(ORDER);
        let found = preferred.find(|reg| file.is_free(*reg, range));
        drop(preferred);
        match found {
            Some(reg) => {
                file.occupy(reg, range);
                chosen[root] = Some(reg);
            }
            None => failed.push(root),
        }
    }
    if failed.is_empty() {
        Ok((0..chosen.len()).map(|reg| chosen[groups.root(VReg(reg as u32))]).collect())
    } else {
        Err(failed)
    }
}

/// Groups in use, those that must have a register first, then by uses (loops count eightfold) per point of life.
fn by_weight(function: &Function, groups: &Groups, temporaries: &HashSet<VReg>) -> Vec<usize> {
    let mut weights = vec![0f64; groups.ranges.len()];
    for (at, inst) in function.insts().enumerate() {
        let weight = 8f64.powi(groups.depths[at].min(8) as i32);
        inst.op.each_use(|reg, _| weights[groups.root(reg)] += weight);
        inst.op.def().into_iter().for_each(|reg| weights[groups.root(reg)] += weight);
    }
    for (root, weight) in weights.iter_mut().enumerate() {
        *weight /= groups.ranges[root].iter().map(|segment| segment.end - segment.start).sum::<u32>().max(1) as f64;
    }
    for &temporary in temporaries {
        weights[groups.root(temporary)] = f64::INFINITY;
    }
    let mut order: Vec<usize> = (0..weights.len()).filter(|root| !groups.ranges[*root].is_empty()).collect();
    order.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]).then(a.cmp(b)));
    order
}

/// When each machine register is taken: a bit for each point of the function.
struct RegisterFile {
    taken: Vec<u64>,
    /// Words for one register.
    len: usize,
}

impl RegisterFile {
    fn new(function: &Function) -> RegisterFile {
        let points = function.insts().count() * POINTS as usize;
        let len = points.div_ceil(64);
        RegisterFile { taken: vec![0; ORDER.len() * len], len }
    }

    fn of(function: &Function) -> RegisterFile {
        let mut file = RegisterFile::new(function);
        for (at, inst) in (0..).zip(function.insts()) {
            match &inst.op {
                Op::Call { .. } => {
                    let during = [Segment { start: at * POINTS + CLOBBER, end: at * POINTS + WRITE }];
                    (0..=LAST_CLOBBERED).for_each(|reg| file.occupy(Reg(reg), &during));
                }
                // A parameter waits in its register until it is taken over.
                Op::Param { index, .. } => {
                    file.occupy(parameter(*index), &[Segment { start: 0, end: at * POINTS + CLOBBER }]);
                }
                _ => {}
            }
        }
        file
    }

    fn is_free(&self, reg: Reg, range: &[Segment]) -> bool {
        let taken = &self.taken[usize::from(reg.0) * self.len..];
        range.iter().flat_map(|segment| masks(*segment)).all(|(word, mask)| taken[word] & mask == 0)
    }

    fn occupy(&mut self, reg: Reg, range: &[Segment]) {
        let taken = &mut self.taken[usize::from(reg.0) * self.len..];
        range.iter().flat_map(|segment| masks(*segment)).for_each(|(word, mask)| taken[word] |= mask);
    }
}

/// The words that have the points of a segment, each with the bits of those.
fn masks(segment: Segment) -> impl Iterator<Item = (usize, u64)> {
    let (first, last) = (segment.start / 64, (segment.end - 1) / 64);
    (first..=last).map(move |word| {
        let from = if word == first { u64::MAX << (segment.start % 64) } else { u64::MAX };
        let to = if word == last { u64::MAX >> (63 - (segment.end - 1) % 64) } else { u64::MAX };
        (word as usize, from & to)
    })
}

/// Which registers would save moves, by group.
struct Wishes {
    fixed: Vec<Vec<Reg>>,
    /// Groups whose register would do as well.
    related: Vec<Vec<usize>>,
}

impl Wishes {
    fn of(function: &Function, groups: &Groups) -> Wishes {
        let count = groups.ranges.len();
        let mut wishes = Wishes { fixed: vec![Vec::new(); count], related: vec![Vec::new(); count] };
        // Backwards, so that an operand learns where its result is wanted.
        for inst in function.insts().rev() {
            match &inst.op {
                Op::Param { to, index } => wishes.fix_first(groups.root(*to), parameter(*index)),
                Op::Exit(Operand::Reg(reg)) => wishes.fix(groups.root(*reg), Reg::RESULT),
                Op::Call { args, to, .. } => {
                    wishes.fix_first(groups.root(*to), Reg::RESULT);
                    for (index, arg) in (0..).zip(args) {
                        if let Argument::Reg(reg, _) = arg {
                            wishes.fix(groups.root(*reg), parameter(index));
                        }
                    }
                }
                Op::Copy { to, from } => wishes.relate(groups.root(*to), groups.root(*from)),
                Op::Alu { op, to, left, right } => {
                    wishes.relate(groups.root(*to), groups.root(*left));
                    if let Operand::Reg(right) = right
                        && super::lir::commutes(*op)
                    {
                        wishes.relate(groups.root(*to), groups.root(*right));
                    }
                }
                _ => {}
            }
        }
        wishes
    }

    fn fix(&mut self, root: usize, reg: Reg) {
        if !self.fixed[root].contains(&reg) {
            self.fixed[root].push(reg);
        }
    }

    /// Where a value arises counts more than where it goes: a branch may keep it from going there.
    fn fix_first(&mut self, root: usize, reg: Reg) {
        self.fixed[root].insert(0, reg);
    }

    fn relate(&mut self, result: usize, operand: usize) {
        if result == operand {
            return;
        }
        self.related[result].push(operand);
        self.related[operand].push(result);
        for reg in self.fixed[result].clone() {
            self.fix(operand, reg);
        }
    }

    /// Where each register is wished for by some group.
    fn wanted(&self, function: &Function, groups: &Groups) -> RegisterFile {
        let mut wanted = RegisterFile::new(function);
        for (range, fixed) in groups.ranges.iter().zip(&self.fixed) {
            fixed.iter().for_each(|reg| wanted.occupy(*reg, range));
        }
        wanted
    }

    fn registers<'a>(&'a self, root: usize, chosen: &'a Registers) -> impl Iterator<Item = Reg> + 'a {
        let related = self.related[root].iter().filter_map(|other| chosen[*other]);
        self.fixed[root].iter().copied().chain(related)
    }
}

/// The register that carries a parameter or argument, counted from zero.
pub(super) fn parameter(index: u8) -> Reg {
    Reg(index + 1)
}
