//! What a program leaves behind, in a form that two runs of it can be compared by: maps, records, counters.

use std::collections::BTreeMap;

use rtrace::plan::{ActionId, CounterId, Map, MapId, MapKind, Plan, Role};
use rtrace::types::Type;

use super::scene::CPUS;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    pub maps: Vec<Table>,
    pub records: Vec<Record>,
    pub counters: Vec<u64>,
    /// What the programs returned.
    pub results: Vec<u64>,
    /// Records that still fit the ring.
    room: usize,
}

/// A map's contents: for each key the slots of all CPUs, or the one value that they share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub kind: MapKind,
    pub entries: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    pub value_size: usize,
    max_entries: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub action: ActionId,
    /// Each field as [`canonical`] has it.
    pub fields: Vec<Vec<u8>>,
}

/// What became of an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insertion {
    Done,
    Full,
    NoMemory,
    Busy,
    /// `BPF_NOEXIST`, and it does exist.
    Exists,
}

/// First bytes of keys for which there is never memory, and of those that are always in use elsewhere.
const POOR: u8 = 0xee;
const LOCKED: u8 = 0xef;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfPresent {
    Replace,
    Keep,
}

impl Store {
    /// The maps as they are when a session starts. `room` is how many records fit the ring.
    pub fn new(plan: &Plan, room: usize) -> Self {
        let maps = plan.maps.values().map(Table::new).collect();
        Self { maps, records: Vec::new(), counters: vec![0; plan.counters.len()], results: Vec::new(), room }
    }

    pub fn map(&mut self, map: MapId) -> &mut Table {
        &mut self.maps[map.0 as usize]
    }

    pub fn count(&mut self, counter: CounterId) {
        self.counters[counter.0 as usize] += 1;
    }

    /// Takes room for a record; false if there is none.
    pub fn reserve(&mut self) -> bool {
        let fits = self.room > 0;
        self.room -= usize::from(fits);
        fits
    }

    pub fn freed(&mut self) {
        self.room += 1;
    }

    /// Where the two differ in what a user could notice; `None` if they do not.
    pub fn difference(&self, other: &Store, plan: &Plan) -> Option<String> {
        for ((id, map), (one, two)) in plan.maps.iter().zip(self.maps.iter().zip(&other.maps)) {
            let is_seen = matches!(map.role, Role::User { .. } | Role::Stacks(_) | Role::SeenProcesses);
            if is_seen && one.entries != two.entries {
                return Some(format!(
                    "{:?} {id:?} holds\n  {:x?}\nand should hold\n  {:x?}",
                    map.role, one.entries, two.entries
                ));
            }
        }
        if self.results != other.results {
            return Some(format!("the results are {:x?} and should be {:x?}", self.results, other.results));
        }
        if self.records != other.records {
            return Some(format!("the records are\n  {:x?}\nand should be\n  {:x?}", self.records, other.records));
        }
        let counted =
            || plan.counters.values().map(|counter| &counter.cause).zip(self.counters.iter().zip(&other.counters));
        let cause = counted().find(|(_, (one, two))| one != two);
        cause.map(|(cause, (one, two))| format!("{cause:?} was counted {one} times and should have been {two} times"))
    }
}

impl Table {
    fn new(map: &Map) -> Self {
        let mut table = Table {
            kind: map.kind,
            entries: BTreeMap::new(),
            value_size: map.value_size as usize,
            max_entries: map.max_entries as usize,
        };
        if matches!(map.kind, MapKind::Array | MapKind::PerCpuArray) {
            for index in 0..map.max_entries {
                table.entries.insert(index.to_le_bytes().to_vec(), table.blank());
            }
        }
        table
    }

    pub fn slots(&self) -> usize {
        match self.kind {
            MapKind::PerCpuHash | MapKind::PerCpuLruHash | MapKind::PerCpuArray => CPUS,
            MapKind::Hash | MapKind::LruHash | MapKind::Array | MapKind::StackTrace => 1,
            MapKind::CgroupArray | MapKind::Ring | MapKind::Rings | MapKind::PerfRings => 1,
        }
    }

    /// The number of the slot that a CPU works on.
    pub fn slot_of(&self, cpu: usize) -> usize {
        cpu.min(self.slots() - 1)
    }

    fn blank(&self) -> Vec<Vec<u8>> {
        vec![vec![0; self.value_size]; self.slots()]
    }

    /// `bpf_map_update_elem`: a new entry is zero on the other CPUs.
    pub fn insert(&mut self, cpu: usize, key: &[u8], value: &[u8], if_present: IfPresent) -> Insertion {
        let slot = self.slot_of(cpu);
        let is_new = !self.entries.contains_key(key);
        if !is_new && if_present == IfPresent::Keep {
            return Insertion::Exists;
        }
        if is_new && self.entries.len() >= self.max_entries && self.kind != MapKind::LruHash {
            return Insertion::Full;
        }
        match key[0] {
            POOR if is_new => return Insertion::NoMemory,
            LOCKED if is_new => return Insertion::Busy,
            _ => {}
        }
        let blank = self.blank();
        self.entries.entry(key.to_vec()).or_insert(blank)[slot] = value.to_vec();
        Insertion::Done
    }

    /// The slot of a CPU, if the key is there.
    pub fn get(&mut self, cpu: usize, key: &[u8]) -> Option<&mut Vec<u8>> {
        let slot = self.slot_of(cpu);
        self.entries.get_mut(key).map(|slots| &mut slots[slot])
    }
}

/// The key of the only entry of a scalar map.
pub const ONLY: [u8; 4] = [0; 4];

/// The bytes of a value in a record with everything zeroed that its reader does not look at, such as what follows a text's NUL.
pub fn canonical(ty: &Type, bytes: &[Option<u8>]) -> Result<Vec<u8>, String> {
    let size = ty.size() as usize;
    let bytes = bytes.get(..size).ok_or_else(|| format!("a value of type {ty} does not fit its record"))?;
    let defined = |part: &[Option<u8>]| -> Result<Vec<u8>, String> {
        part.iter().copied().collect::<Option<_>>().ok_or_else(|| format!("a value of type {ty} was not all written"))
    };
    let mut out = vec![0; size];
    match ty {
        Type::Str(_) => {
            let end = bytes.iter().position(|byte| *byte == Some(0)).ok_or("a text without its NUL")?;
            out[..end].copy_from_slice(&defined(&bytes[..end])?);
        }
        Type::Buf(_) => {
            let length = defined(&bytes[..4])?;
            let end = 4 + u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
            out[..end].copy_from_slice(&defined(bytes.get(..end).ok_or("a buffer longer than its record")?)?);
        }
        Type::Tuple(_) | Type::Record(..) => {
            for (element, at) in ty.elements().iter().zip(ty.offsets()) {
                let part = canonical(element, &bytes[at as usize..])?;
                out[at as usize..][..part.len()].copy_from_slice(&part);
            }
        }
        _ => out = defined(bytes)?,
    }
    Ok(out)
}
