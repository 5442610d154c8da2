//! What a test case may need of the machine, and whether it is there.

use std::path::Path;
use std::process::Command;

/// One thing a case can name in `needs`.
struct Need {
    name: &'static str,
    /// What is missing when the probe says no.
    missing: &'static str,
    probe: fn() -> bool,
}

const NEEDS: &[Need] = &[
    Need { name: "root", missing: "needs root", probe: is_root },
    Need { name: "btf", missing: "this kernel has no BTF", probe: || Path::new("/sys/kernel/btf/vmlinux").exists() },
    Need { name: "kprobe", missing: "this kernel has no kprobes", probe: has_kprobes },
    Need { name: "bash", missing: "there is no /bin/bash", probe: || Path::new("/bin/bash").exists() },
    Need {
        name: "python",
        missing: "there is no python3",
        probe: || Command::new("python3").arg("-V").output().is_ok(),
    },
    Need { name: "vm", missing: "runs in the virtual machines only", probe: in_vm },
    Need { name: "host", missing: "runs outside of the virtual machines only", probe: || !in_vm() },
];

/// Why a case that needs all these cannot run here, if it cannot.
pub fn unmet(needs: &[String]) -> Option<String> {
    needs.iter().find_map(|need| match need.strip_prefix("kernel>=") {
        Some(version) => older_than(version),
        None => {
            let known = NEEDS.iter().find(|row| row.name == need);
            let row =
                known.unwrap_or_else(|| panic!("a case needs '{need}', which tests/support/needs.rs does not know"));
            (!(row.probe)()).then(|| row.missing.to_string())
        }
    })
}

/// Set by the virtual machines' init.
pub fn in_vm() -> bool {
    std::env::var_os("RTRACE_IN_VM").is_some()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0)
}

fn has_kprobes() -> bool {
    Path::new("/sys/bus/event_source/devices/kprobe").exists()
}

fn older_than(version: &str) -> Option<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    (numbers(&release) < numbers(version)).then(|| format!("needs kernel {version}, this is {}", release.trim()))
}

fn numbers(version: &str) -> (u32, u32) {
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}
