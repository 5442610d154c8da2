//! User-level statically defined tracing: the notes that a program's `.note.stapsdt` section holds, one for each place.
//!
//! The format is that of SystemTap's `sys/sdt.h`, version 3.

use std::collections::HashSet;

use object::elf::STT_TLS;
use object::{File, Object, ObjectSection, ObjectSymbol, SymbolFlags};

use super::{Marker, Segment, offset_in};

/// The section's only type of note, and the owner's name with its NUL.
const KIND: u32 = 3;
const OWNER: &[u8] = b"stapsdt\0";

/// Every place, in the order of the notes. `full` is the file with the symbols, which may be another one.
pub fn read(file: &File<'_>, full: &File<'_>, segments: &[Segment]) -> Vec<Marker> {
    let Some(notes) = file.section_by_name(".note.stapsdt").and_then(|section| section.data().ok()) else {
        return Vec::new();
    };
    // Programs that move a file's addresses do not know of the notes, but move this section with the rest.
    let base = file.section_by_name(".stapsdt.base").map(|section| section.address());
    let mut places: Vec<Place> = Notes { rest: notes }.filter_map(|note| place(note, base, segments)).collect();
    find_variables(&mut places, full);
    places.into_iter().map(|place| place.marker).collect()
}

/// A marker, and the address of its place.
struct Place {
    address: u64,
    marker: Marker,
}

fn place(note: &[u8], base: Option<u64>, segments: &[Segment]) -> Option<Place> {
    let number = |at: usize| note.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let (location, linked_base, semaphore) = (number(0)?, number(8)?, number(16)?);
    let moved = |address: u64| address.wrapping_add(base.map_or(0, |base| base.wrapping_sub(linked_base)));
    let offset = |address: u64| offset_in(segments, moved(address));
    let mut texts = note.get(24..)?.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
    let marker = Marker {
        provider: texts.next()?,
        name: texts.next()?,
        arguments: texts.next()?,
        offset: offset(location)?,
        semaphore: if semaphore == 0 { None } else { Some(offset(semaphore)?) },
        variables: Vec::new(),
    };
    Some(Place { address: moved(location), marker })
}

/// Looks up the variables that arguments name. Of several with one name, none can be meant for sure.
fn find_variables(places: &mut [Place], full: &File<'_>) {
    let named: HashSet<String> =
        places.iter().flat_map(|place| words(&place.marker.arguments)).map(str::to_string).collect();
    if named.is_empty() {
        return;
    }
    let symbols = full.symbols().chain(full.dynamic_symbols()).filter(|symbol| {
        let is_of_thread = matches!(symbol.flags(), SymbolFlags::Elf { st_info, .. } if st_info & 0xf == STT_TLS);
        symbol.is_definition() && !is_of_thread
    });
    let found: HashSet<(&str, u64)> = symbols
        .filter_map(|symbol| Some((symbol.name().ok()?.split('@').next()?, symbol.address())))
        .filter(|(name, _)| named.contains(*name))
        .collect();
    for Place { address, marker } in places {
        for word in words(&marker.arguments) {
            let mut meant = found.iter().filter(|(name, _)| *name == word);
            if let (Some((name, of)), None) = (meant.next(), meant.next()) {
                marker.variables.push((name.to_string(), of.wrapping_sub(*address) as i64));
            }
        }
    }
}

/// What in arguments may be the name of a variable: words that are no numbers, and no registers, which have a percent sign.
fn words(arguments: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '%');
    let words = arguments.split(move |c| !is_part(c)).filter(|word| !word.is_empty());
    words.filter(|word| !word.starts_with(|first: char| first.is_ascii_digit() || first == '%'))
}

/// Contents of the notes of the right kind.
struct Notes<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Notes<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let word = |at: usize| self.rest.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
            let (owner, size, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
            let start = 12 + owner.next_multiple_of(4);
            let is_ours = kind == KIND && self.rest.get(12..12 + owner)? == OWNER;
            let contents = self.rest.get(start..start.checked_add(size)?)?;
            self.rest = self.rest.get(start + size.next_multiple_of(4)..).unwrap_or_default();
            if is_ours {
                return Some(contents);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(kind: u32, contents: &[u8]) -> Vec<u8> {
        let header = [OWNER.len() as u32, contents.len() as u32, kind];
        let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(OWNER);
        bytes.extend(contents);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn contents(location: u64, base: u64, semaphore: u64) -> Vec<u8> {
        let mut bytes: Vec<u8> = [location, base, semaphore].iter().flat_map(|number| number.to_le_bytes()).collect();
        bytes.extend(b"app\0start\0-4@%eax 8@$5\0");
        bytes
    }

    #[test]
    fn notes_become_markers_where_the_file_lies_now() {
        let segments = [Segment { address: 0x401000, offset: 0x1000, size: 0x3000 }];
        let section = [note(7, b"other"), note(KIND, &contents(0x201010, 0x201000, 0x202000))].concat();
        let notes: Vec<&[u8]> = Notes { rest: &section }.collect();
        let Place { address, marker: found } = place(notes[0], Some(0x401000), &segments).unwrap();
        assert_eq!(address, 0x401010);
        assert_eq!((found.offset, found.semaphore), (0x1010, Some(0x2000)));
        assert_eq!((&*found.provider, &*found.name, &*found.arguments), ("app", "start", "-4@%eax 8@$5"));
        assert_eq!(notes.len(), 1);
    }

    #[test]
    fn words_that_may_be_variables() {
        let found: Vec<&str> = words("-4@%edi 8@counter(%rip) 8@8+table.0(,%rax,8) 4@$7").collect();
        assert_eq!(found, ["counter", "table.0"]);
    }

    #[test]
    fn damaged_notes_end_the_list() {
        let section = note(KIND, &contents(1, 2, 0));
        for end in 0..section.len() {
            let notes: Vec<&[u8]> = Notes { rest: &section[..end] }.collect();
            assert!(notes.len() <= 1);
        }
    }
}
