//! Where the members of a structure lie, by the rules of C on 64-bit Linux.

use crate::btf::build::Aggregate;

/// What is asked of the layout besides what the members' types ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    pub packed: bool,
    /// Bytes.
    pub aligned: Option<u32>,
    /// The bytes of the integer that a type is to be instead.
    pub bytes: Option<u32>,
}

impl Attributes {
    /// Those of two places that mean the same thing.
    pub fn and(self, other: Attributes) -> Attributes {
        Attributes {
            packed: self.packed || other.packed,
            aligned: self.aligned.max(other.aligned),
            bytes: self.bytes.or(other.bytes),
        }
    }
}

/// The size and alignment of a member's type in bytes, and its width if it is a bit field.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub size: u32,
    pub align: u32,
    pub width: Option<u32>,
    pub attributes: Attributes,
}

/// Members are placed one after the other.
pub struct Layout {
    kind: Aggregate,
    attributes: Attributes,
    /// The next free bit.
    next: u64,
    /// Bits that the longest member of a union, or all members of a structure, take.
    end: u64,
    align: u32,
}

impl Layout {
    pub fn new(kind: Aggregate, attributes: Attributes) -> Layout {
        Layout { kind, attributes, next: 0, end: 0, align: attributes.aligned.unwrap_or(1) }
    }

    /// The first bit of the next member. One without a name does not count for the alignment of the whole.
    pub fn place(&mut self, wanted: Wanted, name: &str) -> u64 {
        let unit = 8 * u64::from(wanted.size);
        let is_packed = self.attributes.packed || wanted.attributes.packed;
        let natural = if is_packed { 1 } else { wanted.align };
        let align = natural.max(wanted.attributes.aligned.unwrap_or(1));
        let (at, bits) = match wanted.width {
            None => (self.next.next_multiple_of(8 * u64::from(align)), unit),
            Some(0) => (self.next.next_multiple_of(8 * u64::from(wanted.align)), 0),
            // A bit field does not cross a border of its type's size.
            Some(width) if !is_packed && self.next % unit + u64::from(width) > unit => {
                (self.next.next_multiple_of(8 * u64::from(align)), u64::from(width))
            }
            Some(width) => (self.next, u64::from(width)),
        };
        if wanted.width.is_none() || !name.is_empty() {
            self.align = self.align.max(align);
        }
        self.end = self.end.max(at + bits);
        self.next = if self.kind == Aggregate::Union { 0 } else { at + bits };
        at
    }

    /// Bytes of the whole, and its alignment.
    pub fn finish(self) -> (u64, u32) {
        (self.end.div_ceil(8).next_multiple_of(u64::from(self.align)), self.align)
    }
}
