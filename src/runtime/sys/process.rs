//! Processes, limits, clocks and waiting.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::{FIRST_FD, owned};

/// Whether each descriptor became readable (or was closed at its other end) within the time; an interruption counts as none.
pub fn wait_readable<const N: usize>(fds: [Option<BorrowedFd<'_>>; N], timeout: Duration) -> io::Result<[bool; N]> {
    // poll(2) passes over entries with a negative descriptor.
    let mut entries =
        fds.map(|fd| libc::pollfd { fd: fd.map_or(-1, |fd| fd.as_raw_fd()), events: libc::POLLIN, revents: 0 });
    let timeout = timeout.as_micros().div_ceil(1000).min(i32::MAX as u128) as i32;
    // SAFETY: the array is as long as said.
    let result = unsafe { libc::poll(entries.as_mut_ptr(), N as libc::nfds_t, timeout) };
    if result < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted { Ok([false; N]) } else { Err(error) };
    }
    Ok(entries.map(|entry| entry.revents != 0))
}

/// Waits until one of the descriptors becomes readable (or closed at its other end), something interrupts, or the time is over.
pub fn wait_any(fds: &[BorrowedFd<'_>], timeout: Duration) -> io::Result<()> {
    let entry = |fd: &BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut entries: Vec<libc::pollfd> = fds.iter().map(entry).collect();
    let timeout = timeout.as_micros().div_ceil(1000).min(i32::MAX as u128) as i32;
    // SAFETY: the array is as long as said.
    let result = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, timeout) };
    match result {
        0.. => Ok(()),
        _ => Some(io::Error::last_os_error())
            .filter(|error| error.kind() != io::ErrorKind::Interrupted)
            .map_or(Ok(()), Err),
    }
}

/// A descriptor that is readable while one of these is.
pub fn any_of<'f>(fds: impl Iterator<Item = BorrowedFd<'f>>) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let group = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if group < 0 {
        return Err(io::Error::last_os_error());
    }
    let group = owned(group);
    for fd in fds {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        // SAFETY: the event lives during the call.
        let added = unsafe { libc::epoll_ctl(group.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event) };
        if added < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(group)
}

/// A descriptor that becomes readable when the process ends.
pub fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(owned(fd as i32)) }
}

pub fn terminate(pid: u32) {
    // SAFETY: no memory is passed. A process that is gone already is what we want.
    unsafe { libc::kill(pid as libc::pid_t, libc::SIGTERM) };
}

/// Collects a child that has ended; does not wait for one that has not.
pub fn reap(pid: u32) {
    // SAFETY: a null status is allowed.
    unsafe { libc::waitpid(pid as libc::pid_t, std::ptr::null_mut(), libc::WNOHANG) };
}

/// Starts a process that waits until `opener` writes to `gate` before it becomes the program. If that fails, its error number goes to
/// `failure` (which closes by itself otherwise); if the gate closes first, it ends.
pub fn spawn_held(
    path: &CStr,
    arguments: &[CString],
    gate: BorrowedFd<'_>,
    opener: BorrowedFd<'_>,
    failure: BorrowedFd<'_>,
) -> io::Result<u32> {
    let mut argv: Vec<*const libc::c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    argv.push(std::ptr::null());
    let (gate, opener, failure) = (gate.as_raw_fd(), opener.as_raw_fd(), failure.as_raw_fd());
    // SAFETY: the child only makes system calls on memory that was ready before the fork, until it execs or exits.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: see above; the strings and the array of pointers are in the copied memory.
        0 => unsafe {
            // Otherwise the child itself would hold its gate open for ever.
            libc::close(opener);
            let mut byte = 0u8;
            if libc::read(gate, (&raw mut byte).cast(), 1) != 1 {
                libc::_exit(0);
            }
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            // It then stops once the new program is mapped. Where that is not permitted, it just runs on.
            libc::ptrace(libc::PTRACE_TRACEME);
            libc::execv(path.as_ptr(), argv.as_ptr());
            let error = io::Error::last_os_error().raw_os_error().unwrap_or(0).to_ne_bytes();
            libc::write(failure, error.as_ptr().cast(), error.len());
            libc::_exit(127)
        },
        pid => Ok(pid as u32),
    }
}

/// Waits until a child of [`spawn_held`] sleeps at its gate (proc(5): state `S`), for a fraction of a second at most.
pub fn wait_sleeping(pid: u32) {
    const LIMIT: Duration = Duration::from_millis(200);
    let since = std::time::Instant::now();
    while since.elapsed() < LIMIT {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name before the state stands in parentheses, and may hold any character.
        if stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('S')) {
            return;
        }
        std::thread::yield_now();
    }
}

/// Whether a child of [`spawn_held`] has come to the stop after its exec; one that may not be traced never will.
pub fn wait_stopped(pid: u32) -> bool {
    const LIMIT: Duration = Duration::from_millis(200);
    let since = std::time::Instant::now();
    while since.elapsed() < LIMIT {
        let mut status = 0;
        // SAFETY: the status is valid for the call.
        let changed = unsafe { libc::waitpid(pid as libc::pid_t, &raw mut status, libc::WNOHANG) };
        if changed != 0 {
            return changed > 0 && libc::WIFSTOPPED(status);
        }
        std::thread::yield_now();
    }
    false
}

/// Lets a stopped child run until it comes to an address, where it stops again. Should it stop earlier, it does so there.
#[cfg(target_arch = "x86_64")]
pub fn run_to(pid: u32, address: u64) {
    const BREAKPOINT: libc::c_long = 0xcc;
    let (child, mut status) = (pid as libc::pid_t, 0);
    // SAFETY: the child is stopped and ours to trace; the addresses passed are its own, or of structures that live during the call.
    unsafe {
        let code = libc::ptrace(libc::PTRACE_PEEKTEXT, child, address, 0);
        if libc::ptrace(libc::PTRACE_POKETEXT, child, address, code & !0xff | BREAKPOINT) != 0 {
            return;
        }
        libc::ptrace(libc::PTRACE_CONT, child, 0, 0);
        if libc::waitpid(child, &raw mut status, 0) != child || !libc::WIFSTOPPED(status) {
            return;
        }
        libc::ptrace(libc::PTRACE_POKETEXT, child, address, code);
        let mut registers: libc::user_regs_struct = std::mem::zeroed();
        libc::ptrace(libc::PTRACE_GETREGS, child, 0, &raw mut registers);
        // The breakpoint's own byte was run.
        if registers.rip == address + 1 {
            registers.rip = address;
            libc::ptrace(libc::PTRACE_SETREGS, child, 0, &raw const registers);
        }
    }
}

/// Unwind tables are not searched on other machines.
#[cfg(not(target_arch = "x86_64"))]
pub fn run_to(_: u32, _: u64) {}

/// Lets a stopped child run on.
pub fn detach(pid: u32) {
    // SAFETY: this request takes no addresses.
    unsafe { libc::ptrace(libc::PTRACE_DETACH, pid as libc::pid_t, 0, 0) };
}

/// Closes descriptors in another process, as closing some of them takes long: that process shares them and lets go last, so that
/// closing them here costs nothing. It is nobody's child, so nobody has to collect it.
pub fn close_elsewhere(fds: Vec<OwnedFd>) -> io::Result<()> {
    let (gate, opener) = io::pipe()?;
    // SAFETY: the child only makes system calls.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above.
        unsafe {
            if libc::fork() == 0 {
                outlast(gate.as_raw_fd());
            }
            libc::_exit(0)
        }
    }
    if child > 0 {
        // SAFETY: a null status is allowed; the child ends at once.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    }
    drop(fds);
    drop(opener);
    Ok(())
}

/// Waits until the gate's other end is closed, holding on to nothing below [`FIRST_FD`]: above all not to standard output, whose
/// reader would wait for us, nor to a copy of that other end.
unsafe fn outlast(gate: i32) {
    let mut byte = 0u8;
    // SAFETY: closing descriptors and reading a byte only touches this process, which does nothing else any more.
    unsafe {
        libc::syscall(libc::SYS_close_range, 0, gate - 1, 0);
        libc::syscall(libc::SYS_close_range, gate + 1, FIRST_FD - 1, 0);
        libc::read(gate, (&raw mut byte).cast(), 1);
    }
}

/// Lifts a soft limit as far as the hard limit allows, or beyond that with privilege.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    OpenFiles,
    LockedMemory,
}

pub fn raise(limit: Limit) {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let (which, wanted) = match limit {
        Limit::OpenFiles => (libc::RLIMIT_NOFILE, None),
        Limit::LockedMemory => (libc::RLIMIT_MEMLOCK, Some(libc::RLIM_INFINITY)),
    };
    // SAFETY: the structure is valid for the call. A limit that cannot be raised shows when it is reached.
    unsafe {
        libc::getrlimit(which, &raw mut now);
        let most = libc::rlimit { rlim_cur: wanted.unwrap_or(now.rlim_max), rlim_max: wanted.unwrap_or(now.rlim_max) };
        if libc::setrlimit(which, &raw const most) != 0 {
            libc::setrlimit(which, &libc::rlimit { rlim_cur: now.rlim_max, rlim_max: now.rlim_max });
        }
    }
}

/// That of this thread over all ordinary ones, but not of its children, for as long as this lives. A higher nice value alone would not
/// do: it counts among the processes of one terminal only, and each terminal gets the same share. The kernel itself keeps some time
/// for the others.
pub struct Precedence {
    /// None where it was had before, by another session of this thread or by whoever started it: they give it back.
    before: Option<libc::sched_attr>,
}

impl Precedence {
    /// Without the privilege, nothing changes.
    pub fn take() -> Precedence {
        let mut before = policy(libc::SCHED_OTHER, 0);
        // SAFETY: the structure is valid for the call and as large as it says.
        unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut before, before.size, 0) };
        if [libc::SCHED_RR, libc::SCHED_FIFO].contains(&(before.sched_policy as i32)) {
            return Precedence { before: None };
        }
        let wanted = policy(libc::SCHED_RR, 1);
        // SAFETY: likewise.
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0) };
        Precedence { before: Some(before) }
    }
}

impl Drop for Precedence {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // SAFETY: the structure is valid for the call and as large as it says.
            unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const *before, 0) };
        }
    }
}

fn policy(policy: i32, priority: u32) -> libc::sched_attr {
    libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: policy as u32,
        sched_flags: libc::SCHED_FLAG_RESET_ON_FORK as u64,
        sched_nice: 0,
        sched_priority: priority,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    }
}

/// Nanoseconds since boot, as programs have them.
pub fn monotonic_time() -> u64 {
    clock(libc::CLOCK_MONOTONIC) as u64
}

/// Nanoseconds since boot, time asleep included.
pub fn boot_time() -> i128 {
    clock(libc::CLOCK_BOOTTIME)
}

/// Nanoseconds since 1970, leap seconds included.
pub fn tai_time() -> i128 {
    clock(libc::CLOCK_TAI)
}

fn clock(clock: libc::clockid_t) -> i128 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is valid for the call, which cannot fail for these clocks.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}
