//! The C part of a script: `#define`d constants take the place of their names in the program; conditions are decided; types
//! are laid out and stand beside the kernel's.

mod constant;
mod declare;
mod layout;
mod lex;
mod preprocess;

use crate::btf::Btf;
use crate::diag::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{CText, Expr, ExprKind, Program, UnaryOp};
use crate::syntax::string_literal;
use crate::syntax::visit::{VisitMut, walk_block, walk_expr};
use declare::{Declared, declare};
use preprocess::{Constant, Preprocessor};

/// A program without its C part.
pub struct Resolved {
    pub program: Program,
    /// The kernel's types and the script's, if it defines any.
    pub types: Option<Btf>,
    pub warnings: Vec<Diagnostic>,
}

/// Takes the C part out of a program: what it defines is put where it is named, or becomes types. `kernel` is what is known
/// without headers.
pub fn resolve(mut program: Program, kernel: Option<&Btf>) -> Result<Resolved, Vec<Diagnostic>> {
    let written = std::mem::take(&mut program.c);
    if written.is_empty() {
        return Ok(Resolved { program, types: None, warnings: Vec::new() });
    }
    let mut definitions = preprocessed(&written, kernel);
    let mut faults = std::mem::take(&mut definitions.faults);
    let declared = match definitions.out.is_empty() {
        true => None,
        false => declare(&definitions.out, kernel).map_err(|fault| faults.push(fault)).ok(),
    };
    let (types, warnings) = declared.map(|Declared { types, warnings }| (types, warnings)).unzip();
    let mut resolver = Resolver { definitions, types: types.as_ref().or(kernel), faults };
    for one in &mut program.macros {
        resolver.expr(&mut one.body);
    }
    for probe in &mut program.probes {
        probe.predicate.iter_mut().for_each(|predicate| resolver.expr(predicate));
        walk_block(&mut resolver, &mut probe.body);
    }
    match resolver.faults {
        faults if faults.is_empty() => Ok(Resolved { program, types, warnings: warnings.unwrap_or_default() }),
        faults => Err(faults),
    }
}

fn preprocessed(written: &[CText], kernel: Option<&Btf>) -> Preprocessor {
    let mut preprocessor = Preprocessor::default();
    if kernel.is_some() {
        preprocessor.define("BPFTRACE_HAVE_BTF");
    }
    for part in written {
        preprocessor.text(&part.text, part.span.start);
    }
    preprocessor.finish();
    preprocessor
}

struct Resolver<'a> {
    definitions: Preprocessor,
    types: Option<&'a Btf>,
    faults: Vec<Diagnostic>,
}

impl VisitMut for Resolver<'_> {
    fn expr(&mut self, expr: &mut Expr) {
        if let ExprKind::Ident(name) = &*expr.kind
            && let Some(constant) = self.definitions.constant(name, &|name| enumerator(self.types?, name))
        {
            match constant {
                Ok(constant) => *expr = literal(constant, expr.span),
                Err(()) => self.faults.push(
                    Diagnostic::error(expr.span, format!("'{name}' is defined, but not as a constant"))
                        .hint("only numbers, strings and what can be computed from numbers can be used by name"),
                ),
            }
            return;
        }
        walk_expr(self, expr);
    }
}

fn enumerator(types: &Btf, name: &str) -> Option<i128> {
    types.enum_value(name).map(|(_, value)| i128::from(value))
}

fn literal(constant: Constant, span: Span) -> Expr {
    let int = |value: u128| ExprKind::Int { value: value as u64, suffix: String::new() };
    let kind = match constant {
        Constant::Enumerator(name) => ExprKind::Ident(name),
        Constant::Text(quoted) => ExprKind::Str(string_literal(&quoted)),
        Constant::Int(value) if value < 0 => {
            let magnitude = Expr { kind: Box::new(int(value.unsigned_abs())), span };
            ExprKind::Unary(UnaryOp::Negate, magnitude)
        }
        Constant::Int(value) => int(value.unsigned_abs()),
    };
    Expr { kind: Box::new(kind), span }
}
