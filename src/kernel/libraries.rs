//! Libraries by name, as the dynamic linker finds them.

use std::fs;
use std::path::{Path, PathBuf};

const FOLDERS: &[&str] = &[
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
    "/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
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
    let version_in_folder = || FOLDERS.iter().find_map(|folder| newest(Path::new(folder), &versioned));
    matching(&|library| library == name).or_else(in_folder).or_else(|| matching(&versioned)).or_else(version_in_folder)
}

/// Without a cache, the folder is looked through.
fn newest(folder: &Path, is_wanted: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    let names = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.file_name());
    let wanted = names.filter(|name| name.to_str().is_some_and(is_wanted));
    let mut paths: Vec<PathBuf> = wanted.map(|name| folder.join(name)).filter(|path| path.is_file()).collect();
    // Programs are linked against the shortest name (`libc.so.6`, not `libc.so.6.0.1`); of those, the last is the newest.
    paths.sort_by_key(|path| (std::cmp::Reverse(path.as_os_str().len()), path.clone()));
    paths.pop()
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
    fn folders_are_looked_through() {
        let folder = std::env::temp_dir().join(format!("rtrace-libraries-{}", std::process::id()));
        fs::create_dir_all(folder.join("libx.so.9")).unwrap();
        for name in ["libx.so.1", "libx.so.1.2.3", "libxy.so.2"] {
            fs::write(folder.join(name), "").unwrap();
        }
        let found = newest(&folder, &|library| is_version_of(library, "libx.so"));
        assert_eq!(found, Some(folder.join("libx.so.1")));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_damaged_cache_is_no_cache() {
        assert!(entries(b"").is_empty());
        let mut cache = b"glibc-ld.so.cache1.1\xff\xff\xff\xff".to_vec();
        cache.extend([0xff; 100]);
        assert!(entries(&cache).is_empty());
    }
}
