//! Turns the cases and what came of them on each kernel (tests/results) into a table of what works where.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use rtrace::{builtins, probes};

use crate::case::{self, Case};
use crate::constructs::{CONSTRUCTS, used};

/// The kernels, as tests/results names them.
pub const KERNELS: [&str; 5] = ["here", "5.10", "6.1", "6.12", "7.2"];

/// What no case can show, and why.
const WITHOUT_CASE: [(&str, &str); 9] = [
    ("builtin arg6", "read as arg0 to arg5 are, from the stack or the next place"),
    ("builtin arg7", "as arg6"),
    ("builtin arg8", "as arg6"),
    ("builtin arg9", "as arg6"),
    ("builtin cgroupid", "depends on where the machine has its cgroups"),
    ("builtin override", "needs a kernel with CONFIG_BPF_KPROBE_OVERRIDE"),
    ("builtin p95", "as the other percentiles"),
    ("builtin signal_thread", "as signal()"),
    ("builtin uaddr", "needs a program with a symbol table"),
];

/// A kernel's outcomes: the reason for skipping, or how the case ended.
pub type Outcomes = BTreeMap<String, Outcome>;

#[derive(Clone, PartialEq)]
pub enum Outcome {
    Passed,
    Failed,
    Skipped(String),
}

/// Everything that the language has, in groups: the heading, and for each what it is called and what cases call it.
fn rows() -> Vec<(&'static str, Vec<(String, String)>)> {
    let plain = CONSTRUCTS.iter().map(|(group, names)| {
        (*group, names.iter().map(|name| (name.to_string(), name.to_string())).collect::<Vec<_>>())
    });
    let types = probes::TYPES.iter().map(|of| (format!("`{}`", of.name()), format!("probe {}", of.name())));
    let rows = builtins::TABLES.iter().flat_map(|table| table.iter());
    let builtins = rows.map(|row| (format!("`{}`", row.name), format!("builtin {}", row.name)));
    plain.chain([("probes", types.collect()), ("builtins", builtins.collect())]).collect()
}

/// For each construct, the cases that use it.
fn users() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, case) in cases() {
        let script = case.script.as_ref().and_then(|path| fs::read_to_string(root.join(path)).ok());
        let text = case.program.or(script).or(case.setup).unwrap_or_default();
        for construct in used(&text) {
            users.entry(construct).or_default().insert(name.clone());
        }
    }
    users
}

/// All cases of tests/run by name.
pub fn cases() -> Vec<(String, Case)> {
    case::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run"))
}

pub fn without_case() -> Vec<String> {
    let users = users();
    let all = rows().into_iter().flat_map(|(_, rows)| rows);
    let is_excused = |name: &str| WITHOUT_CASE.iter().any(|(without, _)| *without == name);
    all.filter(|(_, key)| !users.contains_key(key) && !is_excused(key)).map(|(_, key)| key).collect()
}

pub fn table() -> String {
    let users = users();
    let outcomes: Vec<Outcomes> = KERNELS.iter().map(|kernel| outcomes(kernel)).collect();
    let mut text = format!("| | {} |\n| --- |{}\n", KERNELS.join(" | "), " --- |".repeat(KERNELS.len()));
    for (group, rows) in rows() {
        text.push_str(&format!("| **{group}** |{}\n", " |".repeat(KERNELS.len())));
        for (shown, key) in rows {
            let cases = users.get(&key).cloned().unwrap_or_default();
            let cells: Vec<String> = outcomes.iter().map(|of| verdict(of, &cases)).collect();
            let why = WITHOUT_CASE
                .iter()
                .find(|(name, _)| *name == key)
                .map_or(String::new(), |(_, why)| format!(" ({why})"));
            text.push_str(&format!("| {shown}{why} | {} |\n", cells.join(" | ")));
        }
    }
    text
}

/// It works where a case passed and none failed; where all were skipped, the reason stands.
pub fn verdict(of: &Outcomes, cases: &BTreeSet<String>) -> String {
    let found: Vec<&Outcome> = cases.iter().filter_map(|case| of.get(case)).collect();
    if found.contains(&&Outcome::Failed) {
        return "**no**".to_string();
    }
    if found.contains(&&Outcome::Passed) {
        return "yes".to_string();
    }
    match found.first() {
        Some(Outcome::Skipped(reason)) => reason.clone(),
        _ => "–".to_string(),
    }
}

/// Lines such as `ok maps::a case` and `ignored maps::a case (skipped: reason)`.
pub fn outcomes(kernel: &str) -> Outcomes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/results/{kernel}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().filter_map(outcome).collect()
}

fn outcome(line: &str) -> Option<(String, Outcome)> {
    let (word, rest) = line.split_once(' ')?;
    let (name, reason) = match rest.split_once(" (skipped: ") {
        Some((name, reason)) => (name, reason.trim_end_matches(')')),
        None => (rest, "skipped"),
    };
    let outcome = match word {
        "ok" => Outcome::Passed,
        "FAILED" => Outcome::Failed,
        _ => Outcome::Skipped(reason.to_string()),
    };
    Some((name.to_string(), outcome))
}
