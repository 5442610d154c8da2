//! The shell as people use it. `tests/repl/NAME.in` is given to it without a terminal, and what it says is compared with
//! `NAME.out` (`UPDATE=1` rewrites that); `tests/repl/NAME.toml` are sessions on a pseudo-terminal, step by step.

#[path = "support/attempts.rs"]
mod attempts;
#[path = "support/load.rs"]
mod load;
#[path = "support/needs.rs"]
mod needs;
#[path = "support/terminal.rs"]
mod terminal;
#[path = "support/vt.rs"]
mod vt;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use terminal::{Setting, Step};

/// One session on a terminal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    name: String,
    #[serde(default)]
    setting: Setting,
    /// Others in which the same happens.
    #[serde(default)]
    also: Vec<Setting>,
    #[serde(default)]
    needs: Vec<String>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sessions {
    session: Vec<Session>,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = files("in").into_iter().map(transcript).chain(files("toml").into_iter().flat_map(sessions));
    let trials =
        trials.chain([trial("nothing is lost while others come and go".to_string(), &["root".to_string()], || {
            Ok(load::nothing_is_lost()?)
        })]);
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn files(extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/repl");
    let entries = fs::read_dir(folder).expect("tests/repl").flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

/// What programs print needs the kernel, so all transcripts need root.
fn transcript(path: PathBuf) -> Trial {
    trial(stem(&path), &["root".to_string()], move || {
        let input = fs::File::open(&path)?;
        let (mut reader, writer) = std::io::pipe()?;
        let mut shell = Command::new(env!("CARGO_BIN_EXE_rtrace"));
        shell.stdin(input).stdout(writer.try_clone()?).stderr(writer);
        let mut child = shell.spawn()?;
        // The command holds the pipe's other end, without which there would be no end of the text.
        drop(shell);
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        let actual = String::from_utf8_lossy(&bytes).into_owned();
        if !child.wait()?.success() {
            return Err(format!("the shell failed:\n{actual}").into());
        }
        let expected = path.with_extension("out");
        if std::env::var_os("UPDATE").is_some() {
            return Ok(fs::write(expected, actual)?);
        }
        match fs::read_to_string(&expected) {
            Ok(text) if text == actual => Ok(()),
            _ => Err(format!("{} differs; the output is now:\n{actual}", expected.display()).into()),
        }
    })
}

fn sessions(path: PathBuf) -> Vec<Trial> {
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let sessions: Sessions = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = stem(&path);
    let mut trials = Vec::new();
    for session in sessions.session {
        let needs = [session.needs.as_slice(), &["script".to_string()]].concat();
        trials.push(trial(format!("{file}::{}", session.name), &needs, move || {
            let mut settings = std::iter::once(&session.setting).chain(&session.also);
            Ok(settings.try_for_each(|setting| terminal::play(setting, &session.steps))?)
        }));
    }
    trials
}

/// The name of one that cannot run here tells why.
fn trial(name: String, needs: &[String], run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    let unmet = needs::unmet(needs);
    let name = unmet.as_ref().map_or(name.clone(), |reason| format!("{name} (skipped: {reason})"));
    Trial::test(name, run).with_ignored_flag(unmet.is_some())
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
