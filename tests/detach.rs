//! What was attached is gone when rtrace is: at once after SIGINT, with the reports printed, and at once after SIGKILL.
//!
//! Needs root and a C compiler; without them there is nothing to attach, and the tests say so.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The kernel takes some 80 ms to let go of one tracepoint of perf: with hundreds, waiting for it shows.
const AT_ONCE: Duration = Duration::from_secs(2);

/// How long the process left behind may take.
const LEFT_BEHIND: Duration = Duration::from_secs(150);

const EVENTS: &str = "tracepoint:syscalls:sys_exit_* { @results[args.ret] = count(); }";

const PROBES: &str = "tracepoint:syscalls:sys_enter_* { @calls[probe] = count(); } \
                      uprobe:PROGRAM:f* { @functions[probe] = count(); } \
                      tracepoint:sched:sched_switch { @switches[args.next_pid] = count(); }";

#[test]
fn interrupted() {
    let Some(mut rtrace) = Running::start("interrupted", PROBES) else { return };
    let output = rtrace.interrupt();
    assert!(output.contains("@calls[tracepoint:syscalls:sys_enter_"), "{output}");
    rtrace.assert_gone(AT_ONCE);
}

/// Each of these has an event of perf, which the kernel takes its time to let go of: a process left behind waits for that.
#[test]
fn interrupted_with_hundreds_of_events() {
    let Some(mut rtrace) = Running::start("events", EVENTS) else { return };
    let output = rtrace.interrupt();
    assert!(output.contains("@results["), "{output}");
    rtrace.assert_gone(LEFT_BEHIND);
}

#[test]
fn killed() {
    let Some(mut rtrace) = Running::start("killed", PROBES) else { return };
    rtrace.child.kill().expect("a process");
    rtrace.child.wait().expect("an exit code");
    rtrace.assert_gone(AT_ONCE);
}

/// rtrace with its probes attached.
struct Running {
    child: Child,
    /// Numbers of its programs in the kernel.
    programs: BTreeSet<u32>,
    folder: PathBuf,
}

impl Running {
    fn start(name: &str, probes: &str) -> Option<Running> {
        // SAFETY: there is nothing that could go wrong.
        if unsafe { libc::geteuid() } != 0 || !Path::new("/usr/bin/gcc").exists() {
            eprintln!("skipped: needs root and gcc");
            return None;
        }
        let folder = std::env::temp_dir().join(format!("rtrace-detach-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let program = compile(&folder);
        let mut child = Command::new(env!("CARGO_BIN_EXE_rtrace"))
            .args(["-e", &probes.replace("PROGRAM", &program)])
            .env("BPFTRACE_MAX_PROBES", "5000")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rtrace");
        let mut line = String::new();
        BufReader::new(child.stderr.take().expect("a pipe")).read_line(&mut line).expect("text");
        assert!(line.starts_with("Attached "), "{line}");
        let programs = programs_of(child.id());
        assert!(programs.len() >= 3, "{programs:?}");
        Some(Running { child, programs, folder })
    }

    /// Ends it as Ctrl-C does, which must be at once; what it printed.
    fn interrupt(&mut self) -> String {
        let since = Instant::now();
        Command::new("kill").args(["-INT".to_string(), self.child.id().to_string()]).status().expect("kill");
        let mut output = String::new();
        self.child.stdout.take().expect("a pipe").read_to_string(&mut output).expect("text");
        let status = self.child.wait().expect("an exit code");
        assert!(status.success() && since.elapsed() < AT_ONCE, "{status}, {:?}", since.elapsed());
        output
    }

    /// The kernel frees programs a moment after nothing refers to them any more.
    fn assert_gone(&self, limit: Duration) {
        let since = Instant::now();
        let is_left = |program: &&u32| exists(**program);
        while self.programs.iter().any(|program| is_left(&program)) && since.elapsed() < limit {
            thread::sleep(Duration::from_millis(20));
        }
        let left: Vec<&u32> = self.programs.iter().filter(is_left).collect();
        assert!(left.is_empty(), "{left:?} of {:?} are there after {:?}", self.programs, since.elapsed());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A program with a thousand functions.
fn compile(folder: &Path) -> String {
    let functions: String = (0..1000).map(|number| format!("int f{number}(void) {{ return {number}; }}\n")).collect();
    let source = folder.join("many.c");
    fs::write(&source, format!("{functions}int main(void) {{ return 0; }}\n")).expect("a file");
    let program = folder.join("many");
    let status = Command::new("gcc").arg("-o").arg(&program).arg(&source).status().expect("gcc");
    assert!(status.success());
    program.display().to_string()
}

/// Programs that the descriptors of a process are of.
fn programs_of(process: u32) -> BTreeSet<u32> {
    let entries = fs::read_dir(format!("/proc/{process}/fdinfo")).expect("a process");
    let texts = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let ids = |text: String| {
        let id = |line: &str| line.strip_prefix("prog_id:")?.trim().parse().ok();
        text.lines().filter_map(id).collect::<Vec<u32>>()
    };
    texts.flat_map(ids).collect()
}

/// Asks the kernel for a descriptor of the program with this number.
fn exists(program: u32) -> bool {
    const GET_FD_BY_ID: libc::c_int = 13;
    let mut attr = [0u8; 120];
    attr[..4].copy_from_slice(&program.to_ne_bytes());
    // SAFETY: the block is as large as said.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, GET_FD_BY_ID, attr.as_mut_ptr(), attr.len()) };
    if fd >= 0 {
        // SAFETY: the kernel has just returned this descriptor.
        unsafe { libc::close(fd as libc::c_int) };
    }
    fd >= 0
}
