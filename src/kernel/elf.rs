//! Programs and libraries: their ELF symbols and markers turned into file offsets for uprobes.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use object::elf::STT_FUNC;
use object::{File, Object, ObjectSegment, ObjectSymbol, SymbolFlags};

use super::debug_files::{self, DebugPlaces};
use super::dwarf::types::Importer;
use super::dwarf::{self, Debug, Sections};
use super::{
    Binary, DescribedFunction, Function, Segment, Stacks, Wanted, address_in, archive, markers, offset_in, paths,
};
use crate::btf::build::Builder;
use crate::error::{Error, Result};
use crate::mapped::Bytes;

/// Reads a program or library, which may be an entry of an archive. Debug files are looked for in `places`, too.
pub fn read(path: &str, places: &DebugPlaces) -> Result<Binary> {
    let (file, entry) = paths::split_archive(path);
    let bytes = open(file)?;
    let range = match entry {
        Some(entry) => archive::locate(&bytes, entry).map_err(|fault| no_entry(file, entry, fault))?,
        None => 0..bytes.len(),
    };
    parse(path, &bytes[range.clone()], range.start as u64, places)
}

/// Bytes of a file, or of the archive that it is in.
pub fn code(path: &str, range: Range<u64>) -> Result<Vec<u8>> {
    let bytes = open(paths::split_archive(path).0)?;
    let end = (range.end as usize).min(bytes.len());
    Ok(bytes.get(range.start as usize..end).unwrap_or_default().to_vec())
}

fn open(file: &str) -> Result<Bytes> {
    Bytes::open(Path::new(file)).map_err(|error| Error::usage(format!("cannot read {file}: {}", error.kind())))
}

/// Reads what lies at `start` in a file; offsets are those of the file.
fn parse(path: &str, bytes: &[u8], start: u64, places: &DebugPlaces) -> Result<Binary> {
    let file =
        File::parse(bytes).map_err(|error| Error::usage(format!("{path} is not a program or library: {error}")))?;
    let segments = segments(&file, start);
    let full = full_symbols(&file, Path::new(path), places);
    let beside = full.as_deref().and_then(|bytes| File::parse(bytes).ok());
    let mut functions = functions(&file, &segments);
    // Addresses in a separate file agree, offsets are those of this file.
    functions.extend(beside.iter().flat_map(|beside| self::functions(beside, &segments)));
    functions.sort_unstable_by(|a, b| (&a.name, a.offset).cmp(&(&b.name, b.offset)));
    functions.dedup_by(|a, b| a.name == b.name && a.offset == b.offset);
    let markers = markers::read(&file, beside.as_ref().unwrap_or(&file), &segments);
    let is_go = [".go.buildinfo", ".gopclntab"].iter().any(|name| file.section_by_name(name).is_some());
    let stacks = if is_go { Stacks::Moving } else { Stacks::Fixed };
    Ok(Binary { path: path.to_string(), functions, markers, segments, stacks })
}

/// The file that has the symbols of a stripped one; `None` if it has its own, or nobody has them.
pub fn full_symbols(file: &File<'_>, path: &Path, places: &DebugPlaces) -> Option<Bytes> {
    if file.symbol_table().is_some() {
        return None;
    }
    places.separate(file, path).or_else(|| debug_files::embedded(file).map(Bytes::Owned))
}

fn no_entry(archive: &str, entry: &str, fault: archive::Fault) -> Error {
    match fault {
        archive::Fault::NoArchive => Error::usage(format!("{archive} is not a zip archive")),
        archive::Fault::NoEntry => Error::usage(format!("{archive} has no entry '{entry}'")),
        archive::Fault::Compressed => Error::usage(format!("'{entry}' is compressed in {archive}")).hint(
            "programs can only be run from an archive, and traced there, if they are stored uncompressed (zip -0)",
        ),
    }
}

/// Functions of `.symtab` and `.dynsym`, which overlap.
fn functions(file: &File<'_>, segments: &[Segment]) -> Vec<Function> {
    let mut seen = HashSet::new();
    file.symbols()
        .chain(file.dynamic_symbols())
        .filter(|symbol| symbol.is_definition() && is_function(&symbol.flags()))
        .filter_map(|symbol| {
            // Symbols of several versions are written `name@VERSION` in the full table.
            let (name, address) = (symbol.name().ok()?.split('@').next()?, symbol.address());
            if name.is_empty() || !seen.insert((name, address)) {
                return None;
            }
            Some(Function { name: name.to_string(), offset: offset_in(segments, address)?, size: symbol.size() })
        })
        .collect()
}

/// Resolvers of indirect functions run once at start-up and are no functions that anyone wants to trace.
fn is_function<S, T>(flags: &SymbolFlags<S, T>) -> bool {
    matches!(flags, SymbolFlags::Elf { st_info, .. } if st_info & 0xf == STT_FUNC)
}

/// What of the file is mapped where when it runs.
pub fn segments(file: &File<'_>, start: u64) -> Vec<Segment> {
    let part = |segment: object::Segment<'_, '_>| {
        let (offset, size) = segment.file_range();
        Segment { address: segment.address(), offset: start.saturating_add(offset), size }
    };
    file.segments().map(part).collect()
}

/// Adds what the debug information tells of functions and types.
pub fn describe(
    path: &str,
    wanted: &Wanted,
    types: &mut Builder,
    places: &DebugPlaces,
) -> Result<Vec<DescribedFunction>> {
    let found = with_debug(path, places, |debug, file| {
        let segments = segments(file, 0);
        let mut importer = Importer::new(debug, types, wanted.namesakes);
        importer.named(&wanted.types);
        let address = |offset: &u64| address_in(&segments, *offset);
        let found = debug.functions(&wanted.functions.iter().filter_map(address).collect());
        let describe = |offset: &u64| {
            let described = importer.function(found.get(&address(offset)?)?)?;
            Some(DescribedFunction { path: path.to_string(), offset: *offset, described })
        };
        Some(wanted.functions.iter().filter_map(describe).collect())
    })?;
    Ok(found.unwrap_or_default())
}

/// The address that a line of the source became.
pub fn line(path: &str, line: dwarf::Line<'_>, places: &DebugPlaces) -> Result<Option<dwarf::LineFound>> {
    with_debug(path, places, |debug, _| Some(debug.address_of(line)))
}

/// Asks the debug information of a program, be it in the program or in a file beside it.
fn with_debug<T>(
    path: &str,
    places: &DebugPlaces,
    ask: impl FnOnce(&Debug<'_>, &File<'_>) -> Option<T>,
) -> Result<Option<T>> {
    let bytes = open(path)?;
    let Ok(file) = File::parse(&*bytes) else { return Ok(None) };
    if let Some(sections) = Sections::of(&file) {
        return Ok(ask(&sections.debug(), &file));
    }
    let Some(beside) = places.separate(&file, Path::new(path)) else { return Ok(None) };
    let Ok(separate) = File::parse(&*beside) else { return Ok(None) };
    Ok(Sections::of(&separate).and_then(|sections| ask(&sections.debug(), &file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_functions_lie_where_the_file_says() {
        let path = std::env::current_exe().unwrap();
        let binary = read(path.to_str().unwrap(), &DebugPlaces::default()).unwrap();
        let own = binary.functions.iter().find(|function| function.name == "main").unwrap();
        assert!(own.size > 0 && own.offset > 0 && own.offset < path.metadata().unwrap().len());
        assert!(binary.functions.is_sorted_by(|a, b| a.name <= b.name));
    }

    /// Of a broken file.
    #[test]
    fn segments_may_reach_past_all_addresses() {
        let segments = [Segment { address: u64::MAX - 4, offset: 8, size: 64 }];
        assert_eq!([8, 12, 13].map(|offset| address_in(&segments, offset)), [Some(u64::MAX - 4), Some(u64::MAX), None]);
        let segments = [Segment { address: 8, offset: u64::MAX - 4, size: 64 }];
        assert_eq!(
            [8, 12, 13].map(|address| offset_in(&segments, address)),
            [Some(u64::MAX - 4), Some(u64::MAX), None]
        );
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let refused = |path| read(path, &DebugPlaces::default()).unwrap_err().message;
        assert!(refused("/nosuch/file").contains("cannot read") && refused("/etc/passwd").contains("not a program"));
    }
}
