//! PID namespaces, as `/proc` shows those of processes.

use std::fs;
use std::os::linux::fs::MetadataExt;

/// Inode of the initial namespace, `PROC_PID_INIT_INO` of the kernel.
const INITIAL: u64 = 0xefff_fffc;

/// Device and inode of the namespace that a process is in.
pub fn of_process(process: &str) -> Option<(u64, u64)> {
    let meta = fs::metadata(format!("/proc/{process}/ns/pid")).ok()?;
    Some((meta.st_dev(), meta.st_ino()))
}

pub fn is_initial(namespace: (u64, u64)) -> bool {
    namespace.1 == INITIAL
}

/// The number of a process in the namespace that it is itself in.
pub fn number_within(pid: u32) -> Option<u32> {
    innermost(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// The last of the numbers in `/proc/PID/status`, which has one for each namespace from here on down.
fn innermost(status: &str) -> Option<u32> {
    let numbers = status.lines().find_map(|line| line.strip_prefix("NStgid:"))?;
    numbers.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_number_is_the_processs_own() {
        assert_eq!(innermost("Name:\tsh\nPid:\t712\nNStgid:\t712\t31\t1\nVmPeak:\t9 kB\n"), Some(1));
        assert_eq!(innermost("Name:\tsh\n"), None);
    }
}
