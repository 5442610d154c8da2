//! Which candidates a word may stand for, and how likely each is.

use super::Candidate;

/// How a word lies within a name, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Start,
    /// After `_`, `:`, `/` or the like.
    WordStart,
    Inside,
    /// Its letters one after another, with others between them.
    Scattered,
}

/// Those that fit, the best first. A letter that is missing counts only where nothing fits better.
pub fn best(all: Vec<Candidate>, word: &str) -> Vec<Candidate> {
    let mut rated: Vec<(Fit, Candidate)> =
        all.into_iter().filter_map(|one| Some((fit(word, &one.text)?, one))).collect();
    rated.sort_by(|(one, this), (other, that)| {
        let key = |fit: Fit, of: &Candidate| (fit, behind(word, &of.text));
        key(*one, this).cmp(&key(*other, that)).then_with(|| this.text.cmp(&that.text))
    });
    if rated.first().is_some_and(|(fit, _)| *fit == Fit::Start) {
        // Who has typed the beginning of names means those.
        rated.retain(|(fit, _)| *fit == Fit::Start);
        rated.sort_by(|(_, one), (_, other)| one.text.cmp(&other.text));
    } else if rated.first().is_some_and(|(fit, _)| *fit != Fit::Scattered) {
        rated.retain(|(fit, _)| *fit != Fit::Scattered);
    }
    rated.dedup_by(|(_, one), (_, other)| one.text == other.text);
    rated.into_iter().map(|(_, candidate)| candidate).collect()
}

/// How much of the name follows the word: the less, the more of its last word was typed. Scattered letters have all of it before them.
fn behind(word: &str, name: &str) -> usize {
    let word = word.split_once(':').map_or(word, |(_, rest)| rest);
    name.len() - find(word, name).map_or(0, |at| at + word.len())
}

/// Whether the word lies within the name in one piece.
pub fn is_within(word: &str, name: &str) -> bool {
    find(word, name).is_some()
}

/// Of a word with colons, the first part says where the rest is to be looked for: `tracepoint:openat` finds
/// `tracepoint:syscalls:sys_enter_openat`.
fn fit(word: &str, name: &str) -> Option<Fit> {
    if name.starts_with(word) {
        return Some(Fit::Start);
    }
    let (word, name) = match word.split_once(':') {
        Some((head, rest)) => (rest, name.strip_prefix(head)?.strip_prefix(':')?),
        None => (word, name),
    };
    match find(word, name) {
        Some(0) => Some(Fit::WordStart),
        Some(at) if !name.as_bytes()[at - 1].is_ascii_alphanumeric() => Some(Fit::WordStart),
        Some(_) => Some(Fit::Inside),
        None if word.len() > 2 && is_scattered(word, name) => Some(Fit::Scattered),
        None => None,
    }
}

fn find(word: &str, name: &str) -> Option<usize> {
    if word.is_empty() { Some(0) } else { memchr::memmem::find(name.as_bytes(), word.as_bytes()) }
}

fn is_scattered(word: &str, name: &str) -> bool {
    let mut letters = name.bytes();
    name.bytes().next() == word.bytes().next() && word.bytes().all(|letter| letters.any(|other| other == letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(word: &str, all: &[&str]) -> Vec<String> {
        let all = all.iter().map(|text| Candidate { text: (*text).to_string(), note: String::new() }).collect();
        best(all, word).into_iter().map(|one| one.text).collect()
    }

    #[test]
    fn beginnings_come_first_then_words_then_the_rest() {
        assert_eq!(names("open", &["reopen", "sys_open", "openat", "open"]), ["open", "openat"]);
        assert_eq!(names("open", &["reopen", "do_sys_open", "sys_open"]), ["do_sys_open", "sys_open", "reopen"]);
        let points = ["t:sys_exit_openat2", "t:sys_exit_openat", "t:sys_enter_openat"];
        assert_eq!(names("t:openat", &points), ["t:sys_enter_openat", "t:sys_exit_openat", "t:sys_exit_openat2"]);
        assert_eq!(names("prtf", &["printf", "strerror"]), ["printf"]);
        assert_eq!(names("prtf", &["printf", "do_prtf"]), ["do_prtf"]);
        assert_eq!(names("t:openat", &["t:syscalls:sys_enter_openat", "k:openat"]), ["t:syscalls:sys_enter_openat"]);
    }
}
