//! Turns what a case needs into whether this machine has it, and if not, why the case is skipped.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::LazyLock;

use crate::attempts;

/// One thing that a case can need.
struct Need {
    name: &'static str,
    /// The reason for skipping where it is missing.
    missing: &'static str,
    is_met: LazyLock<bool>,
}

const fn need(name: &'static str, missing: &'static str, probe: fn() -> bool) -> Need {
    Need { name, missing, is_met: LazyLock::new(probe) }
}

static NEEDS: [Need; 12] = [
    need("root", "not root", is_root),
    need("btf", "the kernel has no BTF", || exists("/sys/kernel/btf/vmlinux")),
    need("kprobe", "the kernel has no kprobes", || exists("/sys/bus/event_source/devices/kprobe/type")),
    need("kprobe_multi", "the kernel has no kprobe multi links", attempts::kprobe_multi),
    need("uprobe", "the kernel has no uprobes", || exists("/sys/bus/event_source/devices/uprobe/type")),
    need("uprobe_multi", "the kernel has no uprobe multi links", attempts::uprobe_multi),
    need("raw_tp_test_run", "the kernel cannot run a raw tracepoint program on request", attempts::raw_tp_test_run),
    need("fentry", "the kernel has no trampolines", attempts::fentry),
    need("bpf_loop", "the kernel has no bpf_loop", attempts::bpf_loop),
    need("bash", "there is no /bin/bash", || exists("/bin/bash")),
    need("vm", "for virtual machines only", is_vm),
    need("host", "not for virtual machines", || !is_vm()),
];

/// Why a case that needs all these cannot run here, if it cannot.
pub fn unmet(needs: &[String]) -> Option<String> {
    needs.iter().find_map(|name| match name.strip_prefix("kernel>=") {
        Some(version) => (numbers(&release()) < numbers(version)).then(|| format!("kernel {} < {version}", release())),
        None => {
            let need = NEEDS.iter().find(|need| need.name == name);
            let need = need.unwrap_or_else(|| panic!("a case needs '{name}', which tests/support/needs.rs does not know"));
            (!*need.is_met).then(|| need.missing.to_string())
        }
    })
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// `tests/vm.rs` says so.
fn is_vm() -> bool {
    std::env::var_os("RTRACE_IN_VM").is_some()
}

fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_string()
}

/// The first two numbers of a version.
fn numbers(version: &str) -> (u32, u32) {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
