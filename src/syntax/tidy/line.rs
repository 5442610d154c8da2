//! One line of a script: words in, text out with the spaces where they belong, on several lines if it is too long for one.

use super::Rule;

/// Columns of a line.
const WIDTH: usize = 90;

#[derive(Default)]
pub struct Line {
    atoms: Vec<Atom>,
}

/// A word and how it stands to its neighbours.
pub struct Atom {
    text: String,
    before: Gap,
    after: Gap,
    /// Whether the line may go on below, behind this.
    breaks: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Gap {
    Space,
    None,
}

impl Atom {
    /// A text that keeps a space on both sides.
    pub fn text(text: String) -> Atom {
        Atom { text, before: Gap::Space, after: Gap::Space, breaks: false }
    }

    pub fn word(rule: Rule, parent: Rule, text: &str) -> Atom {
        let (before, after) = gaps(rule, parent);
        let breaks = matches!(rule, Rule::comma | Rule::and | Rule::or);
        Atom { text: text.to_string(), before, after, breaks }
    }
}

/// Where a word has no space next to it.
fn gaps(rule: Rule, parent: Rule) -> (Gap, Gap) {
    use Gap::{None, Space};
    match rule {
        Rule::open_paren if is_called(parent) => (None, None),
        Rule::open_paren => (Space, None),
        Rule::close_paren if parent == Rule::cast => (None, None),
        Rule::close_paren | Rule::close_bracket => (None, Space),
        Rule::open_bracket | Rule::dot | Rule::arrow if parent != Rule::typed_field => (None, None),
        Rule::dot => (Space, None),
        Rule::range_mark => (None, None),
        Rule::comma | Rule::semicolon => (None, Space),
        Rule::not | Rule::invert | Rule::negate | Rule::dereference | Rule::address => (Space, None),
        Rule::step if parent == Rule::postfix => (None, Space),
        Rule::step => (Space, None),
        Rule::pointer => (None, Space),
        Rule::colon if parent == Rule::typed_field => (None, Space),
        Rule::assign_mark if matches!(parent, Rule::record_field | Rule::probe_name) => (None, None),
        Rule::slash => (Space, None),
        Rule::predicate_end => (None, Space),
        _ => (Space, Space),
    }
}

/// Whether the parenthesis belongs to the name before it.
fn is_called(parent: Rule) -> bool {
    matches!(
        parent,
        Rule::call
            | Rule::macro_item
            | Rule::map_declaration
            | Rule::sizeof
            | Rule::offsetof
            | Rule::typeinfo
            | Rule::type_of
    )
}

impl Line {
    pub fn is_empty(&self) -> bool {
        self.atoms.is_empty()
    }

    pub fn push(&mut self, mut atom: Atom) {
        // `?:` is one mark.
        if atom.text == ":" && self.atoms.last().is_some_and(|last| last.text == "?") {
            atom.before = Gap::None;
        }
        self.atoms.push(atom);
    }

    /// Puts a mark behind the last word; an empty line gets none.
    pub fn attach(&mut self, mark: &str) {
        if let Some(last) = self.atoms.last_mut() {
            last.text.push_str(mark);
            last.after = Gap::Space;
        }
    }

    pub fn starts_with(&self, text: &str) -> bool {
        self.atoms.first().is_some_and(|first| first.text == text)
    }

    pub fn laid_out(&self, indent: usize) -> String {
        format!("{}{}", " ".repeat(indent), laid_out(&self.atoms, indent))
    }
}

/// The words from a column on; further lines begin below what the innermost open bracket holds.
fn laid_out(atoms: &[Atom], column: usize) -> String {
    let whole = flat(atoms);
    if column + whole.chars().count() <= WIDTH || whole.contains('\n') {
        return whole;
    }
    let Some((from, breaks)) = outermost(atoms) else { return whole };
    // Lines are filled from the last one up, so that the first says what it is about.
    let align = column + flat(&atoms[..from]).chars().count() + usize::from(needs_space(atoms, from));
    let mut ends = vec![atoms.len()];
    let mut candidates = breaks.iter().rev().copied().peekable();
    while let Some(at) = candidates.next() {
        let end = ends[ends.len() - 1];
        let next = candidates.peek().copied().unwrap_or(0);
        let start_column = if next == 0 { column } else { align };
        let length = flat(&atoms[next..end]).chars().count();
        if start_column + length > WIDTH {
            ends.push(at);
        }
    }
    let mut out = String::new();
    let mut start = 0;
    for end in ends.into_iter().rev() {
        let at = if start == 0 { column } else { align };
        if start > 0 {
            out.push_str(&format!("\n{}", " ".repeat(align)));
        }
        let part = &atoms[start..end];
        // A part without a place to break at this level may have some further in.
        out.push_str(&if part.len() < atoms.len() { laid_out(part, at) } else { flat(part) });
        start = end;
    }
    out
}

/// The bracket that has places to break and encloses the others, by its first word inside; and those places.
fn outermost(atoms: &[Atom]) -> Option<(usize, Vec<usize>)> {
    let mut open = vec![0];
    let mut found: Vec<(usize, usize, usize)> = Vec::new();
    for (index, atom) in atoms.iter().enumerate() {
        match atom.text.as_str() {
            "(" | "[" | "/" if atom.after == Gap::None => open.push(index + 1),
            text if text.starts_with([')', ']']) && open.len() > 1 => drop(open.pop()),
            _ => {}
        }
        if atom.breaks && index + 1 < atoms.len() {
            found.push((open.len(), open[open.len() - 1], index + 1));
        }
    }
    let (_, from, _) = *found.iter().min_by_key(|(depth, from, _)| (*depth, std::cmp::Reverse(*from)))?;
    Some((from, found.iter().filter(|(_, start, _)| *start == from).map(|(_, _, at)| *at).collect()))
}

fn needs_space(atoms: &[Atom], at: usize) -> bool {
    let Some((before, after)) = at.checked_sub(1).and_then(|index| atoms.get(index)).zip(atoms.get(at)) else {
        return false;
    };
    // `- -1` is not `--1`.
    let merges = |mark: char| before.text.ends_with(mark) && after.text.starts_with(mark);
    before.after == Gap::Space && after.before == Gap::Space || ['-', '+', '&'].into_iter().any(merges)
}

fn flat(atoms: &[Atom]) -> String {
    let mut out = String::new();
    for (index, atom) in atoms.iter().enumerate() {
        if needs_space(atoms, index) {
            out.push(' ');
        }
        out.push_str(&atom.text);
    }
    out
}
