//! The grammar applied to a text: pairs for the builder, or the places where it does not fit, each in words.

use pest::Parser;
use pest::error::{Error, ErrorVariant, InputLocation};
use pest::iterators::{Pair, Pairs};
use pest_derive::Parser;

use super::build::Builder;
use super::scan::Scan;
use super::{ast, fault, hint};
use crate::diag::Diagnostic;
use crate::source::Source;

#[derive(Parser)]
#[grammar = "../grammar.pest"]
struct Grammar;

/// A piece of the text under the name of its rule.
pub type Node<'t> = Pair<'t, Rule>;

/// After this many faults the rest is rarely worth reading.
const MAX_FAULTS: usize = 20;

/// The place where the text stopped making sense, and what could have stood there.
#[derive(Debug)]
pub struct Failure {
    pub at: usize,
    pub expected: Vec<Rule>,
}

/// Parses a script; every fault found is reported, not only the first.
pub fn parse(source: &Source) -> Result<ast::Program, Vec<Diagnostic>> {
    let scan = Scan::new(&source.text);
    if let Some(at) = scan.too_deep {
        return Err(vec![fault::too_deep(source, at)]);
    }
    let mut text = source.text.clone();
    let mut faults = Vec::new();
    while faults.len() < MAX_FAULTS {
        let failure = match attempt(&text) {
            Ok(program) => return build(source, program, faults),
            Err(failure) => failure,
        };
        let (fault, progress) = recover(source, &mut text, &failure);
        faults.push(fault);
        if progress == Progress::Stuck {
            break;
        }
    }
    Err(in_order(faults))
}

/// Whether another attempt is worth making.
#[derive(PartialEq)]
enum Progress {
    Mended,
    Stuck,
}

/// Explains a failure and changes the text so that the next attempt finds the next one.
fn recover(source: &Source, text: &mut String, failure: &Failure) -> (Diagnostic, Progress) {
    if let Some(head) = hint::misplaced_probe(text, failure) {
        let unclosed = Scan::new(&text[..head.start]).unclosed;
        let fault = fault::misplaced(source, head.clone(), &unclosed);
        return (fault, close_before(text, head.start, unclosed.len()));
    }
    let scan = Scan::new(text);
    let fault = fault::explain(source, text, &scan, failure);
    if failure.at == text.len() {
        return (fault, Progress::Stuck);
    }
    (fault, blank_out(text, &scan, failure.at))
}

/// Applies the grammar once.
pub fn attempt(text: &str) -> Result<Pairs<'_, Rule>, Failure> {
    Grammar::parse(Rule::program, text).map_err(failure)
}

fn build(
    source: &Source,
    program: Pairs<'_, Rule>,
    mut faults: Vec<Diagnostic>,
) -> Result<ast::Program, Vec<Diagnostic>> {
    let mut builder = Builder::new(source);
    let program = builder.program(program);
    faults.append(&mut builder.faults);
    if faults.is_empty() { Ok(program) } else { Err(in_order(faults)) }
}

fn failure(error: Error<Rule>) -> Failure {
    let at = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    };
    let expected = match error.variant {
        ErrorVariant::ParsingError { positives, .. } => positives,
        ErrorVariant::CustomError { .. } => Vec::new(),
    };
    Failure { at, expected }
}

/// Takes the statement or probe head at fault out of the text.
fn blank_out(text: &mut String, scan: &Scan, at: usize) -> Progress {
    let region = scan.region(text, at);
    let filler = region.filler(text);
    if filler == text[region.range.clone()] {
        return Progress::Stuck;
    }
    text.replace_range(region.range, &filler);
    Progress::Mended
}

/// Writes the braces that are missing into the space before a probe's head, so that no place moves.
fn close_before(text: &mut String, head: usize, missing: usize) -> Progress {
    let space = text[..head].len() - text[..head].trim_end().len();
    if missing == 0 || space < missing {
        return Progress::Stuck;
    }
    text.replace_range(head - missing..head, &"}".repeat(missing));
    Progress::Mended
}

fn in_order(mut faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
    faults.sort_by_key(|fault| fault.span);
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    /// What is said about a text; nothing when it is fine.
    fn told(text: &str) -> Vec<String> {
        let mut sources = Sources::new();
        let faults = parse(sources.add("stdin", text)).err().unwrap_or_default();
        faults.into_iter().map(|fault| fault.message).collect()
    }

    #[test]
    fn depth_is_limited() {
        const MANY: usize = 100_000;
        let nested = |open: &str, close: &str| {
            vec![
                format!("begin {{ $x = {}1{}; }}", open.repeat(MANY), close.repeat(MANY)),
                format!("begin {{ $x = {}", open.repeat(MANY)),
            ]
        };
        let mut texts = [
            ("(", ")"),
            ("[", "]"),
            ("@[", "]"),
            ("f(", ")"),
            ("1 ? ", " : 1"),
            ("{", "}"),
            ("(a = ", ")"),
            ("a[", "]"),
            ("@[{ @[", "] }]"),
            ("(typeof(", ")1)"),
            ("sizeof(typeof(", "))"),
            ("if (", ") { 1 }"),
            ("{ if 1 { ", " } }"),
        ]
        .into_iter()
        .flat_map(|(open, close)| nested(open, close))
        .collect::<Vec<_>>();
        texts.extend(
            ["{", "if (1) {", "(", "begin {", "begin <", "begin /", "config = {", "macro x {", "fn x {"]
                .map(|open| open.repeat(MANY)),
        );
        texts.push(format!("begin {}{}", "{".repeat(MANY), "}".repeat(MANY)));
        texts.push(format!("begin /{}1{}/ {{ }}", "(".repeat(MANY), ")".repeat(MANY)));
        texts.push(format!("begin {{ let $x: typeof{}; }}", "(".repeat(MANY)));
        for text in texts {
            assert!(!told(&text).is_empty(), "{}", &text[..40]);
        }
    }

    #[test]
    fn nesting_costs_no_more_than_its_square() {
        for (open, close) in [("@[{ @[", "] }]"), ("(typeof(", "))1"), ("sizeof(typeof(", "))"), ("{ if 1 { ", " } }")]
        {
            let text = format!("begin {{ $x = {}1{}; }}", open.repeat(60), close.repeat(60));
            assert_eq!(told(&text), Vec::<String>::new(), "{open}");
        }
        let unclosed = "@[{ @[".repeat(60);
        assert!(!told(&format!("begin {{ {unclosed}")).is_empty());
    }

    #[test]
    fn two_hundred_levels_are_fine() {
        let text = format!("begin {{ $x = {}1{}; }}", "(".repeat(199), ")".repeat(199));
        assert_eq!(told(&text), Vec::<String>::new());
        assert_eq!(told(&format!("begin {{ {}{} }}", "if (1) {".repeat(199), "}".repeat(199))), Vec::<String>::new());
    }

    #[test]
    fn long_expressions_are_refused() {
        for part in ["!", "~", "- ", "*", "comptime ", "(uint8)", "1 + ", "1 ?: ", "1 ? 1 : ", "a.b + ", "$x++ + "] {
            let text = format!("begin {{ $x = {}1; }}", part.repeat(50_000));
            assert_eq!(told(&text), ["syntax: more than 1000 operators in one statement"], "{part}");
        }
        for part in [".a", "[1]", "->a", ".0"] {
            let text = format!("begin {{ $x = $y{}; }}", part.repeat(50_000));
            assert_eq!(told(&text), ["syntax: more than 1000 operators in one statement"], "{part}");
        }
        assert!(!told(&format!("begin {{ $x = {}1; }}", "if ".repeat(50_000))).is_empty());
        let text = format!("begin {{ if (1) {{ }} {} }}", "else if (1) { } ".repeat(50_000));
        assert_eq!(told(&text), ["syntax: more than 200 'else if' in a row"]);
    }

    #[test]
    fn long_programs_are_fine() {
        for text in [
            format!("begin {{ {} }}", "$x = 1 + 2; ".repeat(50_000)),
            "begin { } ".repeat(50_000),
            format!("begin {{ print(({})); }}", "1, ".repeat(50_000)),
            format!("{} begin {{ }}", "begin, ".repeat(50_000)),
            format!("begin {{ $x = 1 {}; }}", "+ 1".repeat(1000)),
        ] {
            assert_eq!(told(&text), Vec::<String>::new(), "{}", &text[..40]);
        }
    }

    #[test]
    fn faults_are_limited_and_in_order() {
        assert_eq!(told(&"begin { $x = ; } ".repeat(1000)).len(), MAX_FAULTS);
    }
}
