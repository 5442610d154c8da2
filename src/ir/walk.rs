//! Ways through the tree: what is directly part of a statement or an expression, and everything below.

use super::{Block, Expr, ExprKind, Step, Stmt, StmtKind};

/// Every expression of a block, however deep.
pub fn walk(block: &Block, f: &mut dyn FnMut(&Expr)) {
    for statement in block {
        statement.each_expr(&mut |expr| expr.walk(f));
        statement.each_block(&mut |block| walk(block, f));
    }
}

/// Every statement of a block, however deep, those within expressions included.
pub fn walk_statements(block: &Block, f: &mut dyn FnMut(&Stmt)) {
    for statement in block {
        f(statement);
        statement.each_block(&mut |block| walk_statements(block, f));
        statement.each_expr(&mut |expr| {
            expr.walk_direct(&mut |expr| {
                if let ExprKind::Seq(block, _) = &*expr.kind {
                    walk_statements(block, f);
                }
            });
        });
    }
}

/// Offers every expression of a block to be replaced, parts before the whole.
pub fn rewrite(block: &mut Block, f: &mut dyn FnMut(&mut Expr)) {
    for statement in block {
        statement.each_expr_mut(&mut |expr| expr.rewrite(f));
        statement.each_block_mut(&mut |block| rewrite(block, f));
    }
}

/// The parts of each kind of expression and statement, once for looking at them and once for changing them: `$each` is `iter` or
/// `iter_mut`.
macro_rules! parts_of_expr {
    ($kind:expr, $each:ident, $f:ident) => {
        match $kind {
            ExprKind::Call(_, args) | ExprKind::Invoke { args, .. } | ExprKind::OfObject { args, .. } => {
                args.$each().for_each($f)
            }
            ExprKind::Unary(_, of)
            | ExprKind::Convert(of)
            | ExprKind::Resize(of)
            | ExprKind::StrLen(of)
            | ExprKind::Terminate(of)
            | ExprKind::Reinterpret(of)
            | ExprKind::Location(of)
            | ExprKind::Seq(_, of)
            | ExprKind::Bits { value: of, .. }
            | ExprKind::Log2Bucket { value: of, .. }
            | ExprKind::LinearBucket { value: of, .. }
            | ExprKind::Field { base: of, .. }
            | ExprKind::Load { addr: of, .. }
            | ExprKind::Follow { from: of, .. }
            | ExprKind::PathName { base: of, .. }
            | ExprKind::MapHas { key: of, .. } => $f(of),
            ExprKind::Binary { left, right, .. }
            | ExprKind::Compare { left, right, .. }
            | ExprKind::StrCompare { left, right, .. }
            | ExprKind::And(left, right)
            | ExprKind::Or(left, right)
            | ExprKind::ReadBuf { addr: left, len: right }
            | ExprKind::Element { base: left, index: right, .. }
            | ExprKind::MemCompare { left, right, .. }
            | ExprKind::StrConcat(left, right)
            | ExprKind::StrFind { hay: left, needle: right }
            | ExprKind::StrContains { hay: left, needle: right } => {
                $f(left);
                $f(right);
            }
            ExprKind::MapGet { key, .. }
            | ExprKind::MapDelete { key, .. }
            | ExprKind::PerCpuAddress { cpu: key, .. }
            | ExprKind::MapAddress { key, .. }
            | ExprKind::Merge { key, .. } => key.$each().for_each($f),
            ExprKind::SlotSum { key, index, .. } => {
                key.$each().for_each(&mut *$f);
                $f(index);
            }
            ExprKind::ReadStr { addr, max } => {
                $f(addr);
                max.$each().for_each($f);
            }
            ExprKind::Cond { cond, then, otherwise } => {
                $f(cond);
                $f(then);
                $f(otherwise);
            }
            ExprKind::Compose(parts) => parts.$each().for_each(|(_, part)| $f(part)),
            ExprKind::Int(_)
            | ExprKind::Ctx
            | ExprKind::OutputFile
            | ExprKind::CtxLoad { .. }
            | ExprKind::NamespacedPid { .. }
            | ExprKind::InCgroup(_)
            | ExprKind::FuncResult
            | ExprKind::MapLen(_)
            | ExprKind::Handle(_)
            | ExprKind::Stack { .. }
            | ExprKind::StackLen { .. }
            | ExprKind::Var(_)
            | ExprKind::Address(_)
            | ExprKind::Zero
            | ExprKind::Str(_)
            | ExprKind::Bytes(_)
            | ExprKind::Comm => {}
        }
    };
}

macro_rules! exprs_of_stmt {
    ($kind:expr, $each:ident, $f:ident) => {
        match $kind {
            StmtKind::Eval(value)
            | StmtKind::Set(_, value)
            | StmtKind::If { cond: value, .. }
            | StmtKind::While { cond: value, .. } => $f(value),
            StmtKind::MapSet { key, value, .. } => {
                key.$each().for_each(&mut *$f);
                $f(value);
            }
            StmtKind::Update { key, steps, .. } => {
                key.$each().for_each(&mut *$f);
                for step in steps.$each() {
                    let Step { index, value, .. } = step;
                    $f(index);
                    $f(value);
                }
            }
            StmtKind::Emit { values, .. } => values.$each().for_each($f),
            StmtKind::For { from, to, .. } => {
                $f(from);
                $f(to);
            }
            StmtKind::Return(value) => value.$each().for_each($f),
            StmtKind::ForMap { .. }
            | StmtKind::Count(_)
            | StmtKind::Announce(_)
            | StmtKind::Break
            | StmtKind::Continue
            | StmtKind::Block(_) => {}
        }
    };
}

macro_rules! blocks_of_stmt {
    ($kind:expr, $f:ident) => {
        match $kind {
            StmtKind::If { then, otherwise, .. } => {
                $f(then);
                $f(otherwise);
            }
            StmtKind::For { body, .. }
            | StmtKind::ForMap { body, .. }
            | StmtKind::While { body, .. }
            | StmtKind::Block(body) => $f(body),
            StmtKind::Eval(_)
            | StmtKind::Set(..)
            | StmtKind::MapSet { .. }
            | StmtKind::Update { .. }
            | StmtKind::Count(_)
            | StmtKind::Announce(_)
            | StmtKind::Emit { .. }
            | StmtKind::Break
            | StmtKind::Continue
            | StmtKind::Return(_) => {}
        }
    };
}
impl Expr {
    /// This and what it is made of, without what stands in statements.
    pub fn walk_direct(&self, f: &mut dyn FnMut(&Expr)) {
        f(self);
        self.each_child(&mut |child| child.walk_direct(f));
    }

    /// This and every expression in it, those of statements included.
    pub fn walk(&self, f: &mut dyn FnMut(&Expr)) {
        f(self);
        if let ExprKind::Seq(block, _) = &*self.kind {
            walk(block, f);
        }
        self.each_child(&mut |child| child.walk(f));
    }

    /// Whether it matters when, and how often, this is evaluated: it changes or counts something, or gives something else each time.
    pub fn has_effects(&self) -> bool {
        let mut found = false;
        self.walk(&mut |expr| {
            found |= match &*expr.kind {
                ExprKind::Call(helper, _) => !helper.is_constant(),
                ExprKind::Seq(..)
                | ExprKind::Invoke { .. }
                | ExprKind::MapDelete { .. }
                | ExprKind::Stack { .. }
                | ExprKind::Element { .. } => true,
                ExprKind::Binary { zero, .. } => zero.is_some(),
                _ => false,
            };
        });
        found
    }

    /// Each expression that is directly part of this one (those within the statements of a `Seq` are not).
    pub fn each_child(&self, f: &mut dyn FnMut(&Expr)) {
        parts_of_expr!(&*self.kind, iter, f);
    }

    fn each_child_mut(&mut self, f: &mut dyn FnMut(&mut Expr)) {
        parts_of_expr!(&mut *self.kind, iter_mut, f);
    }

    fn rewrite(&mut self, f: &mut dyn FnMut(&mut Expr)) {
        if let ExprKind::Seq(block, _) = &mut *self.kind {
            rewrite(block, f);
        }
        self.each_child_mut(&mut |child| child.rewrite(f));
        f(self);
    }
}

impl Stmt {
    /// Each expression that stands directly in the statement.
    pub fn each_expr(&self, f: &mut dyn FnMut(&Expr)) {
        exprs_of_stmt!(&self.kind, iter, f);
    }

    /// Each block that is part of the statement (those within its expressions are not).
    pub fn each_block(&self, f: &mut dyn FnMut(&Block)) {
        blocks_of_stmt!(&self.kind, f);
    }

    fn each_expr_mut(&mut self, f: &mut dyn FnMut(&mut Expr)) {
        exprs_of_stmt!(&mut self.kind, iter_mut, f);
    }

    fn each_block_mut(&mut self, f: &mut dyn FnMut(&mut Block)) {
        blocks_of_stmt!(&mut self.kind, f);
    }
}
