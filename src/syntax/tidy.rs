//! The formatter: a script in, the same script out with its white space in order. Words, literals and comments stay as they were
//! written; what it does to its own output is nothing.

mod line;

use super::parse::{Failure, Node, Rule, attempt};
use line::{Atom, Line};

/// The text in its canonical form.
pub fn tidied(text: &str) -> Result<String, Failure> {
    let program = attempt(text)?;
    let mut tidier =
        Tidier { text, out: String::new(), depth: 0, line: Line::default(), deferred: Vec::new(), last_end: 0 };
    program.for_each(|program| tidier.node(program, Rule::program));
    tidier.finish();
    Ok(tidier.out)
}

struct Tidier<'t> {
    text: &'t str,
    out: String,
    depth: usize,
    /// The line being built.
    line: Line,
    /// Comments that stand within the line and cannot stay there.
    deferred: Vec<String>,
    /// Where the last word that was put out ends in the text.
    last_end: usize,
}

/// Spaces a level.
const INDENT: usize = 2;

/// More empty lines in a row than this are not kept.
const MOST_EMPTY: usize = 2;

/// What becomes of the last statement's semicolon where there is none.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Closed,
    /// It may be the value of the block.
    AsWritten,
}

impl<'t> Tidier<'t> {
    fn node(&mut self, node: Node<'t>, parent: Rule) {
        match node.as_rule() {
            Rule::EOI => {}
            Rule::semicolon if parent == Rule::program => self.skip(&node),
            Rule::probe => self.probe(node),
            Rule::macro_item => self.macro_item(node),
            Rule::config => self.config(node),
            Rule::import | Rule::map_declaration => self.closed_item(node),
            Rule::shebang | Rule::preprocessor | Rule::c_type | Rule::function_item => self.verbatim(&node),
            Rule::if_statement | Rule::unroll | Rule::while_loop | Rule::for_loop => self.compound(node),
            Rule::block_value => self.value_block(node),
            Rule::if_value => self.inline(node),
            _ if is_word(&node) => self.word(&node, parent),
            rule => node.into_inner().for_each(|part| self.node(part, rule)),
        }
    }

    fn probe(&mut self, node: Node<'t>) {
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::comma => {
                    self.attach_to_line(",");
                    self.skip(&part);
                    self.end_line();
                }
                Rule::predicate => {
                    self.end_line();
                    self.node(part, Rule::probe);
                }
                Rule::block | Rule::angle_body => {
                    self.drop_last_comma();
                    self.end_line();
                    self.block(part, Last::Closed);
                    self.end_line();
                }
                _ => self.node(part, Rule::probe),
            }
        }
    }

    /// A comma behind the last attach point says nothing.
    fn drop_last_comma(&mut self) {
        if self.line.is_empty() && self.out.ends_with(",\n") {
            self.out.truncate(self.out.len() - 2);
            self.out.push('\n');
        }
    }

    fn macro_item(&mut self, node: Node<'t>) {
        for part in node.into_inner() {
            if part.as_rule() == Rule::block {
                self.end_line();
                self.block(part, Last::AsWritten);
                self.end_line();
            } else {
                self.node(part, Rule::macro_item);
            }
        }
    }

    fn config(&mut self, node: Node<'t>) {
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::open_brace => {
                    self.word(&part, Rule::config);
                    self.end_line();
                    self.depth += 1;
                }
                Rule::setting => {
                    self.node(part, Rule::config);
                    self.attach_to_line(";");
                    self.end_line();
                }
                Rule::semicolon => self.skip(&part),
                Rule::close_brace => {
                    self.comments_before(part.as_span().start());
                    self.depth -= 1;
                    self.word(&part, Rule::config);
                    self.end_line();
                }
                _ => self.node(part, Rule::config),
            }
        }
    }

    /// One line, closed by one semicolon.
    fn closed_item(&mut self, node: Node<'t>) {
        let rule = node.as_rule();
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::semicolon => self.skip(&part),
                _ => self.node(part, rule),
            }
        }
        self.attach_to_line(";");
        self.end_line();
    }

    /// C and the preprocessor have lines of their own.
    fn verbatim(&mut self, node: &Node<'t>) {
        let span = node.as_span();
        self.comments_before(span.start());
        let text = span.as_str().trim_end();
        self.line.push(Atom::text(text.to_string()));
        self.last_end = span.end();
        self.end_line();
    }

    /// The statements of a block, a line or more each, between braces.
    fn block(&mut self, node: Node<'t>, last: Last) {
        if node.clone().into_inner().count() == 2 && !has_comment(&node) {
            let end = node.as_span().end();
            self.mark(&node, "{}");
            self.last_end = end;
            return;
        }
        let mut parts = node.into_inner().peekable();
        while let Some(part) = parts.next() {
            match part.as_rule() {
                Rule::open_brace | Rule::open_angle => {
                    self.mark(&part, "{");
                    self.end_line();
                    self.depth += 1;
                }
                Rule::close_brace | Rule::close_angle => {
                    self.comments_before(part.as_span().start());
                    self.depth -= 1;
                    self.trim_empty_lines();
                    self.mark(&part, "}");
                }
                Rule::semicolon => self.skip(&part),
                _ => {
                    let is_closed = parts.peek().is_some_and(|next| next.as_rule() == Rule::semicolon);
                    let next_is_end = parts.peek().is_some_and(|next| is_end(next.as_rule()));
                    let last = if next_is_end { last } else { Last::Closed };
                    self.statement(part, if is_closed { Last::Closed } else { last });
                    // Where the semicolon is written, comments count from there.
                    if let Some(semicolon) = parts.next_if(|next| next.as_rule() == Rule::semicolon) {
                        self.skip(&semicolon);
                    }
                }
            }
        }
    }

    /// A statement, or the expression that is the value of a block.
    fn statement(&mut self, part: Node<'t>, last: Last) {
        self.comments_before(part.as_span().start());
        let rule = part.as_rule();
        let is_compound = is_compound(rule);
        match rule {
            Rule::block => self.value_block(part),
            _ => self.node(part, Rule::program),
        }
        if !is_compound && last == Last::Closed {
            self.attach_to_line(";");
        }
        self.end_line();
    }

    /// A head with its block, and further ones: `if … { … } else { … }`.
    fn compound(&mut self, node: Node<'t>) {
        let rule = node.as_rule();
        let last = if rule == Rule::if_statement { Last::AsWritten } else { Last::Closed };
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::block => self.block(part, last),
                Rule::else_if => self.compound_else(part),
                Rule::open_paren | Rule::close_paren => {
                    self.skip(&part);
                }
                _ => self.node(part, rule),
            }
        }
    }

    fn compound_else(&mut self, node: Node<'t>) {
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::block => self.block(part, Last::AsWritten),
                _ => self.node(part, Rule::else_if),
            }
        }
    }

    /// One statement stays on the line, more have lines of their own.
    fn value_block(&mut self, node: Node<'t>) {
        if fits_on_line(&node) { self.inline(node) } else { self.block(node, Last::AsWritten) }
    }

    /// Everything on one line, blocks too.
    fn inline(&mut self, node: Node<'t>) {
        let rule = node.as_rule();
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::block => self.value_block(part),
                Rule::else_if => self.inline(part),
                _ => self.node(part, rule),
            }
        }
    }

    fn word(&mut self, node: &Node<'t>, parent: Rule) {
        let start = node.as_span().start();
        if self.line.is_empty() {
            self.comments_before(start);
        } else {
            self.comments_within(start);
        }
        // What looks ahead may take the space before it.
        let text = node.as_str().trim_end();
        self.line.push(Atom::word(node.as_rule(), parent, text));
        self.last_end = start + text.len();
    }

    /// A brace, whatever mark stands for it.
    fn mark(&mut self, node: &Node<'t>, text: &str) {
        let start = node.as_span().start();
        if self.line.is_empty() {
            self.comments_before(start);
        } else {
            self.comments_within(start);
        }
        self.line.push(Atom::text(text.to_string()));
        self.last_end = node.as_span().end();
    }

    /// Leaves a mark out, not the comments before it.
    fn skip(&mut self, node: &Node<'t>) {
        self.comments_before(node.as_span().start());
        self.last_end = node.as_span().end();
    }

    fn attach_to_line(&mut self, mark: &str) {
        self.line.attach(mark);
    }

    fn end_line(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let line = std::mem::take(&mut self.line);
        let deferred = std::mem::take(&mut self.deferred);
        // What stood between `}` and `else` belongs to what follows.
        let (before, after) = if line.starts_with("}") { (Vec::new(), deferred) } else { (deferred, Vec::new()) };
        let indent = self.depth * INDENT;
        before.iter().for_each(|comment| self.own_line(comment, indent));
        self.out.push_str(&line.laid_out(indent));
        self.out.push('\n');
        after.iter().for_each(|comment| self.own_line(comment, indent + INDENT));
    }

    fn own_line(&mut self, text: &str, indent: usize) {
        self.out.push_str(&format!("{}{text}\n", " ".repeat(indent)));
    }

    /// The comments and empty lines in front of a line.
    fn comments_before(&mut self, start: usize) {
        if !self.line.is_empty() {
            return self.comments_within(start);
        }
        let gap = &self.text[self.last_end.min(start)..start];
        let mut newlines = 0;
        for piece in pieces(gap) {
            match piece {
                Piece::Newline => newlines += 1,
                Piece::Comment(comment) => {
                    self.comment(comment, newlines);
                    newlines = 0;
                }
            }
        }
        self.empty_lines(newlines);
        self.last_end = self.last_end.max(start);
    }

    /// A comment behind something on its line stays there.
    fn comment(&mut self, comment: &str, newlines: usize) {
        let opens = self.out.is_empty() || self.out.ends_with("{\n");
        if newlines == 0 && !opens && !self.out.ends_with("\n\n") {
            self.out.truncate(self.out.len() - 1);
            self.out.push_str(&format!(" {comment}\n"));
        } else {
            self.empty_lines(newlines);
            self.own_line(comment, self.depth * INDENT);
        }
    }

    /// Comments in the middle of a line: those that end it move out of it.
    fn comments_within(&mut self, start: usize) {
        let gap = &self.text[self.last_end.min(start)..start];
        for piece in pieces(gap) {
            match piece {
                Piece::Comment(comment) if comment.starts_with("//") || comment.contains('\n') => {
                    self.deferred.push(comment.to_string());
                }
                Piece::Comment(comment) => self.line.push(Atom::text(comment.to_string())),
                Piece::Newline => {}
            }
        }
        self.last_end = self.last_end.max(start);
    }

    /// Newlines of the text beyond the one that ends a line.
    fn empty_lines(&mut self, newlines: usize) {
        let wanted = if self.out.is_empty() { 0 } else { newlines.saturating_sub(1).min(MOST_EMPTY) };
        self.out.push_str(&"\n".repeat(wanted));
    }

    fn trim_empty_lines(&mut self) {
        while self.line.is_empty() && self.out.ends_with("\n\n") {
            self.out.pop();
        }
    }

    fn finish(&mut self) {
        self.end_line();
        self.comments_before(self.text.len());
        let length = self.out.trim_end().len();
        self.out.truncate(length);
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }
}

/// What stands between two words.
enum Piece<'t> {
    Newline,
    Comment(&'t str),
}

fn pieces(gap: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = gap;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else {
            first.len_utf8()
        };
        match first {
            '\n' => pieces.push(Piece::Newline),
            '/' => pieces.push(Piece::Comment(rest[..length].trim_end())),
            _ => {}
        }
        rest = &rest[length..];
    }
    pieces
}

/// Whether a block is one simple statement without comments. A string that looks as if it had one costs a line and no more.
fn fits_on_line(block: &Node<'_>) -> bool {
    let parts: Vec<Rule> = block.clone().into_inner().map(|part| part.as_rule()).collect();
    let statements = parts.iter().filter(|rule| !is_end(**rule) && **rule != Rule::open_brace);
    !has_comment(block) && statements.count() <= 1 && !parts.iter().any(|rule| is_compound(*rule))
}

fn has_comment(node: &Node<'_>) -> bool {
    node.as_str().contains("//") || node.as_str().contains("/*")
}

/// Statements that have blocks and so lines of their own.
fn is_compound(rule: Rule) -> bool {
    matches!(rule, Rule::if_statement | Rule::unroll | Rule::while_loop | Rule::for_loop | Rule::block)
}

fn is_end(rule: Rule) -> bool {
    matches!(rule, Rule::semicolon | Rule::close_brace | Rule::close_angle)
}

/// The parts that have no parts.
fn is_word(node: &Node<'_>) -> bool {
    node.clone().into_inner().next().is_none()
}
