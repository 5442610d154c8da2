//! A file's bytes, mapped where the file system allows it and copied where it does not.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Read-only bytes.
pub enum Bytes {
    Mapped(Mapping),
    Owned(Vec<u8>),
}

/// A private read-only mapping of a whole file.
pub struct Mapping {
    start: *const u8,
    len: usize,
}

impl Bytes {
    /// Maps a file. `/sys/kernel/btf/vmlinux` can be mapped since 6.16; what cannot be mapped is read.
    pub fn open(path: &Path) -> io::Result<Bytes> {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len() as usize;
        if let Some(mapping) = Mapping::new(&file, len) {
            return Ok(Bytes::Mapped(mapping));
        }
        let mut bytes = Vec::with_capacity(len);
        file.read_to_end(&mut bytes)?;
        Ok(Bytes::Owned(bytes))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            // SAFETY: the mapping is readable, `len` bytes long and lives as long as `self`. The files mapped are kernel
            // data that never changes, and programs and libraries, which are replaced rather than rewritten.
            Bytes::Mapped(mapping) => unsafe { std::slice::from_raw_parts(mapping.start, mapping.len) },
            Bytes::Owned(bytes) => bytes,
        }
    }
}

impl Mapping {
    fn new(file: &File, len: usize) -> Option<Mapping> {
        if len == 0 {
            return None;
        }
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
        (start != libc::MAP_FAILED).then_some(Mapping { start: start.cast_const().cast(), len })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: start and length are those of the mapping made in `new`, and no slice of it outlives `self`.
        unsafe { libc::munmap(self.start.cast_mut().cast(), self.len) };
    }
}

// SAFETY: the mapping is read-only and belongs to no thread.
unsafe impl Send for Mapping {}
// SAFETY: likewise; concurrent reads of it are plain reads of immutable memory.
unsafe impl Sync for Mapping {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_a_file_and_reads_what_cannot_be_mapped() {
        let file = Bytes::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml").as_path()).unwrap();
        assert!(matches!(file, Bytes::Mapped(_)) && file.starts_with(b"[package]"));
        let proc = Bytes::open(Path::new("/proc/self/stat")).unwrap();
        assert!(matches!(proc, Bytes::Owned(_)) && !proc.is_empty());
    }
}
