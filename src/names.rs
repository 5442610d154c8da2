//! Names: matching them against patterns, and finding the one that was perhaps meant.

/// Whether a pattern, in which each `*` stands for any text, matches the whole of a name.
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    // What stands between two stars is matched as early as possible, what follows the last one at the end.
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let tail = pieces.pop().unwrap_or("");
    for piece in pieces {
        match name.find(piece) {
            Some(at) => name = &name[at + piece.len()..],
            None => return false,
        }
    }
    name.ends_with(tail)
}

pub fn is_pattern(text: &str) -> bool {
    text.contains('*')
}

/// The candidate most like a word, if any is like it enough to have been meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best = None;
    let mut limit = 1 + word.len() / 4;
    for candidate in candidates {
        if word.len().abs_diff(candidate.len()) > limit {
            continue;
        }
        let distance = distance(word, candidate);
        if distance < limit || (distance == limit && best.is_none()) {
            limit = distance;
            best = Some(candidate);
        }
    }
    best
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to make one word of the other;
/// case does not count.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_ascii_lowercase().into_bytes(), b.to_ascii_lowercase().into_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i];
        for j in 1..=b.len() {
            let replaced = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut cost = replaced.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cost = cost.min(before[j - 2] + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, name, expected) in [
            ("vfs_read", "vfs_read", true),
            ("vfs_read", "vfs_readv", false),
            ("vfs_*", "vfs_", true),
            ("*read*", "vfs_readv", true),
            ("s*_*_x", "sys_enter_x", true),
            ("a*b", "ab", true),
            ("a*a", "a", false),
            ("*", "", true),
            ("*ab", "abab", true),
            ("*a*b", "ba", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn the_nearest_name_is_near() {
        let names = ["sys_enter_open", "sys_enter_openat", "sys_exit_openat", "sched_switch"];
        assert_eq!(nearest("sys_enter_opena", names), Some("sys_enter_open"));
        assert_eq!(nearest("shced_switch", names), Some("sched_switch"));
        assert_eq!(nearest("Sched_Switch", names), Some("sched_switch"));
        assert_eq!(nearest("nosuch", names), None);
    }
}
