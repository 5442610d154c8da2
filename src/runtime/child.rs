//! Processes that a session goes along with: the `-c` child, which runs once the probes are in place, and the `-p` process.

use std::ffi::CString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use super::sys::process;
use crate::error::{Error, Result};

/// A child that exists, but does not run its program before [`Child::release`].
pub struct Child {
    pid: u32,
    name: String,
    alive: OwnedFd,
    gate: Option<io::PipeWriter>,
    failure: io::PipeReader,
}

impl Child {
    /// Makes the child for a command: words separated by spaces (quotes may group them), no shell.
    pub fn new(command: &str) -> Result<Child> {
        let words = split(command)?;
        let Some(name) = words.first() else {
            return Err(Error::usage("-c needs a command").hint("for instance -c 'ls -l /tmp'"));
        };
        let path = find(name).ok_or_else(|| {
            let why = "does not exist or is not executable (No such file or directory)";
            Error::usage(format!("Failed to fork child: Path '{name}' {why}"))
                .hint("the command is not run by a shell; name a program on PATH or a path")
        })?;
        let text = |text: &str| CString::new(text).map_err(|_| Error::usage("the command contains a NUL"));
        let arguments = words.iter().map(|word| text(word)).collect::<Result<Vec<CString>>>()?;
        Self::spawn(name, &text(&path.to_string_lossy())?, &arguments)
            .map_err(|error| Error::usage(format!("Failed to fork child: {error}")))
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it still waits for [`Child::release`].
    pub(super) fn is_held(&self) -> bool {
        self.gate.is_some()
    }

    /// Waits until the child is where it waits to be released, so that no probe sees it on its way there.
    pub(super) fn settle(&self) {
        if self.is_held() {
            process::wait_sleeping(self.pid);
        }
    }

    /// Lets the child become its program. `look` sees it when it is mapped and has not run yet.
    pub fn release(&mut self, look: impl FnOnce()) -> Result<()> {
        let Some(mut gate) = self.gate.take() else { return Ok(()) };
        let mut errno = [0; 4];
        let failed = |why: io::Error| Error::usage(format!("cannot run {}: {why}", self.name));
        gate.write_all(&[1]).map_err(failed)?;
        match self.failure.read_exact(&mut errno) {
            Ok(()) => Err(failed(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))),
            // The pipe was closed by a successful exec.
            Err(_) => {
                if process::wait_stopped(self.pid) {
                    look();
                }
                // One that has not stopped by now may still do so.
                process::detach(self.pid);
                Ok(())
            }
        }
    }

    /// Readable once the child has ended.
    pub(super) fn alive(&self) -> BorrowedFd<'_> {
        self.alive.as_fd()
    }

    fn spawn(name: &str, path: &CString, arguments: &[CString]) -> io::Result<Child> {
        let (held, gate) = io::pipe()?;
        let (failure, fails) = io::pipe()?;
        let pid = process::spawn_held(path, arguments, held.as_fd(), gate.as_fd(), fails.as_fd())?;
        Ok(Child { pid, name: name.to_string(), alive: process::pidfd(pid)?, gate: Some(gate), failure })
    }
}

/// How long a child may take to end when it is told to.
const PARTING: Duration = Duration::from_millis(50);

impl Drop for Child {
    /// A child does not outlive the session; one that was never released ends by itself.
    fn drop(&mut self) {
        self.gate = None;
        process::terminate(self.pid);
        // A child that ignores the signal is left to itself.
        let _ = process::wait_readable([Some(self.alive())], PARTING);
        process::reap(self.pid);
    }
}

/// The `-p` process: a descriptor that becomes readable when it ends.
pub fn watch(pid: u32) -> Result<OwnedFd> {
    process::pidfd(pid).map_err(|error| {
        let why = match error.raw_os_error() {
            Some(libc::ESRCH) => "No such process".to_string(),
            Some(libc::EINVAL) => "it is a thread, not a process".to_string(),
            _ => error.to_string(),
        };
        Error::usage(format!("Failed to attach to pid: Unable to open pidfd ({why})"))
            .hint("pgrep finds process ids by name")
    })
}

/// An executable by its path, or by its name on PATH.
fn find(name: &str) -> Option<PathBuf> {
    let runnable =
        |path: &PathBuf| fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(runnable);
    }
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(runnable)
}

/// The words of a command. Quotes and backslashes group them as in a shell; nothing else has a meaning.
fn split(command: &str) -> Result<Vec<String>> {
    shlex::split(command).ok_or_else(|| {
        Error::usage(format!("-c: a quote in the command is not closed: {command}"))
            .hint("for instance -c \"sh -c 'ls | wc'\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_waits_for_its_release() {
        let mut child = Child::new("true").unwrap();
        let ended =
            |child: &Child, ms| process::wait_readable([Some(child.alive())], Duration::from_millis(ms)).unwrap()[0];
        assert!(!ended(&child, 30));
        child.release(|| ()).unwrap();
        assert!(ended(&child, 5000));
    }

    #[test]
    fn what_cannot_run_is_told() {
        assert!(Child::new("nosuch-program").err().unwrap().message.contains("Path 'nosuch-program' does not exist"));
        let script = std::env::temp_dir().join(format!("rtrace-no-program-{}", std::process::id()));
        fs::write(&script, "neither ELF nor script").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let mut child = Child::new(script.to_str().unwrap()).unwrap();
        assert!(child.release(|| ()).unwrap_err().message.contains("Exec format error"));
        fs::remove_file(script).unwrap();
        assert!(watch(u32::MAX / 4).unwrap_err().message.contains("No such process"));
    }
}
