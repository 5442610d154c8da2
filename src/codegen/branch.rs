//! Conditions: where possible a comparison and its branch are one instruction.

use super::maps::Found;
use super::state::{Gen, Generated};
use crate::bpf::asm::{Cond, Label, Operand};
use crate::ir::{CompareOp, Expr, ExprKind, UnaryOp};
use crate::types::Sign;

impl Gen<'_> {
    /// Goes to `to` unless the condition holds.
    pub fn branch_unless(&mut self, cond: &Expr, to: Label) -> Generated<()> {
        match &*cond.kind {
            ExprKind::Unary(UnaryOp::Not, of) => self.branch_if(of, to),
            ExprKind::And(left, right) => {
                self.branch_unless(left, to)?;
                self.enter();
                let result = self.branch_unless(right, to);
                self.leave();
                result
            }
            ExprKind::Or(left, right) => {
                let holds = self.asm.label();
                self.branch_if(left, holds)?;
                self.enter();
                let result = self.branch_unless(right, to);
                self.leave();
                self.asm.place(holds);
                result
            }
            _ => self.branch_on(cond, Wanted::False, to),
        }
    }

    /// Goes to `to` if the condition holds.
    pub fn branch_if(&mut self, cond: &Expr, to: Label) -> Generated<()> {
        match &*cond.kind {
            ExprKind::Unary(UnaryOp::Not, of) => self.branch_unless(of, to),
            ExprKind::Or(left, right) => {
                self.branch_if(left, to)?;
                self.enter();
                let result = self.branch_if(right, to);
                self.leave();
                result
            }
            ExprKind::And(left, right) => {
                let fails = self.asm.label();
                self.branch_unless(left, fails)?;
                self.enter();
                let result = self.branch_if(right, to);
                self.leave();
                self.asm.place(fails);
                result
            }
            _ => self.branch_on(cond, Wanted::True, to),
        }
    }

    /// A scalar as 0 or 1.
    pub fn truth(&mut self, cond: &Expr) -> Generated<Operand> {
        let value = self.asm.variable();
        let done = self.asm.label();
        self.asm.set(value, Operand::Imm(0));
        self.branch_unless(cond, done)?;
        self.asm.set(value, Operand::Imm(1));
        self.asm.place(done);
        Ok(self.asm.get(value).into())
    }

    /// Two ways, one of which is taken.
    pub fn branches(
        &mut self,
        cond: &Expr,
        then: impl FnOnce(&mut Self) -> Generated<()>,
        otherwise: impl FnOnce(&mut Self) -> Generated<()>,
    ) -> Generated<()> {
        let (other, done) = (self.asm.label(), self.asm.label());
        self.branch_unless(cond, other)?;
        self.enter();
        then(self)?;
        self.leave();
        if self.asm.is_reachable() {
            self.asm.jump(done);
        }
        self.asm.place(other);
        self.enter();
        otherwise(self)?;
        self.leave();
        self.asm.place(done);
        Ok(())
    }

    fn branch_on(&mut self, cond: &Expr, wanted: Wanted, to: Label) -> Generated<()> {
        let (test, left, right) = match &*cond.kind {
            ExprKind::Compare { op, left, right, .. } if is_text_test(*op, left, right) => {
                return self.branch_on_text(*op, left, wanted, to);
            }
            ExprKind::Compare { op, sign, left, right } => {
                (machine(*op, *sign), self.scalar(left)?, self.scalar(right)?)
            }
            ExprKind::MapHas { map, key } => match self.look_up(*map, Some(key))? {
                Found::Maybe(pointer) => (Cond::Ne, pointer.into(), Operand::Imm(0)),
                Found::Always(_) => (Cond::Eq, Operand::Imm(0), Operand::Imm(0)),
            },
            _ => (Cond::Ne, self.scalar(cond)?, Operand::Imm(0)),
        };
        let test = match wanted {
            Wanted::True => test,
            Wanted::False => opposite(test),
        };
        self.asm.branch(test, left, right, to);
        Ok(())
    }

    /// `text == text` without making a number of it first.
    fn branch_on_text(&mut self, op: CompareOp, differs: &Expr, wanted: Wanted, to: Label) -> Generated<()> {
        let ExprKind::StrCompare { left, right, len } = &*differs.kind else { return Ok(()) };
        let to_if_different = (op == CompareOp::Ne) == (wanted == Wanted::True);
        if to_if_different {
            return self.branch_if_different(left, right, *len, to);
        }
        let different = self.asm.label();
        self.branch_if_different(left, right, *len, different)?;
        self.asm.jump(to);
        self.asm.place(different);
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    True,
    False,
}

fn is_text_test(op: CompareOp, left: &Expr, right: &Expr) -> bool {
    let is_equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
    is_equality && matches!((&*left.kind, &*right.kind), (ExprKind::StrCompare { .. }, ExprKind::Int(0)))
}

fn machine(op: CompareOp, sign: Sign) -> Cond {
    match (op, sign) {
        (CompareOp::Eq, _) => Cond::Eq,
        (CompareOp::Ne, _) => Cond::Ne,
        (CompareOp::Lt, Sign::Unsigned) => Cond::Lt,
        (CompareOp::Le, Sign::Unsigned) => Cond::Le,
        (CompareOp::Gt, Sign::Unsigned) => Cond::Gt,
        (CompareOp::Ge, Sign::Unsigned) => Cond::Ge,
        (CompareOp::Lt, Sign::Signed) => Cond::SLt,
        (CompareOp::Le, Sign::Signed) => Cond::SLe,
        (CompareOp::Gt, Sign::Signed) => Cond::SGt,
        (CompareOp::Ge, Sign::Signed) => Cond::SGe,
    }
}

fn opposite(test: Cond) -> Cond {
    match test {
        Cond::Eq => Cond::Ne,
        Cond::Ne | Cond::Set => Cond::Eq,
        Cond::Lt => Cond::Ge,
        Cond::Le => Cond::Gt,
        Cond::Gt => Cond::Le,
        Cond::Ge => Cond::Lt,
        Cond::SLt => Cond::SGe,
        Cond::SLe => Cond::SGt,
        Cond::SGt => Cond::SLe,
        Cond::SGe => Cond::SLt,
    }
}
