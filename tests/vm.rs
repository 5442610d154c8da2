//! The cases of `tests/run` on stock kernels in virtual machines: one trial a kernel, whose output names every case.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};

const KERNELS: [&str; 4] = ["5.10", "6.1", "6.12", "7.2"];
const TARGET: &str = "x86_64-unknown-linux-musl";
/// Seconds until a guest counts as hung.
const LIMIT: &str = "900";

fn main() {
    let arguments = Arguments::from_args();
    let wanted = std::env::var("RTRACE_VM_KERNELS").unwrap_or_else(|_| KERNELS.join(","));
    let trials = KERNELS
        .iter()
        .filter(|kernel| wanted.split(',').any(|one| one == **kernel))
        .map(|kernel| Trial::test(format!("kernel {kernel}"), move || check(kernel).map_err(Failed::from)))
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// Boots the kernel, runs the cases in it and looks at their summary.
fn check(kernel: &str) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cache = std::env::var_os("RTRACE_VM_CACHE").map_or_else(|| root.join("target/vm"), PathBuf::from);
    // One trial prepares while the others wait.
    let lock = std::fs::create_dir_all(&cache).and_then(|()| std::fs::File::create(cache.join("lock")));
    let lock = lock.map_err(|error| format!("cannot use {}: {error}", cache.display()))?;
    lock.lock().map_err(|error| error.to_string())?;
    output(Command::new(root.join("tests/vm/prepare")).arg(&cache))?;
    let payload = payload(root, &cache)?;
    lock.unlock().map_err(|error| error.to_string())?;

    let filter = std::env::var("RTRACE_VM_CASES").unwrap_or_default();
    let command = format!(
        "cd /rtrace && RTRACE_IN_VM=1 RTRACE_ROOT=/rtrace RTRACE_BIN=/bin/rtrace /run --test-threads=1 {filter}"
    );
    let arguments: [&std::ffi::OsStr; 5] =
        [cache.as_ref(), kernel.as_ref(), payload.as_ref(), command.as_ref(), LIMIT.as_ref()];
    let report = output(Command::new(root.join("tests/vm/boot")).args(arguments))?;
    println!("{report}");
    if report.contains("test result: ok.") { Ok(()) } else { Err("the report of the cases is cut short".to_string()) }
}

/// The folder that the guest sees as its root: static rtrace and test binary, the cases and the scripts.
fn payload(root: &Path, cache: &Path) -> Result<PathBuf, String> {
    let payload = cache.join("payload");
    let rtrace = built(root, &["build", "--release", "--bin", "rtrace"])?;
    let run = built(root, &["test", "--no-run", "--test", "run"])?;
    let script = format!(
        "rm -rf {payload}; mkdir -p {payload}/bin {payload}/rtrace/tests; cp {} {payload}/bin/rtrace; cp {} {payload}/run; \
         cp -r {root}/tests/run {payload}/rtrace/tests/; cp -r {root}/scripts {payload}/rtrace/",
        rtrace.display(),
        run.display(),
        payload = payload.display(),
        root = root.display()
    );
    output(Command::new("sh").args(["-ec", &script]))?;
    Ok(payload)
}

/// Builds something for the guest and gives the path of the executable.
fn built(root: &Path, arguments: &[&str]) -> Result<PathBuf, String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(arguments).args(["--target", TARGET, "--message-format=json"]);
    let messages = output(&mut cargo)?;
    messages
        .lines()
        .filter_map(|line| line.split_once("\"executable\":\"")?.1.split_once('"').map(|(path, _)| PathBuf::from(path)))
        .next_back()
        .ok_or_else(|| format!("cargo {} built no executable", arguments.join(" ")))
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    Err(format!("{command:?} failed ({}):\n{stdout}{}", output.status, String::from_utf8_lossy(&output.stderr)))
}
