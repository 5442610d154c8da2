//! Turns the cases of `tests/run` into tests on the kernel of this machine: program and workload in, output compared.
//!
//! `RTRACE_BIN` names another rtrace to test, `RTRACE_CASES` is a regular expression that selects cases by name.

#[path = "support/attempts.rs"]
mod attempts;
#[path = "support/case.rs"]
mod case;
#[path = "support/diff.rs"]
mod diff;
#[path = "support/drive.rs"]
mod drive;
#[path = "support/judge.rs"]
mod judge;
#[path = "support/made.rs"]
mod made;
#[path = "support/needs.rs"]
mod needs;
#[path = "support/workload.rs"]
mod workload;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use case::Case;
use drive::Bench;
use libtest_mimic::{Arguments, Trial};
use regex::Regex;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [word, name, comm] = words.as_slice()
        && word == "workload"
    {
        workload::run(name, comm);
        return ExitCode::SUCCESS;
    }
    // In a virtual machine the repository lies elsewhere than where this was built.
    let root = path("RTRACE_ROOT", env!("CARGO_MANIFEST_DIR"));
    let wanted =
        Regex::new(&env::var("RTRACE_CASES").unwrap_or_default()).expect("RTRACE_CASES is a regular expression");
    let cases = case::all(&root.join("tests/run")).into_iter().filter(|(name, _)| wanted.is_match(name));
    if let [word, folder] = words.as_slice()
        && word == "compile"
    {
        made::make(cases.collect(), Path::new(folder), &root);
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, cases.map(|(name, case)| trial(name, case, &root)).collect()).exit_code()
}

/// The name of a case that cannot run here tells why.
fn trial(name: String, case: Case, root: &Path) -> Trial {
    let made = made::of(&name);
    let unmet = match &made {
        Some(_) => needs::unmet(&made::without_compilers(&case.needs)),
        None => needs::unmet(&case.needs),
    };
    let name = unmet.as_ref().map_or(name.clone(), |reason| format!("{name} (skipped: {reason})"));
    let rtrace = path("RTRACE_BIN", env!("CARGO_BIN_EXE_rtrace"));
    let bench = Bench { rtrace, root: root.to_path_buf(), made };
    let run = move || Ok(judge::judge(&drive::run(&case, &bench)?)?);
    Trial::test(name, run).with_ignored_flag(unmet.is_some())
}

fn path(variable: &str, default: &str) -> PathBuf {
    env::var_os(variable).map_or_else(|| PathBuf::from(default), PathBuf::from)
}
