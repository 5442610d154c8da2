//! May this process trace at all? Asked before anything is tried, so that the answer names what is missing.

use std::fs;

use super::sys::process::{self, Limit};
use crate::error::{Error, Result};
use crate::kernel::Kernel;

/// A capability: its number in `include/uapi/linux/capability.h`, and its name.
struct Capability(u32, &'static str);

const SYS_ADMIN: Capability = Capability(21, "CAP_SYS_ADMIN");
/// What tracing takes since 5.8, instead of the whole of `CAP_SYS_ADMIN`.
const TRACING: [Capability; 2] = [Capability(39, "CAP_BPF"), Capability(38, "CAP_PERFMON")];

/// Fails unless this process may load and attach programs.
pub fn check() -> Result<()> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    // Without /proc, the kernel's own refusal has to do.
    let Some(held) = effective(&status) else { return Ok(()) };
    let missing = missing(held);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!("no permission to trace: this process lacks {}", missing.join(" and "))).hint(ADVICE))
}

/// Every probe may take a descriptor; and before 5.11 programs and maps counted as locked memory, those that are only made to see
/// whether the kernel takes them included.
pub fn raise_limits(kernel: &dyn Kernel) {
    process::raise(Limit::OpenFiles);
    if kernel.version() < (5, 11) {
        process::raise(Limit::LockedMemory);
    }
}

pub const ADVICE: &str = "run rtrace with sudo, or allow it once and for all: \
    sudo setcap cap_bpf,cap_perfmon,cap_dac_read_search,cap_syslog+ep \"$(command -v rtrace)\"";

/// What the kernel's lockdown forbids, if it is on.
pub fn lockdown() -> Option<String> {
    let modes = fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    let (_, rest) = modes.split_once('[')?;
    let (mode, _) = rest.split_once(']')?;
    (mode != "none").then(|| mode.to_string())
}

fn missing(held: u64) -> Vec<&'static str> {
    let holds = |capability: &Capability| held >> capability.0 & 1 == 1;
    if holds(&SYS_ADMIN) {
        return Vec::new();
    }
    TRACING.iter().filter(|capability| !holds(capability)).map(|capability| capability.1).collect()
}

fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_missing() {
        assert_eq!(missing(0), ["CAP_BPF", "CAP_PERFMON"]);
        assert_eq!(missing(1 << 39), ["CAP_PERFMON"]);
        assert!(missing(1 << 39 | 1 << 38).is_empty() && missing(1 << 21).is_empty());
        assert_eq!(effective("Name:\tx\nCapEff:\t0000008000000000\n"), Some(1 << 39));
    }
}
