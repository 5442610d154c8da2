//! The machine from outside: what the assembler makes runs, loads, and reads as it should.

#[path = "../support/machine.rs"]
mod machine;
#[path = "../support/numbers.rs"]
mod numbers;
#[path = "../support/random/mod.rs"]
mod random;
#[path = "../support/units.rs"]
mod units;
#[path = "../support/verifier.rs"]
mod verifier;

mod code;
mod elf;
mod functions;
mod listing;
mod programs;
