//! Events that perf counts, in the kernel or in the processor: `software:page-faults:100`, `hardware:cache-misses`.

use super::{ProbeType, Request, number};
use crate::diag::Diagnostic;
use crate::names;
use crate::plan::{Attach, PerfEvent, Sample, Target};

/// Name, alias (may be empty), number within its kind, and the count when none is given.
pub type Event = (&'static str, &'static str, u64, u64);

/// All events of one probe type.
pub struct Events {
    /// `perf_event_attr.type`.
    pub kind: u32,
    pub events: &'static [Event],
}

impl Events {
    /// A count of 0 means the usual one, as it does in bpftrace.
    pub fn expand(&self, request: &Request<'_>, of: &ProbeType) -> Result<Vec<Target>, Diagnostic> {
        let parts = request.parts(of, 1..=2)?;
        let name = &parts[0].text;
        if names::is_pattern(name) {
            return Err(request.error(format!("wildcards are not allowed for {} probe type", of.name())));
        }
        let known = self.events.iter().find(|(event, alias, ..)| name == event || name == alias && !alias.is_empty());
        let (_, _, config, default) = known.ok_or_else(|| self.unknown(request, of, name))?;
        let count = parts.get(1).map_or(Ok(0), |part| number::integer(&part.text));
        let count = count.map_err(|why| request.error(format!("Invalid count for {} probe: {why}", of.name())))?;
        let (suffix, period) = if count == 0 { (String::new(), *default) } else { (format!(":{count}"), count) };
        let event = PerfEvent { kind: self.kind, config: *config };
        let attach = Attach::Perf { event, sample: Sample::Period(period), scope: request.scope() };
        Ok(vec![Target { name: format!("{}:{name}{suffix}", of.name()), attach, span: request.point.span }])
    }

    fn unknown(&self, request: &Request<'_>, of: &ProbeType, name: &str) -> Diagnostic {
        let problem = request.error(format!("{name} is not a {} probe", of.name()));
        match names::nearest(name, self.names()) {
            Some(meant) => problem.hint(format!("did you mean '{meant}'?")),
            None => problem.hint(format!("the events are: {}", self.names().collect::<Vec<_>>().join(", "))),
        }
    }

    /// The colon at the end says that a count may follow.
    pub fn list(&self, of: &ProbeType, pattern: &str) -> Vec<String> {
        let forms = self.names().map(|name| format!("{}:{name}:", of.name()));
        let mut found: Vec<String> = forms.filter(|form| names::matches(pattern, form)).collect();
        found.sort_unstable();
        found
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.events.iter().flat_map(|(event, alias, ..)| [*event, *alias]).filter(|name| !name.is_empty())
    }
}
