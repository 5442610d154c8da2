//! The meaning of programs, without a kernel: what is generated, run in an interpreter with fake helpers, must leave behind what
//! direct evaluation of the core IR does.

#[path = "../support/machine.rs"]
mod machine;
#[path = "../support/numbers.rs"]
mod numbers;
#[path = "../support/sim/mod.rs"]
mod sim;

mod random;
