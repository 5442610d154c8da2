//! What is worth a warning: patterns over kernel functions that take in what runs all the time, or where tracing must not be, and
//! returns from functions whose stacks move.

use crate::diag::Diagnostic;
use crate::kernel::{Kernel, Stacks};
use crate::plan::{Attach, Point, Target};
use crate::source::Span;

/// Beginnings of the names of functions that run with locks held, at every interrupt, or millions of times a second.
const HOT: &[&str] = &[
    "_raw_read_",
    "_raw_spin_",
    "_raw_write_",
    "__local_bh_",
    "__rcu_",
    "bpf_",
    "irq_",
    "kmem_cache_",
    "ktime_get",
    "lock_",
    "mutex_",
    "native_sched_clock",
    "preempt_",
    "rcu_",
    "sched_clock",
    "update_rq_clock",
];

/// Fewer targets are taken for deliberate.
const MANY: usize = 100;

/// A warning, if so many targets include hot ones.
pub fn warning(targets: &[Target], span: Span) -> Option<Diagnostic> {
    if targets.len() < MANY {
        return None;
    }
    let hot: Vec<&str> = targets.iter().filter_map(function).filter(|name| is_hot(name)).collect();
    let message = format!(
        "this pattern takes in {} functions, {} of which run all the time or under locks, such as {}()",
        targets.len(),
        hot.len(),
        hot.first()?
    );
    Some(
        Diagnostic::warning(span, message)
            .hint("the machine may become slow, or hang: narrow the pattern; --plan attaches nothing"),
    )
}

fn function(target: &Target) -> Option<&str> {
    match &target.attach {
        Attach::Kprobe { function, .. } | Attach::Trampoline { function, .. } => Some(function),
        _ => None,
    }
}

/// A warning, if the kernel would change return addresses on stacks that move.
pub fn moving_stacks(targets: &[Target], kernel: &dyn Kernel, span: Span) -> Option<Diagnostic> {
    let moves = |target: &Target| match &target.attach {
        Attach::Uprobe { path, at: Point::Return, .. } => {
            kernel.binary(path).is_ok_and(|binary| binary.stacks == Stacks::Moving)
        }
        _ => false,
    };
    let target = targets.iter().find(|target| moves(target))?;
    let message = format!("{} is a return from a function written in Go, which this can crash", target.name);
    let hint = "the kernel puts a return address of its own on the stack, and Go moves stacks: probe the function's entry, or its \
                returns by their offsets (uprobe:PROGRAM:FUNCTION+OFFSET)";
    Some(Diagnostic::warning(span, message).hint(hint))
}

fn is_hot(function: &str) -> bool {
    HOT.iter().any(|start| function.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(names: impl Iterator<Item = String>) -> Vec<Target> {
        let attach = |function| Attach::Kprobe { module: None, function, offset: 0, at: Point::Entry };
        names.map(|name| Target { name: name.clone(), attach: attach(name), span: Span::default() }).collect()
    }

    #[test]
    fn only_what_is_large_and_hot() {
        let cold = || (0..200).map(|number| format!("tcp_{number}"));
        assert!(warning(&targets(cold()), Span::default()).is_none());
        assert!(warning(&targets(["rcu_read_lock".to_string()].into_iter()), Span::default()).is_none());
        let mixed = targets(cold().chain(["rcu_a".to_string(), "_raw_spin_lock".to_string()]));
        let problem = warning(&mixed, Span::default()).unwrap();
        assert!(problem.message.contains("202 functions, 2 of which") && problem.message.ends_with("rcu_a()"));
    }
}
