//! The text of the repository as the architecture wants it: modules that look only downward, crates and names that stay in their
//! place, files and functions that can be read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use rtrace::{builtins, probes};

/// The modules of the library in the order of use: each sees those before it. The members of one line see each other too.
const ORDER: &[&[&str]] = &[
    &["source"],
    &["diag"],
    &["error"],
    &["id"],
    &["mapped"],
    &["names"],
    &["shelf"],
    &["demangle"],
    &["errno"],
    &["signal"],
    &["strftime"],
    &["types"],
    &["btf"],
    &["kernel"],
    &["syntax"],
    &["cdecl"],
    &["imports"],
    &["config"],
    &["value"],
    &["report"],
    &["format"],
    &["plan"],
    &["bpf"],
    &["ir", "builtins", "probes", "check"],
    &["debug_types"],
    &["macros"],
    &["planner"],
    &["codegen"],
    &["engine"],
    &["runtime"],
    &["cli"],
    &["repl"],
];

/// What may be named only in files whose paths begin so.
const PLACES: &[(&str, &[&str])] = &[
    (r"\baya(_obj)?::", &["src/runtime/"]),
    (r"\bpest(_derive)?::", &["src/syntax/"]),
    (r"\bcrossterm::", &["src/repl/"]),
    (r"\bcolored::", &["src/diag.rs"]),
    (r"\brustyline\b", &["src/repl/terminal.rs"]),
    (r"\bunsafe (\{|fn|impl|extern)", &["src/runtime/sys/", "src/kernel/sys.rs", "src/mapped.rs"]),
    (r"\bprintln!|\bprint!|\bstd::process::exit", &["src/main.rs", "src/app/"]),
];

/// Folders that do not see modules which the order would let them see.
const BLIND: &[(&str, &str)] = &[
    ("src/codegen/", r"\bcrate::(syntax|builtins|probes|check)\b"),
    ("src/runtime/", r"\bcrate::(syntax|ir|builtins|probes|check|planner)\b"),
];

/// Hosts that the repository may point to.
const HOSTS: &[&str] = &[
    "github.com",
    "docs.kernel.org",
    "deb.debian.org",
    "snapshot.debian.org",
    "www.apache.org",
    "bpftrace.org",
    "rustup.rs",
    // The name of a language of XML.
    "www.w3.org",
];

const LINES_OF_A_FILE: usize = 500;
const LINES_OF_A_FUNCTION: usize = 70;

/// Longer functions that are one `match` over all there is.
const TABLES_OF_CONTENTS: &[(&str, &str)] = &[
    ("src/codegen/scalar.rs", "scalar"),
    ("src/ir/print.rs", "statement"),
    ("src/ir/print.rs", "expr"),
    ("tests/support/sim/evaluate/expr.rs", "raw_value"),
];

#[test]
fn modules_look_downward() {
    let mut faults = Vec::new();
    let level = |module: &str| ORDER.iter().position(|members| members.contains(&module));
    let uses = Regex::new(r"\bcrate::(\w+)").expect("a pattern");
    for file in sources() {
        let Some(module) = module(&file) else { continue };
        let Some(own) = level(&module) else {
            faults.push(format!("{}: the order of the modules does not say where '{module}' stands", file.name));
            continue;
        };
        for used in uses.captures_iter(&file.code).map(|found| found[1].to_string()) {
            if level(&used).is_some_and(|other| other > own) {
                faults.push(format!("{}: {module} is below {used}, which it uses", file.name));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn the_library_lists_its_modules_in_groups_of_that_order() {
    let library = read(&root().join("src/lib.rs"));
    let listed = Regex::new(r"(?m)^pub mod (\w+);").expect("a pattern");
    let mut order: &[&[&str]] = ORDER;
    for group in library.split("\n\n") {
        let group: BTreeSet<&str> =
            listed.captures_iter(group).filter_map(|found| found.get(1)).map(|name| name.as_str()).collect();
        let mut left = group.clone();
        while !left.is_empty() {
            let (next, rest) = order.split_first().unwrap_or_else(|| panic!("the order does not list {left:?}"));
            assert!(next.iter().all(|name| left.remove(name)), "{next:?} is not in the group {group:?}");
            order = rest;
        }
    }
    assert!(order.is_empty(), "src/lib.rs does not list {order:?}");
}

#[test]
fn names_stay_in_their_place() {
    let mut faults = Vec::new();
    for (pattern, places) in PLACES {
        let pattern = Regex::new(pattern).expect("a pattern");
        for file in sources().iter().filter(|file| !places.iter().any(|place| file.name.starts_with(place))) {
            if let Some(found) = pattern.find(&file.code) {
                faults.push(format!("{}: '{}' belongs to {}", file.name, found.as_str(), places.join(", ")));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn stages_see_only_what_they_are_given() {
    let mut faults = Vec::new();
    for (folder, pattern) in BLIND {
        let pattern = Regex::new(pattern).expect("a pattern");
        for file in sources().iter().filter(|file| file.name.starts_with(folder)) {
            faults.extend(pattern.find(&file.code).map(|found| format!("{}: {}", file.name, found.as_str())));
        }
    }
    assert_none(&faults);
}

#[test]
fn code_generation_knows_no_builtin_and_no_probe() {
    let rows = builtins::TABLES.iter().flat_map(|table| table.iter()).map(|row| row.name);
    let names: BTreeSet<&str> = rows.chain(probes::TYPES.iter().flat_map(|of| of.names.iter().copied())).collect();
    let text = Regex::new(r#""(\w+)""#).expect("a pattern");
    let mut faults = Vec::new();
    for file in sources().iter().filter(|file| file.name.starts_with("src/codegen/")) {
        for found in text.captures_iter(&file.code).filter(|found| names.contains(&found[1])) {
            faults.push(format!("{}: {}", file.name, &found[0]));
        }
    }
    assert_none(&faults);
}

#[test]
fn what_is_unsafe_says_why_it_is_safe() {
    let mut faults = Vec::new();
    for file in sources() {
        let lines: Vec<&str> = file.text.lines().collect();
        for (number, _) in lines.iter().enumerate().filter(|(_, line)| without_comment(line).contains("unsafe {")) {
            if !lines[number.saturating_sub(4)..=number].iter().any(|line| line.contains("SAFETY:")) {
                faults.push(format!("{}:{}", file.name, number + 1));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn files_can_be_read() {
    let mut faults = Vec::new();
    for file in rust() {
        if !file.text.starts_with("//! ") {
            faults.push(format!("{} does not begin with what it is", file.name));
        }
        let lines = file.text.lines().count();
        if lines > LINES_OF_A_FILE {
            faults.push(format!("{} has {lines} lines", file.name));
        }
    }
    assert_none(&faults);
}

#[test]
fn functions_can_be_read() {
    let start = Regex::new(r"^( *)(pub(\([a-z]+\))? )?(const )?(unsafe )?fn (\w+)").expect("a pattern");
    let mut faults = Vec::new();
    for file in rust() {
        let lines: Vec<&str> = file.text.lines().collect();
        for (first, line) in lines.iter().enumerate() {
            let Some(found) = start.captures(line) else { continue };
            let is_declaration =
                lines[first..].iter().find(|line| line.ends_with(['{', ';'])).is_some_and(|line| line.ends_with(';'));
            if is_declaration || TABLES_OF_CONTENTS.contains(&(file.name.as_str(), &found[6])) {
                continue;
            }
            let end = format!("{}}}", &found[1]);
            let length = lines[first..].iter().position(|line| *line == end).unwrap_or(0) + 1;
            if length > LINES_OF_A_FUNCTION {
                faults.push(format!("{}:{}: {} has {length} lines", file.name, first + 1, &found[6]));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn nothing_points_to_one_machine() {
    // Written in parts, lest this file be found.
    let home = Regex::new(concat!(r"(^|[^\w/.])/(wo", "rk|ro", r"ot|ho", r"me/\w+)/")).expect("a pattern");
    let host = Regex::new(concat!("https?:", r"//([\w.-]+)")).expect("a pattern");
    let mut faults = Vec::new();
    for path in files(&root()) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let name = name(&path);
        for (number, line) in text.lines().enumerate() {
            if home.is_match(line) {
                faults.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
            let foreign = host.captures_iter(line).find(|found| !HOSTS.contains(&&found[1]));
            faults.extend(foreign.map(|found| format!("{name}:{}: the host {}", number + 1, &found[1])));
        }
    }
    assert_none(&faults);
}

/// A file of the source tree.
struct File {
    /// Its path in the repository.
    name: String,
    text: String,
    /// The text without comments.
    code: String,
}

/// The files of the library and the command.
fn sources() -> Vec<File> {
    rust().into_iter().filter(|file| file.name.starts_with("src/")).collect()
}

fn rust() -> Vec<File> {
    let paths = files(&root()).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let file = |path: PathBuf| {
        let text = read(&path);
        let code = text.lines().map(without_comment).collect::<Vec<_>>().join("\n");
        File { name: name(&path), text, code }
    };
    paths.map(file).collect()
}

/// The module of the library that a file belongs to; the command is none.
fn module(file: &File) -> Option<String> {
    let path = file.name.strip_prefix("src/")?;
    let first = path.split('/').next()?.trim_end_matches(".rs");
    (!matches!(first, "lib" | "main" | "app")).then(|| first.to_string())
}

fn without_comment(line: &str) -> &str {
    line.find("//").map_or(line, |comment| &line[..comment])
}

/// Every file of the repository but what was built and what git keeps.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let is_ours = !matches!(entry.file_name().to_str(), Some("target" | ".git"));
        if path.is_dir() && is_ours {
            found.extend(files(&path));
        } else if is_ours {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().into_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
