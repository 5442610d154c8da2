//! `test` and `bench`: programs that rtrace runs on request only, to see whether they do right, or how long they take.

use super::{PidFilter, ProbeType, Request, no_context, no_fields, nothing_to_list};
use crate::diag::Diagnostic;
use crate::plan::{Attach, ProgKind, Target, When};

pub static TEST: ProbeType = ProbeType {
    names: &["test"],
    syntax: "test:NAME",
    doc: "Runs once with --test; it fails if an assertion does or if it returns anything but 0.",
    example: r#"test:sum { $x = 2 + ncpus; assert($x > 2, "CPUs count"); }"#,
    kind: ProgKind::RawTracepoint,
    expand: |request| expand(request, &TEST, When::Test),
    missing: |request| request.no_matches(&TEST),
    context: no_context,
    fields: no_fields,
    list: nothing_to_list,
    pid_filter: PidFilter::None,
};

pub static BENCH: ProbeType = ProbeType {
    names: &["bench"],
    syntax: "bench:NAME",
    doc: "Runs many times with --bench, which tells the time that one run takes.",
    example: "bench:counting { @ = count(); }",
    kind: ProgKind::Xdp,
    expand: |request| expand(request, &BENCH, When::Bench),
    missing: |request| request.no_matches(&BENCH),
    context: no_context,
    fields: no_fields,
    list: nothing_to_list,
    pid_filter: PidFilter::None,
};

fn expand(request: &Request<'_>, of: &ProbeType, when: When) -> Result<Vec<Target>, Diagnostic> {
    let parts = request.parts(of, 1..=1)?;
    let name = format!("{}:{}", of.name(), parts[0].text);
    Ok(vec![Target { name, attach: Attach::Run(when), span: request.point.span }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::{expand, fixture};

    #[test]
    fn both_have_names() {
        let kernel = fixture();
        let test = expand(&kernel, "test:a").unwrap();
        assert_eq!((&*test[0].name, &test[0].attach), ("test:a", &Attach::Run(When::Test)));
        assert_eq!(expand(&kernel, "bench:b").unwrap()[0].attach, Attach::Run(When::Bench));
        assert_eq!(expand(&kernel, "test").unwrap_err().message, "test probe type requires 1 argument, found 0");
    }
}
