//! What a stripped program's symbols and debug information are found in: a file beside it or under `/usr/lib/debug`, and the small
//! table of symbols that some distributions leave in the program, compressed.

use std::path::{Path, PathBuf};

use object::{File, Object, ObjectSection};

use crate::mapped::Bytes;

/// Where debug files are installed.
const ROOT: &str = "/usr/lib/debug";

/// The separate file with a program's full symbols and debug information; `path` is where the program lies.
pub fn separate(file: &File<'_>, path: &Path) -> Option<Bytes> {
    let id = file.build_id().ok().flatten();
    let by_id = || Bytes::open(&installed(id?)?).ok();
    by_id().or_else(|| linked(file, path))
}

/// By its build id, as every distribution installs it.
fn installed(id: &[u8]) -> Option<PathBuf> {
    let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let (folder, name) = digits.split_at_checked(2)?;
    Some(PathBuf::from(format!("{ROOT}/.build-id/{folder}/{name}.debug")))
}

/// By the name that `objcopy --add-gnu-debuglink` left in the program, in the folders where debuggers look for it. A file of
/// another version is told by its checksum.
fn linked(file: &File<'_>, path: &Path) -> Option<Bytes> {
    let (name, checksum) = file.gnu_debuglink().ok()??;
    let name = str::from_utf8(name).ok()?;
    // Links lead to the program; its debug file is where the program is.
    let path = path.canonicalize().ok()?;
    let folder = path.parent()?;
    let under_root = Path::new(ROOT).join(folder.strip_prefix("/").ok()?);
    let places = [folder.join(name), folder.join(".debug").join(name), under_root.join(name)];
    places
        .iter()
        .filter(|place| **place != path)
        .filter_map(|place| Bytes::open(place).ok())
        .find(|bytes| crc32(bytes) == checksum)
}

/// The table that lies in the program itself (`.gnu_debugdata`): an ELF file with nothing but symbols, compressed with xz.
pub fn embedded(file: &File<'_>) -> Option<Vec<u8>> {
    let section = file.section_by_name(".gnu_debugdata")?;
    let mut symbols = Vec::new();
    lzma_rs::xz_decompress(&mut section.data().ok()?, &mut symbols).ok()?;
    Some(symbols)
}

/// The checksum of debug links, that of zip and Ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_ids_name_files() {
        let path = installed(&[0xab, 0xcd, 0x01]).unwrap();
        assert_eq!(path.to_str(), Some("/usr/lib/debug/.build-id/ab/cd01.debug"));
        assert_eq!(installed(&[]), None);
    }

    #[test]
    fn checksums() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
