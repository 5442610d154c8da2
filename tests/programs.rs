//! Every example in the tables, and every script, goes through all stages up to loadable programs, against the fixture kernel.

use std::path::Path;

use rtrace::builtins;
use rtrace::check::{Options, Safety};
use rtrace::config::Overrides;
use rtrace::diag::{Style, render};
use rtrace::engine::Engine;
use rtrace::kernel::fixture::Fixture;
use rtrace::probes;

fn compile(kernel: &Fixture, name: &str, text: &str) -> Result<(), String> {
    let options = Options { safety: Safety::Unsafe, child: Some(1), ..Options::default() };
    let mut engine = Engine::new(kernel, options, Overrides::default());
    let parsed = engine.parse(name, text);
    let compiled = parsed.and_then(|ast| engine.check(&ast)).and_then(|(ir, _)| engine.generate(ir));
    match compiled {
        Ok(compiled) if compiled.units.iter().all(|unit| !unit.insns.is_empty()) => Ok(()),
        Ok(_) => Err(format!("{name}: a program without instructions")),
        Err(faults) => Err(faults.iter().map(|fault| render(fault, &engine.sources, Style::Plain)).collect()),
    }
}

fn fixture() -> Fixture {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/kernel");
    Fixture::open(&root).expect("the fixture kernel is there")
}

fn assert_all(results: impl Iterator<Item = Result<(), String>>) {
    let faults: Vec<String> = results.filter_map(Result::err).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

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
