//! `getopt()`: named parameters of a script, given behind `--` on the command line. They are constants of the program.

use super::Builtin;
use crate::check::{Call, Cx, Fallible, Reported};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::plan::Parameter;
use crate::types::Type;

pub const ROWS: &[Builtin] = &[Builtin::function(
    "getopt",
    "\"name\"[, default[, \"description\"]]",
    (1, 3),
    "The script's parameter --name, of the type of its default; without one, whether it is given. -- --help lists them.",
    "begin { print(getopt(\"verbose\")); print(getopt(\"limit\", 10, \"how many\")); }",
    getopt,
)];

fn getopt(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let name = text(cx, call, 0)?;
    let default = match call.args.get(1) {
        Some(default) => cx.expr(default)?,
        None => Expr::int(0, Type::Bool, call.span),
    };
    let description = if call.args.len() > 2 { text(cx, call, 2)? } else { String::new() };
    let Some(written) = written(&default) else {
        let message = "getopt() default must be a literal: a number, true, false or a text";
        return Err(cx.error(Diagnostic::error(call.args[1].span, message)));
    };
    declare(cx, call, Parameter { name: name.clone(), default: written, description })?;
    match cx.options.named.iter().rev().find(|named| named.name == name) {
        None => Ok(default),
        Some(named) => value(cx, call, &name, named.value.clone(), &default),
    }
}

fn text(cx: &mut Cx<'_>, call: &Call<'_>, index: usize) -> Fallible<String> {
    let text = cx.literal_str(&call.args[index], "getopt()")?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The same name must have the same default wherever it stands.
fn declare(cx: &mut Cx<'_>, call: &Call<'_>, new: Parameter) -> Fallible<()> {
    let known = &mut cx.plan().parameters;
    match known.iter_mut().find(|other| other.name == new.name) {
        None => known.push(new),
        Some(old) if old.default == new.default => {
            if old.description.is_empty() {
                old.description = new.description;
            }
        }
        Some(old) => {
            let message = format!(
                "Command line option '{}' needs to have the same default value in all places it is used. Previous default value: {}",
                old.name, old.default
            );
            return Err(cx.error(Diagnostic::error(call.span, message)));
        }
    }
    Ok(())
}

fn value(cx: &mut Cx<'_>, call: &Call<'_>, name: &str, given: Option<String>, default: &Expr) -> Fallible<Expr> {
    let given = given.unwrap_or_else(|| "true".to_string());
    match &default.ty {
        Type::Bool => match given.as_str() {
            "true" | "1" => Ok(Expr::int(1, Type::Bool, call.span)),
            "false" | "0" => Ok(Expr::int(0, Type::Bool, call.span)),
            _ => Err(wrong(cx, call, name, "expects a boolean (e.g. 'true')", &given)),
        },
        Type::Int(_) if given == "true" => Err(wrong(cx, call, name, "expects an integer", &given)),
        Type::Int(_) => match cx.integer(&given, call.span) {
            Some(number) => Ok(number),
            None => Err(wrong(cx, call, name, "invalid integer", &given)),
        },
        _ => {
            let ty = Type::Str(given.len() as u32 + 1);
            Ok(Expr::new(ExprKind::Str(given.into_bytes()), ty, call.span))
        }
    }
}

fn wrong(cx: &mut Cx<'_>, call: &Call<'_>, name: &str, why: &str, given: &str) -> Reported {
    let message = format!("program command line option --{name} {why} (value: {given})");
    cx.error(Diagnostic::error(call.span, message))
}

fn written(default: &Expr) -> Option<String> {
    match (&*default.kind, &default.ty) {
        (ExprKind::Int(number), Type::Bool) => Some((*number != 0).to_string()),
        (ExprKind::Int(number), Type::Int(_)) => Some(number.to_string()),
        (ExprKind::Str(text), _) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    }
}
