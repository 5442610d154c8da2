//! How often a timer fires: `hz:99`, `ms:10` or `10ms`, as `interval` and `profile` take it.

use super::{ProbeType, Request, number};
use crate::diag::Diagnostic;
use crate::names;
use crate::plan::{Attach, PerfEvent, Sample, Scope, Target};

const UNITS: &[(&str, u64)] = &[("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)];

/// The one target that a timer's attach point stands for.
pub fn expand(request: &Request<'_>, of: &ProbeType, scope: Scope) -> Result<Vec<Target>, Diagnostic> {
    let (rate, sample) = match request.one_or_two(of)? {
        (None, duration) => by_duration(request, of, duration)?,
        (Some(unit), count) => by_unit(request, of, unit, count)?,
    };
    let attach = Attach::Perf { event: PerfEvent::CPU_CLOCK, sample, scope };
    Ok(vec![Target { name: format!("{}:{rate}", of.name()), attach, span: request.point.span }])
}

/// What `-l` shows, as rates cannot be enumerated.
pub fn list(of: &ProbeType, pattern: &str) -> Vec<String> {
    let forms = ["hz", "ms", "s", "us"].map(|unit| format!("{}:{unit}:", of.name()));
    forms.into_iter().filter(|form| names::matches(pattern, form)).collect()
}

/// `100ms`, shown as microseconds.
fn by_duration(request: &Request<'_>, of: &ProbeType, text: &str) -> Result<(String, Sample), Diagnostic> {
    let period = number::duration(text).map_err(|why| invalid(request, of, &why))?;
    check_period(request, of, period)?;
    Ok((format!("us:{}", period / 1000), Sample::Period(period)))
}

/// `hz:99` or `ms:10`, shown as written.
fn by_unit(request: &Request<'_>, of: &ProbeType, unit: &str, text: &str) -> Result<(String, Sample), Diagnostic> {
    let scale = UNITS.iter().find(|(name, _)| *name == unit);
    if scale.is_none() && unit != "hz" {
        let problem = request.error(format!("{unit} is not an accepted unit of time"));
        return Err(problem.hint("the units are hz, s, ms and us"));
    }
    let not_positive = || {
        let problem = request.error(format!("{} frequency should be a positive integer", of.name()));
        problem.hint(format!("for example: {}:{unit}:1", of.name()))
    };
    if text.starts_with('-') {
        return Err(not_positive());
    }
    let count = number::integer(text).map_err(|why| invalid(request, of, &why))?;
    let sample = match scale {
        Some((_, scale)) => {
            Sample::Period(count.checked_mul(*scale).ok_or_else(|| invalid(request, of, "the time is too long"))?)
        }
        None => Sample::Frequency(count),
    };
    if count == 0 { Err(not_positive()) } else { Ok((format!("{unit}:{count}"), sample)) }
}

/// The kernel's timer cannot fire more often than once a microsecond or so.
fn check_period(request: &Request<'_>, of: &ProbeType, period: u64) -> Result<(), Diagnostic> {
    if period >= 1000 {
        return Ok(());
    }
    Err(invalid_rate(request, of, &format!(". Minimum is 1000 or 1us. Found: {period} nanoseconds")))
}

fn invalid(request: &Request<'_>, of: &ProbeType, why: &str) -> Diagnostic {
    invalid_rate(request, of, &format!(": {why}"))
}

fn invalid_rate(request: &Request<'_>, of: &ProbeType, what: &str) -> Diagnostic {
    let problem = request.error(format!("Invalid rate of {} probe{what}", of.name()));
    problem.hint(format!("it is written {}", of.syntax))
}
