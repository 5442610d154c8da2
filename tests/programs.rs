//! Every example in the tables, and every script, goes through all stages up to loadable programs, against the fixture kernel.

#[path = "support/compile.rs"]
mod compile;

use compile::{assert_all, compile, fixture};
use rtrace::builtins;
use rtrace::check::Options;
use rtrace::codegen::Compiled;
use rtrace::config::Overrides;
use rtrace::engine::Engine;
use rtrace::kernel::{Feature, Fixture};
use rtrace::plan::MapKind;
use rtrace::probes;
use rtrace::shelf;
use rtrace::source::Sources;
use rtrace::syntax;

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

/// The fixture kernel has too little for most of them: `tests/run/tools_*.toml` compiles and runs each on real ones.
#[test]
fn scripts_parse() {
    assert_all(shelf::TOOLS.iter().map(|tool| {
        let mut sources = Sources::new();
        let parsed = syntax::parse(sources.add(tool.name.to_string(), tool.text.to_string()));
        parsed.map(|_| ()).map_err(|faults| format!("{}: {faults:?}", tool.name))
    }));
}

/// A tool without a case there would be one that nobody has seen work.
#[test]
fn every_script_has_a_case() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/run");
    let files = std::fs::read_dir(folder).expect("cases").flatten();
    let cases: String = files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
    for tool in shelf::TOOLS {
        assert!(cases.contains(&format!("\"scripts/{}.bt\"", tool.name)), "no case runs {}", tool.name);
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<&str> = builtins::TABLES.iter().flat_map(|table| table.iter()).map(|row| row.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

// What programs become on kernels that lack something; the virtual machines of `tests/vm.rs` show that it works there.

fn compiled(kernel: &Fixture, text: &str) -> Compiled {
    let mut engine = Engine::new(kernel, Options::default(), Overrides::default());
    let ir = engine.parse("stdin", text).and_then(|ast| engine.check(&ast)).expect("a faultless program").0;
    engine.generate(ir).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// The instructions of the only program.
fn code(kernel: &Fixture, text: &str) -> Vec<String> {
    compiled(kernel, text).units[0].insns.iter().map(|insn| insn.to_string()).collect()
}

#[test]
fn keys_fit_kernels_that_want_them_short() {
    let text =
        "kprobe:vfs_read { @[str(arg0)] = count(); @two[comm, str(arg0)] = count(); @few[str(arg0, 16)] = count(); }";
    let sizes = |kernel: &Fixture| -> Vec<u32> {
        let maps = compiled(kernel, text).plan.maps;
        maps.values().filter(|map| map.kind == MapKind::PerCpuHash).map(|map| map.key_size).collect()
    };
    assert_eq!(sizes(&fixture()), [1025, 16, 1041]);
    assert_eq!(sizes(&fixture().without(Feature::LargeKeys)), [512, 16, 512]);
}

/// Each branch would double the paths that older verifiers follow.
#[test]
fn join_takes_no_branches() {
    let code = code(&fixture(), "kprobe:vfs_read { join(arg1); }");
    let branches = code.iter().filter(|insn| insn.contains("goto")).count();
    assert!(branches <= 3, "{}", code.join("\n"));
}
