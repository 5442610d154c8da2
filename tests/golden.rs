//! Inputs beside their expected outputs: every `tests/FOLDER/NAME.bt` is put through its folder's function, and what comes out is
//! compared with `NAME.out`. `UPDATE=1 cargo test --test golden` rewrites the outputs; read the difference before you commit it.
//!
//! A file may hold several programs, divided by lines that say `//---`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use rtrace::check::Options;
use rtrace::config::Overrides;
use rtrace::diag::{self, Style};
use rtrace::engine::Engine;
use rtrace::kernel::{Feature, Fixture};
use rtrace::source::Sources;
use rtrace::syntax;

/// A folder of `tests` and what is done with the programs in it.
struct Suite {
    folder: &'static str,
    run: fn(program: &str) -> String,
}

const SUITES: [Suite; 2] = [Suite { folder: "parse", run: parse }, Suite { folder: "check", run: check }];

/// Canonical source, or what is wrong.
fn parse(program: &str) -> String {
    let mut sources = Sources::new();
    match syntax::parse(sources.add("stdin", program)) {
        Ok(program) => syntax::print::program(&program),
        Err(faults) => faults.iter().map(|fault| diag::render(fault, &sources, Style::Plain)).collect(),
    }
}

/// A program that says `// without Loop` is checked for a kernel without it.
const OLD_KERNELS_LACK: [Feature; 3] = [Feature::Loop, Feature::ForEachMapElem, Feature::PerCpuLookup];

/// What it means against the fixture kernel, after its warnings; or what is wrong.
fn check(program: &str) -> String {
    let kernel = Fixture::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/kernel"));
    let kernel = kernel.expect("the fixture kernel is there");
    let is_missing = |feature: &Feature| program.contains(&format!("// without {feature:?}"));
    let kernel = OLD_KERNELS_LACK.into_iter().filter(is_missing).fold(kernel, Fixture::without);
    let mut engine = Engine::new(&kernel, Options::default(), Overrides::default());
    let parsed = engine.parse("stdin", program);
    let (listing, said) = match parsed.and_then(|ast| engine.check(&ast)) {
        Ok((ir, warnings)) => (rtrace::ir::print::program(&ir), warnings),
        Err(faults) => (String::new(), faults),
    };
    said.iter().map(|said| diag::render(said, &engine.sources, Style::Plain)).collect::<String>() + &listing
}

const DIVIDER: &str = "//---\n";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = SUITES.iter().flat_map(trials).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials(suite: &'static Suite) -> Vec<Trial> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(suite.folder);
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let inputs = files.filter(|path| path.extension().is_some_and(|extension| extension == "bt"));
    let trial = |path: PathBuf| {
        let name = format!("{}/{}", suite.folder, path.file_stem().unwrap_or_default().to_string_lossy());
        Trial::test(name, move || compare(suite, &path))
    };
    inputs.map(trial).collect()
}

fn compare(suite: &Suite, path: &Path) -> Result<(), Failed> {
    let input = fs::read_to_string(path)?;
    let actual = input.split(DIVIDER).map(suite.run).collect::<Vec<_>>().join(DIVIDER);
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
