//! The running kernel's own types where it has any, and what is left of them after being damaged.

use super::*;
use crate::types::{Int, Space, Type};

fn kernel() -> Option<Btf> {
    Btf::open().ok()
}

#[test]
fn task_struct_has_its_fields() {
    let Some(btf) = kernel() else { return };
    let task = btf.struct_named("task_struct").unwrap();
    let id = TypeId(task.btf);
    assert_eq!((&*task.name, Some(task.size)), ("struct task_struct", btf.size_of(id)));
    let comm = btf.field(id, "comm").unwrap();
    assert_eq!(btf.to_type(comm.ty, Space::Kernel), Type::Str(16));
    let pid = btf.field(id, "pid").unwrap();
    assert_eq!((btf.to_type(pid.ty, Space::Kernel), pid.bit_offset % 32), (Type::Int(Int::I32), 0));
    assert_eq!(btf.declare(pid.ty, "pid"), "pid_t pid");
    let parent = btf.field(id, "real_parent").unwrap();
    assert_eq!(btf.to_type(parent.ty, Space::Kernel), Type::pointer(Type::Struct(task), Space::Kernel));
    assert_eq!(btf.declare(parent.ty, "p"), "struct task_struct *p");
    let bit = btf.field(id, "in_execve").unwrap();
    assert_eq!(bit.bitfield, Some(1));
    assert!(btf.field(id, "nosuch").is_none() && btf.field(id, "").is_none());
}

#[test]
fn anonymous_members_are_looked_into() {
    let Some(btf) = kernel() else { return };
    let id = btf.named("struct qstr").unwrap();
    let (hash, len) = (btf.field(id, "hash").unwrap(), btf.field(id, "len").unwrap());
    assert_eq!((hash.bit_offset, len.bit_offset), (0, 32));
    assert!(btf.field_names(id).contains(&"hash_len"));
    let name = btf.field(id, "name").unwrap();
    assert_eq!(btf.type_name(name.ty), "const unsigned char *");
    assert!(btf.definition(id).unwrap().starts_with("struct qstr {\n\tunion {\n\t\tstruct {\n\t\t\tu32 hash;\n"));
}

#[test]
fn functions_and_enumerators_are_found() {
    let Some(btf) = kernel() else { return };
    let read = btf.func("vfs_read").unwrap();
    let names: Vec<_> = read.params.iter().map(|param| param.name).collect();
    assert_eq!(names, ["file", "buf", "count", "pos"]);
    assert_eq!(btf.to_type(read.result, Space::Kernel), Type::Int(Int::I64));
    let switch = btf.signature(btf.find("btf_trace_sched_switch", Kind::Typedef).unwrap()).unwrap();
    assert!(switch.params.iter().any(|param| btf.type_name(param.ty) == "struct task_struct *"));
    let (id, value) = btf.enum_value("PIDTYPE_TGID").unwrap();
    assert_eq!((btf.name(id), value), ("pid_type", 1));
}

#[test]
fn every_type_can_be_converted_and_printed() {
    let Some(btf) = kernel() else { return };
    for id in btf.ids() {
        btf.to_type(id, Space::Kernel);
        assert!(
            !btf.type_name(id).is_empty()
                || matches!(btf.kind(id), Some(Kind::Enum | Kind::Struct | Kind::Union | Kind::FuncProto))
        );
    }
}

/// A small piece of BTF for what a kernel may or may not hold: `_Bool`, a 64-bit enumeration, a user pointer, old bit fields.
#[test]
fn rare_kinds_are_read() {
    let strings = b"\0_Bool\0int\0BIG\0HUGE\0user\0s\0a\0b\0";
    let types: &[u32] = &[
        1,
        1 << 24,
        1,
        4 << 24 | 8, // [1] _Bool
        7,
        1 << 24,
        4,
        1 << 24 | 32, // [2] int
        11,
        19 << 24 | 1,
        8,
        15,
        1,
        1, // [3] enum64 BIG { HUGE = 0x100000001 }
        20,
        18 << 24,
        2, // [4] type tag user, int
        0,
        2 << 24,
        4, // [5] pointer to [4]
        0,
        1 << 24,
        4,
        3 << 16 | 5, // [6] five bits of an int, at bit 3
        25,
        4 << 24 | 2,
        16,
        27,
        5,
        0,
        29,
        6,
        64, // [7] struct s { int __user *a; int b : 5; }
    ];
    let btf = Btf::parse(&image(types, strings)).unwrap();
    assert_eq!(btf.to_type(TypeId(1), Space::Kernel), Type::Bool);
    assert_eq!(btf.enum_value("HUGE"), Some((TypeId(3), 0x1_0000_0001)));
    assert_eq!(btf.to_type(TypeId(5), Space::Kernel), Type::pointer(Type::Int(Int::I32), Space::User));
    let b = btf.field(btf.named("struct s").unwrap(), "b").unwrap();
    assert_eq!((b.bit_offset, b.bitfield), (67, Some(5)));
}

#[test]
fn cycles_end() {
    let typedef = &[1, 8 << 24, 1];
    let btf = Btf::parse(&image(typedef, b"\0t\0")).unwrap();
    assert_eq!((btf.to_type(TypeId(1), Space::Kernel), btf.size_of(TypeId(1))), (Type::Void, None));
    let nested = &[1, 4 << 24 | 1, 8, 0, 1, 0];
    let btf = Btf::parse(&image(nested, b"\0t\0")).unwrap();
    assert_eq!(btf.field(TypeId(1), "x"), None);
    btf.definition(TypeId(1));
    let pointer = &[0, 2 << 24, 1];
    let btf = Btf::parse(&image(pointer, b"\0t\0")).unwrap();
    btf.to_type(TypeId(1), Space::Kernel);
    btf.type_name(TypeId(1));
}

#[test]
fn damaged_data_never_panics() {
    let Some(kernel) = kernel() else { return };
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize
    };
    let original = excerpt(&kernel, 2000);
    for _ in 0..300 {
        let mut bytes = original.clone();
        for _ in 0..1 + random() % 8 {
            let at = random() % if random() % 4 == 0 { 64 } else { bytes.len() };
            bytes[at] = random() as u8;
        }
        bytes.truncate(if random() % 4 == 0 { random() % bytes.len() } else { bytes.len() });
        let Ok(btf) = Btf::parse(&bytes) else { continue };
        for id in btf.ids() {
            btf.to_type(id, Space::Kernel).size();
            btf.declare(id, "x");
            btf.size_of(id);
            btf.field(id, "flags");
            btf.signature(id);
        }
        btf.enum_value("PIDTYPE_TGID");
    }
}

/// The first types of a BTF, with all its strings.
fn excerpt(btf: &Btf, types: u32) -> Vec<u8> {
    let (start, end) = (btf.record(TypeId(1)).unwrap().rest - 12, btf.record(TypeId(types)).unwrap().rest - 12);
    let words: Vec<u32> =
        btf.base.bytes[start..end].chunks(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap())).collect();
    image(&words, &btf.base.layout.strings(&btf.base.bytes)[..20_000])
}

/// The format leaves open which of them comes first.
#[test]
fn strings_may_lie_before_records() {
    let (int, strings) = ([1, 1 << 24, 4, 1 << 24 | 32], b"\0int\0\0\0\0");
    let header = [24, 8, 16, 0, 8].iter().flat_map(|word: &u32| word.to_ne_bytes()).collect();
    let words = int.iter().flat_map(|word: &u32| word.to_ne_bytes()).collect();
    let magic = [&0xeb9f_u16.to_ne_bytes()[..], &[1, 0]].concat();
    let btf = Btf::parse(&[magic, header, strings.to_vec(), words].concat()).unwrap();
    assert_eq!(btf.base.layout.records(&btf.base.bytes), int);
    assert!(btf.find("int", Kind::Int).is_some());
}

fn image(types: &[u32], strings: &[u8]) -> Vec<u8> {
    super::build::image(types, &[strings, b"\0"].concat())
}

#[test]
fn the_running_kernels_types_open() {
    let Some(_) = kernel() else { return };
    assert!(Btf::open().unwrap().struct_named("task_struct").is_some());
}
