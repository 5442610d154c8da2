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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::insn::Decoded;

    /// Every way to fill registers 1 to 4 from registers 0 to 6.
    #[test]
    fn every_destination_gets_its_source() {
        for number in 0..7u32.pow(4) {
            let moves: Vec<(Reg, Reg)> =
                (0..4).map(|at| (Reg((number / 7u32.pow(at) % 7) as u8), Reg(at as u8 + 1))).collect();
            let mut held: Vec<u8> = (0..11).collect();
            for insn in parallel(moves.clone(), Reg(0)) {
                let Some(Decoded::Move { to, from: Source::Reg(from) }) = insn.decode() else { panic!("{insn}") };
                held[usize::from(to.0)] = held[usize::from(from.0)];
            }
            for (from, to) in &moves {
                assert_eq!(held[usize::from(to.0)], from.0, "{moves:?}");
            }
        }
    }
}
