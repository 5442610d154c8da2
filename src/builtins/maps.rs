//! Actions on maps.

use super::Builtin;
use super::quantiles::{each, variable};
use super::stacks::stack_type;
use crate::check::{Call, Cx, Emit, Fallible, MapArg, part_key};
use crate::diag::Diagnostic;
use crate::error::Result;
use crate::ir::{Block, CompareOp, Expr, ExprKind, Stmt, StmtKind};
use crate::kernel::Feature;
use crate::plan::{Action, Host, MapId, MapUse};
use crate::source::Span;
use crate::syntax::ast;
use crate::types::{Aggregate, MapValue, Side, Sign, Type, quantile_blocks};
use crate::value::Value;

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "clear",
        "@map",
        (1, 1),
        "Removes all entries of a map.",
        "interval:s:1 { @ = count(); print(@); clear(@); exit(); }",
        clear,
    ),
    Builtin::function(
        "zero",
        "@map",
        (1, 1),
        "Sets all values of a map to zero; its keys stay.",
        "interval:s:1 { @[cpu] = count(); zero(@); exit(); }",
        zero,
    ),
    Builtin::function(
        "delete",
        "@map[, key]",
        (1, 2),
        "Removes one entry of a map; true if it was there. Without a key it unsets a scalar map.",
        "begin { @[1] = 2; delete(@, 1); }",
        delete,
    ),
    Builtin::function(
        "has_key",
        "@map, key",
        (2, 2),
        "Whether a map has an entry.",
        "begin { @[1] = 2; if (has_key(@, 1)) { print(@[1]); } }",
        has_key,
    ),
    Builtin::function(
        "find",
        "@map, key, $variable",
        (3, 3),
        "Whether a map has an entry; if so, the variable becomes its value.",
        "begin { @[1] = 2; $found = 0; if (find(@, 1, $found)) { print($found); } }",
        find,
    ),
    Builtin::function(
        "len",
        "@map | kstack | ustack",
        (1, 1),
        "Number of entries of a map, or of frames of a stack.",
        "begin { @[1] = 2; print(len(@)); print(len(kstack)); }",
        len,
    ),
];

fn clear(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let map = whole_map(cx, call)?;
    cx.plan().shrinking.insert(map);
    Ok(emptied(cx, call, map, |action, _, host| action.map.map_or(Ok(()), |(map, _)| host.clear_map(map))))
}

fn zero(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let map = whole_map(cx, call)?;
    Ok(emptied(cx, call, map, |action, _, host| action.map.map_or(Ok(()), |(map, _)| host.zero_map(map))))
}

fn whole_map(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<MapId> {
    let name = call.builtin.name;
    let map = cx.map_arg(&call.args[0], name)?;
    if map.key.is_some() {
        let diagnostic =
            Diagnostic::error(map.span, format!("The map passed to {name}() should not be indexed by a key"));
        return Err(cx.error(
            diagnostic.hint(format!("{name}({}) works on the whole map; delete(@m, key) removes one entry", map.name)),
        ));
    }
    Ok(map.map)
}

fn emptied(
    cx: &mut Cx<'_>,
    call: &Call<'_>,
    map: MapId,
    act: fn(&Action, &[Value], &mut dyn Host) -> Result<()>,
) -> Expr {
    let map = Some((map, MapUse::Emptied));
    let send = cx.emit_control(Emit { name: call.builtin.name, act, format: None, map, span: call.span }, Vec::new());
    Expr::effect(vec![send], call.span)
}

fn delete(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let key = if call.args.len() == 2 { Some(entry(cx, call)?.1) } else { None };
    let map = cx.map_arg(&call.args[0], "delete")?;
    whole_only(cx, call, &map)?;
    let key = match (key, &map.key, &map.key_type) {
        (Some(_), Some(_), _) => {
            let message = "delete() takes the key in brackets or as its second argument, not both";
            return Err(cx.error(Diagnostic::error(call.span, message)));
        }
        (Some(key), None, _) => Some(key),
        (None, Some(key), _) => Some(key.clone()),
        (None, None, None) if matches!(map.value, MapValue::Aggregate(_)) && !cx.kernel.has(Feature::PerCpuLookup) => {
            let message = format!(
                "delete() of the {} value of {} needs kernel 5.19 or later (bpf_map_lookup_percpu_elem)",
                map.value, map.name
            );
            let hint = format!("clear({}) works everywhere", map.name);
            return Err(cx.error(Diagnostic::error(call.span, message).hint(hint)));
        }
        (None, None, None) => None,
        (None, None, Some(_)) => {
            let message = "call to delete() with a single argument expects a map without explicit keys (scalar map)";
            let hint = format!("name the key: delete({}, key); clear({}) removes all entries", map.name, map.name);
            return Err(cx.error(Diagnostic::error(call.span, message).hint(hint)));
        }
    };
    cx.plan().shrinking.insert(map.map);
    let of_entry = |key| ExprKind::MapDelete { map: map.map, key };
    Ok(match key {
        Some(key) if cx.plan().maps[map.map].is_parted() => any_part(cx, key, call.span, |part| of_entry(Some(part))),
        key => Expr::new(of_entry(key), Type::Bool, call.span),
    })
}

/// The intervals of a heat map that a key has are not known while programs run.
fn whole_only(cx: &mut Cx<'_>, call: &Call<'_>, map: &MapArg) -> Fallible<()> {
    let MapValue::Aggregate(Aggregate::Heat { .. }) = map.value else { return Ok(()) };
    let message = format!("{}() does not support maps of type {}", call.builtin.name, map.value);
    let hint = format!("print({0}) shows all of it, clear({0}) empties it", map.name);
    Err(cx.error(Diagnostic::error(map.span, message).hint(hint)))
}

/// Does something with all parts that a key may have; whether it was true of any of them.
fn any_part(cx: &mut Cx<'_>, key: Expr, span: Span, act: impl Fn(Expr) -> ExprKind) -> Expr {
    let mut block = Block::new();
    let key = cx.named("key", key, &mut block);
    let any = variable(cx, "any", super::number(0, span), &mut block);
    each(cx, quantile_blocks(), span, &mut block, |cx, round, body| {
        let found = Expr::new(act(part_key(Some(key), round)), Type::Bool, span);
        let cond = cx.named("found", found, body);
        let then = vec![Stmt::new(StmtKind::Set(any, super::number(1, span)), span)];
        body.push(Stmt::new(StmtKind::If { cond, then, otherwise: Vec::new() }, span));
    });
    let left = Expr::new(ExprKind::Var(any), Type::U64, span);
    let is_any = Expr::compare(CompareOp::Ne, Sign::Unsigned, left, super::number(0, span));
    Expr::new(ExprKind::Seq(block, is_any), Type::Bool, span)
}

fn has_key(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let (map, key) = entry(cx, call)?;
    whole_only(cx, call, &map)?;
    let of_entry = |key| ExprKind::MapHas { map: map.map, key };
    Ok(match cx.plan().maps[map.map].is_parted() {
        true => any_part(cx, key, call.span, of_entry),
        false => Expr::new(of_entry(key), Type::Bool, call.span),
    })
}

fn find(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let (map, key) = entry(cx, call)?;
    let value = match &map.value {
        MapValue::Plain(ty) => {
            Expr::new(ExprKind::MapGet { map: map.map, key: Some(key.clone()) }, ty.clone(), call.span)
        }
        MapValue::Aggregate(of) => cx.merged(*of, &map.name, Some(key.clone()), call.span)?,
    };
    // The variable must exist: it keeps its value if there is no entry.
    cx.expr(&call.args[2])?;
    let found = cx.fresh("found", Type::Bool);
    let has = Expr::new(ExprKind::MapHas { map: map.map, key }, Type::Bool, call.span);
    let then = vec![cx.assign_value(&call.args[2], value, call.span)?];
    let cond = Expr::new(ExprKind::Var(found), Type::Bool, call.span);
    let statements = vec![
        Stmt::new(StmtKind::Set(found, has), call.span),
        Stmt::new(StmtKind::If { cond: cond.clone(), then, otherwise: Vec::new() }, call.span),
    ];
    Ok(Expr::new(ExprKind::Seq(statements, cond), Type::Bool, call.span))
}

/// A keyed map, and the key of one entry as the second argument.
fn entry(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<(MapArg, Expr)> {
    let name = call.builtin.name;
    if let Ok(MapArg { key_type: None, span, name: map, .. }) = cx.map_arg(&call.args[0], name) {
        let (how, hint) = match call.builtin.arity.0 {
            1 => (" with two arguments", format!("leave the key out: {name}({map})")),
            _ => ("", format!("a map without keys always has its one value: {map}")),
        };
        let message = format!("call to {name}(){how} expects a map with explicit keys (non-scalar map)");
        return Err(cx.error(Diagnostic::error(span, message).hint(hint)));
    }
    let key = cx.key_arg(&call.args[0], &call.args[1])?;
    Ok((cx.map_arg(&call.args[0], name)?, key))
}

fn len(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    if let Some((stack, side)) = stack_argument(&call.args[0]) {
        let builtin = super::find(if side == Side::Kernel { "kstack" } else { "ustack" }).unwrap_or(call.builtin);
        let of = stack_type(cx, &Call { builtin, args: stack, span: call.span }, side)?;
        return Ok(Expr::new(ExprKind::StackLen { of }, Type::I64, call.span));
    }
    if !matches!(&*call.args[0].kind, ast::ExprKind::Map { .. }) {
        let diagnostic = Diagnostic::error(call.args[0].span, "call to len() expects a map, ustack, or kstack");
        return Err(cx.error(diagnostic.hint("the length of a text is strlen(text)")));
    }
    let map = cx.map_arg(&call.args[0], "len")?;
    if map.key_type.is_none() {
        let message = "call to len() expects a map with explicit keys (non-scalar map)";
        return Err(cx.error(Diagnostic::error(map.span, message)));
    }
    if cx.plan().maps[map.map].is_parted() {
        let message =
            format!("len() cannot count the keys of {}, as each has several entries of '{}'", map.name, map.value);
        let hint = "count them in a map of their own: @seen[key] = true; len(@seen)";
        return Err(cx.error(Diagnostic::error(map.span, message).hint(hint)));
    }
    if !cx.kernel.has(Feature::ForEachMapElem) {
        let diagnostic =
            Diagnostic::error(call.span, "len() of a map needs kernel 5.13 or later (bpf_for_each_map_elem)");
        return Err(cx.error(diagnostic.hint("count the entries yourself as they are added: @n += 1")));
    }
    Ok(Expr::new(ExprKind::MapLen(map.map), Type::I64, call.span))
}

/// `kstack`, `ustack(5)` and the like, with their arguments.
fn stack_argument(arg: &ast::Expr) -> Option<(&[ast::Expr], Side)> {
    let (name, args): (&str, &[ast::Expr]) = match &*arg.kind {
        ast::ExprKind::Ident(name) => (name, &[]),
        ast::ExprKind::Call { name, args } => (&name.text, args),
        _ => return None,
    };
    match name {
        "kstack" => Some((args, Side::Kernel)),
        "ustack" => Some((args, Side::User)),
        _ => None,
    }
}
