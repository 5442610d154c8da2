//! Structures, unions and enumerations, with or without what is in their braces.

use super::{Parsed, Parser, Tag};
use crate::btf::build::{Aggregate, Definition, LAST_BITFIELD, MOST_MEMBERS, NewMember};
use crate::btf::{Kind, TypeId};
use crate::cdecl::layout::{Attributes, Layout, Wanted};
use crate::diag::Diagnostic;
use crate::source::Span;
use crate::types::Sign;

/// A member before it has its place.
struct Written {
    name: String,
    ty: TypeId,
    width: Option<u32>,
    attributes: Attributes,
    span: Span,
}

impl Parser<'_> {
    /// `struct foo`, `struct foo { … }`, `union { … }`.
    pub(super) fn aggregate(&mut self) -> Parsed<TypeId> {
        let kind = if self.take("union") { Aggregate::Union } else { Aggregate::Struct };
        self.at += usize::from(kind == Aggregate::Struct);
        let before = self.attributes()?;
        let place = self.place();
        let name = self.take_name();
        if !self.take("{") {
            return match name {
                Some(name) => Ok(self.declared(kind, name)),
                None => Err(self.expected("'{'")),
            };
        }
        let name = name.unwrap_or_default();
        let id = self.begin(kind, &name, place)?;
        let mut written = Vec::new();
        while !self.take("}") {
            if let Err(fault) = self.members(&mut written) {
                if self.at >= self.tokens.len() {
                    return Err(fault);
                }
                self.faults.push(fault);
                self.skip_to(&[";", "}"]);
                self.take(";");
            }
        }
        let after = self.attributes()?;
        let attributes = before.and(after);
        let definition = self.laid_out((kind, name), attributes, written, place)?;
        self.builder.replace(id, definition);
        Ok(id)
    }

    /// A structure named before it is defined here is the kernel's, if that has it.
    fn declared(&mut self, kind: Aggregate, name: String) -> TypeId {
        let tag = (Tag::Aggregate(kind), name.clone());
        if let Some(known) = self.tags.get(&tag) {
            return *known;
        }
        let kernels = self.builder.base().find(&name, kind_of(kind));
        let id = kernels.unwrap_or_else(|| self.builder.add(Definition::Forward { kind, name }));
        self.tags.insert(tag, id);
        id
    }

    /// The id of a structure about to be defined, so that its members can point to it.
    fn begin(&mut self, kind: Aggregate, name: &str, place: Span) -> Parsed<TypeId> {
        let forward = Definition::Forward { kind, name: name.to_string() };
        if name.is_empty() {
            return Ok(self.builder.add(forward));
        }
        let shown = format!("{} {name}", word(kind));
        let tag = (Tag::Aggregate(kind), name.to_string());
        let known = self.tags.get(&tag).copied();
        let id = match known.map(|id| (id, self.builder.definition(id))) {
            Some((_, Some(Definition::Aggregate { .. }))) => {
                return Err(Diagnostic::error(place, format!("redefinition of '{shown}'")));
            }
            Some((id, Some(_))) => id,
            Some((_, None)) | None => {
                self.tell_redefinition(&shown, name, &[kind_of(kind)], place);
                self.builder.add(forward)
            }
        };
        self.tags.insert(tag, id);
        Ok(id)
    }

    /// One line of members: `unsigned a : 3, b : 5;`, `struct { … };`.
    fn members(&mut self, written: &mut Vec<Written>) -> Parsed<()> {
        let start = self.at;
        if self.take(";") {
            return Ok(());
        }
        let base = self.specifiers()?;
        let specified = self.specified;
        if self.take(";") {
            let is_anonymous = matches!(
                self.builder.definition(base),
                Some(Definition::Aggregate { name, .. }) if name.is_empty()
            );
            if is_anonymous {
                let (name, attributes) = (String::new(), Attributes::default());
                written.push(Written { name, ty: base, width: None, attributes, span: self.span_from(start) });
            }
            return Ok(());
        }
        loop {
            let span = self.place();
            let declared = self.declarator(base)?;
            let width = if self.take(":") { Some(self.width(declared.ty)?) } else { None };
            if declared.name.is_none() && width.is_none() {
                return Err(self.expected("the name of a member"));
            }
            let attributes = specified.and(self.attributes()?);
            let name = declared.name.unwrap_or_default();
            written.push(Written { name, ty: declared.ty, width, attributes, span });
            if self.take(",") {
                continue;
            }
            // As compilers do, that of the last member is not insisted on.
            return if self.peek() == "}" { Ok(()) } else { self.expect(";") };
        }
    }

    /// The width of a bit field, in bits.
    fn width(&mut self, ty: TypeId) -> Parsed<u32> {
        let start = self.at;
        let width = self.constant(&[",", ";", "__attribute__"])?;
        let most = self.builder.size_of(ty).filter(|size| (1..=8).contains(size)).map_or(0, |size| 8 * size);
        let fits = u32::try_from(width).ok().filter(|width| *width <= most);
        fits.ok_or_else(|| {
            Diagnostic::error(self.span_from(start), format!("a bit field of this type has at most {most} bits"))
        })
    }

    /// Members that cannot be laid out are told of and left out.
    fn laid_out(
        &mut self,
        (kind, name): (Aggregate, String),
        attributes: Attributes,
        written: Vec<Written>,
        place: Span,
    ) -> Parsed<Definition> {
        let mut layout = Layout::new(kind, attributes);
        let mut members: Vec<NewMember> = Vec::new();
        for one in written {
            let wanted = match self.wanted(&one) {
                Ok(wanted) => wanted,
                Err(fault) => {
                    self.faults.push(fault);
                    continue;
                }
            };
            let at = layout.place(wanted, &one.name);
            let is_padding = one.width.is_some() && one.name.is_empty();
            if members.iter().any(|member| member.name == one.name && !one.name.is_empty()) {
                self.faults.push(Diagnostic::error(one.span, format!("duplicate member '{}'", one.name)));
            } else if !is_padding {
                let bit_offset = u32::try_from(at).map_err(|_| too_large(one.span))?;
                let bitfield = one.width.map(|width| width as u8);
                members.push(NewMember { name: one.name, ty: one.ty, bit_offset, bitfield });
            }
        }
        let (size, align) = layout.finish();
        let has_bitfields = members.iter().any(|member| member.bitfield.is_some());
        let last = members.iter().map(|member| member.bit_offset).max().unwrap_or(0);
        if members.len() > MOST_MEMBERS || (has_bitfields && last > LAST_BITFIELD) {
            return Err(too_large(place));
        }
        let size = u32::try_from(size).map_err(|_| too_large(place))?;
        Ok(Definition::Aggregate { kind, name, size, align, members })
    }

    fn wanted(&self, member: &Written) -> Parsed<Wanted> {
        let size = self.builder.size_of(member.ty).ok_or_else(|| {
            Diagnostic::error(member.span, format!("field '{}' has an incomplete type", member.name))
                .hint("define the type before it is used, or make this a pointer")
        })?;
        let align = self.builder.align_of(member.ty).max(self.alignments.get(&member.ty).copied().unwrap_or(1));
        Ok(Wanted { size, align, width: member.width, attributes: member.attributes })
    }

    /// `enum foo`, `enum foo { A, B = 5 }`.
    pub(super) fn enumeration(&mut self) -> Parsed<TypeId> {
        self.expect("enum")?;
        self.attributes()?;
        let place = self.place();
        let name = self.take_name();
        if !self.take("{") {
            return match name {
                Some(name) => self.declared_enum(name, place),
                None => Err(self.expected("'{'")),
            };
        }
        let values = self.variants()?;
        if values.len() > MOST_MEMBERS {
            return Err(too_large(place));
        }
        let name = name.unwrap_or_default();
        let attributes = self.attributes()?;
        let id = self.builder.add(enumeration(&name, &values, attributes));
        if !name.is_empty() {
            self.tell_redefinition(&format!("enum {name}"), &name, &[Kind::Enum, Kind::Enum64], place);
            if self.tags.insert((Tag::Enum, name.clone()), id).is_some_and(|id| self.builder.definition(id).is_some()) {
                return Err(Diagnostic::error(place, format!("redefinition of 'enum {name}'")));
            }
        }
        Ok(id)
    }

    fn declared_enum(&mut self, name: String, place: Span) -> Parsed<TypeId> {
        let known = self.tags.get(&(Tag::Enum, name.clone())).copied();
        let base = self.builder.base();
        let kernels = || base.find(&name, Kind::Enum).or_else(|| base.find(&name, Kind::Enum64));
        // Declared ahead of its values, it is a number.
        let ahead = || (self.peek() == ";").then_some(TypeId::VOID);
        known
            .or_else(kernels)
            .or_else(ahead)
            .ok_or_else(|| Diagnostic::error(place, format!("'enum {name}' is not defined")))
    }

    fn variants(&mut self) -> Parsed<Vec<(String, i128)>> {
        let mut variants = Vec::new();
        let mut next = 0i128;
        while !self.take("}") {
            match self.variant(next) {
                Ok(variant) => {
                    next = variant.1 + 1;
                    variants.push(variant);
                }
                Err(fault) if self.at >= self.tokens.len() => return Err(fault),
                Err(fault) => {
                    self.faults.push(fault);
                    self.skip_to(&[",", "}"]);
                    self.take(",");
                }
            }
        }
        Ok(variants)
    }

    /// `NAME`, `NAME = value`, with the comma behind it.
    fn variant(&mut self, next: i128) -> Parsed<(String, i128)> {
        let place = self.place();
        let Some(name) = self.take_name() else { return Err(self.expected("the name of a constant")) };
        self.attributes()?;
        let value = if self.take("=") { self.constant(&[",", "}"])? } else { next };
        if self.enumerators.insert(name.clone(), value).is_some() {
            return Err(Diagnostic::error(place, format!("redefinition of '{name}'")));
        }
        if self.peek() != "}" {
            self.expect(",")?;
        }
        Ok((name, value))
    }

    pub(super) fn is_tag(&self, word: &str, name: &str) -> bool {
        let tag = match word {
            "enum" => Tag::Enum,
            "union" => Tag::Aggregate(Aggregate::Union),
            _ => Tag::Aggregate(Aggregate::Struct),
        };
        let has_own = self.tags.contains_key(&(tag, name.to_string()));
        has_own || self.builder.base().named(&format!("{word} {name}")).is_some()
    }
}

/// An enumeration has the size of an `int` if its values fit, and as few bytes as it needs if it is packed.
fn enumeration(name: &str, values: &[(String, i128)], attributes: Attributes) -> Definition {
    let least = values.iter().map(|(_, value)| *value).min().unwrap_or(0);
    let most = values.iter().map(|(_, value)| *value).max().unwrap_or(0);
    let sign = if least < 0 { Sign::Signed } else { Sign::Unsigned };
    let fits = |bytes: &u32| match sign {
        Sign::Signed => least >= -(1 << (8 * bytes - 1)) && most < 1 << (8 * bytes - 1),
        Sign::Unsigned => most < 1 << (8 * bytes),
    };
    let sizes: &[u32] = if attributes.packed { &[1, 2, 4] } else { &[4] };
    let size = sizes.iter().copied().find(fits).unwrap_or(8);
    // The largest are kept by their bits, as BTF has them.
    let variants = values.iter().map(|(name, value)| (name.clone(), *value as i64)).collect();
    Definition::Enum { name: name.to_string(), size, sign, variants }
}

fn kind_of(kind: Aggregate) -> Kind {
    match kind {
        Aggregate::Struct => Kind::Struct,
        Aggregate::Union => Kind::Union,
    }
}

fn word(kind: Aggregate) -> &'static str {
    match kind {
        Aggregate::Struct => "struct",
        Aggregate::Union => "union",
    }
}

fn too_large(span: Span) -> Diagnostic {
    Diagnostic::error(span, "this type is too large")
}
