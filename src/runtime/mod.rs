//! [`codegen::Compiled`](crate::codegen::Compiled) in, a running session out that hands values to a [`Sink`](crate::report::Sink).
//!
//! Only this module names aya. aya makes the ring readable and gives the kernel's bindings; programs and maps are made by system
//! calls of our own, as its loader cannot share maps between loads and cannot make multi links.

mod attach;
mod attacher;
mod child;
mod content;
mod decode;
mod ends;
pub mod features;
mod homes;
mod kernel_symbols;
mod ledger;
mod links;
mod load;
mod mappings;
mod maps;
mod merge;
mod names;
mod notify;
mod order;
mod packets;
mod perf;
mod perf_map;
mod privilege;
mod records;
mod refusal;
mod ring;
mod rings;
mod session;
mod shown;
mod stop;
mod symbols;
mod sys;
#[cfg(test)]
mod tests;
mod turns;
mod unwind;
mod user_symbols;
mod verdict;
mod verify;
mod visit;
mod warnings;

use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::codegen::Compiled;
use crate::error::Result;
use crate::kernel::Kernel;
use crate::source::Sources;

pub use attach::plan;
pub use child::Child;
pub use homes::PROGRAMS;
pub use maps::Pool;
pub use notify::notify_ready;
pub use session::{Completeness, Ending, Look, Options, Session, Status, Usage, Verdict};
pub use shown::Shown;
pub use stop::Stop;
pub use sys::terminal::{Settings as TerminalSettings, is_gone, size as terminal_size};
pub use verify::verify;

pub use privilege::{check as check_privilege, raise_limits};

/// What the kernel's verifier says of each program of a run that is not to be.
pub fn verifier_log(compiled: &Compiled, sources: &Sources, kernel: &dyn Kernel) -> Result<String> {
    privilege::check()?;
    let maps = maps::Maps::create(&compiled.plan, kernel, &Pool::default())?;
    let license = CString::new(compiled.plan.config.license.as_str()).unwrap_or_default();
    let loader = load::Loader::new(&maps, sources, license);
    Ok(compiled.units.iter().map(|unit| loader.log(unit) + "\n").collect())
}

/// Has the kernel count and time the runs of programs as long as the result lives.
pub fn count_usage() -> Result<OwnedFd> {
    sys::program::enable_stats().map_err(|error| refusal::refused("cannot have the kernel time programs", &error))
}

/// Waits until one of the descriptors becomes readable, or the time is over.
pub fn wait_for_any(fds: &[BorrowedFd<'_>], timeout: Duration) -> Result<()> {
    sys::process::wait_any(fds, timeout).map_err(|error| refusal::refused("cannot wait for events", &error))
}

/// Whether there is something to read, or will be within this time.
pub fn is_readable(fd: BorrowedFd<'_>, within: Duration) -> bool {
    sys::process::wait_readable([Some(fd)], within).is_ok_and(|[is_readable]| is_readable)
}

/// Nanoseconds since boot, by the clock of `nsecs`.
pub fn boot_time() -> u64 {
    sys::process::boot_time() as u64
}

/// Nanoseconds that the wall clock is ahead of that.
pub fn wall_offset() -> i64 {
    crate::strftime::now().wrapping_sub(sys::process::boot_time()) as i64
}

/// Nanoseconds that the TAI clock is ahead of that.
pub fn tai_offset() -> i64 {
    sys::process::tai_time().wrapping_sub(sys::process::boot_time()) as i64
}
