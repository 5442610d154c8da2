//! Kernel types, read in place: opening walks the records once to know where each begins (about a millisecond for a whole
//! kernel); nothing else is read until somebody asks for it.
//!
//! A script's own types ([`build`]) stand behind the kernel's, whose ids they leave as they are.
//!
//! The format is described in the kernel's `Documentation/bpf/btf.rst`.

pub mod build;
mod convert;
mod graft;
mod names;
mod print;
mod wire;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::errno::reason;
use crate::error::{Error, Result};
use crate::mapped::Bytes;
use crate::types::StructRef;
use names::Names;
use wire::{Layout, Record, word};

pub use graft::{Basis, Foreign, Grafted};
pub use wire::Kind;

crate::ids! {
    /// A BTF type id; 0 is `void`.
    TypeId;
}

impl TypeId {
    pub const VOID: TypeId = TypeId(0);
}

/// The kernel's (or any other) BTF, and what a script adds to it.
pub struct Btf {
    base: Arc<Part>,
    /// Types whose ids, and strings whose places, follow the last of the base. Among equal names theirs come first.
    added: Option<Part>,
}

/// Types that lie in one piece.
struct Part {
    bytes: Bytes,
    layout: Layout,
    names: Names,
}

/// A member of a structure or union as declared; anonymous ones have an empty name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    pub name: &'a str,
    pub ty: TypeId,
    /// From the start of the structure.
    pub bit_offset: u32,
    /// Width in bits, where the member is a bit field.
    pub bitfield: Option<u8>,
}

/// Where a field lies, counted from the start of the structure it was asked of, however deeply it is nested in anonymous ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldInfo {
    pub bit_offset: u32,
    pub ty: TypeId,
    /// Width in bits, where the field is a bit field.
    pub bitfield: Option<u8>,
}

/// A function's parameters and result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature<'a> {
    pub params: Vec<Param<'a>>,
    /// `TypeId::VOID` for none.
    pub result: TypeId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    /// Empty where only the type is known, as in function pointers.
    pub name: &'a str,
    pub ty: TypeId,
}

/// How many typedefs, qualifiers or nested anonymous structures are followed; more can only be a cycle in broken data.
const DEPTH: usize = 32;

impl Btf {
    /// Opens the running kernel's types.
    pub fn open() -> Result<Btf> {
        let hint = "structures can only be named on a kernel built with CONFIG_DEBUG_INFO_BTF=y";
        Self::open_at(Path::new("/sys/kernel/btf/vmlinux")).map_err(|error| error.hint(hint))
    }

    /// Opens a file of raw BTF.
    pub fn open_at(path: &Path) -> Result<Btf> {
        let bytes = Bytes::open(path).map_err(|error| {
            Error::usage(format!("cannot read the kernel's types from {}: {}", path.display(), reason(&error)))
        })?;
        Self::over(bytes)
    }

    /// Reads BTF from memory.
    pub fn parse(bytes: &[u8]) -> Result<Btf> {
        Self::over(Bytes::Owned(bytes.to_vec()))
    }

    /// The first type of this kind and name.
    pub fn find(&self, name: &str, kind: Kind) -> Option<TypeId> {
        let (ids, strings) = (self.base.layout.count() - 1, self.base.strings_len());
        let mut of_added = self.added.iter().flat_map(|added| added.search(name, strings)).map(|id| TypeId(ids + id.0));
        of_added.find(|id| self.kind(*id) == Some(kind)).or_else(|| self.base.find(name, kind))
    }

    /// A type as C writes its name: `struct task_struct`, `union sigval`, `enum pid_type`, `pid_t`, `unsigned int`.
    pub fn named(&self, name: &str) -> Option<TypeId> {
        match name.split_once(' ') {
            Some(("struct", tag)) => self.find(tag, Kind::Struct),
            Some(("union", tag)) => self.find(tag, Kind::Union),
            Some(("enum", tag)) => self.find(tag, Kind::Enum).or_else(|| self.find(tag, Kind::Enum64)),
            _ => self.find(name, Kind::Typedef).or_else(|| self.find(name, Kind::Int)),
        }
    }

    /// The structure of this name, given without `struct`.
    pub fn struct_named(&self, name: &str) -> Option<StructRef> {
        self.struct_ref(self.find(name, Kind::Struct)?)
    }

    pub fn kind(&self, id: TypeId) -> Option<Kind> {
        self.record(id).map(|record| record.kind)
    }

    /// The type's own name; empty if it has none.
    pub fn name(&self, id: TypeId) -> &str {
        self.record(id).map_or("", |record| self.text(record.name))
    }

    /// Members of a structure or union as declared, through typedefs and qualifiers; none for other types.
    pub fn members(&self, id: TypeId) -> impl Iterator<Item = Member<'_>> {
        let record = self.record(self.strip(id)).filter(|record| record.kind.is_aggregate());
        record.into_iter().flat_map(move |record| (0..record.len).map(move |index| self.member(&record, index)))
    }

    /// A field by name, looked for in anonymous members too.
    pub fn field(&self, id: TypeId, name: &str) -> Option<FieldInfo> {
        self.field_within(id, name, DEPTH)
    }

    /// The type of what the verifier finds in these bytes of a structure, if it is a whole pointer, or a number or array of numbers that
    /// they are a part of. Of what shares its place in a union, the verifier looks at the first.
    pub fn plain_at(&self, id: TypeId, offset: u32, size: u32) -> Option<TypeId> {
        self.plain_within(id, offset, size, DEPTH)
    }

    /// All names that [`Btf::field`] finds, in order of declaration.
    pub fn field_names(&self, id: TypeId) -> Vec<&str> {
        let mut names = Vec::new();
        self.collect_names(id, DEPTH, &mut names);
        names
    }

    /// Bytes; `None` for functions, incomplete types and broken data.
    pub fn size_of(&self, id: TypeId) -> Option<u32> {
        self.size_within(id, DEPTH)
    }

    /// The type behind typedefs, `const`, `volatile`, `restrict` and tags.
    pub fn strip(&self, id: TypeId) -> TypeId {
        let mut id = id;
        for _ in 0..DEPTH {
            match self.record(id) {
                Some(record) if record.kind.is_modifier() => id = record.target(),
                Some(_) | None => break,
            }
        }
        id
    }

    /// What a pointer points at, through typedefs and qualifiers; `None` if the type is no pointer.
    pub fn pointee(&self, id: TypeId) -> Option<TypeId> {
        let record = self.record(self.strip(id))?;
        (record.kind == Kind::Ptr).then(|| record.target())
    }

    /// Parameters and result of the function of this name.
    pub fn func(&self, name: &str) -> Option<Signature<'_>> {
        self.signature(self.find(name, Kind::Func)?)
    }

    /// Parameters and result of a function, a function type, or a pointer or typedef of one.
    pub fn signature(&self, id: TypeId) -> Option<Signature<'_>> {
        let mut record = self.record(self.strip(id))?;
        while matches!(record.kind, Kind::Ptr | Kind::Func) {
            let target = self.strip(record.target());
            record = self.record(target).filter(|next| next.kind == Kind::FuncProto)?;
        }
        let params = (0..record.len).map(|index| self.param(&record, index)).collect();
        (record.kind == Kind::FuncProto).then(|| Signature { params, result: record.target() })
    }

    /// Value of an enumerator, and the enumeration that declares it.
    pub fn enum_value(&self, name: &str) -> Option<(TypeId, i64)> {
        let first_added = self.base.layout.count();
        let of_added = self.added.as_ref().and_then(|added| {
            let name = self.base.strings_len() + added.string_offset(name)?;
            self.variant_among(first_added..self.count(), name)
        });
        of_added.or_else(|| self.variant_among(1..first_added, self.base.string_offset(name)?))
    }

    /// All types of one kind with their names; anonymous ones are left out.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = (&str, TypeId)> {
        let of_kind = move |id| self.record(id).filter(|record| record.kind == kind).map(|record| (record.name, id));
        self.ids().filter_map(of_kind).map(|(name, id)| (self.text(name), id)).filter(|(name, _)| !name.is_empty())
    }

    fn over(bytes: Bytes) -> Result<Btf> {
        Ok(Btf { base: Arc::new(Part::over(bytes)?), added: None })
    }

    /// The enumerator whose name lies at a place among the strings.
    fn variant_among(&self, mut ids: Range<u32>, name: u32) -> Option<(TypeId, i64)> {
        ids.find_map(|id| {
            let record = self.record(TypeId(id)).filter(|record| record.kind.is_enum())?;
            let index = (0..record.len).find(|index| self.variant_name(&record, *index) == name)?;
            Some((TypeId(id), self.variant_value(&record, index)))
        })
    }

    /// A member's own name comes before those within an anonymous one, as in C.
    fn field_within(&self, id: TypeId, name: &str, depth: usize) -> Option<FieldInfo> {
        let depth = depth.checked_sub(1)?;
        let record = self.record(self.strip(id)).filter(|record| record.kind.is_aggregate())?;
        (0..record.len).find_map(|index| {
            let is_called = |name| self.is_text(self.member_name(&record, index), name);
            if !name.is_empty() && is_called(name) {
                let member = self.member(&record, index);
                return Some(FieldInfo { bit_offset: member.bit_offset, ty: member.ty, bitfield: member.bitfield });
            }
            let anonymous = is_called("").then(|| self.member(&record, index))?;
            let inner = self.field_within(anonymous.ty, name, depth)?;
            Some(FieldInfo { bit_offset: anonymous.bit_offset.checked_add(inner.bit_offset)?, ..inner })
        })
    }

    fn plain_within(&self, id: TypeId, offset: u32, size: u32, depth: usize) -> Option<TypeId> {
        let depth = depth.checked_sub(1)?;
        let (member, start, end) = self.members(id).find_map(|member| {
            let start = member.bit_offset / 8;
            let end = start.checked_add(self.size_of(member.ty)?)?;
            (start <= offset && offset < end).then_some((member, start, end))
        })?;
        if member.bitfield.is_some() || end < offset + size {
            return None;
        }
        let record = self.record(self.strip(member.ty))?;
        match record.kind {
            Kind::Struct | Kind::Union => self.plain_within(member.ty, offset - start, size, depth),
            Kind::Array => {
                let element = self.strip(self.array(&record).0);
                (self.kind(element) == Some(Kind::Int)).then_some(element)
            }
            Kind::Int | Kind::Enum | Kind::Enum64 => Some(self.strip(member.ty)),
            Kind::Ptr => (offset == start && offset + size == end).then(|| self.strip(member.ty)),
            _ => None,
        }
    }

    fn collect_names<'a>(&'a self, id: TypeId, depth: usize, names: &mut Vec<&'a str>) {
        for member in self.members(id) {
            if !member.name.is_empty() {
                names.push(member.name);
            } else if depth > 0 {
                self.collect_names(member.ty, depth - 1, names);
            }
        }
    }

    /// Arrays of arrays are followed; `depth` ends cycles.
    fn size_within(&self, id: TypeId, depth: usize) -> Option<u32> {
        let record = self.record(self.strip(id))?;
        match record.kind {
            Kind::Ptr => Some(8),
            Kind::Array => {
                let (element, count) = self.array(&record);
                self.size_within(element, depth.checked_sub(1)?)?.checked_mul(count)
            }
            Kind::Int | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Float | Kind::Datasec => {
                Some(record.size_or_type)
            }
            Kind::Forward | Kind::Func | Kind::FuncProto | Kind::Var | Kind::DeclTag => None,
            Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag => None,
        }
    }

    /// The record of a type; `None` for `void` and for ids that there are not.
    fn record(&self, id: TypeId) -> Option<Record> {
        match self.place_of(id) {
            (part, id) if std::ptr::eq(part, &*self.base) => part.layout.record(&part.bytes, id),
            (part, id) => {
                let record = part.layout.record(&part.bytes, id)?;
                Some(Record { rest: record.rest + self.base.bytes.len(), ..record })
            }
        }
    }

    /// The part that has a type, and the type's number in it.
    fn place_of(&self, id: TypeId) -> (&Part, TypeId) {
        match (&self.added, id.0.checked_sub(self.base.layout.count())) {
            (Some(added), Some(index)) => (added, TypeId(index + 1)),
            (None, _) | (_, None) => (&self.base, id),
        }
    }

    /// The 32-bit word at a place that a record gave; 0 outside of the data.
    fn word(&self, at: usize) -> u32 {
        match (&self.added, at.checked_sub(self.base.bytes.len())) {
            (Some(added), Some(at)) => word(&added.bytes, at),
            (None, _) | (_, None) => word(&self.base.bytes, at),
        }
    }

    /// The added ones come first.
    fn ids(&self) -> impl Iterator<Item = TypeId> {
        let base = self.base.layout.count();
        (base..self.count()).chain(1..base).map(TypeId)
    }

    /// The number after the last one.
    fn count(&self) -> u32 {
        self.base.layout.count() + self.added.as_ref().map_or(0, |added| added.layout.count() - 1)
    }

    fn text(&self, offset: u32) -> &str {
        match (&self.added, offset.checked_sub(self.base.strings_len())) {
            (Some(added), Some(offset)) => added.layout.text(&added.bytes, offset),
            (None, _) | (_, None) => self.base.layout.text(&self.base.bytes, offset),
        }
    }

    /// Whether this text is the one at a place among the strings.
    fn is_text(&self, offset: u32, text: &str) -> bool {
        match (&self.added, offset.checked_sub(self.base.strings_len())) {
            (Some(added), Some(offset)) => added.layout.is_text(&added.bytes, offset, text),
            (None, _) | (_, None) => self.base.layout.is_text(&self.base.bytes, offset, text),
        }
    }
}

impl Part {
    /// Checks the layout, so that everything later can rely on it.
    fn over(bytes: Bytes) -> Result<Part> {
        let layout = Layout::read(&bytes)?;
        Ok(Part { bytes, layout, names: Names::default() })
    }

    /// Where a name lies among the strings, each of which is stored once and ends at a NUL.
    fn string_offset(&self, name: &str) -> Option<u32> {
        if name.is_empty() || name.contains('\0') {
            return None;
        }
        let found = memchr::memmem::find(self.layout.strings(&self.bytes), format!("\0{name}\0").as_bytes());
        found.map(|at| at as u32 + 1)
    }

    fn strings_len(&self) -> u32 {
        self.layout.strings(&self.bytes).len() as u32
    }
}

impl std::fmt::Debug for Btf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Btf({} types)", self.ids().count())
    }
}

#[cfg(test)]
mod subset;
#[cfg(test)]
mod tests;
