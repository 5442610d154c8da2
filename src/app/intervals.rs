//! `--interval`: a program gets a probe more, which prints its aggregations and empties them.

use std::time::Duration;

use rtrace::cli::Invocation;
use rtrace::engine::Engine;
use rtrace::error::Error;
use rtrace::plan::{Plan, Role};
use rtrace::syntax::ast;
use rtrace::types::MapValue;

use crate::run::Stopped;

/// The program with that probe, if it is wanted.
pub fn with_interval(
    engine: &mut Engine<'_>,
    mut program: ast::Program,
    invocation: &Invocation,
) -> Result<ast::Program, Stopped> {
    let Some(every) = invocation.every else { return Ok(program) };
    // Which maps are aggregations is known once it is checked.
    let (checked, _) = engine.check(&program).map_err(Stopped::Faults)?;
    let text = clause(&checked.plan, every, invocation.top).ok_or_else(|| {
        let error = Error::usage("--interval prints aggregations, and the program has none");
        Stopped::Error(error.hint("for instance @[comm] = count()"))
    })?;
    program.probes.extend(engine.parse("--interval", &text).map_err(Stopped::Faults)?.probes);
    Ok(program)
}

fn clause(plan: &Plan, every: Duration, top: u64) -> Option<String> {
    let aggregation = |role: &Role| match role {
        Role::User { name, key, value: MapValue::Aggregate(_), .. } => Some(match key {
            Some(_) if top > 0 => format!("print({name}, {top}); clear({name}); "),
            _ => format!("print({name}); clear({name}); "),
        }),
        _ => None,
    };
    let mut maps: Vec<String> = plan.maps.values().filter_map(|map| aggregation(&map.role)).collect();
    maps.sort_unstable();
    let milliseconds = every.as_millis();
    let text = format!("interval:ms:{milliseconds} {{ time(\"%H:%M:%S\\n\"); {}}}", maps.concat());
    (!maps.is_empty()).then_some(text)
}
