//! Text in, [`ast::Program`] out.

pub mod ast;

use crate::diag::Diagnostic;
use crate::source::Source;

/// Parses a script; every fault found is reported, not only the first.
pub fn parse(_source: &Source) -> Result<ast::Program, Vec<Diagnostic>> {
    todo!()
}
