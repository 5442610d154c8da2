//! `hardware`: events that the processor counts, such as cycles and cache misses.

use super::counter::Events;
use super::{PidFilter, ProbeType, no_fields, registers};
use crate::plan::ProgKind;

pub static HARDWARE: ProbeType = ProbeType {
    names: &["hardware", "h"],
    syntax: "hardware:EVENT[:COUNT]",
    doc: "Fires at every COUNT-th event that the processor counts.",
    example: "hardware:cache-misses:1e6 { @[comm] = count(); }",
    kind: ProgKind::PerfEvent,
    expand: |request| EVENTS.expand(request, &HARDWARE),
    missing: |request| request.no_matches(&HARDWARE),
    context: |_, target| registers::interrupted(target.span),
    fields: no_fields,
    list: |_, pattern| EVENTS.list(&HARDWARE, pattern),
    pid_filter: PidFilter::Attachment,
};

/// `PERF_TYPE_HARDWARE`, `PERF_COUNT_HW_*`.
const EVENTS: Events = Events {
    kind: 0,
    events: &[
        ("backend-stalls", "", 8, 1_000_000),
        ("branch-instructions", "branches", 4, 100_000),
        ("branch-misses", "", 5, 100_000),
        ("bus-cycles", "", 6, 100_000),
        ("cache-misses", "", 3, 1_000_000),
        ("cache-references", "", 2, 1_000_000),
        ("cpu-cycles", "cycles", 0, 1_000_000),
        ("frontend-stalls", "", 7, 1_000_000),
        ("instructions", "", 1, 1_000_000),
        ("ref-cycles", "", 9, 1_000_000),
    ],
};

#[cfg(test)]
mod tests {
    use crate::plan::{Attach, PerfEvent, Sample, Scope};
    use crate::probes::testing::{expand, fixture};

    #[test]
    fn events_and_their_usual_counts() {
        for (text, config, period) in [
            ("hardware:cycles", 0, 1_000_000),
            ("h:branches", 4, 100_000),
            ("hardware:cache-misses:5e5", 3, 500_000),
            ("hardware:ref-cycles:0", 9, 1_000_000),
        ] {
            let event = PerfEvent { kind: 0, config };
            let attach = Attach::Perf { event, sample: Sample::Period(period), scope: Scope::EveryCpu };
            assert_eq!(expand(&fixture(), text).unwrap()[0].attach, attach);
        }
        let error = expand(&fixture(), "hardware:cache-mises").unwrap_err();
        assert_eq!(error.message, "cache-mises is not a hardware probe");
        assert_eq!(error.hints, ["did you mean 'cache-misses'?"]);
    }
}
