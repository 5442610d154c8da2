//! What the compiler may ask of a kernel: answered by this machine ([`live`]) or by a folder of fixtures ([`fixture`]).

mod archive;
pub mod cgroups;
mod debug_files;
pub mod dwarf;
mod elf;
pub mod fixture;
mod instructions;
pub(crate) mod kallsyms;
mod libraries;
pub mod live;
mod markers;
pub mod mounts;
pub mod namespaces;
mod paths;
mod source_lines;
mod symbols;
mod sys;
pub mod tracefs;
mod unwind;
mod vmlinux;
mod with_types;

use std::ops::Range;
use std::sync::Arc;

use crate::btf::build::Builder;
use crate::btf::{Btf, Foreign, Grafted, TypeId};
use crate::error::Result;

pub use debug_files::DebugPlaces;
pub use dwarf::types::{Described, DescribedParam, Namesakes, Passing};
pub use fixture::Fixture;
pub use instructions::begins_at;
pub use live::Live;
pub use source_lines::SourceFrame;
pub use symbols::Symbols;
pub use unwind::{FrameRegister, Rule, UnwindTable};
pub use with_types::{Grown, WithTypes};

/// Everything the compiler needs to know before loading. No method needs more privilege than reading files (and mounting
/// tracefs, on a machine where nobody has yet).
pub trait Kernel {
    /// Major and minor version.
    fn version(&self) -> (u32, u32);
    /// Possible CPUs, the `ncpus` of the language and the number of slots in a per-CPU map.
    fn cpus(&self) -> u32;
    fn has(&self, feature: Feature) -> bool;
    /// The kernel's own types; `None` if it has no BTF.
    fn btf(&self) -> Option<&Btf>;
    /// Whether those types are the running kernel's, whose verifier means the same by their numbers.
    fn types_are_its_own(&self) -> bool;
    /// The record of one tracepoint; `None` if there is no such event.
    fn tracepoint(&self, category: &str, event: &str) -> Result<Option<TracepointFormat>>;
    /// All `category:event`, sorted.
    fn tracepoints(&self) -> Result<Vec<String>>;
    /// Names of all functions that a kprobe can be put on, `module:function` for those of modules, sorted.
    fn functions(&self) -> Result<Vec<String>>;
    /// The modules that tell their types, sorted.
    fn modules(&self) -> Vec<String>;
    /// The types of a module, or of a BPF program with a function of its own types; `None` if there are none.
    fn foreign_types(&self, home: &Home) -> Option<Foreign>;
    /// What [`Kernel::btf`] has beside the kernel's own types and a script's.
    fn grafts(&self) -> &[(Home, Grafted)] {
        &[]
    }
    /// The BPF programs in the kernel that tell their types.
    fn programs(&self) -> Vec<Loaded>;
    /// Address of a kernel symbol.
    fn symbol(&self, name: &str) -> Option<u64>;
    /// The files that the name of a program or library stands for: a path, a name on PATH, a library's name, a pattern of them,
    /// or an entry of an archive. With a process, names are meant as it sees them, no name is its program, and `*` is all it has mapped;
    /// without, `*` is all that any process has.
    fn files(&self, name: &str, process: Option<u32>) -> Vec<String>;
    /// Reads the symbols and markers of such a file.
    fn binary(&self, path: &str) -> Result<Arc<Binary>>;
    /// Adds to `types` what the debug information of such a file tells of these functions and types. What it does not describe, or
    /// all of it where there is none, is missing from the result.
    fn describe(&self, path: &str, wanted: &Wanted, types: &mut Builder) -> Result<Vec<DescribedFunction>>;
    /// The function at this offset of such a file, if it was described before.
    fn described(&self, _path: &str, _offset: u64) -> Option<&Described> {
        None
    }
    /// The address that a line of the source became; `None` if there is no debug information at all.
    fn line(&self, path: &str, line: dwarf::Line<'_>) -> Result<Option<dwarf::LineFound>>;
    /// Where debug information of such files is looked for beside the usual places.
    fn debug_places(&self) -> DebugPlaces {
        DebugPlaces::default()
    }
    /// Code of such a file, by offset in the file; less if the file ends before.
    fn code(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>>;
    /// Id of the cgroup (version 2) with this folder.
    fn cgroup(&self, path: &str) -> Result<u64>;
    /// The PID namespace rtrace runs in, as (device, inode); `None` when it is the initial one.
    fn pid_namespace(&self) -> Option<(u64, u64)>;
    /// How programs know a process that rtrace knows by this number: the PID namespace that it is itself in, and its number there.
    /// `None` where rtrace's numbers are the kernel's own.
    fn own_number(&self, pid: u32) -> Option<((u64, u64), u32)>;
}

/// Where a function of the kernel lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Home {
    Kernel,
    Module(String),
    /// A BPF program, by its number.
    Program(u32),
}

/// The kernel's functions have a type in [`Kernel::btf`], by the number that it has at home.
pub fn type_at_home(kernel: &dyn Kernel, home: &Home, own: u32) -> Option<TypeId> {
    match home {
        Home::Kernel => Some(TypeId(own)),
        Home::Module(_) | Home::Program(_) => {
            kernel.grafts().iter().find(|(other, _)| other == home).and_then(|(_, grafted)| grafted.id_of(own))
        }
    }
}

/// Whether a type of [`Kernel::btf`] is not the kernel's own, but a module's or a BPF program's.
pub fn is_grafted(kernel: &dyn Kernel, id: TypeId) -> bool {
    kernel.grafts().iter().any(|(_, grafted)| grafted.ids.contains(&id.0))
}

/// A BPF program in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    pub id: u32,
    /// Its functions by name, the main one first, each with the number of its type among the program's.
    pub functions: Vec<(String, u32)>,
}

/// Something that not every kernel has. Each is probed at most once, when first asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Feature {
    Kprobes,
    KprobeMulti,
    UprobeMulti,
    /// Links for perf events (5.15).
    PerfLink,
    /// `bpf_loop` (5.17).
    Loop,
    /// `bpf_for_each_map_elem` (5.13).
    ForEachMapElem,
    /// `bpf_map_lookup_percpu_elem` (5.19).
    PerCpuLookup,
    /// Loop bodies that are functions are verified for any number of rounds (6.7). Before, the verifier took what variables on
    /// the stack hold in the first round for what they hold in all, and left out the branches that others take.
    LoopRounds,
    /// Keys of more than 512 bytes (5.11).
    LargeKeys,
    /// `bpf_get_func_ip` in kprobe programs (5.15).
    FuncIp,
    /// `bpf_get_current_task_btf`, whose pointer programs may follow by plain loads (5.11).
    TaskPointers,
    /// Programs on raw tracepoints keep their processor until they are done (before 7.0). Since then a task that has to give it away in
    /// the midst of one keeps all others there from running the program meanwhile: their hits are missed.
    RawTracepointsUnpreempted,
    /// Hash maps without preallocation are safe for tracing programs (6.1).
    UnallocatedHash,
    /// The `cookie` of perf links and multi links.
    Cookie,
    /// The `cookie` of raw tracepoints (6.10).
    RawTracepointCookie,
    /// `bpf_ktime_get_tai_ns` (6.1).
    TaiClock,
    /// Programs at the entry of and return from kernel functions, called by trampolines.
    Trampolines,
    /// One such program on many functions (7.2).
    TracingMulti,
    /// The `cookie` of links on trampolines (5.19).
    TracingCookie,
    /// `bpf_get_func_ret` (5.17).
    FuncResult,
    /// Programs run on each object of a kind (5.8).
    Iterators,
    ModuleBtf,
    /// Programs of a kind may call this function of the kernel, one that is no helper (5.13).
    Call {
        function: TypeId,
        from: ProgKind,
    },
}

/// The BPF program type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProgKind {
    Kprobe,
    Tracepoint,
    RawTracepoint,
    PerfEvent,
    /// Runs on no packet but the one that `BPF_PROG_TEST_RUN` makes up.
    Xdp,
    /// Bound to one function when loaded.
    Tracing,
    /// For entries of, or returns from, many functions, of whose arguments it sees nothing.
    ManyTracing,
    /// Run on each object of a kind as a file is read, which is where its records go.
    Iterator,
}

impl ProgKind {
    /// Whether the verifier knows, and trusts, what the pointers lead to that such programs are handed.
    pub fn is_told_pointers(self) -> bool {
        match self {
            ProgKind::Tracing | ProgKind::ManyTracing | ProgKind::Iterator => true,
            ProgKind::Kprobe | ProgKind::Tracepoint | ProgKind::RawTracepoint | ProgKind::PerfEvent | ProgKind::Xdp => {
                false
            }
        }
    }
}

/// Fields of a tracepoint's record, as its `format` file (or BTF's `trace_event_raw_*`) tells.
#[derive(Debug, Clone, PartialEq)]
pub struct TracepointFormat {
    pub id: u64,
    pub fields: Vec<TracepointField>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TracepointField {
    pub name: String,
    /// The C declaration's type: `unsigned int`, `char[16]`, `__data_loc char[]`, `const char *`.
    pub c_type: String,
    pub offset: u32,
    pub size: u32,
    pub sign: crate::types::Sign,
}

/// What an ELF file has to offer to probes.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    /// Absolute path.
    pub path: String,
    /// Sorted by name.
    pub functions: Vec<Function>,
    /// Places marked for tracing, in no order.
    pub markers: Vec<Marker>,
    /// What of the file is mapped where.
    pub segments: Vec<Segment>,
    pub stacks: Stacks,
}

/// What a program does with its stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stacks {
    Fixed,
    /// Go copies them elsewhere when they grow.
    Moving,
}

/// A loaded part of an ELF file.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    pub address: u64,
    pub offset: u64,
    /// Bytes in the file.
    pub size: u64,
}

impl Binary {
    /// Where in the file the byte at an address (as `nm` and `objdump` show it) lies.
    pub fn offset_of(&self, address: u64) -> Option<u64> {
        offset_in(&self.segments, address)
    }
}

/// Where the byte at an offset of the file lies when the program runs, as it was linked.
fn address_in(segments: &[Segment], offset: u64) -> Option<u64> {
    let inside = |part: &&Segment| offset.checked_sub(part.offset).is_some_and(|distance| distance < part.size);
    segments.iter().find(inside).and_then(|part| part.address.checked_add(offset - part.offset))
}

fn offset_in(segments: &[Segment], address: u64) -> Option<u64> {
    let inside = |part: &&Segment| address.checked_sub(part.address).is_some_and(|distance| distance < part.size);
    segments.iter().find(inside).and_then(|part| part.offset.checked_add(address - part.address))
}

#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    pub name: String,
    /// Offset of its first instruction in the file, as uprobes want it.
    pub offset: u64,
    pub size: u64,
}

/// A place in a program that its authors marked for tracing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Marker {
    pub provider: String,
    pub name: String,
    /// Offset in the file.
    pub offset: u64,
    /// Offset in the file of the counter that tells the program that somebody listens.
    pub semaphore: Option<u64>,
    /// What it passes, as assembler operands.
    pub arguments: String,
    /// Variables that those name, and how far from the marker each lies when the program runs.
    pub variables: Vec<(String, i64)>,
}

/// What is to be found in debug information.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Offsets of functions in the file.
    pub functions: Vec<u64>,
    /// Types, as C writes their names.
    pub types: Vec<String>,
    pub namesakes: Namesakes,
}

/// A function, and where in which file it is.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribedFunction {
    pub path: String,
    pub offset: u64,
    pub described: Described,
}
