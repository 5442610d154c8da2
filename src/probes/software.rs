//! `software`: events that the kernel counts itself, such as page faults and context switches.

use super::{PidFilter, ProbeType, Request, no_fields, number, registers};
use crate::diag::Diagnostic;
use crate::names;
use crate::plan::{Attach, Cpus, PerfEvent, ProgKind, Sample, Target};

pub static SOFTWARE: ProbeType = ProbeType {
    names: &["software", "s"],
    syntax: "software:EVENT[:COUNT]",
    doc: "Fires at every COUNT-th event that the kernel counts in software.",
    example: "software:page-faults:100 { @[comm] = count(); }",
    kind: ProgKind::PerfEvent,
    expand,
    missing: |request| request.no_matches(&SOFTWARE),
    context: |_, target| registers::interrupted(target.span),
    fields: no_fields,
    list: |_, pattern| list(pattern),
    pid_filter: PidFilter::Attachment,
};

/// Name, alias, `PERF_COUNT_SW_*` number and the count when none is given.
const EVENTS: &[(&str, &str, u64, u64)] = &[
    ("alignment-faults", "", 7, 1),
    ("bpf-output", "", 10, 1),
    ("context-switches", "cs", 3, 1000),
    ("cpu-clock", "cpu", 0, 1_000_000),
    ("cpu-migrations", "", 4, 1),
    ("dummy", "", 9, 1),
    ("emulation-faults", "", 8, 1),
    ("major-faults", "", 6, 1),
    ("minor-faults", "", 5, 100),
    ("page-faults", "faults", 2, 100),
    ("task-clock", "", 1, 1),
];

/// `PERF_TYPE_SOFTWARE`
const KIND: u32 = 1;

/// A count of 0 means the usual one, as it does in bpftrace.
fn expand(request: &Request<'_>) -> Result<Vec<Target>, Diagnostic> {
    let parts = request.parts(&SOFTWARE, 1..=2)?;
    let name = &parts[0].text;
    if names::is_pattern(name) {
        return Err(request.error("wildcards are not allowed for software probe type"));
    }
    let known = EVENTS.iter().find(|(event, alias, ..)| name == event || (name == alias && !alias.is_empty()));
    let (_, _, config, default) = known.ok_or_else(|| unknown(request, name))?;
    let count = parts.get(1).map_or(Ok(0), |part| number::integer(&part.text));
    let count = count.map_err(|why| request.error(format!("Invalid count for software probe: {why}")))?;
    let (suffix, period) = if count == 0 { (String::new(), *default) } else { (format!(":{count}"), count) };
    let event = PerfEvent { kind: KIND, config: *config };
    let attach = Attach::Perf { event, sample: Sample::Period(period), cpus: Cpus::All, pid: request.pid };
    Ok(vec![Target { name: format!("software:{name}{suffix}"), attach, span: request.point.span }])
}

fn unknown(request: &Request<'_>, name: &str) -> Diagnostic {
    let problem = request.error(format!("{name} is not a software probe"));
    match names::nearest(name, all_names()) {
        Some(meant) => problem.hint(format!("did you mean '{meant}'?")),
        None => problem.hint(format!("the events are: {}", all_names().collect::<Vec<_>>().join(", "))),
    }
}

/// The colon at the end says that a count may follow.
fn list(pattern: &str) -> Vec<String> {
    let forms = all_names().map(|name| format!("software:{name}:"));
    let mut found: Vec<String> = forms.filter(|form| names::matches(pattern, form)).collect();
    found.sort_unstable();
    found
}

fn all_names() -> impl Iterator<Item = &'static str> {
    EVENTS.iter().flat_map(|(event, alias, ..)| [*event, *alias]).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::{expand, fixture};

    #[test]
    fn events_have_their_usual_counts() {
        let kernel = fixture();
        for (text, name, config, period) in [
            ("software:faults", "software:faults", 2, 100),
            ("s:page-faults:1", "software:page-faults:1", 2, 1),
            ("software:cpu:1e6", "software:cpu:1000000", 0, 1_000_000),
            ("software:cs:0", "software:cs", 3, 1000),
        ] {
            let target = expand(&kernel, text).unwrap().remove(0);
            let event = PerfEvent { kind: 1, config };
            let attach = Attach::Perf { event, sample: Sample::Period(period), cpus: Cpus::All, pid: None };
            assert_eq!((&*target.name, target.attach), (name, attach));
        }
    }

    #[test]
    fn faults_in_the_words_of_bpftrace() {
        let kernel = fixture();
        for (text, message) in [
            ("software:nosuch", "nosuch is not a software probe"),
            ("software:faults:x", "Invalid count for software probe: invalid integer: x"),
            ("software:fault*", "wildcards are not allowed for software probe type"),
            ("software", "software probe type requires 1 or 2 arguments, found 0"),
        ] {
            assert_eq!(expand(&kernel, text).unwrap_err().message, message);
        }
        assert_eq!(expand(&kernel, "software:page-fault").unwrap_err().hints, ["did you mean 'page-faults'?"]);
    }

    #[test]
    fn lists_names_and_aliases() {
        assert_eq!(list("software:cp*"), ["software:cpu-clock:", "software:cpu-migrations:", "software:cpu:"]);
        assert_eq!(list("*").len(), 14);
    }
}
