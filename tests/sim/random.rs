//! Random programs. `RTRACE_SIM_PROGRAMS` says how many are run, `RTRACE_SIM_LOADED` how many are loaded, `RTRACE_SIM_FIRST` which
//! is the first.

use std::ops::Range;
use std::panic::resume_unwind;
use std::thread;

use rtrace::kernel::{Feature, Fixture, Kernel};
use rtrace::runtime::{check_privilege, verify};

use crate::fixture;
use crate::numbers::{Random, mix};
use crate::sim::author;
use crate::sim::scene::{CPUS, Moment};
use crate::sim::shrink::shrink;
use crate::sim::{Failure, compile, run};

/// How many programs are run, and how many are loaded, unless the environment says otherwise.
const PROGRAMS: u64 = 3000;
const LOADED: u64 = 60;

#[test]
fn random_programs_do_what_they_say() {
    let seeds = seeds("RTRACE_SIM_PROGRAMS", PROGRAMS);
    let refused = on_all_processors(kernels, seeds.clone(), |seed, kernel| {
        let program = author::program(seed);
        match attempt(&program, seed, kernel) {
            Ok(()) => false,
            Err(Failure::Refused(why)) if is_expected(&why) => true,
            Err(failure) => panic!("seed {seed}: {}", explained(&program, seed, kernel, &failure)),
        }
    });
    let programs = seeds.end - seeds.start;
    assert!((refused.len() as u64) * 10 < programs, "{} of {programs} programs were refused", refused.len());
}

/// What the checker accepts, the kernel's verifier accepts. Few programs may be so intricate that it gives up on them.
#[test]
fn random_programs_load() {
    if check_privilege().is_err() {
        return eprintln!("skipped: this process may not load BPF programs");
    }
    // The functions of those on paper have other numbers than those of the kernel that is to take the programs.
    let kernels = || kernels().map(Fixture::without_calls);
    let seeds = seeds("RTRACE_SIM_LOADED", LOADED);
    let too_complex = on_all_processors(kernels, seeds.clone(), |seed, kernel| {
        let program = author::program(seed);
        match load(&program, kernel) {
            Load::Refused | Load::Loaded => false,
            Load::TooComplex => true,
            Load::Rejected { why, .. } => {
                let is_alike = |program: &str| matches!(load(program, kernel), Load::Rejected { why: other, .. } if words(&other) == words(&why));
                let smallest = shrink(&program, is_alike);
                let Load::Rejected { log, .. } = load(&smallest, kernel) else {
                    unreachable!("it was rejected before")
                };
                panic!("seed {seed}: {why}\n{log}\n{smallest}\nmade of\n{program}");
            }
        }
    });
    let programs = seeds.end - seeds.start;
    assert!((too_complex.len() as u64) * 25 < programs, "of {programs} programs, too complex are {too_complex:?}");
}

/// Those seeds of which the function says so.
fn on_all_processors(
    kernels: impl Fn() -> [Fixture; 2] + Sync,
    seeds: Range<u64>,
    is_meant: impl Fn(u64, &dyn Kernel) -> bool + Sync,
) -> Vec<u64> {
    let workers = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let work = |worker| {
        let kernels = kernels();
        let own = (seeds.start + worker..seeds.end).step_by(workers as usize);
        own.filter(|seed| is_meant(*seed, &kernels[(*seed % 2) as usize])).collect::<Vec<u64>>()
    };
    thread::scope(|scope| {
        let started: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn({
                    let work = &work;
                    move || work(worker)
                })
            })
            .collect();
        let each = started.into_iter().map(|worker| worker.join().unwrap_or_else(|fault| resume_unwind(fault)));
        each.flatten().collect()
    })
}

enum Load {
    /// By the checker.
    Refused,
    Loaded,
    TooComplex,
    /// Told in one sentence, and by the end of the verifier's log.
    Rejected {
        why: String,
        log: String,
    },
}

fn load(program: &str, kernel: &dyn Kernel) -> Load {
    let Ok(subject) = compile(program, kernel) else { return Load::Refused };
    let Err(error) = verify(&subject.compiled, &subject.sources, kernel) else { return Load::Loaded };
    let log = error.detail.unwrap_or_default();
    if log.contains("too large") || log.contains("too complex") {
        return Load::TooComplex;
    }
    let last = log.lines().rev().take(40).collect::<Vec<_>>();
    let log = last.into_iter().rev().collect::<Vec<_>>().join("\n");
    Load::Rejected { why: error.message, log }
}

/// A new one and an old one: without `bpf_loop`, and without pointers to follow.
fn kernels() -> [Fixture; 2] {
    [fixture(), fixture().without(Feature::Loop).without(Feature::TaskPointers)]
}

fn seeds(variable: &str, default: u64) -> Range<u64> {
    let first = number("RTRACE_SIM_FIRST", 0);
    first..first + number(variable, default)
}

/// Faults that a well-typed program may have: constants that overflow when they are folded, and texts that are known to be longer
/// than a function takes.
fn is_expected(why: &str) -> bool {
    why.contains("unable to fold literals") || why.contains("this text needs a")
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

/// What a failure is about.
fn kind(failure: &Failure) -> (u8, String) {
    match failure {
        Failure::Refused(why) => (0, words(why.split("ERROR: ").nth(1).unwrap_or_default())),
        Failure::Broken(_) => (1, String::new()),
        Failure::Fault(why) => (2, words(why.rsplit(": ").next().unwrap_or_default())),
        Failure::Different(_) => (3, String::new()),
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// The first words, without names and numbers.
fn words(text: &str) -> String {
    text.split(|c: char| !c.is_ascii_alphabetic()).take(12).collect::<Vec<_>>().join(" ")
}
