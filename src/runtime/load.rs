//! A unit becomes a program in the kernel: descriptors filled in, types and lines attached, and the verifier's objections told in
//! terms of the script.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::homes::Descriptors;
use super::maps::Maps;
use super::refusal::refused;
use super::sys;
use super::sys::program::{self, NewProgram};
use super::verdict::{Verdict, last_insn, verdict};
use crate::bpf::btf::program_btf;
use crate::bpf::unit::{Insn, RelocTarget, Unit};
use crate::error::{Error, Result};
use crate::kernel::Home;
use crate::plan::{Attach, ProgKind, Target};
use crate::source::{Sources, Span};

/// Everything that loading a unit needs beside the unit.
pub struct Loader<'a> {
    maps: &'a Maps,
    sources: &'a Sources,
    license: CString,
    homes: Descriptors,
}

/// What a program is loaded for.
#[derive(Clone, Copy)]
pub struct Purpose<'a> {
    /// 0, or the kind of link where that must be told.
    pub expected_attach_type: u32,
    /// The function that it is bound to, or 0.
    pub type_id: u32,
    /// Where that lies.
    pub home: &'a Home,
    /// The first of the targets.
    pub target: &'a Target,
}

impl Purpose<'_> {
    /// What a program of this kind must know of its target, unless that is for a multi link on probes.
    pub fn of(kind: ProgKind, target: &Target) -> Purpose<'_> {
        let (expected_attach_type, type_id, home) = match &target.attach {
            Attach::Trampoline { home, at, .. } if kind == ProgKind::ManyTracing => {
                (sys::link::tracing_many(*at), 0, home)
            }
            Attach::Trampoline { home, type_id, at, .. } => (sys::link::tracing(*at), *type_id, home),
            Attach::Iterator { type_id, .. } => (sys::link::TRACE_ITER, *type_id, &Home::Kernel),
            _ => (0, 0, &Home::Kernel),
        };
        Purpose { expected_attach_type, type_id, home, target }
    }
}

/// Source registers of 64-bit immediates that stand for maps: `BPF_PSEUDO_MAP_FD` and `BPF_PSEUDO_MAP_VALUE`.
const MAP: u8 = 1 << 4;
const MAP_VALUE: u8 = 2 << 4;

/// Room for the verifier's log, when there is one to ask for.
const LOG_BYTES: usize = 16 << 20;

impl<'a> Loader<'a> {
    pub fn new(maps: &'a Maps, sources: &'a Sources, license: CString) -> Loader<'a> {
        Loader { maps, sources, license, homes: Descriptors::default() }
    }

    /// Loads a unit for a kind of link.
    pub fn load(&self, unit: &Unit, purpose: &Purpose<'_>) -> Result<OwnedFd> {
        let insns = self.relocated(unit);
        let btf = program_btf(unit, self.sources);
        let blob = program::load_btf(&btf.blob).ok();
        let described = blob.as_ref().map(|fd| (fd.as_fd(), &btf));
        let home = self.homes.of(purpose.home).map_err(|error| {
            let lies = format!("cannot find where the function of {} lies", purpose.target.name);
            refused(lies, &error).at(purpose.target.span)
        })?;
        let new = |btf| NewProgram {
            kind: program_type(unit.kind),
            expected_attach_type: purpose.expected_attach_type,
            type_id: purpose.type_id,
            home: home.as_deref().map(AsFd::as_fd),
            insns: &insns,
            name: &unit.name,
            license: &self.license,
            btf,
        };
        match self.attempt(&new(described)) {
            Ok(program) => Ok(program),
            Err(failed) if failed.is_about_types(described) => {
                self.attempt(&new(None)).map_err(|failed| failed.explain(unit, purpose.target))
            }
            Err(failed) => Err(failed.explain(unit, purpose.target)),
        }
    }

    /// What the verifier says of a unit, whether it takes it or not.
    pub fn log(&self, unit: &Unit) -> String {
        let insns = self.relocated(unit);
        let btf = program_btf(unit, self.sources);
        let blob = program::load_btf(&btf.blob).ok();
        let bound = unit.targets.first().map(|target| Purpose::of(unit.kind, target));
        let home = bound.and_then(|bound| self.homes.of(bound.home).ok()).flatten();
        let new = NewProgram {
            kind: program_type(unit.kind),
            expected_attach_type: bound.map_or(0, |bound| bound.expected_attach_type),
            type_id: bound.map_or(0, |bound| bound.type_id),
            home: home.as_deref().map(AsFd::as_fd),
            insns: &insns,
            name: &unit.name,
            license: &self.license,
            btf: blob.as_ref().map(|fd| (fd.as_fd(), &btf)),
        };
        let mut log = vec![0; LOG_BYTES];
        let outcome = program::load(&new, &mut log);
        let said = text_of(&log);
        match outcome {
            Ok(_) => format!("{}:\n{said}", unit.name),
            Err(error) => format!("{}: refused ({error})\n{said}", unit.name),
        }
    }

    /// Loads without a log, which is faster; only what fails is verified again with one.
    fn attempt(&self, new: &NewProgram<'_>) -> std::result::Result<OwnedFd, Failed> {
        let error = match program::load(new, &mut []) {
            Ok(program) => return Ok(program),
            Err(error) => error,
        };
        if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
            return Err(Failed { error, log: String::new() });
        }
        let mut log = vec![0; LOG_BYTES];
        match program::load(new, &mut log) {
            Ok(program) => Ok(program),
            Err(error) => Err(Failed { error, log: text_of(&log) }),
        }
    }

    fn relocated(&self, unit: &Unit) -> Vec<Insn> {
        let mut insns = unit.insns.clone();
        for reloc in &unit.relocs {
            let (mode, map) = match reloc.to {
                RelocTarget::Map(map) => (MAP, map),
                RelocTarget::MapValue(map) => (MAP_VALUE, map),
            };
            let insn = &mut insns[reloc.at as usize];
            insn.regs = insn.regs & 0x0f | mode;
            insn.imm = self.maps.fd(map).as_raw_fd();
        }
        insns
    }
}

/// The log up to its NUL.
fn text_of(log: &[u8]) -> String {
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    String::from_utf8_lossy(&log[..end]).into_owned()
}

/// A load that was refused.
struct Failed {
    error: io::Error,
    log: String,
}

impl Failed {
    /// Whether the kernel may have stumbled over the types rather than the program: then it says so, and verified nothing.
    fn is_about_types<T>(&self, described: Option<T>) -> bool {
        described.is_some() && !self.log.is_empty() && last_insn(&self.log).is_none()
    }

    fn explain(&self, unit: &Unit, target: &Target) -> Error {
        let probe = &target.name;
        match verdict(&self.log) {
            Some(Verdict { reason, remedy, insn }) => {
                Error::kernel(format!("the kernel's verifier refuses the program for {probe}: {reason}"))
                    .at(place(unit, insn))
                    .hint(remedy)
                    .detail(self.log.clone())
            }
            None if self.error.raw_os_error() == Some(libc::E2BIG) => {
                let insns = unit.insns.len();
                let message = format!(
                    "cannot load the program for {probe}: it has {insns} instructions, too many for this kernel"
                );
                let remedy = "repeat less with `unroll`, or spread the work over several probes";
                Error::kernel(message).at(place(unit, None)).hint(remedy)
            }
            None => refused(format!("cannot load the program for {probe}"), &self.error).at(place(unit, None)),
        }
    }
}

/// The place in the script that an instruction comes from, or the probe.
fn place(unit: &Unit, insn: Option<u32>) -> Span {
    let line = insn.and_then(|insn| unit.lines[..unit.lines.partition_point(|line| line.0 <= insn)].last());
    let probe = || unit.targets.first().map_or(Span::default(), |target| target.span);
    line.map(|line| line.1).filter(|span| *span != Span::default()).unwrap_or_else(probe)
}

/// `enum bpf_prog_type` of `include/uapi/linux/bpf.h`.
pub fn program_type(kind: ProgKind) -> u32 {
    match kind {
        ProgKind::Kprobe => 2,
        ProgKind::Tracepoint => 5,
        ProgKind::Xdp => 6,
        ProgKind::PerfEvent => 7,
        ProgKind::RawTracepoint => 17,
        ProgKind::Tracing | ProgKind::ManyTracing | ProgKind::Iterator => 26,
    }
}
