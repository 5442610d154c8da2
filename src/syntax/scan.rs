//! A text's brackets and statement ends, found without the grammar: how deep it nests, what is left open, and which stretch to leave
//! out when a fault was found in it. It knows strings, comments, attach points and predicates, and expects no order in anything else.

use std::ops::Range;

/// Deeper nesting than this is refused before the recursive parser sees it; no real program comes near.
pub const MAX_NESTING: usize = 200;

/// What a walk over the text found.
#[derive(Debug, Default)]
pub struct Scan {
    marks: Vec<Mark>,
    /// Where brackets that are still open at the end of the text stand, outermost first.
    pub unclosed: Vec<Opener>,
    /// The first bracket beyond [`MAX_NESTING`].
    pub too_deep: Option<usize>,
    /// A `/*` without its `*/`.
    pub open_comment: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opener {
    pub at: usize,
    pub kind: Bracket,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bracket {
    Paren,
    Square,
    Brace,
    Angle,
    /// The `?` of a choice, which its `:` closes.
    Choice,
    /// From the first slash of a predicate to its last.
    Predicate,
}

/// A place that bounds statements.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: usize,
    kind: MarkKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MarkKind {
    Open,
    Close,
    End,
}

/// A stretch of text that makes one statement, setting or probe head.
#[derive(Debug, PartialEq, Eq)]
pub struct Region {
    pub range: Range<usize>,
    pub kind: RegionKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegionKind {
    Statement,
    /// Attach points and predicate of a probe whose body follows.
    Head,
}

impl Scan {
    pub fn new(text: &str) -> Self {
        let mut scanner = Scanner { bytes: text.as_bytes(), at: 0, last: 0, stack: Vec::new(), scan: Scan::default() };
        scanner.run();
        scanner.scan.unclosed = scanner.stack;
        scanner.scan
    }

    /// The stretch around a place that can be left out while everything else keeps its meaning.
    pub fn region(&self, text: &str, at: usize) -> Region {
        let split = self.marks.partition_point(|mark| mark.at < at);
        let depth = self.marks[..split].iter().map(|mark| mark.kind.step()).sum::<isize>();
        let start = self.marks[..split].last().map_or(0, |mark| mark.at + 1);
        let first_word = text[start..].trim_start();
        let mut next = self.marks[split..].iter();
        let end = if depth == 0 && first_word.starts_with("config") {
            next.find(|mark| mark.kind == MarkKind::Close)
        } else if first_word.starts_with("for") {
            // The semicolons of a loop as C writes it end no statement.
            next.find(|mark| mark.kind != MarkKind::End)
        } else {
            next.next()
        };
        let kind = match end {
            Some(Mark { kind: MarkKind::Open, .. }) if depth == 0 => RegionKind::Head,
            _ => RegionKind::Statement,
        };
        let end = match end {
            Some(Mark { at, kind: MarkKind::End }) => at + 1,
            Some(Mark { at, kind: MarkKind::Close }) if depth == 0 => at + 1,
            Some(Mark { at, .. }) => *at,
            None => text.len(),
        };
        Region { range: start..end.max(start), kind }
    }
}

impl MarkKind {
    fn step(self) -> isize {
        match self {
            MarkKind::Open => 1,
            MarkKind::Close => -1,
            MarkKind::End => 0,
        }
    }
}

impl Region {
    /// Text of the same length that says nothing: spaces, and one letter in place of attach points.
    pub fn filler(&self, text: &str) -> String {
        let blank = |byte: u8| if byte == b'\n' { '\n' } else { ' ' };
        let mut filler: String = text.as_bytes()[self.range.clone()].iter().copied().map(blank).collect();
        if self.kind == RegionKind::Head && !filler.is_empty() {
            filler.replace_range(0..1, "x");
        }
        filler
    }
}

/// The walk itself.
struct Scanner<'t> {
    bytes: &'t [u8],
    at: usize,
    /// The last byte that was neither space nor comment.
    last: u8,
    stack: Vec<Opener>,
    scan: Scan,
}

impl Scanner<'_> {
    fn run(&mut self) {
        if self.bytes.starts_with(b"#!") {
            self.skip_line();
        }
        loop {
            self.skip_space();
            let Some(&byte) = self.bytes.get(self.at) else { break };
            if self.stack.is_empty() {
                self.head(byte)
            } else {
                self.code(byte)
            }
            self.last = byte;
        }
    }

    /// Between bodies: attach points, raw.
    fn head(&mut self, byte: u8) {
        match byte {
            b'{' => self.open(Bracket::Brace),
            b'<' => self.open(Bracket::Angle),
            b'/' => self.open(Bracket::Predicate),
            b'#' => self.directive(),
            b',' => self.at += 1,
            b';' => self.mark(MarkKind::End),
            _ => self.attach_point(),
        }
    }

    fn code(&mut self, byte: u8) {
        match byte {
            b'"' => self.string(),
            b'(' => self.open(Bracket::Paren),
            b'[' => self.open(Bracket::Square),
            b'{' => self.open(Bracket::Brace),
            b'?' => self.open(Bracket::Choice),
            b')' => self.close(Bracket::Paren),
            b']' => self.close(Bracket::Square),
            b'}' => self.close(Bracket::Brace),
            b':' => self.close_if_top(Bracket::Choice),
            b';' => self.end(),
            b'>' => self.greater(),
            b'/' if self.top() == Some(Bracket::Predicate) && self.body_follows() => {
                self.close_if_top(Bracket::Predicate)
            }
            _ => self.at += 1,
        }
    }

    fn top(&self) -> Option<Bracket> {
        self.stack.last().map(|opener| opener.kind)
    }

    fn open(&mut self, kind: Bracket) {
        if kind == Bracket::Brace {
            // No block stands inside a predicate, so its last slash is missing.
            self.close_quietly(Bracket::Predicate);
        }
        self.stack.push(Opener { at: self.at, kind });
        if self.stack.len() > MAX_NESTING {
            self.scan.too_deep.get_or_insert(self.at);
        }
        match kind {
            Bracket::Brace | Bracket::Angle => self.mark(MarkKind::Open),
            Bracket::Paren | Bracket::Square | Bracket::Choice | Bracket::Predicate => self.at += 1,
        }
    }

    /// Closes the innermost bracket of a kind and what was left open inside; a closer without an opener is passed over.
    fn close(&mut self, kind: Bracket) {
        let inside_statement = matches!(kind, Bracket::Paren | Bracket::Square);
        let fence = |opener: &Opener| inside_statement && matches!(opener.kind, Bracket::Brace | Bracket::Angle);
        let found = self.stack.iter().rposition(|opener| opener.kind == kind || fence(opener));
        let found = found.filter(|&index| self.stack[index].kind == kind);
        if let Some(index) = found {
            self.stack.truncate(index);
        }
        match (kind, found) {
            (Bracket::Brace | Bracket::Angle, Some(_)) => self.mark(MarkKind::Close),
            _ => self.at += 1,
        }
    }

    fn close_if_top(&mut self, kind: Bracket) {
        self.close_quietly(kind);
        self.at += 1;
    }

    fn close_quietly(&mut self, kind: Bracket) {
        if self.top() == Some(kind) {
            self.stack.pop();
        }
    }

    /// A semicolon, which also ends every bracket that a statement left open.
    fn end(&mut self) {
        while !matches!(self.top(), None | Some(Bracket::Brace | Bracket::Angle)) {
            self.stack.pop();
        }
        self.mark(MarkKind::End);
    }

    fn mark(&mut self, kind: MarkKind) {
        self.scan.marks.push(Mark { at: self.at, kind });
        self.at += 1;
    }

    /// A `>` that compares or one that closes a body: the grammar's rule, on bytes.
    fn greater(&mut self) {
        let next = self.bytes.get(self.at + 1).copied();
        if matches!(next, Some(b'>' | b'=')) {
            self.at += 2;
        } else if self.top() == Some(Bracket::Angle) && (self.statement_may_begin() || !self.operand_follows()) {
            self.close(Bracket::Angle);
        } else {
            self.at += 1;
        }
    }

    fn statement_may_begin(&self) -> bool {
        matches!(self.last, b';' | b'<' | b'}')
    }

    fn operand_follows(&self) -> bool {
        let rest = self.rest_after_space(self.at + 1);
        let operand = |byte: &u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'$' | b'@' | b'"' | b'(' | b'!' | b'~' | b'-' | b'*' | b'&' | b'+')
        };
        let word_length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let (word, tail) = rest.split_at(word_length);
        let probe = word.eq_ignore_ascii_case(b"begin")
            || word.eq_ignore_ascii_case(b"end")
            || !word.is_empty() && tail.starts_with(b":");
        rest.first().is_some_and(operand) && !probe
    }

    fn body_follows(&self) -> bool {
        matches!(self.rest_after_space(self.at + 1).first(), Some(b'{' | b'<'))
    }

    fn rest_after_space(&self, from: usize) -> &[u8] {
        let rest = &self.bytes[from..];
        &rest[rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()..]
    }

    fn attach_point(&mut self) {
        let mut colon = false;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'{' | b',' => return,
                b'/' | b'<' if !colon => return,
                b'"' => {
                    self.string();
                    continue;
                }
                b':' => colon = true,
                _ if byte.is_ascii_whitespace() => return,
                _ => {}
            }
            self.at += 1;
        }
    }

    /// A string ends at its quote or, when that is missing, before the marks that close its line.
    fn string(&mut self) {
        let start = self.at;
        self.at += 1;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'\\' => self.at += 1,
                b'\n' => break,
                b'"' => {
                    self.at += 1;
                    return;
                }
                _ => {}
            }
            self.at += 1;
        }
        self.at = self.at.min(self.bytes.len());
        let closing = |byte: &&u8| matches!(byte, b')' | b'}' | b'>' | b';' | b' ' | b'\t' | b'\r');
        self.at -= self.bytes[start + 1..self.at].iter().rev().take_while(closing).count();
    }

    fn skip_space(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            match &self.bytes[self.at..] {
                [b'/', b'/', ..] => self.skip_line(),
                [b'/', b'*', ..] => self.comment(),
                _ if byte.is_ascii_whitespace() => self.at += 1,
                _ => return,
            }
        }
    }

    fn comment(&mut self) {
        match self.bytes[self.at + 2..].windows(2).position(|pair| pair == b"*/") {
            Some(length) => self.at += length + 4,
            None => {
                self.scan.open_comment = Some(self.at);
                self.at = self.bytes.len();
            }
        }
    }

    /// A line of the preprocessor, which a backslash or a comment may continue.
    fn directive(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            match &self.bytes[self.at..] {
                [b'/', b'/', ..] => return self.skip_line(),
                [b'/', b'*', ..] => self.comment(),
                [b'\\', b'\n', ..] => self.at += 2,
                _ if byte == b'\n' => return,
                _ => self.at += 1,
            }
        }
    }

    fn skip_line(&mut self) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    }
}
