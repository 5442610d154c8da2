//! The C preprocessor: lines in, the tokens of those that count and the constants that are defined out.

use std::collections::HashSet;

use super::constant::{Answers, evaluate};
use super::expand::{Expanded, Macros};
use super::headers::{Headers, Missing, Style};
use super::lex::{Token, tokens, without_comments};
use crate::diag::Diagnostic;
use crate::source::{Sources, Span};

/// The state between two lines.
pub struct Preprocessor<'a> {
    macros: Macros,
    headers: &'a Headers,
    sources: &'a mut Sources,
    /// The `#if`s that are open, outermost first.
    branches: Vec<Branch>,
    /// The files that are being read, outermost first.
    files: Vec<File>,
    /// Headers that are not to be read again.
    once: HashSet<String>,
    /// Tokens whose macros have not been looked at.
    pending: Vec<Token>,
    /// What is left for the compiler proper.
    pub out: Vec<Token>,
    pub faults: Vec<Diagnostic>,
    pub inclusions: Vec<Inclusion>,
}

/// A header that was read, and the line that asked for it.
#[derive(Debug, Clone, Copy)]
pub struct Inclusion {
    pub whole: Span,
    pub line: Span,
}

/// A file that is being read.
struct File {
    name: String,
    /// The place in the search from which `#include_next` goes on.
    next: usize,
}

struct Branch {
    state: State,
    span: Span,
    /// How many files were open where it began.
    depth: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Taken,
    /// No branch has been taken yet.
    Waiting,
    /// One has been, or the whole stands in a part that is left out.
    Over,
}

/// What a name that was defined stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    Int(i128),
    /// A string literal, with its quotes.
    Text(String),
    /// A name that keeps its type.
    Enumerator(String),
}

/// Headers within headers are followed this far; more can only be a circle.
const DEPTH: usize = 100;

/// What a C compiler for this machine defines.
const PREDEFINED: &str = "\
#define __STDC__ 1
#define __STDC_VERSION__ 201710L
#define __STDC_HOSTED__ 1
#define __linux__ 1
#define __linux 1
#define __unix__ 1
#define __ELF__ 1
#define __GNUC__ 12
#define __GNUC_MINOR__ 2
#define __GNUC_PATCHLEVEL__ 0
#define __LP64__ 1
#define _LP64 1
#define __CHAR_BIT__ 8
#define __INT_MAX__ 2147483647
#define __LONG_MAX__ 9223372036854775807L
#define __LONG_LONG_MAX__ 9223372036854775807L
#define __SIZEOF_INT__ 4
#define __SIZEOF_LONG__ 8
#define __SIZEOF_LONG_LONG__ 8
#define __SIZEOF_POINTER__ 8
#define __SIZEOF_SIZE_T__ 8
#define __SIZEOF_INT128__ 16
#define __SIZE_TYPE__ unsigned long
#define __PTRDIFF_TYPE__ long
#define __WCHAR_TYPE__ int
#define __INTPTR_TYPE__ long
#define __UINTPTR_TYPE__ unsigned long
#define __ORDER_LITTLE_ENDIAN__ 1234
#define __ORDER_BIG_ENDIAN__ 4321
#define __BYTE_ORDER__ __ORDER_LITTLE_ENDIAN__
#define __has_attribute(x) 0
#define __has_builtin(x) 0
#define __has_feature(x) 0
#define __has_extension(x) 0
";

impl<'a> Preprocessor<'a> {
    pub fn new(headers: &'a Headers, sources: &'a mut Sources) -> Self {
        let mut macros = Macros::default();
        let machine = format!("#define __{}__ 1\n", std::env::consts::ARCH);
        for line in PREDEFINED.lines().chain(machine.lines()) {
            macros.define(&tokens(line, 0)[2..]);
        }
        Self {
            macros,
            headers,
            sources,
            branches: Vec::new(),
            files: Vec::new(),
            once: HashSet::new(),
            pending: Vec::new(),
            out: Vec::new(),
            faults: Vec::new(),
            inclusions: Vec::new(),
        }
    }

    /// Defines a name as if by `#define NAME 1`.
    pub fn define(&mut self, name: &str) {
        self.macros.define(&tokens(&format!("{name} 1"), 0));
    }

    /// Takes in a part of a script whose places begin at `span`.
    pub fn script(&mut self, text: &str, span: Span) {
        let name = self.sources.locate(span).map_or(String::new(), |place| place.file.to_string());
        self.files.push(File { name, next: 0 });
        self.text(text, span.start);
        self.files.pop();
    }

    /// Takes in the headers that the command line includes.
    pub fn included(&mut self) {
        for name in &self.headers.included {
            self.header(name, Style::Beside, 0, Span::default());
        }
    }

    fn text(&mut self, text: &str, base: u32) {
        let text = without_comments(text);
        let mut at = 0;
        while at < text.len() {
            let length = logical_line(&text[at..]);
            let line = tokens(&text[at..at + length], base + at as u32);
            match line.split_first() {
                Some((hash, directive)) if hash.text == "#" => self.directive(hash.span, directive),
                _ if self.is_active() => self.pending.extend(line),
                _ => {}
            }
            at += length;
        }
    }

    /// Every `#if` must have had its `#endif`.
    pub fn finish(&mut self) {
        self.close_branches(0);
        self.flush();
        self.out.append(&mut self.pending);
    }

    fn close_branches(&mut self, depth: usize) {
        let first = self.branches.iter().position(|branch| branch.depth >= depth).unwrap_or(self.branches.len());
        let open = self.branches.drain(first..);
        self.faults.extend(open.map(|branch| Diagnostic::error(branch.span, "unterminated conditional directive")));
    }

    /// Puts out what the tokens so far stand for, by the definitions so far.
    fn flush(&mut self) {
        let Expanded { out, open } = self.macros.expand(std::mem::take(&mut self.pending));
        self.out.extend(out);
        self.pending = open;
    }

    /// The constant that a name stands for; an error for a name that stands for something else. `types` knows the values of names
    /// that were not `#define`d.
    pub fn constant(&self, name: &str, types: &dyn Answers) -> Option<Result<Constant, ()>> {
        let body = self.meaning(name)?;
        Some(match body.as_slice() {
            [only] if only.text.starts_with('"') => Ok(Constant::Text(only.text.clone())),
            [only] if types.value(&only.text).is_some() => Ok(Constant::Enumerator(only.text.clone())),
            body => evaluate(body, types).map(Constant::Int).ok_or(()),
        })
    }

    /// What a name stands for that was defined without parentheses.
    pub fn meaning(&self, name: &str) -> Option<Vec<Token>> {
        let word = Token { text: name.to_string(), span: Span::default() };
        self.macros.is_plain(name).then(|| self.macros.expand(vec![word]).out)
    }

    fn directive(&mut self, hash: Span, line: &[Token]) {
        let Some((word, rest)) = line.split_first() else { return };
        let span = hash.to(line.last().map_or(word.span, |last| last.span));
        match word.text.as_str() {
            "if" => self.open(span, |this| this.condition(rest, span)),
            "ifdef" => self.open(span, |this| this.is_defined(rest)),
            "ifndef" => self.open(span, |this| !this.is_defined(rest)),
            "elif" => self.other_branch(span, |this| this.condition(rest, span)),
            "else" => self.other_branch(span, |_| true),
            "endif" => {
                if self.branches.pop().is_none() {
                    self.faults.push(Diagnostic::error(span, "#endif without #if"));
                }
            }
            _ if !self.is_active() => {}
            "define" => {
                self.flush();
                if self.macros.define(rest).is_none() {
                    self.faults.push(Diagnostic::error(span, "macro name missing"));
                }
            }
            "undef" => {
                self.flush();
                rest.iter().for_each(|name| self.macros.undefine(&name.text));
            }
            "include" => self.include(rest, span, 0),
            "include_next" => self.include(rest, span, self.files.last().map_or(0, |file| file.next)),
            "error" => self.faults.push(Diagnostic::error(span, format!("#error {}", spelled(rest)))),
            "pragma" if rest.first().is_some_and(|word| word.text == "once") => {
                self.once.extend(self.files.last().map(|file| file.name.clone()));
            }
            "pragma" | "warning" | "line" | "ident" => {}
            other => self.faults.push(Diagnostic::error(span, format!("invalid preprocessing directive '#{other}'"))),
        }
    }

    fn is_active(&self) -> bool {
        self.branches.iter().all(|branch| branch.state == State::Taken)
    }

    fn open(&mut self, span: Span, holds: impl FnOnce(&mut Self) -> bool) {
        let state = match self.is_active() {
            false => State::Over,
            true if holds(self) => State::Taken,
            true => State::Waiting,
        };
        self.branches.push(Branch { state, span, depth: self.files.len() });
    }

    /// `#elif` or `#else`.
    fn other_branch(&mut self, span: Span, holds: impl FnOnce(&mut Self) -> bool) {
        let Some(branch) = self.branches.pop() else {
            self.faults.push(Diagnostic::error(span, "#else without #if"));
            return;
        };
        let state = match branch.state {
            State::Taken | State::Over => State::Over,
            State::Waiting if holds(self) => State::Taken,
            State::Waiting => State::Waiting,
        };
        self.branches.push(Branch { state, ..branch });
    }

    fn is_defined(&self, line: &[Token]) -> bool {
        line.first().is_some_and(|name| self.macros.is_defined(&name.text))
    }

    /// Names that are not defined count as 0.
    fn condition(&mut self, line: &[Token], span: Span) -> bool {
        let line = self.macros.expand(self.answer_defined(line)).out;
        match evaluate(&line, &Undefined) {
            Some(value) => value != 0,
            None => {
                self.faults.push(Diagnostic::error(span, "this condition is not a constant expression"));
                false
            }
        }
    }

    /// `defined X` and `defined(X)` replaced by 1 or 0.
    fn answer_defined(&self, line: &[Token]) -> Vec<Token> {
        let mut out = Vec::new();
        let mut rest = line.iter();
        while let Some(token) = rest.next() {
            if token.text != "defined" {
                out.push(token.clone());
                continue;
            }
            let mut name = rest.next();
            if name.is_some_and(|name| name.text == "(") {
                name = rest.next();
                rest.next();
            }
            let answer = name.is_some_and(|name| self.macros.is_defined(&name.text));
            out.push(Token { text: u8::from(answer).to_string(), ..token.clone() });
        }
        out
    }

    fn include(&mut self, line: &[Token], span: Span, from: usize) {
        let named = header_name(line).or_else(|| header_name(&self.macros.expand(line.to_vec()).out));
        match named {
            Some((name, style)) => self.header(&name, style, from, span),
            None => self.faults.push(
                Diagnostic::error(span, "expected \"FILENAME\" or <FILENAME>")
                    .hint("for example #include <linux/types.h>"),
            ),
        }
    }

    fn header(&mut self, name: &str, style: Style, from: usize, line: Span) {
        let beside = self.files.last().map_or("", |file| file.name.as_str());
        let header = match self.headers.find(name, style, beside, from) {
            Ok(header) => header,
            Err(missing) => return self.faults.push(self.missing(name, missing, line)),
        };
        if self.once.contains(&header.name) {
            return;
        }
        if self.files.len() >= DEPTH {
            return self.faults.push(Diagnostic::error(line, "#include nested too deeply"));
        }
        let source = self.sources.add(header.name.clone(), header.text);
        let (base, text) = (source.base, source.text.clone());
        self.inclusions.push(Inclusion { whole: source.whole(), line });
        self.files.push(File { name: header.name, next: header.next });
        self.text(&text, base);
        self.close_branches(self.files.len());
        self.files.pop();
    }

    fn missing(&self, name: &str, missing: Missing, line: Span) -> Diagnostic {
        match missing {
            Missing::Unreadable { path, why } => {
                Diagnostic::error(line, format!("cannot read '{}': {why}", path.display()))
            }
            Missing::NotFound => {
                let folders: Vec<String> = self.headers.search().map(|folder| folder.display().to_string()).collect();
                Diagnostic::error(line, format!("'{name}' file not found"))
                    .hint(format!("looked in {}; -I DIR adds a folder", folders.join(", ")))
                    .hint("the kernel's own types need no header: put it between #ifndef BPFTRACE_HAVE_BTF and #endif")
            }
        }
    }
}

/// In a condition, names that are not defined count as 0.
struct Undefined;

impl Answers for Undefined {
    fn value(&self, _: &str) -> Option<i128> {
        Some(0)
    }

    fn size(&self, _: &[Token]) -> Option<u32> {
        None
    }
}

/// `<name>` or `"name"`.
fn header_name(line: &[Token]) -> Option<(String, Style)> {
    let first = line.first()?;
    if let Some(name) = first.text.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        return Some((name.to_string(), Style::Beside));
    }
    let close = line.iter().position(|token| token.text == ">").filter(|_| first.text == "<")?;
    Some((line[1..close].iter().map(|token| token.text.as_str()).collect(), Style::System))
}

/// Bytes up to the end of a line that no backslash continues.
fn logical_line(text: &str) -> usize {
    let ends = text.match_indices('\n').map(|(at, _)| at).find(|at| !text[..*at].ends_with('\\'));
    ends.map_or(text.len(), |at| at + 1)
}

fn spelled(line: &[Token]) -> String {
    line.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
}
