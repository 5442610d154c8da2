//! Expressions whose value fits a register.

use super::cache::{self, Cached};
use super::maps::Found;
use super::memory::Padding;
use super::state::{Gen, Generated, Storage, at, size_of};
use super::strings::Wanted;
use crate::bpf::Helper;
use crate::bpf::asm::{Alu, Arg, Operand, Size, VReg};
use crate::ir::{Expr, ExprKind, UnaryOp};
use crate::plan::{Faults, MapId};
use crate::source::Span;
use crate::types::{Sign, Space, Type};

impl Gen<'_> {
    /// The value of a scalar, extended to 64 bits as its type says.
    pub fn scalar(&mut self, expr: &Expr) -> Generated<Operand> {
        match &*expr.kind {
            ExprKind::Int(number) => Ok(Operand::Imm(*number)),
            ExprKind::Zero => Ok(Operand::Imm(0)),
            ExprKind::OutputFile => Ok(self.output_file().into()),
            ExprKind::Ctx => {
                let ctx = self.ctx(0);
                Ok(self.asm.address(ctx).into())
            }
            ExprKind::CtxLoad { offset } => {
                let place = self.ctx(*offset as i32);
                let value = self.asm.load_pure(size_of(&expr.ty), place);
                Ok(self.extended(value.into(), &expr.ty))
            }
            ExprKind::Call(helper, args) => self.helper(*helper, args),
            ExprKind::InCgroup(map) => Ok(self.in_cgroup(*map)),
            ExprKind::NamespacedPid { .. } | ExprKind::FuncResult | ExprKind::Load { .. } => self.remembered(expr),
            ExprKind::Follow { from, cast, hops, offset } => {
                let from = self.led_to(from, *cast, hops, *offset)?;
                let value = self.load_led(size_of(&expr.ty), from);
                Ok(self.extended(value.into(), &expr.ty))
            }
            ExprKind::OfObject { .. } => {
                let to = self.stack(8);
                self.write_memory(expr, to, Padding::Free)?;
                Ok(self.load_from(to, &expr.ty))
            }
            ExprKind::Unary(UnaryOp::Negate, of) => {
                let of = self.scalar(of)?;
                Ok(self.asm.alu(Alu::Sub, Operand::Imm(0), of))
            }
            ExprKind::Unary(UnaryOp::Invert, of) => {
                let of = self.scalar(of)?;
                Ok(self.asm.alu(Alu::Xor, of, Operand::Imm(-1)))
            }
            ExprKind::Unary(UnaryOp::Not, _) | ExprKind::Compare { .. } | ExprKind::And(..) | ExprKind::Or(..) => {
                self.truth(expr)
            }
            ExprKind::Binary { op, sign, left, right, zero } => {
                let (left, right) = (self.scalar(left)?, self.scalar(right)?);
                self.binary(*op, *sign, left, right, *zero)
            }
            ExprKind::Convert(of) => self.converted(of, &expr.ty),
            ExprKind::Bits { value, shift, width } => {
                let value = self.scalar(value)?;
                Ok(self.bits(value, *shift, *width, expr.ty.sign()))
            }
            ExprKind::MapHas { .. } => self.truth(expr),
            ExprKind::MapDelete { map, key } => self.delete(*map, key.as_ref()),
            ExprKind::MapLen(map) => self.map_len(*map),
            ExprKind::Merge { map, key, how } => self.merged(*map, key.as_ref(), *how),
            ExprKind::SlotSum { map, key, index } => self.slot_sum(*map, key.as_ref(), index),
            ExprKind::Stack { map, collision } => self.stack_id(&expr.ty, *map, *collision),
            ExprKind::StackLen { of } => Ok(self.stack_len(*of)),
            ExprKind::StrCompare { left, right, len } => self.text_differs(left, right, *len),
            ExprKind::StrContains { hay, needle } => self.search(hay, needle, Wanted::Presence),
            ExprKind::StrFind { hay, needle } => self.search(hay, needle, Wanted::Place),
            ExprKind::MemCompare { left, right, len } => self.memory_order(left, right, *len),
            ExprKind::Location(of) => {
                let place = self.place_of(of)?;
                Ok(self.asm.address(place).into())
            }
            ExprKind::StrLen(of) => self.text_length(of),
            ExprKind::Log2Bucket { value, bits } => {
                let value = self.scalar(value)?;
                Ok(self.log2_bucket(value, *bits))
            }
            ExprKind::LinearBucket { value, min, max, step } => {
                let value = self.scalar(value)?;
                Ok(self.linear_bucket(value, *min, *max, *step))
            }
            ExprKind::Var(var) => Ok(self.read_variable(*var, &expr.ty)),
            ExprKind::MapGet { map, key } => self.map_scalar(*map, key.as_ref(), expr),
            ExprKind::Field { base, offset } => {
                let place = at(self.place_of(base)?, *offset);
                Ok(self.load_from(place, &expr.ty))
            }
            ExprKind::Element { .. } => {
                let to = self.stack(8);
                self.write_memory(expr, to, Padding::Free)?;
                Ok(self.load_from(to, &expr.ty))
            }
            ExprKind::Reinterpret(of) if of.ty.is_scalar() => self.scalar(of),
            ExprKind::Reinterpret(of) => {
                let place = self.place_of(of)?;
                Ok(self.load_from(place, &expr.ty))
            }
            ExprKind::Address(var) => Ok(self.variable_address(*var)),
            ExprKind::PerCpuAddress { var, cpu } => self.per_cpu_address(*var, cpu.as_ref()),
            ExprKind::MapAddress { map, key } => self.map_address(*map, key.as_ref()),
            ExprKind::Cond { cond, then, otherwise } => self.choice(cond, then, otherwise),
            ExprKind::Invoke { function, args } => self.invoke(*function, args, None),
            ExprKind::Seq(block, value) => {
                self.block(block)?;
                if self.asm.is_reachable() { self.scalar(value) } else { Ok(Operand::Imm(0)) }
            }
            ExprKind::Handle(_)
            | ExprKind::Str(_)
            | ExprKind::Bytes(_)
            | ExprKind::Compose(_)
            | ExprKind::Comm
            | ExprKind::ReadStr { .. }
            | ExprKind::ReadBuf { .. }
            | ExprKind::Terminate(_)
            | ExprKind::StrConcat(..)
            | ExprKind::PathName { .. }
            | ExprKind::Resize(_) => {
                let place = self.place_of(expr)?;
                Ok(self.asm.address(place).into())
            }
        }
    }

    /// Narrow values are kept extended by their sign; loads extend by zeros.
    pub fn extended(&mut self, value: Operand, ty: &Type) -> Operand {
        match ty {
            Type::Int(int) if int.bits < 64 => self.asm.extend(value, int.bits, int.sign),
            Type::Enum(of) if of.size < 8 => self.asm.extend(value, 8 * of.size, of.sign),
            _ => value,
        }
    }

    fn helper(&mut self, helper: Helper, args: &[Expr]) -> Generated<Operand> {
        let mut values = Vec::new();
        for arg in args {
            let value = match &*arg.kind {
                ExprKind::Ctx => Arg::Address(self.ctx(0)),
                ExprKind::Handle(map) => Arg::Map(*map),
                _ => match self.scalar(arg)? {
                    Operand::Reg(reg) => Arg::Reg(reg),
                    Operand::Imm(number) => Arg::Imm(number),
                },
            };
            values.push(value);
        }
        let result =
            if helper.is_constant() { self.asm.call_constant(helper, &values) } else { self.asm.call(helper, &values) };
        Ok(result.into())
    }

    /// A read that is done once for all its uses.
    fn remembered(&mut self, expr: &Expr) -> Generated<Operand> {
        let key = cache::key(expr);
        if let Some(Cached::Scalar(value)) = key.as_ref().and_then(|key| self.cache.get(key)) {
            return Ok(value);
        }
        let value = match &*expr.kind {
            ExprKind::NamespacedPid { device, inode } => self.namespaced_pid(*device, *inode),
            ExprKind::FuncResult => self.func_result(),
            ExprKind::Load { addr, offset } if matches!(*addr.kind, ExprKind::Ctx) => {
                self.read_context(*offset, &expr.ty)
            }
            ExprKind::Load { addr, offset } => self.read(addr, *offset, &expr.ty, expr.span)?,
            _ => self.scalar(expr)?,
        };
        if let Some(key) = key {
            self.cache.insert(key, Cached::Scalar(value));
        }
        Ok(value)
    }

    fn read(&mut self, addr: &Expr, offset: i64, ty: &Type, site: Span) -> Generated<Operand> {
        let to = self.stack(ty.size());
        self.probe_read(to, ty.size(), addr, offset, site)?;
        let value = self.asm.load(size_of(ty), to);
        Ok(self.extended(value.into(), ty))
    }

    /// The verifier knows the context's fields by eight bytes at a time.
    fn read_context(&mut self, offset: i64, ty: &Type) -> Operand {
        let place = self.ctx((offset & !7) as i32);
        let word = self.asm.load_pure(Size::B8, place).into();
        self.bits(word, 8 * (offset & 7) as u8, 8 * size_of(ty).bytes() as u8, ty.sign())
    }

    /// `bpf_get_ns_current_pid_tgid` fills in thread id, then process id: together what the plain helper gives.
    fn namespaced_pid(&mut self, device: u64, inode: u64) -> Operand {
        let to = self.stack(8);
        self.asm.store(Size::B8, to, Operand::Imm(0));
        let args = [Arg::Imm(device as i64), Arg::Imm(inode as i64), Arg::Address(to), Arg::Imm(8)];
        self.asm.call(Helper::GET_NS_CURRENT_PID_TGID, &args);
        self.asm.load(Size::B8, to).into()
    }

    fn in_cgroup(&mut self, map: MapId) -> Operand {
        self.asm.call(Helper::CURRENT_TASK_UNDER_CGROUP, &[Arg::Map(map), Arg::Imm(0)]).into()
    }

    fn func_result(&mut self) -> Operand {
        let to = self.stack(8);
        self.asm.store(Size::B8, to, Operand::Imm(0));
        let ctx = self.ctx(0);
        self.asm.call(Helper::GET_FUNC_RET, &[Arg::Address(ctx), Arg::Address(to)]);
        self.asm.load(Size::B8, to).into()
    }

    fn converted(&mut self, of: &Expr, ty: &Type) -> Generated<Operand> {
        if *ty == Type::Bool && of.ty != Type::Bool {
            return self.truth(of);
        }
        let value = self.scalar(of)?;
        let value = match value {
            Operand::Reg(pointer) if self.probe.kind.is_told_pointers() && is_made_number(&of.ty, ty) => {
                self.number_of(pointer).into()
            }
            _ => value,
        };
        Ok(self.extended(value, ty))
    }

    /// A pointer as a number. The verifier knows the pointers that tracing programs are given, and computes with no such thing; what
    /// is read from memory is a number to it.
    fn number_of(&mut self, pointer: VReg) -> VReg {
        let (from, to) = (self.stack(8), self.stack(8));
        self.asm.store(Size::B8, from, pointer.into());
        self.asm.call(Helper::PROBE_READ_KERNEL, &[Arg::Address(to), Arg::Imm(8), Arg::Address(from)]);
        self.asm.load(Size::B8, to)
    }

    fn bits(&mut self, value: Operand, shift: u8, width: u8, sign: Sign) -> Operand {
        let left = 64 - i64::from(shift) - i64::from(width);
        let high = self.asm.alu(Alu::Shl, value, Operand::Imm(left));
        let op = match sign {
            Sign::Signed => Alu::Sar,
            Sign::Unsigned => Alu::Shr,
        };
        self.asm.alu(op, high, Operand::Imm(64 - i64::from(width)))
    }

    pub fn read_variable(&mut self, var: crate::ir::VarId, ty: &Type) -> Operand {
        match self.storage(var) {
            Storage::Register(variable) => self.asm.get(variable).into(),
            Storage::Memory(place) if ty.is_scalar() => {
                let value = self.asm.load(size_of(ty), place);
                self.extended(value.into(), ty)
            }
            Storage::Memory(place) => self.asm.address(place).into(),
        }
    }

    fn map_scalar(&mut self, map: crate::plan::MapId, key: Option<&Expr>, expr: &Expr) -> Generated<Operand> {
        let ty = &expr.ty;
        let value = self.asm.variable();
        let (missing, done) = (self.asm.label(), self.asm.label());
        match self.look_up(map, key)? {
            Found::Always(place) => {
                let loaded = self.asm.load(size_of(ty), place);
                return Ok(self.extended(loaded.into(), ty));
            }
            Found::Maybe(pointer) => {
                self.asm.set(value, Operand::Imm(0));
                self.asm.branch(crate::bpf::asm::Cond::Eq, pointer.into(), Operand::Imm(0), missing);
                let place = crate::bpf::asm::Place::new(crate::bpf::asm::Base::Reg(pointer), 0);
                let loaded = self.asm.load(size_of(ty), place);
                let loaded = self.extended(loaded.into(), ty);
                self.asm.set(value, loaded);
            }
        }
        if self.plan.faults == Faults::Told {
            self.asm.jump(done);
            self.asm.place(missing);
            self.note_missing(expr.span);
        } else {
            self.asm.place(missing);
        }
        self.asm.place(done);
        Ok(self.asm.get(value).into())
    }

    fn choice(&mut self, cond: &Expr, then: &Expr, otherwise: &Expr) -> Generated<Operand> {
        let value = self.asm.variable();
        self.branches(
            cond,
            |code| {
                let then = code.scalar(then)?;
                code.asm.set(value, then);
                Ok(())
            },
            |code| {
                let otherwise = code.scalar(otherwise)?;
                code.asm.set(value, otherwise);
                Ok(())
            },
        )?;
        Ok(self.asm.get(value).into())
    }

    /// The helper that reads memory of this space.
    pub fn reader(space: Space) -> Helper {
        match space {
            Space::User => Helper::PROBE_READ_USER,
            Space::Kernel | Space::Unknown => Helper::PROBE_READ_KERNEL,
        }
    }

    pub fn text_reader(space: Space) -> Helper {
        match space {
            Space::User => Helper::PROBE_READ_USER_STR,
            Space::Kernel | Space::Unknown => Helper::PROBE_READ_KERNEL_STR,
        }
    }
}

fn is_made_number(from: &Type, to: &Type) -> bool {
    matches!((from, to), (Type::Ptr(..), Type::Int(_)))
}
