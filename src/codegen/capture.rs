//! What loop bodies that are functions of their own share with the code around them.
//!
//! It lies in the captured frame: a piece of the stack of the main function (or the script's function), whose address every body gets. That holds the context, a
//! word that says whether a body returned from the whole program, and the variables that such a body mentions and other code, too.
//! Large ones (and all of them, on kernels whose verifier does not follow them from round to round) lie in scratch memory instead,
//! which each function finds for itself. What one body alone mentions is set anew in each round: it is the body's own.

use std::collections::BTreeMap;

use super::state::{Gen, Kept, Returns};
use crate::bpf::asm::{Base, Operand, Place, Size, VReg};
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

/// A function that code becomes part of: a loop's body, by number, or the one around all loops.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Within(u32);

const OUTERMOST: Within = Within(0);

/// What is found on the way through a program.
#[derive(Default)]
struct Found {
    /// How many loops have bodies that are functions.
    bodies: u32,
    /// The variables, each with the one that mentions it; `None` if they are several.
    vars: BTreeMap<VarId, Option<Within>>,
    /// Those among them that count the rounds of such a loop from a number that only the run tells.
    indices: Vec<VarId>,
}

impl Gen<'_> {
    /// Makes the captured frame, if any loop's body is a function.
    pub fn capture_variables(&mut self, body: &Block, params: &[(VarId, VReg)]) {
        let mut found = Found::default();
        for (param, _) in params {
            found.note(*param, OUTERMOST);
        }
        let probe = self.probe;
        self.find_captured(body, OUTERMOST, &mut found);
        if found.bodies == 0 {
            return;
        }
        let mut end = match self.function.returns {
            Returns::Status => VALUE,
            Returns::Number | Returns::Memory(_) => VALUE + 8,
        };
        for (var, _) in found.vars.iter().filter(|(_, mentions)| mentions.is_none()) {
            // What a loop starts from lies beside its index.
            let start = if found.indices.contains(var) { START } else { 0 };
            let size = probe.vars[*var].ty.size().max(1).next_multiple_of(8) + start;
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
                    if !matches!(*from.kind, ExprKind::Int(_)) {
                        found.indices.push(*var);
                        found.share(*var);
                    }
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
            ExprKind::Var(var) => found.note(*var, within),
            // The address may be used when the round is over.
            ExprKind::Address(var) if within != OUTERMOST => found.share(*var),
            ExprKind::Address(var) => found.note(*var, within),
            ExprKind::Seq(block, _) => self.find_captured(block, within, found),
            // Unwinding goes from frame to frame in such a loop.
            ExprKind::Stack { .. } => found.bodies += u32::from(is_unwound(&expr.ty)),
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
        self.bodies += 1;
        Within(self.bodies)
    }

    fn note(&mut self, var: VarId, within: Within) {
        let mentions = self.vars.entry(var).or_insert(Some(within));
        if *mentions != Some(within) {
            *mentions = None;
        }
    }

    fn share(&mut self, var: VarId) {
        self.vars.insert(var, None);
    }
}
