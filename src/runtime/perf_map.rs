//! Names of code that a process made while it ran: `/tmp/perf-PID.map`, which runtimes such as node, Java and Python write for perf.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek};
use std::os::unix::fs::OpenOptionsExt;

use crate::kernel::namespaces;

/// The map of one process. Its file stays open, as it may grow, and outlives its name when a container goes.
pub struct PerfMap {
    pub path: String,
    file: File,
    /// How much of the file was read.
    read: u64,
    /// By their first address; of code in the place of older code, the last.
    functions: BTreeMap<u64, (u64, String)>,
}

impl PerfMap {
    /// Finds the file as the process sees it, or, of one that has ended, as it would lie here.
    pub fn open(pid: u32) -> Option<PerfMap> {
        let named = |number: u32| format!("/tmp/perf-{number}.map");
        let seen = namespaces::number_within(pid).map(|number| format!("/proc/{pid}/root{}", named(number)));
        let file = seen.into_iter().chain([named(pid)]).find_map(|path| opened(&path).ok())?;
        Some(PerfMap { path: named(pid), file, read: 0, functions: BTreeMap::new() })
    }

    /// The function at an address, and how far in it that is.
    pub fn find(&mut self, address: u64) -> Option<(&str, u64)> {
        self.refresh();
        let (start, (size, name)) = self.functions.range(..=address).next_back()?;
        let distance = address - start;
        (distance < *size).then_some((name.as_str(), distance))
    }

    /// Reads the lines that came since the last time.
    fn refresh(&mut self) {
        let len = self.file.metadata().map_or(0, |meta| meta.len());
        if len == self.read || self.file.seek(io::SeekFrom::Start(self.read)).is_err() {
            return;
        }
        let mut reader = BufReader::new(&self.file);
        let mut line = Vec::new();
        // A line without its end is still being written.
        while reader.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) && line.ends_with(b"\n") {
            self.read += line.len() as u64;
            if let Some((start, size, name)) = function(&String::from_utf8_lossy(&line)) {
                self.functions.insert(start, (size, name));
            }
            line.clear();
        }
    }
}

/// Anybody may put a pipe at this name, which would keep us waiting.
fn opened(path: &str) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Reads `START SIZE name with spaces`, the numbers in hexadecimal digits.
fn function(line: &str) -> Option<(u64, u64, String)> {
    let mut words = line.trim_end().splitn(3, ' ');
    let mut number = || u64::from_str_radix(words.next()?.trim_start_matches("0x"), 16).ok();
    Some((number()?, number()?, words.next()?.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_map_that_grows() {
        // No process has a number as high.
        let (pid, path) = (u32::MAX - std::process::id(), format!("/tmp/perf-{}.map", u32::MAX - std::process::id()));
        let mut file = File::create(&path).unwrap();
        file.write_all(b"7f00 10 py::main:/app.py\n7f10 8 old\nbroken\n7f20 ").unwrap();
        let mut map = PerfMap::open(pid).unwrap();
        for (address, found) in
            [(0x7f0f, Some(("py::main:/app.py", 15))), (0x7f10, Some(("old", 0))), (0x7f18, None), (0x7f20, None)]
        {
            assert_eq!(map.find(address), found);
        }
        file.write_all(b"4 two words\n7f10 8 new\n").unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(map.find(0x7f12), Some(("new", 2)));
        assert_eq!(map.find(0x7f21), Some(("two words", 1)));
    }

    #[test]
    fn a_pipe_is_no_map() {
        let path = std::env::temp_dir().join(format!("rtrace-perf-map-{}", std::process::id()));
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert!(opened(path.to_str().unwrap()).is_err());
        std::fs::remove_file(&path).unwrap();
    }
}
