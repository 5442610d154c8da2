//! The system calls of the runtime: `bpf(2)`, `perf_event_open(2)` and a few around processes. Nothing else here is unsafe.

pub mod link;
pub mod map;
pub mod object;
pub mod perf;
pub mod process;
pub mod program;
pub mod ring;
pub mod terminal;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

pub use aya_obj::generated::bpf_attr;
pub use aya_obj::generated::bpf_cmd as Command;

/// Descriptors below this number are left to code that uses `select(2)`, which cannot handle higher ones.
const FIRST_FD: i32 = 1024;

/// An argument block with all bytes zero, as the kernel demands of what is not used.
fn attr() -> bpf_attr {
    // SAFETY: the union consists of integers only, for which zero is a valid value.
    unsafe { std::mem::zeroed() }
}

/// Calls `bpf(2)`.
fn bpf(command: Command, attr: &mut bpf_attr) -> io::Result<i64> {
    // SAFETY: the block is as large as said, and each caller keeps what its addresses point at alive during the call.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command as libc::c_long, std::ptr::from_mut(attr), size_of::<bpf_attr>())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Calls a `bpf(2)` command that makes a descriptor.
fn bpf_fd(command: Command, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    bpf(command, attr).map(|fd| owned(fd as i32))
}

/// Fills in what the kernel has to say; addresses in it are of buffers that the caller keeps.
fn describe<T>(fd: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    let mut attr = attr();
    attr.info.bpf_fd = fd.as_raw_fd() as u32;
    attr.info.info_len = size_of::<T>() as u32;
    attr.info.info = std::ptr::from_mut(info) as u64;
    bpf(Command::BPF_OBJ_GET_INFO_BY_FD, &mut attr).map(drop)
}

/// Takes a descriptor just made by the kernel, and moves it out of the way.
fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has just returned this descriptor, so nobody else owns it.
    let low = unsafe { OwnedFd::from_raw_fd(fd) };
    // There is no room above when the limit on open files is low; then the low number must do.
    duplicate(low.as_fd()).unwrap_or(low)
}

/// A second descriptor of the same thing, out of the way.
pub fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: duplicating touches no memory.
    let high = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, FIRST_FD) };
    if high < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned this descriptor, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(high) })
}

/// The address of a slice, as the kernel takes it.
fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr() as u64
}

/// The name of a map or program: at most 15 characters and a NUL.
fn object_name(name: &str) -> [libc::c_char; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes[..15].iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    bytes
}
