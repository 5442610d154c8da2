//! [`ir::Program`](crate::ir::Program) in, loadable programs out.
//!
//! Values are built where they are wanted: scalars in virtual registers, everything else directly in its key, record or
//! variable. What cannot change during one run of a program is computed once. Names of builtins and probes are not known here.

mod address;
mod arith;
mod branch;
mod buckets;
mod cache;
mod calls;
mod capture;
mod faults;
mod follow;
mod guard;
mod loops;
mod maps;
mod memory;
mod merge;
mod overlap;
mod records;
mod scalar;
mod stacks;
mod state;
mod stmt;
mod strings;
mod unwind;

use std::collections::BTreeSet;

use crate::bpf::asm::AsmError;
use crate::bpf::unit::Unit;
use crate::diag::Diagnostic;
use crate::ir::{Probe, Program};
use crate::kernel::{Feature, Kernel};
use crate::plan::{Lane, Map, MapId, MapKind, Plan, Role};
use guard::Guard;
use state::{Gen, Needs, Refused};

/// All that the runtime needs.
pub struct Compiled {
    pub units: Vec<Unit>,
    pub plan: Plan,
}

/// Bytes of the largest temporary that is put on the stack; larger ones go to scratch memory. Tried in turn, after what the settings
/// say, until the frame fits.
const ON_STACK: [u32; 3] = [24, 8, 0];

/// Bytes of a program's stack.
const STACK: u64 = 512;

/// Generates the programs. Fails only on what no kernel of this version could load, such as a value larger than its limits.
pub fn generate(program: Program, kernel: &dyn Kernel) -> Result<Compiled, Vec<Diagnostic>> {
    let Program { probes, mut plan } = program;
    faults::register(&probes, &mut plan);
    let mut shared = Shared::register(&mut plan, &probes, kernel);
    let (mut units, mut needs) = all(&probes, &plan, kernel, &shared)?;
    if needs.scratch > PER_CPU_VALUE {
        shared.memory = Memory::ForEachCpu;
        (units, needs) = all(&probes, &plan, kernel, &shared)?;
    }
    let faults = large_keys(&plan, kernel);
    if !faults.is_empty() {
        return Err(faults);
    }
    let memory = &mut plan.maps[shared.scratch];
    memory.value_size = needs.scratch.next_multiple_of(8).max(8);
    memory.max_entries = units.len().max(1) as u32;
    if shared.memory == Memory::ForEachCpu {
        memory.kind = MapKind::Array;
        memory.max_entries *= kernel.cpus();
    }
    let counters = plan.counters.len().max(1) as u32;
    plan.maps[shared.counters].value_size = 8 * counters;
    plan.maps[shared.zeros].value_size = new_entry(&plan).max(needs.zeros).next_multiple_of(8).max(8);
    Ok(Compiled { units, plan })
}

/// All programs, and the most that any of them needs of the shared maps.
fn all(
    probes: &[Probe],
    plan: &Plan,
    kernel: &dyn Kernel,
    shared: &Shared,
) -> Result<(Vec<Unit>, Needs), Vec<Diagnostic>> {
    let mut units = Vec::new();
    let mut faults = Vec::new();
    let mut needs = Needs::default();
    for probe in probes {
        match unit(probe, units.len() as u32, plan, kernel, shared) {
            Ok((unit, needed)) => {
                needs.scratch = needed.scratch.max(needs.scratch);
                needs.zeros = needed.zeros.max(needs.zeros);
                units.push(unit);
            }
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok((units, needs)) } else { Err(faults) }
}

/// Maps whose keys are larger than this kernel allows.
fn large_keys(plan: &Plan, kernel: &dyn Kernel) -> Vec<Diagnostic> {
    if kernel.has(Feature::LargeKeys) {
        return Vec::new();
    }
    let fault = |map: &Map| match &map.role {
        Role::User { name, span, .. } if map.key_size > OLD_KEY => {
            let message = format!(
                "a key of {name} takes {} bytes; before kernel 5.11 it can have {OLD_KEY} at the most",
                map.key_size
            );
            let hint =
                "keep less of a text, for example str(args.filename, 127), or of all: config = { max_strlen = 128 }";
            Some(Diagnostic::error(*span, message).hint(hint))
        }
        _ => None,
    };
    plan.maps.values().filter_map(fault).collect()
}

/// Bytes of the ring for records that must get through.
const CONTROL_BYTES: u32 = 64 << 10;

/// What all programs have in common: the maps that the generated code itself works with, what keeps the processor, and the aggregations
/// that they may change in each other's midst.
struct Shared {
    ring: MapId,
    /// Where processors share out several.
    rings: Option<MapId>,
    /// Where actions need it.
    control: Option<MapId>,
    scratch: MapId,
    counters: MapId,
    zeros: MapId,
    memory: Memory,
    guard: Option<Guard>,
    overlapping: BTreeSet<MapId>,
}

/// What the scratch map is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    /// One per-CPU entry for each program.
    PerCpu,
    /// An entry for each program and CPU, which may be larger than a per-CPU one.
    ForEachCpu,
}

/// Bytes that a key may have on old kernels (`MAX_BPF_STACK`).
const OLD_KEY: u32 = 512;

/// Bytes that a per-CPU value may have (`PCPU_MIN_UNIT_SIZE`).
const PER_CPU_VALUE: u32 = 32 << 10;

impl Shared {
    fn register(plan: &mut Plan, probes: &[Probe], kernel: &dyn Kernel) -> Self {
        let guard = Guard::of(probes, kernel);
        let overlapping = overlap::overlapping(probes, guard);
        let mut map =
            |role, kind, key_size| plan.shared_map(Map { role, kind, key_size, value_size: 0, max_entries: 1 });
        let ring = map(Role::Ring(Lane::Data), MapKind::Ring, 0);
        let scratch = map(Role::Scratch, MapKind::PerCpuArray, 4);
        let counters = map(Role::Counters, MapKind::Array, 4);
        let zeros = map(Role::Zeros, MapKind::Array, 4);
        plan.maps[ring].max_entries = 0;
        let rings = (plan.rings > 0).then(|| {
            let (role, kind, max_entries) = (Role::Rings, MapKind::Rings, plan.rings);
            plan.shared_map(Map { role, kind, key_size: 4, value_size: 4, max_entries })
        });
        let control = plan.actions.values().any(|action| action.lane == Lane::Control).then(|| {
            let (role, kind) = (Role::Ring(Lane::Control), MapKind::Ring);
            plan.shared_map(Map { role, kind, key_size: 0, value_size: 0, max_entries: CONTROL_BYTES })
        });
        Self { ring, rings, control, scratch, counters, zeros, memory: Memory::PerCpu, guard, overlapping }
    }
}

/// Bytes of the largest value, since new entries of aggregations start as zeros.
fn new_entry(plan: &Plan) -> u32 {
    let values = plan.maps.values().map(|map| match &map.role {
        Role::User { .. } => map.value_size,
        _ => 0,
    });
    values.max().unwrap_or(0)
}

/// One probe's program, and what it needs of the shared maps.
fn unit(
    probe: &Probe,
    index: u32,
    plan: &Plan,
    kernel: &dyn Kernel,
    shared: &Shared,
) -> Result<(Unit, Needs), Diagnostic> {
    let mut outcome = Err(AsmError::FrameTooLarge(0));
    let limit = plan.config.on_stack_limit.min(STACK) as u32;
    for on_stack in std::iter::once(limit).chain(ON_STACK.into_iter().filter(|less| *less < limit)) {
        let generated = Gen::run(probe, plan, kernel, shared, index, on_stack).map_err(|Refused(fault)| fault)?;
        let needs = generated.needs;
        outcome = generated.assembled.map(|code| (code, needs));
        if !matches!(outcome, Err(AsmError::FrameTooLarge(_))) {
            break;
        }
    }
    let (code, needs) = outcome.map_err(|error| too_large(probe, &error))?;
    let unit = Unit {
        name: unit_name(probe, index),
        kind: probe.kind,
        insns: code.insns,
        relocs: code.relocs,
        functions: code.functions,
        lines: code.lines,
        comments: code.comments,
        targets: probe.targets.clone(),
    };
    Ok((unit, needs))
}

fn too_large(probe: &Probe, error: &AsmError) -> Diagnostic {
    let message = match error {
        AsmError::FrameTooLarge(bytes) => format!("this probe needs {bytes} bytes of stack, and BPF programs have 512"),
        AsmError::JumpTooFar => {
            "this probe is too long: a jump within it spans more than 32767 instructions".to_string()
        }
        AsmError::CallsTooDeep(_) => {
            let message = "this probe calls functions within functions too deep: the kernel allows 8 under way, counting the \
                           probe itself and the bodies of its loops";
            let hint = "call some of them one after the other, or make them macros, which cost no call";
            return Diagnostic::error(probe.span, message).hint(hint);
        }
        other => format!("this probe could not be assembled: {other:?}"),
    };
    Diagnostic::error(probe.span, message).hint("split it into several probes, or use fewer and smaller variables")
}

/// A C identifier made of the first target's name.
fn unit_name(probe: &Probe, index: u32) -> String {
    let target = probe.targets.first().map_or("program", |target| target.name.as_str());
    let word: String = target.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{word}_{index}")
}
