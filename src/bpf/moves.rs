//! Moves that happen at once become moves one after another.

use super::insn::Insn;
use super::insn::{Reg, Source};

/// Moves each pair's first register to its second, all reading before any writes. `scratch` breaks circles; it is no
/// destination, and is overwritten only once nothing reads it.
pub(super) fn parallel(mut moves: Vec<(Reg, Reg)>, scratch: Reg) -> Vec<Insn> {
    let mut insns = Vec::new();
    moves.retain(|(from, to)| from != to);
    while !moves.is_empty() {
        let free = (0..moves.len()).find(|&at| moves.iter().all(|(from, _)| *from != moves[at].1));
        match free {
            Some(at) => {
                let (from, to) = moves.swap_remove(at);
                insns.push(Insn::mov(to, Source::Reg(from)));
            }
            None => {
                // Only circles are left, and none passes through the scratch register.
                let blocked = moves[0].0;
                insns.push(Insn::mov(scratch, Source::Reg(blocked)));
                moves.iter_mut().filter(|(from, _)| *from == blocked).for_each(|(from, _)| *from = scratch);
            }
        }
    }
    insns
}
