//! The binary form of BTF: from bytes to the place, the header and the parts of each record.
//!
//! Every read is checked; what lies outside of the data reads as zero or nothing, so broken data can mislead but not crash.

use super::{Btf, Member, Param, TypeId};
use crate::error::{Error, Result};

/// `BTF_KIND_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Int,
    Ptr,
    Array,
    Struct,
    Union,
    Enum,
    Forward,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Func,
    FuncProto,
    Var,
    Datasec,
    Float,
    DeclTag,
    TypeTag,
    Enum64,
}

/// Where things are: the strings, and each type's record.
pub(super) struct Layout {
    records: std::ops::Range<usize>,
    strings: std::ops::Range<usize>,
    /// Byte offset of each record in the data, by type id; that of `void`, which has none, is 0.
    offsets: Vec<u32>,
}

/// `struct btf_type`, decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub name: u32,
    pub kind: Kind,
    /// How many members, parameters or enumerators follow.
    pub len: u32,
    /// Whether members are bit fields, an enumeration is signed, a forward declaration is of a union.
    pub flag: bool,
    /// Bytes, or the type referred to, by kind.
    pub size_or_type: u32,
    /// Byte offset of what follows the header.
    pub rest: usize,
}

/// How an integer is to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct IntEncoding {
    pub signed: bool,
    pub boolean: bool,
    pub bit_offset: u32,
    pub bits: u8,
}

pub(super) const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 24;
const RECORD: usize = 12;

impl Kind {
    fn from_number(number: u32) -> Option<Kind> {
        use Kind::*;
        const KINDS: [Kind; 19] = [
            Int, Ptr, Array, Struct, Union, Enum, Forward, Typedef, Volatile, Const, Restrict, Func, FuncProto, Var,
            Datasec, Float, DeclTag, TypeTag, Enum64,
        ];
        KINDS.get((number as usize).checked_sub(1)?).copied()
    }

    /// The kind as records spell it.
    pub(super) fn number(self) -> u32 {
        self as u32 + 1
    }

    /// Bytes that follow the header of a record with this many members.
    fn rest_size(self, len: u32) -> usize {
        let len = len as usize;
        match self {
            Kind::Int | Kind::Var | Kind::DeclTag => 4,
            Kind::Array => 12,
            Kind::Struct | Kind::Union | Kind::Datasec | Kind::Enum64 => 12 * len,
            Kind::Enum | Kind::FuncProto => 8 * len,
            Kind::Ptr | Kind::Forward | Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict => 0,
            Kind::Func | Kind::Float | Kind::TypeTag => 0,
        }
    }

    pub(super) fn is_modifier(self) -> bool {
        matches!(self, Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag)
    }

    pub(super) fn is_aggregate(self) -> bool {
        matches!(self, Kind::Struct | Kind::Union)
    }

    pub(super) fn is_enum(self) -> bool {
        matches!(self, Kind::Enum | Kind::Enum64)
    }
}

impl Layout {
    /// Checks the header and finds where every record begins.
    pub(super) fn read(bytes: &[u8]) -> Result<Layout> {
        let magic = bytes.get(..2).map_or(0, |magic| u16::from_ne_bytes([magic[0], magic[1]]));
        if magic != MAGIC || bytes.get(2) != Some(&1) || bytes.len() < HEADER {
            return Err(broken("the header is not that of BTF version 1 in this machine's byte order"));
        }
        let part = |offset: usize, len: usize| {
            let start = word(bytes, 4) as usize + word(bytes, offset) as usize;
            let end = start + word(bytes, len) as usize;
            (end <= bytes.len()).then_some(start..end).ok_or_else(|| broken("a section reaches past the end"))
        };
        let (types, strings) = (part(8, 12)?, part(16, 20)?);
        if bytes[strings.clone()].last().is_some_and(|last| *last != 0) {
            return Err(broken("the strings do not end with a NUL"));
        }
        let offsets = index(&bytes[..types.end], types.start)?;
        Ok(Layout { records: types, strings, offsets })
    }

    /// One more than the largest type id.
    pub(super) fn count(&self) -> u32 {
        self.offsets.len() as u32
    }

    /// All records as words.
    pub(super) fn records(&self, bytes: &[u8]) -> Vec<u32> {
        bytes[self.records.clone()].chunks_exact(4).map(|chunk| word(chunk, 0)).collect()
    }

    /// The record's header, decoded.
    pub(super) fn record(&self, bytes: &[u8], id: TypeId) -> Option<Record> {
        let at = *self.offsets.get(id.0 as usize)? as usize;
        if at == 0 { None } else { Record::read(bytes, at) }
    }

    /// The name's place in the strings, without decoding the rest.
    pub(super) fn name_offset(&self, bytes: &[u8], id: TypeId) -> u32 {
        self.offsets.get(id.0 as usize).map_or(0, |at| word(bytes, *at as usize))
    }

    /// The types whose names lie at a place in the strings.
    pub(super) fn ids_with_name(&self, bytes: &[u8], place: u32) -> impl Iterator<Item = TypeId> {
        let named = (0..).zip(&self.offsets).skip(1).filter(move |(_, at)| word(bytes, **at as usize) == place);
        named.map(|(id, _)| TypeId(id))
    }

    pub(super) fn strings<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.strings.clone()]
    }

    /// The text at a place in the strings, up to its NUL; empty if there is none.
    pub(super) fn text<'a>(&self, bytes: &'a [u8], offset: u32) -> &'a str {
        let tail = self.strings(bytes).get(offset as usize..).unwrap_or_default();
        let end = memchr::memchr(0, tail).unwrap_or(tail.len());
        std::str::from_utf8(&tail[..end]).unwrap_or("")
    }

    /// Whether this text, without a NUL in it, is the one at a place in the strings.
    pub(super) fn is_text(&self, bytes: &[u8], offset: u32, text: &str) -> bool {
        let tail = self.strings(bytes).get(offset as usize..).unwrap_or_default();
        tail.strip_prefix(text.as_bytes()).is_some_and(|rest| matches!(rest, [] | [0, ..]))
    }
}

/// Walks the records. An unknown kind ends the walk with an error, as its length is unknown.
fn index(bytes: &[u8], start: usize) -> Result<Vec<u32>> {
    let mut offsets = Vec::with_capacity(1 + (bytes.len() - start) / 24);
    offsets.push(0);
    let mut at = start;
    while at < bytes.len() {
        let record = Record::read(bytes, at).ok_or_else(|| broken("a record of unknown kind, or cut short"))?;
        offsets.push(at as u32);
        at = record.rest + record.kind.rest_size(record.len);
    }
    if at > bytes.len() {
        return Err(broken("the last record is cut short"));
    }
    Ok(offsets)
}

impl Record {
    fn read(bytes: &[u8], at: usize) -> Option<Record> {
        let header = bytes.get(at..at + RECORD)?;
        let info = word(header, 4);
        Some(Record {
            name: word(header, 0),
            kind: Kind::from_number(info >> 24 & 0x1f)?,
            len: info & 0xffff,
            flag: info >> 31 == 1,
            size_or_type: word(header, 8),
            rest: at + RECORD,
        })
    }

    /// Byte offset of the header.
    pub(super) fn at(&self) -> usize {
        self.rest - RECORD
    }

    /// The type referred to, for kinds that refer to one.
    pub(super) fn target(&self) -> TypeId {
        TypeId(self.size_or_type)
    }
}

impl Btf {
    pub(super) fn member(&self, record: &Record, index: u32) -> Member<'_> {
        let at = record.rest + 12 * index as usize;
        let (ty, offset) = (TypeId(self.word(at + 4)), self.word(at + 8));
        let name = self.text(self.member_name(record, index));
        if record.flag {
            let width = (offset >> 24) as u8;
            return Member { name, ty, bit_offset: offset & 0xff_ffff, bitfield: (width > 0).then_some(width) };
        }
        // Older encoders told a bit field by an integer type of fewer bits than its bytes hold.
        let narrow = self.int(self.strip(ty)).filter(|(bytes, int)| u32::from(int.bits) < 8 * bytes && !int.boolean);
        let shift = narrow.map_or(0, |(_, int)| int.bit_offset);
        Member { name, ty, bit_offset: offset.saturating_add(shift), bitfield: narrow.map(|(_, int)| int.bits) }
    }

    /// The place of a member's name in the strings.
    pub(super) fn member_name(&self, record: &Record, index: u32) -> u32 {
        self.word(record.rest + 12 * index as usize)
    }

    pub(super) fn param(&self, record: &Record, index: u32) -> Param<'_> {
        let at = record.rest + 8 * index as usize;
        Param { name: self.text(self.word(at)), ty: TypeId(self.word(at + 4)) }
    }

    /// Element type and count.
    pub(super) fn array(&self, record: &Record) -> (TypeId, u32) {
        (TypeId(self.word(record.rest)), self.word(record.rest + 8))
    }

    /// Bytes and encoding of an integer type.
    pub(super) fn int(&self, id: TypeId) -> Option<(u32, IntEncoding)> {
        let record = self.record(id).filter(|record| record.kind == Kind::Int)?;
        let data = self.word(record.rest);
        let encoding = IntEncoding {
            signed: data >> 24 & 1 == 1,
            boolean: data >> 24 & 4 == 4,
            bit_offset: data >> 16 & 0xff,
            bits: data as u8,
        };
        Some((record.size_or_type, encoding))
    }

    pub(super) fn variant_name(&self, record: &Record, index: u32) -> u32 {
        self.word(self.variant_at(record, index))
    }

    /// The value, extended by the enumeration's sign.
    pub(super) fn variant_value(&self, record: &Record, index: u32) -> i64 {
        let at = self.variant_at(record, index) + 4;
        let low = self.word(at);
        match (record.kind, record.flag) {
            (Kind::Enum64, _) => (i64::from(self.word(at + 4)) << 32) | i64::from(low),
            (_, true) => i64::from(low as i32),
            (_, false) => i64::from(low),
        }
    }

    /// `struct btf_enum` has a name and 32 bits of value, `struct btf_enum64` a name and twice 32.
    fn variant_at(&self, record: &Record, index: u32) -> usize {
        let stride = if record.kind == Kind::Enum64 { 12 } else { 8 };
        record.rest + stride * index as usize
    }
}

/// The 32-bit word at a byte offset; 0 outside of the data.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|tail| tail.first_chunk()).map_or(0, |word| u32::from_ne_bytes(*word))
}

fn broken(what: &str) -> Error {
    Error::usage(format!("the kernel's types (BTF) cannot be read: {what}"))
}
