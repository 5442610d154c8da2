//! [`codegen::Compiled`](crate::codegen::Compiled) in, a running session out that hands values to a [`Sink`](crate::report::Sink).
//!
//! Only this module names aya. aya makes the ring readable and gives the kernel's bindings; programs and maps are made by system
//! calls of our own, as its loader cannot share maps between loads and cannot make multi links.

mod attach;
mod attacher;
mod child;
mod decode;
mod ends;
pub mod features;
mod kernel_symbols;
mod ledger;
mod links;
mod load;
mod maps;
mod merge;
mod names;
mod notify;
mod order;
mod perf;
mod privilege;
mod records;
mod refusal;
mod ring;
mod session;
mod shown;
mod stop;
mod symbols;
mod sys;
#[cfg(test)]
mod tests;
mod user_symbols;
mod verify;
mod warnings;

use std::ffi::CString;

use crate::codegen::Compiled;
use crate::error::Result;
use crate::kernel::Kernel;
use crate::source::Sources;

pub use child::Child;
pub use notify::notify_ready;
pub use session::{Completeness, Ending, Options, Session, Status, Verdict};
pub use shown::Shown;
pub use stop::Stop;
pub use verify::verify;

pub use privilege::{check as check_privilege, raise_limits};

/// What the kernel's verifier says of each program of a run that is not to be.
pub fn verifier_log(compiled: &Compiled, sources: &Sources, kernel: &dyn Kernel) -> Result<String> {
    privilege::check()?;
    let maps = maps::Maps::create(&compiled.plan, kernel)?;
    let license = CString::new(compiled.plan.config.license.as_str()).unwrap_or_default();
    let loader = load::Loader { maps: &maps, sources, license };
    Ok(compiled.units.iter().map(|unit| loader.log(unit) + "\n").collect())
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
