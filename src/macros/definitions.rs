//! The macros of a program, and which of those with one name a call means.

use std::collections::HashMap;

use crate::diag::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{Expr, ExprKind, Macro, Name, ParamKind};

/// Macros by name; those of one name differ in the number or the kinds of their parameters.
pub struct Definitions<'a>(HashMap<&'a str, Vec<&'a Macro>>);

impl<'a> Definitions<'a> {
    /// Sorts the definitions; those at fault are told.
    pub fn new(macros: &'a [Macro]) -> (Self, Vec<Diagnostic>) {
        let mut definitions = Self(HashMap::new());
        let mut faults = Vec::new();
        for one in macros {
            faults.extend(doubled_parameter(one));
            let same_name = definitions.0.entry(&one.name.text).or_default();
            match same_name.iter().find(|other| kinds(other) == kinds(one)) {
                Some(other) => faults.push(redefinition(one, other)),
                None => same_name.push(one),
            }
        }
        (definitions, faults)
    }

    /// A function cannot have the name of a macro: no call would reach it.
    pub fn clash(&self, function: &Name) -> Option<Diagnostic> {
        let first = self.0.get(function.text.as_str())?.first()?;
        let message = format!("'{}' is the name of a macro: a function needs one of its own", function.text);
        Some(Diagnostic::error(function.span, message).label(first.head, "the macro"))
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The definition that fits a call most precisely.
    pub fn find(&self, name: &Name, args: &[Expr], call: Span) -> Result<&'a Macro, Diagnostic> {
        let candidates = self.0.get(name.text.as_str()).map_or(&[][..], Vec::as_slice);
        let fitting = candidates.iter().filter_map(|one| Some((fit(one, args)?, *one)));
        match fitting.max_by_key(|(exact, _)| *exact) {
            Some((_, found)) => Ok(found),
            None => Err(no_match(name, args, candidates, call)),
        }
    }
}

/// How many arguments have exactly the kind of their parameter; `None` if the macro cannot take them.
fn fit(of: &Macro, args: &[Expr]) -> Option<usize> {
    let same_count = of.params.len() == args.len();
    let pairs = || of.params.iter().zip(args);
    let takes_all = same_count && pairs().all(|(param, arg)| takes(param.kind, arg));
    takes_all.then(|| pairs().filter(|(param, _)| param.kind != ParamKind::Expr).count())
}

fn takes(param: ParamKind, arg: &Expr) -> bool {
    param == ParamKind::Expr || param == kind(arg)
}

fn kind(arg: &Expr) -> ParamKind {
    match &*arg.kind {
        ExprKind::Var(_) => ParamKind::Variable,
        ExprKind::Map { keys: None, .. } => ParamKind::Map,
        _ => ParamKind::Expr,
    }
}

fn kinds(of: &Macro) -> Vec<ParamKind> {
    of.params.iter().map(|param| param.kind).collect()
}

fn no_match(name: &Name, args: &[Expr], candidates: &[&Macro], call: Span) -> Diagnostic {
    let name = &name.text;
    let fault = Diagnostic::error(call, format!("Call to {name}() has arguments that do not match any definition."));
    let found = args.len();
    let Some(closest) = candidates.iter().find(|one| one.params.len() == found) else {
        return candidates.iter().fold(fault, |fault, one| {
            let wanted = one.params.len();
            let text = format!(
                "The closest definition of {name}() has a different number of arguments. Expected: {wanted} but got {found}"
            );
            fault.label(one.head, text)
        });
    };
    let wrong = closest.params.iter().zip(args).find(|(param, arg)| !takes(param.kind, arg));
    wrong.map_or(fault.clone(), |(param, arg)| {
        let (wanted, got, param_name) = (word(param.kind), word(kind(arg)), &param.name.text);
        fault
            .label(arg.span, format!("Mismatched arg. {name}() expects {wanted} for arg {param_name} but got {got}."))
            .label(param.name.span, "This is the argument in the closest definition.")
    })
}

fn word(kind: ParamKind) -> &'static str {
    match kind {
        ParamKind::Variable => "a variable",
        ParamKind::Map => "a map",
        ParamKind::Expr => "an expression",
    }
}

fn redefinition(of: &Macro, first: &Macro) -> Diagnostic {
    Diagnostic::error(of.head, format!("Redefinition of macro: {}", of.name.text))
        .label(first.head, "This is the original definition.")
        .hint("macros of one name must differ in the number of their parameters, or in whether they take $variables, @maps or expressions")
}

fn doubled_parameter(of: &Macro) -> Option<Diagnostic> {
    let mut names = of.params.iter().map(|param| &param.name).enumerate();
    let (_, doubled) = names.find(|(at, name)| of.params[..*at].iter().any(|other| other.name.text == name.text))?;
    let message = format!("Ident for macro argument has already been used: {}", doubled.text);
    Some(Diagnostic::error(doubled.span, message))
}
