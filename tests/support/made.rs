//! The programs of cases, compiled before they are needed: guests have no compilers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::case::Case;
use crate::needs;

/// What a case needs only for compiling.
const COMPILERS: [&str; 4] = ["gcc", "g++", "rustc", "python3"];

/// Compiles what the cases ask for, into a folder for each within this one. A case whose compiler is missing is left to say so itself.
pub fn make(cases: Vec<(String, Case)>, folder: &Path, root: &Path) {
    for (name, case) in cases {
        let (compilers, _) = split(&case.needs);
        if case.compile.is_none() || needs::unmet(&compilers).is_some() {
            continue;
        }
        let own = folder.join(file_name(&name));
        fs::create_dir_all(&own).expect("a folder");
        let placeholders = [("{tmp}", own.display().to_string()), ("{root}", root.display().to_string())];
        let command = case.filled(&placeholders).expect("placeholders").compile.expect("it was there before");
        let status = Command::new("sh").args(["-ec", &command]).status().expect("a shell");
        assert!(status.success(), "{name}: {command}");
    }
}

/// Where the programs of a case are, if they were made.
pub fn of(name: &str) -> Option<PathBuf> {
    let own = Path::new(&env::var_os("RTRACE_MADE")?).join(file_name(name));
    own.exists().then_some(own)
}

/// What a case needs whose programs were made.
pub fn without_compilers(needs: &[String]) -> Vec<String> {
    split(needs).1
}

/// Compilers, and all else.
fn split(needs: &[String]) -> (Vec<String>, Vec<String>) {
    needs.iter().cloned().partition(|need| COMPILERS.contains(&need.as_str()))
}

/// A name that shells need not be told about.
fn file_name(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}
