//! `--info`: what this machine offers to programs, laid out as bpftrace does; what concerns rtrace alone comes last.

use rtrace::kernel::live::Live;
use rtrace::kernel::{Feature, Kernel};

/// Instructions that the verifier follows in one program since 5.2.
const INSTRUCTIONS: &str = "1000000";

/// Characters of one of two columns.
const COLUMN: usize = 33;

/// What is said of something: its name, and whether or how much.
type Row<'a> = (&'a str, String);

pub fn text(kernel: &Live) -> String {
    let has = |feature| yes_or_no(kernel.has(feature));
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_string();
    let system = [
        ("OS", format!("Linux {} {}", read("/proc/sys/kernel/osrelease"), read("/proc/sys/kernel/version"))),
        ("Arch", std::env::consts::ARCH.to_string()),
    ];
    let build = [("version", format!("v{}", env!("CARGO_PKG_VERSION"))), ("compiler inside", "no".to_string())];
    let helpers = [
        ("get_func_ip", has(Feature::FuncIp)),
        ("get_tai_ns", has(Feature::TaiClock)),
        ("loop", has(Feature::Loop)),
        ("lookup_percpu_elem", has(Feature::PerCpuLookup)),
        ("for_each_map_elem", has(Feature::ForEachMapElem)),
    ];
    let features = [
        ("Instruction limit", INSTRUCTIONS.to_string()),
        ("btf", yes_or_no(kernel.btf().is_some())),
        ("module btf", has(Feature::ModuleBtf)),
        ("perf links", has(Feature::PerfLink)),
        ("attach cookies", has(Feature::Cookie)),
        ("raw tracepoint cookies", has(Feature::RawTracepointCookie)),
        ("unallocated hash maps", has(Feature::UnallocatedHash)),
        ("possible CPUs", kernel.cpus().to_string()),
    ];
    let probes = [
        ("kprobe", has(Feature::Kprobes)),
        ("kprobe_multi", has(Feature::KprobeMulti)),
        ("fentry", has(Feature::Trampolines)),
        ("fentry_multi", has(Feature::TracingMulti)),
        ("iter", has(Feature::Iterators)),
        ("uprobe_multi", has(Feature::UprobeMulti)),
    ];
    [
        section("System", &system, lines),
        section("Build", &build, lines),
        section("Kernel helpers", &helpers, columns),
        section("Kernel features", &features, columns),
        section("Probe types", &probes, columns),
    ]
    .join("\n")
}

fn section(heading: &str, rows: &[Row<'_>], layout: fn(&[Row<'_>]) -> String) -> String {
    format!("{heading}\n{}", layout(rows))
}

fn lines(rows: &[Row<'_>]) -> String {
    rows.iter().map(|(name, value)| format!("  {name}: {value}\n")).collect()
}

/// Two columns, filled downwards.
fn columns(rows: &[Row<'_>]) -> String {
    let cells: Vec<String> = rows.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let height = cells.len().div_ceil(2);
    let row = |at: usize| {
        let line = format!("  {:<COLUMN$}{}", cells[at], cells.get(at + height).map_or("", String::as_str));
        format!("{}\n", line.trim_end())
    };
    (0..height).map(row).collect()
}

fn yes_or_no(there: bool) -> String {
    if there { "yes" } else { "no" }.to_string()
}
