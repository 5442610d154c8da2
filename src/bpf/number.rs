//! Value numbering: a pure operation that was done on every path to here gives the register it gave then.

use std::collections::HashMap;

use super::asm::{Alu, Callee, Operand, Place, Size, VReg};
use super::lir::Argument;

/// A pure operation on values that do not change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Alu(Alu, Operand, Operand),
    /// The number says how often memory had changed before the load.
    Load(Size, Place, u32),
    Call(Callee, Vec<Argument>),
}

/// The values available at the current point of one function.
#[derive(Default)]
pub(super) struct Numbering {
    values: HashMap<Key, VReg>,
    /// Keys in order of insertion, to be taken out when their scope ends.
    log: Vec<Key>,
    /// Length of the log at the beginning of each open scope.
    scopes: Vec<usize>,
    clobbers: u32,
}

impl Numbering {
    pub fn get(&self, key: &Key) -> Option<VReg> {
        self.values.get(key).copied()
    }

    pub fn insert(&mut self, key: Key, value: VReg) {
        self.log.push(key.clone());
        self.values.insert(key, value);
    }

    pub fn enter(&mut self) {
        self.scopes.push(self.log.len());
    }

    pub fn leave(&mut self) {
        let start = self.scopes.pop().unwrap_or(0);
        for key in self.log.drain(start..) {
            self.values.remove(&key);
        }
    }

    /// Makes all loads so far unavailable, also those of outer scopes and for good.
    pub fn clobber(&mut self) {
        self.clobbers += 1;
    }

    pub fn load(&self, size: Size, place: Place) -> Key {
        Key::Load(size, place, self.clobbers)
    }
}
