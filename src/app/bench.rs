//! `--mode compiler-bench`: how long each stage of compiling a program takes, as a table.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rtrace::engine::{Engine, Faults};
use rtrace::error::{Error, Result};
use rtrace::report::{Benchmark, testing};

use crate::output;

/// A stage is repeated until this much time has passed.
const ENOUGH: Duration = Duration::from_millis(200);

pub fn compile(engine: &mut Engine<'_>, name: &str, text: &str) -> Result<()> {
    let parsed = engine.parse(name, text).map_err(changed)?;
    let (program, _) = engine.check(&parsed).map_err(changed)?;
    let stages = [
        row("parse", || engine.parse(name, text).is_ok()),
        row("check", || engine.check(&parsed).is_ok()),
        row("generate", || engine.generate(program.clone()).is_ok()),
    ];
    output::line(&testing::table(&stages))
}

fn row(name: &str, mut stage: impl FnMut() -> bool) -> Benchmark {
    let start = Instant::now();
    let mut iterations = 0;
    while iterations == 0 || start.elapsed() < ENOUGH {
        black_box(stage());
        iterations += 1;
    }
    let nanoseconds = start.elapsed().as_nanos() as u64 / iterations;
    Benchmark { name: name.to_string(), nanoseconds, iterations }
}

/// The program was compiled a moment ago, so this takes a change of the machine.
fn changed(faults: Faults) -> Error {
    Error::usage(faults.first().map_or("the program no longer compiles".to_string(), |fault| fault.message.clone()))
}
