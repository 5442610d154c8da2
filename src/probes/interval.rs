//! `interval`: a timer that fires on one CPU, for printing at regular times.

use super::{PidFilter, ProbeType, no_fields, rate, registers};
use crate::plan::{ProgKind, Scope};

pub static INTERVAL: ProbeType = ProbeType {
    names: &["interval", "i"],
    syntax: "interval:hz|s|ms|us:N, or interval:DURATION such as interval:100ms",
    doc: "Fires at regular times on one CPU.",
    example: r#"interval:s:1 { time("%H:%M:%S\n"); exit(); }"#,
    kind: ProgKind::PerfEvent,
    expand: |request| rate::expand(request, &INTERVAL, Scope::OneCpu),
    missing: |request| request.no_matches(&INTERVAL),
    context: |_, target| registers::interrupted(target.span),
    fields: no_fields,
    list: |_, pattern| rate::list(&INTERVAL, pattern),
    pid_filter: PidFilter::None,
};

#[cfg(test)]
mod tests {
    use crate::plan::{Attach, PerfEvent, Sample, Scope};
    use crate::probes::testing::{expand, fixture};

    #[test]
    fn rates_in_every_form() {
        let kernel = fixture();
        for (text, name, expected) in [
            ("i:s:1", "interval:s:1", Sample::Period(1_000_000_000)),
            ("interval:hz:100", "interval:hz:100", Sample::Frequency(100)),
            ("interval:100ms", "interval:us:100000", Sample::Period(100_000_000)),
            ("interval:500000ns", "interval:us:500", Sample::Period(500_000)),
            ("interval:us:1e6", "interval:us:1000000", Sample::Period(1_000_000_000)),
        ] {
            let targets = expand(&kernel, text).unwrap();
            assert_eq!(targets[0].name, name);
            let event = PerfEvent { kind: 1, config: 0 };
            assert_eq!(targets[0].attach, Attach::Perf { event, sample: expected, scope: Scope::OneCpu });
        }
    }

    #[test]
    fn faults_in_the_words_of_bpftrace() {
        let kernel = fixture();
        for (text, message) in [
            ("interval:s:0", "interval frequency should be a positive integer"),
            ("interval:s:-1", "interval frequency should be a positive integer"),
            ("interval:x:1", "x is not an accepted unit of time"),
            ("interval:s:x", "Invalid rate of interval probe: invalid integer: x"),
            ("interval:s", "Invalid rate of interval probe: invalid integer: s"),
            ("interval:5", "Invalid rate of interval probe. Minimum is 1000 or 1us. Found: 5 nanoseconds"),
            ("interval", "interval probe type requires 1 or 2 arguments, found 0"),
            ("profile:s:1:2", "profile probe type requires 1 or 2 arguments, found 3"),
        ] {
            assert_eq!(expand(&kernel, text).unwrap_err().message, message);
        }
    }
}
