//! Attach points become the modules and BPF programs that their functions lie in, so that a program knows the types of those.

use super::fentry::{KERNEL, ProgramPattern};
use super::rawtracepoint;
use crate::btf::Kind;
use crate::check::{Options, filled_in};
use crate::kernel::{Feature, Home, Kernel};
use crate::names;
use crate::syntax::ast::{AttachPoint, Program};

/// The homes of all functions that a program names, but for the kernel proper.
pub fn homes(program: &Program, kernel: &dyn Kernel, options: &Options) -> Vec<Home> {
    let points = program.probes.iter().flat_map(|probe| &probe.attach_points);
    let mut homes: Vec<Home> = points.flat_map(|point| of_point(&filled_in(point, options), kernel)).collect();
    homes.sort();
    homes.dedup();
    homes
}

/// Those that one attach point leads to.
pub fn of_point(point: &AttachPoint, kernel: &dyn Kernel) -> Vec<Home> {
    let parts: Vec<&str> = point.parts.iter().map(|part| part.text.as_str()).collect();
    let Some((provider, rest)) = parts.split_first() else { return Vec::new() };
    let feature = match super::find(provider).map(super::ProbeType::name) {
        Some("rawtracepoint") => return of_events(kernel, rest),
        Some("fentry" | "fexit") => Feature::Trampolines,
        Some("kprobe" | "kretprobe") => Feature::Kprobes,
        _ => return Vec::new(),
    };
    if !kernel.has(feature) {
        return Vec::new();
    }
    if let Some(pattern) = ProgramPattern::parse(rest).filter(|_| feature == Feature::Trampolines) {
        return pattern.matching(kernel).into_iter().map(|(id, ..)| Home::Program(id)).collect();
    }
    match rest {
        // The kernel's own types are there already.
        [KERNEL, _] => Vec::new(),
        [module, _] if !names::is_pattern(module) => vec![Home::Module(module.to_string())],
        // A kprobe on many functions gives them no names.
        [.., function] if feature == Feature::Kprobes && names::is_pattern(function) => Vec::new(),
        [module, function] => of_functions(kernel, module, function),
        [function] if is_of_kernel(kernel, function) => Vec::new(),
        [function] => of_functions(kernel, "*", function),
        _ => Vec::new(),
    }
}

fn is_of_kernel(kernel: &dyn Kernel, function: &str) -> bool {
    kernel.btf().is_some_and(|btf| btf.find(function, Kind::Func).is_some())
}

/// The modules with functions that match.
fn of_functions(kernel: &dyn Kernel, module: &str, function: &str) -> Vec<Home> {
    let all = kernel.functions().unwrap_or_default();
    let of_modules = all.iter().filter_map(|full| full.split_once(':'));
    let matching = of_modules.filter(|(home, name)| names::matches(module, home) && names::matches(function, name));
    let mut modules: Vec<&str> = matching.map(|(home, _)| home).collect();
    modules.dedup();
    modules.into_iter().map(|module| Home::Module(module.to_string())).collect()
}

/// The modules with raw tracepoints that match.
fn of_events(kernel: &dyn Kernel, parts: &[&str]) -> Vec<Home> {
    let (module, event) = match parts {
        [KERNEL, _] => return Vec::new(),
        [module, _] if !names::is_pattern(module) => return vec![Home::Module(module.to_string())],
        [event] if rawtracepoint::event_exists(kernel, event) => return Vec::new(),
        [module, event] => (*module, *event),
        [event] => ("*", *event),
        _ => return Vec::new(),
    };
    let events = rawtracepoint::of_modules(kernel, module, event).into_iter();
    let mut modules: Vec<String> = events.filter_map(|(module, _)| module).collect();
    modules.dedup();
    modules.into_iter().map(Home::Module).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::{fixture, parse};

    #[test]
    fn types_of_modules_are_asked_for_and_not_the_kernels() {
        let homes = |text: &str| of_point(&parse(text), &fixture());
        for text in ["fentry:vmlinux:vfs_read", "kprobe:vmlinux:vfs_read", "fentry:vmlinux:vfs_*", "fentry:vfs_read"] {
            assert_eq!(homes(text), [], "{text}");
        }
        assert_eq!(homes("fexit:nf_tables:nft_*"), [Home::Module("nf_tables".to_string())]);
    }
}
