//! The grammar applied to a text: pairs for the builder, or the places where it does not fit, each in words.

use pest::Parser;
use pest::error::{Error, ErrorVariant, InputLocation};
use pest::iterators::{Pair, Pairs};
use pest_derive::Parser;

use super::build::Builder;
use super::scan::Scan;
use super::{ast, fault};
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
        let scan = Scan::new(&text);
        faults.push(fault::explain(source, &text, &scan, &failure));
        if !blank_out(&mut text, &scan, failure.at) {
            break;
        }
    }
    Err(in_order(faults))
}

/// Applies the grammar once.
pub fn attempt(text: &str) -> Result<Pairs<'_, Rule>, Failure> {
    Grammar::parse(Rule::program, text).map_err(|error| failure(error))
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

/// Takes the statement or probe head at fault out of the text, so that the next attempt finds the next fault. Says whether anything
/// was left to take.
fn blank_out(text: &mut String, scan: &Scan, at: usize) -> bool {
    let region = scan.region(text, at);
    let filler = region.filler(text);
    if filler == text[region.range.clone()] {
        return false;
    }
    text.replace_range(region.range, &filler);
    true
}

fn in_order(mut faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
    faults.sort_by_key(|fault| fault.span);
    faults
}
