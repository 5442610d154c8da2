//! Text up to the cursor in, what its last word may become out.

use crate::builtins;
use crate::probes;

/// Where the last word begins, and the names that begin with it: probe types where a probe may begin, builtins within braces,
/// both after `help`.
pub fn complete(before: &str) -> (usize, Vec<&'static str>) {
    let start = before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    let word = &before[start..];
    let is_marked = before[..start].ends_with(['$', '@', '.', ':']);
    if word.is_empty() || is_marked {
        return (start, Vec::new());
    }
    let builtins = || builtins::TABLES.iter().flat_map(|table| table.iter()).map(|row| row.name);
    let probes = || probes::TYPES.iter().map(|of| of.name());
    let names: Vec<&'static str> = match place(&before[..start]) {
        Place::Help => builtins().chain(probes()).collect(),
        Place::Body => builtins().collect(),
        Place::Head => probes().chain(["help", "quit"]).collect(),
    };
    let mut names: Vec<&'static str> = names.into_iter().filter(|name| name.starts_with(word)).collect();
    names.sort_unstable();
    (start, names)
}

/// What stands where the cursor is.
enum Place {
    Help,
    /// Within braces or a predicate.
    Body,
    Head,
}

fn place(before: &str) -> Place {
    let closed = before.rfind('}').map_or(0, |at| at + 1);
    let last = &before[closed..];
    match last.trim() {
        "help" | "h" | "?" => Place::Help,
        head if head.contains(['{', '<', '/']) => Place::Body,
        // A block within an outer one may have been what was closed.
        _ if before.matches('{').count() > before.matches('}').count() => Place::Body,
        _ => Place::Head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_what_may_stand_there() {
        let names = |before| complete(before).1;
        assert_eq!(names("inter"), ["interval"]);
        assert_eq!(complete("begin { prin"), (8, vec!["print", "printf"]));
        assert_eq!(names("begin { if (1) { } cle"), ["clear"]);
        assert_eq!(names("begin { } tracep"), ["tracepoint"]);
        assert_eq!(names("kprobe:f /elap"), ["elapsed"]);
        assert_eq!(names("help ustac"), ["ustack"]);
        assert!(names("begin { $pri").is_empty() && names("begin { ").is_empty() && names("kprobe:prin").is_empty());
    }
}
