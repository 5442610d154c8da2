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
    pub place: Place<'a>,
}

/// What kind of place an event is bound to.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    None,
    /// The function or file of kprobes and uprobes, and the offset within it.
    Code {
        name: &'a CStr,
        offset: u64,
    },
    /// An instruction of the kernel.
    Instruction(u64),
    /// The memory that a breakpoint watches.
    Memory {
        address: u64,
        length: u8,
        access: u32,
    },
}

/// Where and for whom to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counting {
    /// -1 for all processes.
    pid: i32,
    /// -1 for all CPUs, which takes a process.
    cpu: i32,
    heirs: Heirs,
}

/// Whether threads that a thread starts are counted with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heirs {
    None,
    /// Since 5.13.
    Threads,
}

impl Counting {
    pub fn on_cpu(cpu: i32) -> Counting {
        Counting { pid: -1, cpu, heirs: Heirs::None }
    }

    pub fn process(pid: u32) -> Counting {
        Counting { pid: pid as i32, cpu: -1, heirs: Heirs::None }
    }

    /// A thread, and perhaps those that it will start.
    pub fn thread(tid: u32, heirs: Heirs) -> Counting {
        Counting { pid: tid as i32, cpu: -1, heirs }
    }
}

/// `PERF_FLAG_FD_CLOEXEC`.
const CLOEXEC: libc::c_ulong = 8;

/// `PERF_FORMAT_TOTAL_TIME_ENABLED`.
const TIME_ENABLED: u64 = 1;

/// When an event begins to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    AtOnce,
    /// By [`enable`].
    WhenTold,
}

pub fn open(event: &Event<'_>, counting: Counting, begin: Begin) -> io::Result<OwnedFd> {
    // SAFETY: the structure consists of integers only, for which zero is a valid value.
    let mut attr: perf_event_attr = unsafe { std::mem::zeroed() };
    attr.type_ = event.kind;
    attr.size = size_of::<perf_event_attr>() as u32;
    attr.config = event.config;
    attr.read_format = TIME_ENABLED;
    attr.set_disabled(u64::from(begin == Begin::WhenTold));
    match event.sample {
        Sample::Frequency(hertz) => {
            attr.set_freq(1);
            attr.__bindgen_anon_1.sample_freq = hertz;
        }
        Sample::Period(events) => attr.__bindgen_anon_1.sample_period = events,
    }
    match event.place {
        Place::None => {}
        Place::Code { name, offset } => {
            attr.__bindgen_anon_3.config1 = name.as_ptr() as u64;
            attr.__bindgen_anon_4.config2 = offset;
        }
        Place::Instruction(address) => attr.__bindgen_anon_4.config2 = address,
        Place::Memory { address, length, access } => {
            attr.bp_type = access;
            attr.__bindgen_anon_3.bp_addr = address;
            attr.__bindgen_anon_4.bp_len = u64::from(length);
        }
    }
    if counting.heirs == Heirs::Threads {
        attr.set_inherit(1);
        attr.set_inherit_thread(1);
    }
    const NO_GROUP: i32 = -1;
    // SAFETY: the structure is of the size it says, and the name it may point at lives during the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            std::ptr::from_ref(&attr),
            counting.pid,
            counting.cpu,
            NO_GROUP,
            CLOEXEC,
        )
    };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(owned(fd as i32)) }
}

/// Runs a program on each occurrence, on kernels without perf links; lasts as long as the event is open.
pub fn set_program(event: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    ioctl(event, PERF_EVENT_IOC_SET_BPF, program.as_raw_fd())?;
    enable(event)
}

/// Begins to count.
pub fn enable(event: BorrowedFd<'_>) -> io::Result<()> {
    ioctl(event, PERF_EVENT_IOC_ENABLE, 0)
}

/// Nanoseconds that the event has been counting.
pub fn enabled(event: BorrowedFd<'_>) -> io::Result<u64> {
    // The count itself comes first.
    let mut values = [0u64; 2];
    // SAFETY: the array is as long as said.
    let length = unsafe { libc::read(event.as_raw_fd(), values.as_mut_ptr().cast(), size_of_val(&values)) };
    if length < 0 { Err(io::Error::last_os_error()) } else { Ok(values[1]) }
}

/// Stops counting at once, without waiting for anything as closing does.
pub fn disable(event: BorrowedFd<'_>) -> io::Result<()> {
    ioctl(event, PERF_EVENT_IOC_DISABLE, 0)
}

fn ioctl(event: BorrowedFd<'_>, request: u32, argument: i32) -> io::Result<()> {
    // SAFETY: these requests take a number, no address.
    let result = unsafe { libc::ioctl(event.as_raw_fd(), request as _, argument) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
