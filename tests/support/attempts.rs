//! Turns attempts by `bpf(2)` into what the kernel can do. Each asks for something that does not exist, so that a kernel which
//! knows the request complains of that, and nothing is ever attached.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use rtrace::btf::{Btf, Kind};

// Commands, program types and attach types of `linux/bpf.h`.
const PROG_LOAD: i64 = 5;
const PROG_TEST_RUN: i64 = 10;
const LINK_CREATE: i64 = 28;
const KPROBE: u32 = 2;
const RAW_TRACEPOINT: u32 = 17;
const TRACING: u32 = 26;
const TRACE_FENTRY: u32 = 24;
const TRACE_ITER: u32 = 28;
const TRACE_KPROBE_MULTI: u32 = 42;
const TRACE_UPROBE_MULTI: u32 = 48;

/// `r0 = 0; exit`.
const NOTHING: [u64; 2] = [0xb7, 0x95];

/// A function of no name that exists is `ESRCH` to a kernel with these links.
pub fn kprobe_multi() -> bool {
    let symbols = [c"no_such_function".as_ptr()];
    let link = |program: u64| [program, u64::from(TRACE_KPROBE_MULTI), 1 << 32, symbols.as_ptr() as u64, 0, 0];
    failure(attach(TRACE_KPROBE_MULTI, link)) == Some(libc::ESRCH)
}

/// A folder is no program, `EBADF`, to a kernel with these links.
pub fn uprobe_multi() -> bool {
    let (path, offsets) = (c"/".as_ptr() as u64, [0_u64]);
    let link = |program: u64| [program, u64::from(TRACE_UPROBE_MULTI), path, offsets.as_ptr() as u64, 0, 0, 1, 0];
    failure(attach(TRACE_UPROBE_MULTI, link)) == Some(libc::EBADF)
}

pub fn raw_tp_test_run() -> bool {
    let run = |program: OwnedFd| bpf(PROG_TEST_RUN, &mut [program.as_raw_fd() as u64, 0, 0, 0, 0, 0, 0, 0, 0]);
    load(RAW_TRACEPOINT, 0, 0, &NOTHING).and_then(run).is_ok()
}

/// Type 1 is no function, `EINVAL`; a kernel without trampolines does not come to look at it.
pub fn fentry() -> bool {
    failure(load(TRACING, TRACE_FENTRY, 1, &NOTHING)) == Some(libc::EINVAL)
}

/// A kernel with iterators takes a program for one.
pub fn iter() -> bool {
    let task = Btf::open().ok().and_then(|btf| btf.find("bpf_iter_task", Kind::Func));
    task.is_some_and(|id| load(TRACING, TRACE_ITER, id.0, &NOTHING).is_ok())
}

/// A number is no callback, `EACCES`; a kernel without the helper says that there is none.
pub fn bpf_loop() -> bool {
    let zeros = [0x01b7, 0x02b7, 0x03b7, 0x04b7];
    let calls = [zeros.as_slice(), &[181 << 32 | 0x85], &NOTHING].concat();
    failure(load(RAW_TRACEPOINT, 0, 0, &calls)) == Some(libc::EACCES)
}

/// Likewise; a number is no memory to write from.
pub fn write_user() -> bool {
    let calls = [[0x01b7, 0x02b7, 0x03b7].as_slice(), &[36 << 32 | 0x85], &NOTHING].concat();
    failure(load(KPROBE, 0, 0, &calls)) == Some(libc::EACCES)
}

/// Makes a link of a program that does nothing; `link` is given the program's descriptor.
fn attach<const N: usize>(attach_type: u32, link: impl Fn(u64) -> [u64; N]) -> io::Result<i64> {
    let program = load(KPROBE, attach_type, 0, &NOTHING)?;
    bpf(LINK_CREATE, &mut link(program.as_raw_fd() as u64))
}

fn load(kind: u32, attach_type: u32, type_id: u32, insns: &[u64]) -> io::Result<OwnedFd> {
    let pair = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    // The attribute in words of eight bytes: type and count, instructions, licence, no log, flags, name, attach type, and, in the
    // upper half of the last, the type that is attached to.
    let mut attr = [0; 14];
    attr[..3].copy_from_slice(&[pair(kind, insns.len() as u32), insns.as_ptr() as u64, c"GPL".as_ptr() as u64]);
    attr[8] = pair(0, attach_type);
    attr[13] = pair(0, type_id);
    // SAFETY: the kernel has just made this descriptor for us.
    bpf(PROG_LOAD, &mut attr).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn bpf(command: i64, attr: &mut [u64]) -> io::Result<i64> {
    // SAFETY: what the attribute points to outlives the call, and what the kernel writes stays within it.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size_of_val(attr)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn failure<T>(result: io::Result<T>) -> Option<i32> {
    result.err()?.raw_os_error()
}
