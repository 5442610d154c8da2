//! Turns the cases of `tests/run` into tests on stock kernels in virtual machines: one test a kernel, whose output names every case.
//!
//! `RTRACE_VM_KERNELS=6.1,6.12` selects kernels, `RTRACE_VM_CASES` is a regular expression that selects cases, `RTRACE_VM_BIN` names
//! another static rtrace than the one built here, and `RTRACE_VM_CACHE` the folder where kernels are kept.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

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
        let status = boot.arg(&cache).arg(kernel).arg(&folder).arg(guest_command()).arg(LIMIT).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("cases failed on {kernel}, or the guest did ({status})").into())
        }
    });
    fs::remove_dir_all(&folder).ok();
    verdict
}

/// The shell command that runs in the guest.
fn guest_command() -> String {
    let cases = env::var("RTRACE_VM_CASES").unwrap_or_default().replace('\'', r"'\''");
    format!(
        "cd /rtrace; uname -r; export RTRACE_IN_VM=1 RTRACE_PATIENCE=5 RTRACE_ROOT=/rtrace RTRACE_BIN=/bin/rtrace; \
         RTRACE_CASES='{cases}' /rtrace/run --test-threads=1"
    )
}

/// The files of the guest: rtrace, the test program, the cases and the scripts.
fn fill(folder: &Path, root: &Path) -> Result<(), Failed> {
    let (rtrace, run) = build(root)?;
    fs::create_dir_all(folder.join("bin"))?;
    fs::create_dir_all(folder.join("rtrace/tests"))?;
    fs::copy(env::var_os("RTRACE_VM_BIN").map_or(rtrace, PathBuf::from), folder.join("bin/rtrace"))?;
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
