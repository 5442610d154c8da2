//! `begin` and `end`: run once by rtrace itself, before anything is attached and after everything is detached.

use super::{PidFilter, ProbeType, Request, no_context, no_fields, nothing_to_list};
use crate::diag::Diagnostic;
use crate::plan::{Attach, ProgKind, Target, When};

pub static BEGIN: ProbeType = ProbeType {
    names: &["begin"],
    syntax: "begin",
    doc: "Runs once at the start, before any other probe is attached.",
    example: r#"begin { printf("tracing... Ctrl-C ends\n"); }"#,
    kind: ProgKind::RawTracepoint,
    expand: |request| expand(request, &BEGIN, When::Begin),
    missing: |request| request.no_matches(&BEGIN),
    context: no_context,
    fields: no_fields,
    list: nothing_to_list,
    pid_filter: PidFilter::None,
};

pub static END: ProbeType = ProbeType {
    names: &["end"],
    syntax: "end",
    doc: "Runs once at the end, after all other probes are detached and before the maps are printed.",
    example: r#"begin { @start = nsecs; } end { printf("%d ms\n", (nsecs - @start) / 1000000); clear(@start); }"#,
    kind: ProgKind::RawTracepoint,
    expand: |request| expand(request, &END, When::End),
    missing: |request| request.no_matches(&END),
    context: no_context,
    fields: no_fields,
    list: nothing_to_list,
    pid_filter: PidFilter::None,
};

fn expand(request: &Request<'_>, of: &ProbeType, when: When) -> Result<Vec<Target>, Diagnostic> {
    request.parts(of, 0..=0)?;
    Ok(vec![Target { name: of.name().to_string(), attach: Attach::Run(when), span: request.point.span }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::{expand, fixture};

    #[test]
    fn both_stand_for_themselves() {
        let kernel = fixture();
        let begin = expand(&kernel, "BEGIN").unwrap();
        assert_eq!((&*begin[0].name, &begin[0].attach), ("begin", &Attach::Run(When::Begin)));
        assert_eq!(expand(&kernel, "end").unwrap()[0].attach, Attach::Run(When::End));
        let error = expand(&kernel, "begin:x").unwrap_err();
        assert_eq!(error.message, "begin probe type requires 0 arguments, found 1");
    }
}
