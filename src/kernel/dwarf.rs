//! What debug information tells of a program: the parameters of its functions, and where the lines of its source are.

pub mod die;
pub mod types;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use gimli::{EndianSlice, LittleEndian, constants as dw};
use object::{File, Object, ObjectSection};

use self::die::Die;

type Bytes<'a> = EndianSlice<'a, LittleEndian>;
type Found<T> = gimli::Result<T>;
type Unit<'a> = gimli::Unit<Bytes<'a>>;

/// The debug information of one file.
pub struct Debug<'a> {
    dwarf: gimli::Dwarf<Bytes<'a>>,
    /// Units read so far, by where they begin.
    units: RefCell<HashMap<usize, Rc<Unit<'a>>>>,
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
        Debug { dwarf: self.sections.borrow(|data| EndianSlice::new(data, LittleEndian)), units: RefCell::default() }
    }
}

impl<'a> Debug<'a> {
    /// The functions that begin at these addresses, found in one pass. Damaged information ends the search.
    pub fn functions(&self, wanted: &BTreeSet<u64>) -> HashMap<u64, Die<'a>> {
        let mut found = HashMap::new();
        let _ = self.find_functions(wanted, &mut found);
        found
    }

    fn find_functions(&self, wanted: &BTreeSet<u64>, found: &mut HashMap<u64, Die<'a>>) -> Found<()> {
        let mut headers = self.dwarf.units();
        while let Some(header) = headers.next()?.filter(|_| found.len() < wanted.len()) {
            let unit = self.unit(header)?;
            let mut ranges = self.dwarf.unit_ranges(&unit)?;
            let mut is_here = false;
            while let Some(range) = ranges.next()? {
                is_here |= wanted.range(range.begin..).next().is_some_and(|first| *first < range.end);
            }
            if !is_here {
                continue;
            }
            let mut entries = unit.entries();
            while let Some(entry) = entries.next_dfs()? {
                if entry.tag() != dw::DW_TAG_subprogram {
                    continue;
                }
                let die = Die { unit: Rc::clone(&unit), entry: entry.clone() };
                if let Some(address) = die.address(self, dw::DW_AT_low_pc)?.filter(|address| wanted.contains(address)) {
                    found.entry(address).or_insert(die);
                }
            }
        }
        Ok(())
    }

    fn unit(&self, header: gimli::UnitHeader<Bytes<'a>>) -> Found<Rc<Unit<'a>>> {
        let start = header.debug_info_offset().map_or(0, |offset| offset.0);
        if let Some(known) = self.units.borrow().get(&start) {
            return Ok(Rc::clone(known));
        }
        let unit = Rc::new(self.dwarf.unit(header)?);
        self.units.borrow_mut().insert(start, Rc::clone(&unit));
        Ok(unit)
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
