//! Random programs. `RTRACE_SIM_PROGRAMS` says how many, `RTRACE_SIM_FIRST` where to begin.

use std::path::Path;

use rtrace::kernel::{Feature, Fixture, Kernel};

use crate::numbers::{Random, mix};
use crate::sim::author;
use crate::sim::scene::{CPUS, Moment};
use crate::sim::shrink::shrink;
use crate::sim::{Failure, compile, run};

/// How many programs are run unless the environment says otherwise.
const PROGRAMS: u64 = 3000;

#[test]
fn random_programs_do_what_they_say() {
    let kernels = [fixture(), fixture().without(Feature::Loop)];
    let first = number("RTRACE_SIM_FIRST", 0);
    let mut refused = 0;
    for seed in first..first + number("RTRACE_SIM_PROGRAMS", PROGRAMS) {
        let program = author::program(seed);
        let kernel = &kernels[(seed % 2) as usize];
        match attempt(&program, seed, kernel) {
            Ok(()) => {}
            Err(Failure::Refused(why)) if is_expected(&why) => {
                if std::env::var_os("RTRACE_SIM_SHOW").is_some() {
                    eprintln!("REFUSED {}", why.lines().take(3).collect::<Vec<_>>().join("|"));
                }
                refused += 1;
            }
            Err(failure) => panic!("seed {seed}: {}", explained(&program, seed, kernel, &failure)),
        }
    }
    eprintln!("{refused} were refused");
}

/// Faults that a well-typed program may have: constants that overflow when they are folded.
fn is_expected(why: &str) -> bool {
    why.contains("unable to fold literals") || why.contains("tuple types are not")
}

fn attempt(program: &str, seed: u64, kernel: &dyn Kernel) -> Result<(), Failure> {
    let subject = compile(program, kernel)?;
    let mut random = Random(seed);
    let units = subject.compiled.units.len();
    let moments: Vec<Moment> = (0..3 * units)
        .map(|round| Moment { unit: round % units, cpu: random.below(CPUS), seed: mix(random.next()) })
        .collect();
    let room = [2, 5, 1000][random.below(3)];
    run(&subject, &moments, room).map(|_| ())
}

/// The failure of the smallest program that fails in the same way.
fn explained(program: &str, seed: u64, kernel: &dyn Kernel, failure: &Failure) -> String {
    let is_alike = |program: &str| attempt(program, seed, kernel).is_err_and(|other| kind(&other) == kind(failure));
    eprintln!("seed {seed} fails; looking for a smaller program");
    let smallest = shrink(program, is_alike);
    let why = attempt(&smallest, seed, kernel).err();
    format!("{why:#?}\n{smallest}\nmade of\n{program}\nwhich fails with {failure:#?}")
}

/// What a failure is about, without names and numbers.
fn kind(failure: &Failure) -> (u8, String) {
    let words = |text: &str| text.split(|c: char| !c.is_ascii_alphabetic()).take(12).collect::<Vec<_>>().join(" ");
    match failure {
        Failure::Refused(why) => (0, words(why.split("ERROR: ").nth(1).unwrap_or_default())),
        Failure::Broken(_) => (1, String::new()),
        Failure::Fault(why) => (2, words(why.rsplit(": ").next().unwrap_or_default())),
        Failure::Different(_) => (3, String::new()),
    }
}

fn fixture() -> Fixture {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/kernel");
    Fixture::open(&root).expect("the fixture kernel is there")
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}
