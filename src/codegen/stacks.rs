//! Stack traces.

use super::cache::Cached;
use super::state::{Gen, Generated};
use crate::bpf::Helper;
use crate::bpf::asm::{Alu, Arg, Cond, Operand, Size};
use crate::ir::{self, Seen};
use crate::plan::{CounterId, MapId};
use crate::types::{Side, StackType, Type, Unwinder};

/// `BPF_F_USER_STACK`.
const USER_STACK: i64 = 1 << 8;
/// `-EFAULT`: there is no such stack, which is no loss.
const NO_STACK: i64 = -14;
const ANY: i64 = 0;
/// The process id in what `bpf_get_current_pid_tgid` gives.
const PROCESS: i64 = 0xffff_ffff_0000_0000u64 as i64;

impl Gen<'_> {
    /// Records the stack; see [`Type::Stack`] for what its id is made of.
    pub fn stack_id(&mut self, ty: &Type, map: MapId, collision: CounterId) -> Generated<Operand> {
        let Type::Stack(stack) = ty else { return Ok(Operand::Imm(0)) };
        if stack.unwinder == Unwinder::Tables {
            let id = self.unwound_stack(*stack, map, collision)?;
            let process = self.process()?;
            return Ok(self.asm.alu(Alu::Or, id, process));
        }
        let ctx = Arg::Address(self.ctx(0));
        let id = self.asm.call(Helper::GET_STACKID, &[ctx, Arg::Map(map), Arg::Imm(flags(stack.side))]);
        let fine = self.asm.label();
        self.asm.branch(Cond::SGe, id.into(), Operand::Imm(0), fine);
        self.asm.branch(Cond::Eq, id.into(), Operand::Imm(NO_STACK), fine);
        self.count(collision);
        self.asm.place(fine);
        let id = self.asm.alu(Alu::And, id.into(), Operand::Imm(0xffff_ffff));
        Ok(match stack.side {
            Side::Kernel => id,
            Side::User => {
                let process = self.process()?;
                self.asm.alu(Alu::Or, id, process)
            }
        })
    }

    /// The number by which user space finds the process, in the upper half.
    pub fn process(&mut self) -> Generated<Operand> {
        let ids = self.scalar(&ir::ids(self.kernel.pid_namespace(), self.probe.span))?;
        Ok(self.asm.alu(Alu::And, ids, Operand::Imm(PROCESS)))
    }

    /// Tells user space of the process, the first time it is seen. Once in a run is enough.
    pub fn announce(&mut self, seen: Seen) -> Generated<()> {
        const ANNOUNCED: &str = "announced";
        if self.cache.get(ANNOUNCED).is_some() {
            return Ok(());
        }
        self.cache.insert(ANNOUNCED.to_string(), Cached::Scalar(Operand::Imm(1)));
        let process = self.process()?;
        let process = self.asm.alu(Alu::Shr, process, Operand::Imm(32));
        let key = self.stack(4);
        self.asm.store(Size::B4, key, process);
        self.asm.comment("processes seen");
        let found = self.asm.call(Helper::MAP_LOOKUP_ELEM, &[Arg::Map(seen.map), Arg::Address(key)]);
        let known = self.asm.label();
        self.asm.branch(Cond::Ne, found.into(), Operand::Imm(0), known);
        self.enter();
        let args = [Arg::Map(seen.map), Arg::Address(key), Arg::Address(key), Arg::Imm(ANY)];
        self.asm.call(Helper::MAP_UPDATE_ELEM, &args);
        self.emit_number(seen.action, process, seen.lost);
        self.leave();
        self.asm.place(known);
        Ok(())
    }

    /// Frames of the current stack, up to the limit.
    pub fn stack_len(&mut self, of: StackType) -> Operand {
        let size = 8 * of.limit;
        let frames = self.scratch(size);
        let ctx = Arg::Address(self.ctx(0));
        let args = [ctx, Arg::Address(frames), Arg::Imm(i64::from(size)), Arg::Imm(flags(of.side))];
        let bytes = self.asm.call(Helper::GET_STACK, &args);
        let length = self.asm.variable();
        let done = self.asm.label();
        self.asm.set(length, Operand::Imm(0));
        self.asm.branch(Cond::SLt, bytes.into(), Operand::Imm(0), done);
        let count = self.asm.alu(Alu::Shr, bytes.into(), Operand::Imm(3));
        self.asm.set(length, count);
        self.asm.place(done);
        self.asm.get(length).into()
    }
}

fn flags(side: Side) -> i64 {
    match side {
        Side::Kernel => 0,
        Side::User => USER_STACK,
    }
}
