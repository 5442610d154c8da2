//! Tests and benchmarks as text: in the manner of GoogleTest, and as a table.

use super::{Benchmark, Testing};

/// Lines about the run of tests. Colours are the caller's affair: it is told the good news from the bad.
pub fn lines(event: &Testing<'_>, paint: impl Fn(Mood, &str) -> String) -> String {
    let good = |text: &str| paint(Mood::Good, text);
    let bad = |text: &str| paint(Mood::Bad, text);
    match event {
        Testing::Planned(0) | Testing::Done { tests: 0, .. } => String::new(),
        Testing::Planned(count) => format!("{} Running {count} tests.\n", good("[==========]")),
        Testing::Begins(name) => format!("{} {name}\n", good("[ RUN      ]")),
        Testing::Ends { name, passed, took, said } => {
            let mark = if *passed { good("[       OK ]") } else { bad("[  FAILED  ]") };
            format!("{said}{mark} {name} ({} \u{3bc}s)\n", took.as_micros())
        }
        Testing::Done { tests, failed } => {
            let mut text = format!("{} {} ran.\n", good("[==========]"), counted(*tests));
            text += &format!("{} {}.\n", good("[  PASSED  ]"), counted(tests - failed.len()));
            if !failed.is_empty() {
                text += &format!("{} {}, listed below:\n", bad("[  FAILED  ]"), counted(failed.len()));
            }
            text + &failed.iter().map(|name| format!("{} {name}\n", bad("[  FAILED  ]"))).collect::<String>()
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Good,
    Bad,
}

/// A table; nothing if nothing was measured.
pub fn table(results: &[Benchmark]) -> String {
    if results.is_empty() {
        return String::new();
    }
    let heading = format!("{:<40} {:<14} Iterations\n{}\n", "Benchmark", "Time(ns)", "-".repeat(66));
    let row = |of: &Benchmark| format!("{:<40} {:<14} {}\n", of.name, of.nanoseconds, of.iterations);
    heading + &results.iter().map(row).collect::<String>()
}

fn counted(tests: usize) -> String {
    if tests == 1 { "1 test".to_string() } else { format!("{tests} tests") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_run_of_tests_reads_like_googletest() {
        let failed = ["b".to_string()];
        let took = Duration::from_micros(7);
        let events = [
            Testing::Planned(2),
            Testing::Begins("a"),
            Testing::Ends { name: "a", passed: true, took, said: "" },
            Testing::Begins("b"),
            Testing::Ends { name: "b", passed: false, took, said: "ERROR: no\n" },
            Testing::Done { tests: 2, failed: &failed },
        ];
        let text: String = events.iter().map(|event| lines(event, |_, text| text.to_string())).collect();
        let expected = "[==========] Running 2 tests.\n[ RUN      ] a\n[       OK ] a (7 \u{3bc}s)\n[ RUN      ] b\nERROR: no\n\
                        [  FAILED  ] b (7 \u{3bc}s)\n[==========] 2 tests ran.\n[  PASSED  ] 1 test.\n\
                        [  FAILED  ] 1 test, listed below:\n[  FAILED  ] b\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn benchmarks_are_a_table() {
        let results = [Benchmark { name: "a".to_string(), nanoseconds: 21, iterations: 80_000 }];
        let text = table(&results);
        assert!(
            text.ends_with("a                                        21             80000\n") && text.contains("---\n")
        );
        assert_eq!(table(&[]), "");
    }
}
