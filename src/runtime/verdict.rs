//! Why the kernel's verifier refused a program: the end of its log as what it could not prove, and what to change in the script.

/// What is made of a log.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the kernel could not prove, then its own words.
    pub reason: String,
    pub remedy: &'static str,
    /// The instruction at which it gave up.
    pub insn: Option<u32>,
}

/// Words of the verifier, what they mean in the terms of a script, and what can be done. Those that tell more come first.
const MEANINGS: [(&str, &str, &str); 16] = [
    (
        "infinite loop detected",
        "it sees a loop here that never ends",
        "let the loop count: for ($i : 0..100) { ... }, with `break` for what ends it before",
    ),
    (
        "back-edge from insn",
        "this kernel takes no loops",
        "repeat the body with unroll (N) { ... }; kernels since 5.3 take loops",
    ),
    (
        "jumps is too complex",
        "it cannot see how this loop ends, and has given up following it",
        "let the loop count: for ($i : 0..100) { ... }, with `break` for what ends it before",
    ),
    (
        "BPF program is too large",
        "to follow all ways through this program takes more steps than it makes",
        "make loops shorter, take branches out of loops, or spread the work over several probes; the body of \
         `for ($i : a..b)` is followed only once where the kernel has bpf_loop (5.17)",
    ),
    (
        "combined stack size",
        "the functions and loops under way within each other need more than the 512 bytes of stack",
        "keep large tuples and texts in maps, or call fewer functions within each other",
    ),
    (
        "call stack of",
        "more than eight functions and bodies of loops would be under way within each other",
        "make some of the functions macros, or call them one after the other",
    ),
    (
        "failed to find the address for kernel symbol",
        "this kernel does not tell the addresses of its variables",
        "it was built without CONFIG_KALLSYMS_ALL",
    ),
    (
        "helper call is not allowed in probe",
        "path() may be used in few functions only, which a name's lookup cannot disturb",
        "those are security_file_open, security_file_permission, security_inode_getattr, vfs_truncate, vfs_fallocate, \
         dentry_open and filp_close",
    ),
    (
        "is unsupported",
        "it cannot hand on what this function is passed, or returns",
        "kprobe and kretprobe do without: the arguments that are in registers are arg0, arg1, …",
    ),
    (
        "is not allowed",
        "this kernel does not let programs of this kind call the function",
        "use another kind of probe; `rtrace --info` tells what this kernel offers",
    ),
    (
        "unknown func",
        "this kernel lacks a function that the program calls, or does not offer it to this kind of probe",
        "use another kind of probe, or a newer kernel; `rtrace --info` tells what this one offers",
    ),
    (
        "cannot use helper",
        "this kernel does not offer a function that the program calls to this kind of probe",
        "use another kind of probe, or a newer kernel; `rtrace --info` tells what this one offers",
    ),
    (
        "cannot call GPL",
        "it lets programs under this license not call what this one calls",
        "load it under the GPL: config = { license = \"GPL\" }",
    ),
    ("invalid mem access", "it cannot prove that the address which is read here is one", REPORT),
    (
        "outside of the allowed memory range",
        "it cannot prove that what is read or written here lies within its bounds",
        REPORT,
    ),
    (
        "unbounded memory access",
        "it cannot prove that the length used here has a limit",
        "give the length a limit: str(p, 64), buf(p, 64)",
    ),
];

const REPORT: &str =
    "programs that pass rtrace's checks should load: please report this one, with the output of `rtrace -v`";

/// The meaning of a log; `None` if the verifier said nothing.
pub fn verdict(log: &str) -> Option<Verdict> {
    let words = last_words(log);
    let last = *words.last()?;
    let insn = named_insn(last).or_else(|| last_insn(log));
    let meaning = MEANINGS.iter().find(|(known, ..)| words.iter().any(|line| line.contains(known)));
    Some(match meaning {
        Some((_, means, remedy)) => Verdict { reason: format!("{means} (\"{last}\")"), remedy, insn },
        None => Verdict { reason: words.join("; "), remedy: REPORT, insn },
    })
}

/// Lines of the log that are no finding.
const STATISTICS: [&str; 8] = [
    "processed ",
    "verification time",
    "stack depth ",
    "max_states",
    "cur state:",
    "old state:",
    "mark_precise:",
    "arg#",
];

/// The last two lines that say something.
fn last_words(log: &str) -> Vec<&str> {
    let is_said = |line: &&str| !line.is_empty() && !STATISTICS.iter().any(|start| line.starts_with(start));
    let lines: Vec<&str> = log.lines().map(str::trim).filter(is_said).collect();
    lines[lines.len().saturating_sub(2)..].to_vec()
}

/// The instruction that a sentence names: `infinite loop detected at insn 3`.
fn named_insn(sentence: &str) -> Option<u32> {
    let (_, number) = sentence.rsplit_once("at insn ")?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The last instruction that the verifier went through: lines such as `12: (85) call bpf_probe_read#4`.
pub fn last_insn(log: &str) -> Option<u32> {
    log.lines().rev().find_map(|line| {
        let (number, rest) = line.split_once(": ")?;
        rest.starts_with('(').then(|| number.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "func#0 @0\n0: R1=ctx() R10=fp0\n; @x = 1 @ stdin:1\n0: (b7) r0 = 0                        ; R0=0\n\
        7: (79) r1 = *(u64 *)(r0 +0)\nR0 invalid mem access 'scalar'\nprocessed 2 insns (limit 1000000) max_states_per_insn 0\n";

    #[test]
    fn the_log_tells_where_and_why() {
        let told = verdict(LOG).unwrap();
        assert_eq!((told.insn, told.remedy), (Some(7), REPORT));
        assert_eq!(
            told.reason,
            "it cannot prove that the address which is read here is one (\"R0 invalid mem access 'scalar'\")"
        );
        assert_eq!((last_insn(""), verdict("")), (None, None));
    }

    #[test]
    fn a_place_that_is_named_counts() {
        let log = "5: (85) call bpf_ktime_get_boot_ns#125\ninfinite loop detected at insn 3\ncur state: R0=1\nold state: R0=2\n";
        let told = verdict(log).unwrap();
        assert_eq!(told.insn, Some(3));
        assert!(told.reason.starts_with("it sees a loop here that never ends"));
    }

    #[test]
    fn what_is_not_known_is_quoted() {
        let told = verdict("1: (95) exit\nR0 !read_ok\n").unwrap();
        assert_eq!((&*told.reason, told.remedy), ("1: (95) exit; R0 !read_ok", REPORT));
    }
}
