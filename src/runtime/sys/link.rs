//! Links: what holds a program at its place for as long as the descriptor is open.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use aya_obj::generated::bpf_link_info;

use super::{Command, address, attr, bpf, bpf_fd, describe};
use crate::plan::{Extent, Point};

/// `enum bpf_attach_type` of `include/uapi/linux/bpf.h`.
pub const TRACE_FENTRY: u32 = 24;
pub const TRACE_FEXIT: u32 = 25;
pub const TRACE_ITER: u32 = 28;
pub const PERF_EVENT: u32 = 41;
pub const KPROBE_MULTI: u32 = 42;
pub const UPROBE_MULTI: u32 = 48;
pub const TRACE_FENTRY_MULTI: u32 = 59;
pub const TRACE_FEXIT_MULTI: u32 = 60;

/// `BPF_F_KPROBE_MULTI_RETURN` and `BPF_F_UPROBE_MULTI_RETURN`, which are the same.
const MULTI_RETURN: u32 = 1;

/// `enum bpf_link_type` and `enum bpf_perf_event_type`.
const PERF_EVENT_LINK: u32 = 7;
const KPROBE_MULTI_LINK: u32 = 8;
const KPROBE_EVENT: u32 = 3;
const KRETPROBE_EVENT: u32 = 4;

/// `BPF_CGROUP_ITER_DESCENDANTS_PRE`.
const CGROUPS_BELOW: u32 = 2;

/// Runs a program on each occurrence of a perf event (5.15).
pub fn perf(program: BorrowedFd<'_>, event: BorrowedFd<'_>, cookie: u64) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attr.link_create.__bindgen_anon_2.target_fd = event.as_raw_fd() as u32;
    attr.link_create.attach_type = PERF_EVENT;
    attr.link_create.__bindgen_anon_3.perf_event.bpf_cookie = cookie;
    bpf_fd(Command::BPF_LINK_CREATE, &mut attr)
}

/// Puts a program on many kernel functions at once (5.18).
pub fn kprobe_multi(program: BorrowedFd<'_>, functions: &[CString], cookies: &[u64], at: Point) -> io::Result<OwnedFd> {
    assert_eq!(functions.len(), cookies.len());
    let symbols: Vec<u64> = functions.iter().map(|name| name.as_ptr() as u64).collect();
    let mut attr = attr();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attr.link_create.attach_type = KPROBE_MULTI;
    attr.link_create.__bindgen_anon_3.kprobe_multi.flags = flags(at);
    attr.link_create.__bindgen_anon_3.kprobe_multi.cnt = symbols.len() as u32;
    attr.link_create.__bindgen_anon_3.kprobe_multi.syms = address(&symbols);
    attr.link_create.__bindgen_anon_3.kprobe_multi.cookies = address(cookies);
    bpf_fd(Command::BPF_LINK_CREATE, &mut attr)
}

/// A place in a file, that of the counter to be raised while the probe is there, or 0, and what the program is told of the place.
#[derive(Debug, Clone, Copy)]
pub struct Location {
    pub offset: u64,
    pub semaphore: u64,
    pub cookie: u64,
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
    let cookies: Vec<u64> = locations.iter().map(|location| location.cookie).collect();
    let semaphores: Vec<u64> = locations.iter().map(|location| location.semaphore).collect();
    let mut attr = attr();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attr.link_create.attach_type = UPROBE_MULTI;
    attr.link_create.__bindgen_anon_3.uprobe_multi.path = path.as_ptr() as u64;
    attr.link_create.__bindgen_anon_3.uprobe_multi.offsets = address(&offsets);
    attr.link_create.__bindgen_anon_3.uprobe_multi.cookies = address(&cookies);
    if semaphores.iter().any(|semaphore| *semaphore != 0) {
        attr.link_create.__bindgen_anon_3.uprobe_multi.ref_ctr_offsets = address(&semaphores);
    }
    attr.link_create.__bindgen_anon_3.uprobe_multi.cnt = offsets.len() as u32;
    attr.link_create.__bindgen_anon_3.uprobe_multi.flags = flags(at);
    attr.link_create.__bindgen_anon_3.uprobe_multi.pid = pid;
    bpf_fd(Command::BPF_LINK_CREATE, &mut attr)
}

/// Puts a program on a raw tracepoint. Kernels before 6.10 take no cookie but 0.
pub fn raw_tracepoint(program: BorrowedFd<'_>, event: &CStr, cookie: u64) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.raw_tracepoint.name = event.as_ptr() as u64;
    attr.raw_tracepoint.prog_fd = program.as_raw_fd() as u32;
    attr.raw_tracepoint.cookie = cookie;
    bpf_fd(Command::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

/// Makes an iterator of a program (5.8): what its file is to visit.
pub fn iterator(program: BorrowedFd<'_>, over: Extent) -> io::Result<OwnedFd> {
    // `union bpf_iter_link_info`: the order of control groups, or a thread and a process.
    let info: [u32; 4] = match over {
        Extent::All => [0; 4],
        Extent::Process(pid) => [0, pid, 0, 0],
        Extent::Cgroups => [CGROUPS_BELOW, 0, 0, 0],
    };
    let mut attr = attr();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attr.link_create.attach_type = TRACE_ITER;
    if over != Extent::All {
        attr.link_create.__bindgen_anon_3.__bindgen_anon_1.iter_info = address(&info);
        attr.link_create.__bindgen_anon_3.__bindgen_anon_1.iter_info_len = size_of_val(&info) as u32;
    }
    bpf_fd(Command::BPF_LINK_CREATE, &mut attr)
}

/// A file that runs an iterator while it is read, once.
pub fn visit(iterator: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.iter_create.link_fd = iterator.as_raw_fd() as u32;
    bpf_fd(Command::BPF_ITER_CREATE, &mut attr)
}

/// Gives something of the kernel a name in its own file system, where it stays.
pub fn pin(object: BorrowedFd<'_>, path: &CStr) -> io::Result<()> {
    let mut attr = attr();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    attr.__bindgen_anon_4.bpf_fd = object.as_raw_fd() as u32;
    bpf(Command::BPF_OBJ_PIN, &mut attr).map(drop)
}

/// What a program is loaded for that is put on one function, or on many.
pub fn tracing(at: Point) -> u32 {
    match at {
        Point::Entry => TRACE_FENTRY,
        Point::Return => TRACE_FEXIT,
    }
}

pub fn tracing_many(at: Point) -> u32 {
    match at {
        Point::Entry => TRACE_FENTRY_MULTI,
        Point::Return => TRACE_FEXIT_MULTI,
    }
}

/// Puts a program at the function that it was bound to when it was loaded.
pub fn trampoline(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.raw_tracepoint.prog_fd = program.as_raw_fd() as u32;
    bpf_fd(Command::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

/// The same, and the program is told the number of its target (5.19).
pub fn trampoline_with_cookie(program: BorrowedFd<'_>, cookie: u64, at: Point) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attr.link_create.attach_type = tracing(at);
    attr.link_create.__bindgen_anon_3.tracing.cookie = cookie;
    bpf_fd(Command::BPF_LINK_CREATE, &mut attr)
}

/// Puts a program at many functions, by the numbers of their types (7.2).
pub fn tracing_multi(program: BorrowedFd<'_>, types: &[u32], cookies: &[u64], at: Point) -> io::Result<OwnedFd> {
    assert_eq!(types.len(), cookies.len());
    let mut attr = attr();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attr.link_create.attach_type = tracing_many(at);
    // The bindings are older than this link. Its block begins as that of uprobes does, with two addresses and a third word: the
    // types, the cookies, and how many there are.
    attr.link_create.__bindgen_anon_3.uprobe_multi.path = address(types);
    attr.link_create.__bindgen_anon_3.uprobe_multi.offsets = address(cookies);
    attr.link_create.__bindgen_anon_3.uprobe_multi.ref_ctr_offsets = types.len() as u64;
    bpf_fd(Command::BPF_LINK_CREATE, &mut attr)
}

/// How often a link on kernel functions could not run its program: too many calls were under way, or one within a probe's handler.
pub fn missed(link: BorrowedFd<'_>) -> io::Result<u64> {
    // SAFETY: the structure consists of integers only, for which zero is a valid value.
    let mut info: bpf_link_info = unsafe { std::mem::zeroed() };
    describe(link, &mut info)?;
    // SAFETY: all fields of the unions are plain numbers, and the kernel has filled in those of the type it names.
    unsafe {
        let event = info.__bindgen_anon_1.perf_event;
        Ok(match (info.type_, event.type_) {
            (KPROBE_MULTI_LINK, _) => info.__bindgen_anon_1.kprobe_multi.missed,
            (PERF_EVENT_LINK, KPROBE_EVENT | KRETPROBE_EVENT) => event.__bindgen_anon_1.kprobe.missed,
            _ => 0,
        })
    }
}

fn flags(at: Point) -> u32 {
    match at {
        Point::Entry => 0,
        Point::Return => MULTI_RETURN,
    }
}
