//! What a stripped program's symbols and debug information are found in: a file in a place that was named, beside it or under
//! `/usr/lib/debug`, and the small table of symbols that some distributions leave in the program, compressed.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object::{File, Object, ObjectSection};

use crate::mapped::Bytes;

/// Where debug files are installed.
const ROOT: &str = "/usr/lib/debug";

/// Folders with debug files, and such files, that are looked at before the usual places. Paths that are not absolute are meant from
/// the folder of each program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DebugPlaces(Arc<[PathBuf]>);

impl DebugPlaces {
    /// From lists as `--debuginfo` takes them: `DIR:DIR`. A `+` before one asks for a checksum's proof, which is always looked for here
    /// where there is no build id.
    pub fn of(lists: &[String]) -> DebugPlaces {
        let places = lists.iter().flat_map(|list| list.split(':'));
        let places = places.map(|place| place.strip_prefix('+').unwrap_or(place)).filter(|place| !place.is_empty());
        DebugPlaces(places.map(PathBuf::from).collect())
    }

    /// The separate file with a program's full symbols and debug information; `path` is where the program lies.
    pub fn separate(&self, file: &File<'_>, path: &Path) -> Option<Bytes> {
        // Links lead to the program; its debug file is where the program is.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let identity = Identity::of(file, &path);
        let named = || self.0.iter().find_map(|place| identity.found_in(&path.parent()?.join(place)));
        let installed = || Bytes::open(&Path::new(ROOT).join(identity.id_path()?)).ok();
        named().or_else(installed).or_else(|| identity.linked(&path))
    }
}

/// What tells a program's debug file from others.
struct Identity<'a> {
    build_id: Option<&'a [u8]>,
    /// The name that `objcopy --add-gnu-debuglink` left in the program, with the checksum of the file.
    link: Option<(&'a str, u32)>,
    path: &'a Path,
}

impl<'a> Identity<'a> {
    fn of(file: &File<'a>, path: &'a Path) -> Identity<'a> {
        let link = file.gnu_debuglink().ok().flatten();
        let link = link.and_then(|(name, checksum)| Some((file_name(name)?, checksum)));
        Identity { build_id: file.build_id().ok().flatten(), link, path }
    }

    /// A place is the file itself, or a folder with it: by build id, or by name, there or in a folder as the program's below it.
    fn found_in(&self, place: &Path) -> Option<Bytes> {
        if !place.is_dir() {
            return self.opened(place);
        }
        let own_name = self.path.file_name()?.to_str()?;
        let below = place.join(self.path.parent()?.strip_prefix("/").ok()?);
        let names = [self.link.map(|(name, _)| name.to_string()), Some(format!("{own_name}.debug"))];
        let named = names.iter().flatten().flat_map(|name| [place.join(name), below.join(name)]);
        self.id_path().map(|path| place.join(path)).into_iter().chain(named).find_map(|place| self.opened(&place))
    }

    /// Where distributions put it.
    fn linked(&self, path: &Path) -> Option<Bytes> {
        let (name, _) = self.link?;
        let folder = path.parent()?;
        let under_root = Path::new(ROOT).join(folder.strip_prefix("/").ok()?);
        let places = [folder.join(name), folder.join(".debug").join(name), under_root.join(name)];
        places.iter().find_map(|place| self.opened(place))
    }

    /// A file, if it is this program's. Pipes, which whoever owns the folder may have put there, would keep us waiting.
    fn opened(&self, place: &Path) -> Option<Bytes> {
        if place == self.path || !place.is_file() {
            return None;
        }
        Bytes::open(place).ok().filter(|bytes| self.is_of(bytes, place))
    }

    /// Files of other versions are told by their build ids, or else by the checksum; without both, the name must do.
    fn is_of(&self, bytes: &[u8], place: &Path) -> bool {
        let Ok(file) = File::parse(bytes) else { return false };
        if let (Some(own), Ok(Some(other))) = (self.build_id, file.build_id()) {
            return own == other;
        }
        if let Some((_, checksum)) = self.link {
            return crc32(bytes) == checksum;
        }
        self.build_id.is_none() && place.file_stem() == self.path.file_name()
    }

    /// As every distribution installs it: `.build-id/xx/yyy.debug`.
    fn id_path(&self) -> Option<PathBuf> {
        id_path(self.build_id?)
    }
}

/// A link's name, unless it leads out of the folders that are searched: programs are not to choose which files rtrace opens.
fn file_name(name: &[u8]) -> Option<&str> {
    str::from_utf8(name).ok().filter(|name| Path::new(name).file_name() == Some(OsStr::new(name)))
}

fn id_path(id: &[u8]) -> Option<PathBuf> {
    let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let (folder, name) = digits.split_at_checked(2)?;
    Some(PathBuf::from(format!(".build-id/{folder}/{name}.debug")))
}

/// The table that lies in the program itself (`.gnu_debugdata`): an ELF file with nothing but symbols, compressed with xz.
pub fn embedded(file: &File<'_>) -> Option<Vec<u8>> {
    let section = file.section_by_name(".gnu_debugdata")?;
    let mut symbols = Limited(Vec::new());
    lzma_rs::xz_decompress(&mut section.data().ok()?, &mut symbols).ok()?;
    Some(symbols.0)
}

/// Bytes that such a table may have: twenty times what the largest programs have. A few bytes can be made to unpack without end.
const MOST_SYMBOLS: usize = 256 << 20;

struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_SYMBOLS {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
        let path = id_path(&[0xab, 0xcd, 0x01]).unwrap();
        assert_eq!(path.to_str(), Some(".build-id/ab/cd01.debug"));
        assert_eq!(id_path(&[]), None);
    }

    #[test]
    fn links_name_files_alone() {
        assert_eq!(file_name(b"program.debug"), Some("program.debug"));
        for elsewhere in ["/dev/tty", "../../secret", "folder/file", "..", ""] {
            assert_eq!(file_name(elsewhere.as_bytes()), None, "{elsewhere}");
        }
    }

    #[test]
    fn places_are_separated_by_colons() {
        let places = DebugPlaces::of(&["/a:+b".to_string(), ":.".to_string()]);
        assert_eq!(*places.0, ["/a", "b", "."].map(PathBuf::from));
    }

    #[test]
    fn checksums() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
