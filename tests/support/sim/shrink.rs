//! A program made smaller as long as it stays interesting: statements and blocks left out, blocks replaced by what is in them,
//! expressions by their parts. It works on text and knows no grammar: what is no program any more is just not interesting.

use std::time::{Duration, Instant};

/// How long to look for something smaller.
const PATIENCE: Duration = Duration::from_secs(30);

/// The smallest that was found.
pub fn shrink(program: &str, is_interesting: impl Fn(&str) -> bool) -> String {
    let start = Instant::now();
    let is_smaller = |candidate: &String, best: &str| candidate.len() < best.len() && is_interesting(candidate);
    let mut best = program.to_owned();
    loop {
        let mut candidates = without_lines(&best).into_iter().chain(with_simpler_expressions(&best));
        match candidates.find(|candidate| start.elapsed() > PATIENCE || is_smaller(candidate, &best)) {
            Some(smaller) if start.elapsed() <= PATIENCE => best = smaller,
            _ => return best,
        }
    }
}

/// The program without some of its lines, the most first.
fn without_lines(program: &str) -> Vec<String> {
    let lines: Vec<&str> = program.lines().collect();
    let mut candidates = Vec::new();
    for length in (1..=lines.len()).rev() {
        for start in 0..=lines.len() - length {
            if is_balanced(&lines[start..start + length]) {
                candidates.push(joined(&[&lines[..start], &lines[start + length..]]));
            }
        }
    }
    for (start, line) in lines.iter().enumerate().filter(|(_, line)| line.ends_with('{')) {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let end = lines[start + 1..]
            .iter()
            .position(|other| indent(other) == indent(line) && other.trim_start().starts_with('}'));
        if let Some(end) = end.map(|end| start + 1 + end).filter(|end| lines[*end].trim() == "}") {
            candidates.push(joined(&[&lines[..start], &lines[start + 1..end], &lines[end + 1..]]));
        }
    }
    candidates
}

fn joined(parts: &[&[&str]]) -> String {
    parts.concat().iter().flat_map(|line| [line, "\n"]).collect()
}

fn is_balanced(lines: &[&str]) -> bool {
    let mut depth = 0i32;
    for byte in lines.iter().flat_map(|line| line.bytes()) {
        depth += i32::from(byte == b'{') - i32::from(byte == b'}');
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

/// The program with something in parentheses replaced by one of its parts or by a number.
fn with_simpler_expressions(program: &str) -> Vec<String> {
    let mut candidates = Vec::new();
    for start in program.match_indices('(').map(|(at, _)| at) {
        let Some(end) = closing(program, start) else { continue };
        let (inner, rest) = (&program[start + 1..end], &program[end + 1..]);
        // What stands before it may be a function's name.
        let head = program[..start].trim_end_matches(|c: char| c.is_alphanumeric() || c == '_' || c == '~');
        let parts = parts(inner).into_iter().map(|part| format!("({part})"));
        for part in ["1".to_owned(), "true".to_owned(), "\"\"".to_owned()].into_iter().chain(parts) {
            candidates.push(format!("{head}{part}{rest}"));
            candidates.push(format!("{}{part}{rest}", &program[..start]));
        }
    }
    candidates
}

fn closing(program: &str, start: usize) -> Option<usize> {
    let mut depth = 0;
    program[start..].char_indices().find_map(|(at, c)| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        (depth == 0).then_some(start + at)
    })
}

/// What operators and commas divide, at the outermost level.
fn parts(inner: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        depth += i32::from("([".contains(c)) - i32::from(")]".contains(c));
        if depth == 0 && c == ' ' {
            parts.push(inner[start..at].trim_end_matches(','));
            start = at + 1;
        }
    }
    parts.push(&inner[start..]);
    parts.retain(|part| part.chars().any(char::is_alphanumeric));
    parts
}
