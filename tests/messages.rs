//! Messages about faults of programs: each row of `messages.toml` is a program, and the words of bpftrace that its message must hold.
//! Beside them it must show a place, and say what to do or what else to look at.

use std::fs;
use std::path::Path;

use rtrace::check::Options;
use rtrace::config::Overrides;
use rtrace::diag::{Diagnostic, Severity};
use rtrace::engine::Engine;
use rtrace::kernel::fixture::Fixture;
use rtrace::source::Span;
use serde::Deserialize;

#[derive(Deserialize)]
struct Rows {
    row: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    program: String,
    says: String,
    /// The script's own words, to which there is nothing to add.
    #[serde(default)]
    is_all: bool,
}

#[test]
fn every_fault_is_told_in_known_words_and_with_a_remedy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages.toml");
    let rows: Rows = toml::from_str(&fs::read_to_string(path).expect("the rows are there")).expect("rows");
    assert!(rows.row.len() > 80, "rows are missing");
    let faults: Vec<String> = rows.row.iter().filter_map(|row| judge(row).err()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn judge(row: &Row) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/kernel");
    let kernel = Fixture::open(&root).expect("the fixture kernel is there");
    let mut engine = Engine::new(&kernel, Options::default(), Overrides::default());
    let parsed = engine.parse("stdin", &row.program);
    let faults = parsed.and_then(|ast| engine.check(&ast)).err().unwrap_or_default();
    let holds = |fault: &&Diagnostic| {
        let words = [&fault.message].into_iter().chain(fault.labels.iter().map(|(_, text)| text)).chain(&fault.hints);
        fault.severity == Severity::Error && words.into_iter().any(|text| text.contains(&row.says))
    };
    let Some(fault) = faults.iter().find(holds) else {
        let messages: Vec<&str> = faults.iter().map(|fault| &*fault.message).collect();
        return Err(format!("{}\n  should say: {}\n  but says: {messages:?}", row.program, row.says));
    };
    if fault.span == Span::default() {
        return Err(format!("{}\n  shows no place", row.program));
    }
    if fault.hints.is_empty() && fault.labels.is_empty() && !row.is_all {
        return Err(format!("{}\n  says nothing of what to do: {}", row.program, fault.message));
    }
    Ok(())
}
