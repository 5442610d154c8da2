//! Random programs through the assembler: the interpreter must get from the finished code what direct evaluation gives, and
//! the kernel must accept them.

use rtrace::bpf::asm::Assembled;

use crate::machine::Machine;
use crate::numbers::Random;
use crate::random::{Builder, CONTEXT, Dialect, Evaluator, Helpers, Program};
use crate::verifier::{self, Refusal};

#[test]
fn random_programs_compute_what_they_say() {
    for seed in 0..8_000 {
        let program = Program::random(seed, Dialect::Anything);
        let assembled = Builder::build(&program).finish().expect("it fits");
        let mut random = Random(seed);
        for _ in 0..3 {
            let context: Vec<u8> = (0..CONTEXT).map(|_| (random.next() >> random.below(64)) as u8).collect();
            let expected = Evaluator::run(&program, &context);
            let found = Machine::new(&assembled.insns, &assembled.relocs).run(&mut Helpers::default(), &context);
            assert_eq!(found, Ok(expected), "seed {seed}: {program:#?}\n{}", listing(&assembled));
        }
    }
}

/// Programs beyond what the verifier is willing to follow are left out, and must be few.
#[test]
fn random_programs_load() {
    let mut too_complex = 0;
    for seed in 0..LOADED {
        let program = Program::random(seed, Dialect::Loadable);
        let assembled = Builder::build(&program).finish().expect("it fits");
        match verifier::load(&assembled.insns, |_| {}) {
            Ok(_) => {}
            Err(Refusal::NotAllowed) => return eprintln!("skipped: this process may not load BPF programs"),
            Err(Refusal::Rejected(log)) if log.contains("too large") || log.contains("too complex") => too_complex += 1,
            Err(Refusal::Rejected(log)) => panic!("seed {seed}: {log}\n{program:#?}\n{}", listing(&assembled)),
        }
    }
    assert!(too_complex * 20 < LOADED, "{too_complex} of {LOADED} were too complex");
}

const LOADED: u64 = 1000;

fn listing(assembled: &Assembled) -> String {
    assembled.insns.iter().enumerate().map(|(at, insn)| format!("{at}: {insn}\n")).collect()
}
