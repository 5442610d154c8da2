//! Loops: `bpf_loop` calls the body as a function where the kernel has it; otherwise jumps, which the verifier walks through.
//!
//! A body that is a function of its own reaches the variables around it through the captured frame: a piece of the main
//! function's stack, whose address every body gets. It holds the context, a word that says whether the body returned from the
//! whole program, and all variables that any such body mentions.

use super::state::{Function, FunctionRole, Gen, Generated, Loop, Storage};
use crate::bpf::Helper;
use crate::bpf::asm::{Alu, Arg, Base, Cond, Operand, Place, Size};
use crate::ir::{Block, Expr, ExprKind, Stmt, StmtKind, VarId};
use crate::kernel::Feature;
use crate::plan::{Cause, CounterId};

/// Up to so many iterations of constant number are walked through rather than called.
const FEW: i64 = 16;

/// In the captured frame: the context, whether the program was returned from; then the variables.
const CONTEXT: i32 = 0;
const RETURNED: i32 = 8;
const VARIABLES: i32 = 16;

impl Gen<'_> {
    pub fn for_range(&mut self, var: VarId, from: &Expr, to: &Expr, body: &Block, bound: CounterId) -> Generated<()> {
        if self.is_called(from, to) {
            self.called_loop(var, from, to, body)
        } else {
            self.jumping_loop(var, from, to, body, bound)
        }
    }

    /// Whether the loop's body becomes a function.
    fn is_called(&self, from: &Expr, to: &Expr) -> bool {
        self.kernel.has(Feature::Loop) && iterations(from, to).is_none_or(|count| count > FEW)
    }

    fn jumping_loop(&mut self, var: VarId, from: &Expr, to: &Expr, body: &Block, bound: CounterId) -> Generated<()> {
        let (from_value, to_value) = (self.scalar(from)?, self.scalar(to)?);
        let index = self.asm.variable();
        let last = self.asm.variable();
        self.asm.set(index, from_value);
        self.asm.set(last, to_value);
        let rounds = self.asm.variable();
        self.asm.set(rounds, Operand::Imm(0));
        let (head, next, end) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.asm.place(head);
        self.enter();
        self.asm.clobber();
        let (now, limit) = (self.asm.get(index), self.asm.get(last));
        self.asm.branch(Cond::SGe, now.into(), limit.into(), end);
        if iterations(from, to).is_none() {
            self.bound_rounds(rounds, bound, end);
        }
        self.store_index(var, now.into());
        self.loops.push(Loop::Native { next, end });
        self.block(body)?;
        self.loops.pop();
        self.asm.place(next);
        let now = self.asm.get(index);
        let following = self.asm.alu(Alu::Add, now.into(), Operand::Imm(1));
        self.asm.set(index, following);
        self.leave();
        self.asm.jump(head);
        self.asm.place(end);
        Ok(())
    }

    /// Gives up after as many rounds as the verifier can follow, and counts that.
    fn bound_rounds(&mut self, rounds: crate::bpf::asm::VReg, bound: CounterId, end: crate::bpf::asm::Label) {
        let Cause::LoopBound { limit } = self.plan.counters[bound].cause else { return };
        let so_far = self.asm.get(rounds);
        let go_on = self.asm.label();
        self.asm.branch(Cond::Lt, so_far.into(), Operand::Imm(i64::from(limit)), go_on);
        self.count(bound);
        self.asm.jump(end);
        self.asm.place(go_on);
        let more = self.asm.alu(Alu::Add, so_far.into(), Operand::Imm(1));
        self.asm.set(rounds, more);
    }

    fn store_index(&mut self, var: VarId, value: Operand) {
        match self.storage(var) {
            Storage::Register(variable) => self.asm.set(variable, value),
            Storage::Captured(offset) => {
                let place = self.captured(offset);
                self.asm.store(Size::B8, place, value);
            }
            Storage::Memory(place) => self.asm.store(Size::B8, place, value),
        }
    }

    fn called_loop(&mut self, var: VarId, from: &Expr, to: &Expr, body: &Block) -> Generated<()> {
        let (from, to) = (self.scalar(from)?, self.scalar(to)?);
        let done = self.asm.label();
        let end = self.in_register(to);
        self.asm.branch(Cond::SLe, end.into(), from, done);
        // The index counts from zero; the variable starts one below and is counted up at each round.
        let before = self.asm.alu(Alu::Sub, from, Operand::Imm(1));
        self.store_index(var, before);
        let count = self.asm.alu(Alu::Sub, to, from);
        let function = self.loop_body(var, body)?;
        let frame = self.captured(0);
        let count = match count {
            Operand::Reg(reg) => Arg::Reg(reg),
            Operand::Imm(number) => Arg::Imm(number),
        };
        self.asm.call(Helper::LOOP, &[count, Arg::Function(function), Arg::Address(frame), Arg::Imm(0)]);
        let place = self.captured(RETURNED);
        let returned = self.asm.load(Size::B8, place);
        self.asm.branch(Cond::Eq, returned.into(), Operand::Imm(0), done);
        match self.function.role {
            FunctionRole::Main => self.asm.exit(Operand::Imm(0)),
            FunctionRole::LoopBody => self.asm.exit(Operand::Imm(1)),
        }
        self.asm.place(done);
        Ok(())
    }

    fn in_register(&mut self, value: Operand) -> crate::bpf::asm::VReg {
        match value {
            Operand::Reg(reg) => reg,
            Operand::Imm(number) => self.asm.imm(number),
        }
    }

    fn loop_body(&mut self, var: VarId, body: &Block) -> Generated<crate::bpf::asm::FunctionId> {
        let outer = self.function;
        let (id, params) = self.asm.function("loop_body", 2);
        let cache = std::mem::replace(&mut self.cache, super::cache::Cache::new());
        let loops = std::mem::replace(&mut self.loops, vec![Loop::Callback]);
        let frame = Base::Reg(params[1]);
        let ctx = self.asm.load(Size::B8, Place::new(frame, CONTEXT));
        self.function =
            Function { id, ctx: Base::Reg(ctx), captured: Some(frame), scratch: None, role: FunctionRole::LoopBody };
        self.find_scratch();
        let place = self.index_place(var);
        let index = self.asm.load(Size::B8, place);
        let index = self.asm.alu(Alu::Add, index.into(), Operand::Imm(1));
        self.asm.store(Size::B8, place, index);
        self.block(body)?;
        if self.asm.is_reachable() {
            self.asm.exit(Operand::Imm(0));
        }
        self.cache = cache;
        self.loops = loops;
        self.function = outer;
        self.asm.resume(outer.id);
        Ok(id)
    }

    fn index_place(&mut self, var: VarId) -> Place {
        match self.storage(var) {
            Storage::Captured(offset) => self.captured(offset),
            Storage::Memory(place) => place,
            // Index variables of called loops are always captured.
            Storage::Register(_) => self.captured(VARIABLES),
        }
    }

    /// `return` within a called body: the loop ends, and the code around it sees the word and ends too.
    pub fn return_from_loop(&mut self) {
        let place = self.captured(RETURNED);
        self.asm.store(Size::B8, place, Operand::Imm(1));
        self.asm.exit(Operand::Imm(1));
    }

    /// A loop that the verifier must see the end of.
    pub fn while_loop(&mut self, cond: &Expr, body: &Block) -> Generated<()> {
        let (head, end) = (self.asm.label(), self.asm.label());
        self.asm.place(head);
        self.enter();
        self.asm.clobber();
        self.branch_unless(cond, end)?;
        self.loops.push(Loop::Native { next: head, end });
        self.block(body)?;
        self.loops.pop();
        self.leave();
        if self.asm.is_reachable() {
            self.asm.jump(head);
        }
        self.asm.place(end);
        Ok(())
    }

    /// Makes the captured frame, if any loop's body is a function.
    pub fn capture_variables(&mut self) {
        let mut mentioned = Vec::new();
        let probe = self.probe;
        self.find_captured(&probe.body, Within::Main, &mut mentioned);
        if mentioned.is_empty() {
            return;
        }
        let mut end = VARIABLES;
        for var in mentioned {
            self.vars[var.0 as usize] = Some(Storage::Captured(end));
            end += probe.vars[var].ty.size().max(1).next_multiple_of(8) as i32;
        }
        let frame = self.asm.slot(end as u32);
        self.function.captured = Some(Base::Frame(frame));
        let ctx = self.asm.address(Place::new(Base::Ctx, 0));
        self.asm.store(Size::B8, Place::new(Base::Frame(frame), CONTEXT), ctx.into());
        // The verifier wants all of it written before its address is passed on.
        for offset in (RETURNED..end).step_by(8) {
            self.asm.store(Size::B8, Place::new(Base::Frame(frame), offset), Operand::Imm(0));
        }
    }

    fn find_captured(&self, block: &Block, within: Within, found: &mut Vec<VarId>) {
        for statement in block {
            self.find_in_statement(statement, within, found);
        }
    }

    fn find_in_statement(&self, statement: &Stmt, within: Within, found: &mut Vec<VarId>) {
        let mut note = |var: VarId| {
            if within == Within::Body && !found.contains(&var) {
                found.push(var);
            }
        };
        if let StmtKind::Set(var, _) = &statement.kind {
            note(*var);
        }
        if let StmtKind::For { var, .. } = &statement.kind {
            note(*var);
        }
        statement.each_expr(&mut |expr| self.find_in_expr(expr, within, found));
        match &statement.kind {
            StmtKind::For { var, from, to, body, .. } => {
                let called = self.is_called(from, to);
                if called && !found.contains(var) {
                    found.push(*var);
                }
                self.find_captured(body, if called { Within::Body } else { within }, found);
            }
            StmtKind::If { then, otherwise, .. } => {
                self.find_captured(then, within, found);
                self.find_captured(otherwise, within, found);
            }
            StmtKind::While { body, .. } | StmtKind::Block(body) => self.find_captured(body, within, found),
            _ => {}
        }
    }

    fn find_in_expr(&self, expr: &Expr, within: Within, found: &mut Vec<VarId>) {
        match &*expr.kind {
            ExprKind::Var(var) if within == Within::Body && !found.contains(var) => found.push(*var),
            ExprKind::Seq(block, _) => self.find_captured(block, within, found),
            _ => {}
        }
        expr.each_child(&mut |child| self.find_in_expr(child, within, found));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Main,
    Body,
}

/// How often a loop between constants runs.
fn iterations(from: &Expr, to: &Expr) -> Option<i64> {
    match (&*from.kind, &*to.kind) {
        (ExprKind::Int(from), ExprKind::Int(to)) => Some(to.saturating_sub(*from).max(0)),
        _ => None,
    }
}
