//! BTF types become C declarations, as `-lv` shows them.

use std::fmt::Write;

use super::wire::{Kind, Record};
use super::{Btf, DEPTH, TypeId};

impl Btf {
    /// The type's name in C: `const char *`, `struct task_struct *`, `int[4]`.
    pub fn type_name(&self, id: TypeId) -> String {
        self.declare(id, "")
    }

    /// A declaration of `name` in C: `char comm[16]`, `int (*open)(struct inode *, struct file *)`.
    pub fn declare(&self, id: TypeId, name: &str) -> String {
        self.declarator(id, name.to_string(), DEPTH)
    }

    /// A structure, union or enumeration with all it contains, one member a line, indented by tabs.
    pub fn definition(&self, id: TypeId) -> Option<String> {
        let record = self.record(id).filter(|record| record.kind.is_aggregate() || record.kind.is_enum())?;
        let mut text = format!("{} {{\n", self.type_name(id));
        self.write_body(&record, 1, &mut text);
        text.push_str("};\n");
        Some(text)
    }

    /// Builds the declaration from the inside out: `inner` is what has been declared so far.
    fn declarator(&self, id: TypeId, inner: String, depth: usize) -> String {
        let Some(depth) = depth.checked_sub(1) else { return inner };
        let Some(record) = self.record(id) else { return join("void", &inner) };
        match record.kind {
            Kind::Ptr => {
                let star = match self.kind(record.target()) {
                    Some(Kind::Array | Kind::FuncProto) => format!("(*{inner})"),
                    Some(_) | None => format!("*{inner}"),
                };
                self.declarator(record.target(), star, depth)
            }
            Kind::Array => {
                let (element, count) = self.array(&record);
                self.declarator(element, format!("{inner}[{count}]"), depth)
            }
            Kind::FuncProto => {
                let params = self.parameters(&record, depth);
                self.declarator(record.target(), format!("{inner}({params})"), depth)
            }
            Kind::Const => self.qualified(record.target(), "const", inner, depth),
            Kind::Volatile => self.qualified(record.target(), "volatile", inner, depth),
            Kind::Restrict => self.qualified(record.target(), "restrict", inner, depth),
            Kind::TypeTag | Kind::Var => self.declarator(record.target(), inner, depth),
            Kind::Struct | Kind::Union | Kind::Forward | Kind::Enum | Kind::Enum64 => {
                join(self.tagged(&record).trim_end(), &inner)
            }
            Kind::Int | Kind::Typedef | Kind::Float | Kind::Func | Kind::Datasec | Kind::DeclTag => {
                join(self.text(record.name), &inner)
            }
        }
    }

    /// A qualifier of a pointer stands behind its star, that of anything else in front.
    fn qualified(&self, target: TypeId, word: &str, inner: String, depth: usize) -> String {
        match self.kind(target) {
            Some(Kind::Ptr) => self.declarator(target, join(word, &inner), depth),
            Some(_) | None => format!("{word} {}", self.declarator(target, inner, depth)),
        }
    }

    /// `struct name`, `enum name`; only the keyword for anonymous ones.
    fn tagged(&self, record: &Record) -> String {
        let word = match (record.kind, record.flag) {
            (Kind::Union, _) | (Kind::Forward, true) => "union",
            (Kind::Enum | Kind::Enum64, _) => "enum",
            _ => "struct",
        };
        format!("{word} {}", self.text(record.name))
    }

    /// What stands between the parentheses of a function type.
    fn parameters(&self, record: &Record, depth: usize) -> String {
        let declare = |index| {
            let param = self.param(record, index);
            match param.ty {
                TypeId::VOID => "...".to_string(),
                ty => self.declarator(ty, param.name.to_string(), depth),
            }
        };
        match record.len {
            0 => "void".to_string(),
            len => (0..len).map(declare).collect::<Vec<_>>().join(", "),
        }
    }

    /// The lines between the braces.
    fn write_body(&self, record: &Record, depth: usize, text: &mut String) {
        let indent = "\t".repeat(depth);
        if record.kind.is_enum() {
            for index in 0..record.len {
                let (name, value) = (self.text(self.variant_name(record, index)), self.variant_value(record, index));
                let _ = writeln!(text, "{indent}{name} = {value},");
            }
        }
        for member in (0..record.len).filter(|_| record.kind.is_aggregate()).map(|index| self.member(record, index)) {
            text.push_str(&indent);
            self.write_member(member.ty, member.name, depth, text);
            if let Some(width) = member.bitfield {
                let _ = write!(text, ": {width}");
            }
            text.push_str(";\n");
        }
    }

    /// An anonymous structure is written out where it is used.
    fn write_member(&self, ty: TypeId, name: &str, depth: usize, text: &mut String) {
        match self.record(ty) {
            Some(record) if record.kind.is_aggregate() && record.name == 0 && depth < DEPTH => {
                let _ = writeln!(text, "{}{{", self.tagged(&record));
                self.write_body(&record, depth + 1, text);
                let _ = write!(text, "{}{}", "\t".repeat(depth), join("}", name));
            }
            Some(_) | None => text.push_str(&self.declare(ty, name)),
        }
    }
}

/// A type's name and what it declares, with a space between the two if there is anything to declare.
fn join(name: &str, inner: &str) -> String {
    match inner.chars().next() {
        None => name.to_string(),
        Some('[') => format!("{name}{inner}"),
        Some(_) => format!("{name} {inner}"),
    }
}
