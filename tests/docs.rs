//! The documents hold to the code: tables made of the code's own are up to date, and every program shown compiles.
//!
//! `UPDATE=1 cargo test --test docs` rewrites what stands between `<!-- table: NAME -->` and `<!-- end of table -->`.

#[path = "support/case.rs"]
#[expect(dead_code, reason = "the cases are read here and not run")]
mod case;
#[path = "support/compile.rs"]
mod compile;
#[path = "support/constructs.rs"]
mod constructs;
#[path = "support/kernels.rs"]
mod kernels;
#[path = "support/proofs.rs"]
mod proofs;

use std::fs;
use std::path::{Path, PathBuf};

use compile::{assert_all, compile, fixture};
use rtrace::builtins::{self, Builtin};
use rtrace::check::Safety;
use rtrace::config::{self, Config, Shown};
use rtrace::repl::commands::{COMMANDS, Command};
use rtrace::{cli, probes, shelf};

/// A table of the documents, and how it is made.
struct Table {
    name: &'static str,
    text: fn() -> String,
}

const TABLES: [Table; 8] = [
    Table { name: "commands", text: commands },
    Table { name: "probe types", text: probe_types },
    Table { name: "builtins", text: all_builtins },
    Table { name: "options", text: options },
    Table { name: "settings", text: settings },
    Table { name: "constructs by kernel", text: kernels::table },
    Table { name: "proofs by kernel", text: proofs::table },
    Table { name: "tools", text: tools },
];

const END: &str = "<!-- end of table -->";

#[test]
fn tables_are_up_to_date() {
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a readable document");
        let fresh = TABLES.iter().fold(text.clone(), |text, table| with_table(&text, table));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &fresh).expect("a writable document");
        } else {
            assert!(text == fresh, "{}: a table is out of date; UPDATE=1 rewrites it", path.display());
        }
    }
}

#[test]
fn every_table_stands_somewhere() {
    let all: String = documents().iter().map(|path| fs::read_to_string(path).expect("a readable document")).collect();
    for table in &TABLES {
        assert!(all.contains(&start(table)), "no document has the table '{}'", table.name);
    }
}

#[test]
fn programs_compile() {
    let kernel = fixture();
    let mut count = 0;
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a readable document");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let commands = fenced(&text, "sh").into_iter().flat_map(|(line, block)| one_liners(line, &block));
        let programs: Vec<(usize, String)> = fenced(&text, "rtrace").into_iter().chain(commands).collect();
        count += programs.len();
        assert_all(programs.iter().map(|(line, program)| compile(&kernel, &format!("{name}, line {line}"), program)));
    }
    assert!(count >= 10, "the documents show only {count} programs");
}

#[test]
fn every_construct_has_a_case() {
    let missing = kernels::without_case();
    assert!(missing.is_empty(), "no case of tests/run uses {}", missing.join(", "));
}

#[test]
fn every_probe_type_has_a_case_that_counts_its_hits() {
    let faults = proofs::faults();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let without = proofs::types_without_row();
    assert!(without.is_empty(), "tests/support/proofs.rs has no row for {}", without.join(", "));
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).expect("there are documents").flatten().map(|entry| entry.path());
    let is_text = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    docs.filter(is_text).chain([root.join("README.md")]).collect()
}

/// The text with one table made anew, wherever it stands.
fn with_table(text: &str, table: &Table) -> String {
    let start = start(table);
    match text.split_once(&start) {
        None => text.to_string(),
        Some((before, rest)) => {
            let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("the table '{}' has no end", table.name));
            format!("{before}{start}\n\n{}\n{END}{after}", (table.text)())
        }
    }
}

fn start(table: &Table) -> String {
    format!("<!-- table: {} -->", table.name)
}

/// The blocks fenced as this language, each with the line it begins at.
fn fenced(text: &str, language: &str) -> Vec<(usize, String)> {
    let fence = format!("```{language}");
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        match (open, line.trim_end()) {
            (false, line) if line == fence => {
                blocks.push((number + 2, String::new()));
                open = true;
            }
            (true, "```") => open = false,
            (true, line) => blocks.iter_mut().next_back().into_iter().for_each(|(_, block)| {
                block.push_str(line);
                block.push('\n');
            }),
            (false, _) => {}
        }
    }
    blocks
}

/// The programs of commands such as `rtrace -e 'PROGRAM'`.
fn one_liners(line: usize, block: &str) -> Vec<(usize, String)> {
    let programs = block.split("-e '").skip(1).filter_map(|rest| rest.split_once('\'')).map(|(program, _)| program);
    programs.map(|program| (line, program.to_string())).collect()
}

fn probe_types() -> String {
    let row = |of: &&probes::ProbeType| {
        let aliases: Vec<String> = of.names[1..].iter().map(|name| code(name)).collect();
        format!("| {} | {} | {} |\n| | | {} |\n", code(of.syntax), aliases.join(" "), of.doc, code(of.example))
    };
    let rows: String = probes::TYPES.iter().map(row).collect();
    format!("| attach point | aliases | what it does |\n| --- | --- | --- |\n{rows}")
}

fn all_builtins() -> String {
    let row = |of: &Builtin| {
        let mark = if of.safety == Safety::Unsafe { " Needs `--unsafe`." } else { "" };
        format!("| {} | {}{mark} | {} |\n", code(&builtins::signature(of)), of.doc, code(of.example))
    };
    let rows: String = builtins::TABLES.iter().flat_map(|table| table.iter()).map(row).collect();
    format!("| name | what it does | for instance |\n| --- | --- | --- |\n{rows}")
}

/// What `tests/vm.rs` saw of each tool on each kernel.
fn tools() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/tools");
    let seen = fs::read_to_string(path).expect("what the guests showed");
    let seen: Vec<Vec<&str>> = seen.lines().map(|line| line.split('\t').collect()).collect();
    let cell = |kernel: &str, tool: &str| {
        let found = seen.iter().find(|row| row[..2] == [kernel, tool]);
        let verdict = found.unwrap_or_else(|| panic!("nobody has seen {tool} on {kernel}"))[2];
        if verdict == "ok" { "works".to_string() } else { verdict.to_string() }
    };
    let row = |tool: &shelf::Tool| {
        let cells: String = KERNELS.iter().map(|kernel| format!(" {} |", cell(kernel, tool.name))).collect();
        format!("| `{}` | {} |{cells}\n", tool.name, tool.about())
    };
    let rows: String = shelf::TOOLS.iter().map(row).collect();
    format!("| tool | | {} |\n| --- | --- |{}\n{rows}", KERNELS.join(" | "), " --- |".repeat(KERNELS.len()))
}

const KERNELS: [&str; 4] = ["5.10", "6.1", "6.12", "7.2"];

fn options() -> String {
    format!("```text\n{}```\n", cli::help())
}

fn commands() -> String {
    let row = |command: &Command| {
        let others: String = command.names[1..].iter().map(|name| format!(", `:{name}`")).collect();
        let head = format!(":{} {}", command.names[0], command.params);
        format!("| {}{others} | {} |\n", code(head.trim_end()), command.doc)
    };
    let rows: String = COMMANDS.iter().map(row).collect();
    format!("| command | |\n| --- | --- |\n{rows}")
}

fn settings() -> String {
    let defaults = Config::default();
    let row = |of: config::Row| {
        let default = match (of.get)(&defaults) {
            Shown::Number(value) => value.to_string(),
            Shown::Truth(value) => value.to_string(),
            Shown::Text(value) => code(&value),
        };
        format!("| `{}` | {default} | {} |\n", of.name, of.doc)
    };
    format!("| setting | default | meaning |\n| --- | --- | --- |\n{}", config::rows().map(row).collect::<String>())
}

/// A table's cell ends at a bar, even within code.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}
