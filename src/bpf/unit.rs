//! One program ready to load, but for the file descriptors that only the loader knows.

pub use super::insn::Insn;
use crate::plan::{MapId, ProgKind, Target};
use crate::source::Span;

/// A program: instructions, and what the loader has to fill in.
#[derive(Debug, Clone)]
pub struct Unit {
    /// A C identifier, unique within a run.
    pub name: String,
    pub kind: ProgKind,
    /// The main function first, then subprograms and callbacks.
    pub insns: Vec<Insn>,
    pub relocs: Vec<Reloc>,
    pub functions: Vec<FunctionInfo>,
    /// Where each run of instructions comes from, by ascending instruction index.
    pub lines: Vec<(u32, Span)>,
    /// Notes for `-d insns`, by instruction index.
    pub comments: Vec<(u32, String)>,
    pub targets: Vec<Target>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloc {
    /// Instruction index (of the first of the two for 64-bit immediates).
    pub at: u32,
    pub to: RelocTarget,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelocTarget {
    /// `BPF_PSEUDO_MAP_FD`.
    Map(MapId),
    /// `BPF_PSEUDO_MAP_VALUE`: address of a one-element array's value, plus the offset in the second immediate.
    MapValue(MapId),
}

/// Start of a function within [`Unit::insns`]. Callbacks need function information with static linkage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionInfo {
    pub at: u32,
    pub name: String,
    /// Number of 64-bit parameters.
    pub params: u8,
}
