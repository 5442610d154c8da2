//! What loop bodies that are functions of their own share with the code around them.
//!
//! It lies in the captured frame: a piece of the stack of the main function (or the script's function), whose address every body gets. That holds the context, a
//! word that says whether a body returned from the whole program, and the variables that any such body mentions. Large ones
//! (and all of them, on kernels whose verifier does not follow them from round to round) lie in scratch memory instead, which
//! each function finds for itself.

use super::state::{Gen, Kept, Returns};
use crate::bpf::asm::{Base, Operand, Place, Size};
use crate::ir::{Block, Expr, ExprKind, Stmt, StmtKind, VarId};
use crate::kernel::Feature;
use crate::types::{Type, Unwinder};

/// In the captured frame: the context, whether the program (or the function of the script) was returned from; then the variables.
pub const CONTEXT: i32 = 0;
pub const RETURNED: i32 = 8;
/// In functions of the script that give a value: the value, or where to write it.
pub const VALUE: i32 = 16;
/// Bytes from an index to where its loop starts from.
pub const START: u32 = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Main,
    Body,
}

/// What is found on the way through a program.
#[derive(Default)]
struct Found {
    /// Whether any loop's body is a function.
    called: bool,
    vars: Vec<VarId>,
    /// Those among them that count the rounds of such a loop.
    indices: Vec<VarId>,
}

impl Gen<'_> {
    /// Makes the captured frame, if any loop's body is a function.
    pub fn capture_variables(&mut self, body: &Block) {
        let mut found = Found::default();
        let probe = self.probe;
        self.find_captured(body, Within::Main, &mut found);
        if !found.called {
            return;
        }
        let mut end = match self.function.returns {
            Returns::Status => VALUE,
            Returns::Number | Returns::Memory(_) => VALUE + 8,
        };
        for var in found.vars {
            // What a loop starts from lies beside its index.
            let start = if found.indices.contains(&var) { START } else { 0 };
            let size = probe.vars[var].ty.size().max(1).next_multiple_of(8) + start;
            // What lies in a map can be anything, as every verifier knows.
            let kept = if self.kernel.has(Feature::LoopRounds) && !self.is_large(size) {
                end += size as i32;
                Kept::Captured(end - size as i32)
            } else {
                Kept::Scratch(self.keep_scratch(size))
            };
            self.vars[var.0 as usize] = Some(kept);
        }
        let frame = self.asm.slot(end as u32);
        self.function.captured = Some(Base::Frame(frame));
        let place = |offset| Place::new(Base::Frame(frame), offset);
        let ctx = match self.function.ctx {
            Some(ctx) => self.asm.address(Place::new(ctx, 0)).into(),
            None => Operand::Imm(0),
        };
        self.asm.store(Size::B8, place(CONTEXT), ctx);
        // The verifier wants all of it written before its address is passed on.
        for offset in (RETURNED..end).step_by(8) {
            self.asm.store(Size::B8, place(offset), Operand::Imm(0));
        }
        if let Returns::Memory(address) = self.function.returns {
            self.asm.store(Size::B8, place(VALUE), address.into());
        }
    }

    fn find_captured(&self, block: &Block, within: Within, found: &mut Found) {
        for statement in block {
            self.find_in_statement(statement, within, found);
        }
    }

    fn find_in_statement(&self, statement: &Stmt, within: Within, found: &mut Found) {
        statement.each_expr(&mut |expr| self.find_in_expr(expr, within, found));
        let mut body = within;
        match &statement.kind {
            StmtKind::Set(var, _) => found.note(*var, within),
            StmtKind::For { var, from, to, .. } => {
                if self.is_called(from, to) {
                    body = found.enter_body();
                    found.indices.push(*var);
                }
                found.note(*var, body);
            }
            StmtKind::ForMap { key, value, .. } => {
                body = found.enter_body();
                found.note(*key, body);
                value.iter().for_each(|value| found.note(*value, body));
            }
            _ => {}
        }
        statement.each_block(&mut |block| self.find_captured(block, body, found));
    }

    fn find_in_expr(&self, expr: &Expr, within: Within, found: &mut Found) {
        match &*expr.kind {
            ExprKind::Var(var) | ExprKind::Address(var) => found.note(*var, within),
            ExprKind::Seq(block, _) => self.find_captured(block, within, found),
            // Unwinding goes from frame to frame in such a loop.
            ExprKind::Stack { .. } => found.called |= is_unwound(&expr.ty),
            _ => {}
        }
        expr.each_child(&mut |child| self.find_in_expr(child, within, found));
    }
}

fn is_unwound(ty: &Type) -> bool {
    matches!(ty, Type::Stack(stack) if stack.unwinder == Unwinder::Tables)
}

impl Found {
    fn enter_body(&mut self) -> Within {
        self.called = true;
        Within::Body
    }

    fn note(&mut self, var: VarId, within: Within) {
        if within == Within::Body && !self.vars.contains(&var) {
            self.vars.push(var);
        }
    }
}
