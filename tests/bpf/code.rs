//! Short pieces of code, instruction by instruction: what the assembler leaves out, and which registers it picks.

use rtrace::bpf::Helper;
use rtrace::bpf::asm::{Alu, Arg, Asm, Base, Cond, Operand, Place, Size};
use rtrace::types::Sign;

/// The instructions that `build` leads to, one a line.
fn code(build: impl FnOnce(&mut Asm)) -> String {
    let mut asm = Asm::new();
    build(&mut asm);
    let assembled = asm.finish().expect("it fits");
    assembled.insns.iter().map(|insn| format!("{insn}\n")).collect()
}

fn expect(build: impl FnOnce(&mut Asm), lines: &[&str]) {
    let found = code(build);
    let found: Vec<&str> = found.lines().collect();
    assert_eq!(found, lines);
}

fn context(asm: &mut Asm, size: Size, offset: i32) -> Operand {
    asm.load_pure(size, Place::new(Base::Ctx, offset)).into()
}

/// The same operation on the context's first word, for many operations at once: what comes out is exited with.
#[test]
fn arithmetic_is_folded() {
    let cases: &[(Alu, i64, &[&str])] = &[
        (Alu::Add, 0, &[]),
        (Alu::Mul, 1, &[]),
        (Alu::Mul, 8, &["r0 <<= 3"]),
        (Alu::Div, 16, &["r0 >>= 4"]),
        (Alu::Mod, 16, &["r0 &= 15"]),
        (Alu::Sub, 5, &["r0 += -5"]),
        (Alu::And, 0xffff_ffff, &["w0 = w0"]),
        (Alu::And, -1, &[]),
        (Alu::Xor, 0, &[]),
        (Alu::Div, 1000, &["r0 /= 1000"]),
    ];
    for (op, right, expected) in cases {
        let build = |asm: &mut Asm| {
            let word = context(asm, Size::B8, 0);
            let result = asm.alu(*op, word, Operand::Imm(*right));
            asm.exit(result);
        };
        let lines: Vec<&str> = [&["r0 = *(u64 *)(r1 +0)"], *expected, &["exit"]].concat();
        expect(build, &lines);
    }
}

#[test]
fn extensions_of_what_is_narrow_enough_disappear() {
    let extended = |size, bits, sign| {
        code(|asm| {
            let value = context(asm, size, 0);
            let value = asm.extend(value, bits, sign);
            asm.exit(value);
        })
        .lines()
        .count()
            - 2
    };
    assert_eq!(extended(Size::B4, 32, Sign::Unsigned), 0);
    assert_eq!(extended(Size::B2, 32, Sign::Signed), 0);
    assert_eq!(extended(Size::B4, 32, Sign::Signed), 2);
    assert_eq!(extended(Size::B8, 16, Sign::Unsigned), 1);
}

#[test]
fn a_value_is_computed_once_on_every_path() {
    let build = |asm: &mut Asm| {
        let end = asm.label();
        let pid = asm.call_constant(Helper::GET_CURRENT_PID_TGID, &[]);
        asm.branch(Cond::Eq, pid.into(), Operand::Imm(0), end);
        asm.enter();
        let again = asm.call_constant(Helper::GET_CURRENT_PID_TGID, &[]);
        asm.call(Helper::SEND_SIGNAL, &[Arg::Reg(again)]);
        asm.call_constant(Helper::GET_CURRENT_TASK, &[]);
        asm.leave();
        asm.place(end);
        let task = asm.call_constant(Helper::GET_CURRENT_TASK, &[]);
        asm.exit(task.into());
    };
    let lines = [
        "call bpf_get_current_pid_tgid#14",
        "if r0 == 0 goto pc+2",
        "r1 = r0",
        "call bpf_send_signal#109",
        "call bpf_get_current_task#35",
        "exit",
    ];
    expect(build, &lines);
}

#[test]
fn loads_are_numbered_until_memory_changes() {
    let loads = |change: fn(&mut Asm)| {
        code(|asm| {
            let first = context(asm, Size::B8, 8);
            change(asm);
            let second = context(asm, Size::B8, 8);
            let sum = asm.alu(Alu::Mul, first, second);
            asm.exit(sum);
        })
        .matches("(r1 +8)")
        .count()
    };
    assert_eq!(loads(|_| {}), 1);
    assert_eq!(loads(Asm::clobber), 2);
}

/// The context outlives a call only in a register that survives it; arguments are computed where they are passed.
#[test]
fn registers_suit_calls() {
    let build = |asm: &mut Asm| {
        let comm = asm.slot(16);
        let to = Arg::Address(Place::new(Base::Frame(comm), 0));
        let from = context(asm, Size::B8, 8);
        let from = asm.alu(Alu::Add, from, Operand::Imm(4));
        let Operand::Reg(from) = from else { unreachable!("it was loaded") };
        asm.call(Helper::PROBE_READ_KERNEL, &[to, Arg::Imm(16), Arg::Reg(from)]);
        let last = context(asm, Size::B8, 16);
        asm.exit(last);
    };
    let lines = [
        "r6 = r1",
        "r3 = *(u64 *)(r6 +8)",
        "r3 += 4",
        "r1 = r10",
        "r1 += -16",
        "r2 = 16",
        "call bpf_probe_read_kernel#113",
        "r0 = *(u64 *)(r6 +16)",
        "exit",
    ];
    expect(build, &lines);
}

/// A counting loop keeps its variable in one register.
#[test]
fn variables_share_registers_with_their_values() {
    let build = |asm: &mut Asm| {
        let (head, end) = (asm.label(), asm.label());
        let index = asm.variable();
        asm.set(index, Operand::Imm(0));
        asm.place(head);
        asm.branch(Cond::Ge, index.into(), Operand::Imm(10), end);
        asm.enter();
        let next = asm.alu(Alu::Add, index.into(), Operand::Imm(1));
        asm.set(index, next);
        asm.jump(head);
        asm.leave();
        asm.place(end);
        asm.exit(index.into());
    };
    expect(build, &["r0 = 0", "r0 += 1", "if r0 < 10 goto pc-2", "exit"]);
}

/// `a && b` as a value that is then tested costs no more than two branches.
#[test]
fn truth_values_that_are_only_tested_disappear() {
    let build = |asm: &mut Asm| {
        let (decided, end) = (asm.label(), asm.label());
        let both = asm.variable();
        asm.set(both, Operand::Imm(0));
        for offset in [0, 8] {
            let value = asm.load(Size::B8, Place::new(Base::Ctx, offset));
            asm.branch(Cond::Eq, value.into(), Operand::Imm(0), decided);
        }
        asm.set(both, Operand::Imm(1));
        asm.place(decided);
        asm.branch(Cond::Eq, both.into(), Operand::Imm(0), end);
        asm.call(Helper::SEND_SIGNAL, &[Arg::Imm(9)]);
        asm.place(end);
        asm.exit(Operand::Imm(0));
    };
    let lines = [
        "r5 = *(u64 *)(r1 +0)",
        "if r5 == 0 goto pc+4",
        "r5 = *(u64 *)(r1 +8)",
        "if r5 == 0 goto pc+2",
        "r1 = 9",
        "call bpf_send_signal#109",
        "r0 = 0",
        "exit",
    ];
    expect(build, &lines);
}

/// A map's value or 0 where there is none, tested: nobody needs the 0.
#[test]
fn a_missing_entry_that_is_only_tested_costs_one_branch() {
    let build = |asm: &mut Asm| {
        let (missing, end) = (asm.label(), asm.label());
        let entry = asm.load(Size::B8, Place::new(Base::Ctx, 0));
        let value = asm.variable();
        asm.set(value, Operand::Imm(0));
        asm.branch(Cond::Eq, entry.into(), Operand::Imm(0), missing);
        asm.enter();
        let found = asm.load(Size::B8, Place::new(Base::Reg(entry), 0));
        asm.set(value, found.into());
        asm.leave();
        asm.place(missing);
        let value = asm.get(value);
        asm.branch(Cond::Eq, value.into(), Operand::Imm(0), end);
        asm.call(Helper::SEND_SIGNAL, &[Arg::Imm(9)]);
        asm.place(end);
        asm.exit(Operand::Imm(0));
    };
    let lines = [
        "r5 = *(u64 *)(r1 +0)",
        "if r5 == 0 goto pc+4",
        "r5 = *(u64 *)(r5 +0)",
        "if r5 == 0 goto pc+2",
        "r1 = 9",
        "call bpf_send_signal#109",
        "r0 = 0",
        "exit",
    ];
    expect(build, &lines);
}

/// Slots of two branches share bytes; one that a loop carries does not share with those inside.
#[test]
fn slots_share_memory_where_they_may() {
    let depth = |text: &str| text.matches("(r10 -16)").count();
    let store = |asm: &mut Asm| {
        let slot = asm.slot(8);
        asm.store(Size::B8, Place::new(Base::Frame(slot), 0), Operand::Imm(1));
        slot
    };
    let apart = code(|asm| {
        store(asm);
        store(asm);
    });
    assert_eq!(depth(&apart), 0, "{apart}");
    let carried = code(|asm| {
        let kept = store(asm);
        let head = asm.label();
        asm.place(head);
        let value = asm.load(Size::B8, Place::new(Base::Frame(kept), 0));
        store(asm);
        asm.branch(Cond::Ne, value.into(), Operand::Imm(0), head);
    });
    assert_eq!(depth(&carried), 1, "{carried}");
}
