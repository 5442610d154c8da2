//! Every example in the tables, and every script, goes through all stages up to loadable programs, against the fixture kernel.

#[path = "support/compile.rs"]
mod compile;

use std::path::Path;

use compile::{assert_all, compile, fixture};
use rtrace::builtins;
use rtrace::probes;

#[test]
fn examples_of_builtins_compile() {
    let kernel = fixture();
    let rows = builtins::TABLES.iter().flat_map(|table| table.iter());
    assert_all(rows.map(|row| compile(&kernel, row.name, row.example)));
}

#[test]
fn examples_of_probe_types_compile() {
    let kernel = fixture();
    assert_all(probes::TYPES.iter().map(|of| compile(&kernel, of.name(), of.example)));
}

#[test]
fn scripts_compile() {
    let kernel = fixture();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let scripts =
        std::fs::read_dir(folder).expect("scripts are there").map(|entry| entry.expect("a folder entry").path());
    assert_all(scripts.map(|path| {
        let text = std::fs::read_to_string(&path).expect("a readable script");
        compile(&kernel, &path.to_string_lossy(), &text)
    }));
}

#[test]
fn names_are_unique() {
    let mut names: Vec<&str> = builtins::TABLES.iter().flat_map(|table| table.iter()).map(|row| row.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
