//! Loops over the entries of a map.

use super::convert::tuple;
use super::cx::{Local, Scope};
use super::env::{Keyed, VarKey};
use super::{Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{self, Block, Expr, ExprKind, Stmt, StmtKind, VarId};
use crate::kernel::Feature;
use crate::source::Span;
use crate::syntax::ast;
use crate::types::{Aggregate, MapValue, Type};

/// A map that is looped over.
struct Entries {
    key: Type,
    value: MapValue,
}

impl Cx<'_> {
    /// `for ($kv : @map) { ... }`: `$kv` stands for a tuple of two variables, which hold copies of the entry's parts.
    pub(super) fn for_map(&mut self, var: &ast::Name, map: &ast::Expr, body: &[ast::Stmt]) -> Fallible<StmtKind> {
        let ast::ExprKind::Map { name, .. } = &*map.kind else { return Err(self.not_a_place(map)) };
        self.env.mention(name);
        let entries = self.entries(name, map.span)?;
        let Some(id) = self.env.map_id(name) else { return Err(self.undefined(name, map.span)) };
        let key = self.fresh(&format!("{}.0", var.text), entries.key.clone());
        let key_value = Expr::new(ExprKind::Var(key), entries.key, var.span);
        let (value, merged) = match entries.value {
            MapValue::Plain(ty) => (self.fresh(&format!("{}.1", var.text), ty), None),
            MapValue::Aggregate(of) => {
                let merged = self.merged(of, name, Some(key_value.clone()), var.span)?;
                (self.fresh(&format!("{}.1", var.text), merged.ty.clone()), Some(merged))
            }
        };
        let value_type = self.vars[value].ty.clone();
        let entry = tuple(vec![key_value, Expr::new(ExprKind::Var(value), value_type, var.span)], var.span);
        let mut body = self.entry_body(var, key, entry, body)?;
        let is_wanted = mentions(&body, value);
        let value = match merged {
            Some(merged) if is_wanted => {
                body.insert(0, Stmt::new(StmtKind::Set(value, merged), var.span));
                None
            }
            Some(_) => None,
            None => is_wanted.then_some(value),
        };
        Ok(StmtKind::ForMap { map: id, key, value, body })
    }

    /// Key and value types of a map that can be looped over.
    fn entries(&mut self, name: &str, span: Span) -> Fallible<Entries> {
        let Some(info) = self.env.map(name).cloned() else { return Err(self.undefined(name, span)) };
        let fault = match (info.keyed, info.value) {
            (Keyed::Scalar, _) => {
                format!("{name} has no explicit keys (scalar map), and cannot be used for iteration")
            }
            (_, None) => return Err(self.undefined(name, span)),
            (
                _,
                Some(
                    value @ MapValue::Aggregate(
                        Aggregate::Stats(_)
                        | Aggregate::Hist { .. }
                        | Aggregate::LHist { .. }
                        | Aggregate::Series { .. }
                        | Aggregate::Quantiles,
                    ),
                ),
            ) => format!("Loop expression does not support type: {value}"),
            (Keyed::By(_), Some(_)) if !self.kernel.has(Feature::ForEachMapElem) => {
                "for loops over maps need kernel 5.13 or later (bpf_for_each_map_elem)".to_string()
            }
            (Keyed::By(key), Some(value)) => return Ok(Entries { key, value }),
        };
        let hint = format!("print({name}) shows all of it");
        Err(self.error(Diagnostic::error(span, fault).hint(hint)))
    }

    fn entry_body(&mut self, var: &ast::Name, id: VarId, entry: Expr, body: &[ast::Stmt]) -> Fallible<Block> {
        self.no_loop_shadowing(var)?;
        let key = VarKey { clause: self.clause, group: self.group, declared: var.span };
        let local = Local { id, key, declared: None, entry: Some(entry), waiting: None };
        self.scopes.push(Scope::from([(var.text.clone(), local)]));
        let body = self.looped(body);
        self.scopes.pop();
        Ok(body)
    }
}

/// Whether the value of a variable is used anywhere in a block.
fn mentions(block: &Block, var: VarId) -> bool {
    let mut found = false;
    ir::walk(block, &mut |expr| found |= matches!(*expr.kind, ExprKind::Var(other) if other == var));
    found
}
