//! A few types of the running kernel become a small BTF: the one that the fixture kernel of the tests has.
//!
//! Regenerate it with `UPDATE=1 cargo test --lib btf::subset`, on a kernel with BTF.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use super::build::image;
use super::wire::{Kind, Record};
use super::{Btf, TypeId};

/// What the tests name. Structures that these only point at are declared, not defined.
const STRUCTS: &[&str] = &[
    "task_struct",
    "mm_struct",
    "file",
    "dentry",
    "path",
    "qstr",
    "inode",
    "super_block",
    "cred",
    "pid",
    "nsproxy",
    "linux_binprm",
    "sock",
    "sock_common",
    "in6_addr",
    "in_addr",
    "sk_buff",
    "page",
    "request",
    "bio",
    "files_struct",
    "fdtable",
    "vm_area_struct",
    "stat",
    "__kernel_timespec",
    "signal_struct",
    "uts_namespace",
    "new_utsname",
    "kobject",
    "bpf_iter__task",
    "bpf_iter__task_file",
    "bpf_iter_meta",
];
const TYPEDEFS: &[&str] = &[
    "pid_t",
    "uid_t",
    "gid_t",
    "size_t",
    "ssize_t",
    "loff_t",
    "sector_t",
    "umode_t",
    "dev_t",
    "gfp_t",
    "u8",
    "u16",
    "u32",
    "u64",
    "__u8",
    "__u16",
    "__u32",
    "__u64",
    "s64",
    "uint8_t",
    "uint16_t",
    "uint32_t",
    "uint64_t",
    "atomic_t",
    "kuid_t",
    "btf_trace_sched_switch",
    "btf_trace_sched_process_exec",
    "btf_trace_sched_wakeup",
    "btf_trace_sys_enter",
    "btf_trace_sys_exit",
];
const FUNCTIONS: &[&str] = &[
    "bpf_iter_task",
    "bpf_iter_task_file",
    "vfs_read",
    "vfs_write",
    "vfs_open",
    "do_nanosleep",
    "ip_rcv",
    "bpf_rdonly_cast",
    "bpf_task_from_pid",
    "bpf_task_release",
    "bpf_path_d_path",
    "tcp_sendmsg",
    "__traceiter_sched_switch",
    "__traceiter_sched_process_exec",
    "__traceiter_sched_wakeup",
    "__traceiter_sys_enter",
    "__traceiter_sys_exit",
];
const VARS: &[&str] = &["process_counts"];
const ENUMS: &[&str] = &["pid_type", "hrtimer_mode", "zone_type"];

/// How much of a type is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    Declared,
    Defined,
}

struct Subset<'a> {
    from: &'a Btf,
    roots: Vec<TypeId>,
    kept: BTreeMap<TypeId, Depth>,
    strings: Vec<u8>,
    offsets: HashMap<String, u32>,
}

impl<'a> Subset<'a> {
    fn of(from: &'a Btf, roots: Vec<TypeId>) -> Vec<u8> {
        let mut subset =
            Subset { from, roots: roots.clone(), kept: BTreeMap::new(), strings: vec![0], offsets: HashMap::new() };
        for root in roots {
            subset.keep(root, Depth::Defined);
        }
        subset.write()
    }

    fn keep(&mut self, id: TypeId, depth: Depth) {
        let Some(record) = self.from.record(id) else { return };
        let depth = if self.roots.contains(&id) { Depth::Defined } else { depth };
        if self.kept.get(&id).is_some_and(|known| *known >= depth) {
            return;
        }
        self.kept.insert(id, depth);
        let below = if record.kind == Kind::Ptr { Depth::Declared } else { depth };
        if !record.kind.is_aggregate() || depth == Depth::Defined {
            for reference in self.references(&record) {
                self.keep(reference, below);
            }
        }
    }

    /// The types a record names.
    fn references(&self, record: &Record) -> Vec<TypeId> {
        let many = 0..record.len;
        match record.kind {
            Kind::Struct | Kind::Union => many.map(|index| self.from.member(record, index).ty).collect(),
            Kind::FuncProto => many.map(|index| self.from.param(record, index).ty).chain([record.target()]).collect(),
            Kind::Array => vec![self.from.array(record).0],
            Kind::Ptr | Kind::Func | Kind::Var => vec![record.target()],
            kind if kind.is_modifier() => vec![record.target()],
            _ => Vec::new(),
        }
    }

    fn write(&mut self) -> Vec<u8> {
        let numbers: HashMap<TypeId, u32> = self.kept.keys().zip(1..).map(|(id, number)| (*id, number)).collect();
        let kept: Vec<_> = self.kept.iter().map(|(id, depth)| (*id, *depth)).collect();
        let mut words = Vec::new();
        for (id, depth) in kept {
            let record = self.from.record(id).unwrap();
            self.write_record(&record, depth, &numbers, &mut words);
        }
        image(&words, &self.strings)
    }

    fn write_record(&mut self, record: &Record, depth: Depth, numbers: &HashMap<TypeId, u32>, words: &mut Vec<u32>) {
        let number = |id: TypeId| numbers.get(&id).copied().unwrap_or(0);
        let raw = |at: usize| u32::from_ne_bytes(self.from.base.bytes[at..at + 4].try_into().unwrap());
        let info = raw(record.rest - 8);
        let name = self.from.text(record.name);
        if record.kind.is_aggregate() && depth == Depth::Declared {
            let is_union = u32::from(record.kind == Kind::Union);
            let name = self.string(name);
            return words.extend([name, is_union << 31 | 7 << 24, 0]);
        }
        let refers =
            record.kind.is_modifier() || matches!(record.kind, Kind::Ptr | Kind::Func | Kind::FuncProto | Kind::Var);
        let size_or_type = if refers { number(record.target()) } else { record.size_or_type };
        // What follows the header, as (name, type, other) words, is rewritten by kind.
        let (stride, name_at, type_at): (u32, Option<u32>, Option<u32>) = match record.kind {
            Kind::Struct | Kind::Union => (3, Some(0), Some(1)),
            Kind::FuncProto => (2, Some(0), Some(1)),
            Kind::Enum => (2, Some(0), None),
            Kind::Enum64 => (3, Some(0), None),
            Kind::Array => (3, None, Some(0)),
            Kind::Int | Kind::Var => (1, None, None),
            _ => (0, None, None),
        };
        let count = if matches!(record.kind, Kind::Array | Kind::Int | Kind::Var) { 1 } else { record.len };
        let rest: Vec<u32> = (0..stride * count).map(|index| raw(record.rest + 4 * index as usize)).collect();
        words.push(0);
        let header = words.len() - 1;
        words.extend([info, size_or_type]);
        for (index, word) in rest.into_iter().enumerate() {
            let place = index as u32 % stride;
            words.push(match place {
                _ if Some(place) == name_at => self.string(self.from.text(word)),
                _ if Some(place) == type_at => number(TypeId(word)),
                // The type of an array's index is of no interest.
                1 if record.kind == Kind::Array => 0,
                _ => word,
            });
        }
        words[header] = self.string(name);
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        *self.offsets.entry(text.to_string()).or_insert_with(|| {
            let at = self.strings.len() as u32;
            self.strings.extend(text.as_bytes());
            self.strings.push(0);
            at
        })
    }
}

fn roots(btf: &Btf) -> Vec<TypeId> {
    let of = |names: &[&str], kind| names.iter().filter_map(|name| btf.find(name, kind)).collect::<Vec<_>>();
    let parts = [
        (STRUCTS, Kind::Struct),
        (TYPEDEFS, Kind::Typedef),
        (FUNCTIONS, Kind::Func),
        (VARS, Kind::Var),
        (ENUMS, Kind::Enum),
    ];
    let ints = (1..btf.base.layout.count()).map(TypeId).filter(|id| btf.kind(*id) == Some(Kind::Int));
    parts.into_iter().flat_map(|(names, kind)| of(names, kind)).chain(ints).collect()
}

#[test]
fn a_subset_answers_as_the_whole() {
    let Ok(whole) = Btf::open() else { return };
    let bytes = Subset::of(&whole, roots(&whole));
    let part = Btf::parse(&bytes).unwrap();
    for name in STRUCTS {
        let (Some(a), Some(b)) = (whole.struct_named(name), part.struct_named(name)) else { continue };
        let (a, b) = (TypeId(a.btf), TypeId(b.btf));
        assert_eq!((whole.size_of(a), whole.definition(a)), (part.size_of(b), part.definition(b)), "{name}");
    }
    for name in FUNCTIONS {
        let shown =
            |btf: &Btf| btf.find(name, Kind::Func).map(|id| btf.declare(btf.record(id).unwrap().target(), name));
        assert_eq!(shown(&whole), shown(&part));
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/kernel/btf"), bytes).unwrap();
    }
}
