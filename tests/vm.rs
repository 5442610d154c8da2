//! Turns the cases of `tests/run` into tests on stock kernels in virtual machines: one test a kernel, whose output names every case.
//!
//! `RTRACE_VM_KERNELS=6.1,6.12` selects kernels, `RTRACE_VM_CASES` is a regular expression that selects cases, `RTRACE_VM_BIN` names
//! another static rtrace than the one built here, and `RTRACE_VM_CACHE` the folder where kernels are kept.
//!
//! `tests/vm/tools` holds what came of each tool's case on each kernel, for the table in the documents; a run of all cases checks it, and
//! with `UPDATE=1` a run of those of the tools rewrites it.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};

const KERNELS: [&str; 4] = ["5.10", "6.1", "6.12", "7.2"];
const TARGET: &str = "x86_64-unknown-linux-musl";

/// Seconds until a guest counts as hung.
const LIMIT: &str = "1200";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let wanted = env::var("RTRACE_VM_KERNELS").unwrap_or_else(|_| KERNELS.join(","));
    let trials = wanted.split([',', ' ']).map(|kernel| {
        let kernel = kernel.to_string();
        Trial::test(format!("kernel {kernel}"), move || check(&kernel))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Boots the kernel and runs the cases in it. What they say goes straight to the output.
fn check(kernel: &str) -> Result<(), Failed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cache = env::var_os("RTRACE_VM_CACHE").map_or_else(|| root.join("target/vm"), PathBuf::from);
    succeed(Command::new(root.join("tests/vm/prepare")).arg(&cache).arg(kernel))?;

    // Each kernel has its own, so that tests may run side by side.
    let folder = env::temp_dir().join(format!("rtrace-vm-{}-{kernel}", std::process::id()));
    let verdict = fill(&folder, root).and_then(|()| {
        let mut boot = Command::new(root.join("tests/vm/boot"));
        boot.arg(&cache).arg(kernel).arg(&folder).arg(guest_command()).arg(LIMIT);
        let (output, status) = shown(&mut boot)?;
        if status.success() {
            record(root, kernel, &output)
        } else {
            Err(format!("cases failed on {kernel}, or the guest did ({status})").into())
        }
    });
    fs::remove_dir_all(&folder).ok();
    verdict
}

/// What a command prints, which is shown while it comes.
fn shown(command: &mut Command) -> Result<(String, ExitStatus), Failed> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut output = String::new();
    for line in BufReader::new(child.stdout.take().expect("it is piped")).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        output.push_str(&line);
        output.push('\n');
    }
    Ok((output, child.wait()?))
}

/// Holds what came of the tools' cases against what is written down, or writes it down.
fn record(root: &Path, kernel: &str, output: &str) -> Result<(), Failed> {
    let path = root.join("tests/vm/tools");
    let written = fs::read_to_string(&path).unwrap_or_default();
    let is_own = |line: &&str| line.starts_with(&format!("{kernel}\t"));
    let fresh: Vec<String> = output.lines().filter_map(verdict).map(|verdict| format!("{kernel}\t{verdict}")).collect();
    if env::var_os("UPDATE").is_some() {
        let others = written.lines().filter(|line| !is_own(line)).map(str::to_string);
        let mut lines: Vec<String> = others.chain(fresh).collect();
        lines.sort();
        return Ok(fs::write(&path, lines.join("\n") + "\n")?);
    }
    let known: Vec<&str> = written.lines().filter(is_own).collect();
    let is_whole = env::var("RTRACE_VM_CASES").unwrap_or_default().is_empty();
    match fresh.iter().find(|line| !known.contains(&line.as_str())) {
        Some(line) if is_whole => Err(format!("tests/vm/tools is out of date, UPDATE=1 rewrites it: {line}").into()),
        _ => Ok(()),
    }
}

/// `TOOL` and what came of the case that has its name: `ok`, or why it was skipped.
fn verdict(line: &str) -> Option<String> {
    let (name, outcome) = line.strip_prefix("test tools_")?.split_once("::")?.1.split_once(" ... ")?;
    let name = name.trim_end();
    match (name.split_once(" (skipped: "), outcome) {
        (Some((tool, reason)), _) if !tool.contains(':') => Some(format!("{tool}\t{}", reason.trim_end_matches(')'))),
        (None, "ok") if !name.contains(':') => Some(format!("{name}\tok")),
        (Some(_) | None, _) => None,
    }
}

/// The shell command that runs in the guest.
fn guest_command() -> String {
    let cases = env::var("RTRACE_VM_CASES").unwrap_or_default().replace('\'', r"'\''");
    format!(
        "cd /rtrace; uname -r; export RTRACE_IN_VM=1 RTRACE_PATIENCE=5 RTRACE_ROOT=/rtrace RTRACE_BIN=/bin/rtrace RTRACE_MADE=/rtrace/made; \
         RTRACE_CASES='{cases}' /rtrace/run --test-threads=1 --color=never"
    )
}

/// The files of the guest: rtrace, the test program, the cases and the scripts.
fn fill(folder: &Path, root: &Path) -> Result<(), Failed> {
    let (rtrace, run) = build(root)?;
    fs::create_dir_all(folder.join("bin"))?;
    fs::create_dir_all(folder.join("rtrace/tests"))?;
    fs::copy(env::var_os("RTRACE_VM_BIN").map_or(rtrace, PathBuf::from), folder.join("bin/rtrace"))?;
    succeed(
        Command::new(&run)
            .arg("compile")
            .arg(folder.join("rtrace/made"))
            .env("RTRACE_CASES", env::var_os("RTRACE_VM_CASES").unwrap_or_default()),
    )?;
    fs::copy(run, folder.join("rtrace/run"))?;
    succeed(Command::new("cp").arg("-r").arg(root.join("tests/run")).arg(folder.join("rtrace/tests")))?;
    succeed(Command::new("cp").arg("-r").arg(root.join("scripts")).arg(folder.join("rtrace")))
}

/// Static rtrace and the static test program of `tests/run.rs`.
fn build(root: &Path) -> Result<(PathBuf, PathBuf), Failed> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args([
        "test",
        "--quiet",
        "--no-run",
        "--test",
        "run",
        "--message-format=json",
        "--target",
        TARGET,
    ]);
    let output = cargo.stderr(Stdio::inherit()).output()?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = |line: &str| Some(line.split_once(r#""executable":""#)?.1.split_once('"')?.0.to_string());
    let executables: Vec<PathBuf> = messages.lines().filter_map(executable).map(PathBuf::from).collect();
    let find = |is_it: fn(&str) -> bool| {
        let mut paths = executables.iter();
        paths.find(|path| path.file_name().is_some_and(|name| is_it(&name.to_string_lossy()))).cloned()
    };
    let found = find(|name| name == "rtrace").zip(find(|name| name.starts_with("run-")));
    found.ok_or_else(|| format!("{cargo:?} built no test program, {}", output.status).into())
}

fn succeed(command: &mut Command) -> Result<(), Failed> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed, {status}").into()) }
}
