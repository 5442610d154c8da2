//! The machine: eBPF instructions, the assembler that turns operations on virtual registers into them, and programs ready to load.

pub mod asm;
pub mod btf;
pub mod elf;
pub mod helpers;
pub mod insn;
pub mod list;
pub mod names;
pub mod unit;

mod build;
mod call;
mod color;
mod dead;
mod emit;
mod flow;
mod fold;
mod frame;
mod lir;
mod live;
mod moves;
mod number;
mod regs;
mod spill;

pub use helpers::Helper;
