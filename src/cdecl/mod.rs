//! The C part of a script: headers are included and conditions decided; what is `#define`d takes the place of its name in the program;
//! types are laid out and stand beside the kernel's.

mod constant;
mod declare;
mod expand;
mod headers;
mod layout;
mod lex;
mod preprocess;
mod resolve;

use crate::btf::Btf;
use crate::diag::Diagnostic;
use crate::source::{Sources, Span};
use crate::syntax::ast::Program;
use declare::{Declared, declare};
pub use headers::Headers;
use preprocess::{Inclusion, Preprocessor};
use resolve::Resolver;

/// A program without its C part.
pub struct Resolved {
    pub program: Program,
    /// The kernel's types and the script's, if it defines any.
    pub types: Option<Btf>,
    pub warnings: Vec<Diagnostic>,
}

/// After this many faults the rest is rarely worth reading.
const MAX_FAULTS: usize = 20;

/// Takes the C part out of a program: what it defines is put where it is named, or becomes types. `kernel` gives what is known
/// without headers; without a C part nobody asks.
pub fn resolve<'b>(
    mut program: Program,
    kernel: impl FnOnce() -> Option<&'b Btf>,
    headers: &Headers,
    sources: &mut Sources,
) -> Result<Resolved, Vec<Diagnostic>> {
    let written = std::mem::take(&mut program.c);
    if written.is_empty() && headers.included.is_empty() {
        return Ok(Resolved { program, types: None, warnings: Vec::new() });
    }
    let kernel = kernel();
    let mut definitions = Preprocessor::new(headers, sources);
    if kernel.is_some() {
        definitions.define("BPFTRACE_HAVE_BTF");
    }
    definitions.included();
    written.iter().for_each(|part| definitions.script(&part.text, part.span));
    definitions.finish();
    let tokens = std::mem::take(&mut definitions.out);
    let mut faults = std::mem::take(&mut definitions.faults);
    let declared = match tokens.is_empty() {
        true => Declared { types: None, warnings: Vec::new(), faults: Vec::new() },
        false => declare(&tokens, kernel, &definitions.inclusions),
    };
    faults.extend(declared.faults);
    let inclusions = definitions.inclusions.clone();
    let mut resolver = Resolver { definitions, types: declared.types.as_ref().or(kernel), faults };
    resolver.program(&mut program);
    let warnings = declared.warnings.into_iter().map(|warning| included_from(warning, &inclusions)).collect();
    match resolver.faults {
        faults if faults.is_empty() => Ok(Resolved { program, types: declared.types, warnings }),
        faults => Err(faults.into_iter().take(MAX_FAULTS).map(|fault| included_from(fault, &inclusions)).collect()),
    }
}

/// Says through which lines a place in a header came to be part of the script.
fn included_from(finding: Diagnostic, inclusions: &[Inclusion]) -> Diagnostic {
    let around = |span: Span| {
        inclusions.iter().find(|one| one.whole.start <= span.start && span.end <= one.whole.end).map(|one| one.line)
    };
    let lines = std::iter::successors(around(finding.span), |line| around(*line));
    lines
        .filter(|line| *line != Span::default())
        .fold(finding, |finding, line| finding.label(line, "included from here"))
}
