//! Programs and libraries: found by path or name, and their ELF symbols turned into file offsets for uprobes.

use std::collections::HashSet;
use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use object::elf::STT_FUNC;
use object::{File, Object, ObjectSegment, ObjectSymbol, SymbolFlags};

use super::{Binary, Function, Segment, offset_in};
use crate::error::{Error, Result};
use crate::mapped::Bytes;

/// Finds a program or library and reads its functions.
pub fn read(name: &str) -> Result<Binary> {
    let path = locate(name).ok_or_else(|| missing(name))?;
    let bytes = Bytes::open(&path)
        .map_err(|error| Error::usage(format!("cannot read {}: {}", path.display(), error.kind())))?;
    let file = File::parse(&*bytes)
        .map_err(|error| Error::usage(format!("{} is not a program or library: {error}", path.display())))?;
    let segments = segments(&file);
    let mut functions = functions(&file, &segments);
    if file.symbol_table().is_none() {
        // A stripped file's full symbols may be installed beside it; addresses agree, offsets are those of this file.
        functions.extend(debug_functions(&file, &segments).unwrap_or_default());
    }
    functions.sort_unstable_by(|a, b| (&a.name, a.offset).cmp(&(&b.name, b.offset)));
    functions.dedup_by(|a, b| a.name == b.name && a.offset == b.offset);
    Ok(Binary { path: path.to_string_lossy().into_owned(), functions, segments })
}

/// The file that a name stands for: a path, a program on `PATH`, or a library.
fn locate(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        let path = std::path::absolute(name).ok()?;
        return path.is_file().then_some(path);
    }
    on_path(name).or_else(|| libraries::locate(name))
}

/// The first executable of this name, as a shell would run it.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
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
fn segments(file: &File<'_>) -> Vec<Segment> {
    let part = |segment: object::Segment<'_, '_>| {
        let (offset, size) = segment.file_range();
        Segment { address: segment.address(), offset, size }
    };
    file.segments().map(part).collect()
}

/// Functions of the separate debug file, found by build id.
fn debug_functions(file: &File<'_>, segments: &[Segment]) -> Option<Vec<Function>> {
    let id: String = file.build_id().ok()??.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = format!("/usr/lib/debug/.build-id/{}/{}.debug", id.get(..2)?, id.get(2..)?);
    let bytes = Bytes::open(Path::new(&path)).ok()?;
    let debug = File::parse(&*bytes).ok()?;
    Some(functions(&debug, segments))
}

/// bpftrace's words, which callers complete with what the file was wanted for.
fn missing(name: &str) -> Error {
    let problem = Error::usage(format!("'{name}' does not exist or is not executable"));
    if name.contains('/') {
        problem
    } else {
        problem.hint("a name without a slash is looked for on PATH, then among the system's libraries")
    }
}

/// Libraries by name, as the dynamic linker finds them.
mod libraries {
    use std::fs;
    use std::path::{Path, PathBuf};

    const FOLDERS: &[&str] = &[
        "/lib64",
        "/usr/lib64",
        "/lib",
        "/usr/lib",
        "/usr/local/lib",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
    ];

    /// `libc.so.6`, `libc` and `c` all find the C library.
    pub fn locate(name: &str) -> Option<PathBuf> {
        let cache = fs::read("/etc/ld.so.cache").unwrap_or_default();
        let cached = entries(&cache);
        let matching = |wanted: &dyn Fn(&str) -> bool| {
            cached
                .iter()
                .find(|(library, _)| wanted(library))
                .map(|(_, path)| PathBuf::from(path))
                .filter(|path| path.is_file())
        };
        let in_folder = || FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
        let stem = format!("{}.so", name.split(".so").next()?);
        let prefixed = format!("lib{stem}");
        let versioned = |library: &str| [&stem, &prefixed].iter().any(|stem| is_version_of(library, stem));
        matching(&|library| library == name).or_else(in_folder).or_else(|| matching(&versioned))
    }

    /// Whether a library is `stem` itself or a version of it, such as `libc.so.6`.
    fn is_version_of(library: &str, stem: &str) -> bool {
        library.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// Name and path of each library for this machine in the cache; the format is glibc's `struct cache_file_new`.
    fn entries(cache: &[u8]) -> Vec<(&str, &str)> {
        const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
        let Some(start) = memchr::memmem::find(cache, MAGIC) else { return Vec::new() };
        let cache = &cache[start..];
        let word = |at: usize| cache.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        let text = |at: u32| {
            let tail = cache.get(at as usize..)?;
            std::str::from_utf8(&tail[..memchr::memchr(0, tail)?]).ok()
        };
        let count = word(MAGIC.len()).unwrap_or(0).min((cache.len() / 24) as u32) as usize;
        (0..count)
            .filter_map(|index| {
                let at = 48 + 24 * index;
                // The upper byte of the flags tells the architecture's 64-bit libraries.
                (word(at)? >> 8 & 0xff == MACHINE).then_some(())?;
                Some((text(word(at + 4)?)?, text(word(at + 8)?)?))
            })
            .collect()
    }

    #[cfg(target_arch = "x86_64")]
    const MACHINE: u32 = 3;
    #[cfg(target_arch = "aarch64")]
    const MACHINE: u32 = 10;

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn versions_of_a_library() {
            assert!(is_version_of("libc.so.6", "libc.so") && is_version_of("libc.so", "libc.so"));
            assert!(!is_version_of("libc.socket", "libc.so") && !is_version_of("libcap.so.2", "libc.so"));
        }

        #[test]
        fn a_damaged_cache_is_no_cache() {
            assert!(entries(b"").is_empty());
            let mut cache = b"glibc-ld.so.cache1.1\xff\xff\xff\xff".to_vec();
            cache.extend([0xff; 100]);
            assert!(entries(&cache).is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_functions_lie_where_the_file_says() {
        let path = env::current_exe().unwrap();
        let binary = read(path.to_str().unwrap()).unwrap();
        let own = binary.functions.iter().find(|function| function.name.contains("own_functions_lie_where")).unwrap();
        assert!(own.size > 0 && own.offset > 0 && own.offset < path.metadata().unwrap().len());
        assert!(binary.functions.is_sorted_by(|a, b| a.name <= b.name));
    }

    #[test]
    fn programs_and_libraries_are_found_by_name() {
        assert!(read("sh").unwrap().path.ends_with("/sh"));
        let by_name = ["libc.so.6", "libc"].map(locate);
        if let [Some(full), Some(short)] = by_name {
            assert_eq!(full, short);
        }
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(read("/nosuch/file").unwrap_err().message.contains("does not exist or is not executable"));
        assert!(read("/etc/passwd").unwrap_err().message.contains("not a program"));
        assert!(read("no-such-program").unwrap_err().hint.is_some());
    }
}
