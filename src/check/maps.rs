//! Maps: reading, assigning, updating and naming them.

use super::convert::{Told, converted, join, tuple};
use super::env::Keyed;
use super::stmt::two_formats;
use super::{Cx, Fallible};
use crate::builtins::{self, Lower, Parted};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind, Stmt, StmtKind};
use crate::names;
use crate::plan::{Cause, MapId, Refusals};
use crate::source::Span;
use crate::syntax::ast;
use crate::types::{Aggregate, MapValue, Type};

/// A map named as an argument, as in `print(@m)` or `delete(@m[1])`.
pub struct MapArg {
    pub map: MapId,
    pub name: String,
    pub value: MapValue,
    /// The map's key type; `None` for scalar maps.
    pub key_type: Option<Type>,
    /// The key given in the argument.
    pub key: Option<Expr>,
    pub span: Span,
}

/// A map as written, with its key lowered.
struct Use<'a> {
    name: &'a str,
    key: Option<Expr>,
    span: Span,
}

impl Cx<'_> {
    /// An argument that must name a map. A key in brackets is lowered and converted to the map's key type.
    pub fn map_arg(&mut self, expr: &ast::Expr, function: &str) -> Fallible<MapArg> {
        let ast::ExprKind::Map { name, keys } = &*expr.kind else {
            let message = format!("{function}() expects a map argument");
            return Err(self.error(Diagnostic::error(expr.span, message).hint("a map is written @name")));
        };
        self.env.mention(name);
        let key = match keys {
            Some(keys) => Some(self.key(name, keys, expr.span)?),
            None => None,
        };
        let (Some(map), Some(info)) = (self.env.map_id(name), self.env.map(name)) else {
            return Err(self.undefined(name, expr.span));
        };
        let key_type = match &info.keyed {
            Keyed::Scalar => None,
            Keyed::By(ty) => Some(ty.clone()),
        };
        let Some(value) = info.value.clone() else { return Err(self.undefined(name, expr.span)) };
        Ok(MapArg { map, name: name.clone(), value, key_type, key, span: expr.span })
    }

    /// Lowers a key given as a separate argument, as in `delete(@m, key)`. The map counts as keyed by it from then on.
    pub fn key_arg(&mut self, map: &ast::Expr, key: &ast::Expr) -> Fallible<Expr> {
        let ast::ExprKind::Map { name, .. } = &*map.kind else { return Err(self.not_a_place(map)) };
        self.key(name, std::slice::from_ref(key), key.span)
    }

    pub(super) fn map_get(&mut self, name: &str, keys: Option<&[ast::Expr]>, span: Span) -> Fallible<Expr> {
        let at = self.map_use(name, keys, span)?;
        let value = self.env.map(name).and_then(|info| info.value.clone());
        let ty = match value {
            Some(MapValue::Plain(ty)) => ty,
            Some(MapValue::Aggregate(of)) => return self.merged(of, name, at.key, span),
            None => self.env.guessed(name).ok_or_else(|| self.undefined(name, span))?,
        };
        let Some(map) = self.env.map_id(name) else { return Err(self.undefined(name, span)) };
        Ok(Expr::new(ExprKind::MapGet { map, key: at.key }, ty, span))
    }

    /// `@m = value`, `@m[k] = value` and aggregations.
    pub(super) fn map_set(&mut self, place: &ast::Expr, value: &ast::Expr) -> Fallible<Stmt> {
        let ast::ExprKind::Map { name, keys } = &*place.kind else { return Err(self.not_a_place(place)) };
        if let Some(call) = aggregation(value) {
            return self.map_update(place, name, keys.as_deref(), call, value);
        }
        let at = self.map_use(name, keys.as_deref(), place.span);
        if let Some(of) = self.aggregate_named(value) {
            // It counts as assigned, so that nothing else is said of it.
            self.env.assign(name, &MapValue::Plain(Type::I64), Told::ByOthers, place.span).ok();
            return Err(self.aggregate_copied(name, of, value.span));
        }
        let value = self.value(value)?;
        self.map_store(at?, value)
    }

    /// Stores a lowered value, whose type is joined into the map's.
    pub(super) fn map_set_value(
        &mut self,
        name: &str,
        keys: Option<&[ast::Expr]>,
        value: Expr,
        span: Span,
    ) -> Fallible<Stmt> {
        let at = self.map_use(name, keys, span)?;
        self.map_store(at, value)
    }

    fn map_store(&mut self, at: Use<'_>, value: Expr) -> Fallible<Stmt> {
        let ty = MapValue::Plain(value.ty.clone());
        if let Err(old) = self.env.assign(at.name, &ty, self.told(&value), at.span) {
            return Err(self.value_mismatch(&at, &ty, &old, value.span));
        }
        let (Some(map), Some(MapValue::Plain(ty))) = (self.env.map_id(at.name), self.map_value(at.name)) else {
            return Err(super::Reported);
        };
        self.warn_of_sign(&value, &ty);
        let refused = self.refusals(at.name, at.span);
        let kind = StmtKind::MapSet { map, key: at.key, value: converted(value, &ty), refused };
        Ok(Stmt::new(kind, at.span))
    }

    fn map_update(
        &mut self,
        place: &ast::Expr,
        name: &str,
        keys: Option<&[ast::Expr]>,
        call: &ast::Name,
        value: &ast::Expr,
    ) -> Fallible<Stmt> {
        let at = self.map_use(name, keys, place.span);
        let update = self.aggregation_call(call, value)?;
        let at = at?;
        let ty = MapValue::Aggregate(update.aggregate);
        if let Err(old) = self.env.assign(name, &ty, Told::ByOthers, place.span) {
            return Err(self.value_mismatch(&at, &ty, &old, value.span));
        }
        let Some(map) = self.env.map_id(name) else { return Err(super::Reported) };
        let refused = self.refusals(name, place.span);
        let (key, steps) = match update.parted {
            Some(Parted { part, steps }) if self.plan().maps[map].is_parted() => (Some(part_key(at.key, part)), steps),
            Some(_) | None => (at.key, update.steps),
        };
        let kind = StmtKind::Update { map, key, steps, refused };
        Ok(Stmt::new(kind, place.span.to(value.span)))
    }

    fn refusals(&mut self, name: &str, span: Span) -> Refusals {
        let map = || name.to_string();
        Refusals {
            full: self.counter(Cause::MapFull { map: map() }, span),
            memory: self.counter(Cause::MapMemory { map: map() }, span),
            busy: self.counter(Cause::MapBusy { map: map() }, span),
        }
    }

    fn map_value(&self, name: &str) -> Option<MapValue> {
        self.env.map(name).and_then(|info| info.value.clone())
    }

    fn map_use<'n>(&mut self, name: &'n str, keys: Option<&[ast::Expr]>, span: Span) -> Fallible<Use<'n>> {
        let key = match keys {
            Some(keys) => Some(self.key(name, keys, span)?),
            None => {
                if let Err(old) = self.env.use_key(name, Keyed::Scalar, Told::ByOthers, span) {
                    return Err(self.key_mismatch(name, &Keyed::Scalar, &old, span));
                }
                None
            }
        };
        Ok(Use { name, key, span })
    }

    /// Keys in brackets: several are one tuple.
    fn key(&mut self, name: &str, keys: &[ast::Expr], span: Span) -> Fallible<Expr> {
        let lowered: Vec<Fallible<Expr>> = keys.iter().map(|key| self.value(key)).collect();
        let mut lowered = lowered.into_iter().collect::<Fallible<Vec<Expr>>>()?;
        let key = if lowered.len() == 1 { lowered.remove(0) } else { tuple(lowered, span) };
        if key.ty.size() == 0 {
            let message = format!("Invalid map key type: {}", key.ty);
            return Err(self.error(Diagnostic::error(key.span, message)));
        }
        let keyed = Keyed::By(key.ty.clone());
        if let Err(old) = self.env.use_key(name, keyed.clone(), self.told(&key), span) {
            return Err(self.key_mismatch(name, &keyed, &old, span));
        }
        match self.env.map(name).map(|info| info.keyed.clone()) {
            Some(Keyed::By(ty)) if join(&key.ty, &ty).is_some() => {
                if ty.size() < key.ty.size() {
                    self.report_cut(name, span);
                }
                self.warn_of_sign(&key, &ty);
                Ok(converted(key, &ty))
            }
            _ => Err(super::Reported),
        }
    }

    /// Told once for a map, at its first use.
    fn report_cut(&mut self, name: &str, span: Span) {
        let first = self.env.map(name).map_or(span, |info| info.key_span);
        let message = format!("long texts in the keys of {name} are cut: this kernel takes keys of at most 512 bytes");
        let hint = "str(..., N) makes shorter texts; kernels since 5.11 take longer keys";
        self.env.report(Diagnostic::warning(first, message).hint(hint));
    }

    fn key_mismatch(&mut self, name: &str, new: &Keyed, old: &Keyed, span: Span) -> super::Reported {
        let first = self.env.map(name).map_or(span, |info| info.key_span);
        let diagnostic = match (new, old) {
            (Keyed::By(new), Keyed::By(old)) => Diagnostic::error(
                span,
                format!("Argument mismatch for {name}: trying to access with arguments: '{new}' when map expects arguments: '{old}'"),
            ),
            (Keyed::By(_), _) => Diagnostic::error(
                span,
                format!("{name} used as a map with an explicit key (non-scalar map), previously used without an explicit key (scalar map)"),
            )
            .hint(format!("leave the key out, or use another map: {name}2[...]")),
            (Keyed::Scalar, _) => Diagnostic::error(
                span,
                format!("{name} used as a map without an explicit key (scalar map), previously used with an explicit key (non-scalar map)"),
            )
            .hint(format!("give the key: {name}[...]")),
        };
        self.error(self.with_advice(name, diagnostic.label(first, "first used here")))
    }

    /// What can be done about a map whose type is no longer this program's to choose.
    fn with_advice(&self, name: &str, mismatch: Diagnostic) -> Diagnostic {
        if self.env.is_established(name) {
            let hint = format!("{name} exists already; use another name, or :stop what uses it and :clear {name}");
            mismatch.hint(hint)
        } else {
            mismatch
        }
    }

    fn value_mismatch(&mut self, at: &Use<'_>, new: &MapValue, old: &MapValue, span: Span) -> super::Reported {
        let name = at.name;
        let first = self.env.map(name).map_or(span, |info| info.value_span);
        let message = match (new, old) {
            (MapValue::Aggregate(Aggregate::Hist { .. }), MapValue::Aggregate(Aggregate::Hist { .. })) => {
                "Different bits in a single hist unsupported".to_string()
            }
            (MapValue::Aggregate(Aggregate::LHist { .. }), MapValue::Aggregate(Aggregate::LHist { .. })) => {
                "Different lhist bounds in a single map unsupported".to_string()
            }
            (MapValue::Aggregate(Aggregate::Heat { .. }), MapValue::Aggregate(Aggregate::Heat { .. })) => {
                "Different heatmap intervals or bits in a single map unsupported".to_string()
            }
            (MapValue::Aggregate(Aggregate::Series { .. }), MapValue::Aggregate(Aggregate::Series { .. })) => {
                "Different tseries bounds in a single map unsupported".to_string()
            }
            (MapValue::Plain(Type::Timestamp(new)), MapValue::Plain(Type::Timestamp(old))) => {
                two_formats(name, new, old)
            }
            _ => format!(
                "Type mismatch for {name}: trying to assign value of type '{new}' when map already has a type '{old}'"
            ),
        };
        let mismatch = Diagnostic::error(span, message).label(first, "its type comes from here");
        self.error(self.with_advice(name, mismatch))
    }

    pub(super) fn undefined(&mut self, name: &str, span: Span) -> super::Reported {
        let diagnostic = Diagnostic::error(span, format!("Undefined map: {name}"));
        // Otherwise the map may only be assigned further down, and nobody is told what this pass finds.
        let diagnostic = if self.env.may_be_last_pass() { diagnostic.hint(self.instead_of(name)) } else { diagnostic };
        self.env.report_undefined(name, diagnostic);
        super::Reported
    }

    fn instead_of(&self, undefined: &str) -> String {
        let names = self.env.map_names();
        match names::nearest(undefined, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("nothing is ever assigned to it: {undefined} = ...; or {undefined}[key] = ...;"),
        }
    }
}

/// The key of a part of a value that is spread over several entries (see [`crate::plan::Map::is_parted`]).
pub fn part_key(key: Option<Expr>, part: Expr) -> Expr {
    let span = part.span;
    match key {
        Some(key) => tuple(vec![key, part], span),
        None => part,
    }
}

/// The name of the aggregation called, if the value is such a call.
fn aggregation(value: &ast::Expr) -> Option<&ast::Name> {
    let ast::ExprKind::Call { name, .. } = &*value.kind else { return None };
    let builtin = builtins::find(&name.text)?;
    matches!(builtin.lower, Lower::Aggregation(_)).then_some(name)
}
