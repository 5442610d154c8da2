//! Turns the files of `tests/run` into cases: what to run, and what must come of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One run of rtrace. In all of its strings `{tmp}` is a fresh folder, `{root}` the repository, `{pid}` the process of `target`, and
/// `{do} NAME COMM` runs a workload of `workload.rs` by a process that is named COMM.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    /// The program, given by `-e`.
    pub program: Option<String>,
    /// A script, as a path below the repository.
    pub script: Option<String>,
    /// Arguments that stand before the program.
    #[serde(default)]
    pub args: Vec<String>,
    /// Arguments that stand after it: its own parameters.
    #[serde(default)]
    pub params: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub stdin: String,
    /// A shell command that runs rtrace, in which `"$@"` stands for rtrace and its arguments.
    pub through: Option<String>,
    /// What the machine must have: names of rows in `needs.rs`, or `kernel>=X.Y`.
    #[serde(default)]
    pub needs: Vec<String>,
    /// A shell command that compiles programs into `{tmp}`, before all else. Guests have no compilers: for them it runs before they start.
    pub compile: Option<String>,
    /// A shell command that runs to its end before what is traced is started.
    pub setup: Option<String>,
    /// A shell command that runs from before rtrace starts until it has ended. A compound one ends in `exec`, so that `{pid}` is
    /// the process meant and not the shell.
    pub target: Option<String>,
    /// A shell command that runs once rtrace has attached its probes.
    pub workload: Option<String>,
    /// What it shows by an exact number of hits: rows of `proofs.rs`.
    #[serde(default)]
    pub proves: Vec<String>,
    /// A signal for rtrace when it has attached its probes and the workload has ended, such as `INT`.
    pub signal: Option<String>,
    /// Seconds until the run counts as hung.
    #[serde(default = "Case::twenty_seconds")]
    pub timeout: u32,

    /// The whole text.
    pub stdout: Option<String>,
    /// Regular expressions that match somewhere; `^` and `$` are the ends of a line.
    #[serde(default)]
    pub stdout_matches: Vec<String>,
    /// The whole text of a second run, with `-f json`.
    pub json: Option<String>,
    /// Regular expressions that match nowhere.
    #[serde(default)]
    pub stdout_lacks: Vec<String>,
    /// Regular expressions, and how often each must match.
    #[serde(default)]
    pub stdout_counts: Vec<(String, usize)>,
    /// Regular expressions, and what the numbers in their groups come to, over all matches on stdout and stderr; a match without a
    /// number counts as one.
    #[serde(default)]
    pub sums: Vec<(String, u64)>,
    pub stderr: Option<String>,
    #[serde(default)]
    pub stderr_matches: Vec<String>,
    /// A process that a signal ended has 128 and the signal's number, as in a shell.
    #[serde(default)]
    pub exit: i32,
}

impl Case {
    /// The case with these placeholders replaced.
    pub fn filled(&self, placeholders: &[(&str, String)]) -> Result<Self, String> {
        let mut value = toml::Value::try_from(self).map_err(|error| error.to_string())?;
        fill(&mut value, placeholders);
        value.try_into().map_err(|error: toml::de::Error| error.to_string())
    }

    /// The case itself, and the one for its JSON.
    fn split(self) -> Vec<Self> {
        let Some(json) = &self.json else { return vec![self] };
        let args = [&self.args[..], &["-f".to_string(), "json".to_string()]].concat();
        let second = Self {
            name: format!("{} as JSON", self.name),
            args,
            stdout: Some(json.clone()),
            json: None,
            stdout_matches: Vec::new(),
            stdout_lacks: Vec::new(),
            stdout_counts: Vec::new(),
            sums: Vec::new(),
            stderr: None,
            stderr_matches: Vec::new(),
            ..self.clone()
        };
        vec![self, second]
    }

    /// A case that expects nothing of the output cannot fail, but for its exit code.
    fn expects_something(&self) -> bool {
        let lists = [&self.stdout_matches, &self.stdout_lacks, &self.stderr_matches];
        !self.stdout_counts.is_empty()
            || !self.sums.is_empty()
            || self.stdout.is_some()
            || self.stderr.is_some()
            || self.exit != 0
            || lists.iter().any(|list| !list.is_empty())
    }

    const fn twenty_seconds() -> u32 {
        20
    }
}

/// The cases of all files of a folder, named `FILE::CASE`.
pub fn all(folder: &Path) -> Vec<(String, Case)> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files.iter().flat_map(|path| read(path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

fn read(path: &Path) -> Result<Vec<(String, Case)>, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let file: File = toml::from_str(&text).map_err(|error| error.to_string())?;
    let mut names = BTreeSet::new();
    for case in &file.case {
        if !names.insert(&case.name) {
            return Err(format!("two cases are named '{}'", case.name));
        }
        if !case.expects_something() {
            return Err(format!("'{}' expects nothing: it could not fail", case.name));
        }
    }
    let area = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(file.case.into_iter().flat_map(Case::split).map(|case| (format!("{area}::{}", case.name), case)).collect())
}

fn fill(value: &mut toml::Value, placeholders: &[(&str, String)]) {
    match value {
        toml::Value::String(text) => {
            for (name, meaning) in placeholders {
                *text = text.replace(name, meaning);
            }
        }
        toml::Value::Array(items) => items.iter_mut().for_each(|item| fill(item, placeholders)),
        toml::Value::Table(table) => table.iter_mut().for_each(|(_, item)| fill(item, placeholders)),
        _ => {}
    }
}
