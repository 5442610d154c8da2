//! `-l`: the kernel's probes that match a pattern, or those that a program would be attached to.

use rtrace::cli::{Invocation, Program, Verbosity};
use rtrace::error::Result;
use rtrace::kernel::live::Live;
use rtrace::plan::{Attach, Target};
use rtrace::probes;

use crate::{output, run, source};

/// Prints the names, with `-v` each before its arguments; gives the exit code.
pub fn show(invocation: &Invocation, kernel: &Live) -> Result<u8> {
    let lines = match &invocation.program {
        Some(program) => match of_program(invocation, program, kernel)? {
            Some(names) if invocation.verbosity == Verbosity::Verbose => probes::with_arguments(kernel, names),
            Some(names) => names,
            None => return Ok(1),
        },
        None => matching(invocation, kernel)?,
    };
    output::line(&lines.iter().map(|line| format!("{line}\n")).collect::<String>()).map(|()| 0)
}

fn matching(invocation: &Invocation, kernel: &Live) -> Result<Vec<String>> {
    let show = |pattern: Option<&str>| match invocation.verbosity {
        Verbosity::Verbose => probes::list_verbose(kernel, pattern),
        Verbosity::Normal | Verbosity::Quiet => probes::list(kernel, pattern),
    };
    let Some(patterns) = invocation.params.first() else { return show(None) };
    let each: Result<Vec<Vec<String>>> = patterns.split(',').map(|pattern| show(Some(pattern))).collect();
    Ok(each?.concat())
}

/// In the program's order; `None` if the program is at fault, which is told.
fn of_program(invocation: &Invocation, program: &Program, kernel: &Live) -> Result<Option<Vec<String>>> {
    let (name, text) = source(program)?;
    let mut engine = run::engine(invocation, kernel, None)?;
    let checked = engine.parse(&name, &text).and_then(|parsed| engine.check(&parsed));
    let program = match checked {
        Ok((program, _)) => program,
        Err(faults) => {
            output::show_diagnostics(&faults, &engine.sources, invocation);
            return Ok(None);
        }
    };
    let is_of_kernel = |target: &&Target| !matches!(target.attach, Attach::Run(_));
    let mut targets: Vec<&Target> =
        program.probes.iter().flat_map(|probe| &probe.targets).filter(is_of_kernel).collect();
    targets.sort_by_key(|target| target.span.start);
    let mut names: Vec<String> = targets.into_iter().map(|target| target.name.clone()).collect();
    names.dedup();
    Ok(Some(names))
}
