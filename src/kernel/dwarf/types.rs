//! Functions and C types that debug information describes become BTF, beside the types that a script has already.

use std::collections::{HashMap, VecDeque};

use gimli::constants as dw;

use super::die::Die;
use super::{Debug, Found};
use crate::btf::TypeId;
use crate::btf::build::{Aggregate, Builder, Definition, Encoding, LAST_BITFIELD, MOST_MEMBERS, NewMember};
use crate::types::Sign;

/// A function of a program as its debug information has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    pub params: Vec<DescribedParam>,
    /// `None` for functions without a result.
    pub result: Option<TypeId>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DescribedParam {
    pub name: String,
    /// As C writes it.
    pub c_type: String,
    pub ty: TypeId,
    pub passed: Passing,
}

/// How a parameter reaches its function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// In one general register.
    InRegister,
    /// In a register for floating-point numbers.
    AsFloat,
    /// In several registers or in memory.
    Otherwise,
}

/// What becomes of types whose names the types that are there have too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namesakes {
    /// The name means the new type.
    Hidden,
    /// The name means what it meant; the new type is only reached through parameters.
    Kept,
}

/// Puts types into a builder, each once. What types lead to comes with them.
pub struct Importer<'i, 'a> {
    debug: &'i Debug<'a>,
    builder: &'i mut Builder,
    namesakes: Namesakes,
    known: HashMap<usize, TypeId>,
    /// Structures whose members are yet to be looked at.
    open: VecDeque<(TypeId, Die<'a>)>,
    left: usize,
}

/// So many types are taken from one program; what more there are is `void`.
const MOST: usize = 50_000;

/// Types are followed so deep without a structure between.
const DEPTH: usize = 32;

impl<'i, 'a> Importer<'i, 'a> {
    pub fn new(debug: &'i Debug<'a>, builder: &'i mut Builder, namesakes: Namesakes) -> Importer<'i, 'a> {
        Importer { debug, builder, namesakes, known: HashMap::new(), open: VecDeque::new(), left: MOST }
    }

    /// A function with its types; `None` if its description is damaged.
    pub fn function(&mut self, function: &Die<'a>) -> Option<Described> {
        let described = self.describe(function);
        self.close();
        described.ok()
    }

    /// Looks for structures, unions, enumerations and typedefs by name, until all are found.
    pub fn named(&mut self, names: &[String]) {
        let mut left: Vec<&str> = names.iter().map(String::as_str).collect();
        // Damaged information ends the search.
        let _ = self.find_named(&mut left);
        self.close();
    }

    fn describe(&mut self, function: &Die<'a>) -> Found<Described> {
        let debug = self.debug;
        let mut params = Vec::new();
        for child in function.children()? {
            if child.tag() == dw::DW_TAG_formal_parameter {
                params.push(self.param(&child)?);
            }
        }
        let result = function.ty(debug)?.map(|ty| self.id(&ty, DEPTH)).transpose()?;
        Ok(Described { params, result })
    }

    fn param(&mut self, die: &Die<'a>) -> Found<DescribedParam> {
        let debug = self.debug;
        let name = die.text(debug, dw::DW_AT_name)?.unwrap_or_default();
        let Some(of) = die.ty(debug)? else {
            return Ok(DescribedParam { name, c_type: "void".into(), ty: TypeId::VOID, passed: Passing::Otherwise });
        };
        let (ty, c_type, passed) = (self.id(&of, DEPTH)?, c_type(debug, &of, DEPTH)?, passing(debug, &of, DEPTH)?);
        Ok(DescribedParam { name, c_type, ty, passed })
    }

    fn find_named(&mut self, left: &mut Vec<&str>) -> Found<()> {
        let debug = self.debug;
        let mut headers = debug.dwarf.units();
        while let Some(header) = headers.next()? {
            let unit = debug.unit(header)?;
            let mut entries = unit.entries();
            while let Some(entry) = entries.next_dfs()? {
                if left.is_empty() {
                    return Ok(());
                }
                let Some(word) = tag_word(entry.tag()) else { continue };
                let die = Die { unit: unit.clone(), entry: entry.clone() };
                if die.has(dw::DW_AT_declaration) {
                    continue;
                }
                let Some(name) = die.text(debug, dw::DW_AT_name)? else { continue };
                let full = if word.is_empty() { name } else { format!("{word} {name}") };
                if left.contains(&full.as_str()) {
                    left.retain(|wanted| *wanted != full);
                    self.id(&die, DEPTH)?;
                }
            }
        }
        Ok(())
    }

    /// Looks at the members of all structures met, which may lead to others.
    fn close(&mut self) {
        while let Some((id, die)) = self.open.pop_front() {
            // What is damaged stays as it was declared.
            if let Ok(definition) = self.aggregate(&die) {
                self.builder.replace(id, definition);
            }
        }
    }

    fn id(&mut self, die: &Die<'a>, depth: usize) -> Found<TypeId> {
        if let Some(known) = self.known.get(&die.place()) {
            return Ok(*known);
        }
        let (Some(depth), 1..) = (depth.checked_sub(1), self.left) else { return Ok(TypeId::VOID) };
        self.left -= 1;
        let id = match die.tag() {
            dw::DW_TAG_const_type | dw::DW_TAG_volatile_type | dw::DW_TAG_restrict_type | dw::DW_TAG_atomic_type => {
                self.inner(die, depth)?
            }
            dw::DW_TAG_pointer_type | dw::DW_TAG_reference_type | dw::DW_TAG_rvalue_reference_type => {
                let target = self.inner(die, depth)?;
                self.builder.add(Definition::Pointer(target))
            }
            dw::DW_TAG_typedef => {
                let name = self.name(die, "")?;
                let target = self.inner(die, depth)?;
                self.builder.add(Definition::Typedef { name, target })
            }
            dw::DW_TAG_structure_type | dw::DW_TAG_class_type | dw::DW_TAG_union_type => self.declare(die)?,
            dw::DW_TAG_enumeration_type => self.enumeration(die)?,
            dw::DW_TAG_array_type => self.array(die, depth)?,
            dw::DW_TAG_base_type => self.base(die)?,
            dw::DW_TAG_subroutine_type => {
                self.builder.add(Definition::Function { result: TypeId::VOID, params: Vec::new() })
            }
            _ => TypeId::VOID,
        };
        self.known.insert(die.place(), id);
        Ok(id)
    }

    fn inner(&mut self, die: &Die<'a>, depth: usize) -> Found<TypeId> {
        match die.ty(self.debug)? {
            Some(inner) => self.id(&inner, depth),
            None => Ok(TypeId::VOID),
        }
    }

    /// A name that is not to hide another is marked, so that nobody finds it.
    fn name(&self, die: &Die<'a>, word: &str) -> Found<String> {
        let name = die.text(self.debug, dw::DW_AT_name)?.unwrap_or_default();
        let full = if word.is_empty() { name.clone() } else { format!("{word} {name}") };
        let is_taken = self.namesakes == Namesakes::Kept && self.builder.base().named(&full).is_some();
        Ok(if is_taken { format!("{name}'") } else { name })
    }

    fn declare(&mut self, die: &Die<'a>) -> Found<TypeId> {
        let kind = kind(die);
        let name = self.name(die, if kind == Aggregate::Union { "union" } else { "struct" })?;
        let id = self.builder.add(Definition::Forward { kind, name });
        if !die.has(dw::DW_AT_declaration) {
            self.open.push_back((id, die.clone()));
        }
        Ok(id)
    }

    fn aggregate(&mut self, die: &Die<'a>) -> Found<Definition> {
        let kind = kind(die);
        let name = self.name(die, if kind == Aggregate::Union { "union" } else { "struct" })?;
        let size = die.number(self.debug, dw::DW_AT_byte_size)?.unwrap_or(0) as u32;
        let mut members = Vec::new();
        for child in die.children()?.iter().take(MOST_MEMBERS) {
            members.extend(self.member(child)?);
        }
        // Beside bit fields there are fewer bits to tell where a member is.
        if members.iter().any(|member| member.bitfield.is_some()) {
            members.retain(|member| member.bit_offset <= LAST_BITFIELD);
        }
        Ok(Definition::Aggregate { kind, name, size, align: 1, members })
    }

    /// The base of a class is a member without a name, so that its members are the class's own.
    fn member(&mut self, die: &Die<'a>) -> Found<Option<NewMember>> {
        let debug = self.debug;
        let is_static = die.has(dw::DW_AT_external) || die.has(dw::DW_AT_declaration);
        if !matches!(die.tag(), dw::DW_TAG_member | dw::DW_TAG_inheritance) || is_static {
            return Ok(None);
        }
        let name = die.text(debug, dw::DW_AT_name)?.unwrap_or_default();
        let Some(of) = die.ty(debug)? else { return Ok(None) };
        let start = 8 * die.number(debug, dw::DW_AT_data_member_location)?.unwrap_or(0);
        let width = die.number(debug, dw::DW_AT_bit_size)?;
        let bit_offset = match (width, die.number(debug, dw::DW_AT_data_bit_offset)?) {
            (_, Some(offset)) => offset,
            // Before DWARF 4, bits were counted from the other end of the type.
            (Some(width), None) => match die.number(debug, dw::DW_AT_bit_offset)? {
                Some(before) => {
                    let bytes = die.number(debug, dw::DW_AT_byte_size)?.or(of.number(debug, dw::DW_AT_byte_size)?);
                    (start + 8 * bytes.unwrap_or(0)).saturating_sub(before + width)
                }
                None => start,
            },
            (None, None) => start,
        };
        let Ok(bit_offset) = u32::try_from(bit_offset) else { return Ok(None) };
        let bitfield = width.and_then(|width| u8::try_from(width).ok());
        Ok(Some(NewMember { name, ty: self.id(&of, DEPTH)?, bit_offset, bitfield }))
    }

    fn enumeration(&mut self, die: &Die<'a>) -> Found<TypeId> {
        let debug = self.debug;
        let name = self.name(die, "enum")?;
        let size = die.number(debug, dw::DW_AT_byte_size)?.unwrap_or(4) as u32;
        let mut variants = Vec::new();
        for child in die.children()?.iter().take(MOST_MEMBERS) {
            if let (Some(name), Some(value)) =
                (child.text(debug, dw::DW_AT_name)?, child.signed(debug, dw::DW_AT_const_value)?)
            {
                variants.push((name, value));
            }
        }
        let is_negative = variants.iter().any(|(_, value)| *value < 0);
        let sign = if is_negative { Sign::Signed } else { Sign::Unsigned };
        Ok(self.builder.add(Definition::Enum { name, size, sign, variants }))
    }

    /// Arrays of arrays are one entry, with a child for each of their dimensions.
    fn array(&mut self, die: &Die<'a>, depth: usize) -> Found<TypeId> {
        let debug = self.debug;
        let mut counts = Vec::new();
        for child in die.children()?.iter().filter(|child| child.tag() == dw::DW_TAG_subrange_type) {
            let last = child.number(debug, dw::DW_AT_upper_bound)?.map(|last| last.wrapping_add(1));
            let count = child.number(debug, dw::DW_AT_count)?.or(last).unwrap_or(0);
            counts.push(u32::try_from(count).unwrap_or(0));
        }
        let element = self.inner(die, depth)?;
        let add = |element, count: &u32| self.builder.add(Definition::Array { element, count: *count });
        Ok(counts.iter().rev().fold(element, add))
    }

    fn base(&mut self, die: &Die<'a>) -> Found<TypeId> {
        let debug = self.debug;
        let size = die.number(debug, dw::DW_AT_byte_size)?.unwrap_or(0) as u32;
        let is_text = die.text(debug, dw::DW_AT_name)?.as_deref() == Some("char");
        let int = |name, encoding| Definition::Int { name, size, encoding };
        Ok(self.builder.add(match (die.encoding(debug)?, size) {
            (Some(dw::DW_ATE_boolean), _) => int("_Bool", Encoding::Bool),
            (Some(dw::DW_ATE_float), 4) => Definition::Float { name: "float", size },
            (Some(dw::DW_ATE_float | dw::DW_ATE_complex_float), _) => Definition::Float { name: "double", size },
            (_, 1) if is_text => int("char", Encoding::Signed),
            (Some(dw::DW_ATE_signed | dw::DW_ATE_signed_char), _) => int(signed(size), Encoding::Signed),
            (_, 0) => return Ok(TypeId::VOID),
            _ => int(unsigned(size), Encoding::Unsigned),
        }))
    }
}

fn kind(die: &Die<'_>) -> Aggregate {
    if die.tag() == dw::DW_TAG_union_type { Aggregate::Union } else { Aggregate::Struct }
}

/// What C writes before the name of such a type; `None` for all that a script cannot name.
fn tag_word(tag: gimli::DwTag) -> Option<&'static str> {
    match tag {
        dw::DW_TAG_structure_type | dw::DW_TAG_class_type => Some("struct"),
        dw::DW_TAG_union_type => Some("union"),
        dw::DW_TAG_enumeration_type => Some("enum"),
        dw::DW_TAG_typedef => Some(""),
        _ => None,
    }
}

fn signed(size: u32) -> &'static str {
    match size {
        1 => "signed char",
        2 => "short int",
        4 => "int",
        8 => "long int",
        _ => "__int128",
    }
}

fn unsigned(size: u32) -> &'static str {
    match size {
        1 => "unsigned char",
        2 => "short unsigned int",
        4 => "unsigned int",
        8 => "long unsigned int",
        _ => "unsigned __int128",
    }
}

/// As C writes it.
fn c_type<'a>(debug: &Debug<'a>, die: &Die<'a>, depth: usize) -> Found<String> {
    let name = die.text(debug, dw::DW_AT_name)?;
    let inner = || match (die.ty(debug)?, depth) {
        (None, _) | (_, 0) => Ok("void".to_string()),
        (Some(inner), _) => c_type(debug, &inner, depth - 1),
    };
    let tagged = |word: &str| format!("{word} {}", name.clone().unwrap_or_else(|| "(anonymous)".to_string()));
    Ok(match die.tag() {
        dw::DW_TAG_pointer_type => format!("{}*", inner()?),
        dw::DW_TAG_reference_type => format!("{}&", inner()?),
        dw::DW_TAG_rvalue_reference_type => format!("{}&&", inner()?),
        dw::DW_TAG_const_type => format!("const {}", inner()?),
        dw::DW_TAG_volatile_type => format!("volatile {}", inner()?),
        dw::DW_TAG_restrict_type => inner()?,
        dw::DW_TAG_array_type => format!("{}[]", inner()?),
        dw::DW_TAG_subroutine_type => "void (*)()".to_string(),
        dw::DW_TAG_structure_type => tagged("struct"),
        dw::DW_TAG_class_type => tagged("class"),
        dw::DW_TAG_union_type => tagged("union"),
        dw::DW_TAG_enumeration_type => tagged("enum"),
        _ => name.unwrap_or_else(|| "void".to_string()),
    })
}

fn passing<'a>(debug: &Debug<'a>, die: &Die<'a>, depth: usize) -> Found<Passing> {
    let Some(depth) = depth.checked_sub(1) else { return Ok(Passing::Otherwise) };
    let fits = matches!(die.number(debug, dw::DW_AT_byte_size)?, Some(1 | 2 | 4 | 8));
    Ok(match die.tag() {
        dw::DW_TAG_pointer_type | dw::DW_TAG_reference_type | dw::DW_TAG_rvalue_reference_type => Passing::InRegister,
        dw::DW_TAG_const_type | dw::DW_TAG_volatile_type | dw::DW_TAG_restrict_type | dw::DW_TAG_typedef => {
            match die.ty(debug)? {
                Some(inner) => passing(debug, &inner, depth)?,
                None => Passing::Otherwise,
            }
        }
        dw::DW_TAG_enumeration_type if fits => Passing::InRegister,
        dw::DW_TAG_base_type => match die.encoding(debug)? {
            Some(dw::DW_ATE_float) if fits => Passing::AsFloat,
            Some(dw::DW_ATE_float | dw::DW_ATE_complex_float) | None => Passing::Otherwise,
            Some(_) if fits => Passing::InRegister,
            Some(_) => Passing::Otherwise,
        },
        _ => Passing::Otherwise,
    })
}
