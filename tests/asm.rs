//! Random programs through the assembler: the interpreter must get from the finished code what direct evaluation gives.

mod support;

use rtrace::bpf::asm::{Alu, Asm, Cond, Operand};
use support::machine::{Machine, Nothing};

#[test]
fn adds() {
    let mut asm = Asm::new();
    let v = asm.variable();
    asm.set(v, Operand::Imm(0));
    let head = asm.label();
    let end = asm.label();
    asm.place(head);
    let i = asm.get(v);
    asm.branch(Cond::Ge, i.into(), Operand::Imm(10), end);
    let next = asm.alu(Alu::Add, i.into(), Operand::Imm(1));
    asm.set(v, next);
    asm.jump(head);
    asm.place(end);
    let i = asm.get(v);
    asm.exit(i.into());
    let done = asm.finish().unwrap();
    for i in &done.insns {
        println!("{i}");
    }
    assert_eq!(Machine::new(&done.insns, &done.relocs).run(&mut Nothing, &[]), Ok(10));
}
