//! The code that a process has mapped, as `/proc/PID/maps` tells it (proc_pid_maps(5)).

use std::fs;
use std::ops::Range;

/// A part of memory that a process may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    pub addresses: Range<u64>,
    pub origin: Origin,
}

/// What code was mapped from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    File {
        id: FileId,
        /// As the process sees it.
        path: String,
        /// Where in the file the mapping begins.
        offset: u64,
    },
    /// The kernel's own library.
    Vdso,
    /// Memory without a file, where compilers put what they make while the program runs.
    Anonymous,
}

/// Device and inode.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileId {
    device: String,
    inode: u64,
}

/// The executable mappings; none for a process that has ended, be it waited for or not.
pub fn of_process(pid: u32) -> Vec<Mapping> {
    let text = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().filter_map(mapping).collect()
}

/// Where a program's own code begins, after that of the dynamic linker: `AT_ENTRY` of its auxiliary vector (getauxval(3)).
pub fn entry(pid: u32) -> Option<u64> {
    const ENTRY: u64 = 9;
    let bytes = fs::read(format!("/proc/{pid}/auxv")).ok()?;
    let words: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect();
    words.as_chunks::<2>().0.iter().find(|[kind, _]| *kind == ENTRY).map(|[_, entry]| *entry)
}

fn mapping(line: &str) -> Option<Mapping> {
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let addresses = number(start)?..number(end)?;
    words.next().filter(|permissions| permissions.contains('x'))?;
    let offset = number(words.next()?)?;
    let (device, inode) = (words.next()?.to_string(), words.next()?.parse().ok()?);
    let origin = match words.next().unwrap_or_default().trim_start() {
        "[vdso]" => Origin::Vdso,
        "[vsyscall]" => return None,
        path if path.starts_with('/') && inode != 0 && !path.starts_with("/dev/") && !path.starts_with("/memfd:") => {
            Origin::File { id: FileId { device, inode }, path: path.to_string(), offset }
        }
        _ => Origin::Anonymous,
    };
    Some(Mapping { addresses, origin })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps() {
        let found =
            mapping("55d0-55d8 r-xp 00002000 fe:00 1234                    /usr/bin/my tool (deleted)").unwrap();
        assert_eq!(found.addresses, 0x55d0..0x55d8);
        let id = FileId { device: "fe:00".to_string(), inode: 1234 };
        assert_eq!(found.origin, Origin::File { id, path: "/usr/bin/my tool (deleted)".to_string(), offset: 0x2000 });
        assert_eq!(mapping("7f00-7f10 r-xp 00000000 00:00 0      [vdso]").unwrap().origin, Origin::Vdso);
        assert_eq!(mapping("7f00-7f10 rwxp 00000000 00:00 0 ").unwrap().origin, Origin::Anonymous);
        assert_eq!(mapping("7f00-7f10 rwxp 0 00:01 77 /memfd:jit (deleted)").unwrap().origin, Origin::Anonymous);
        assert_eq!(mapping("55d0-55d8 rw-p 00002000 fe:00 1234 /usr/bin/cat"), None);
        assert!(!of_process(std::process::id()).is_empty() && of_process(u32::MAX / 4).is_empty());
    }
}
