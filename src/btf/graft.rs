//! Types of modules and of BPF programs are put behind the kernel's own, whose ids they leave as they are: one blob whose numbers go on.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::build::image;
use super::wire::{Kind, Record, word};
use super::{Btf, Part, TypeId};
use crate::error::Result;
use crate::mapped::Bytes;

/// Raw BTF from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    pub blob: Vec<u8>,
    pub basis: Basis,
}

/// What the numbers in foreign types go on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The kernel's types and strings, as those of its modules do.
    Kernel,
    /// Nothing.
    Own,
}

/// What became of foreign types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grafted {
    /// Their ids now.
    pub ids: Range<u32>,
    /// The id that the first of them had.
    pub first: u32,
}

impl Grafted {
    /// The id now of a type that had this one.
    pub fn id_of(&self, own: u32) -> Option<TypeId> {
        let id = self.ids.start + own.checked_sub(self.first)?;
        self.ids.contains(&id).then_some(TypeId(id))
    }

    /// The id that a type had.
    pub fn own(&self, id: TypeId) -> u32 {
        id.0 - self.ids.start + self.first
    }
}

impl Btf {
    /// These types, and all of those; what a script adds is left out.
    pub fn with(&self, foreign: &[Foreign]) -> Result<(Btf, Vec<Grafted>)> {
        let base = &*self.base;
        let mut bed = Bed {
            base,
            count: base.layout.count(),
            words: base.layout.records(&base.bytes),
            strings: base.layout.strings(&base.bytes).to_vec(),
            offsets: HashMap::new(),
            of_base: OnceCell::new(),
        };
        let grafted = foreign.iter().map(|one| bed.graft(one)).collect::<Result<_>>()?;
        Ok((Btf::over(Bytes::Owned(image(&bed.words, &bed.strings)))?, grafted))
    }

    /// These types and a module's, which lie as they are, and the ids of the module's. What a script adds is left out, and nothing may be
    /// grafted on these: a module's ids go on from the kernel's.
    pub fn beside(&self, module: Vec<u8>) -> Result<(Btf, Range<u32>)> {
        let both = Btf { base: Arc::clone(&self.base), added: Some(Part::over(Bytes::Owned(module))?) };
        let ids = self.base.layout.count()..both.count();
        Ok((both, ids))
    }

    /// Types of one kind among these ids, with their names.
    pub fn all_in(&self, ids: Range<u32>, kind: Kind) -> impl Iterator<Item = (&str, TypeId)> {
        ids.map(TypeId).filter(move |id| self.kind(*id) == Some(kind)).map(|id| (self.name(id), id))
    }
}

/// What is grafted on.
struct Bed<'a> {
    base: &'a Part,
    /// One more than the last id.
    count: u32,
    words: Vec<u32>,
    strings: Vec<u8>,
    /// Where foreign strings lie that were put there.
    offsets: HashMap<String, u32>,
    /// Where those of the base lie, once somebody asks.
    of_base: OnceCell<HashMap<&'a [u8], u32>>,
}

impl Bed<'_> {
    fn graft(&mut self, foreign: &Foreign) -> Result<Grafted> {
        let part = Part::over(Bytes::Owned(foreign.blob.clone()))?;
        let (first, strings) = match foreign.basis {
            Basis::Kernel => (self.base.layout.count(), self.base.strings_len()),
            Basis::Own => (1, 0),
        };
        let start = self.count;
        for id in (1..part.layout.count()).map(TypeId) {
            let Some(record) = part.layout.record(&part.bytes, id) else { continue };
            for (at, role) in roles(&record) {
                let word = word(&part.bytes, at);
                let word = match role {
                    Role::Plain => word,
                    Role::Type if word < first => word,
                    Role::Type => word - first + start,
                    Role::Name if word < strings || word == 0 => word,
                    Role::Name => self.name(part.layout.text(&part.bytes, word - strings), foreign.basis),
                };
                self.words.push(word);
            }
            self.count += 1;
        }
        Ok(Grafted { ids: start..self.count, first })
    }

    /// Each name has one place, by which types are found. Modules refer to the kernel's themselves.
    fn name(&mut self, text: &str, basis: Basis) -> u32 {
        let of_base = match basis {
            Basis::Kernel => None,
            Basis::Own => self.of_base.get_or_init(|| offsets(self.base)).get(text.as_bytes()).copied(),
        };
        of_base.unwrap_or_else(|| self.string(text))
    }

    /// Several modules may have a name that the kernel has not.
    fn string(&mut self, text: &str) -> u32 {
        if let Some(known) = self.offsets.get(text) {
            return *known;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        self.offsets.insert(text.to_string(), at);
        at
    }
}

/// Where each string begins.
fn offsets(part: &Part) -> HashMap<&[u8], u32> {
    let strings = part.layout.strings(&part.bytes);
    // What follows the last NUL is no string: foreign ones will lie there.
    let starts = std::iter::once(0).chain(memchr::memchr_iter(0, strings).map(|end| end + 1));
    starts.zip(memchr::memchr_iter(0, strings)).map(|(start, end)| (&strings[start..end], start as u32)).collect()
}

/// What a word of a record is.
#[derive(Clone, Copy)]
enum Role {
    Name,
    Type,
    Plain,
}

/// The words of a record by their byte offsets.
fn roles(record: &Record) -> impl Iterator<Item = (usize, Role)> + use<> {
    use Role::{Name, Plain, Type};
    let (last, one): (Role, &[Role]) = match record.kind {
        Kind::Int => (Plain, &[Plain]),
        Kind::Array => (Plain, &[Type, Type, Plain]),
        Kind::Struct | Kind::Union => (Plain, &[Name, Type, Plain]),
        Kind::Enum => (Plain, &[Name, Plain]),
        Kind::Enum64 => (Plain, &[Name, Plain, Plain]),
        Kind::Datasec => (Plain, &[Type, Plain, Plain]),
        Kind::FuncProto => (Type, &[Name, Type]),
        Kind::Var | Kind::DeclTag => (Type, &[Plain]),
        Kind::Forward | Kind::Float => (Plain, &[]),
        Kind::Ptr | Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::Func | Kind::TypeTag => {
            (Type, &[])
        }
    };
    let times = match record.kind {
        Kind::Int | Kind::Array | Kind::Var | Kind::DeclTag => 1,
        _ => record.len as usize,
    };
    let header = [Name, Plain, last].into_iter();
    let rest = std::iter::repeat_n(one, times).flatten().copied();
    (record.at()..).step_by(4).zip(header.chain(rest))
}

#[cfg(test)]
mod tests {
    use super::super::build::{Aggregate, Builder, Definition, NewMember};
    use super::*;

    /// A module's structure that has a number of the kernel's.
    fn of_module(base: &Btf) -> Vec<u8> {
        let mut builder = Builder::new(Some(base)).unwrap();
        let member = NewMember { name: "answer".into(), ty: base.named("int").unwrap(), bit_offset: 0, bitfield: None };
        let (kind, name) = (Aggregate::Struct, "of_module".to_string());
        builder.add(Definition::Aggregate { kind, name, size: 4, align: 4, members: vec![member] });
        builder.finish().unwrap().added.unwrap().bytes.to_vec()
    }

    /// A program's structure that has a number of its own.
    fn of_program(name: &str) -> Vec<u8> {
        let kind = |kind: Kind, members: u32| kind.number() << 24 | members;
        let int = [1, kind(Kind::Int, 0), 4, 1 << 24 | 32];
        let structure = [5, kind(Kind::Struct, 1), 4, 6 + name.len() as u32, 1, 0];
        image(&[&int[..], &structure].concat(), format!("\0int\0{name}\0answer\0").as_bytes())
    }

    #[test]
    fn numbers_go_on_and_names_stay() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/kernel/btf");
        let base = &Btf::open_at(&path).unwrap();
        let module = Foreign { blob: of_module(base), basis: Basis::Kernel };
        let program = Foreign { blob: of_program("of_program"), basis: Basis::Own };
        let (both, ids) = base.beside(module.blob.clone()).unwrap();
        assert_eq!(both.all_in(ids, Kind::Struct).map(|(name, _)| name).collect::<Vec<_>>(), ["of_module"]);
        let (all, grafted) = base.with(&[module, program]).unwrap();
        assert_eq!(grafted[0].ids.end, grafted[1].ids.start);
        assert_eq!((grafted[0].ids.len(), grafted[1].ids.len(), grafted[1].first), (1, 2, 1));
        for name in ["of_module", "of_program"] {
            let id = all.find(name, Kind::Struct).unwrap();
            let answer = all.field(id, "answer").unwrap();
            assert_eq!((all.name(answer.ty), all.size_of(answer.ty)), ("int", Some(4)), "{name}");
        }
        let id = all.find("of_program", Kind::Struct).unwrap();
        assert_eq!((grafted[1].own(id), grafted[1].id_of(2)), (2, Some(id)));
        assert_eq!(all.find("task_struct", Kind::Struct), base.find("task_struct", Kind::Struct));
    }

    /// `tgid` is a field of the kernel's, so the word is there.
    #[test]
    fn a_programs_type_may_have_a_name_that_is_a_word_of_the_kernels() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/kernel/btf");
        let base = &Btf::open_at(&path).unwrap();
        assert!(base.base.string_offset("tgid").is_some() && base.find("tgid", Kind::Struct).is_none());
        let (all, grafted) = base.with(&[Foreign { blob: of_program("tgid"), basis: Basis::Own }]).unwrap();
        assert_eq!(all.find("tgid", Kind::Struct), grafted[0].id_of(2));
    }

    #[test]
    fn a_programs_type_may_have_an_empty_name_anywhere() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/kernel/btf");
        let base = &Btf::open_at(&path).unwrap();
        let (all, grafted) = base.with(&[Foreign { blob: of_program(""), basis: Basis::Own }]).unwrap();
        assert_eq!(all.name(grafted[0].id_of(2).unwrap()), "");
    }
}
