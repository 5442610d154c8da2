//! Links: what holds a program at its place for as long as the descriptor is open.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::{Command, address, attr, bpf_fd};
use crate::plan::Point;

/// `enum bpf_attach_type` of `include/uapi/linux/bpf.h`.
pub const PERF_EVENT: u32 = 41;
pub const KPROBE_MULTI: u32 = 42;
pub const UPROBE_MULTI: u32 = 48;

/// `BPF_F_KPROBE_MULTI_RETURN` and `BPF_F_UPROBE_MULTI_RETURN`, which are the same.
const MULTI_RETURN: u32 = 1;

/// Runs a program on each occurrence of a perf event (5.15).
pub fn perf(program: BorrowedFd<'_>, event: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attr.link_create.__bindgen_anon_2.target_fd = event.as_raw_fd() as u32;
    attr.link_create.attach_type = PERF_EVENT;
    bpf_fd(Command::BPF_LINK_CREATE, &mut attr)
}

/// Puts a program on many kernel functions at once (5.18).
pub fn kprobe_multi(program: BorrowedFd<'_>, functions: &[CString], at: Point) -> io::Result<OwnedFd> {
    let symbols: Vec<u64> = functions.iter().map(|name| name.as_ptr() as u64).collect();
    let mut attr = attr();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attr.link_create.attach_type = KPROBE_MULTI;
    attr.link_create.__bindgen_anon_3.kprobe_multi.flags = flags(at);
    attr.link_create.__bindgen_anon_3.kprobe_multi.cnt = symbols.len() as u32;
    attr.link_create.__bindgen_anon_3.kprobe_multi.syms = address(&symbols);
    bpf_fd(Command::BPF_LINK_CREATE, &mut attr)
}

/// A place in a file, and that of the counter to be raised while the probe is there, or 0.
#[derive(Debug, Clone, Copy)]
pub struct Location {
    pub offset: u64,
    pub semaphore: u64,
}

/// Puts a program on many places of one file at once (6.6). A `pid` of 0 means all processes.
pub fn uprobe_multi(
    program: BorrowedFd<'_>,
    path: &CStr,
    locations: &[Location],
    at: Point,
    pid: u32,
) -> io::Result<OwnedFd> {
    let offsets: Vec<u64> = locations.iter().map(|location| location.offset).collect();
    let semaphores: Vec<u64> = locations.iter().map(|location| location.semaphore).collect();
    let mut attr = attr();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attr.link_create.attach_type = UPROBE_MULTI;
    attr.link_create.__bindgen_anon_3.uprobe_multi.path = path.as_ptr() as u64;
    attr.link_create.__bindgen_anon_3.uprobe_multi.offsets = address(&offsets);
    if semaphores.iter().any(|semaphore| *semaphore != 0) {
        attr.link_create.__bindgen_anon_3.uprobe_multi.ref_ctr_offsets = address(&semaphores);
    }
    attr.link_create.__bindgen_anon_3.uprobe_multi.cnt = offsets.len() as u32;
    attr.link_create.__bindgen_anon_3.uprobe_multi.flags = flags(at);
    attr.link_create.__bindgen_anon_3.uprobe_multi.pid = pid;
    bpf_fd(Command::BPF_LINK_CREATE, &mut attr)
}

/// Puts a program on a raw tracepoint.
pub fn raw_tracepoint(program: BorrowedFd<'_>, event: &CStr) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.raw_tracepoint.name = event.as_ptr() as u64;
    attr.raw_tracepoint.prog_fd = program.as_raw_fd() as u32;
    bpf_fd(Command::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

fn flags(at: Point) -> u32 {
    match at {
        Point::Entry => 0,
        Point::Return => MULTI_RETURN,
    }
}
