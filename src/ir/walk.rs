//! Ways through the tree: what is directly part of a statement or an expression, and everything below.

use super::{Block, Expr, ExprKind, Stmt, StmtKind};

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

impl Expr {
    /// This and what it is made of, without what stands in statements.
    fn walk_direct(&self, f: &mut dyn FnMut(&Expr)) {
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
        match &*self.kind {
            ExprKind::Call(_, args) | ExprKind::Invoke { args, .. } => args.iter().for_each(f),
            ExprKind::Unary(_, of)
            | ExprKind::Convert(of)
            | ExprKind::Resize(of)
            | ExprKind::StrLen(of)
            | ExprKind::Terminate(of)
            | ExprKind::Reinterpret(of)
            | ExprKind::Location(of)
            | ExprKind::Seq(_, of) => f(of),
            ExprKind::Bits { value, .. }
            | ExprKind::Log2Bucket { value, .. }
            | ExprKind::LinearBucket { value, .. } => f(value),
            ExprKind::Field { base, .. } => f(base),
            ExprKind::Load { addr, .. } => f(addr),
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
                f(left);
                f(right);
            }
            ExprKind::MapHas { key, .. } => f(key),
            ExprKind::MapGet { key, .. }
            | ExprKind::MapDelete { key, .. }
            | ExprKind::MapAddress { key, .. }
            | ExprKind::Merge { key, .. } => {
                key.iter().for_each(f);
            }
            ExprKind::SlotSum { key, index, .. } => {
                key.iter().for_each(&mut *f);
                f(index);
            }
            ExprKind::ReadStr { addr, max } => {
                f(addr);
                max.iter().for_each(f);
            }
            ExprKind::Cond { cond, then, otherwise } => {
                f(cond);
                f(then);
                f(otherwise);
            }
            ExprKind::Compose(parts) => parts.iter().for_each(|(_, part)| f(part)),
            ExprKind::Int(_)
            | ExprKind::Ctx
            | ExprKind::OutputFile
            | ExprKind::CtxLoad { .. }
            | ExprKind::NamespacedPid { .. }
            | ExprKind::MapLen(_)
            | ExprKind::Stack { .. }
            | ExprKind::StackLen { .. }
            | ExprKind::Var(_)
            | ExprKind::Address(_)
            | ExprKind::Zero
            | ExprKind::Str(_)
            | ExprKind::Bytes(_)
            | ExprKind::FromTask { .. }
            | ExprKind::Comm => {}
        }
    }
}

impl Stmt {
    /// Each expression that stands directly in the statement.
    pub fn each_expr(&self, f: &mut dyn FnMut(&Expr)) {
        match &self.kind {
            StmtKind::Eval(value) | StmtKind::Set(_, value) => f(value),
            StmtKind::MapSet { key, value, .. } => {
                key.iter().for_each(&mut *f);
                f(value);
            }
            StmtKind::Update { key, steps, .. } => {
                key.iter().for_each(&mut *f);
                for step in steps {
                    f(&step.index);
                    f(&step.value);
                }
            }
            StmtKind::Emit { values, .. } => values.iter().for_each(f),
            StmtKind::If { cond, .. } | StmtKind::While { cond, .. } => f(cond),
            StmtKind::For { from, to, .. } => {
                f(from);
                f(to);
            }
            StmtKind::Return(value) => value.iter().for_each(f),
            StmtKind::ForMap { .. }
            | StmtKind::Count(_)
            | StmtKind::Announce(_)
            | StmtKind::Break
            | StmtKind::Continue
            | StmtKind::Block(_) => {}
        }
    }

    /// Each block that is part of the statement (those within its expressions are not).
    pub fn each_block(&self, f: &mut dyn FnMut(&Block)) {
        match &self.kind {
            StmtKind::If { then, otherwise, .. } => {
                f(then);
                f(otherwise);
            }
            StmtKind::For { body, .. } | StmtKind::ForMap { body, .. } | StmtKind::While { body, .. } => f(body),
            StmtKind::Block(block) => f(block),
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
    }
}
