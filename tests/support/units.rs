//! Programs of several kinds with their plan and source, for tests of what is done with finished programs.

use rtrace::bpf::Helper;
use rtrace::bpf::asm::{Alu, Arg, Asm, Assembled, Base, Cond, Operand, Place, Size};
use rtrace::bpf::unit::Unit;
use rtrace::plan::{Map, MapId, MapKind, Plan, ProgKind, Role};
use rtrace::source::{Sources, Span};
use rtrace::types::{Aggregate, Int, MapValue, Type};

pub struct Made {
    pub units: Vec<Unit>,
    pub plan: Plan,
    pub sources: Sources,
}

const SCRIPT: &str =
    "tracepoint:raw_syscalls:sys_enter {\n    @[pid] = count();\n}\nbegin {\n    for ($i : @) { @n = 1; }\n}\n";

pub fn make() -> Made {
    let mut sources = Sources::new();
    let base = sources.add("script.bt", SCRIPT).base;
    let mut plan = Plan::default();
    let counts = plan.maps.push(Map {
        role: Role::User {
            name: "@".to_owned(),
            key: Some(Type::Int(Int::U32)),
            value: MapValue::Aggregate(Aggregate::Count),
            span: span(base, "@[pid]"),
        },
        kind: MapKind::PerCpuHash,
        key_size: 4,
        value_size: 8,
        max_entries: 64,
    });
    let counters = plan.maps.push(shared(Role::Counters, 16));
    let zeros = plan.maps.push(shared(Role::Zeros, 8));
    let units = vec![
        unit("count", ProgKind::Tracepoint, counting(base, counts, counters, zeros)),
        unit("count_raw", ProgKind::RawTracepoint, counting(base, counts, counters, zeros)),
        unit("call", ProgKind::RawTracepoint, calling(base, counters)),
        unit("walk", ProgKind::RawTracepoint, walking(base, counts, counters)),
    ];
    Made { units, plan, sources }
}

/// The place of a piece of the script.
pub fn span(base: u32, text: &str) -> Span {
    let start = base as usize + SCRIPT.find(text).expect("the script has it");
    Span::new(start, start + text.len())
}

fn shared(role: Role, value_size: u32) -> Map {
    Map { role, kind: MapKind::Array, key_size: 4, value_size, max_entries: 1 }
}

fn unit(name: &str, kind: ProgKind, assembled: Assembled) -> Unit {
    Unit {
        name: name.to_owned(),
        kind,
        insns: assembled.insns,
        relocs: assembled.relocs,
        functions: assembled.functions,
        lines: assembled.lines,
        comments: assembled.comments,
        targets: Vec::new(),
    }
}

/// Counts by process: look up, else insert zeros and look up again.
fn counting(base: u32, counts: MapId, counters: MapId, zeros: MapId) -> Assembled {
    let mut asm = Asm::new();
    asm.at(span(base, "@[pid] = count();"));
    asm.comment("pid");
    let pid = asm.call_constant(Helper::GET_CURRENT_PID_TGID, &[]);
    let pid = asm.alu(Alu::Shr, pid.into(), Operand::Imm(32));
    let key = asm.slot(4);
    let key = Place::new(Base::Frame(key), 0);
    asm.store(Size::B4, key, pid);
    let (found, lost, end) = (asm.label(), asm.label(), asm.label());
    let entry = asm.variable();
    let first = asm.call(Helper::MAP_LOOKUP_ELEM, &[Arg::Map(counts), Arg::Address(key)]);
    asm.set(entry, first.into());
    asm.branch(Cond::Ne, first.into(), Operand::Imm(0), found);
    asm.enter();
    let zero = Arg::Address(Place::new(Base::Map(zeros), 0));
    asm.call(Helper::MAP_UPDATE_ELEM, &[Arg::Map(counts), Arg::Address(key), zero, Arg::Imm(1)]);
    let second = asm.call(Helper::MAP_LOOKUP_ELEM, &[Arg::Map(counts), Arg::Address(key)]);
    asm.set(entry, second.into());
    asm.branch(Cond::Eq, second.into(), Operand::Imm(0), lost);
    asm.leave();
    asm.place(found);
    let count = asm.load(Size::B8, Place::new(Base::Reg(entry), 0));
    let count = asm.alu(Alu::Add, count.into(), Operand::Imm(1));
    asm.store(Size::B8, Place::new(Base::Reg(entry), 0), count);
    asm.jump(end);
    asm.place(lost);
    asm.comment("an update was lost");
    asm.atomic_add(Place::new(Base::Map(counters), 8), Operand::Imm(1));
    asm.place(end);
    asm.exit(Operand::Imm(0));
    asm.finish().expect("it fits")
}

/// Runs a callback for each entry.
fn walking(base: u32, counts: MapId, counters: MapId) -> Assembled {
    let mut asm = Asm::new();
    let main = rtrace::bpf::asm::FunctionId(0);
    asm.at(span(base, "for ($i : @)"));
    let sum = asm.slot(8);
    let sum = Place::new(Base::Frame(sum), 0);
    asm.store(Size::B8, sum, Operand::Imm(0));
    let (each, params) = asm.function("each", 4);
    asm.at(span(base, "@n = 1"));
    let key = asm.load(Size::B4, Place::new(Base::Reg(params[1]), 0));
    let old = asm.load(Size::B8, Place::new(Base::Reg(params[3]), 0));
    let new = asm.alu(Alu::Add, old.into(), key.into());
    asm.store(Size::B8, Place::new(Base::Reg(params[3]), 0), new);
    asm.exit(Operand::Imm(0));
    asm.resume(main);
    asm.at(span(base, "for ($i : @)"));
    asm.call(Helper::FOR_EACH_MAP_ELEM, &[Arg::Map(counts), Arg::Function(each), Arg::Address(sum), Arg::Imm(0)]);
    let total = asm.load(Size::B8, sum);
    asm.atomic_add(Place::new(Base::Map(counters), 0), total.into());
    asm.exit(Operand::Imm(0));
    asm.finish().expect("it fits")
}

/// Calls a function that calls another.
fn calling(base: u32, counters: MapId) -> Assembled {
    let mut asm = Asm::new();
    let main = rtrace::bpf::asm::FunctionId(0);
    let (add, params) = asm.function("add", 2);
    asm.at(span(base, "@n = 1"));
    let sum = asm.alu(Alu::Add, params[0].into(), params[1].into());
    asm.exit(sum);
    let (twice, params) = asm.function("twice", 1);
    let sum = asm.call(add, &[Arg::Reg(params[0]), Arg::Reg(params[0])]);
    asm.exit(sum.into());
    asm.resume(main);
    let time = asm.call(Helper::KTIME_GET_NS, &[]);
    let first = asm.call(twice, &[Arg::Reg(time)]);
    let second = asm.call(add, &[Arg::Reg(first), Arg::Imm(1)]);
    asm.atomic_add(Place::new(Base::Map(counters), 0), second.into());
    asm.exit(Operand::Imm(0));
    asm.finish().expect("it fits")
}
