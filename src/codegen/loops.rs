//! Loops: `bpf_loop` calls the body as a function where the kernel has it; otherwise jumps, which the verifier walks through.
//! Loops over maps always call theirs. See [`super::capture`] for the variables that such bodies share with the code around them.

use super::capture::{CONTEXT, RETURNED, START, VALUE};
use super::state::{Function, FunctionRole, Gen, Generated, Loop, Returns, Storage, at, size_of};
use crate::bpf::Helper;
use crate::bpf::asm::{Alu, Arg, Base, Cond, FunctionId, Label, Operand, Place, Size, VReg};
use crate::ir::{self, Block, Expr, VarId};
use crate::kernel::Feature;
use crate::plan::{Cause, CounterId, MapId};

/// Up to so many iterations of constant number are walked through rather than called.
const FEW: i64 = 16;

impl Gen<'_> {
    pub fn for_range(&mut self, var: VarId, from: &Expr, to: &Expr, body: &Block, bound: CounterId) -> Generated<()> {
        if self.is_called(from, to) {
            self.called_loop(var, from, to, body, bound)
        } else {
            self.jumping_loop(var, from, to, body, bound)
        }
    }

    /// Whether the loop's body becomes a function.
    pub fn is_called(&self, from: &Expr, to: &Expr) -> bool {
        self.kernel.has(Feature::Loop) && ir::turns(from, to).is_none_or(|count| count > FEW)
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
        self.bound_rounds(rounds, bound, ir::turns(from, to), end);
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
    fn bound_rounds(&mut self, rounds: VReg, bound: CounterId, turns: Option<i64>, end: Label) {
        let Cause::LoopBound { limit } = self.plan.counters[bound].cause else { return };
        if turns.is_some_and(|turns| turns <= i64::from(limit)) {
            return;
        }
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
            Storage::Memory(place) => self.asm.store(Size::B8, place, value),
        }
    }

    fn called_loop(&mut self, var: VarId, from: &Expr, to: &Expr, body: &Block, bound: CounterId) -> Generated<()> {
        let (from, to) = (self.scalar(from)?, self.scalar(to)?);
        let done = self.asm.label();
        let end = self.in_register(to);
        self.asm.branch(Cond::SLe, end.into(), from, done);
        // The rounds count from zero. The variable itself may be assigned to, which changes nothing about the rounds.
        if let (Operand::Reg(_), Storage::Memory(place)) = (from, self.storage(var)) {
            self.asm.store(Size::B8, at(place, START), from);
        }
        let count = self.asm.alu(Alu::Sub, to, from);
        let count = self.bounded(count, bound);
        let function = self.range_body(var, from, body)?;
        let frame = self.captured(0);
        let count = super::memory::argument(count);
        self.asm.call(Helper::LOOP, &[count, Arg::Function(function), Arg::Address(frame), Arg::Imm(0)]);
        self.leave_if_returned();
        self.asm.place(done);
        Ok(())
    }

    /// As many rounds as `bpf_loop` grants; it would refuse to make any if there were more.
    fn bounded(&mut self, count: Operand, bound: CounterId) -> Operand {
        let Cause::LoopBound { limit } = self.plan.counters[bound].cause else { return count };
        let rounds = self.asm.variable();
        let fits = self.asm.label();
        self.asm.set(rounds, count);
        let number = self.in_register(count);
        self.asm.branch(Cond::Le, number.into(), Operand::Imm(limit.into()), fits);
        self.count(bound);
        self.asm.set(rounds, Operand::Imm(limit.into()));
        self.asm.place(fits);
        self.asm.get(rounds).into()
    }

    pub fn for_map(&mut self, map: MapId, key: VarId, value: Option<VarId>, body: &Block) -> Generated<()> {
        let function = self.map_body(key, value, body)?;
        let frame = self.captured(0);
        let map_arg = self.map_arg(map);
        self.comment(map, "each entry of");
        let args = [map_arg, Arg::Function(function), Arg::Address(frame), Arg::Imm(0)];
        self.asm.call(Helper::FOR_EACH_MAP_ELEM, &args);
        self.leave_if_returned();
        Ok(())
    }

    /// After a loop whose body is a function: what `return` in it means is done here.
    fn leave_if_returned(&mut self) {
        let go_on = self.asm.label();
        let place = self.captured(RETURNED);
        let returned = self.asm.load(Size::B8, place);
        self.asm.branch(Cond::Eq, returned.into(), Operand::Imm(0), go_on);
        match (self.function.role, self.function.returns) {
            (FunctionRole::LoopBody, _) => self.exit(Operand::Imm(1)),
            (FunctionRole::Main | FunctionRole::Called, Returns::Status) => {
                let value = self.asm.alu(Alu::Shr, returned.into(), Operand::Imm(1));
                self.exit(value);
            }
            (FunctionRole::Main | FunctionRole::Called, Returns::Number) => {
                let place = self.captured(VALUE);
                let value = self.asm.load(Size::B8, place);
                self.exit(value.into());
            }
            (FunctionRole::Main | FunctionRole::Called, Returns::Memory(_)) => self.exit(Operand::Imm(0)),
        }
        self.asm.place(go_on);
    }

    fn in_register(&mut self, value: Operand) -> VReg {
        match value {
            Operand::Reg(reg) => reg,
            Operand::Imm(number) => self.asm.imm(number),
        }
    }

    /// `(round, frame)`.
    fn range_body(&mut self, var: VarId, from: Operand, body: &Block) -> Generated<FunctionId> {
        self.callback("loop_body", 2, |code, params| {
            let start = match (from, code.storage(var)) {
                (Operand::Reg(_), Storage::Memory(place)) => code.asm.load(Size::B8, at(place, START)).into(),
                _ => from,
            };
            let index = code.asm.alu(Alu::Add, params[0].into(), start);
            code.store_index(var, index);
            code.block(body)
        })
    }

    /// `(map, key, value, frame)`.
    fn map_body(&mut self, key: VarId, value: Option<VarId>, body: &Block) -> Generated<FunctionId> {
        self.callback("each_entry", 4, |code, params| {
            code.keep_entry(key, params[1]);
            if let Some(value) = value {
                code.keep_entry(value, params[2]);
            }
            code.block(body)
        })
    }

    /// Copies a key or value of the map into its variable.
    fn keep_entry(&mut self, var: VarId, from: VReg) {
        let ty = &self.probe.vars[var].ty;
        let from = Place::new(Base::Reg(from), 0);
        match self.storage(var) {
            Storage::Memory(place) => self.copy(place, from, ty.size()),
            Storage::Register(variable) => {
                let value = self.asm.load(size_of(ty), from);
                let value = self.extended(value.into(), ty);
                self.asm.set(variable, value);
            }
        }
    }

    /// A loop's body as a function, whose last parameter is the captured frame. It gives 0 to go on.
    pub fn callback(
        &mut self,
        name: &str,
        params: u8,
        body: impl FnOnce(&mut Self, &[VReg]) -> Generated<()>,
    ) -> Generated<FunctionId> {
        let outer = self.function;
        let (id, params) = self.asm.function(name, params);
        let cache = std::mem::replace(&mut self.cache, super::cache::Cache::new());
        let loops = std::mem::replace(&mut self.loops, vec![Loop::Callback]);
        let frame = Base::Reg(params[params.len() - 1]);
        let ctx = self.asm.load(Size::B8, Place::new(frame, CONTEXT));
        let returns = match outer.returns {
            Returns::Memory(_) => Returns::Memory(self.asm.load(Size::B8, Place::new(frame, VALUE))),
            returns @ (Returns::Status | Returns::Number) => returns,
        };
        let role = FunctionRole::LoopBody;
        self.function = Function {
            id,
            ctx: Some(Base::Reg(ctx)),
            captured: Some(frame),
            scratch: None,
            reserved: None,
            role,
            returns,
        };
        self.find_scratch();
        body(self, &params)?;
        if self.asm.is_reachable() {
            self.asm.exit(Operand::Imm(0));
        }
        self.cache = cache;
        self.loops = loops;
        self.function = outer;
        self.asm.resume(outer.id);
        Ok(id)
    }

    /// `return` within a called body: the loop ends, and the code around it sees the word and ends too. The program's result is
    /// above the lowest bit, which says that there is one; a function's has a word of its own.
    pub fn return_from_loop(&mut self, value: Operand) {
        let word = match self.function.returns {
            Returns::Status => self.asm.alu(Alu::Shl, value, Operand::Imm(1)),
            Returns::Number => {
                let place = self.captured(VALUE);
                self.asm.store(Size::B8, place, value);
                Operand::Imm(0)
            }
            Returns::Memory(_) => Operand::Imm(0),
        };
        let word = self.asm.alu(Alu::Or, word, Operand::Imm(1));
        let place = self.captured(RETURNED);
        self.asm.store(Size::B8, place, word);
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
}
