//! The kernel's image with all its symbols: addresses of what `/proc/kallsyms` leaves out, which on many kernels is all data.

use std::fs;
use std::path::{Path, PathBuf};

use object::elf::{FileHeader64, NT_GNU_BUILD_ID};
use object::read::elf::NoteIterator;
use object::{Endianness, File, Object, ObjectSymbol};

use crate::errno::reason;
use crate::error::{Error, Result};
use crate::mapped::Bytes;

/// An image of the running kernel, uncompressed.
pub struct Vmlinux {
    bytes: Bytes,
    path: PathBuf,
}

/// What both tables have, wherever the kernel was put when it started.
pub const START: &str = "_text";

impl Vmlinux {
    /// Opens an image. One of another kernel is refused: its addresses would be wrong.
    pub fn open(path: &Path) -> Result<Vmlinux> {
        let shown = path.display();
        let bytes = Bytes::open(path)
            .map_err(|error| Error::usage(format!("cannot read the kernel's image {shown}: {}", reason(&error))))?;
        let image = Vmlinux { bytes, path: path.to_path_buf() };
        let file = image.file()?;
        let hint = "vmlinux is wanted, as the kernel's build or its debug package has it";
        if address(&file, START).is_none() {
            return Err(Error::usage(format!("{shown} has no symbols of a kernel")).hint(hint));
        }
        match (file.build_id().ok().flatten(), running_build_id()) {
            (own, Some(running)) if own != Some(&running[..]) => {
                Err(Error::usage(format!("{shown} is not of the running kernel: its build id is another, or missing"))
                    .hint(hint))
            }
            _ => Ok(image),
        }
    }

    /// Address of a symbol in a kernel that starts at `start`.
    pub fn symbol(&self, name: &str, start: u64) -> Option<u64> {
        let file = self.file().ok()?;
        let (linked, from) = (address(&file, name)?, address(&file, START)?);
        // What lies below are numbers: places in the memory of each processor.
        Some(if linked < from { linked } else { (linked - from).wrapping_add(start) })
    }

    fn file(&self) -> Result<File<'_>> {
        let wrong = |error| Error::usage(format!("{} is no image of a kernel: {error}", self.path.display()));
        File::parse(&*self.bytes).map_err(wrong)
    }
}

fn address(file: &File<'_>, name: &str) -> Option<u64> {
    let mut symbols = file.symbols();
    symbols.find(|symbol| symbol.name() == Ok(name) && symbol.is_definition()).map(|symbol| symbol.address())
}

fn running_build_id() -> Option<Vec<u8>> {
    build_id(&fs::read("/sys/kernel/notes").ok()?)
}

fn build_id(notes: &[u8]) -> Option<Vec<u8>> {
    let mut notes = NoteIterator::<FileHeader64<Endianness>>::new(Endianness::default(), 4, notes).ok()?;
    while let Ok(Some(note)) = notes.next() {
        if note.name() == b"GNU" && note.n_type(Endianness::default()) == NT_GNU_BUILD_ID {
            return Some(note.desc().to_vec());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_ids_are_among_notes() {
        let notes =
            b"\x06\0\0\0\x01\0\0\0\0\x01\0\0Linux\0\0\0\0\0\0\0\x04\0\0\0\x03\0\0\0\x03\0\0\0GNU\0\x0a\x0b\x0c\0";
        assert_eq!(build_id(notes), Some(vec![10, 11, 12]));
        assert_eq!(build_id(&notes[..24]), None);
    }

    #[test]
    fn programs_are_no_kernels() {
        let refused = |path: &str| Vmlinux::open(Path::new(path)).err().unwrap().message;
        assert!(refused("/nosuch").contains("cannot read the kernel's image"));
        assert!(refused("/etc/passwd").contains("is no image of a kernel"));
        let own = std::env::current_exe().unwrap();
        assert!(refused(own.to_str().unwrap()).contains("has no symbols of a kernel"));
    }
}
