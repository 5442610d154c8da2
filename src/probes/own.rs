//! `self`: what happens to rtrace itself.

use super::{PidFilter, ProbeType, Request, no_context, no_fields};
use crate::diag::Diagnostic;
use crate::names;
use crate::plan::{Attach, ProgKind, Target, When};

pub static SELF: ProbeType = ProbeType {
    names: &["self"],
    syntax: "self:signal:SIGUSR1",
    doc: "Runs when rtrace itself gets the signal SIGUSR1.",
    example: "tracepoint:syscalls:sys_enter_openat { @[comm] = count(); } self:signal:SIGUSR1 { print(@); clear(@); }",
    kind: ProgKind::RawTracepoint,
    expand,
    missing: |request| request.no_matches(&SELF),
    context: no_context,
    fields: no_fields,
    list: |_, pattern| names::matches(pattern, NAME).then(|| NAME.to_string()).into_iter().collect(),
    pid_filter: PidFilter::None,
};

const NAME: &str = "self:signal:SIGUSR1";

fn expand(request: &Request<'_>) -> Result<Vec<Target>, Diagnostic> {
    let parts = request.parts(&SELF, 2..=2)?;
    if parts[0].text != "signal" {
        let problem = request.error(format!("{} is not a supported trigger", parts[0].text));
        return Err(problem.hint(format!("it is written {}", SELF.syntax)));
    }
    if parts[1].text != "SIGUSR1" {
        let problem = request.error(format!("{} is not a supported signal", parts[1].text));
        return Err(problem.hint("the only one is SIGUSR1"));
    }
    Ok(vec![Target { name: NAME.to_string(), attach: Attach::Run(When::Signal), span: request.point.span }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::{expand, fixture};

    #[test]
    fn one_signal_only() {
        let kernel = fixture();
        assert_eq!(expand(&kernel, "self:signal:SIGUSR1").unwrap()[0].attach, Attach::Run(When::Signal));
        for (text, message) in [
            ("self:signal:SIGUSR2", "SIGUSR2 is not a supported signal"),
            ("self:x:SIGUSR1", "x is not a supported trigger"),
            ("self:signal", "self probe type requires 2 arguments, found 1"),
        ] {
            assert_eq!(expand(&kernel, text).unwrap_err().message, message);
        }
    }
}
