//! "Did you mean …?": the known name nearest to a misspelt one.

/// The candidate that is only a slip of the hand away from `name`, if one is.
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let tolerated = name.chars().count().div_ceil(3).min(3);
    let nearest =
        candidates.into_iter().map(|candidate| (distance(name, candidate), candidate)).min_by_key(|&(d, _)| d)?;
    (nearest.0 <= tolerated).then_some(nearest.1)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other, in any case (the restricted
/// Damerau-Levenshtein distance).
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.to_lowercase().chars().collect();
    let to: Vec<char> = to.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replaced = above[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut best = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand() {
        let names = ["print", "printf", "count", "kstack", "ustack", "pid", "tid"];
        for (name, expected) in [
            ("pritn", Some("print")),
            ("cuont", Some("count")),
            ("COUNT", Some("count")),
            ("kstac", Some("kstack")),
            ("pdi", Some("pid")),
            ("histogram", None),
            ("", None),
        ] {
            assert_eq!(suggest(name, names), expected, "{name}");
        }
    }

    #[test]
    fn distances() {
        for (from, to, expected) in [("", "abc", 3), ("abc", "abc", 0), ("ab", "ba", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }
}
