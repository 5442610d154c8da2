//! Statements: declarations, assignments, branches and loops.

use super::convert::{Told, converted};
use super::cx::{Local, Scope};
use super::declare::{fits, grows};
use super::env::VarKey;
use super::operators::constant;
use super::{Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{Block, Expr, ExprKind, Stmt, StmtKind, VarId};
use crate::source::Span;
use crate::syntax::ast::{self, BinaryOp};
use crate::types::{Aggregate, MapValue, Sign, Type};

impl Cx<'_> {
    /// Lowers a block in a scope of its own. Statements at fault are left out: their faults are recorded.
    pub(super) fn block(&mut self, statements: &[ast::Stmt]) -> Block {
        self.scopes.push(Scope::new());
        let block = self.statements(statements);
        self.close_scope();
        block
    }

    pub(super) fn statements(&mut self, statements: &[ast::Stmt]) -> Block {
        let mut block = Block::new();
        for (position, statement) in statements.iter().enumerate() {
            let errors = self.env.errors();
            match (self.statement(statement), assigned_name(statement)) {
                (Ok(lowered), _) => block.extend(lowered),
                (Err(_), Some(name)) if self.env.errors() > errors => self.env.spoil(name),
                (Err(_), _) => {}
            }
            if ends_here(statement) {
                if let Some(next) = statements.get(position + 1) {
                    self.warn(next.span, "Unreachable statement.");
                }
                break;
            }
        }
        block
    }

    fn statement(&mut self, statement: &ast::Stmt) -> Fallible<Option<Stmt>> {
        let span = statement.span;
        let kind = match &statement.kind {
            ast::StmtKind::Expr(expr) => return self.effect(expr).map(Some),
            ast::StmtKind::Let { name, ty, value } => return self.declare(name, ty.as_ref(), value.as_ref(), span),
            ast::StmtKind::Assign { place, op, value } => return self.assign(place, *op, value, span).map(Some),
            ast::StmtKind::If { cond, then, otherwise } => {
                let otherwise = otherwise.as_deref().unwrap_or_default();
                let (decision, cond) = self.decided(cond);
                match decision {
                    Some(true) => StmtKind::Block(self.block(then)),
                    Some(false) => StmtKind::Block(self.block(otherwise)),
                    None => {
                        let (then, otherwise) = (self.block(then), self.block(otherwise));
                        StmtKind::If { cond: cond?, then, otherwise }
                    }
                }
            }
            ast::StmtKind::Unroll { count, body } => self.unroll(count, body)?,
            ast::StmtKind::While { cond, body } => {
                self.report(
                    Diagnostic::warning(span, "While loops are deprecated and may be removed in the future.")
                        .hint("a range loop says how often it runs: for ($i : 0..10) { ... }"),
                );
                let cond = self.condition(cond);
                let body = self.looped(body);
                StmtKind::While { cond: cond?, body }
            }
            ast::StmtKind::ForRange { var, from, to, body } => self.for_range(var, from, to, body, span)?,
            ast::StmtKind::ForMap { var, map, body } => self.for_map(var, map, body)?,
            ast::StmtKind::Break => self.only_in_loop("break", span, StmtKind::Break)?,
            ast::StmtKind::Continue => self.only_in_loop("continue", span, StmtKind::Continue)?,
            ast::StmtKind::Return(value) => self.return_from(value.as_ref(), span)?,
            ast::StmtKind::Block(body) => StmtKind::Block(self.block(body)),
            ast::StmtKind::Import(_) => {
                let fault = Diagnostic::error(span, "Import statements that are not at the top level are not possible");
                return Err(self.error(fault.hint(
                    "what they could import needs a compiler; scripts and C headers are imported before the probes",
                )));
            }
        };
        Ok(Some(Stmt::new(kind, span)))
    }

    /// An expression for its effect.
    fn effect(&mut self, expr: &ast::Expr) -> Fallible<Stmt> {
        if let ast::ExprKind::Step { target, .. } = &*expr.kind
            && !matches!(*target.kind, ast::ExprKind::Var(_) | ast::ExprKind::Map { .. })
        {
            return Err(self.not_a_place(target));
        }
        let value = self.any(expr)?;
        let is_action = matches!(&*expr.kind, ast::ExprKind::Step { .. });
        let is_delete = matches!(*value.kind, ExprKind::MapDelete { .. });
        if value.ty != Type::Void && !is_action && !is_delete {
            self.warn(expr.span, "Return value discarded.");
        }
        Ok(Stmt::new(StmtKind::Eval(value), expr.span))
    }

    fn only_in_loop(&mut self, word: &str, span: Span, kind: StmtKind) -> Fallible<StmtKind> {
        if self.loops == 0 {
            let message = format!("'{word}' statement is not allowed in a probe");
            return Err(
                self.error(Diagnostic::error(span, message).hint("it belongs into a loop: for ($i : 0..10) { ... }"))
            );
        }
        Ok(kind)
    }

    pub(super) fn looped(&mut self, body: &[ast::Stmt]) -> Block {
        self.loops += 1;
        let body = self.block(body);
        self.loops -= 1;
        body
    }

    fn unroll(&mut self, count: &ast::Expr, body: &[ast::Stmt]) -> Fallible<StmtKind> {
        let value = self.value(count)?;
        let Some(times) = constant(&value) else {
            let diagnostic = Diagnostic::error(count.span, "invalid unroll value: it must be a literal number");
            return Err(self.error(diagnostic.hint("as many turns as a variable says: for ($i : 0..$n) { ... }")));
        };
        if times < 1 {
            let diagnostic = Diagnostic::error(count.span, "unroll minimum value is 1");
            return Err(self.error(diagnostic.hint("leave the statement out, or put it into an `if`")));
        }
        if times > 100 {
            let diagnostic = Diagnostic::error(count.span, "unroll maximum value is 100");
            return Err(self.error(diagnostic.hint(format!("loop at run time: for ($i : 0..{times}) {{ ... }}"))));
        }
        let copies = (0..times).map(|_| {
            let span = count.span;
            Stmt::new(StmtKind::Block(self.block(body)), span)
        });
        Ok(StmtKind::Block(copies.collect()))
    }

    fn declare(
        &mut self,
        name: &ast::Name,
        ty: Option<&ast::TypeName>,
        value: Option<&ast::Expr>,
        span: Span,
    ) -> Fallible<Option<Stmt>> {
        let declared = ty.map(|ty| self.variable_type(ty)).transpose()?;
        let value = value.map(|value| self.assigned(value)).transpose();
        let var = self.introduce(name, declared.clone())?;
        if let (Ok(None), Some(local)) = (&value, self.local_mut(&name.text)) {
            local.waiting = Some(span);
        }
        let place = ast::Expr { kind: Box::new(ast::ExprKind::Var(name.text.clone())), span: name.span };
        match value? {
            Some(value) => self.assign_value(&place, value, span).map(Some),
            // A variable that was only declared is zero until it is assigned.
            None => Ok(self.known_type(&name.text).map(|ty| {
                let zero = Expr::new(ExprKind::Zero, ty, span);
                Stmt::new(StmtKind::Set(var, zero), span)
            })),
        }
    }

    /// What is assigned to a variable, which can be any value but a whole aggregation.
    fn assigned(&mut self, value: &ast::Expr) -> Fallible<Expr> {
        match self.aggregate_named(value) {
            Some(of) if matches!(of, Aggregate::Stats(_)) || of.is_distribution() => {
                let of = MapValue::Aggregate(of);
                let message = format!("Value '{of}' cannot be assigned to a scratch variable.");
                Err(self.error(Diagnostic::error(value.span, message)))
            }
            _ => self.value(value),
        }
    }

    fn known_type(&self, name: &str) -> Option<Type> {
        let local = self.lookup(name)?;
        self.env.var(&local.key).cloned().or_else(|| local.declared.clone())
    }

    /// The variable of a loop is a new one.
    pub(super) fn no_loop_shadowing(&mut self, name: &ast::Name) -> Fallible<()> {
        let Some(other) = self.lookup(&name.text) else { return Ok(()) };
        let first = other.key.declared;
        let message = format!("Loop declaration shadows existing variable: {}", name.text);
        let shadowing = Diagnostic::error(name.span, message).label(first, "declared here");
        Err(self.error(shadowing.hint(format!("give the loop a variable of its own: {}2", name.text))))
    }

    /// A name may be declared once in all the scopes that are open.
    fn no_shadowing(&mut self, name: &ast::Name) -> Fallible<()> {
        let Some(other) = self.lookup(&name.text) else { return Ok(()) };
        let first = other.key.declared;
        let message = format!("Variable {} was already declared. Variable shadowing is not allowed.", name.text);
        Err(self.error(Diagnostic::error(name.span, message).label(first, "declared here")))
    }

    /// Makes a variable known in the innermost scope.
    pub(super) fn introduce(&mut self, name: &ast::Name, declared: Option<Type>) -> Fallible<VarId> {
        self.no_shadowing(name)?;
        let key = VarKey { clause: self.clause, group: self.group, declared: name.span };
        let ty = self.env.var(&key).cloned().or_else(|| declared.clone()).unwrap_or(Type::Void);
        let id = self.fresh(&name.text, ty);
        let local = Local { id, key, declared, entry: None, waiting: None };
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.text.clone(), local);
        }
        Ok(id)
    }

    fn assign(&mut self, place: &ast::Expr, op: Option<BinaryOp>, value: &ast::Expr, span: Span) -> Fallible<Stmt> {
        match (&*place.kind, op) {
            (ast::ExprKind::Ident(name), None) if name == "_" => {
                let value = self.any(value)?;
                Ok(Stmt::new(StmtKind::Eval(value), span))
            }
            (ast::ExprKind::Map { .. }, None) => self.map_set(place, value),
            (ast::ExprKind::Var(_), None) => {
                let value = self.assigned(value)?;
                self.assign_value(place, value, span)
            }
            (ast::ExprKind::Map { .. } | ast::ExprKind::Var(_), Some(op)) => {
                let right = self.value(value)?;
                // A map that nothing else is assigned to starts as a number.
                let old = self.value(place).or_else(|reported| match &*place.kind {
                    ast::ExprKind::Map { name, .. } if self.env.map(name).is_some_and(|info| info.value.is_none()) => {
                        Ok(Expr::new(ExprKind::Zero, Type::I64, span))
                    }
                    _ => Err(reported),
                })?;
                // What holds literals only takes the sign of what is added, as a literal does.
                let is_unsigned = matches!(right.ty, Type::Int(int) if int.sign == Sign::Unsigned);
                let is_free = is_unsigned && self.is_literal_so_far(place);
                let old = if is_free { converted(old, &Type::U64) } else { old };
                let new = self.operate(op, old, right, span)?;
                self.assign_value(place, new, span)
            }
            _ => Err(self.not_a_place(place)),
        }
    }

    /// What a value tells of the place that it goes to; a variable that holds literals only tells what they do.
    pub(super) fn told(&self, value: &Expr) -> Told {
        let ExprKind::Var(id) = *value.kind else { return Told::by(value) };
        let local = self.lookup(&self.vars[id].name).filter(|local| local.id == id);
        match local.is_some_and(|local| self.env.is_var_literal(&local.key)) {
            true => Told::ByLiterals,
            false => Told::ByOthers,
        }
    }

    fn is_literal_so_far(&self, place: &ast::Expr) -> bool {
        match &*place.kind {
            ast::ExprKind::Map { name, .. } => self.env.is_map_literal(name),
            ast::ExprKind::Var(name) => self.lookup(name).is_some_and(|local| self.env.is_var_literal(&local.key)),
            _ => false,
        }
    }

    /// Assigns a lowered value to a variable or a map.
    pub fn assign_value(&mut self, place: &ast::Expr, value: Expr, span: Span) -> Fallible<Stmt> {
        match &*place.kind {
            ast::ExprKind::Map { name, keys } => self.map_set_value(name, keys.as_deref(), value, span),
            ast::ExprKind::Var(name) => self.assign_variable(name, place.span, value, span),
            _ => Err(self.not_a_place(place)),
        }
    }

    fn assign_variable(&mut self, name: &str, place: Span, value: Expr, span: Span) -> Fallible<Stmt> {
        if self.lookup(name).is_none() {
            self.introduce(&ast::Name { text: name.to_string(), span: place }, None)?;
        }
        let Some(local) = self.lookup(name).cloned() else { return Err(super::Reported) };
        if local.entry.is_some() {
            let diagnostic =
                Diagnostic::error(span, format!("{name} is the entry that the loop is at: it cannot be assigned"));
            return Err(self.error(diagnostic.hint("copy it into another variable, or assign to the map itself")));
        }
        let value_span = value.span;
        let joined = match &local.declared {
            Some(declared) if grows(declared, &value.ty) => self.env.assign_var(&local.key, &value.ty, Told::ByOthers),
            Some(declared) if fits(&value, declared) => self.env.assign_var(&local.key, declared, Told::ByOthers),
            Some(declared) => Err(declared.clone()),
            None => self.env.assign_var(&local.key, &value.ty, self.told(&value)),
        };
        if let Some(local) = self.local_mut(name) {
            local.waiting = None;
        }
        if let Ok(ty) = &joined {
            self.warn_of_cut(&value, ty);
        }
        let ty = joined.map_err(|old| {
            let message = match (&value.ty, &old) {
                (Type::Timestamp(new), Type::Timestamp(old)) => two_formats(name, new, old),
                (new, _) => format!(
                    "Type mismatch for {name}: trying to assign value of type '{new}' when variable already has a type '{old}'"
                ),
            };
            self.error(Diagnostic::error(value_span, message).label(local.key.declared, "its type comes from here"))
        })?;
        self.vars[local.id].ty = ty.clone();
        Ok(Stmt::new(StmtKind::Set(local.id, converted(value, &ty)), span))
    }

    pub(super) fn not_a_place(&mut self, place: &ast::Expr) -> super::Reported {
        let diagnostic = Diagnostic::error(place.span, "only variables and maps can be assigned to");
        self.error(diagnostic.hint("for example: $x = 1; or @count[pid] = 1;"))
    }
}

/// The variable or map that a statement assigns to.
fn assigned_name(statement: &ast::Stmt) -> Option<&str> {
    match &statement.kind {
        ast::StmtKind::Let { name, .. } => Some(&name.text),
        ast::StmtKind::Assign { place, .. } => match &*place.kind {
            ast::ExprKind::Var(name) | ast::ExprKind::Map { name, .. } => Some(name),
            _ => None,
        },
        _ => None,
    }
}

fn ends_here(statement: &ast::Stmt) -> bool {
    match &statement.kind {
        ast::StmtKind::Return(_) | ast::StmtKind::Break | ast::StmtKind::Continue => true,
        ast::StmtKind::Expr(expr) => matches!(&*expr.kind, ast::ExprKind::Call { name, .. } if name.text == "exit"),
        _ => false,
    }
}

/// The format of a time is part of its type, so that the kernel keeps a number only.
pub(super) fn two_formats(name: &str, new: &str, old: &str) -> String {
    format!(
        "Type mismatch for {name}: it holds times in the format \"{old}\", this one is in \"{new}\": keep the nanoseconds in it, and give the format where they are printed"
    )
}
