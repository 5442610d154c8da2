//! Builtin values, functions and aggregations: one row each. The same rows feed the checker, the help, the completion and the reference.

use crate::check::{Call, Cx, Fallible};
use crate::ir::{Expr, Step};
use crate::types::Aggregate;

/// One name of the language.
pub struct Builtin {
    pub name: &'static str,
    /// As in a signature: `ptr, [length]`; empty for values.
    pub params: &'static str,
    /// Fewest and most arguments.
    pub arity: (usize, usize),
    pub doc: &'static str,
    /// A program that uses it and compiles.
    pub example: &'static str,
    pub lower: Lower,
}

/// How a use of it becomes core IR.
pub enum Lower {
    /// A value such as `pid`; may be written with or without `()`.
    Value(fn(&mut Cx<'_>, &Call<'_>) -> Fallible<Expr>),
    /// A function; actions give an expression of type void.
    Function(fn(&mut Cx<'_>, &Call<'_>) -> Fallible<Expr>),
    /// What may only be assigned to a map.
    Aggregation(fn(&mut Cx<'_>, &Call<'_>) -> Fallible<Update>),
}

/// An aggregation's kind and what one call does to its slot.
pub struct Update {
    pub aggregate: Aggregate,
    pub steps: Vec<Step>,
}

/// All builtins.
pub static TABLES: &[&[Builtin]] = &[];

pub fn find(name: &str) -> Option<&'static Builtin> {
    TABLES.iter().flat_map(|table| table.iter()).find(|builtin| builtin.name == name)
}
