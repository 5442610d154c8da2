//! What debug information tells of a program: the parameters of its functions, and where the lines of its source are.

use std::borrow::Cow;

use gimli::{AttributeValue, DwAt, EndianSlice, LittleEndian, UnitOffset, constants as dw};
use object::{File, Object, ObjectSection};

use super::{Parameter, Passed};
use crate::types::{Int, Sign, Space, Type};

type Bytes<'a> = EndianSlice<'a, LittleEndian>;
type Found<T> = gimli::Result<T>;
type Entry<'a> = gimli::DebuggingInformationEntry<Bytes<'a>>;

/// The debug information of one file.
pub struct Debug<'a> {
    dwarf: gimli::Dwarf<Bytes<'a>>,
}

/// A line of the source; without a column, all of the line.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The file's name, or the end of its path.
    pub file: &'a str,
    pub line: u64,
    pub column: Option<u64>,
}

/// What a line was found to be.
#[derive(Debug, PartialEq, Eq)]
pub enum LineFound {
    Address(u64),
    NoFile,
    NoCode,
}

/// Types are followed so deep.
const DEPTH: usize = 16;

/// The sections of one file that debug information is in, uncompressed.
pub struct Sections<'a> {
    sections: gimli::DwarfSections<Cow<'a, [u8]>>,
}

impl<'a> Sections<'a> {
    /// `None` if the file has no debug information.
    pub fn of(file: &File<'a>) -> Option<Sections<'a>> {
        file.section_by_name(".debug_info")?;
        let section = |id: gimli::SectionId| {
            let data = file.section_by_name(id.name()).and_then(|section| section.uncompressed_data().ok());
            Ok::<_, gimli::Error>(data.unwrap_or_default())
        };
        Some(Sections { sections: gimli::DwarfSections::load(section).ok()? })
    }

    pub fn debug(&self) -> Debug<'_> {
        Debug { dwarf: self.sections.borrow(|data| EndianSlice::new(data, LittleEndian)) }
    }
}

impl<'a> Debug<'a> {
    /// The parameters of the function that begins at an address; `None` if no such function is described.
    pub fn parameters(&self, address: u64) -> Option<Vec<Parameter>> {
        self.find_parameters(address).ok().flatten()
    }

    fn find_parameters(&self, address: u64) -> Found<Option<Vec<Parameter>>> {
        let mut headers = self.dwarf.units();
        while let Some(header) = headers.next()? {
            let unit = self.dwarf.unit(header)?;
            let mut ranges = self.dwarf.unit_ranges(&unit)?;
            let mut is_here = false;
            while let Some(range) = ranges.next()? {
                is_here |= (range.begin..range.end).contains(&address);
            }
            if is_here {
                return Unit { debug: self, unit }.parameters(address);
            }
        }
        Ok(None)
    }

    /// The lowest address of code that a line became.
    pub fn address_of(&self, wanted: Line<'_>) -> LineFound {
        self.find_line(wanted).unwrap_or(LineFound::NoFile)
    }

    fn find_line(&self, wanted: Line<'_>) -> Found<LineFound> {
        let mut best = LineFound::NoFile;
        let mut headers = self.dwarf.units();
        while let Some(header) = headers.next()? {
            let unit = self.dwarf.unit(header)?;
            let Some(program) = unit.line_program.clone() else { continue };
            let mut rows = program.rows();
            while let Some((header, row)) = rows.next_row()? {
                let Some(file) = row.file(header) else { continue };
                if !self.is_file(&unit, header, file, wanted.file)? {
                    continue;
                }
                let is_column = wanted.column.is_none_or(|column| row.column() == column_type(column));
                let is_line = row.line().is_some_and(|line| line.get() == wanted.line) && is_column && row.is_stmt();
                best = match (is_line, best) {
                    (true, LineFound::Address(known)) => LineFound::Address(known.min(row.address())),
                    (true, _) => LineFound::Address(row.address()),
                    (false, LineFound::NoFile) => LineFound::NoCode,
                    (false, best) => best,
                };
            }
        }
        Ok(best)
    }

    /// Whether a file's path ends in what was asked for.
    fn is_file(
        &self,
        unit: &gimli::Unit<Bytes<'a>>,
        header: &gimli::LineProgramHeader<Bytes<'a>>,
        file: &gimli::FileEntry<Bytes<'a>>,
        wanted: &str,
    ) -> Found<bool> {
        let text = |value| self.dwarf.attr_string(unit, value).map(|text| text.to_string_lossy().into_owned());
        let name = text(file.path_name())?;
        let folder = file.directory(header).map(text).transpose()?.unwrap_or_default();
        let full = if name.starts_with('/') { name } else { format!("{folder}/{name}") };
        Ok(full == wanted || full.ends_with(&format!("/{wanted}")))
    }
}

fn column_type(column: u64) -> gimli::ColumnType {
    std::num::NonZeroU64::new(column).map_or(gimli::ColumnType::LeftEdge, gimli::ColumnType::Column)
}

/// One compilation unit.
struct Unit<'d, 'a> {
    debug: &'d Debug<'a>,
    unit: gimli::Unit<Bytes<'a>>,
}

impl<'a> Unit<'_, 'a> {
    fn parameters(&self, address: u64) -> Found<Option<Vec<Parameter>>> {
        let mut entries = self.unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            if entry.tag() == dw::DW_TAG_subprogram && self.address(entry, dw::DW_AT_low_pc)? == Some(address) {
                let function = entry.offset();
                return self.parameters_of(function).map(Some);
            }
        }
        Ok(None)
    }

    fn parameters_of(&self, function: UnitOffset) -> Found<Vec<Parameter>> {
        let mut tree = self.unit.entries_tree(Some(function))?;
        let mut children = tree.root()?.children();
        let mut found = Vec::new();
        while let Some(child) = children.next()? {
            if child.entry().tag() == dw::DW_TAG_formal_parameter {
                found.push(self.parameter(child.entry())?);
            }
        }
        Ok(found)
    }

    fn parameter(&self, entry: &Entry<'a>) -> Found<Parameter> {
        let name = self.text(entry, dw::DW_AT_name)?.unwrap_or_default();
        let Some(ty) = self.reference(entry, dw::DW_AT_type)? else {
            return Ok(Parameter { name, c_type: "void".to_string(), passed: Passed::Otherwise });
        };
        let c_type = self.c_type(ty, DEPTH)?;
        let passed = match self.language_type(ty, DEPTH)? {
            Some(ty) => Passed::InRegister(ty),
            None if c_type == "double" || c_type == "float" => Passed::AsFloat,
            None => Passed::Otherwise,
        };
        Ok(Parameter { name, c_type, passed })
    }

    /// As C writes it.
    fn c_type(&self, ty: UnitOffset, depth: usize) -> Found<String> {
        let entry = self.unit.entry(ty)?;
        let name = self.text(&entry, dw::DW_AT_name)?;
        let inner = || match (self.reference(&entry, dw::DW_AT_type)?, depth) {
            (None, _) | (_, 0) => Ok("void".to_string()),
            (Some(inner), _) => self.c_type(inner, depth - 1),
        };
        let tagged = |word: &str| format!("{word} {}", name.clone().unwrap_or_else(|| "(anonymous)".to_string()));
        Ok(match entry.tag() {
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

    /// The type of a value that fits a register; `None` for any other.
    fn language_type(&self, ty: UnitOffset, depth: usize) -> Found<Option<Type>> {
        let entry = self.unit.entry(ty)?;
        let inner = match (self.reference(&entry, dw::DW_AT_type)?, depth) {
            (Some(inner), 1..) => self.language_type(inner, depth - 1)?,
            _ => None,
        };
        let size = self.number(&entry, dw::DW_AT_byte_size)?.unwrap_or(0);
        Ok(match entry.tag() {
            dw::DW_TAG_pointer_type | dw::DW_TAG_reference_type | dw::DW_TAG_rvalue_reference_type => {
                Some(Type::pointer(inner.unwrap_or(Type::Void), Space::User))
            }
            dw::DW_TAG_const_type | dw::DW_TAG_volatile_type | dw::DW_TAG_restrict_type | dw::DW_TAG_typedef => inner,
            dw::DW_TAG_enumeration_type => integer(size, Sign::Signed),
            dw::DW_TAG_base_type => match self.encoding(&entry)? {
                Some(dw::DW_ATE_boolean) => Some(Type::Bool),
                Some(dw::DW_ATE_signed | dw::DW_ATE_signed_char) => integer(size, Sign::Signed),
                Some(dw::DW_ATE_unsigned | dw::DW_ATE_unsigned_char | dw::DW_ATE_UTF) => integer(size, Sign::Unsigned),
                Some(_) | None => None,
            },
            _ => None,
        })
    }

    /// A function or parameter that was inlined elsewhere, too, is described there.
    fn value(&self, entry: &Entry<'a>, name: DwAt) -> Found<Option<AttributeValue<Bytes<'a>>>> {
        if let Some(value) = entry.attr_value(name) {
            return Ok(Some(value));
        }
        for origin in [dw::DW_AT_abstract_origin, dw::DW_AT_specification] {
            if let Some(AttributeValue::UnitRef(offset)) = entry.attr_value(origin) {
                return Ok(self.unit.entry(offset)?.attr_value(name));
            }
        }
        Ok(None)
    }

    fn text(&self, entry: &Entry<'a>, name: DwAt) -> Found<Option<String>> {
        let Some(value) = self.value(entry, name)? else { return Ok(None) };
        self.debug.dwarf.attr_string(&self.unit, value).map(|text| Some(text.to_string_lossy().into_owned()))
    }

    fn reference(&self, entry: &Entry<'a>, name: DwAt) -> Found<Option<UnitOffset>> {
        Ok(match self.value(entry, name)? {
            Some(AttributeValue::UnitRef(offset)) => Some(offset),
            Some(_) | None => None,
        })
    }

    fn number(&self, entry: &Entry<'a>, name: DwAt) -> Found<Option<u64>> {
        Ok(self.value(entry, name)?.and_then(|value| value.udata_value()))
    }

    fn encoding(&self, entry: &Entry<'a>) -> Found<Option<gimli::DwAte>> {
        Ok(match self.value(entry, dw::DW_AT_encoding)? {
            Some(AttributeValue::Encoding(encoding)) => Some(encoding),
            Some(_) | None => None,
        })
    }

    fn address(&self, entry: &Entry<'a>, name: DwAt) -> Found<Option<u64>> {
        match entry.attr_value(name) {
            Some(value) => self.debug.dwarf.attr_address(&self.unit, value),
            None => Ok(None),
        }
    }
}

fn integer(bytes: u64, sign: Sign) -> Option<Type> {
    [1, 2, 4, 8].contains(&bytes).then_some(Type::Int(Int { bits: 8 * bytes as u8, sign }))
}
