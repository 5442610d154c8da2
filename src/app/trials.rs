//! `--test` and `--bench`: the program's `test` and `bench` probes run one after the other, and what became of them is told.

use rtrace::error::Result;
use rtrace::report::text::worded;
use rtrace::report::{Benchmark, Loss, Message, Sink, Testing};
use rtrace::runtime::Session;
use rtrace::value::{MapReport, Value};

/// The exit code when a test has failed.
const FAILED: u8 = 1;

pub fn tests(mut session: Session<'_>, sink: &mut dyn Sink) -> Result<u8> {
    let names = session.tests();
    let mut failed = Vec::new();
    sink.test(&Testing::Planned(names.len()))?;
    for (number, name) in names.iter().enumerate() {
        sink.test(&Testing::Begins(name))?;
        let mut said = Said::default();
        let verdict = session.test(number, &mut said)?;
        if !verdict.passed {
            failed.push(name.clone());
        }
        sink.test(&Testing::Ends { name, passed: verdict.passed, took: verdict.took, said: &said.0 })?;
    }
    sink.test(&Testing::Done { tests: names.len(), failed: &failed })?;
    let code = session.finish(sink)?.code as u8;
    Ok(if failed.is_empty() { code } else { FAILED })
}

pub fn benches(mut session: Session<'_>, sink: &mut dyn Sink) -> Result<u8> {
    let results = session.bench(&mut Said::default())?;
    sink.benchmarks(&results)?;
    session.finish(sink).map(|ending| ending.code as u8)
}

/// What a test has to say for itself: its messages. What it prints is of no interest.
#[derive(Default)]
struct Said(String);

impl Sink for Said {
    fn message(&mut self, message: &Message<'_>) -> Result<()> {
        self.0.push_str(&worded(message));
        Ok(())
    }

    fn attached(&mut self, _: usize) -> Result<()> {
        Ok(())
    }

    fn text(&mut self, _: &'static str, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn value(&mut self, _: &Value) -> Result<()> {
        Ok(())
    }

    fn map(&mut self, _: &MapReport) -> Result<()> {
        Ok(())
    }

    fn finale(&mut self) -> Result<()> {
        Ok(())
    }

    fn lost(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn losses(&mut self, _: &[Loss]) -> Result<()> {
        Ok(())
    }

    fn test(&mut self, _: &Testing<'_>) -> Result<()> {
        Ok(())
    }

    fn benchmarks(&mut self, _: &[Benchmark]) -> Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
