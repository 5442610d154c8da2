//! BTF types become the language's types.

use std::sync::Arc;

use super::wire::{Kind, Record};
use super::{Btf, DEPTH, TypeId};
use crate::types::{EnumType, Int, Sign, Space, StructRef, Type};

impl Btf {
    /// The language's type for a C type whose value lies in (and whose pointers lead into) `space`.
    ///
    /// Plain `char` arrays are text; structures stay references, so self-referential types end here. Functions and what
    /// cannot be told are `void`.
    pub fn to_type(&self, id: TypeId, space: Space) -> Type {
        self.convert(id, space, DEPTH)
    }

    /// A structure or union by its id, through typedefs and qualifiers. An incomplete one has size 0.
    pub fn struct_ref(&self, id: TypeId) -> Option<StructRef> {
        let bare = self.strip(id);
        let record = self.record(bare)?;
        let (word, size) = match (record.kind, record.flag) {
            (Kind::Struct, _) => ("struct", record.size_or_type),
            (Kind::Union, _) => ("union", record.size_or_type),
            (Kind::Forward, false) => ("struct", 0),
            (Kind::Forward, true) => ("union", 0),
            _ => return None,
        };
        let name = match self.text(record.name) {
            // An anonymous structure is known by its typedef, if by anything.
            "" => self.typedef_name(id).to_string(),
            tag => format!("{word} {tag}"),
        };
        Some(StructRef { name: name.into(), btf: bare.0, size, space: Space::Unknown })
    }

    /// Goes through one layer; `depth` ends cycles, which only broken data has.
    fn convert(&self, id: TypeId, space: Space, depth: usize) -> Type {
        let bare = self.strip(id);
        let (Some(record), Some(depth)) = (self.record(bare), depth.checked_sub(1)) else { return Type::Void };
        match record.kind {
            Kind::Int => self.convert_int(bare),
            Kind::Ptr => {
                let space = if self.is_user(record.target()) { Space::User } else { space };
                Type::pointer(self.convert(record.target(), space, depth), space)
            }
            Kind::Array => self.convert_array(&record, space, depth),
            Kind::Struct | Kind::Union | Kind::Forward => self.struct_ref(id).map_or(Type::Void, Type::Struct),
            Kind::Enum | Kind::Enum64 => Type::Enum(Arc::new(self.convert_enum(&record, id))),
            Kind::Float => Type::Array(Box::new(Type::U8), record.size_or_type),
            Kind::Var => self.convert(record.target(), space, depth),
            Kind::Func | Kind::FuncProto | Kind::Datasec | Kind::DeclTag => Type::Void,
            Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag => Type::Void,
        }
    }

    /// `char` keeps the sign that the architecture gives it.
    fn convert_int(&self, id: TypeId) -> Type {
        let Some((bytes, encoding)) = self.int(id) else { return Type::Void };
        let sign = if encoding.signed { Sign::Signed } else { Sign::Unsigned };
        match bytes {
            1 if encoding.boolean => Type::Bool,
            1 | 2 | 4 | 8 => Type::Int(Int { bits: 8 * bytes as u8, sign }),
            // A 128-bit integer is no scalar of the language.
            _ => Type::Array(Box::new(Type::U8), bytes),
        }
    }

    /// Bytes that the kernel calls `u8` or `unsigned char` are data (addresses, flags), not text.
    fn convert_array(&self, record: &Record, space: Space, depth: usize) -> Type {
        let (element, count) = self.array(record);
        if self.size_of(element).is_none_or(|size| size.checked_mul(count).is_none()) {
            return Type::Void;
        }
        match self.name(self.strip(element)) {
            "char" => Type::Str(count),
            _ => Type::Array(Box::new(self.convert(element, space, depth)), count),
        }
    }

    /// An anonymous enumeration goes by its typedef's name.
    fn convert_enum(&self, record: &Record, id: TypeId) -> EnumType {
        let variant = |index| {
            let name = self.text(self.variant_name(record, index)).to_string();
            (name, self.variant_value(record, index))
        };
        let name = match self.text(record.name) {
            "" => self.typedef_name(id),
            tag => tag,
        };
        EnumType {
            name: name.to_string(),
            size: if matches!(record.size_or_type, 1 | 2 | 4 | 8) { record.size_or_type as u8 } else { 4 },
            sign: if record.flag { Sign::Signed } else { Sign::Unsigned },
            variants: (0..record.len).map(variant).collect(),
        }
    }

    /// Whether a pointer's target is tagged `__user` (kernels built by clang, or by a recent gcc, say so).
    fn is_user(&self, id: TypeId) -> bool {
        let mut id = id;
        for _ in 0..DEPTH {
            match self.record(id) {
                Some(record) if record.kind == Kind::TypeTag && self.text(record.name) == "user" => return true,
                Some(record) if record.kind.is_modifier() => id = record.target(),
                Some(_) | None => return false,
            }
        }
        false
    }

    /// The name of the outermost typedef on the way to the type itself.
    fn typedef_name(&self, id: TypeId) -> &str {
        let mut id = id;
        for _ in 0..DEPTH {
            match self.record(id) {
                Some(record) if record.kind == Kind::Typedef => return self.text(record.name),
                Some(record) if record.kind.is_modifier() => id = record.target(),
                Some(_) | None => break,
            }
        }
        ""
    }
}
