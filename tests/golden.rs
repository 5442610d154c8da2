//! Inputs beside their expected outputs: every `tests/FOLDER/NAME.EXTENSION` is put through its folder's function, and what comes
//! out is compared with `NAME.out`. `UPDATE=1 cargo test --test golden` rewrites the outputs; read the difference before you commit it.
//!
//! A file may hold several inputs, divided by lines that say `//---`.

#[path = "support/report.rs"]
mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use rtrace::bpf::list::Listing;
use rtrace::check::Options;
use rtrace::config::Overrides;
use rtrace::diag::{self, Diagnostic, Style};
use rtrace::engine::{Engine, Faults};
use rtrace::kernel::{Feature, Fixture};
use rtrace::source::Sources;
use rtrace::{ir, syntax};

/// A folder of `tests` and what is done with the inputs in it.
struct Suite {
    folder: &'static str,
    extension: &'static str,
    /// What stands between two outputs, as between two inputs.
    divider: &'static str,
    run: fn(input: &str) -> String,
}

const SUITES: [Suite; 5] = [
    Suite { folder: "fmt", extension: "bt", divider: "//---\n", run: formatted },
    Suite { folder: "parse", extension: "bt", divider: "//---\n", run: parse },
    Suite { folder: "check", extension: "bt", divider: "//---\n", run: check },
    Suite { folder: "codegen", extension: "bt", divider: "//---\n", run: codegen },
    Suite { folder: "report", extension: "toml", divider: "#---\n", run: report::shown },
];

/// Canonical source, or what is wrong.
fn parse(program: &str) -> String {
    let mut sources = Sources::new();
    match syntax::parse(sources.add("stdin", program)) {
        Ok(program) => syntax::print::program(&program),
        Err(faults) => shown(&faults, &sources),
    }
}

/// What `--fmt` makes of it.
fn formatted(program: &str) -> String {
    let mut sources = Sources::new();
    syntax::tidied(sources.add("stdin", program)).unwrap_or_else(|faults| shown(&faults, &sources))
}

/// Whatever parses means the same once it is formatted, and is then left alone.
fn formatting_keeps_meaning() -> Result<(), Failed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["scripts", "tests/parse", "tests/check", "tests/codegen", "tests/run/programs", "tests/fmt"] {
        let entries = fs::read_dir(root.join(folder))?.flatten().map(|entry| entry.path());
        for path in entries.filter(|path| path.extension().is_some_and(|extension| extension == "bt")) {
            for program in fs::read_to_string(&path)?.split("//---\n") {
                keeps_meaning(program).map_err(|what| format!("{}: {what}", path.display()))?;
            }
        }
    }
    Ok(())
}

fn keeps_meaning(program: &str) -> Result<(), String> {
    let canonical = |text: &str| {
        let mut sources = Sources::new();
        syntax::parse(sources.add("stdin", text)).map(|tree| syntax::print::program(&tree))
    };
    let Ok(meaning) = canonical(program) else { return Ok(()) };
    let once = formatted(program);
    if canonical(&once).as_ref() != Ok(&meaning) {
        return Err(format!("formatting changed the meaning of\n{program}to\n{once}"));
    }
    let comments = |text: &str| text.matches("//").count() + text.matches("/*").count();
    if comments(&once) != comments(program) {
        return Err(format!("formatting lost a comment of\n{program}in\n{once}"));
    }
    match formatted(&once) {
        twice if twice == once => Ok(()),
        twice => Err(format!("formatting is not done at once with\n{once}but makes it\n{twice}")),
    }
}

/// Every diagnostic, warnings included, and what the program means if it is accepted.
fn check(program: &str) -> String {
    let kernel = kernel_for(program);
    let mut engine = engine(&kernel);
    let checked = engine.parse("stdin", program).and_then(|ast| engine.check(&ast));
    match checked {
        Ok((program, warnings)) => shown(&warnings, &engine.sources) + &ir::print::program(&program),
        Err(faults) => shown(&faults, &engine.sources),
    }
}

/// What `-d ir` and `-d insns` show.
fn codegen(program: &str) -> String {
    let kernel = kernel_for(program);
    let mut engine = engine(&kernel);
    listings(&mut engine, program).unwrap_or_else(|faults| shown(&faults, &engine.sources))
}

fn listings(engine: &mut Engine<'_>, program: &str) -> Result<String, Faults> {
    let ast = engine.parse("stdin", program)?;
    let (program, _) = engine.check(&ast)?;
    let meaning = ir::print::program(&program);
    let compiled = engine.generate(program)?;
    let listing = |unit| Listing { unit, plan: &compiled.plan, sources: &engine.sources };
    let code: String = compiled.units.iter().map(|unit| format!("\n{}", listing(unit))).collect();
    Ok(meaning + &code)
}

/// What programs can ask to do without.
const OLD_KERNELS_LACK: [Feature; 3] = [Feature::Loop, Feature::ForEachMapElem, Feature::PerCpuLookup];

/// The fixture kernel; for a program that says `// without Loop`, one without it.
fn kernel_for(program: &str) -> Fixture {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/kernel");
    let kernel = Fixture::open(&root).expect("the fixture kernel is there");
    let is_missing = |feature: &Feature| program.contains(&format!("// without {feature:?}"));
    OLD_KERNELS_LACK.into_iter().filter(is_missing).fold(kernel, Fixture::without)
}

fn engine(kernel: &Fixture) -> Engine<'_> {
    Engine::new(kernel, Options::default(), Overrides::default())
}

fn shown(findings: &[Diagnostic], sources: &Sources) -> String {
    findings.iter().map(|finding| diag::render(finding, sources, Style::Plain, usize::MAX)).collect()
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = SUITES.iter().flat_map(trials).collect();
    trials.push(Trial::test("fmt/keeps meaning and comments", formatting_keeps_meaning));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials(suite: &'static Suite) -> Vec<Trial> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(suite.folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files = entries.flatten().map(|entry| entry.path());
    let inputs = files.filter(|path| path.extension().is_some_and(|extension| extension == suite.extension));
    let trial = |path: PathBuf| {
        let name = format!("{}/{}", suite.folder, path.file_stem().unwrap_or_default().to_string_lossy());
        Trial::test(name, move || compare(suite, &path))
    };
    inputs.map(trial).collect()
}

fn compare(suite: &Suite, path: &Path) -> Result<(), Failed> {
    let input = fs::read_to_string(path)?;
    let actual = input.split(suite.divider).map(suite.run).collect::<Vec<_>>().join(suite.divider);
    let expected_path = path.with_extension("out");
    if std::env::var_os("UPDATE").is_some() {
        return Ok(fs::write(expected_path, actual)?);
    }
    let expected = fs::read_to_string(&expected_path).unwrap_or_default();
    match actual.lines().zip(expected.lines()).position(|(actual, expected)| actual != expected) {
        _ if actual == expected => Ok(()),
        Some(line) => {
            Err(format!("{}:{} differs; the output is now:\n{actual}", expected_path.display(), line + 1).into())
        }
        None => Err(format!("{} has another length; the output is now:\n{actual}", expected_path.display()).into()),
    }
}
