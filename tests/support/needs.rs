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

static NEEDS: [Need; 42] = [
    need("root", "not root", is_root),
    need("btf", "the kernel has no BTF", || exists("/sys/kernel/btf/vmlinux")),
    need("module_types", "no module tells its types", || exists("/sys/kernel/btf/dummy")),
    need("kprobe", "the kernel has no kprobes", || exists("/sys/bus/event_source/devices/kprobe/type")),
    need("kprobe_multi", "the kernel has no kprobe multi links", attempts::kprobe_multi),
    need("uprobe", "the kernel has no uprobes", || exists("/sys/bus/event_source/devices/uprobe/type")),
    need("uprobe_multi", "the kernel has no uprobe multi links", attempts::uprobe_multi),
    need("raw_tp_test_run", "the kernel cannot run a raw tracepoint program on request", attempts::raw_tp_test_run),
    need("fentry", "the kernel has no trampolines", attempts::fentry),
    need("tracing_multi", "the kernel has no tracing multi links", || has_symbol("bpf_tracing_multi_attach")),
    need("iter", "the kernel has no iterators", attempts::iter),
    need("bpf_loop", "the kernel has no bpf_loop", attempts::bpf_loop),
    need("write_user", "programs may not write to processes here", attempts::write_user),
    need("bash", "there is no /bin/bash", || exists("/bin/bash")),
    need("script", "there is no script command to make a terminal", || exists("/usr/bin/script")),
    need("kernel headers", "there are no headers of the kernel's interface", || exists("/usr/include/linux/in.h")),
    need("gcc", "there is no C compiler", || exists("/usr/bin/gcc")),
    need("g++", "there is no C++ compiler", || exists("/usr/bin/g++")),
    need("python3.11", "there is no /usr/bin/python3.11", || exists("/usr/bin/python3.11")),
    need("python3", "there is no python3", || on_path("python3")),
    need("xz", "there is no xz", || on_path("xz")),
    need("node", "there is no node", || on_path("node")),
    need("rustc", "there is no rustc", || on_path("rustc")),
    need("pmu", "the processor's counters are not offered", || exists("/sys/bus/event_source/devices/cpu/type")),
    need("large_keys", "keys of maps have 512 bytes at the most", || !is_before(&release(), "5.11")),
    need("cap_capable", "the kernel has neither kprobes nor the tracepoint cap_capable", || {
        has_event("capability/cap_capable") || is_met("kprobe")
    }),
    need("tcp_bytes", "the kernel has neither kprobes nor the tracepoint sock_send_length", || {
        has_event("sock/sock_send_length") || is_met("kprobe")
    }),
    need("tasks_by_number", "raw tracepoints may not ask for tasks by number", || !is_before(&release(), "7.0")),
    need("drop_reason", "the kernel does not tell why it drops packets", || !is_before(&release(), "5.17")),
    need("cgroups", "no cgroups of version 2 are mounted", || {
        fs::read_to_string("/proc/mounts").is_ok_and(|mounts| mounts.contains(" cgroup2 "))
    }),
    need("memory_cgroup", "there are no limits of memory in cgroups", || {
        fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").is_ok_and(|all| all.contains("memory"))
    }),
    need("data_symbols", "the kernel does not tell the addresses of its data", || has_symbol("avenrun")),
    need("xfs_functions", "the kernel has no XFS, or no kprobes", || {
        has_symbol("xfs_file_read_iter") && is_met("kprobe")
    }),
    need("md_functions", "the kernel has no software RAID", || has_symbol("md_flush_request")),
    need("disk", "there is no disk", has_disk),
    need("spare_disks", "there are no disks to spare", || is_vm() && exists("/dev/vde")),
    need("openssl", "there is no openssl", || exists("/usr/bin/openssl")),
    need("curl", "there is no curl", || exists("/usr/bin/curl")),
    need("setpriv", "there is no setpriv", || exists("/usr/bin/setpriv")),
    need("unshare", "there is no unshare", || exists("/usr/bin/unshare")),
    need("vm", "for virtual machines only", is_vm),
    need("host", "not for virtual machines", || !is_vm()),
];

/// Why a case that needs all these cannot run here, if it cannot. `!NAME` is the need that something is missing.
pub fn unmet(needs: &[String]) -> Option<String> {
    needs.iter().find_map(|need| match (need.strip_prefix("kernel>="), need.strip_prefix('!')) {
        (Some(version), _) => is_before(&release(), version).then(|| format!("kernel {} < {version}", release())),
        (None, Some(name)) => is_met(name).then(|| format!("for machines without {name}")),
        (None, None) => (!is_met(need)).then(|| row(need).missing.to_string()),
    })
}

fn is_met(name: &str) -> bool {
    *row(name).is_met
}

fn row(name: &str) -> &'static Need {
    let row = NEEDS.iter().find(|row| row.name == name);
    row.unwrap_or_else(|| panic!("a case needs '{name}', which tests/support/needs.rs does not know"))
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).exists()))
}

fn has_event(path: &str) -> bool {
    exists(&format!("/sys/kernel/tracing/events/{path}"))
}

fn has_symbol(name: &str) -> bool {
    let of_name = |line: &str| line.split_whitespace().nth(2) == Some(name);
    fs::read_to_string("/proc/kallsyms").is_ok_and(|symbols| symbols.lines().any(of_name))
}

/// Whether temporary files lie on one.
fn has_disk() -> bool {
    let major = fs::metadata(std::env::temp_dir()).map_or(0, |folder| folder.dev() >> 8);
    major != 0 && exists("/sys/class/block") && fs::read_dir("/sys/class/block").is_ok_and(|disks| disks.count() > 0)
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

/// By the first two numbers.
fn is_before(release: &str, version: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> {
        text.split(|c: char| !c.is_ascii_digit()).take(2).map(|number| number.parse().unwrap_or(0)).collect()
    };
    numbers(release) < numbers(version)
}
