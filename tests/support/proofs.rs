//! Turns the cases that show a known number of hits, and what came of them on each kernel (tests/results), into a table of what is proven
//! where.

use std::collections::BTreeSet;

use rtrace::probes;

use crate::case::Case;
use crate::kernels::{KERNELS, cases, outcomes, verdict};

/// What is to be shown of each probe type, by cases whose `proves` names it.
const PROOFS: &[&str] = &[
    "begin",
    "end",
    "self",
    "interval",
    "profile",
    "software",
    "hardware",
    "tracepoint: system calls",
    "tracepoint: others",
    "rawtracepoint",
    "rawtracepoint: of a module",
    "rawtracepoint: of a module, by its types",
    "kprobe",
    "kprobe: of a module",
    "kprobe: an offset",
    "kprobe: an address",
    "kprobe: hundreds by one link",
    "kretprobe",
    "kretprobe: of a module",
    "kretprobe: many by one link",
    "fentry",
    "fentry: of a module",
    "fentry: a BPF program",
    "fentry: many at once",
    "fexit",
    "fexit: of a module",
    "fexit: a BPF program",
    "fexit: many at once",
    "uprobe",
    "uprobe: an offset",
    "uprobe: an address",
    "uprobe: C++ by its own names",
    "uprobe: Rust by its own names",
    "uprobe: a line of the source",
    "uprobe: a pattern, and what a process has mapped",
    "uprobe: in an archive",
    "uretprobe",
    "uretprobe: C++ by its own names",
    "usdt: all places of a marker",
    "usdt: a semaphore",
    "usdt: semaphores by file",
    "usdt: a pattern",
    "usdt: markers of Python",
    "watchpoint: writes",
    "watchpoint: reads and writes, by the threads of a process",
    "iter",
    "iter: pinned",
    "test",
    "bench",
];

/// What cannot be counted in advance: of the processor's own events, nobody knows how many there will be.
const INEXACT: [&str; 1] = ["hardware"];

pub fn table() -> String {
    let kernels = KERNELS.map(outcomes);
    let cases = cases();
    let head =
        format!("| probe | shown by | {} |\n| --- | --- |{}\n", KERNELS.join(" | "), " --- |".repeat(KERNELS.len()));
    let row = |proof: &&str| {
        let showing = showing(&cases, proof);
        let names: BTreeSet<String> = showing.iter().map(|(name, _)| name.clone()).collect();
        let verdicts: Vec<String> = kernels.iter().map(|of| verdict(of, &names)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (probe, form) = proof.split_once(": ").unwrap_or((proof, ""));
        let form = if form.is_empty() { String::new() } else { format!(" {form}") };
        format!("| `{probe}`{form} | {} | {} |\n", names.join(", "), verdicts.join(" | "))
    };
    head + &PROOFS.iter().map(row).collect::<String>()
}

/// Rows without a case, cases without a row, and cases that show no number.
pub fn faults() -> Vec<String> {
    let cases = cases();
    let without_case = PROOFS.iter().filter(|proof| showing(&cases, proof).is_empty());
    let mut faults: Vec<String> = without_case.map(|proof| format!("no case proves '{proof}'")).collect();
    for (name, case) in &cases {
        let unknown = case.proves.iter().filter(|proof| !PROOFS.contains(&proof.as_str()));
        faults.extend(unknown.map(|proof| format!("{name} proves '{proof}', which is no row")));
        if case.proves.iter().any(|proof| !INEXACT.contains(&proof.as_str())) && !is_exact(case) {
            faults.push(format!("{name} proves something, and expects no number of hits"));
        }
    }
    faults
}

/// The probe types that no row is about.
pub fn types_without_row() -> Vec<&'static str> {
    let has_row = |name: &str| PROOFS.iter().any(|proof| proof.split(':').next() == Some(name));
    probes::TYPES.iter().map(|of| of.name()).filter(|name| !has_row(name)).collect()
}

fn showing<'a>(cases: &'a [(String, Case)], proof: &str) -> Vec<&'a (String, Case)> {
    cases.iter().filter(|(_, case)| case.proves.iter().any(|own| own == proof)).collect()
}

/// Whether it expects the whole output, or a line that ends in a number which is given in full.
fn is_exact(case: &Case) -> bool {
    let gives_number = |pattern: &String| {
        let before = pattern.trim_end_matches(['$', '+', ')', '\\', 'n', 'z']);
        let digits = before.len() - before.trim_end_matches(|last: char| last.is_ascii_digit()).len();
        digits > 0 && before[..before.len() - digits].ends_with(": ")
    };
    case.stdout.is_some() || case.stdout_matches.iter().any(gives_number)
}
