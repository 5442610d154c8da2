//! Why the kernel said no: error numbers as causes and remedies.

use std::io;

use super::privilege;
use crate::error::Error;

/// An error that says what was attempted, what came back, and what can be done.
pub fn refused(what: impl std::fmt::Display, error: &io::Error) -> Error {
    let refusal = Error::kernel(format!("{what}: {}", reason(error)));
    match remedy(error) {
        Some(remedy) => refusal.hint(remedy),
        None => refusal,
    }
}

fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => "the kernel does not permit it".to_string(),
        Some(libc::ENOENT) => "it does not exist".to_string(),
        Some(libc::ESRCH) => "there is no such process or function".to_string(),
        Some(libc::ENOMEM) => "there is not enough memory".to_string(),
        Some(libc::E2BIG) => "it is too large".to_string(),
        Some(libc::EINVAL) => "the kernel holds it for invalid (EINVAL)".to_string(),
        Some(libc::EMFILE | libc::ENFILE) => "too many files are open".to_string(),
        Some(libc::EOPNOTSUPP | libc::ENOSYS | NOT_SUPPORTED) => "this kernel does not support it".to_string(),
        Some(libc::EBUSY) => "it is in use by another tracer".to_string(),
        Some(libc::EEXIST) => "it is attached already".to_string(),
        _ => error.to_string(),
    }
}

/// `ENOTSUPP`, which the kernel keeps to itself but for BPF.
const NOT_SUPPORTED: i32 = 524;

fn remedy(error: &io::Error) -> Option<String> {
    match error.raw_os_error()? {
        libc::EPERM | libc::EACCES => Some(match privilege::lockdown() {
            Some(mode) => {
                format!("the kernel is locked down ({mode}); tracing needs lockdown=none, or secure boot off")
            }
            None => privilege::ADVICE.to_string(),
        }),
        libc::ENOMEM => Some("use smaller maps (max_map_keys) or a smaller ring (perf_rb_pages)".to_string()),
        libc::EMFILE | libc::ENFILE => {
            Some("raise the limit on open files (ulimit -n), or attach fewer probes".to_string())
        }
        libc::EOPNOTSUPP | libc::ENOSYS | NOT_SUPPORTED => {
            Some("`rtrace --info` tells what this kernel supports".to_string())
        }
        _ => None,
    }
}
