//! Lines that fit: text is cut at a border, and of several parts the most important ones are kept whole.

use unicode_width::UnicodeWidthChar;

/// Stands for the rest of a line.
const CUT: char = '>';

/// One part of a line; the lower its rank, the longer it is kept.
pub struct Part {
    pub text: String,
    pub rank: u8,
}

impl Part {
    pub fn new(rank: u8, text: impl Into<String>) -> Part {
        Part { text: text.into(), rank }
    }
}

/// Which of several parts fit side by side, by what each is wide and its rank: all up to the first for which there is no room.
pub fn chosen(parts: &[(usize, u8)], room: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|at| parts[*at].1);
    let mut taken = 0;
    let kept = order.into_iter().take_while(|at| {
        taken += parts[*at].0;
        taken <= room
    });
    let mut chosen = vec![false; parts.len()];
    kept.for_each(|at| chosen[at] = true);
    chosen
}

/// Parts with two spaces between them, as many as fit.
pub fn joined(parts: &[Part], columns: usize) -> String {
    const BETWEEN: usize = 2;
    let widths: Vec<(usize, u8)> = parts.iter().map(|part| (width(&part.text) + BETWEEN, part.rank)).collect();
    let chosen = chosen(&widths, columns + BETWEEN);
    let kept: Vec<&str> =
        parts.iter().zip(chosen).filter(|(_, is_chosen)| *is_chosen).map(|(part, _)| &*part.text).collect();
    kept.join("  ")
}

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    text.chars().filter_map(UnicodeWidthChar::width).sum()
}

/// Lines that are too long are broken between words, and go on below the last column of what they begin with.
pub fn wrapped(text: &str, columns: usize) -> String {
    text.lines()
        .map(|line| if width_shown(line) > columns { broken(line, columns) } else { format!("{line}\n") })
        .collect()
}

fn broken(line: &str, columns: usize) -> String {
    let start = line.len() - line.trim_start().len();
    let last = line.rfind("  ").map_or(start, |at| at + 2);
    let indent = if last <= columns / 2 { last } else { start };
    let (mut text, mut column) = (line[..indent].to_string(), indent);
    for word in line[indent..].split(' ') {
        let width = width_shown(word);
        if column + width > columns && column > indent {
            text.truncate(text.trim_end().len());
            text.push_str(&format!("\n{:indent$}", ""));
            column = indent;
        }
        text.push_str(word);
        text.push(' ');
        column += width + 1;
    }
    text.trim_end().to_string() + "\n"
}

/// Columns that a text with colours takes.
fn width_shown(text: &str) -> usize {
    shown(text).map(|piece| piece.width()).sum()
}

/// The beginning of a line that fits, without what would command a terminal; but colours are kept.
pub fn cut(line: &str, columns: usize) -> String {
    let is_cut = width_shown(line) > columns;
    let room = if is_cut { columns.saturating_sub(1) } else { columns };
    let (mut text, mut taken) = (String::new(), 0);
    for piece in shown(line) {
        taken += piece.width();
        match piece {
            Piece::Colour(codes) => text.push_str(codes),
            Piece::Char(c) if taken <= room => text.push(c),
            Piece::Char(_) => {}
        }
    }
    if is_cut && columns > 0 {
        text.push(CUT);
    }
    text
}

/// What of a line is sent to a terminal.
enum Piece<'l> {
    /// The whole sequence, which takes no room.
    Colour(&'l str),
    Char(char),
}

impl Piece<'_> {
    fn width(&self) -> usize {
        match self {
            Piece::Colour(_) => 0,
            Piece::Char(c) => c.width().unwrap_or(0),
        }
    }
}

fn shown(line: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        loop {
            let c = rest.chars().next()?;
            let codes = rest
                .strip_prefix("\x1b[")
                .map(|codes| codes.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';'));
            if let Some(after) = codes.and_then(|after| after.strip_prefix('m')) {
                let colour = &rest[..rest.len() - after.len()];
                rest = after;
                return Some(Piece::Colour(colour));
            }
            rest = &rest[c.len_utf8()..];
            if !c.is_control() {
                return Some(Piece::Char(c));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("abcd", 4), "abcd");
        assert_eq!(cut("abcde", 4), "abc>");
        assert_eq!(cut("a\tb\u{754c}\u{754c}", 5), "ab\u{754c}>");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn colours_take_no_room_and_nothing_else_commands_a_terminal() {
        let line = "ab\x1b[48;5;18m \x1b[0mcd\x1b[2Je";
        assert_eq!(cut(line, 4), "ab\x1b[48;5;18m \x1b[0m>");
        assert_eq!(cut(line, 20), "ab\x1b[48;5;18m \x1b[0mcd[2Je");
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        assert_eq!(wrapped("HINT: one two three\nend\n", 12), "HINT: one\ntwo three\nend\n");
        assert_eq!(wrapped(":stop  ends it at once\n", 14), ":stop  ends it\n       at once\n");
        assert_eq!(wrapped("  \x1b[31mred word\x1b[0m\n", 8), "  \x1b[31mred\n  word\x1b[0m\n");
    }

    #[test]
    fn parts_are_kept_whole_and_the_most_important_longest() {
        let parts = || [Part::new(0, "name"), Part::new(2, "every 1 s"), Part::new(1, "paused")];
        assert_eq!(joined(&parts(), 40), "name  every 1 s  paused");
        assert_eq!(joined(&parts(), 22), "name  paused");
        assert_eq!(joined(&parts(), 5), "name");
    }
}
