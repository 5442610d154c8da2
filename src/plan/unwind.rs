//! How unwind tables lie in the maps through which programs know them.
//!
//! The map of processes tells where in the map of ranges those of a process begin: [`RANGES`] entries, of which the first stands for
//! none and the others are its mappings, sorted, those without one beginning at [`NOWHERE`]. The map of rows has the tables of all
//! files one after the other; each begins with a row at 0.

/// Entries of one process in the map of ranges, and bytes of one.
pub const RANGES: u32 = 512;
pub const RANGE_BYTES: u32 = 32;
/// Where entries without a mapping begin.
pub const NOWHERE: u64 = 1 << 62;
/// In an entry: where a mapping begins and ends, what its addresses are off those of the file by, the first row of its table, and
/// how many there are.
pub const BEGIN: i32 = 0;
pub const END: i32 = 8;
pub const BIAS: i32 = 16;
pub const FIRST: i32 = 24;
pub const COUNT: i32 = 28;

/// Entries of the map of rows, and bytes of one: from which address on it holds, and the rule.
pub const ROWS: u32 = 1 << 21;
pub const ROW_BYTES: u32 = 8;
pub const PC: i32 = 0;
pub const RULE: i32 = 4;

/// A rule: how the caller's frame is found, how many words below it the frame pointer was saved (0: nowhere), and how many words it
/// is above the register.
pub const KIND: i64 = 3;
pub const STOP: i64 = 0;
pub const BY_SP: i64 = 1;
pub const BY_BP: i64 = 2;
pub const IN_LINKAGE: i64 = 3;
pub const SLOT_SHIFT: i64 = 2;
pub const SLOTS: i64 = 0xff;
pub const OFFSET_SHIFT: i64 = 10;

/// Distances of a search through so many entries, a power of two: the largest first.
pub fn steps(entries: u32) -> impl Iterator<Item = i64> {
    (0..entries.trailing_zeros()).rev().map(|bit| 1 << bit)
}
