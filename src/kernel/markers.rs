//! User-level statically defined tracing: the notes that a program's `.note.stapsdt` section holds, one for each place.
//!
//! The format is that of SystemTap's `sys/sdt.h`, version 3.

use object::{File, Object, ObjectSection};

use super::{Marker, Segment, offset_in};

/// The section's only type of note, and the owner's name with its NUL.
const KIND: u32 = 3;
const OWNER: &[u8] = b"stapsdt\0";

/// Every place, in the order of the notes.
pub fn read(file: &File<'_>, segments: &[Segment]) -> Vec<Marker> {
    let Some(notes) = file.section_by_name(".note.stapsdt").and_then(|section| section.data().ok()) else {
        return Vec::new();
    };
    // Programs that move a file's addresses do not know of the notes, but move this section with the rest.
    let base = file.section_by_name(".stapsdt.base").map(|section| section.address());
    Notes { rest: notes }.filter_map(|note| marker(note, base, segments)).collect()
}

fn marker(note: &[u8], base: Option<u64>, segments: &[Segment]) -> Option<Marker> {
    let number = |at: usize| note.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let (location, linked_base, semaphore) = (number(0)?, number(8)?, number(16)?);
    let moved = base.map_or(0, |base| base.wrapping_sub(linked_base));
    let offset = |address: u64| offset_in(segments, address.wrapping_add(moved));
    let mut texts = note.get(24..)?.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
    Some(Marker {
        provider: texts.next()?,
        name: texts.next()?,
        arguments: texts.next()?,
        offset: offset(location)?,
        semaphore: if semaphore == 0 { None } else { Some(offset(semaphore)?) },
    })
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
        let found = marker(notes[0], Some(0x401000), &segments).unwrap();
        assert_eq!((found.offset, found.semaphore), (0x1010, Some(0x2000)));
        assert_eq!((&*found.provider, &*found.name, &*found.arguments), ("app", "start", "-4@%eax 8@$5"));
        assert_eq!(notes.len(), 1);
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
