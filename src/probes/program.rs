//! The programs and libraries that attach points name, found and read.

use std::sync::Arc;

use super::{ProbeType, Request};
use crate::diag::Diagnostic;
use crate::kernel::Binary;
use crate::names;

/// Every file that a name stands for, if there is any. Of those that a pattern matches, only what is a program or library counts.
pub fn open(request: &Request<'_>, name: &str) -> Result<Vec<Arc<Binary>>, Diagnostic> {
    let paths = request.kernel.files(name, request.pid);
    if names::is_pattern(name) {
        return Ok(paths.iter().filter_map(|path| request.kernel.binary(path).ok()).collect());
    }
    paths.iter().map(|path| request.kernel.binary(path).map_err(|error| request.fault(error))).collect()
}

/// The one file that a name stands for; of several, or none that a pattern matches, `problem` says enough.
pub fn only(request: &Request<'_>, of: &ProbeType, name: &str, problem: Diagnostic) -> Result<Arc<Binary>, Diagnostic> {
    let mut binaries = open(request, name).unwrap_or_default();
    match binaries.len() {
        1 => Ok(binaries.remove(0)),
        0 if !names::is_pattern(name) => Err(not_found(request, of, name)),
        _ => Err(problem),
    }
}

/// Why a name that is no pattern stands for nothing.
fn not_found(request: &Request<'_>, of: &ProbeType, name: &str) -> Diagnostic {
    if let (true, Some(pid)) = (name.is_empty(), request.pid) {
        return request.error(format!("there is no process {pid}, or its program cannot be read"));
    }
    let message = format!("{} target file '{name}' does not exist or is not executable", of.name());
    let problem = request.error(message);
    problem.hint(if name.contains('/') {
        "what a container has at a path is below /proc/PID/root for those outside of it"
    } else {
        "a name without a slash is looked for on PATH, then among the system's libraries"
    })
}
