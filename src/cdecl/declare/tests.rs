//! Declarations as they are written, and where gcc puts what they declare.

use super::*;
use crate::cdecl::lex::tokens;

fn declared(text: &str) -> Btf {
    let declared = declare(&tokens(text, 0), None, &[]);
    assert_eq!(declared.faults, []);
    declared.types.unwrap()
}

fn fault(text: &str) -> String {
    declare(&tokens(text, 0), None, &[]).faults[0].message.clone()
}

/// Size, and byte offset (or bit offset and width) of each member.
fn layout(text: &str, name: &str) -> (u32, Vec<String>) {
    let btf = declared(text);
    let id = btf.named(name).unwrap();
    let members = btf.members(id).map(|member| match member.bitfield {
        Some(width) => format!("{}@{}:{width}", member.name, member.bit_offset),
        None => format!("{}@{}", member.name, member.bit_offset / 8),
    });
    (btf.size_of(id).unwrap(), members.collect())
}

// The numbers are those that gcc gives.

#[test]
fn members_lie_where_c_puts_them() {
    let text =
        "struct s { char a; int b; char c; long d; short e[3]; union { int f; long g; }; struct { short h; } i; };";
    let members = ["a@0", "b@4", "c@8", "d@16", "e@24", "@32", "i@40"];
    assert_eq!(layout(text, "struct s"), (48, members.map(String::from).to_vec()));
    let packed = "struct p { char a; int b; long c; } __attribute__((packed));";
    assert_eq!(layout(packed, "struct p"), (13, ["a@0", "b@1", "c@5"].map(String::from).to_vec()));
    let aligned = "struct a { char a; char b __attribute__((aligned(8))); };";
    assert_eq!(layout(aligned, "struct a"), (16, ["a@0", "b@8"].map(String::from).to_vec()));
}

#[test]
fn bit_fields_share_units() {
    let text = "struct b { unsigned a:3, b:7; unsigned c:25; char d; unsigned :0; unsigned char e:4; long f:40; };";
    let members = ["a@0:3", "b@3:7", "c@32:25", "d@8", "e@96:4", "f@128:40"];
    assert_eq!(layout(text, "struct b"), (24, members.map(String::from).to_vec()));
}

#[test]
fn declarators_nest() {
    let text = "struct file; typedef unsigned long ulong_t;
        struct d { int grid[4][2]; int *many[3]; int (*one)[3]; ulong_t n; int (*open)(struct file *, int, ...);
                   struct d *next; char tail[]; };";
    let btf = declared(text);
    let shown: Vec<String> = btf.members(btf.named("struct d").unwrap()).map(|m| btf.declare(m.ty, m.name)).collect();
    let wanted = [
        "int grid[4][2]",
        "int *many[3]",
        "int (*one)[3]",
        "ulong_t n",
        "int (*open)(struct file *, int, ...)",
        "struct d *next",
        "char tail[0]",
    ];
    assert_eq!(shown, wanted);
    assert_eq!(btf.size_of(btf.named("struct d").unwrap()), Some(88));
}

#[test]
fn enumerators_count_on() {
    let btf = declared(
        "enum e { A, B = 5, C, D = -1 }; enum wide { W = 1UL << 40 }; struct s { char of[C]; };
        struct t { char pad[64 - sizeof(struct s) - sizeof(int *)]; };",
    );
    assert_eq!(btf.enum_value("C").unwrap().1, 6);
    assert_eq!(btf.enum_value("D").unwrap().1, -1);
    assert_eq!(btf.enum_value("W").unwrap().1, 1 << 40);
    assert_eq!(btf.size_of(btf.named("enum wide").unwrap()), Some(8));
    assert_eq!(btf.size_of(btf.named("struct s").unwrap()), Some(6));
    assert_eq!(btf.size_of(btf.named("struct t").unwrap()), Some(50));
}

#[test]
fn added_types_come_before_the_kernels() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture/kernel/btf");
    let kernel = Btf::open_at(std::path::Path::new(path)).unwrap();
    let text = "struct qstr { long b; }; struct u { struct qstr q; struct path p; pid_t pid; };";
    let declared = declare(&tokens(text, 0), Some(&kernel), &[]);
    let btf = declared.types.unwrap();
    assert_eq!(btf.field_names(btf.named("struct qstr").unwrap()), ["b"]);
    assert_eq!(btf.named("struct path"), kernel.named("struct path"));
    let offset = |name| btf.field(btf.named("struct u").unwrap(), name).unwrap().bit_offset / 8;
    assert_eq!((offset("q"), offset("p"), offset("pid")), (0, 8, 24));
    let dentry = |btf: &Btf| btf.definition(btf.named("struct dentry").unwrap());
    assert_eq!(dentry(&btf), dentry(&kernel));
    assert_eq!(declared.warnings.len(), 1);
}

#[test]
fn names_are_needed_to_be_known() {
    assert_eq!(fault("struct s { bad_t a; };"), "unknown type name 'bad_t'");
    assert_eq!(fault("struct s { struct t a; };"), "field 'a' has an incomplete type");
    assert_eq!(fault("struct s { int a; }; struct s { int a; };"), "redefinition of 'struct s'");
    assert_eq!(fault("struct s { int a, a; };"), "duplicate member 'a'");
    assert_eq!(fault("struct s { int a"), "expected ';', found the end of the declarations");
    assert_eq!(fault("struct s { char a:9; };"), "a bit field of this type has at most 8 bits");
    assert_eq!(fault("struct s { char a[sizeof(struct t)]; };"), "this type is incomplete");
    assert_eq!(fault(&format!("struct s {{ char a{}; }};", "[1]".repeat(100_000))), "field 'a' has an incomplete type");
    assert_eq!(fault(&"struct { ".repeat(10_000)), "types are nested too deeply here");
}
