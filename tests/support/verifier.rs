//! Instructions to the kernel's own verifier, by `bpf(2)`; nothing is attached.

use std::os::fd::{FromRawFd, OwnedFd};

use rtrace::bpf::insn::Insn;

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_BTF_LOAD: libc::c_int = 18;
const RAW_TRACEPOINT: u32 = 17;

/// The part of `union bpf_attr` that loading a program uses (`linux/bpf.h`), without padding, which would have to be zero.
#[repr(C)]
#[derive(Default)]
pub struct Load {
    pub kind: u32,
    pub insn_count: u32,
    pub insns: u64,
    pub license: u64,
    pub log_level: u32,
    pub log_size: u32,
    pub log: u64,
    pub kernel_version: u32,
    pub flags: u32,
    pub name: [u8; 16],
    pub ifindex: u32,
    pub attach_type: u32,
    pub btf: u32,
    pub func_info_size: u32,
    pub func_info: u64,
    pub func_info_count: u32,
    pub line_info_size: u32,
    pub line_info: u64,
    pub line_info_count: u32,
    pub attach_btf_id: u32,
}

/// The part of `union bpf_attr` that loading BTF uses.
#[repr(C)]
struct LoadBtf {
    btf: u64,
    log: u64,
    size: u32,
    log_size: u32,
    log_level: u32,
    /// What follows must be zero on kernels that do not know it.
    unknown: u32,
}

/// Why a program was not loaded.
#[derive(Debug)]
pub enum Refusal {
    /// This process may not load programs at all.
    NotAllowed,
    /// The verifier's log.
    Rejected(String),
}

/// Loads a raw tracepoint program; `prepare` adds what goes beyond instructions.
pub fn load(insns: &[Insn], prepare: impl FnOnce(&mut Load)) -> Result<(OwnedFd, String), Refusal> {
    let mut log = vec![0u8; 1 << 22];
    let mut attr = Load {
        kind: RAW_TRACEPOINT,
        insn_count: insns.len() as u32,
        insns: insns.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 1,
        log_size: log.len() as u32,
        log: log.as_mut_ptr() as u64,
        ..Load::default()
    };
    prepare(&mut attr);
    match call(BPF_PROG_LOAD, &attr, &mut log) {
        Ok(fd) => Ok((fd, String::from_utf8_lossy(&log).into_owned())),
        Err(refusal) => Err(refusal),
    }
}

/// Loads type information.
pub fn load_btf(blob: &[u8]) -> Result<OwnedFd, Refusal> {
    let mut log = vec![0u8; 1 << 16];
    let attr = LoadBtf {
        btf: blob.as_ptr() as u64,
        log: log.as_mut_ptr() as u64,
        size: blob.len() as u32,
        log_size: log.len() as u32,
        log_level: 1,
        unknown: 0,
    };
    call(BPF_BTF_LOAD, &attr, &mut log)
}

/// Runs a command that makes a descriptor; afterwards the log ends at its NUL.
fn call<T>(command: libc::c_int, attr: &T, log: &mut Vec<u8>) -> Result<OwnedFd, Refusal> {
    // SAFETY: the attribute and all that it points to outlive the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<T>()) };
    let error = std::io::Error::last_os_error();
    log.truncate(log.iter().position(|byte| *byte == 0).unwrap_or(0));
    if fd >= 0 {
        // SAFETY: the kernel just made this descriptor for us.
        return Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) });
    }
    match error.raw_os_error() {
        Some(libc::EPERM) if log.is_empty() => Err(Refusal::NotAllowed),
        _ => Err(Refusal::Rejected(format!("{error}\n{}", String::from_utf8_lossy(log)))),
    }
}

/// The first two numbers of the running kernel's version.
pub fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
