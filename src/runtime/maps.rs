//! The plan's maps, made in the kernel, read whole, cleared and zeroed.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::content::{Content, Entry, Layout};
use super::refusal::refused;
use super::rings;
use super::sys::map::{self, NewMap, Shape};
use super::turns::Turns;
use crate::config::MAX_MAP_KEYS;
use crate::error::{Error, Result};
use crate::id::IdVec;
use crate::kernel::{Feature, Kernel};
use crate::plan::{Lane, Map, MapId, MapKind, Plan, Role};

/// All maps of a run. The ring is among them until its reader takes it.
pub struct Maps {
    maps: IdVec<MapId, Rc<Made>>,
}

/// Maps that runs share: those of scripts by their names, and the stacks that their entries lead to.
#[derive(Clone, Default)]
pub struct Pool {
    shared: Vec<(Map, Rc<Made>)>,
}

/// A map that exists in the kernel.
struct Made {
    /// What programs are given.
    fd: OwnedFd,
    layout: Layout,
    /// What the descriptor stands for, if it is more than one map.
    turns: Option<RefCell<Turns>>,
    rings: Arc<[OwnedFd]>,
}

/// Flags of `BPF_MAP_CREATE`, from `include/uapi/linux/bpf.h`.
const NO_PREALLOC: u32 = 1;
const READ_ONLY_FOR_PROGRAMS: u32 = 1 << 7;

/// Up to so many bytes a table is filled in advance, which takes a tenth of a millisecond.
const FILLED_IN_ADVANCE: u64 = 1 << 18;

/// Elements of a table that the kernel's allocator has at hand on each CPU, at the least.
const AT_HAND: u64 = 32;

/// Entries written by one call.
const WRITTEN: usize = 1 << 16;

/// Up to so many bytes are set aside for a table of which more is asked than usual.
const FILLED_AT_ALL: u64 = 1 << 28;

/// Bytes of a page, in which `perf_rb_pages` is counted.
const PAGE: u64 = 4096;
/// The ring's size unless the script sets it. A larger one would cost a millisecond of start-up for each 4 MiB.
const RING_BYTES: u32 = 1 << 20;
/// Likewise, that of each of several rings.
const PART_BYTES: u32 = 1 << 18;
/// Borders for the ring's size.
const RING_RANGE: (u64, u64) = (4096, 1 << 30);

impl Maps {
    /// Makes those maps that the pool does not have.
    pub fn create(plan: &Plan, kernel: &dyn Kernel, pool: &Pool) -> Result<Maps> {
        let mut maps = IdVec::new();
        let cpus = kernel.cpus() as usize;
        for (id, of) in plan.maps.iter() {
            maps.push(match pool.find(of)? {
                Some(made) => made,
                None => Rc::new(Made::create(id, plan, kernel, cpus)?),
            });
        }
        Ok(Maps { maps })
    }

    /// Lets other runs use the maps of this one that can be shared.
    pub fn share(&self, plan: &Plan, pool: &mut Pool) {
        for ((_, of), made) in plan.maps.iter().zip(self.maps.values()) {
            if of.is_shared() && !pool.shared.iter().any(|(_, other)| Rc::ptr_eq(other, made)) {
                pool.shared.push((of.clone(), Rc::clone(made)));
            }
        }
    }

    pub fn fd(&self, id: MapId) -> BorrowedFd<'_> {
        self.maps[id].fd.as_fd()
    }

    /// The rings that processors share out among them.
    pub fn rings(&self, id: MapId) -> &[OwnedFd] {
        &self.maps[id].rings
    }

    /// All entries, as they are in some order; those of the interval that has ended, if one has.
    pub fn read(&self, id: MapId) -> Result<Vec<Entry>> {
        let Made { turns, .. } = &*self.maps[id];
        let read = turns.as_ref().map_or_else(|| self.maps[id].content().read(), |turns| turns.borrow().read());
        read.map_err(|error| refused("cannot read a map", &error))
    }

    /// All entries, those of an ended interval and those since then.
    pub fn read_all(&self, id: MapId) -> Result<Vec<Entry>> {
        let Some(turns) = &self.maps[id].turns else { return self.read(id) };
        turns.borrow().read_all().map_err(|error| refused("cannot read a map", &error))
    }

    /// Puts another map into the place of one that takes turns; the old one is read until it is cleared or zeroed.
    pub fn end_interval(&self, id: MapId) -> Result<()> {
        let Some(turns) = &self.maps[id].turns else { return Ok(()) };
        turns.borrow_mut().end_interval().map_err(|error| refused("cannot empty a map", &error))
    }

    /// Programs that look whether the session is over do nothing from now on.
    pub fn end_session(&self, plan: &Plan) -> Result<()> {
        let mut all = plan.maps.iter().filter(|(_, of)| of.role == Role::Over);
        let end = |id: MapId| self.maps[id].content().write(&0u32.to_ne_bytes(), &1u64.to_ne_bytes());
        all.try_for_each(|(id, _)| end(id))
            .map_err(|error| refused("cannot tell programs that tracing is over", &error))
    }

    /// Tracing is over: intervals need not be told apart, even if some program that is about to go runs once more.
    pub fn settle(&self) -> Result<()> {
        let mut turning = self.maps.values().filter_map(|made| made.turns.as_ref());
        let settle = |turns: &RefCell<Turns>| turns.borrow_mut().settle();
        turning.try_for_each(settle).map_err(|error| refused("cannot read a map", &error))
    }

    /// One value's bytes; `None` if there is no such key.
    pub fn get(&self, id: MapId, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let Content { map, layout } = self.maps[id].content();
        map::lookup(map, layout.shape, key).map_err(|error| refused("cannot read a map", &error))
    }

    /// Writes entries of an array, one after the other from this one on.
    pub fn write_from(&self, id: MapId, first: u32, values: &[u8]) -> Result<()> {
        let Content { map, layout } = self.maps[id].content();
        let size = layout.shape.value;
        let refused = |error: io::Error| refused("cannot write a map", &error);
        for (number, part) in (first..).step_by(WRITTEN).zip(values.chunks(WRITTEN * size)) {
            let keys: Vec<u8> = (number..).take(part.len() / size).flat_map(u32::to_ne_bytes).collect();
            map::update_batch(map, layout.shape, &keys, part).map_err(refused)?;
        }
        Ok(())
    }

    /// Removes every entry; those of arrays become zero and count as never assigned.
    pub fn clear(&self, id: MapId) -> Result<()> {
        let made = &self.maps[id];
        let cleared = made.turns.as_ref().map_or_else(|| made.content().clear(), |turns| turns.borrow_mut().clear());
        cleared.map_err(|error| refused("cannot clear a map", &error))
    }

    /// Sets every value to zero; an array that was never assigned stays so.
    pub fn zero(&self, id: MapId) -> Result<()> {
        let made = &self.maps[id];
        let zeroed = made.turns.as_ref().map_or_else(|| made.content().zero(), |turns| turns.borrow_mut().zero());
        zeroed.map_err(|error| refused("cannot zero a map", &error))
    }
}

impl Pool {
    /// The maps of scripts, as later programs are to know them.
    pub fn established(&self) -> Vec<Map> {
        let maps = self.shared.iter().map(|(map, _)| map);
        maps.filter(|map| matches!(map.role, Role::User { .. })).cloned().collect()
    }

    /// Gives a name free. The map lives on as long as a run uses it.
    pub fn forget(&mut self, name: &str) {
        self.shared.retain(|(map, _)| !matches!(&map.role, Role::User { name: other, .. } if other == name));
    }

    fn find(&self, of: &Map) -> Result<Option<Rc<Made>>> {
        let found = self.shared.iter().find(|(map, _)| match (&map.role, &of.role) {
            (Role::User { name, .. }, Role::User { name: other, .. }) => name == other,
            (Role::Stacks(one), Role::Stacks(other)) => one == other,
            _ => false,
        });
        match found {
            Some((map, _)) if map != of => {
                let name = name(&of.role);
                Err(Error::usage(format!("the map {name} exists already, and is of another kind")))
            }
            found => Ok(found.map(|(_, made)| Rc::clone(made))),
        }
    }
}

impl Made {
    fn create(id: MapId, plan: &Plan, kernel: &dyn Kernel, cpus: usize) -> Result<Made> {
        let of = &plan.maps[id];
        if of.role == Role::Rings {
            return Made::rings(of, plan);
        }
        let new = NewMap {
            kind: kind(of.kind),
            key_size: of.key_size,
            value_size: of.value_size,
            max_entries: match of.kind {
                // The one for all has no size of its own.
                MapKind::Ring if of.max_entries == 0 => ring_size(plan.config.perf_rb_pages, RING_BYTES),
                _ => of.max_entries,
            },
            flags: flags(of, plan.bursts.get(&id).copied().unwrap_or(0), kernel, cpus),
            name: name(&of.role),
        };
        let fd = map::create(&new).map_err(|error| {
            let what = match &of.role {
                Role::User { name, .. } => format!("cannot create the map {name}"),
                _ => format!("cannot create the internal map {}", new.name),
            };
            let NewMap { max_entries, key_size, value_size, .. } = &new;
            refused(format!("{what} ({max_entries} entries, keys of {key_size} bytes, values of {value_size})"), &error)
        })?;
        if of.role == Role::Zeros {
            // Only helps the verifier; kernels before 5.2 cannot.
            let _ = map::freeze(fd.as_fd());
        }
        let (stride, value) = value_bytes(of, cpus);
        let layout = Layout { shape: Shape { key: of.key_size as usize, value }, stride, mark: mark(of) };
        if plan.turning.contains(&id) {
            let (array, turns) =
                Turns::new(new, fd, layout).map_err(|error| refused("cannot create an array of maps", &error))?;
            return Ok(Made { fd: array, layout, turns: Some(RefCell::new(turns)), rings: Arc::default() });
        }
        let made = Made { fd, layout, turns: None, rings: Arc::default() };
        match &of.role {
            Role::Table(rows) => made.fill(rows).map_err(|error| refused("cannot fill the map of names", &error))?,
            Role::Cgroup(path) => {
                let what = format!("cannot trace the cgroup {}", path.display());
                made.hold(path).map_err(|error| refused(&what, &error))?;
            }
            Role::User { .. } | Role::Stacks(_) | Role::Ring(_) | Role::Rings => {}
            Role::Packets | Role::Scratch | Role::Counters => {}
            Role::Zeros | Role::SeenProcesses | Role::Over => {}
            Role::UnwindProcesses(_) | Role::UnwindRanges | Role::UnwindRows => {}
        }
        Ok(made)
    }

    fn rings(of: &Map, plan: &Plan) -> Result<Made> {
        let pages = plan.config.perf_rb_pages.div_ceil(u64::from(of.max_entries));
        let (key_size, value_size, flags) = (0, 0, 0);
        let name = name(&Role::Ring(Lane::Data));
        let max_entries = ring_size(pages, PART_BYTES);
        let ring = NewMap { kind: kind(MapKind::Ring), key_size, value_size, max_entries, flags, name };
        let made = rings::make(&ring, of.max_entries);
        let (fd, rings) = made.map_err(|error| refused("cannot create the internal map rtrace_rings", &error))?;
        let shape = Shape { key: of.key_size as usize, value: of.value_size as usize };
        Ok(Made { fd, layout: Layout { shape, stride: shape.value, mark: None }, turns: None, rings })
    }

    /// Writes texts, each padded with zeros.
    fn fill(&self, rows: &[(u32, Vec<u8>)]) -> io::Result<()> {
        rows.iter().try_for_each(|(number, text)| {
            let mut value = text.clone();
            value.resize(self.layout.shape.value, 0);
            self.content().write(&number.to_ne_bytes(), &value)
        })
    }

    /// Writes what stands for an open folder. The kernel keeps the cgroup for the map, even if the folder is removed.
    fn hold(&self, folder: &Path) -> io::Result<()> {
        let folder = File::open(folder)?;
        self.content().write(&0u32.to_ne_bytes(), &folder.as_raw_fd().to_ne_bytes())
    }

    fn content(&self) -> Content<'_> {
        Content { map: self.fd.as_fd(), layout: self.layout }
    }
}

/// `enum bpf_map_type` of `include/uapi/linux/bpf.h`.
fn kind(kind: MapKind) -> u32 {
    match kind {
        MapKind::Hash => 1,
        MapKind::Array => 2,
        MapKind::PerfRings => 4,
        MapKind::PerCpuHash => 5,
        MapKind::PerCpuArray => 6,
        MapKind::StackTrace => 7,
        MapKind::CgroupArray => 8,
        MapKind::LruHash => 9,
        MapKind::PerCpuLruHash => 10,
        MapKind::Rings => 12,
        MapKind::Ring => 27,
    }
}

/// Filling a table in advance takes its time, above all one with values for each CPU, yet makes new entries cheaper. Doing without is
/// safe where the kernel's allocator is.
fn flags(of: &Map, burst: u64, kernel: &dyn Kernel, cpus: usize) -> u32 {
    let is_filled = match (of.kind, &of.role) {
        (MapKind::PerCpuHash, _) => is_filled(of, burst, cpus),
        (MapKind::Hash, _) => bytes(of) <= if burst > AT_HAND { FILLED_AT_ALL } else { FILLED_IN_ADVANCE },
        (_, Role::Zeros) => return READ_ONLY_FOR_PROGRAMS,
        _ => true,
    };
    if is_filled || !kernel.has(Feature::UnallocatedHash) { 0 } else { NO_PREALLOC }
}

/// Whether a table with values for each CPU is to have its entries from the start, as the allocator has no more than one at hand on
/// each. Whoever asks for more entries than usual means that.
fn is_filled(of: &Map, burst: u64, cpus: usize) -> bool {
    let each = u64::from(of.key_size) + u64::from(of.value_size) * cpus as u64;
    let is_wanted = burst > 1 || u64::from(of.max_entries) > MAX_MAP_KEYS;
    is_wanted && !of.is_parted() && u64::from(of.max_entries) * each <= FILLED_AT_ALL
}

/// Bytes of keys and values that a full table holds.
fn bytes(of: &Map) -> u64 {
    u64::from(of.max_entries) * (u64::from(of.key_size) + u64::from(of.value_size))
}

/// Bytes of a ring for which so many pages are wished, or none in particular.
fn ring_size(pages: u64, usual: u32) -> u32 {
    match pages.saturating_mul(PAGE) {
        0 => usual,
        wanted => wanted.clamp(RING_RANGE.0, RING_RANGE.1).next_power_of_two() as u32,
    }
}

/// Bytes of one slot, and of the whole value.
fn value_bytes(of: &Map, cpus: usize) -> (usize, usize) {
    let size = of.value_size as usize;
    match of.kind {
        MapKind::PerCpuHash | MapKind::PerCpuArray | MapKind::PerCpuLruHash => {
            let stride = size.next_multiple_of(8);
            (stride, stride * cpus)
        }
        MapKind::Hash | MapKind::Array | MapKind::LruHash | MapKind::StackTrace => (size, size),
        MapKind::CgroupArray | MapKind::Ring | MapKind::Rings | MapKind::PerfRings => (size, size),
    }
}

fn mark(of: &Map) -> Option<usize> {
    of.mark().map(|mark| mark as usize)
}

/// The name that the kernel shows for a map: letters, digits, `_` and `.`, 15 at the most.
fn name(role: &Role) -> String {
    let name = match role {
        Role::User { name, .. } => format!("AT_{}", name.trim_start_matches('@')),
        Role::Ring(Lane::Data) => "rtrace_ring".to_string(),
        Role::Rings => "rtrace_rings".to_string(),
        Role::Ring(Lane::Control) => "rtrace_control".to_string(),
        Role::Packets => "rtrace_packets".to_string(),
        Role::Stacks(_) => "rtrace_stacks".to_string(),
        Role::Scratch => "rtrace_scratch".to_string(),
        Role::Counters => "rtrace_counters".to_string(),
        Role::Zeros => "rtrace_zeros".to_string(),
        Role::SeenProcesses => "rtrace_seen".to_string(),
        Role::Table(_) => "rtrace_names".to_string(),
        Role::UnwindProcesses(_) => "rtrace_unwound".to_string(),
        Role::UnwindRanges => "rtrace_ranges".to_string(),
        Role::UnwindRows => "rtrace_unwind".to_string(),
        Role::Cgroup(_) => "rtrace_cgroup".to_string(),
        Role::Over => "rtrace_over".to_string(),
    };
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(15).collect()
}
