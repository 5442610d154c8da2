//! Turns an outcome into a verdict: nothing, or the text that tells what differs from the expectation.

use regex::{Captures, RegexBuilder};

use crate::case::Case;
use crate::diff;
use crate::drive::Outcome;

/// Whether all is as the case expects.
pub fn judge(outcome: &Outcome) -> Result<(), String> {
    let case = &outcome.case;
    let exit = (outcome.exit != case.exit).then(|| format!("exit code {}, expected {}", outcome.exit, case.exit));
    let texts = [
        differing("stdout", case.stdout.as_deref(), &outcome.stdout),
        differing("stderr", case.stderr.as_deref(), &outcome.stderr),
    ];
    let patterns = [
        unmatched("stdout", &case.stdout_matches, &outcome.stdout)?,
        unmatched("stderr", &case.stderr_matches, &outcome.stderr)?,
        matched("stdout", &case.stdout_lacks, &outcome.stdout)?,
    ];
    let counts = miscounted(&case.stdout_counts, &outcome.stdout)?;
    let sums = unequal(&case.sums, &format!("{}\n{}", outcome.stdout, outcome.stderr))?;
    let faults: Vec<String> = exit
        .into_iter()
        .chain(texts.into_iter().flatten())
        .chain(patterns.concat())
        .chain(counts)
        .chain(sums)
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(explain(outcome, &faults)) }
}

impl Case {
    /// The program as a section of a failure's text.
    pub fn program_text(&self) -> String {
        let program = self.program.as_ref().or(self.script.as_ref());
        program.map_or_else(
            || format!("--- arguments\n{:?}\n", self.args),
            |text| format!("--- program\n{}\n", text.trim_end()),
        )
    }
}

fn explain(outcome: &Outcome, faults: &[String]) -> String {
    let program = outcome.case.program_text();
    format!("{}\n{program}--- stdout\n{}--- stderr\n{}", faults.join("\n"), outcome.stdout, outcome.stderr)
}

fn differing(stream: &str, expected: Option<&str>, actual: &str) -> Option<String> {
    let expected = expected.filter(|expected| *expected != actual)?;
    Some(format!("{stream} differs (- expected, + actual):\n{}", diff::lines(expected, actual)))
}

fn unmatched(stream: &str, patterns: &[String], text: &str) -> Result<Vec<String>, String> {
    let misses = select(patterns, text, false)?;
    Ok(misses.map(|pattern| format!("nothing on {stream} matches {pattern}")).collect())
}

fn matched(stream: &str, patterns: &[String], text: &str) -> Result<Vec<String>, String> {
    let hits = select(patterns, text, true)?;
    Ok(hits.map(|pattern| format!("something on {stream} matches {pattern}")).collect())
}

fn miscounted(counts: &[(String, usize)], text: &str) -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    for (pattern, expected) in counts {
        let regex = RegexBuilder::new(pattern).multi_line(true).build().map_err(|error| error.to_string())?;
        let found = regex.find_iter(text).count();
        if found != *expected {
            faults.push(format!("{found} times on stdout, not {expected}: {pattern}"));
        }
    }
    Ok(faults)
}

fn unequal(sums: &[(String, u64)], text: &str) -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    for (pattern, expected) in sums {
        let regex = RegexBuilder::new(pattern).multi_line(true).build().map_err(|error| error.to_string())?;
        let sum: u64 = regex.captures_iter(text).map(|found| number(&found)).sum();
        if sum != *expected {
            faults.push(format!("the sum is {sum}, not {expected}: {pattern}"));
        }
    }
    Ok(faults)
}

/// That of the group that took part.
fn number(found: &Captures<'_>) -> u64 {
    found.iter().skip(1).flatten().next().map_or(1, |group| group.as_str().parse().unwrap_or(0))
}

/// The patterns of which it holds that they match, or do not.
fn select<'a>(patterns: &'a [String], text: &str, matching: bool) -> Result<impl Iterator<Item = &'a String>, String> {
    let is_match = |pattern: &String| {
        let regex = RegexBuilder::new(pattern).multi_line(true).build().map_err(|error| error.to_string())?;
        Ok(regex.is_match(text))
    };
    let found = patterns.iter().map(is_match).collect::<Result<Vec<bool>, String>>()?;
    Ok(patterns.iter().zip(found).filter(move |(_, found)| *found == matching).map(|(pattern, _)| pattern))
}
