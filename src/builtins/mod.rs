//! Builtin values, functions and aggregations: one row each. The same rows feed the checker, the help, the completion and the reference.

mod aggregate;
mod commands;
mod control;
mod effects;
mod getopt;
mod heatmap;
mod join;
mod maps;
mod memory;
mod meta;
mod names;
mod net;
mod objects;
mod output;
mod packets;
mod pinned;
mod probe;
pub(crate) mod process;
mod quantiles;
mod settings;
mod stacks;
mod strings;
mod symbols;
mod system;
mod time;
mod tseries;
mod watch;

pub use names::{as_text, number_of};

use crate::check::{Call, Cx, Fallible, Safety};
use crate::ir::{BinaryOp, Expr, Step};
use crate::source::Span;
use crate::types::{Aggregate, Type};

/// One name of the language.
pub struct Builtin {
    pub name: &'static str,
    /// As in a signature: `ptr[, length]`; empty for values.
    pub params: &'static str,
    /// Fewest and most arguments.
    pub arity: (usize, usize),
    pub doc: &'static str,
    /// A program that uses it and compiles.
    pub example: &'static str,
    /// Whether it needs `--unsafe`.
    pub safety: Safety,
    pub lower: Lower,
}

/// How a use of it becomes core IR.
#[derive(Clone, Copy)]
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
    /// What it does where the value is spread over several entries.
    pub parted: Option<Parted>,
}

/// The number of the part that one call changes, and what it does to that part's slot. The steps are evaluated first.
pub struct Parted {
    pub part: Expr,
    pub steps: Vec<Step>,
}

impl Update {
    fn whole(aggregate: Aggregate, steps: Vec<Step>) -> Update {
        Update { aggregate, steps, parted: None }
    }
}

/// All builtins, by what they are about.
pub static TABLES: &[&[Builtin]] = &[
    process::ROWS,
    time::ROWS,
    probe::ROWS,
    system::ROWS,
    memory::ROWS,
    strings::ROWS,
    names::ROWS,
    net::ROWS,
    symbols::ROWS,
    objects::ROWS,
    stacks::ROWS,
    maps::ROWS,
    aggregate::ROWS,
    quantiles::ROWS,
    tseries::ROWS,
    heatmap::ROWS,
    output::ROWS,
    packets::ROWS,
    watch::ROWS,
    join::ROWS,
    commands::ROWS,
    control::ROWS,
    effects::ROWS,
    meta::ROWS,
    getopt::ROWS,
    settings::ROWS,
];

pub fn find(name: &str) -> Option<&'static Builtin> {
    TABLES.iter().flat_map(|table| table.iter()).find(|builtin| builtin.name == name)
}

/// How it is written.
pub fn signature(builtin: &Builtin) -> String {
    if builtin.params.is_empty() && matches!(builtin.lower, Lower::Value(_)) {
        return builtin.name.to_string();
    }
    format!("{}({})", builtin.name, builtin.params)
}

impl Builtin {
    const fn value(
        name: &'static str,
        doc: &'static str,
        example: &'static str,
        lower: fn(&mut Cx<'_>, &Call<'_>) -> Fallible<Expr>,
    ) -> Self {
        Self { name, params: "", arity: (0, 0), doc, example, safety: Safety::Safe, lower: Lower::Value(lower) }
    }

    const fn function(
        name: &'static str,
        params: &'static str,
        arity: (usize, usize),
        doc: &'static str,
        example: &'static str,
        lower: fn(&mut Cx<'_>, &Call<'_>) -> Fallible<Expr>,
    ) -> Self {
        Self { name, params, arity, doc, example, safety: Safety::Safe, lower: Lower::Function(lower) }
    }
}

fn binary(op: BinaryOp, left: Expr, right: i64, ty: Type) -> Expr {
    let right = number(right, left.span);
    Expr::binary(op, left, right, ty)
}

fn number(value: i64, span: Span) -> Expr {
    Expr::int(value, Type::U64, span)
}
