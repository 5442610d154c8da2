//! `profile`: a timer that fires on every CPU, for sampling what runs.

use super::{PidFilter, ProbeType, no_fields, rate, registers};
use crate::plan::{ProgKind, Scope};

/// With `-p` the program itself asks whose turn it is: a perf event bound to a process would follow its first thread only.
pub static PROFILE: ProbeType = ProbeType {
    names: &["profile", "p"],
    syntax: "profile:hz|s|ms|us:N, or profile:DURATION such as profile:10ms",
    doc: "Samples every CPU at regular times.",
    example: "profile:hz:99 { @[kstack] = count(); }",
    kind: ProgKind::PerfEvent,
    expand: |request| rate::expand(request, &PROFILE, Scope::EveryCpu),
    missing: |request| request.no_matches(&PROFILE),
    context: |_, target| registers::interrupted(target.span),
    fields: no_fields,
    list: |_, pattern| rate::list(&PROFILE, pattern),
    pid_filter: PidFilter::Predicate,
};

#[cfg(test)]
mod tests {
    use crate::plan::{Attach, Sample, Scope};
    use crate::probes::testing::{expand, fixture};

    #[test]
    fn samples_all_cpus() {
        let target = expand(&fixture(), "profile:hz:99").unwrap().remove(0);
        assert_eq!(target.name, "profile:hz:99");
        let Attach::Perf { sample, scope, .. } = target.attach else { panic!() };
        assert_eq!((sample, scope), (Sample::Frequency(99), Scope::EveryCpu));
    }
}
