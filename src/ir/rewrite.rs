//! Expressions replaced throughout a body.

use super::{Block, Expr, ExprKind, Stmt, StmtKind};

/// Offers every expression of a block to be replaced, parts before the whole.
pub fn rewrite(block: &mut Block, f: &mut dyn FnMut(&mut Expr)) {
    for statement in block {
        values(statement).into_iter().for_each(|value| in_expr(value, f));
        blocks(statement).into_iter().for_each(|block| rewrite(block, f));
    }
}

fn in_expr(expr: &mut Expr, f: &mut dyn FnMut(&mut Expr)) {
    if let ExprKind::Seq(block, _) = &mut *expr.kind {
        rewrite(block, f);
    }
    parts(expr).into_iter().for_each(|part| in_expr(part, f));
    f(expr);
}

/// What stands directly in a statement.
fn values(statement: &mut Stmt) -> Vec<&mut Expr> {
    match &mut statement.kind {
        StmtKind::Eval(value)
        | StmtKind::Set(_, value)
        | StmtKind::If { cond: value, .. }
        | StmtKind::While { cond: value, .. } => vec![value],
        StmtKind::MapSet { key, value, .. } => key.iter_mut().chain([value]).collect(),
        StmtKind::Update { key, steps, .. } => {
            let steps = steps.iter_mut().flat_map(|step| [&mut step.index, &mut step.value]);
            key.iter_mut().chain(steps).collect()
        }
        StmtKind::Emit { values, .. } => values.iter_mut().collect(),
        StmtKind::For { from, to, .. } => vec![from, to],
        StmtKind::Return(value) => value.iter_mut().collect(),
        StmtKind::ForMap { .. }
        | StmtKind::Count(_)
        | StmtKind::Announce(_)
        | StmtKind::Break
        | StmtKind::Continue
        | StmtKind::Block(_) => Vec::new(),
    }
}

fn blocks(statement: &mut Stmt) -> Vec<&mut Block> {
    match &mut statement.kind {
        StmtKind::If { then, otherwise, .. } => vec![then, otherwise],
        StmtKind::For { body, .. }
        | StmtKind::ForMap { body, .. }
        | StmtKind::While { body, .. }
        | StmtKind::Block(body) => vec![body],
        StmtKind::Eval(_)
        | StmtKind::Set(..)
        | StmtKind::MapSet { .. }
        | StmtKind::Update { .. }
        | StmtKind::Count(_)
        | StmtKind::Announce(_)
        | StmtKind::Emit { .. }
        | StmtKind::Break
        | StmtKind::Continue
        | StmtKind::Return(_) => Vec::new(),
    }
}

/// What an expression is made of, statements aside.
fn parts(expr: &mut Expr) -> Vec<&mut Expr> {
    match &mut *expr.kind {
        ExprKind::Call(_, args) | ExprKind::Invoke { args, .. } => args.iter_mut().collect(),
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
        | ExprKind::MapHas { key: of, .. } => vec![of],
        ExprKind::Binary { left, right, .. }
        | ExprKind::Compare { left, right, .. }
        | ExprKind::StrCompare { left, right, .. }
        | ExprKind::And(left, right)
        | ExprKind::Or(left, right)
        | ExprKind::ReadBuf { addr: left, len: right }
        | ExprKind::MemCompare { left, right, .. }
        | ExprKind::StrConcat(left, right)
        | ExprKind::StrFind { hay: left, needle: right }
        | ExprKind::Element { base: left, index: right, .. }
        | ExprKind::StrContains { hay: left, needle: right } => vec![left, right],
        ExprKind::MapGet { key, .. }
        | ExprKind::MapDelete { key, .. }
        | ExprKind::MapAddress { key, .. }
        | ExprKind::Merge { key, .. } => key.iter_mut().collect(),
        ExprKind::SlotSum { key, index, .. } => key.iter_mut().chain([index]).collect(),
        ExprKind::ReadStr { addr, max } => std::iter::once(addr).chain(max).collect(),
        ExprKind::Cond { cond, then, otherwise } => vec![cond, then, otherwise],
        ExprKind::Compose(parts) => parts.iter_mut().map(|(_, part)| part).collect(),
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
        | ExprKind::Comm => Vec::new(),
    }
}
