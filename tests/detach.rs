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

/// Kernel stacks begin where perf's tracepoints have them.
const EVENTS: &str =
    "tracepoint:syscalls:sys_exit_* { @results[1] = count(); if (args.ret == -4097) { @[kstack] = count(); } }";

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

/// While the process left behind waits, programs are still there; they must do nothing more.
#[test]
fn nothing_is_counted_after_the_end() {
    let Some(mut rtrace) = Running::start("over", EVENTS) else { return };
    let map = map_of(rtrace.child.id(), "AT_results").expect("the map");
    rtrace.interrupt();
    let before = first_value(map);
    assert!(before.iter().any(|byte| *byte != 0), "something was counted");
    for _ in 0..1000 {
        // SAFETY: there is nothing that could go wrong.
        unsafe { libc::syscall(libc::SYS_getppid) };
    }
    assert_eq!(before, first_value(map));
    // SAFETY: the descriptor was opened above, and nobody else has it.
    unsafe { libc::close(map) };
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
        assert!(!programs.is_empty(), "nothing was loaded");
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

/// A descriptor of the map with this name among those of a process.
fn map_of(process: u32, name: &str) -> Option<libc::c_int> {
    const GET_FD_BY_ID: libc::c_int = 14;
    const GET_INFO: libc::c_int = 15;
    /// Where `struct bpf_map_info` has the name.
    const NAME: usize = 24;
    let entries = fs::read_dir(format!("/proc/{process}/fdinfo")).expect("a process");
    let texts = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let id = |text: String| text.lines().find_map(|line| line.strip_prefix("map_id:")?.trim().parse::<u32>().ok());
    texts.filter_map(id).find_map(|id| {
        let mut attr = [0u8; 120];
        attr[..4].copy_from_slice(&id.to_ne_bytes());
        let fd = bpf(GET_FD_BY_ID, &mut attr).ok()? as libc::c_int;
        let mut info = [0u8; 88];
        let mut attr = [0u8; 120];
        attr[..4].copy_from_slice(&fd.to_ne_bytes());
        attr[4..8].copy_from_slice(&88u32.to_ne_bytes());
        attr[8..16].copy_from_slice(&(info.as_mut_ptr() as u64).to_ne_bytes());
        bpf(GET_INFO, &mut attr).ok()?;
        info[NAME..].starts_with(format!("{name}\0").as_bytes()).then_some(fd)
    })
}

/// What the first key of a map of numbers has on all CPUs.
fn first_value(map: libc::c_int) -> Vec<u8> {
    const LOOKUP: libc::c_int = 1;
    const NEXT_KEY: libc::c_int = 4;
    let (mut key, mut value) = ([0u8; 64], vec![0u8; 1 << 16]);
    let mut attr = [0u8; 120];
    attr[..4].copy_from_slice(&map.to_ne_bytes());
    attr[16..24].copy_from_slice(&(key.as_mut_ptr() as u64).to_ne_bytes());
    bpf(NEXT_KEY, &mut attr).expect("a key");
    attr[8..16].copy_from_slice(&(key.as_mut_ptr() as u64).to_ne_bytes());
    attr[16..24].copy_from_slice(&(value.as_mut_ptr() as u64).to_ne_bytes());
    bpf(LOOKUP, &mut attr).expect("a value");
    value
}

fn bpf(command: libc::c_int, attr: &mut [u8; 120]) -> std::io::Result<libc::c_long> {
    // SAFETY: the block is as large as said, and callers keep what it points at.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), attr.len()) };
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}

/// Asks the kernel for a descriptor of the program with this number.
fn exists(program: u32) -> bool {
    const GET_FD_BY_ID: libc::c_int = 13;
    let mut attr = [0u8; 120];
    attr[..4].copy_from_slice(&program.to_ne_bytes());
    let fd = bpf(GET_FD_BY_ID, &mut attr).unwrap_or(-1);
    if fd >= 0 {
        // SAFETY: the kernel has just returned this descriptor.
        unsafe { libc::close(fd as libc::c_int) };
    }
    fd >= 0
}
