//! The event sources of perf: what this machine calls them, and which CPUs are there to count on.

use std::collections::HashSet;
use std::fs;
use std::io;

use crate::error::{Error, Result};
use crate::plan::Point;

/// `PERF_TYPE_*`.
pub const HARDWARE: u32 = 0;
pub const TRACEPOINT: u32 = 2;
pub const BREAKPOINT: u32 = 5;

/// A source of probes, whose type number the kernel hands out at boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Kprobe,
    Uprobe,
}

impl Source {
    /// `perf_event_attr.type`.
    pub fn kind(self) -> Result<u32> {
        let path = format!("/sys/bus/event_source/devices/{}/type", self.name());
        let text = fs::read_to_string(path).ok();
        text.and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
            Error::kernel(format!("this kernel has no {}s", self.name())).hint(match self {
                Source::Kprobe => {
                    "a kernel with CONFIG_KPROBE_EVENTS=y has them; tracepoints may give the same answer: rtrace -l 'tracepoint:*'"
                }
                Source::Uprobe => "a kernel with CONFIG_UPROBE_EVENTS=y has them",
            })
        })
    }

    /// `perf_event_attr.config`: a bit says that the probe is for the return of the function.
    pub fn config(self, at: Point) -> u64 {
        match at {
            Point::Entry => 0,
            Point::Return => 1 << self.return_bit(),
        }
    }

    /// The bit that the source's `format/retprobe` names; 0 on every kernel so far.
    fn return_bit(self) -> u32 {
        let path = format!("/sys/bus/event_source/devices/{}/format/retprobe", self.name());
        let text = fs::read_to_string(path).unwrap_or_default();
        text.trim().strip_prefix("config:").and_then(|bit| bit.parse().ok()).filter(|bit| *bit < 64).unwrap_or(0)
    }

    fn name(self) -> &'static str {
        match self {
            Source::Kprobe => "kprobe",
            Source::Uprobe => "uprobe",
        }
    }
}

/// Numbers of the CPUs that are online.
pub fn online() -> Vec<i32> {
    let list = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let cpus = numbers(&list);
    if cpus.is_empty() { vec![0] } else { cpus }
}

/// Does something for each thread of a process, and for those that were started meanwhile by threads not yet served.
pub fn each_thread(pid: u32, mut serve: impl FnMut(u32) -> io::Result<()>) -> io::Result<()> {
    let mut served = HashSet::new();
    loop {
        let threads =
            fs::read_dir(format!("/proc/{pid}/task")).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
        let threads = threads.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let new: Vec<u32> = threads.filter(|thread| served.insert(*thread)).collect();
        if new.is_empty() {
            return Ok(());
        }
        for thread in new {
            match serve(thread) {
                // A thread may have ended; the process itself must be there.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) && thread != pid => {}
                served => served?,
            }
        }
    }
}

/// The numbers in a list such as `0-3,8`.
fn numbers(list: &str) -> Vec<i32> {
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(numbers("0-2,5\n"), [0, 1, 2, 5]);
        assert!(numbers("").is_empty() && !online().is_empty());
    }
}
