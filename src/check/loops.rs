//! Loops over numbers, and over the entries of a map.

use super::convert::{converted, tuple};
use super::cx::{Local, Scope};
use super::env::{Keyed, VarKey};
use super::{Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{self, Block, Expr, ExprKind, Stmt, StmtKind, VarId};
use crate::kernel::Feature;
use crate::plan::Cause;
use crate::source::Span;
use crate::syntax::ast;
use crate::types::{Aggregate, MapValue, Type};

/// Turns of a loop over numbers: as many as `bpf_loop` grants, or on kernels without it as many as the verifier walks through.
const CALLED: u32 = 1 << 23;
const WALKED: u32 = 1024;

/// Instructions that a loop may cost the verifier, which gives up after a million.
const PATIENCE: u64 = 100_000;

/// Turns that a loop with a condition is taken to have.
const FEW: u64 = 16;

/// More bytes than this are moved by a helper.
const MOVED: u32 = 256;

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
                let value = self.fresh(&format!("{}.1", var.text), merged.ty.clone());
                self.merged.push(value);
                (value, Some(merged))
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
            (_, Some(MapValue::Aggregate(of))) if matches!(of, Aggregate::Stats(_)) || of.is_distribution() => {
                format!("Loop expression does not support type: {}", MapValue::Aggregate(of))
            }
            (Keyed::By(_), Some(_)) if !self.kernel.has(Feature::ForEachMapElem) => {
                "for loops over maps need kernel 5.13 or later (bpf_for_each_map_elem)".to_string()
            }
            (Keyed::By(key), Some(value)) => return Ok(Entries { key, value }),
        };
        let hint = format!("print({name}) shows all of it");
        Err(self.error(Diagnostic::error(span, fault).hint(hint)))
    }

    pub(super) fn for_range(
        &mut self,
        var: &ast::Name,
        from: &ast::Expr,
        to: &ast::Expr,
        body: &[ast::Stmt],
        span: Span,
    ) -> Fallible<StmtKind> {
        let (from, to) = (self.range_end(from, "start"), self.range_end(to, "end"));
        self.no_loop_shadowing(var)?;
        self.scopes.push(Scope::new());
        let local = self.introduce(var, Some(Type::I64));
        let body = self.looped(body);
        self.scopes.pop();
        let (var, from, to) = (local?, from?, to?);
        let (from, to) = (converted(from, &Type::I64), converted(to, &Type::I64));
        let limit = if self.kernel.has(Feature::Loop) { CALLED } else { self.turns_to_walk(&body) };
        let bound = self.counter(Cause::LoopBound { limit }, span);
        Ok(StmtKind::For { var, from, to, body, bound })
    }

    fn range_end(&mut self, expr: &ast::Expr, which: &str) -> Fallible<Expr> {
        let value = self.value(expr)?;
        if matches!(value.ty, Type::Int(_) | Type::Bool | Type::Enum(_)) {
            return Ok(value);
        }
        let message = format!("Loop range requires an integer for the {which} value, found '{}'", value.ty);
        Err(self.error(Diagnostic::error(expr.span, message)))
    }

    /// As many turns of a loop as the verifier has patience for.
    fn turns_to_walk(&self, body: &Block) -> u32 {
        // It goes through what follows a branch from either side, unless it sees that both have come to the same.
        let turns = 2 * PATIENCE / (self.weight(body).max(1) * (2 + branches(body)));
        u32::try_from(turns).unwrap_or(u32::MAX).clamp(1, WALKED)
    }

    /// About as many instructions as the verifier goes through in a block.
    fn weight(&self, block: &Block) -> u64 {
        block.iter().map(|statement| self.weight_of(statement)).sum()
    }

    fn weight_of(&self, statement: &Stmt) -> u64 {
        let mut weight = 4;
        // What lies in memory is moved a word at a time.
        statement.each_expr(&mut |expr| expr.walk(&mut |expr| weight += 4 + u64::from(expr.ty.size().min(MOVED)) / 8));
        let turns = match &statement.kind {
            StmtKind::For { from, to, bound, .. } => {
                let limit = self.env.loop_limit(*bound);
                ir::turns(from, to).map_or(limit, |turns| limit.min(turns as u64))
            }
            StmtKind::While { .. } => FEW,
            _ => 1,
        };
        statement.each_block(&mut |block| weight += turns * self.weight(block));
        weight
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

/// Places in a block where it goes on in one of two ways.
fn branches(block: &Block) -> u64 {
    let mut count = 0;
    ir::walk(block, &mut |expr| {
        count += u64::from(matches!(*expr.kind, ExprKind::Cond { .. } | ExprKind::And(..) | ExprKind::Or(..)));
    });
    ir::walk_statements(block, &mut |statement| count += u64::from(matches!(statement.kind, StmtKind::If { .. })));
    count
}

/// Whether the value of a variable is used anywhere in a block.
fn mentions(block: &Block, var: VarId) -> bool {
    let mut found = false;
    ir::walk(block, &mut |expr| found |= matches!(*expr.kind, ExprKind::Var(other) if other == var));
    found
}
