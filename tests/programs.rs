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

/// What the fixture kernel does not have is passed over: `tests/run/tools_*.toml` runs the tools on kernels that do.
#[test]
fn scripts_compile() {
    let kernel = fixture();
    assert_all(shelf::TOOLS.iter().map(|tool| {
        let mut sources = Sources::new();
        let parsed = syntax::parse(sources.add(tool.name.to_string(), tool.text.to_string()));
        parsed.map_err(|faults| format!("{}: {faults:?}", tool.name))?;
        compile(&kernel, tool.name, tool.text).or_else(|faults| {
            let is_of_the_kernel =
                |line: &&str| line.contains("ERROR") && !LACKS_OF_THE_FIXTURE.iter().any(|lack| line.contains(lack));
            match faults.lines().find(is_of_the_kernel) {
                Some(fault) => Err(fault.to_string()),
                None => Ok(()),
            }
        })
    }));
}

/// What is said of a script that is meant for a kernel with more than the fixture has.
const LACKS_OF_THE_FIXTURE: &[&str] = &[
    "No matches for",
    "does not exist or is not executable",
    // Attach points that are parameters.
    "Invalid probe type: ",
];

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
