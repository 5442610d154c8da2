//! A program in the language through both ways of running it without a kernel: its generated code in the interpreter, and its IR in
//! the evaluator. What they leave behind must be the same.

pub mod author;
pub mod evaluate;
mod helpers;
pub mod scene;
pub mod show;
pub mod shrink;
pub mod store;

use rtrace::bpf::unit::Unit;
use rtrace::check::Options;
use rtrace::codegen::Compiled;
use rtrace::config::Overrides;
use rtrace::diag::{Style, render};
use rtrace::engine::Engine;
use rtrace::ir::Program;
use rtrace::kernel::Kernel;
use rtrace::plan::Plan;
use rtrace::source::Sources;

use crate::machine::Machine;
use helpers::Helpers;
use scene::{Moment, Scene};
use store::Store;

/// A program in all its forms.
pub struct Subject {
    pub ir: Program,
    pub compiled: Compiled,
    pub sources: Sources,
}

/// Why a simulation did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The program is no program: its diagnostics.
    Refused(String),
    /// The evaluator found the IR at fault.
    Broken(String),
    /// The interpreter found the code at fault.
    Fault(String),
    /// The two do not agree.
    Different(String),
}

/// Compiles a program for a kernel.
pub fn compile(text: &str, kernel: &dyn Kernel) -> Result<Subject, Failure> {
    let mut engine = Engine::new(kernel, Options::default(), Overrides::default());
    let ir = engine.parse("program", text).and_then(|ast| engine.check(&ast)).map(|(ir, _)| ir);
    match ir.and_then(|ir| Ok((engine.generate(ir.clone())?, ir))) {
        Ok((compiled, ir)) => Ok(Subject { ir, compiled, sources: engine.sources }),
        Err(faults) => Err(Failure::Refused(
            faults.iter().map(|fault| render(fault, &engine.sources, Style::Plain, usize::MAX)).collect(),
        )),
    }
}

/// Runs a program for these moments in both ways, and gives what both left behind.
pub fn run(subject: &Subject, moments: &[Moment], room: usize) -> Result<Store, Failure> {
    let plan = &subject.compiled.plan;
    let mut expected = Store::new(plan, room);
    for moment in moments {
        let result = evaluate::run(&subject.ir.probes[moment.unit], plan, &mut expected, *moment);
        expected.results.push(result.map_err(Failure::Broken)?);
    }
    let found = interpret(&subject.compiled.units, plan, moments, room)?;
    match found.difference(&expected, plan) {
        Some(difference) => Err(Failure::Different(difference)),
        None => Ok(found),
    }
}

fn interpret(units: &[Unit], plan: &Plan, moments: &[Moment], room: usize) -> Result<Store, Failure> {
    let mut store = Store::new(plan, room);
    for moment in moments {
        let unit = &units[moment.unit];
        let mut machine = Machine::new(&unit.insns, &unit.relocs);
        let scene = Scene::new(*moment);
        let context = scene.context();
        let mut helpers = Helpers::new(plan, store, scene);
        let result = machine.run(&mut helpers, &context).map_err(|fault| Failure::Fault(fault.to_string()))?;
        helpers.settle(&mut machine).map_err(Failure::Fault)?;
        store = helpers.store;
        store.results.push(result);
    }
    Ok(store)
}
