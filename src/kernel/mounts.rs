//! File systems that tracing needs: found where they are mounted, and mounted where they are missing.

use std::fs;
use std::io;

use super::sys;
use crate::error::{Error, Result};

/// A file system that tracing reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filesystem {
    /// Events and their formats.
    Tracefs,
    /// Pinned programs and maps.
    Bpf,
    /// Groups of processes, in version 2.
    Cgroup,
}

/// Where a file system is, and whether it was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub path: String,
    pub state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Found,
    /// rtrace mounted it, which `-v` tells.
    Made,
}

impl Filesystem {
    /// The type's name in the kernel.
    pub fn kind(self) -> &'static str {
        match self {
            Filesystem::Tracefs => "tracefs",
            Filesystem::Bpf => "bpf",
            Filesystem::Cgroup => "cgroup2",
        }
    }

    /// Where it belongs.
    pub fn place(self) -> &'static str {
        match self {
            Filesystem::Tracefs => "/sys/kernel/tracing",
            Filesystem::Bpf => "/sys/fs/bpf",
            Filesystem::Cgroup => "/sys/fs/cgroup",
        }
    }

    /// The command that mounts it.
    pub fn command(self) -> String {
        let (kind, place) = (self.kind(), self.place());
        format!("mount -t {kind} {kind} {place}")
    }
}

/// Where a file system is mounted; the usual place is preferred.
pub fn find(filesystem: Filesystem) -> Option<String> {
    find_in(&fs::read_to_string("/proc/self/mounts").ok()?, filesystem)
}

/// Finds a file system or mounts it; if that is not possible, the error has the command that would.
pub fn ensure(filesystem: Filesystem) -> Result<Mount> {
    if let Some(path) = find(filesystem) {
        return Ok(Mount { path, state: State::Found });
    }
    let path = filesystem.place().to_string();
    match sys::mount(filesystem.kind(), &path) {
        Ok(()) => Ok(Mount { path, state: State::Made }),
        Err(error) => Err(refused(filesystem, &error)),
    }
}

/// The error for a file system that is not mounted, with why it could not be.
fn refused(filesystem: Filesystem, error: &io::Error) -> Error {
    let kind = filesystem.kind();
    let why = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => "mounting it takes root (CAP_SYS_ADMIN)".to_string(),
        Some(libc::ENODEV) => {
            return Error::usage(format!("this kernel has no {kind}, so tracepoints cannot be found"));
        }
        Some(libc::ENOENT) => format!("{} does not exist", filesystem.place()),
        Some(_) | None => format!("it cannot be mounted: {error}"),
    };
    Error::usage(format!("{kind} is not mounted, and {why}")).hint(format!("run: sudo {}", filesystem.command()))
}

fn find_in(mounts: &str, filesystem: Filesystem) -> Option<String> {
    let places = || {
        mounts.lines().filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (place, kind) = (fields.next()?, fields.next()?);
            (kind == filesystem.kind()).then_some(place)
        })
    };
    places().find(|place| *place == filesystem.place()).or_else(|| places().next()).map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_place_is_preferred() {
        let mounts = "none /x/tracing tracefs rw 0 0\ntracefs /sys/kernel/tracing tracefs rw 0 0\nbpf /b bpf rw 0 0\n";
        assert_eq!(find_in(mounts, Filesystem::Tracefs).as_deref(), Some("/sys/kernel/tracing"));
        assert_eq!(find_in(mounts, Filesystem::Bpf).as_deref(), Some("/b"));
        assert_eq!(find_in("proc /proc proc rw 0 0\n", Filesystem::Tracefs), None);
    }

    #[test]
    fn a_refusal_tells_the_command() {
        let error = refused(Filesystem::Tracefs, &io::Error::from_raw_os_error(libc::EPERM));
        assert!(error.message.contains("CAP_SYS_ADMIN"));
        assert_eq!(error.hint.as_deref(), Some("run: sudo mount -t tracefs tracefs /sys/kernel/tracing"));
    }
}
