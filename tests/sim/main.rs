//! The meaning of programs, without a kernel: what is generated, run in an interpreter with fake helpers, must leave behind what
//! direct evaluation of the core IR does.

#[path = "../support/machine.rs"]
mod machine;
#[path = "../support/numbers.rs"]
mod numbers;
#[path = "../support/sim/mod.rs"]
mod sim;

mod cases;
mod random;

/// The kernel that everything is compiled for.
fn fixture() -> rtrace::kernel::Fixture {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/kernel");
    let kernel = rtrace::kernel::Fixture::open(&root).expect("the fixture kernel is there");
    // The machine of these tests knows the kernel's memory by helpers only.
    kernel.without(rtrace::kernel::Feature::TaskPointers)
}
