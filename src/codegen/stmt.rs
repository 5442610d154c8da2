//! Statements.

use super::memory::Padding;
use super::state::{FunctionRole, Gen, Generated, Loop, Returns, Storage};
use crate::bpf::asm::{Base, Operand, Place};
use crate::ir::{Block, Expr, ExprKind, Stmt, StmtKind, VarId};
use crate::types::Type;

impl Gen<'_> {
    pub fn block(&mut self, block: &Block) -> Generated<()> {
        for statement in block {
            if !self.asm.is_reachable() {
                break;
            }
            self.asm.at(statement.span);
            self.with_temporaries(|code| code.statement(statement))?;
        }
        Ok(())
    }

    fn statement(&mut self, statement: &Stmt) -> Generated<()> {
        match &statement.kind {
            StmtKind::Eval(value) => self.effect(value),
            StmtKind::Set(var, value) => self.set(*var, value),
            StmtKind::MapSet { map, key, value, refused } => self.map_set(*map, key.as_ref(), value, *refused),
            StmtKind::Update { map, key, steps, refused } => self.update(*map, key.as_ref(), steps, *refused),
            StmtKind::Count(counter) => {
                self.count(*counter);
                Ok(())
            }
            StmtKind::Announce(seen) => {
                self.announce(*seen)?;
                Ok(())
            }
            StmtKind::Emit { action, values, lost } => self.emit(*action, values, *lost),
            StmtKind::If { cond, then, otherwise } if otherwise.is_empty() => {
                let done = self.asm.label();
                self.branch_unless(cond, done)?;
                self.enter();
                self.block(then)?;
                self.leave();
                self.asm.place(done);
                Ok(())
            }
            StmtKind::If { cond, then, otherwise } => {
                self.branches(cond, |code| code.block(then), |code| code.block(otherwise))
            }
            StmtKind::For { var, from, to, body, bound } => self.for_range(*var, from, to, body, *bound),
            StmtKind::ForMap { map, key, value, body } => self.for_map(*map, *key, *value, body),
            StmtKind::While { cond, body } => self.while_loop(cond, body),
            StmtKind::Break => self.leave_loop(Leave::Break),
            StmtKind::Continue => self.leave_loop(Leave::Continue),
            StmtKind::Return(value) => self.leave_with(value.as_ref()),
            StmtKind::Block(block) => self.block(block),
        }
    }

    fn effect(&mut self, value: &Expr) -> Generated<()> {
        match &*value.kind {
            ExprKind::Seq(block, value) => {
                self.block(block)?;
                self.effect(value)
            }
            _ if value.ty.is_scalar() || value.ty == Type::Void => self.scalar(value).map(|_| ()),
            _ => self.place_of(value).map(|_| ()),
        }
    }

    pub fn set(&mut self, var: VarId, value: &Expr) -> Generated<()> {
        match self.storage(var) {
            Storage::Register(variable) => {
                let value = self.scalar(value)?;
                self.asm.set(variable, value);
            }
            Storage::Memory(place) if value.ty.is_scalar() => {
                let number = self.scalar(value)?;
                self.store_scalar(&value.ty, place, number);
            }
            Storage::Memory(place) => self.assign_memory(place, value)?,
        }
        Ok(())
    }

    /// The new value may be made of the old one, so anything but a plain read is built elsewhere first.
    fn assign_memory(&mut self, place: Place, value: &Expr) -> Generated<()> {
        use crate::ir::ExprKind::{Bytes, Comm, Follow, Load, MapGet, ReadBuf, ReadStr, Str, Zero};
        if matches!(
            *value.kind,
            Str(_)
                | Bytes(_)
                | Zero
                | Comm
                | Follow { .. }
                | ReadStr { .. }
                | ReadBuf { .. }
                | Load { .. }
                | MapGet { .. }
        ) {
            return self.write(value, place, Padding::Zeros);
        }
        let built = self.place_of(value)?;
        self.copy(place, built, value.ty.size());
        Ok(())
    }

    fn leave_loop(&mut self, how: Leave) -> Generated<()> {
        match (self.loops.last().copied(), how) {
            (Some(Loop::Native { next, .. }), Leave::Continue) => self.asm.jump(next),
            (Some(Loop::Native { end, .. }), Leave::Break) => self.asm.jump(end),
            (Some(Loop::Callback), Leave::Continue) => self.asm.exit(Operand::Imm(0)),
            (Some(Loop::Callback), Leave::Break) => self.asm.exit(Operand::Imm(1)),
            // The checker lets no break or continue stand outside of a loop.
            (None, _) => {}
        }
        Ok(())
    }

    /// `return`: ends the program, or the function of the script.
    fn leave_with(&mut self, value: Option<&Expr>) -> Generated<()> {
        let result = match (value, self.function.returns) {
            (Some(value), Returns::Memory(address)) => {
                self.write(value, Place::new(Base::Reg(address), 0), Padding::Zeros)?;
                Operand::Imm(0)
            }
            (Some(value), Returns::Status | Returns::Number) => self.scalar(value)?,
            (None, _) => Operand::Imm(0),
        };
        match self.function.role {
            FunctionRole::Main | FunctionRole::Called => self.exit(result),
            FunctionRole::LoopBody => self.return_from_loop(result),
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Leave {
    Break,
    Continue,
}
