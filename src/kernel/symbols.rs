//! The functions of a program or library by address, and its build id: what its addresses are named by.

use std::cell::OnceCell;
use std::ops::Range;
use std::path::{Path, PathBuf};

use object::elf::{SHF_EXECINSTR, STB_GLOBAL, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE};
use object::{File, Object, ObjectSection, ObjectSymbol, SectionFlags, SymbolFlags};

use super::debug_files::DebugPlaces;
use super::source_lines::{SourceFrame, SourceLines};
use super::{Segment, address_in, elf};
use crate::mapped::Bytes;

/// One file's symbols. Names are read in the file when they are wanted.
pub struct Symbols {
    segments: Vec<Segment>,
    build_id: Option<String>,
    path: PathBuf,
    places: DebugPlaces,
    lines: OnceCell<Option<SourceLines>>,
    /// The file, and the one that has its full symbols.
    texts: Vec<Bytes>,
    /// By address, each once.
    functions: Vec<Named>,
}

struct Named {
    addresses: Range<u64>,
    /// Which of the texts the name is in, and where.
    text: usize,
    name: Range<usize>,
}

/// How many functions before the nearest are tried: those around another are rare.
const AROUND: usize = 8;

impl Symbols {
    /// `None` for what is no program or library. `path` is where it lies, or lay;
    /// its debug files are looked for in `places`, too.
    pub fn read(bytes: Bytes, path: &Path, places: &DebugPlaces) -> Option<Symbols> {
        let file = File::parse(&*bytes).ok()?;
        let segments = elf::segments(&file, 0);
        let id = file.build_id().ok().flatten();
        let build_id = id.map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect());
        let mut found = Found::default();
        found.collect(&file, &bytes, 0);
        let full = elf::full_symbols(&file, path, places);
        if let Some(full) = &full
            && let Ok(file) = File::parse(&**full)
        {
            found.collect(&file, full, 1);
        }
        let functions = found.sorted();
        let texts = [Some(bytes), full].into_iter().flatten().collect();
        let (path, places) = (path.to_path_buf(), places.clone());
        Some(Symbols { segments, build_id, path, places, lines: OnceCell::new(), texts, functions })
    }

    /// The function at an offset of the file, and how far in it that is.
    pub fn find(&self, offset: u64) -> Option<(&str, u64)> {
        let address = address_in(&self.segments, offset)?;
        let after = self.functions.partition_point(|function| function.addresses.start <= address);
        let near = self.functions[..after].iter().rev().take(AROUND);
        let function = { near }.find(|function| function.addresses.contains(&address))?;
        let name = str::from_utf8(&self.texts[function.text][function.name.clone()]).ok()?;
        // Symbols of several versions are written `name@VERSION` in the full table.
        Some((name.split('@').next()?, address - function.addresses.start))
    }

    /// What of the source ran at an offset of the file, as far as debug information tells; see [`SourceLines::find`].
    pub fn source(&self, offset: u64) -> Vec<SourceFrame> {
        let lines = self.lines.get_or_init(|| SourceLines::read(&self.texts[0], &self.path, &self.places));
        let address = address_in(&self.segments, offset);
        lines.as_ref().zip(address).map_or(Vec::new(), |(lines, address)| lines.find(address))
    }

    pub fn build_id(&self) -> Option<&str> {
        self.build_id.as_deref()
    }
}

/// Symbols as they are found, each with how good a name it is.
#[derive(Default)]
struct Found {
    all: Vec<(Named, Worth)>,
}

/// Of several names of one function, the least is taken: with a size, global, without the underscores of inner names, short.
type Worth = (bool, bool, usize, usize);

impl Found {
    fn collect(&mut self, file: &File<'_>, bytes: &[u8], text: usize) {
        for symbol in file.symbols().chain(file.dynamic_symbols()).filter(|symbol| symbol.is_definition()) {
            let SymbolFlags::Elf { st_info, .. } = symbol.flags() else { continue };
            let name = symbol.name_bytes().unwrap_or_default();
            let is_named = !name.is_empty() && !name.starts_with(b"$") && !name.starts_with(b".L");
            if !is_named || !matches!(st_info & 0xf, STT_FUNC | STT_GNU_IFUNC | STT_NOTYPE) {
                continue;
            }
            let section = symbol.section_index().and_then(|index| file.section_by_index(index).ok());
            let Some(section) = section.filter(is_code) else { continue };
            let end = match symbol.size() {
                // Written in assembly; it ends where the next begins, within its section.
                0 => section.address().saturating_add(section.size()),
                size => symbol.address().saturating_add(size),
            };
            let at = name.as_ptr() as usize - bytes.as_ptr() as usize;
            let underscores = name.iter().take_while(|byte| **byte == b'_').count();
            let worth = (symbol.size() == 0, st_info >> 4 < STB_GLOBAL, underscores, name.len());
            self.all.push((Named { addresses: symbol.address()..end, text, name: at..at + name.len() }, worth));
        }
    }

    fn sorted(self) -> Vec<Named> {
        let mut all = self.all;
        all.sort_unstable_by_key(|(named, worth)| (named.addresses.start, *worth));
        all.dedup_by_key(|(named, _)| named.addresses.start);
        for next in (1..all.len()).rev() {
            let start = all[next].0.addresses.start;
            let (before, (is_open, ..)) = &mut all[next - 1];
            if *is_open {
                before.addresses.end = before.addresses.end.min(start);
            }
        }
        all.into_iter().map(|(named, _)| named).collect()
    }
}

fn is_code(section: &object::Section<'_, '_>) -> bool {
    matches!(section.flags(), SectionFlags::Elf { sh_flags } if sh_flags & u64::from(SHF_EXECINSTR) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn marked() -> usize {
        std::hint::black_box(1)
    }

    #[test]
    fn own_functions_have_names() {
        let path = std::env::current_exe().unwrap();
        let binary = elf::read(path.to_str().unwrap(), &DebugPlaces::default()).unwrap();
        let own = binary.functions.iter().find(|function| function.name.contains("symbols5tests6marked")).unwrap();
        assert_eq!(marked(), 1);
        let symbols = Symbols::read(Bytes::open(&path).unwrap(), &path, &DebugPlaces::default()).unwrap();
        assert_eq!(symbols.find(own.offset), Some((own.name.as_str(), 0)));
        assert_eq!(symbols.find(own.offset + own.size - 1), Some((own.name.as_str(), own.size - 1)));
        assert!(symbols.find(1).is_none() && symbols.functions.is_sorted_by_key(|named| named.addresses.start));
    }

    #[test]
    fn what_is_no_program_has_none() {
        let text = Bytes::Owned(b"text".to_vec());
        assert!(Symbols::read(text, Path::new("/etc/passwd"), &DebugPlaces::default()).is_none());
    }
}
