//! Turns the text of a program into a verdict: whether it compiles against the fixture kernel, with everything allowed.

use std::path::Path;

use rtrace::check::{Options, Safety, Trials};
use rtrace::config::Overrides;
use rtrace::diag::{Style, render};
use rtrace::engine::Engine;
use rtrace::kernel::fixture::Fixture;

pub fn compile(kernel: &Fixture, name: &str, text: &str) -> Result<(), String> {
    // Probes that run on request only are requested.
    let trials = match text.split(':').next() {
        Some("test") => Trials::Tests,
        Some("bench") => Trials::Benches,
        _ => Trials::None,
    };
    let options = Options { safety: Safety::Unsafe, child: Some(1), trials, ..Options::default() };
    let mut engine = Engine::new(kernel, options, Overrides::default());
    let parsed = engine.parse(name, text);
    let compiled = parsed.and_then(|ast| engine.check(&ast)).and_then(|(ir, _)| engine.generate(ir));
    match compiled {
        Ok(compiled) if compiled.units.iter().all(|unit| !unit.insns.is_empty()) => Ok(()),
        Ok(_) => Err(format!("{name}: a program without instructions")),
        Err(faults) => {
            Err(faults.iter().map(|fault| render(fault, &engine.sources, Style::Plain, usize::MAX)).collect())
        }
    }
}

pub fn fixture() -> Fixture {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/kernel");
    Fixture::open(&root).expect("the fixture kernel is there")
}

pub fn assert_all(results: impl Iterator<Item = Result<(), String>>) {
    let faults: Vec<String> = results.filter_map(Result::err).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
