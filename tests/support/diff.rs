//! Turns two texts into the lines they share and the lines they do not.

/// Each line with its mark: `-` is in the first text only, `+` in the second only.
pub fn lines(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let common = common_lengths(&old, &new);
    let (mut at, mut to, mut text) = (0, 0, String::new());
    while at < old.len() || to < new.len() {
        let is_same = at < old.len() && to < new.len() && old[at] == new[to];
        let (mark, line) = if is_same {
            (' ', old[at])
        } else if to == new.len() || (at < old.len() && common[at + 1][to] >= common[at][to + 1]) {
            ('-', old[at])
        } else {
            ('+', new[to])
        };
        at += usize::from(mark != '+');
        to += usize::from(mark != '-');
        text.push_str(&format!("{mark}{line}\n"));
    }
    text
}

/// How many lines the two texts have in common from each pair of positions on.
fn common_lengths(old: &[&str], new: &[&str]) -> Vec<Vec<usize>> {
    let mut lengths = vec![vec![0; new.len() + 1]; old.len() + 1];
    for at in (0..old.len()).rev() {
        for to in (0..new.len()).rev() {
            let skipped = lengths[at + 1][to].max(lengths[at][to + 1]);
            lengths[at][to] = if old[at] == new[to] { lengths[at + 1][to + 1] + 1 } else { skipped };
        }
    }
    lengths
}
