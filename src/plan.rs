//! What user space must do: the maps to create, the targets to attach to, and the action behind each record of the ring.
//! The compiler writes it, the runtime follows it; neither sees the other.

pub mod unwind;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::btf::Btf;
use crate::config::Config;
use crate::diag::Place;
use crate::error::Result;
use crate::format::Format;
use crate::id::IdVec;
use crate::kernel::Home;
use crate::report::Sink;
use crate::report::pcap::Packet;
use crate::source::Span;
use crate::types::{Aggregate, MapValue, StackType, Type};
use crate::value::Value;

pub use crate::kernel::ProgKind;

crate::ids! {
    /// A map of the plan.
    MapId;
    /// What to do when a record with this number arrives.
    ActionId;
    /// A counter of something that went wrong.
    CounterId;
}

#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub maps: IdVec<MapId, Map>,
    pub actions: IdVec<ActionId, Action>,
    pub counters: IdVec<CounterId, Counter>,
    pub config: Config,
    pub faults: Faults,
    /// Named parameters that the program takes.
    pub parameters: Vec<Parameter>,
    /// Maps that lose entries while programs run.
    pub shrinking: BTreeSet<MapId>,
    /// Aggregations that are two maps which take turns: programs find the one in use through an array of maps.
    pub turning: BTreeSet<MapId>,
    /// How many rings more processors share out among them, a power of two; 0 where one ring serves all. Records begin with the time
    /// then, in nanoseconds since boot.
    pub rings: u32,
    /// How many entries of a map may be made at once, while the kernel's allocator cannot be asked for more.
    pub bursts: BTreeMap<MapId, u64>,
    /// Files that packets are written to.
    pub captures: BTreeSet<String>,
    /// What structures are numbered by, where a script adds to the kernel's types.
    pub types: Option<Arc<Btf>>,
}

/// Whether programs tell of reads that fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Faults {
    #[default]
    Ignored,
    /// `--strict`: they are counted for the account at the end.
    Counted,
    /// `-k`: they are told as they happen, and so are look-ups of keys that are not there.
    Told,
}

/// A named parameter, as `getopt()` declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    /// Its value when it is not given, as it is written.
    pub default: String,
    pub description: String,
}

/// A BPF map, and what it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    pub role: Role,
    pub kind: MapKind,
    /// Bytes.
    pub key_size: u32,
    /// Bytes (of one CPU's slot for the per-CPU kinds).
    pub value_size: u32,
    pub max_entries: u32,
}

impl Map {
    /// Where the mark of a map of one entry lies.
    pub fn mark(&self) -> Option<u32> {
        match &self.role {
            Role::User { key: None, value, .. } if !self.is_parted() => Some(Plan::mark_offset(value)),
            _ => None,
        }
    }

    /// Whether the value of a key is spread over several entries. Their keys are the script's and, as a `u64` behind it, the
    /// number of the part.
    pub fn is_parted(&self) -> bool {
        match &self.role {
            Role::User { key: Some(_), value: MapValue::Aggregate(Aggregate::Quantiles), .. } => {
                self.kind == MapKind::PerCpuHash
            }
            Role::User { value: MapValue::Aggregate(Aggregate::Heat { .. }), .. } => true,
            _ => false,
        }
    }

    /// Where the number of the part lies in a key.
    pub fn part_offset(&self) -> u32 {
        match &self.role {
            Role::User { key: Some(key), .. } => key.size().next_multiple_of(8),
            _ => 0,
        }
    }

    /// Whether programs that run side by side can use the same one.
    pub fn is_shared(&self) -> bool {
        match self.role {
            Role::User { .. } | Role::Stacks(_) => true,
            Role::Ring(_) | Role::Rings | Role::Packets | Role::Scratch | Role::Counters | Role::Zeros => false,
            Role::SeenProcesses | Role::Cgroup(_) | Role::Over => false,
            Role::Table(_) | Role::UnwindProcesses(_) | Role::UnwindRanges | Role::UnwindRows => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// `@name` of the script. `key` is `None` for a scalar map (an array of one, see [`Plan::mark_offset`]).
    User {
        name: String,
        key: Option<Type>,
        value: MapValue,
        span: Span,
    },
    /// A ring buffer that carries records to user space.
    Ring(Lane),
    /// The rings that processors share out among them, by number. One that is not there yet has the one for all in its place.
    Rings,
    /// A ring for each CPU: packets that the kernel copies by itself, each behind a record.
    Packets,
    /// Stack traces of one kind and depth.
    Stacks(StackType),
    /// Per-CPU memory for temporaries that do not fit the stack; one entry a program, numbered as the units are.
    Scratch,
    /// One array value of `u64` counters, indexed by `CounterId`; added to atomically through its direct address.
    Counters,
    /// Read-only zeros: the initial value of new map entries.
    Zeros,
    /// Processes whose user stacks or symbols were recorded, so that user space hears of each once.
    SeenProcesses,
    /// Processes whose stacks are unwound by tables, where they have code mapped, and the tables (see [`unwind`]).
    UnwindProcesses(Vec<u32>),
    UnwindRanges,
    UnwindRows,
    /// Texts by number, there before programs run and never changed.
    Table(Vec<(u32, Vec<u8>)>),
    /// The control group at this path: programs ask whether the current task is in it.
    Cgroup(PathBuf),
    /// One word, not zero when the session is over: programs that the kernel is slow to let go of do nothing more then.
    Over,
}

/// Which ring a record may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// The one for all.
    Data,
    /// A small one of its own for those that find no room there: a flood of text must not swallow the `exit()` that ends it.
    Control,
}

/// Kernel map types in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MapKind {
    Hash,
    PerCpuHash,
    LruHash,
    PerCpuLruHash,
    Array,
    PerCpuArray,
    StackTrace,
    CgroupArray,
    Ring,
    /// Several rings in an array.
    Rings,
    /// A ring of perf for each CPU.
    PerfRings,
}

/// What user space does when a record arrives. The record is `u64` action id, then the fields.
#[derive(Clone)]
pub struct Action {
    /// The builtin it comes from: `printf`, `print`, `exit`, …; also names the kind in JSON.
    pub name: &'static str,
    pub act: fn(&Action, &[Value], &mut dyn Host) -> Result<()>,
    /// The payload, in order.
    pub fields: Vec<Field>,
    /// Bytes of the whole record, the action id included.
    pub size: u32,
    /// Text template of printf-like actions.
    pub format: Option<Format>,
    /// The map that it works on, and what it does with it.
    pub map: Option<(MapId, MapUse)>,
    /// The last ring that its records are tried on.
    pub lane: Lane,
    pub span: Span,
}

/// What an action does with a whole map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapUse {
    Shown,
    /// It is shown, and the same run of the program goes on to empty it (see [`Plan::turning`]).
    ShownThenEmptied,
    Emptied,
}

/// A value within a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Bytes from the start of the record.
    pub offset: u32,
    pub ty: Type,
}

/// Something that went wrong in the kernel and is counted there.
#[derive(Debug, Clone, PartialEq)]
pub struct Counter {
    pub cause: Cause,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The ring buffer had no room: an event of this builtin was lost.
    RingFull { action: &'static str },
    /// A map was full: an update was lost.
    MapFull { map: String },
    /// The kernel had no memory for a new entry: an update was lost.
    MapMemory { map: String },
    /// An entry could not be made or changed, as it was in use elsewhere: an update was lost.
    MapBusy { map: String },
    /// With `-k`: a map was read at a key that it does not have; zero was used.
    MissingKey,
    /// With `-k` or `--strict`: a helper gave an error, mostly for a bad address; zeros were used.
    HelperFailed { helper: &'static str, code: i32 },
    /// With `-k` or `--strict`: a text was longer than `max_strlen` allows.
    TextCut,
    /// Division or modulo by zero; 1 was used as the result.
    DivideByZero,
    /// A run-time array index out of bounds; 0 was used.
    OutOfBounds,
    /// A stack could not be stored: its hash collided with another's.
    StackCollision,
    /// With `-k` or `--strict`, of a timer's program: how often it ran. The ticks that were due and are missing here are lost.
    Ticks,
    /// A loop reached the bound that this kernel sets: its verifier, or `bpf_loop`.
    LoopBound { limit: u32 },
}

/// What is counted when the kernel does not take an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusals {
    pub full: CounterId,
    pub memory: CounterId,
    pub busy: CounterId,
}

/// What an action may ask of the running session.
pub trait Host {
    fn sink(&mut self) -> &mut dyn Sink;
    fn config(&self) -> &Config;
    /// What programs count from now on belongs to the next interval of a map, until when it is read as it is now.
    fn end_interval(&mut self, map: MapId) -> Result<()>;
    /// Reads, orders and prints a map; `top` of 0 means all, values are divided by `div`.
    fn print_map(&mut self, map: MapId, top: u64, div: u64) -> Result<()>;
    /// Removes every entry.
    fn clear_map(&mut self, map: MapId) -> Result<()>;
    /// Sets every value to zero.
    fn zero_map(&mut self, map: MapId) -> Result<()>;
    /// Stops tracing; `end` probes still run.
    fn exit(&mut self, code: i64);
    /// Where a span of the script is.
    fn place(&self, span: Span) -> Option<Place>;
    /// The program's own check failed: the run ends with exit code 1.
    fn fail(&mut self);
    /// A process was seen whose addresses may have to be symbolised after it is gone.
    fn remember_process(&mut self, pid: u32);
    /// Adds a packet, seen so many nanoseconds after boot, to one of [`Plan::captures`].
    fn capture(&mut self, file: &str, since_boot: u64, packet: Packet<'_>) -> Result<()>;
    /// Ends the watchpoints at an address; tells whether there were any.
    fn unwatch(&mut self, address: u64) -> bool;
}

/// A place in the kernel (or in a program) that a unit is attached to.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The fully expanded attach point, as the `probe` builtin gives it.
    pub name: String,
    pub attach: Attach,
    pub span: Span,
}

/// So many waits of the kernel, of up to 80 ms each, are not noticed when probes are let go of.
pub const FEW_WAITS: usize = 4;

/// How to attach, as data; one case a kernel mechanism.
#[derive(Debug, Clone, PartialEq)]
pub enum Attach {
    /// Run by rtrace itself with `BPF_PROG_TEST_RUN`.
    Run(When),
    /// A perf tracepoint.
    Tracepoint {
        category: String,
        event: String,
    },
    RawTracepoint {
        event: String,
    },
    /// `kprobe` or `kretprobe` on a kernel function (or module function), at `offset` bytes.
    Kprobe {
        module: Option<String>,
        function: String,
        offset: u64,
        at: Point,
    },
    /// `kprobe` on the instruction at an address.
    KprobeAddress {
        address: u64,
    },
    /// A trampoline at a function, known by the number of its type at home.
    Trampoline {
        home: Home,
        function: String,
        type_id: u32,
        at: Point,
    },
    /// An iterator of the kernel, known by its function's type; with `pin`, a file of that path runs it whenever it is read.
    Iterator {
        type_id: u32,
        over: Extent,
        pin: Option<String>,
    },
    /// `uprobe` or `uretprobe`, by offset in a file (of an archive, for `archive!/entry`).
    Uprobe {
        path: String,
        offset: u64,
        at: Point,
        pid: Option<u32>,
        /// Offset in the file of a counter to be raised in all processes while the probe is there.
        semaphore: Option<u64>,
    },
    /// A clock or counter of perf.
    Perf {
        event: PerfEvent,
        sample: Sample,
        scope: Scope,
    },
    /// A breakpoint of the processor on data or code.
    Watchpoint {
        address: u64,
        /// Bytes.
        length: u8,
        access: Access,
        scope: Scope,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Begin,
    End,
    /// When rtrace itself gets SIGUSR1.
    Signal,
    /// With `--test`.
    Test,
    /// With `--bench`.
    Bench,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    Entry,
    Return,
}

/// `perf_event_attr.type` and `.config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerfEvent {
    pub kind: u32,
    pub config: u64,
}

impl PerfEvent {
    /// `PERF_TYPE_SOFTWARE`, `PERF_COUNT_SW_CPU_CLOCK`: the kernel's high-resolution timer on each CPU.
    pub const CPU_CLOCK: PerfEvent = PerfEvent { kind: 1, config: 0 };
}

impl Attach {
    /// Nanoseconds between two ticks of a timer. Those of a process tick while it runs, so it is not known how often they should.
    pub fn period(&self) -> Option<u64> {
        const SECOND: u64 = 1_000_000_000;
        match self {
            Attach::Perf { event: PerfEvent::CPU_CLOCK, sample, scope: Scope::EveryCpu | Scope::OneCpu } => {
                Some(match sample {
                    Sample::Frequency(hertz) => (SECOND / hertz.max(&1)).max(1),
                    Sample::Period(nanoseconds) => *nanoseconds,
                })
            }
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// Times a second.
    Frequency(u64),
    /// Every so many events (nanoseconds for clocks).
    Period(u64),
}

/// Whose events are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    EveryCpu,
    OneCpu,
    /// All threads of a process, those to come included.
    Process(u32),
}

/// Which of its objects an iterator visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    All,
    /// Those of the threads of a process.
    Process(u32),
    /// All control groups, each before those below it.
    Cgroups,
}

/// What a watchpoint waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Write,
    ReadWrite,
    Execute,
}

impl Plan {
    /// Scalar maps are arrays, which always have their one entry: a `u64` after the value (or slot) is 1 once it was assigned.
    /// This is where it lies.
    pub fn mark_offset(value: &MapValue) -> u32 {
        value.size().next_multiple_of(8)
    }

    /// The map with this role, made on first use.
    pub fn shared_map(&mut self, map: Map) -> MapId {
        self.map_of(&map.role).unwrap_or_else(|| self.maps.push(map))
    }

    /// The map with this role, if there is one.
    pub fn map_of(&self, role: &Role) -> Option<MapId> {
        self.maps.iter().find(|(_, map)| map.role == *role).map(|(id, _)| id)
    }

    /// The processes whose stacks are unwound by tables, and the map of them.
    pub fn unwound(&self) -> Option<(MapId, &[u32])> {
        self.maps.iter().find_map(|(id, map)| match &map.role {
            Role::UnwindProcesses(processes) => Some((id, &processes[..])),
            _ => None,
        })
    }

    pub fn counter(&mut self, cause: Cause, span: Span) -> CounterId {
        let counter = Counter { cause, span };
        let found = self.counters.iter().find(|(_, other)| **other == counter).map(|(id, _)| id);
        found.unwrap_or_else(|| self.counters.push(counter))
    }
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.name, self.fields)
    }
}
