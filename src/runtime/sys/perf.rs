//! Perf events: tracepoints, probes of the kprobe and uprobe event sources, clocks and counters.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use aya_obj::generated::{PERF_EVENT_IOC_DISABLE, PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_SET_BPF, perf_event_attr};

use super::owned;
use crate::plan::Sample;

/// What to count.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// `perf_event_attr.type`.
    pub kind: u32,
    pub config: u64,
    pub sample: Sample,
    /// The function or file of kprobes and uprobes, and the offset within it.
    pub place: Option<(&'a CStr, u64)>,
}

/// Where to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// -1 for all processes.
    pub pid: i32,
    /// -1 for all CPUs, which takes a process.
    pub cpu: i32,
}

/// `PERF_FLAG_FD_CLOEXEC`.
const CLOEXEC: libc::c_ulong = 8;

/// Opens an event, already counting.
pub fn open(event: &Event<'_>, scope: Scope) -> io::Result<OwnedFd> {
    // SAFETY: the structure consists of integers only, for which zero is a valid value.
    let mut attr: perf_event_attr = unsafe { std::mem::zeroed() };
    attr.type_ = event.kind;
    attr.size = size_of::<perf_event_attr>() as u32;
    attr.config = event.config;
    match event.sample {
        Sample::Frequency(hertz) => {
            attr.set_freq(1);
            attr.__bindgen_anon_1.sample_freq = hertz;
        }
        Sample::Period(events) => attr.__bindgen_anon_1.sample_period = events,
    }
    if let Some((name, offset)) = event.place {
        attr.__bindgen_anon_3.config1 = name.as_ptr() as u64;
        attr.__bindgen_anon_4.config2 = offset;
    }
    const NO_GROUP: i32 = -1;
    // SAFETY: the structure is of the size it says, and the name it may point at lives during the call.
    let fd = unsafe {
        libc::syscall(libc::SYS_perf_event_open, std::ptr::from_ref(&attr), scope.pid, scope.cpu, NO_GROUP, CLOEXEC)
    };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(owned(fd as i32)) }
}

/// Runs a program on each occurrence, on kernels without perf links; lasts as long as the event is open.
pub fn set_program(event: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    ioctl(event, PERF_EVENT_IOC_SET_BPF, program.as_raw_fd())?;
    ioctl(event, PERF_EVENT_IOC_ENABLE, 0)
}

/// Stops counting at once, without waiting for anything as closing does.
pub fn disable(event: BorrowedFd<'_>) -> io::Result<()> {
    ioctl(event, PERF_EVENT_IOC_DISABLE, 0)
}

fn ioctl(event: BorrowedFd<'_>, request: u32, argument: i32) -> io::Result<()> {
    // SAFETY: these requests take a number, no address.
    let result = unsafe { libc::ioctl(event.as_raw_fd(), request.into(), argument) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
