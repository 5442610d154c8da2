//! Addresses of what the evaluator itself holds. They are made up, and only good for reading from.

use rtrace::id::Id;
use rtrace::ir::VarId;
use rtrace::plan::MapId;

use super::{Evaluator, Value};

/// Where the values lie that have addresses.
const VARS: u64 = 0xffff_e000_0000_0000;
const HELD: u64 = 0xffff_e100_0000_0000;
/// From one to the next.
const STRIDE: u64 = 1 << 20;

/// Something that an address was asked of.
pub enum Held {
    Entry(MapId, Vec<u8>),
    Bytes(Vec<u8>),
}

impl Evaluator<'_> {
    pub(super) fn address_of(&self, var: VarId) -> u64 {
        VARS + STRIDE * var.index() as u64
    }

    pub(super) fn hold(&mut self, held: Held) -> u64 {
        self.held.push(held);
        HELD + STRIDE * (self.held.len() as u64 - 1)
    }

    /// Reads what lies at an address, here or in the fake kernel; `None` is a fault.
    pub(super) fn read(&self, address: u64, size: u64) -> Option<Vec<u8>> {
        match self.own(address) {
            Some((bytes, at)) => bytes.get(at..at.checked_add(size as usize)?).map(<[u8]>::to_vec),
            None => self.scene.read(address, size),
        }
    }

    /// Reads a text of at most so many bytes, its NUL included.
    pub(super) fn read_text(&self, address: u64, max: u64) -> Option<Vec<u8>> {
        let Some((bytes, at)) = self.own(address) else { return self.scene.read_text(address, max) };
        let text = super::text::text(bytes.get(at..)?);
        Some(text.iter().copied().take(max.saturating_sub(1) as usize).collect())
    }

    /// The value that an address points into, and how far.
    fn own(&self, address: u64) -> Option<(Vec<u8>, usize)> {
        let (base, bytes) = if address >= HELD {
            let index = (address - HELD) / STRIDE;
            let bytes = match self.held.get(index as usize)? {
                Held::Entry(map, key) => self.store.maps[map.index()].entries.get(key)?.first()?.clone(),
                Held::Bytes(bytes) => bytes.clone(),
            };
            (HELD + STRIDE * index, bytes)
        } else {
            let index = address.checked_sub(VARS)? / STRIDE;
            let size = self.probe.vars.values().nth(index as usize)?.ty.size();
            let bytes = match &self.vars[index as usize] {
                Value::Scalar(number) => number.to_le_bytes()[..size as usize].to_vec(),
                Value::Memory(bytes) => bytes.clone(),
            };
            (VARS + STRIDE * index, bytes)
        };
        Some((bytes, (address - base) as usize))
    }
}
