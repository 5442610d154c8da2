//! The part of a declaration in front of the names: `unsigned long`, `struct foo { … }`, `size_t`.

use super::{Parsed, Parser};
use crate::btf::build::{Definition, Encoding};
use crate::btf::{Kind, TypeId};
use crate::cdecl::layout::Attributes;
use crate::diag::Diagnostic;

/// Words that change nothing about where something lies.
const QUALIFIERS: [&str; 17] = [
    "const",
    "volatile",
    "restrict",
    "__restrict",
    "__restrict__",
    "__const",
    "__volatile__",
    "_Atomic",
    "__extension__",
    "__inline",
    "__inline__",
    "_Noreturn",
    "__signed",
    "extern",
    "static",
    "inline",
    "register",
];

/// Words of which the names of the basic types are made.
const WORDS: [&str; 13] = [
    "char",
    "short",
    "int",
    "long",
    "signed",
    "__signed__",
    "unsigned",
    "_Bool",
    "bool",
    "void",
    "float",
    "double",
    "__int128",
];

/// Names that the C library gives to basic types, for kernels that do not tell their types.
const STANDARD: [(&str, &str); 16] = [
    ("int8_t", "signed char"),
    ("int16_t", "short int"),
    ("int32_t", "int"),
    ("int64_t", "long int"),
    ("uint8_t", "unsigned char"),
    ("uint16_t", "short unsigned int"),
    ("uint32_t", "unsigned int"),
    ("uint64_t", "long unsigned int"),
    ("size_t", "long unsigned int"),
    ("ssize_t", "long int"),
    ("intptr_t", "long int"),
    ("uintptr_t", "long unsigned int"),
    ("ptrdiff_t", "long int"),
    ("wchar_t", "int"),
    ("pid_t", "int"),
    ("off_t", "long int"),
];

pub(super) fn is_keyword(word: &str) -> bool {
    WORDS.contains(&word)
        || QUALIFIERS.contains(&word)
        || matches!(word, "struct" | "union" | "enum" | "typedef" | "sizeof" | "__attribute__" | "__attribute")
}

impl Parser<'_> {
    pub(super) fn specifiers(&mut self) -> Parsed<TypeId> {
        let mut words = Vec::new();
        let mut named = None;
        let mut attributes = Attributes::default();
        loop {
            attributes = attributes.and(self.attributes()?);
            let word = self.peek().to_string();
            if QUALIFIERS.contains(&word.as_str()) {
                self.at += 1;
            } else if WORDS.contains(&word.as_str()) && named.is_none() {
                words.push(word);
                self.at += 1;
            } else if !words.is_empty() || named.is_some() {
                break;
            } else {
                named = Some(self.named_type(&word)?);
            }
        }
        self.specified = attributes;
        match named {
            Some(named) => Ok(named),
            None => self.basic_type(&words),
        }
    }

    /// `typeof(struct foo *)`.
    fn type_of(&mut self) -> Parsed<TypeId> {
        self.at += 1;
        self.expect("(")?;
        let base = self.nested(Self::specifiers)?;
        let of = self.declarator(base)?.ty;
        self.expect(")")?;
        Ok(of)
    }

    fn named_type(&mut self, word: &str) -> Parsed<TypeId> {
        match word {
            "struct" | "union" => self.nested(Self::aggregate),
            "enum" => self.enumeration(),
            "typeof" | "__typeof__" | "__typeof" => self.type_of(),
            "__builtin_va_list" => {
                self.at += 1;
                Ok(self.builder.add(Definition::Pointer(TypeId::VOID)))
            }
            _ => match self.take_name() {
                Some(name) => self.typedef_named(&name),
                None => Err(self.expected("a type")),
            },
        }
    }

    fn typedef_named(&mut self, name: &str) -> Parsed<TypeId> {
        if let Some(known) = self.typedefs.get(name) {
            return Ok(*known);
        }
        if let Some(known) = self.builder.base().find(name, Kind::Typedef) {
            return Ok(known);
        }
        if let Some((_, basic)) = STANDARD.iter().find(|(standard, _)| *standard == name) {
            return Ok(self.basic(basic));
        }
        self.at -= 1;
        let fault = Diagnostic::error(self.place(), format!("unknown type name '{name}'"));
        Err(match ["struct", "union", "enum"].iter().find(|word| self.is_tag(word, name)) {
            Some(word) => fault.hint(format!("did you mean '{word} {name}'?")),
            None => fault,
        })
    }

    /// The words may stand in any order.
    fn basic_type(&mut self, words: &[String]) -> Parsed<TypeId> {
        let count = |word: &str| words.iter().filter(|one| *one == word).count();
        let is_unsigned = count("unsigned") > 0;
        let name = match (count("char"), count("short"), count("long")) {
            _ if count("void") > 0 => return Ok(TypeId::VOID),
            _ if count("_Bool") + count("bool") > 0 => "_Bool",
            _ if count("float") > 0 => "float",
            _ if count("double") > 0 => {
                if count("long") > 0 {
                    "long double"
                } else {
                    "double"
                }
            }
            _ if count("__int128") > 0 => {
                if is_unsigned {
                    "__int128 unsigned"
                } else {
                    "__int128"
                }
            }
            (1.., _, _) if is_unsigned => "unsigned char",
            (1.., _, _) if count("signed") + count("__signed__") > 0 => "signed char",
            (1.., _, _) => "char",
            (0, 1.., _) => {
                if is_unsigned {
                    "short unsigned int"
                } else {
                    "short int"
                }
            }
            (0, 0, 0) => {
                if is_unsigned {
                    "unsigned int"
                } else {
                    "int"
                }
            }
            (0, 0, 1) => {
                if is_unsigned {
                    "long unsigned int"
                } else {
                    "long int"
                }
            }
            (0, 0, 2..) => {
                if is_unsigned {
                    "long long unsigned int"
                } else {
                    "long long int"
                }
            }
        };
        Ok(self.basic(name))
    }

    /// The kernel's type of this name where it has one, so that both are one type.
    pub(super) fn basic(&mut self, name: &'static str) -> TypeId {
        if let Some(known) = self.basics.get(name) {
            return *known;
        }
        let kernels = self.builder.base().find(name, Kind::Int);
        let id = kernels.unwrap_or_else(|| self.builder.add(basic(name)));
        self.basics.insert(name, id);
        id
    }

    /// Those that stand here, `__attribute__((packed, aligned(8)))`.
    pub(super) fn attributes(&mut self) -> Parsed<Attributes> {
        let mut attributes = Attributes::default();
        loop {
            if self.take("_Alignas") {
                attributes.aligned = Some(self.alignment()?);
            } else if self.take("__attribute__") || self.take("__attribute") {
                self.expect("(")?;
                self.expect("(")?;
                while !self.take(")") {
                    self.attribute(&mut attributes)?;
                }
                self.expect(")")?;
            } else {
                return Ok(attributes);
            }
        }
    }

    /// Most say nothing about where something lies; those that would move it, and are not known here, are refused.
    fn attribute(&mut self, attributes: &mut Attributes) -> Parsed<()> {
        let place = self.place();
        let word = self.peek().trim_matches('_').to_string();
        self.at += 1;
        match word.as_str() {
            "" if self.at >= self.tokens.len() => return Err(self.expected("')'")),
            "packed" => attributes.packed = true,
            "aligned" => attributes.aligned = Some(self.alignment()?),
            "mode" => attributes.bytes = Some(self.mode()?),
            "vector_size" | "scalar_storage_order" | "ms_struct" => {
                return Err(Diagnostic::error(place, format!("attribute '{word}' is not supported")));
            }
            _ if self.take("(") => {
                self.skip_to(&[")"]);
                self.expect(")")?;
            }
            _ => {}
        }
        Ok(())
    }

    /// `(__DI__)`: the width of an integer.
    fn mode(&mut self) -> Parsed<u32> {
        self.expect("(")?;
        let place = self.place();
        let word = self.peek().trim_matches('_').to_string();
        self.at += 1;
        self.expect(")")?;
        let widths = [("QI", 1), ("byte", 1), ("HI", 2), ("SI", 4), ("DI", 8), ("word", 8), ("pointer", 8)];
        let known = widths.iter().find(|(mode, _)| *mode == word).map(|(_, bytes)| *bytes);
        known.ok_or_else(|| Diagnostic::error(place, format!("mode '{word}' is not supported")))
    }

    /// Without a number, the largest that is ever useful.
    fn alignment(&mut self) -> Parsed<u32> {
        if !self.take("(") {
            return Ok(16);
        }
        let start = self.at;
        let value = self.constant(&[")"])?;
        self.expect(")")?;
        let valid = u32::try_from(value).ok().filter(|value| value.is_power_of_two() && *value <= 1 << 28);
        valid.ok_or_else(|| Diagnostic::error(self.span_from(start), "an alignment is a power of two"))
    }
}

fn basic(name: &'static str) -> Definition {
    let size = match name {
        "char" | "signed char" | "unsigned char" | "_Bool" => 1,
        "short int" | "short unsigned int" => 2,
        "int" | "unsigned int" | "float" => 4,
        "__int128" | "__int128 unsigned" | "long double" => 16,
        _ => 8,
    };
    match name {
        "float" | "double" | "long double" => Definition::Float { name, size },
        "_Bool" => Definition::Int { name, size, encoding: Encoding::Bool },
        _ if name.contains("unsigned") => Definition::Int { name, size, encoding: Encoding::Unsigned },
        _ => Definition::Int { name, size, encoding: Encoding::Signed },
    }
}
