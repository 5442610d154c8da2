//! `-l` and `-lv`: every attach point whose full name matches a pattern, and what its `args` are.

use std::collections::BTreeSet;

use super::fentry::PROGRAMS;
use super::{ContextField, ProbeType, Request, TYPES, find, homes};
use crate::btf::{Kind, TypeId};
use crate::check::Safety;
use crate::error::{Error, Result};
use crate::kernel::{Grown, Home, Kernel};
use crate::names;
use crate::source::Span;
use crate::syntax::ast::{AttachPoint, Name};

/// Full names of the attach points that match, type by type; all if there is no pattern. Several patterns are separated
/// by commas, and each may begin with an alias.
pub fn list(kernel: &dyn Kernel, pattern: Option<&str>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for pattern in pattern.unwrap_or("*").split(',').map(str::trim).filter(|pattern| !pattern.is_empty()) {
        if let Some(types) = types(kernel, pattern) {
            found.extend(types.into_iter().map(|(name, _)| name));
            continue;
        }
        let pattern = Pattern::new(pattern);
        let grown = Grown::of(kernel, pattern.homes(kernel))?;
        let with_homes = grown.as_ref().map(|grown| grown.over(kernel));
        let kernel = with_homes.as_ref().map_or(kernel, |with_homes| with_homes);
        for of in pattern.types() {
            found.extend((of.list)(kernel, &pattern.text));
        }
        pattern.check(kernel)?;
    }
    Ok(found)
}

/// The same, each followed by its arguments, four spaces deep; types are written out.
pub fn list_verbose(kernel: &dyn Kernel, pattern: Option<&str>) -> Result<Vec<String>> {
    if let Some(types) = types(kernel, pattern.unwrap_or("")) {
        let lines = |definition: String| definition.lines().map(str::to_string).collect::<Vec<_>>();
        return Ok(types.into_iter().flat_map(|(_, id)| define(kernel, id).map(lines)).flatten().collect());
    }
    Ok(with_arguments(kernel, list(kernel, pattern)?))
}

/// Full names of attach points, each before its arguments.
pub fn with_arguments(kernel: &dyn Kernel, names: Vec<String>) -> Vec<String> {
    let points: Vec<AttachPoint> = names.iter().map(|name| point(name)).collect();
    let lines = |kernel: &dyn Kernel| {
        let fields = points.iter().map(|point| fields(kernel, point));
        let declared = fields.map(|fields| fields.iter().map(|field| format!("    {}", declare(field))).collect());
        names
            .into_iter()
            .zip(declared)
            .flat_map(|(name, fields): (_, Vec<_>)| [name].into_iter().chain(fields))
            .collect()
    };
    with_homes(kernel, &points, lines)
}

/// A pattern over full names, with the provider spelled out where there is one.
struct Pattern {
    provider: Option<&'static ProbeType>,
    text: String,
}

impl Pattern {
    fn new(text: &str) -> Pattern {
        let Some((head, rest)) = text.split_once(':') else {
            let provider = find(text);
            let text = provider.map_or_else(|| text.to_string(), |of| format!("{}:*", of.name()));
            return Pattern { provider, text };
        };
        match find(head) {
            Some(of) => Pattern { provider: Some(of), text: format!("{}:{rest}", of.name()) },
            None => Pattern { provider: None, text: text.to_string() },
        }
    }

    /// Where functions lie that are known by their types alone; what the kernel lists needs none.
    fn homes(&self, kernel: &dyn Kernel) -> Vec<Home> {
        match self.text.split(':').collect::<Vec<_>>()[..] {
            ["fentry" | "fexit", home, _] if home != PROGRAMS => homes::of_point(&point(&self.text), kernel),
            _ => Vec::new(),
        }
    }

    fn types(&self) -> impl Iterator<Item = &'static ProbeType> {
        let fits = |of: &&&ProbeType| match self.provider {
            Some(provider) => provider.name() == of.name(),
            // Rates are shown only to those who ask for them, and returns from functions are where their entries are.
            None => {
                let is_listed = !matches!(of.name(), "interval" | "profile" | "self" | "kretprobe" | "fexit");
                names::is_pattern(&self.text) && is_listed
            }
        };
        TYPES.iter().filter(fits).copied()
    }

    /// What could not be read must not look like an empty list.
    fn check(&self, kernel: &dyn Kernel) -> Result<()> {
        match self.provider.map(ProbeType::name) {
            Some("tracepoint") => kernel.tracepoints().map(drop),
            Some("uprobe" | "uretprobe" | "usdt") => match self.text.split(':').nth(1) {
                Some(program) if !names::is_pattern(program) && kernel.files(program, None).is_empty() => {
                    Err(Error::usage(format!("'{program}' does not exist or is not executable")))
                }
                Some(_) | None => Ok(()),
            },
            Some(_) | None => Ok(()),
        }
    }
}

/// The kernel's types that match `struct NAME`, `union NAME` or `enum NAME`, sorted; `None` if the pattern is of another kind.
fn types(kernel: &dyn Kernel, pattern: &str) -> Option<Vec<(String, TypeId)>> {
    let (word, pattern) = pattern.split_once(' ')?;
    let kinds: &[Kind] = match word {
        "struct" => &[Kind::Struct],
        "union" => &[Kind::Union],
        "enum" => &[Kind::Enum, Kind::Enum64],
        _ => return None,
    };
    let Some(btf) = kernel.btf() else { return Some(Vec::new()) };
    let all = kinds.iter().flat_map(|kind| btf.all(*kind));
    let matching = all.filter(|(name, _)| names::matches(pattern, name));
    let mut found: Vec<_> = matching.map(|(name, id)| (format!("{word} {name}"), id)).collect();
    found.sort_unstable();
    found.dedup_by(|a, b| a.0 == b.0);
    Some(found)
}

/// The C definition of a type, after where it comes from, and an empty line.
fn define(kernel: &dyn Kernel, id: TypeId) -> Option<String> {
    Some(format!("vmlinux: {}\n", kernel.btf()?.definition(id)?))
}

/// The `args` of a full attach point.
pub fn arguments(kernel: &dyn Kernel, full: &str) -> Vec<ContextField> {
    let points = [point(full)];
    with_homes(kernel, &points, |kernel| fields(kernel, &points[0]))
}

/// Asks a kernel that has the types of all modules and programs that these lead to.
fn with_homes<T>(kernel: &dyn Kernel, points: &[AttachPoint], ask: impl FnOnce(&dyn Kernel) -> T) -> T {
    let homes: BTreeSet<Home> = points.iter().flat_map(|point| homes::of_point(point, kernel)).collect();
    match Grown::of(kernel, homes.into_iter().collect()).ok().flatten() {
        Some(grown) => ask(&grown.over(kernel)),
        None => ask(kernel),
    }
}

fn fields(kernel: &dyn Kernel, point: &AttachPoint) -> Vec<ContextField> {
    let shown = ["tracepoint", "rawtracepoint", "uprobe", "kprobe", "kretprobe", "fentry", "fexit", "iter"];
    let Some(of) = find(&point.parts[0].text).filter(|of| shown.contains(&of.name())) else {
        return Vec::new();
    };
    let targets =
        (of.expand)(&Request { kernel, point, pid: None, child: None, safety: Safety::Safe }).unwrap_or_default();
    targets.first().and_then(|target| (of.fields)(kernel, target).ok()).unwrap_or_default()
}

fn point(full: &str) -> AttachPoint {
    let parts = full.split(':').map(|part| Name { text: part.to_string(), span: Span::default() });
    AttachPoint { parts: parts.collect(), span: Span::default() }
}

/// `char comm[16]`, `const char * name`, `__data_loc char[] text`: the name stands before dimensions.
pub fn declare(field: &ContextField) -> String {
    match field.c_type.split_once('[') {
        Some((element, dimensions)) if !dimensions.starts_with(']') => {
            format!("{element} {}[{dimensions}", field.name)
        }
        Some(_) | None => format!("{} {}", field.c_type, field.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::fixture;

    fn listed(pattern: &str) -> Vec<String> {
        list(&fixture(), Some(pattern)).unwrap()
    }

    #[test]
    fn patterns_aliases_and_several_at_once() {
        assert_eq!(listed("tracepoint:syscalls:*_openat").len(), 2);
        assert_eq!(
            listed("t:sched:*switch,software:cp*"),
            ["tracepoint:sched:sched_switch", "software:cpu-clock:", "software:cpu-migrations:", "software:cpu:",]
        );
        assert_eq!(listed("*sched_sw*"), ["rawtracepoint:vmlinux:sched_switch", "tracepoint:sched:sched_switch"]);
        assert_eq!(listed("kprobe:nft_*"), ["kprobe:nft_do_chain"]);
        assert_eq!(listed("k:nf_*:nft_*"), ["kprobe:nf_tables:nft_do_chain"]);
        assert_eq!(listed("profile:*"), ["profile:hz:", "profile:ms:", "profile:s:", "profile:us:"]);
        assert_eq!(listed("uprobe:bash:read*").len(), 3);
        assert!(listed("nosuch").is_empty() && listed("begin").is_empty());
    }

    #[test]
    fn arguments_are_shown_as_declared() {
        let lines = list_verbose(&fixture(), Some("tracepoint:sched:sched_switch")).unwrap();
        assert_eq!(lines[..3], ["tracepoint:sched:sched_switch", "    char prev_comm[16]", "    pid_t prev_pid"]);
        let lines = list_verbose(&fixture(), Some("tracepoint:sched:sched_process_exec")).unwrap();
        assert_eq!(lines[1], "    __data_loc char[] filename");
        let lines = list_verbose(&fixture(), Some("struct qstr")).unwrap();
        assert_eq!((&*lines[0], &*lines[9], &*lines[10]), ("vmlinux: struct qstr {", "};", ""));
        assert_eq!(listed("enum pid_*,struct qst*"), ["enum pid_type", "struct qstr"]);
    }

    #[test]
    fn what_cannot_be_listed_says_so() {
        assert!(list(&fixture(), Some("uprobe:*")).unwrap().contains(&"uprobe:/bin/bash:readline".to_string()));
        assert!(list(&fixture(), Some("uprobe:/nosuch:*")).is_err());
    }
}
