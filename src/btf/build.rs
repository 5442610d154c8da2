//! Definitions in, BTF out that has them behind the types it is based on.

use std::collections::HashMap;
use std::sync::Arc;

use super::wire::MAGIC;
use super::{Btf, DEPTH, Kind, Part, TypeId};
use crate::error::Result;
use crate::mapped::Bytes;
use crate::types::Sign;

/// A type as a script defines it.
#[derive(Debug, Clone, PartialEq)]
pub enum Definition {
    Int {
        name: &'static str,
        size: u32,
        encoding: Encoding,
    },
    Float {
        name: &'static str,
        size: u32,
    },
    Pointer(TypeId),
    Array {
        element: TypeId,
        count: u32,
    },
    Aggregate {
        kind: Aggregate,
        name: String,
        size: u32,
        align: u32,
        members: Vec<NewMember>,
    },
    Enum {
        name: String,
        size: u32,
        sign: Sign,
        variants: Vec<(String, i64)>,
    },
    /// Declared, not defined.
    Forward {
        kind: Aggregate,
        name: String,
    },
    Typedef {
        name: String,
        target: TypeId,
    },
    /// `TypeId::VOID` for no result, and for the parameters that `...` stands for.
    Function {
        result: TypeId,
        params: Vec<(String, TypeId)>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregate {
    Struct,
    Union,
}

/// What the bits of an integer mean, as BTF spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Unsigned = 0,
    Signed = 1,
    Bool = 4,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NewMember {
    /// Empty for an anonymous structure or union.
    pub name: String,
    pub ty: TypeId,
    pub bit_offset: u32,
    pub bitfield: Option<u8>,
}

/// Collects definitions. Each has its id at once, so that a structure can point to itself.
pub struct Builder {
    base: Btf,
    definitions: Vec<Definition>,
}

/// How many members or enumerators one record can have.
pub const MOST_MEMBERS: usize = u16::MAX as usize;
/// The last bit at which a bit field can begin.
pub const LAST_BITFIELD: u32 = (1 << 24) - 1;

impl Builder {
    /// Adds to these types, or to none. What was added to them before stays.
    pub fn new(base: Option<&Btf>) -> Result<Builder> {
        let base = match base {
            Some(base) => {
                Btf { base: Arc::clone(&base.base), added: base.added.as_ref().map(Part::copied).transpose()? }
            }
            None => Btf::over(Bytes::Owned(image(&[], &[0])))?,
        };
        Ok(Builder { base, definitions: Vec::new() })
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.definitions.is_empty()
    }

    /// What is added to.
    pub fn base(&self) -> &Btf {
        &self.base
    }

    pub fn add(&mut self, definition: Definition) -> TypeId {
        self.definitions.push(definition);
        TypeId(self.base.count() + self.definitions.len() as u32 - 1)
    }

    /// Defines what was only declared.
    pub fn replace(&mut self, id: TypeId, definition: Definition) {
        if let Some(known) = self.index(id).and_then(|index| self.definitions.get_mut(index)) {
            *known = definition;
        }
    }

    pub fn definition(&self, id: TypeId) -> Option<&Definition> {
        self.definitions.get(self.index(id)?)
    }

    /// Bytes; `None` for functions, `void`, what is only declared, and arrays of arrays without end.
    pub fn size_of(&self, id: TypeId) -> Option<u32> {
        self.size_within(id, DEPTH)
    }

    /// 1 for what has no size.
    pub fn align_of(&self, id: TypeId) -> u32 {
        self.align_within(id, DEPTH)
    }

    pub fn finish(self) -> Result<Btf> {
        let base_strings = self.base.base.strings_len();
        let added = self.base.added.as_ref();
        let (words, strings) = added.map_or_else(|| (Vec::new(), vec![0]), Part::content);
        let mut writer = Writer { base_strings, added, words, strings, offsets: HashMap::new() };
        self.definitions.iter().for_each(|definition| writer.definition(definition));
        let added = Part::over(Bytes::Owned(image(&writer.words, &writer.strings)))?;
        Ok(Btf { base: self.base.base, added: Some(added) })
    }

    fn size_within(&self, id: TypeId, depth: usize) -> Option<u32> {
        let Some(definition) = self.definition(id) else { return self.base.size_of(id) };
        let depth = depth.checked_sub(1)?;
        match definition {
            Definition::Int { size, .. } | Definition::Float { size, .. } => Some(*size),
            Definition::Aggregate { size, .. } | Definition::Enum { size, .. } => Some(*size),
            Definition::Pointer(_) => Some(8),
            Definition::Array { element, count } => self.size_within(*element, depth)?.checked_mul(*count),
            Definition::Typedef { target, .. } => self.size_within(*target, depth),
            Definition::Forward { .. } | Definition::Function { .. } => None,
        }
    }

    fn align_within(&self, id: TypeId, depth: usize) -> u32 {
        match (self.definition(id), depth.checked_sub(1)) {
            (None, _) => self.base.align_of(id, DEPTH),
            (Some(Definition::Aggregate { align, .. }), _) => *align,
            (Some(Definition::Array { element: of, .. } | Definition::Typedef { target: of, .. }), Some(depth)) => {
                self.align_within(*of, depth)
            }
            (Some(_), _) => self.size_of(id).unwrap_or(1),
        }
    }

    fn index(&self, id: TypeId) -> Option<usize> {
        id.0.checked_sub(self.base.count()).map(|index| index as usize)
    }
}

impl Part {
    fn copied(&self) -> Result<Part> {
        Part::over(Bytes::Owned(self.bytes.to_vec()))
    }

    /// The records and the strings.
    fn content(&self) -> (Vec<u32>, Vec<u8>) {
        (self.layout.records(&self.bytes), self.layout.strings(&self.bytes).to_vec())
    }
}

impl Btf {
    /// The alignment follows from the members; a structure that breaks theirs is packed. `depth` ends cycles.
    fn align_of(&self, id: TypeId, depth: usize) -> u32 {
        let bare = self.strip(id);
        let (Some(record), Some(depth)) = (self.record(bare), depth.checked_sub(1)) else { return 1 };
        match record.kind {
            Kind::Array => self.align_of(self.array(&record).0, depth),
            Kind::Struct | Kind::Union => {
                let of = |ty| self.align_of(ty, depth);
                let is_kept = |member: &super::Member<'_>| {
                    member.bitfield.is_some() || member.bit_offset.is_multiple_of(8 * of(member.ty))
                };
                let align = self.members(bare).map(|member| of(member.ty)).max().unwrap_or(1);
                let is_packed = !self.members(bare).all(|member| is_kept(&member));
                if is_packed || !record.size_or_type.is_multiple_of(align) { 1 } else { align }
            }
            _ => self.size_of(bare).filter(|size| matches!(size, 1 | 2 | 4 | 8 | 16)).unwrap_or(1),
        }
    }
}

/// Puts definitions into their binary form.
struct Writer<'a> {
    base_strings: u32,
    /// What was added before, whose content comes first.
    added: Option<&'a Part>,
    words: Vec<u32>,
    strings: Vec<u8>,
    offsets: HashMap<String, u32>,
}

/// The `info` word's flag: bit fields among the members, a signed enumeration, a union declared.
const FLAG: u32 = 1 << 31;

impl Writer<'_> {
    fn definition(&mut self, definition: &Definition) {
        match definition {
            Definition::Int { name, size, encoding } => {
                self.header(name, Kind::Int, 0, *size);
                self.words.push(((*encoding as u32) << 24) | (8 * size));
            }
            Definition::Float { name, size } => self.header(name, Kind::Float, 0, *size),
            Definition::Pointer(target) => self.header("", Kind::Ptr, 0, target.0),
            Definition::Array { element, count } => {
                self.header("", Kind::Array, 0, 0);
                self.words.extend([element.0, 0, *count]);
            }
            Definition::Aggregate { kind, name, size, members, .. } => self.aggregate(*kind, name, *size, members),
            Definition::Enum { name, size, sign, variants } => self.enumeration(name, *size, *sign, variants),
            Definition::Forward { kind, name } => {
                let flag = if *kind == Aggregate::Union { FLAG } else { 0 };
                self.header(name, Kind::Forward, flag, 0);
            }
            Definition::Typedef { name, target } => self.header(name, Kind::Typedef, 0, target.0),
            Definition::Function { result, params } => {
                self.header("", Kind::FuncProto, params.len() as u32, result.0);
                for (name, ty) in params {
                    let name = self.string(name);
                    self.words.extend([name, ty.0]);
                }
            }
        }
    }

    fn aggregate(&mut self, kind: Aggregate, name: &str, size: u32, members: &[NewMember]) {
        let kind = if kind == Aggregate::Union { Kind::Union } else { Kind::Struct };
        let has_bitfields = members.iter().any(|member| member.bitfield.is_some());
        let flag = if has_bitfields { FLAG } else { 0 };
        self.header(name, kind, flag | members.len() as u32, size);
        for member in members {
            let name = self.string(&member.name);
            let width = u32::from(member.bitfield.unwrap_or(0));
            self.words.extend([name, member.ty.0, (width << 24) | member.bit_offset]);
        }
    }

    fn enumeration(&mut self, name: &str, size: u32, sign: Sign, variants: &[(String, i64)]) {
        let flag = if sign == Sign::Signed { FLAG } else { 0 };
        let kind = if size == 8 { Kind::Enum64 } else { Kind::Enum };
        self.header(name, kind, flag | variants.len() as u32, size);
        for (name, value) in variants {
            let name = self.string(name);
            self.words.extend([name, *value as u32]);
            if kind == Kind::Enum64 {
                self.words.push((*value >> 32) as u32);
            }
        }
    }

    fn header(&mut self, name: &str, kind: Kind, flag_and_len: u32, size_or_type: u32) {
        let name = self.string(name);
        self.words.extend([name, flag_and_len | (kind.number() << 24), size_or_type]);
    }

    /// Each name is stored once; one of the base's own types is stored anew, as looking for it there would take long.
    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(known) = self.offsets.get(text) {
            return *known;
        }
        let known = self.added.and_then(|added| added.string_offset(text));
        let at = known.unwrap_or_else(|| {
            let end = self.strings.len() as u32;
            self.strings.extend(text.as_bytes());
            self.strings.push(0);
            end
        });
        self.offsets.insert(text.to_string(), self.base_strings + at);
        self.base_strings + at
    }
}

/// The header, the records and the strings.
pub(super) fn image(words: &[u32], strings: &[u8]) -> Vec<u8> {
    let types = 4 * words.len() as u32;
    let mut bytes = [&MAGIC.to_ne_bytes()[..], &[1, 0]].concat();
    let header = [24, 0, types, types, strings.len() as u32];
    bytes.extend(header.iter().chain(words).flat_map(|word| word.to_ne_bytes()));
    bytes.extend(strings);
    bytes
}
