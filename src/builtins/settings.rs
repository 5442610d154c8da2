//! `config`: the settings in force, as one record.

use super::Builtin;
use crate::check::{Call, Cx, Fallible, record};
use crate::config::{Shown, rows};
use crate::ir::{Expr, ExprKind};
use crate::types::Type;

pub const ROWS: &[Builtin] = &[Builtin::value(
    "config",
    "The settings in force, as config.NAME, or all of them.",
    "begin { print(config.max_strlen); print(config); }",
    config,
)];

fn config(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let value = |shown: Shown| match shown {
        Shown::Number(value) => Expr::int(value as i64, Type::U64, call.span),
        Shown::Truth(value) => Expr::int(i64::from(value), Type::Bool, call.span),
        Shown::Text(value) => {
            let ty = Type::Str(value.len() as u32 + 1);
            Expr::new(ExprKind::Str(value.into_bytes()), ty, call.span)
        }
    };
    let (names, values): (Vec<&str>, Vec<Expr>) = rows().map(|row| (row.name, value((row.get)(cx.config)))).unzip();
    Ok(record(&names, values, call.span))
}
