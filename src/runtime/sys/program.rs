//! BPF programs: loading them with their BTF, and running them by hand.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use aya_obj::generated::bpf_prog_info;

use super::{Command, address, attr, bpf, bpf_fd, describe, object_name};
use crate::bpf::btf::{FUNC_INFO, LINE_INFO, ProgramBtf};
use crate::bpf::unit::Insn;

/// Arguments of `BPF_PROG_LOAD`.
pub struct NewProgram<'a> {
    pub kind: u32,
    /// 0, or the `bpf_attach_type` that multi links need.
    pub expected_attach_type: u32,
    /// The type of the function that tracing programs are bound to; 0 for others.
    pub type_id: u32,
    /// Whose type that is, if not the kernel's: the module's types, or the program.
    pub home: Option<BorrowedFd<'a>>,
    pub insns: &'a [Insn],
    pub name: &'a str,
    pub license: &'a CStr,
    /// The program's own types, with their loaded form.
    pub btf: Option<(BorrowedFd<'a>, &'a ProgramBtf)>,
}

/// Bytes of memory that a raw tracepoint program may read as its arguments: twelve words, the most there can be.
const CONTEXT: [u64; 12] = [0; 12];

/// An Ethernet frame of the least size.
const PACKET: [u8; 64] = [0; 64];

/// Verifies and loads. The verifier writes its log into `log`, if that is not empty.
pub fn load(new: &NewProgram<'_>, log: &mut [u8]) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.__bindgen_anon_3.prog_type = new.kind;
    attr.__bindgen_anon_3.expected_attach_type = new.expected_attach_type;
    attr.__bindgen_anon_3.attach_btf_id = new.type_id;
    if let Some(home) = new.home {
        attr.__bindgen_anon_3.__bindgen_anon_1.attach_btf_obj_fd = home.as_raw_fd() as u32;
    }
    attr.__bindgen_anon_3.insns = address(new.insns);
    attr.__bindgen_anon_3.insn_cnt = new.insns.len() as u32;
    attr.__bindgen_anon_3.license = new.license.as_ptr() as u64;
    attr.__bindgen_anon_3.prog_name = object_name(new.name);
    if !log.is_empty() {
        attr.__bindgen_anon_3.log_level = 1;
        attr.__bindgen_anon_3.log_size = log.len() as u32;
        attr.__bindgen_anon_3.log_buf = log.as_mut_ptr() as u64;
    }
    if let Some((fd, btf)) = new.btf {
        attr.__bindgen_anon_3.prog_btf_fd = fd.as_raw_fd() as u32;
        attr.__bindgen_anon_3.func_info = address(&btf.func_info);
        attr.__bindgen_anon_3.func_info_rec_size = FUNC_INFO;
        attr.__bindgen_anon_3.func_info_cnt = btf.func_info.len() as u32 / FUNC_INFO;
        attr.__bindgen_anon_3.line_info = address(&btf.line_info);
        attr.__bindgen_anon_3.line_info_rec_size = LINE_INFO;
        attr.__bindgen_anon_3.line_info_cnt = btf.line_info.len() as u32 / LINE_INFO;
    }
    bpf_fd(Command::BPF_PROG_LOAD, &mut attr)
}

/// Loads types.
pub fn load_btf(blob: &[u8]) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.__bindgen_anon_7.btf = address(blob);
    attr.__bindgen_anon_7.btf_size = blob.len() as u32;
    bpf_fd(Command::BPF_BTF_LOAD, &mut attr)
}

/// Runs a raw tracepoint program once, with arguments that are all zero; gives what it returns.
pub fn test_run(program: BorrowedFd<'_>) -> io::Result<u32> {
    let mut attr = attr();
    attr.test.prog_fd = program.as_raw_fd() as u32;
    attr.test.ctx_in = address(&CONTEXT);
    attr.test.ctx_size_in = size_of_val(&CONTEXT) as u32;
    bpf(Command::BPF_PROG_TEST_RUN, &mut attr)?;
    // SAFETY: all fields of the union are plain numbers, and the kernel has filled this one in.
    Ok(unsafe { attr.test.retval })
}

/// Runs an XDP program so many times on a packet of zeros; gives the nanoseconds that one run took on average.
pub fn bench_run(program: BorrowedFd<'_>, times: u32) -> io::Result<u32> {
    let mut attr = attr();
    attr.test.prog_fd = program.as_raw_fd() as u32;
    attr.test.data_in = address(&PACKET);
    attr.test.data_size_in = size_of_val(&PACKET) as u32;
    attr.test.repeat = times;
    bpf(Command::BPF_PROG_TEST_RUN, &mut attr)?;
    // SAFETY: as above.
    Ok(unsafe { attr.test.duration })
}

/// How often the program was not run, as it was running already.
pub fn missed(program: BorrowedFd<'_>) -> io::Result<u64> {
    info(program).map(|info| info.recursion_misses)
}

/// Runs, the nanoseconds they took, and runs that were missed, as far as the kernel counts them.
pub fn usage(program: BorrowedFd<'_>) -> io::Result<[u64; 3]> {
    info(program).map(|info| [info.run_cnt, info.run_time_ns, info.recursion_misses])
}

/// Has the kernel count and time all runs of programs as long as the descriptor is open (5.8).
pub fn enable_stats() -> io::Result<OwnedFd> {
    let mut attr = attr();
    // `BPF_STATS_RUN_TIME`, which is the only kind there is.
    attr.enable_stats.type_ = 0;
    bpf_fd(Command::BPF_ENABLE_STATS, &mut attr)
}

/// All that the kernel says of a program, but for what it has no room for here.
pub(super) fn info(program: BorrowedFd<'_>) -> io::Result<bpf_prog_info> {
    // SAFETY: the structure consists of integers only, for which zero is a valid value.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    describe(program, &mut info)?;
    Ok(info)
}
