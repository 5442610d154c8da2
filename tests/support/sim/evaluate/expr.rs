//! Expressions. Every scalar is checked to be what its type can hold.

use rtrace::bpf::Helper;
use rtrace::id::Id;
use rtrace::ir::{BinaryOp, CompareOp, Expr, ExprKind, Merge, Seen, UnaryOp};
use rtrace::plan::{CounterId, MapId};
use rtrace::types::{Side, Sign, StackType, Type, log2_bucket};

use super::address::Held;
use super::memory::{extend, scalar_at, word};
use super::text::{differ, find, length};
use super::{Evaluator, Leave, Run, Value, broken, is_less};
use crate::machine::CONTEXT;
use crate::sim::scene::COLLIDES;
use crate::sim::store::{IfPresent, ONLY, Record};

impl Evaluator<'_> {
    pub(super) fn value(&mut self, expr: &Expr) -> Run<Value> {
        let value = self.raw_value(expr)?;
        match &value {
            Value::Scalar(number) if expr.ty.is_scalar() && extend(*number, &expr.ty) != *number => {
                broken(format!("{number:#x} is no value of type {}", expr.ty))
            }
            Value::Memory(bytes) if !expr.ty.is_scalar() && bytes.len() != expr.ty.size() as usize => {
                broken(format!("{} bytes are no value of type {}", bytes.len(), expr.ty))
            }
            _ => Ok(value),
        }
    }

    /// A scalar's value.
    pub(super) fn number(&mut self, expr: &Expr) -> Run<u64> {
        match self.value(expr)? {
            Value::Scalar(number) => Ok(number),
            Value::Memory(_) => broken(format!("a value of type {} is used as a number", expr.ty)),
        }
    }

    pub(super) fn truth(&mut self, expr: &Expr) -> Run<bool> {
        Ok(self.number(expr)? != 0)
    }

    fn raw_value(&mut self, expr: &Expr) -> Run<Value> {
        let scalar = match &*expr.kind {
            ExprKind::Int(number) => *number as u64,
            ExprKind::Ctx => CONTEXT,
            ExprKind::OutputFile => return Err(Leave::Broken("the fake kernel has no iterators".to_owned())),
            ExprKind::CtxLoad { offset } => scalar_at(&self.scene.context()[*offset as usize..], &expr.ty),
            ExprKind::Call(helper, args) => self.call(*helper, args)?,
            ExprKind::NamespacedPid { .. } => u64::from(self.scene.process()) << 32 | u64::from(self.scene.thread()),
            ExprKind::InCgroup(_) => return Err(Leave::Broken("the fake kernel has no cgroups".to_owned())),
            ExprKind::FuncResult => return Err(Leave::Broken("the fake kernel has no functions to trace".to_owned())),
            ExprKind::Unary(op, of) => unary(*op, self.number(of)?),
            ExprKind::Binary { op, sign, left, right, zero } => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                self.binary(*op, *sign, left, right, *zero)?
            }
            ExprKind::Compare { op, sign, left, right } => {
                u64::from(compare(*op, *sign, self.number(left)?, self.number(right)?))
            }
            ExprKind::And(left, right) => u64::from(self.truth(left)? && self.truth(right)?),
            ExprKind::Or(left, right) => u64::from(self.truth(left)? || self.truth(right)?),
            ExprKind::Convert(of) => extend(self.number(of)?, &expr.ty),
            ExprKind::Bits { value, shift, width } => {
                let high = self.number(value)? << (64 - shift - width);
                match expr.ty.sign() {
                    Sign::Signed => (high as i64 >> (64 - width)) as u64,
                    Sign::Unsigned => high >> (64 - width),
                }
            }
            ExprKind::MapHas { map, key } => u64::from(self.look_up(*map, Some(key))?.is_some()),
            ExprKind::MapDelete { map, key } => u64::from(self.delete(*map, key.as_ref())?),
            ExprKind::MapLen(map) => self.store.map(*map).entries.len() as u64,
            ExprKind::Handle(_) => return broken("a map handed to a helper".to_string()),
            ExprKind::Address(var) => self.address_of(*var),
            ExprKind::PerCpuAddress { var, .. } => {
                return broken(format!("the variable {var} of a kernel that has none"));
            }
            ExprKind::MapAddress { map, key } => match self.entry(*map, key.as_ref())? {
                Some(key) => self.hold(Held::Entry(*map, key)),
                None => 0,
            },
            ExprKind::Location(of) => {
                let bytes = self.bytes(of)?;
                self.hold(Held::Bytes(bytes))
            }
            ExprKind::MemCompare { left, right, len } => {
                let (left, right) = (self.bytes(left)?, self.bytes(right)?);
                let len = *len as usize;
                left[..len].cmp(&right[..len]) as i64 as u64
            }
            ExprKind::StrFind { hay, needle } => find(&self.bytes(hay)?, &self.bytes(needle)?) as u64,
            ExprKind::Merge { map, key, how } => self.merged(*map, key.as_ref(), *how)?,
            ExprKind::SlotSum { map, key, index } => {
                let index = self.number(index)? as usize;
                let key = self.key_or_only(*map, key.as_ref())?;
                let slots = self.store.map(*map).entries.get(&key);
                slots.into_iter().flatten().fold(0, |sum: u64, slot| sum.wrapping_add(word(&slot[8 * index..])))
            }
            ExprKind::Stack { map, collision } => self.stack(&expr.ty, *map, *collision)?,
            ExprKind::StackLen { of } => self.scene.stack(of.side).len().min(of.limit as usize) as u64,
            ExprKind::StrCompare { left, right, len } => {
                let whole = !matches!(left.ty, Type::Str(_));
                let (left, right) = (self.bytes(left)?, self.bytes(right)?);
                u64::from(if whole { left != right } else { differ(&left, &right, *len) })
            }
            ExprKind::StrContains { hay, needle } => u64::from(find(&self.bytes(hay)?, &self.bytes(needle)?) >= 0),
            ExprKind::StrLen(of) => length(&self.bytes(of)?),
            ExprKind::Log2Bucket { value, bits } => u64::from(log2_bucket(self.number(value)? as i64, *bits)),
            ExprKind::LinearBucket { value, min, max, step } => {
                linear_bucket(self.number(value)? as i64, *min, *max, *step)
            }
            ExprKind::Var(var) => return Ok(self.vars[var.index()].clone()),
            ExprKind::Cond { cond, then, otherwise } => {
                return if self.truth(cond)? { self.value(then) } else { self.value(otherwise) };
            }
            ExprKind::Seq(block, value) => {
                self.block(block)?;
                return self.value(value);
            }
            ExprKind::Invoke { function, args } => return self.invoke(*function, args),
            ExprKind::MapGet { map, key } => {
                let found = self.look_up(*map, key.as_ref())?;
                return Ok(found.map_or(Value::zero(&expr.ty), |bytes| Value::of(&bytes, &expr.ty)));
            }
            ExprKind::Zero
            | ExprKind::Load { .. }
            | ExprKind::Field { .. }
            | ExprKind::Str(_)
            | ExprKind::Bytes(_)
            | ExprKind::Compose(_)
            | ExprKind::Comm
            | ExprKind::Follow { .. }
            | ExprKind::OfObject { .. }
            | ExprKind::PathName { .. }
            | ExprKind::ReadStr { .. }
            | ExprKind::ReadBuf { .. }
            | ExprKind::StrConcat(..)
            | ExprKind::Terminate(_)
            | ExprKind::Element { .. }
            | ExprKind::Reinterpret(_)
            | ExprKind::Resize(_) => return Ok(Value::of(&self.memory(expr)?, &expr.ty)),
        };
        Ok(Value::Scalar(scalar))
    }

    pub(super) fn call(&mut self, helper: Helper, args: &[Expr]) -> Run<u64> {
        for arg in args {
            self.number(arg)?;
        }
        self.scene.call(helper).ok_or_else(|| Leave::Broken(format!("the fake kernel has no {helper}")))
    }

    fn binary(&mut self, op: BinaryOp, sign: Sign, left: u64, right: u64, zero: Option<CounterId>) -> Run<u64> {
        let signed = sign == Sign::Signed;
        Ok(match op {
            BinaryOp::Add => left.wrapping_add(right),
            BinaryOp::Sub => left.wrapping_sub(right),
            BinaryOp::Mul => left.wrapping_mul(right),
            BinaryOp::Div | BinaryOp::Mod if right == 0 => {
                let Some(counter) = zero else { return broken("a division by zero that is not counted".to_owned()) };
                self.store.count(counter);
                1
            }
            BinaryOp::Div if signed => (left as i64).wrapping_div(right as i64) as u64,
            BinaryOp::Mod if signed => (left as i64).wrapping_rem(right as i64) as u64,
            BinaryOp::Div => left / right,
            BinaryOp::Mod => left % right,
            BinaryOp::And => left & right,
            BinaryOp::Or => left | right,
            BinaryOp::Xor => left ^ right,
            BinaryOp::Shl => left << (right & 63),
            BinaryOp::Shr if signed => (left as i64 >> (right & 63)) as u64,
            BinaryOp::Shr => left >> (right & 63),
        })
    }

    /// The key's bytes, if there is an entry.
    fn entry(&mut self, map: MapId, key: Option<&Expr>) -> Run<Option<Vec<u8>>> {
        let key = self.key_or_only(map, key)?;
        Ok(self.store.map(map).entries.contains_key(&key).then_some(key))
    }

    fn key_or_only(&mut self, map: MapId, key: Option<&Expr>) -> Run<Vec<u8>> {
        key.map_or(Ok(ONLY.to_vec()), |key| self.key(map, key))
    }

    /// The bytes at a key.
    fn look_up(&mut self, map: MapId, key: Option<&Expr>) -> Run<Option<Vec<u8>>> {
        let key = self.key_or_only(map, key)?;
        let cpu = self.scene.moment.cpu;
        Ok(self.store.map(map).get(cpu, &key).cloned())
    }

    /// The slots of all CPUs as one number.
    fn merged(&mut self, map: MapId, key: Option<&Expr>, how: Merge) -> Run<u64> {
        let key = self.key_or_only(map, key)?;
        let Some(slots) = self.store.map(map).entries.get(&key) else { return Ok(0) };
        let set = slots.iter().filter(|slot| slot.len() >= 16 && word(&slot[8..]) != 0).map(|slot| word(slot));
        let order = |sign: Sign| move |value: &u64| if sign == Sign::Signed { *value ^ 1 << 63 } else { *value };
        Ok(match how {
            Merge::Sum(index) => {
                slots.iter().fold(0, |sum: u64, slot| sum.wrapping_add(word(&slot[8 * index as usize..])))
            }
            Merge::Min(sign) => set.min_by_key(order(sign)).unwrap_or(0),
            Merge::Max(sign) => set.max_by_key(order(sign)).unwrap_or(0),
        })
    }

    /// A scalar map becomes as if it had never been assigned.
    fn delete(&mut self, map: MapId, key: Option<&Expr>) -> Run<bool> {
        if let Some(key) = key {
            let key = self.key(map, key)?;
            return Ok(self.store.map(map).entries.remove(&key).is_some());
        }
        let mark = self.mark(map);
        let slots = self.store.map(map).entries.get_mut(&ONLY[..]);
        let slots = slots.ok_or_else(|| Leave::Broken("a scalar map without its entry".to_owned()))?;
        let was_set = slots.iter().any(|slot| slot[mark] != 0);
        slots.iter_mut().for_each(|slot| slot.fill(0));
        Ok(was_set)
    }

    fn stack(&mut self, ty: &Type, map: MapId, collision: CounterId) -> Run<u64> {
        let Type::Stack(StackType { side, limit, .. }) = *ty else { return broken("a stack that is none".to_owned()) };
        let id = self.scene.stack_id(side);
        if id == COLLIDES {
            self.store.count(collision);
        } else if id >= 0 {
            let frames = self.scene.stack(side);
            let table = self.store.map(map);
            let bytes = frames.iter().take(limit as usize).flat_map(|frame| frame.to_le_bytes());
            let mut bytes: Vec<u8> = bytes.collect();
            bytes.resize(table.value_size, 0);
            table.insert(0, &(id as u32).to_le_bytes(), &bytes, IfPresent::Replace);
        }
        let process = if side == Side::User { u64::from(self.scene.process()) << 32 } else { 0 };
        Ok(u64::from(id as u32) | process)
    }

    /// Each process is announced once.
    pub(super) fn announce(&mut self, seen: Seen) {
        let process = self.scene.process().to_le_bytes();
        let known = self.store.map(seen.map);
        if known.entries.contains_key(&process[..]) {
            return;
        }
        known.insert(0, &process, &process, IfPresent::Replace);
        if self.store.reserve() {
            let field = &self.plan.actions[seen.action].fields[0];
            let mut bytes = process.to_vec();
            bytes.resize(field.ty.size() as usize, 0);
            self.store.records.push(Record { action: seen.action, fields: vec![bytes] });
        } else {
            self.store.count(seen.lost);
        }
    }
}

fn unary(op: UnaryOp, value: u64) -> u64 {
    match op {
        UnaryOp::Negate => value.wrapping_neg(),
        UnaryOp::Invert => !value,
        UnaryOp::Not => u64::from(value == 0),
    }
}

fn compare(op: CompareOp, sign: Sign, left: u64, right: u64) -> bool {
    match op {
        CompareOp::Eq => left == right,
        CompareOp::Ne => left != right,
        CompareOp::Lt => is_less(sign, left, right),
        CompareOp::Le => !is_less(sign, right, left),
        CompareOp::Gt => is_less(sign, right, left),
        CompareOp::Ge => !is_less(sign, left, right),
    }
}

fn linear_bucket(value: i64, min: i64, max: i64, step: i64) -> u64 {
    match value {
        _ if value < min => 0,
        _ if value >= max => (1 + (max - min) / step) as u64,
        _ => (1 + (value - min) / step) as u64,
    }
}
