//! `software`: events that the kernel counts itself, such as page faults and context switches.

use super::counter::Events;
use super::{PidFilter, ProbeType, no_fields, registers};
use crate::plan::ProgKind;

pub static SOFTWARE: ProbeType = ProbeType {
    names: &["software", "s"],
    syntax: "software:EVENT[:COUNT]",
    doc: "Fires at every COUNT-th event that the kernel counts in software.",
    example: "software:page-faults:100 { @[comm] = count(); }",
    kind: ProgKind::PerfEvent,
    expand: |request| EVENTS.expand(request, &SOFTWARE),
    missing: |request| request.no_matches(&SOFTWARE),
    context: |_, target| registers::interrupted(target.span),
    fields: no_fields,
    list: |_, pattern| EVENTS.list(&SOFTWARE, pattern),
    pid_filter: PidFilter::Attachment,
};

/// `PERF_TYPE_SOFTWARE`, `PERF_COUNT_SW_*`.
const EVENTS: Events = Events {
    kind: 1,
    events: &[
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
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Attach, PerfEvent, Sample, Scope};
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
            let attach = Attach::Perf { event, sample: Sample::Period(period), scope: Scope::EveryCpu };
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
        let cpu = ["software:cpu-clock:", "software:cpu-migrations:", "software:cpu:"];
        assert_eq!(EVENTS.list(&SOFTWARE, "software:cp*"), cpu);
        assert_eq!(EVENTS.list(&SOFTWARE, "*").len(), 14);
    }
}
