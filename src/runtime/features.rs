//! What only trying tells: whether this kernel makes multi links, and the like. Most attempts name something that does not exist, so
//! that a kernel that knows the link complains of that; nothing is ever attached.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::load::program_type;
use super::sys::{link, program};
use crate::bpf::insn::{Insn, Reg, Source};
use crate::btf::{Btf, Kind, TypeId};
use crate::kernel::Feature;
use crate::plan::{Point, ProgKind};

/// `r0 = 0; exit`.
const NOTHING: [Insn; 2] = [Insn { code: 0xb7, regs: 0, off: 0, imm: 0 }, Insn { code: 0x95, regs: 0, off: 0, imm: 0 }];

/// Whether the kernel accepts multi links of this kind. Features that a file or the version tells are not asked for here.
pub fn probe(feature: Feature, btf: Option<&Btf>) -> bool {
    match feature {
        Feature::KprobeMulti => refuses_with(libc::ESRCH, kprobe_on_nothing()),
        Feature::UprobeMulti => refuses_with(libc::EBADF, uprobe_on_folder()),
        Feature::Trampolines => refuses_with(libc::EINVAL, trampoline_at_number()),
        Feature::TracingMulti => for_many_functions().is_ok(),
        Feature::Iterators => btf.is_some_and(visits_tasks),
        Feature::Call { function, from } => btf.is_some_and(|btf| may_call(function, from, btf)),
        Feature::Kprobes
        | Feature::PerfLink
        | Feature::TracingCookie
        | Feature::FuncResult
        | Feature::Loop
        | Feature::ForEachMapElem
        | Feature::PerCpuLookup
        | Feature::LoopRounds
        | Feature::LargeKeys
        | Feature::FuncIp
        | Feature::UnallocatedHash
        | Feature::Cookie
        | Feature::RawTracepointCookie
        | Feature::TaiClock
        | Feature::RawTracepointsUnpreempted
        | Feature::TaskPointers
        | Feature::ModuleBtf => false,
    }
}

/// A kernel with kprobe multi links finds no function of this name.
fn kprobe_on_nothing() -> io::Result<OwnedFd> {
    link::kprobe_multi(
        for_link(link::KPROBE_MULTI)?.as_fd(),
        &[c"rtrace has no such function".into()],
        &[0],
        Point::Entry,
    )
}

/// A kernel with uprobe multi links finds that a folder is no program.
fn uprobe_on_folder() -> io::Result<OwnedFd> {
    link::uprobe_multi(for_link(link::UPROBE_MULTI)?.as_fd(), c"/", &[NOWHERE], Point::Entry, 0)
}

const NOWHERE: link::Location = link::Location { offset: 0, semaphore: 0, cookie: 0 };

/// A kernel with trampolines finds that type 1, a number, is no function; others do not come to look at it.
fn trampoline_at_number() -> io::Result<OwnedFd> {
    load(program::NewProgram {
        kind: program_type(ProgKind::Tracing),
        expected_attach_type: link::TRACE_FENTRY,
        type_id: 1,
        ..trial()
    })
}

/// A program for many functions is bound to none when it is loaded; other kernels do not know the kind.
fn for_many_functions() -> io::Result<OwnedFd> {
    load(program::NewProgram {
        kind: program_type(ProgKind::Tracing),
        expected_attach_type: link::TRACE_FENTRY_MULTI,
        ..trial()
    })
}

/// The iterator over tasks, as old as any, is loaded, which attaches nothing.
fn visits_tasks(btf: &Btf) -> bool {
    let load_for = |TypeId(type_id)| {
        load(program::NewProgram {
            kind: program_type(ProgKind::Tracing),
            expected_attach_type: link::TRACE_ITER,
            type_id,
            ..trial()
        })
    };
    btf.find("bpf_iter_task", Kind::Func).is_some_and(|id| load_for(id).is_ok())
}

/// The verifier first asks whether programs of this kind may call the function at all, and then what they hand over. The log tells how far
/// it came.
fn may_call(function: TypeId, from: ProgKind, btf: &Btf) -> bool {
    let (expected_attach_type, bound) = match from {
        ProgKind::Tracing => (link::TRACE_FENTRY, btf.find("bpf_fentry_test1", Kind::Func)),
        ProgKind::ManyTracing => (link::TRACE_FENTRY_MULTI, None),
        ProgKind::Iterator => (link::TRACE_ITER, btf.find("bpf_iter_task", Kind::Func)),
        ProgKind::Kprobe | ProgKind::Tracepoint | ProgKind::RawTracepoint | ProgKind::PerfEvent | ProgKind::Xdp => {
            (0, None)
        }
    };
    let zero = |register| Insn::mov(Reg(register), Source::Imm(0));
    let mut insns: Vec<Insn> = (1..=5).map(zero).collect();
    insns.push(Insn::call_kernel(function.0));
    insns.extend(NOTHING);
    let new = program::NewProgram {
        kind: program_type(from),
        expected_attach_type,
        type_id: bound.map_or(0, |TypeId(id)| id),
        insns: &insns,
        ..trial()
    };
    let mut log = vec![0; 16 << 10];
    match program::load(&new, &mut log) {
        Ok(_) => true,
        Err(_) => {
            let log = String::from_utf8_lossy(&log);
            log.contains("(85) call ") && !["is not allowed", "reserved fields"].iter().any(|no| log.contains(no))
        }
    }
}

fn for_link(expected_attach_type: u32) -> io::Result<OwnedFd> {
    load(program::NewProgram { expected_attach_type, ..trial() })
}

fn trial() -> program::NewProgram<'static> {
    program::NewProgram {
        kind: program_type(ProgKind::Kprobe),
        expected_attach_type: 0,
        type_id: 0,
        home: None,
        insns: &NOTHING,
        name: "rtrace_trial",
        license: c"GPL",
        btf: None,
    }
}

fn load(new: program::NewProgram<'_>) -> io::Result<OwnedFd> {
    program::load(&new, &mut [])
}

fn refuses_with(errno: i32, attempt: io::Result<OwnedFd>) -> bool {
    attempt.is_err_and(|error| error.raw_os_error() == Some(errno))
}
