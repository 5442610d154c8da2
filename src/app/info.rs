//! `--info`: what this machine offers to programs.

use rtrace::kernel::live::Live;
use rtrace::kernel::{Feature, Kernel};

pub fn text(kernel: &Live) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_string();
    let release = read("/proc/sys/kernel/osrelease");
    let version = read("/proc/sys/kernel/version");
    let helpers = rows(
        kernel,
        &[
            ("get_func_ip", Feature::FuncIp),
            ("loop", Feature::Loop),
            ("for_each_map_elem", Feature::ForEachMapElem),
            ("get_tai_ns", Feature::TaiClock),
        ],
    );
    let features = rows(
        kernel,
        &[
            ("module btf", Feature::ModuleBtf),
            ("perf links", Feature::PerfLink),
            ("attach cookies", Feature::Cookie),
            ("hash maps without preallocation", Feature::UnallocatedHash),
        ],
    );
    let probes = rows(
        kernel,
        &[("kprobe", Feature::Kprobes), ("kprobe_multi", Feature::KprobeMulti), ("uprobe_multi", Feature::UprobeMulti)],
    );
    let btf = row("btf", kernel.btf().is_some());
    format!(
        "System\n  OS: Linux {release} {version}\n  Arch: {}\n  possible CPUs: {}\n\nBuild\n  version: v{}\n  compiler inside: none\n\n\
         Kernel helpers\n{helpers}\nKernel features\n{btf}{features}\nProbe types\n{probes}",
        std::env::consts::ARCH,
        kernel.cpus(),
        env!("CARGO_PKG_VERSION"),
    )
}

fn rows(kernel: &Live, features: &[(&str, Feature)]) -> String {
    features.iter().map(|(name, feature)| row(name, kernel.has(*feature))).collect()
}

fn row(name: &str, there: bool) -> String {
    format!("  {name}: {}\n", if there { "yes" } else { "no" })
}
