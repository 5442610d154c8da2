//! `usdt`: places that a program's authors marked for tracing, with the arguments they chose.

use super::{Context, Likeness, PidFilter, ProbeType, Request, no_fields, operand, program, registers};
use crate::diag::Diagnostic;
use crate::kernel::{Binary, Kernel, Marker};
use crate::names;
use crate::plan::{Attach, Point, ProgKind, Target};
use crate::types::Space;

pub static USDT: ProbeType = ProbeType {
    names: &["usdt", "U"],
    syntax: "usdt:PROGRAM:[PROVIDER:]NAME",
    doc: "Fires at a place that the program's authors marked for tracing; `arg0` and so on are what they pass.",
    example: "usdt:/usr/bin/python3.11:gc__start { @[arg0] = count(); }",
    kind: ProgKind::Kprobe,
    expand,
    missing,
    context,
    fields: no_fields,
    list,
    pid_filter: PidFilter::Attachment,
};

/// A marker's name may stand at several places, each of which is a target.
fn expand(request: &Request<'_>) -> Result<Vec<Target>, Diagnostic> {
    let (name, provider, marker) = parts(request)?;
    if name.is_empty() && request.pid.is_none() {
        let message =
            "usdt probe must specify at least path or pid to probe. To target all paths/pids set the path to '*'.";
        return Err(request.error(message));
    }
    // A process may be asked for a marker wherever it is: in its program or in a library.
    let name = if name.is_empty() { "*" } else { name };
    let mut targets = Vec::new();
    for binary in program::open(request, name)? {
        let matching = binary
            .markers
            .iter()
            .filter(|known| names::matches(provider, &known.provider) && names::matches(marker, &known.name));
        targets.extend(matching.map(|marker| target(request, &binary, marker)));
    }
    Ok(targets)
}

/// Program, provider and name; the provider may be left out.
fn parts<'a>(request: &Request<'a>) -> Result<(&'a str, &'a str, &'a str), Diagnostic> {
    match request.parts(&USDT, 2..=3)? {
        [program, provider, name] => Ok((&program.text, &provider.text, &name.text)),
        [program, name] => Ok((&program.text, "*", &name.text)),
        _ => Err(request.error("usdt probe type requires 2 or 3 arguments")),
    }
}

fn target(request: &Request<'_>, binary: &Binary, marker: &Marker) -> Target {
    let path = binary.path.clone();
    let (offset, semaphore) = (marker.offset, marker.semaphore);
    Target {
        name: format!("usdt:{path}:{}:{}", marker.provider, marker.name),
        attach: Attach::Uprobe { path, offset, at: Point::Entry, pid: request.pid, semaphore },
        span: request.point.span,
    }
}

/// Names the nearest marker, or says that there is none.
fn missing(request: &Request<'_>) -> Diagnostic {
    let problem = request.no_matches(&USDT);
    let Ok((name, _, marker)) = parts(request) else { return problem };
    let binary = match program::only(request, &USDT, name, problem.clone()) {
        Ok(binary) => binary,
        Err(problem) => return problem,
    };
    if binary.markers.is_empty() {
        return problem.hint(format!("{} was built without markers (it has no .note.stapsdt section)", binary.path));
    }
    match names::nearest(marker, binary.markers.iter().map(|marker| marker.name.as_str())) {
        Some(meant) => problem.hint(format!("did you mean 'usdt:{name}:{meant}'?")),
        None => problem.hint(format!("rtrace -l 'usdt:{name}:*' lists its markers")),
    }
}

/// Each place has its own arguments, in registers, memory and constants.
fn context(kernel: &dyn Kernel, target: &Target) -> Context {
    let span = target.span;
    let place = registers::interrupted(span);
    let func = Some(registers::user_symbol(registers::program_counter(span), kernel, span));
    let args = marker(kernel, target).map_or(Vec::new(), |marker| operand::arguments(&marker, span));
    Context { args, func, space: Space::User, likeness: Likeness::Differing, ..place }
}

/// The marker that a target was made of.
fn marker(kernel: &dyn Kernel, target: &Target) -> Option<Marker> {
    let Attach::Uprobe { path, offset, semaphore, .. } = &target.attach else { return None };
    let binary = kernel.binary(path).ok()?;
    let is_it = |marker: &&Marker| marker.offset == *offset && marker.semaphore == *semaphore;
    let full = |marker: &Marker| format!("usdt:{path}:{}:{}", marker.provider, marker.name);
    binary.markers.iter().find(|marker| is_it(marker) && full(marker) == target.name).cloned()
}

/// Markers are listed only of programs that the pattern names.
fn list(kernel: &dyn Kernel, pattern: &str) -> Vec<String> {
    let Some(rest) = pattern.strip_prefix("usdt:") else { return Vec::new() };
    let (program, rest) = rest.split_once(':').unwrap_or((rest, "*"));
    let wanted = if rest.contains(':') { rest.to_string() } else { format!("*:{rest}") };
    let mut found = Vec::new();
    for path in kernel.files(program, None) {
        let Ok(binary) = kernel.binary(&path) else { continue };
        let names = binary.markers.iter().map(|marker| format!("{}:{}", marker.provider, marker.name));
        let matching = names.filter(|name| names::matches(&wanted, name));
        found.extend(matching.map(|name| format!("usdt:{path}:{name}")));
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::{expand, fixture, missing};

    #[test]
    fn every_place_of_a_marker_is_a_target() {
        let kernel = fixture();
        let targets = expand(&kernel, "usdt:calc:app:start").unwrap();
        let names: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
        assert_eq!(names, ["usdt:/usr/bin/calc:app:start"; 2]);
        let short = expand(&kernel, "usdt:calc:start").unwrap();
        assert!(short.iter().map(|target| &target.attach).eq(targets.iter().map(|target| &target.attach)));
        assert_eq!(expand(&kernel, "usdt:/usr/bin/c*c:*:st*").unwrap().len(), 3);
        let contexts: Vec<_> = targets.iter().map(|target| context(&kernel, target).args).collect();
        assert_eq!(contexts[0].len(), 2);
        assert_ne!(contexts[0], contexts[1]);
    }

    #[test]
    fn lists_names_once() {
        let listed = list(&fixture(), "usdt:calc:*");
        assert_eq!(listed, ["usdt:/usr/bin/calc:app:start", "usdt:/usr/bin/calc:app:stop"]);
        assert_eq!(list(&fixture(), "usdt:calc:other:*").len(), 0);
    }

    #[test]
    fn faults_in_the_words_of_bpftrace() {
        let kernel = fixture();
        for (text, message) in [
            ("usdt:bash", "usdt probe type requires 2 or 3 arguments, found 1"),
            (
                "usdt::a:b",
                "usdt probe must specify at least path or pid to probe. To target all paths/pids set the path to '*'.",
            ),
        ] {
            assert_eq!(expand(&kernel, text).unwrap_err().message, message);
        }
        let problem = missing(&kernel, "usdt:/bin/nosuch:a:b");
        assert_eq!(problem.message, "usdt target file '/bin/nosuch' does not exist or is not executable");
        let problem = missing(&kernel, "usdt:calc:app:strat");
        assert_eq!(problem.message, "No matches for usdt calc:app:strat.");
        assert_eq!(problem.hints, ["did you mean 'usdt:calc:start'?"]);
        assert!(missing(&kernel, "usdt:bash:a:b").hints[0].contains("without markers"));
    }
}
