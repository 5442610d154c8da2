//! Text in, [`ast::Program`] out.

pub mod ast;
mod build;
mod completeness;
mod expression;
mod grammar;
mod literal;
mod nesting;
mod recover;

pub use completeness::{Completeness, completeness};

use crate::diag::Diagnostic;
use crate::source::Source;

/// Parses a script; every fault found is reported, not only the first.
pub fn parse(source: &Source) -> Result<ast::Program, Vec<Diagnostic>> {
    nesting::check(source)?;
    recover::parse(source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn faults(text: &str) -> Vec<String> {
        match parse(Sources::new().add("stdin", text)) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.into_iter().map(|fault| fault.message).collect(),
        }
    }

    #[test]
    fn the_language_is_accepted() {
        let programs = [
            "BEGIN { printf(\"hi\\n\"); exit(); }",
            "#!/usr/bin/env rtrace\n// c\nconfig = { max_map_keys = 10; hist_percentiles=true }\nbegin{}",
            "kprobe:vfs_read < @[comm] = count(); >",
            "kprobe:vfs_read < @[comm] = count() > interval:s:1 { exit(); }",
            "kprobe:a < if (pid > 10) { @ = count(); } > kprobe:b < @x = 1 > 0; >",
            "tracepoint:a:b, tracepoint:c:d*, { @[pid, comm] = hist(args.ret, 2); }",
            "uprobe:/bin/bash:readline /pid / 2 == 1/ { @[ustack(3)] = count(); }",
            "uprobe:\"/bin/a b\":\"x::y(int)\" { $x = (struct task_struct *)curtask; print($x->real_parent.pid); }",
            "i:s:1 { $a = 1 ? 2 : 3 ?: 4; $b = (1, \"x\", (2,)); print($b.2.0); @a[1,2]++; --$a; }",
            "begin { for ($i : 0..10) { continue; } while ($x < 3) { $x++; break } unroll(3) { @ = count() } return; }",
            "begin { let $x: uint64 = 5; let $y; if $x { } else if ($x == 2) { } else { } $x <<= 2; _ = 5; }",
            "begin { for $kv : @m { print($kv) } { $z = sizeof(struct x) + sizeof($x); } @ = -(1 + ~2) * !3; }",
            "begin { $x = (uint8)-1; $y = (int64)$x >> 3; print($1, $#, 5s, 0xff); @x[(1,2)] = 1 }",
            "begin /@a[tid]/ { delete(@a, tid); } end { clear(@a) }",
            "begin { if (1 < 2) { } } interval:s:1 { }",
        ];
        for program in programs {
            assert_eq!(faults(program), Vec::<String>::new(), "{program}");
        }
    }

    #[test]
    fn faults_are_told_all_at_once() {
        assert_eq!(
            faults("begin { $x = 1 $y = 2; } end { print('a'); print(\"abc); }"),
            ["syntax: expected ';', found '$'", "syntax: unexpected character '\'\'", "syntax: unterminated string",]
                .map(|text| text.replace("\\'", "'"))
        );
        assert_eq!(faults("begin { print(1"), ["syntax: expected ')', found the end of the program"]);
        assert_eq!(faults("kprobe vfs_read { }").len(), 1);
        assert_eq!(faults("begin { 1.5; 5UL; \"\\q\" }").len(), 1);
        assert_eq!(faults("begin { $x = ; } }").len(), 2);
    }
}
