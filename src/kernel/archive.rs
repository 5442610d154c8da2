//! Zip archives: where in the file an uncompressed entry lies, as programs on Android and elsewhere map libraries from there.
//!
//! The format is described in PKWARE's `APPNOTE.TXT`.

use std::ops::Range;

const END_OF_DIRECTORY: &[u8] = b"PK\x05\x06";
const DIRECTORY_ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL_HEADER: &[u8] = b"PK\x03\x04";

/// The method of an entry that is not compressed.
const STORED: u16 = 0;

/// Why an entry cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    NoArchive,
    NoEntry,
    Compressed,
}

/// Bytes of the archive that are the entry.
pub fn locate(archive: &[u8], entry: &str) -> Result<Range<usize>, Fault> {
    let end = memchr::memmem::rfind(archive, END_OF_DIRECTORY).ok_or(Fault::NoArchive)?;
    let mut at = word(archive, end + 16).ok_or(Fault::NoArchive)? as usize;
    while archive.get(at..).is_some_and(|rest| rest.starts_with(DIRECTORY_ENTRY)) {
        let (name, next) = directory_entry(archive, at).ok_or(Fault::NoArchive)?;
        if name == entry.as_bytes() {
            return match half(archive, at + 10) {
                Some(STORED) => contents(archive, at).ok_or(Fault::NoArchive),
                _ => Err(Fault::Compressed),
            };
        }
        at = next;
    }
    Err(Fault::NoEntry)
}

/// The name in a directory entry, and where the next entry begins.
fn directory_entry(archive: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let lengths = [28, 30, 32].map(|field| half(archive, at + field).map(usize::from));
    let [Some(name), Some(extra), Some(comment)] = lengths else { return None };
    let start = at + 46;
    Some((archive.get(start..start + name)?, start + name + extra + comment))
}

/// What the local header that a directory entry points at is followed by.
fn contents(archive: &[u8], entry: usize) -> Option<Range<usize>> {
    let size = word(archive, entry + 20)? as usize;
    let header = word(archive, entry + 42)? as usize;
    archive.get(header..)?.starts_with(LOCAL_HEADER).then_some(())?;
    let start = header + 30 + usize::from(half(archive, header + 26)?) + usize::from(half(archive, header + 28)?);
    (start + size <= archive.len()).then_some(start..start + size)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of one entry.
    fn zip(name: &str, contents: &[u8], method: u16) -> Vec<u8> {
        let mut bytes = LOCAL_HEADER.to_vec();
        bytes.extend([0; 22]);
        bytes.extend((name.len() as u16).to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(name.as_bytes());
        bytes.extend(contents);
        let directory = bytes.len() as u32;
        bytes.extend(DIRECTORY_ENTRY);
        bytes.extend([0; 6]);
        bytes.extend(method.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend((contents.len() as u32).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend((name.len() as u16).to_le_bytes());
        bytes.extend([0; 16]);
        bytes.extend(name.as_bytes());
        bytes.extend(END_OF_DIRECTORY);
        bytes.extend([0; 12]);
        bytes.extend(directory.to_le_bytes());
        bytes.extend([0; 2]);
        bytes
    }

    #[test]
    fn finds_stored_entries() {
        let archive = zip("lib/x.so", b"contents", STORED);
        let range = locate(&archive, "lib/x.so").unwrap();
        assert_eq!(&archive[range], b"contents");
        assert_eq!(locate(&archive, "lib/y.so"), Err(Fault::NoEntry));
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        assert_eq!(locate(&zip("x", b"contents", 8), "x"), Err(Fault::Compressed));
        assert_eq!(locate(b"no archive", "x"), Err(Fault::NoArchive));
        let archive = zip("x", b"contents", STORED);
        for end in 0..archive.len() {
            let _ = locate(&archive[..end], "x");
        }
    }
}
