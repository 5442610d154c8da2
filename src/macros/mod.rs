//! `ast::Program` in, `ast::Program` without macro calls out: each call becomes the macro's body, as a block that is a value.
//!
//! The body's variables get names of their own, so that they meet neither the caller's nor those of another call. Its places move
//! into a stretch of the span space that stands for this one expansion, so every later finding can tell where it was expanded from.

mod definitions;
mod substitute;

use std::collections::HashMap;

use crate::diag::Diagnostic;
use crate::source::{Sources, Span};
use crate::syntax::ast::{Expr, ExprKind, Macro, Name, Program};
use crate::syntax::visit::{VisitMut, walk_block, walk_expr};
use definitions::Definitions;
use substitute::{Argument, Substitution};

/// Expressions that all expansions of a program may make; more would be a program that doubles itself again and again.
const MAX_EXPRESSIONS: usize = 200_000;

/// Deeper trees than this would exhaust the stack of the stages that walk them.
const MAX_DEPTH: usize = 1500;

/// Replaces every macro call of a program.
pub fn expand(mut program: Program, sources: &mut Sources) -> Result<Program, Vec<Diagnostic>> {
    let macros = std::mem::take(&mut program.macros);
    let (definitions, mut faults) = Definitions::new(&macros);
    faults.extend(program.functions.iter().filter_map(|function| definitions.clash(&function.name)));
    let mut expander =
        Expander { definitions, sources, faults, calls: Vec::new(), left: MAX_EXPRESSIONS, depth: 0, expansions: 0 };
    for function in &mut program.functions {
        walk_block(&mut expander, &mut function.body);
    }
    for probe in &mut program.probes {
        probe.predicate.iter_mut().for_each(|predicate| expander.expr(predicate));
        walk_block(&mut expander, &mut probe.body);
    }
    if expander.faults.is_empty() { Ok(program) } else { Err(expander.faults) }
}

struct Expander<'a> {
    definitions: Definitions<'a>,
    sources: &'a mut Sources,
    faults: Vec<Diagnostic>,
    /// The macros whose bodies are being walked, outermost first.
    calls: Vec<&'a str>,
    /// How many more expressions may be made.
    left: usize,
    depth: usize,
    /// Numbers the variables of each expansion.
    expansions: usize,
}

impl VisitMut for Expander<'_> {
    fn expr(&mut self, expr: &mut Expr) {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            self.refuse(expr, "macro calls nest too deep");
        } else {
            match call(expr) {
                Some((name, args)) if self.definitions.has(&name.text) => self.call(expr, name, args),
                _ => walk_expr(self, expr),
            }
        }
        self.depth -= 1;
    }
}

/// The name and the arguments of what may be a macro call; a macro without arguments needs no `()`.
fn call(expr: &Expr) -> Option<(Name, Vec<Expr>)> {
    match &*expr.kind {
        ExprKind::Call { name, args } => Some((name.clone(), args.clone())),
        ExprKind::Ident(name) => Some((Name { text: name.clone(), span: expr.span }, Vec::new())),
        _ => None,
    }
}

impl<'a> Expander<'a> {
    fn call(&mut self, expr: &mut Expr, name: Name, mut args: Vec<Expr>) {
        args.iter_mut().for_each(|arg| self.expr(arg));
        match self.definitions.find(&name, &args, expr.span) {
            Ok(definition) => self.expand(expr, definition, args),
            // A builtin of that name takes other arguments than the macro.
            Err(_) if crate::builtins::find(&name.text).is_some() => replace_arguments(expr, args),
            Err(fault) => {
                self.faults.push(fault);
                *expr.kind = ExprKind::Bad;
            }
        }
    }

    fn expand(&mut self, expr: &mut Expr, definition: &'a Macro, args: Vec<Expr>) {
        let name = definition.name.text.as_str();
        if self.calls.contains(&name) {
            let chain = [&self.calls[..], &[name]].concat().join(" > ");
            self.faults.push(
                Diagnostic::error(expr.span, format!("Recursive macro call detected. Call chain: {chain}"))
                    .hint("macros are expanded when the program is compiled, so they cannot call themselves"),
            );
            *expr.kind = ExprKind::Bad;
            return;
        }
        let arguments: HashMap<&str, Argument> = definition
            .params
            .iter()
            .map(|param| param.name.text.as_str())
            .zip(args.into_iter().map(Argument::new))
            .collect();
        let moved = Moved { from: definition.span.start, to: self.sources.add_expansion(definition.span, expr.span) };
        self.expansions += 1;
        let mut substitution = Substitution::new(arguments, moved, self.expansions, self.left);
        let mut body = definition.body.clone();
        substitution.body(&mut body);
        self.faults.append(&mut substitution.faults);
        self.left = substitution.left;
        if self.left == 0 {
            return self.refuse(expr, "macros expand to more than 200000 expressions");
        }
        let span = expr.span;
        self.calls.push(name);
        self.expr(&mut body);
        self.calls.pop();
        *expr = Expr { span, ..body };
    }

    /// Gives up on an expression that has grown too large; said once.
    fn refuse(&mut self, expr: &mut Expr, why: &str) {
        let message = format!("{why}; does a macro use its argument several times?");
        if !self.faults.iter().any(|fault| fault.message == message) {
            self.faults.push(Diagnostic::error(expr.span, message));
        }
        *expr.kind = ExprKind::Bad;
    }
}

fn replace_arguments(expr: &mut Expr, expanded: Vec<Expr>) {
    if let ExprKind::Call { args, .. } = &mut *expr.kind {
        *args = expanded;
    }
}

/// Moves a place of a macro's text into the stretch that stands for one expansion of it.
pub struct Moved {
    from: u32,
    to: u32,
}

impl Moved {
    fn apply(&self, span: &mut Span) {
        span.start = span.start - self.from + self.to;
        span.end = span.end - self.from + self.to;
    }
}
