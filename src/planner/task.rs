//! What is read of the current task, read directly: where the kernel lets programs follow its own pointers, a plain load does what
//! a helper did.
//!
//! A call into the kernel costs more than all else that a small probe does: with the task at hand, its name is two loads.

use std::collections::BTreeSet;

use crate::bpf::Helper;
use crate::btf::{Btf, Kind, TypeId};
use crate::ir::{BinaryOp, Block, Expr, ExprKind, Probe, StmtKind, VarId, rewrite, walk, walk_statements};
use crate::kernel::{Feature, Kernel};
use crate::types::Type;

/// Bytes of a task's name, zeros after its NUL included.
const NAME: u32 = 16;

/// Reads directly what can be.
pub fn read_directly(probes: &mut [Probe], kernel: &dyn Kernel) {
    let is_concerned = probes.iter().any(mentions_task);
    if !is_concerned || !kernel.has(Feature::TaskPointers) {
        return;
    }
    let Some(mut task) = Task::of(kernel) else { return };
    for probe in probes {
        task.aliases = aliases(&probe.body);
        rewrite(&mut probe.body, &mut |expr| task.read_directly(expr));
        // The ids take a helper call of their own, or the one that the task took.
        if has_direct(probe) {
            rewrite(&mut probe.body, &mut |expr| task.read_ids(expr));
        }
    }
}

fn mentions_task(probe: &Probe) -> bool {
    any(probe, |kind| matches!(kind, ExprKind::Comm | ExprKind::Call(Helper::GET_CURRENT_TASK, _)))
}

fn has_direct(probe: &Probe) -> bool {
    any(probe, |kind| matches!(kind, ExprKind::FromTask { .. }))
}

/// The variables that the task is assigned to, and nothing else ever: `$task = curtask;`.
fn aliases(body: &Block) -> BTreeSet<VarId> {
    let (mut set, mut others) = (BTreeSet::new(), BTreeSet::new());
    walk_statements(body, &mut |statement| match &statement.kind {
        StmtKind::Set(var, value) if is_task(value) => {
            set.insert(*var);
        }
        StmtKind::Set(var, _) | StmtKind::For { var, .. } => {
            others.insert(*var);
        }
        StmtKind::ForMap { key, value, .. } => others.extend([key].into_iter().chain(value)),
        _ => {}
    });
    set.difference(&others).copied().collect()
}

fn is_task(value: &Expr) -> bool {
    match &*value.kind {
        ExprKind::Call(Helper::GET_CURRENT_TASK, _) => true,
        ExprKind::Convert(of) => is_task(of),
        _ => false,
    }
}

fn any(probe: &Probe, is_it: fn(&ExprKind) -> bool) -> bool {
    let mut found = false;
    walk(&probe.body, &mut |expr| found |= is_it(&expr.kind));
    found
}

/// The kernel's `struct task_struct`.
struct Task<'a> {
    btf: &'a Btf,
    id: TypeId,
    name: u32,
    process: u32,
    thread: u32,
    /// Variables that hold nothing but the task.
    aliases: BTreeSet<VarId>,
    reach: Reach,
}

/// How far the verifier follows the task's pointers without taking its time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Its own fields.
    Task,
    /// What its pointers lead to.
    Beyond,
}

impl<'a> Task<'a> {
    fn of(kernel: &'a dyn Kernel) -> Option<Self> {
        let btf = kernel.btf()?;
        let id = btf.find("task_struct", Kind::Struct)?;
        let offset = |name, size| {
            let offset = btf.field(id, name)?.bit_offset / 8;
            btf.plain_at(id, offset, size).map(|_| offset)
        };
        Some(Self {
            btf,
            id,
            name: offset("comm", NAME)?,
            process: offset("tgid", 4)?,
            thread: offset("pid", 4)?,
            aliases: BTreeSet::new(),
            reach: if kernel.has(Feature::SortedTypes) { Reach::Beyond } else { Reach::Task },
        })
    }

    fn read_directly(&self, expr: &mut Expr) {
        let direct = match &*expr.kind {
            ExprKind::Comm => Some((Vec::new(), self.name)),
            ExprKind::Load { addr, offset } if !matches!(expr.ty, Type::Ptr(..)) && expr.ty.is_scalar() => {
                self.field(addr, *offset, expr.ty.size())
            }
            ExprKind::ReadStr { addr, max: None } => self.name_of_task(addr, expr.ty.size()),
            ExprKind::Load { addr, offset: 0 } if matches!(expr.ty, Type::Str(_)) => {
                self.name_of_task(addr, expr.ty.size())
            }
            _ => None,
        };
        if let Some((hops, offset)) = direct {
            *expr.kind = ExprKind::FromTask { hops, offset };
        } else if let ExprKind::Load { addr, .. } = &mut *expr.kind {
            self.start_directly(addr);
        }
    }

    /// A read that has to be checked may begin where pointers that need no check lead to.
    fn start_directly(&self, addr: &mut Expr) {
        if let Some((mut hops, _)) = self.pointer(addr)
            && let Some(offset) = hops.pop()
        {
            *addr.kind = ExprKind::FromTask { hops, offset };
        }
    }

    fn read_ids(&self, expr: &mut Expr) {
        let ExprKind::Binary { op, left, right, .. } = &*expr.kind else { return };
        let is_ids = matches!(*left.kind, ExprKind::Call(Helper::GET_CURRENT_PID_TGID, _));
        let offset = match (op, &*right.kind) {
            (BinaryOp::Shr, ExprKind::Int(32)) if is_ids => self.process,
            (BinaryOp::And, ExprKind::Int(0xffff_ffff)) if is_ids => self.thread,
            _ => return,
        };
        // The number in the task has 32 bits, whatever becomes of it.
        let number = Expr::new(ExprKind::FromTask { hops: Vec::new(), offset }, Type::U32, expr.span);
        *expr.kind = if expr.ty.size() == 4 { *number.kind } else { ExprKind::Convert(number) };
    }

    /// A number within the structure that an address leads to.
    fn field(&self, addr: &Expr, offset: i64, size: u32) -> Option<(Vec<u32>, u32)> {
        let (hops, of) = self.pointer(addr)?;
        let offset = u32::try_from(offset).ok()?;
        let ty = self.btf.plain_at(of, offset, size)?;
        (self.btf.kind(ty) != Some(Kind::Ptr)).then_some((hops, offset))
    }

    /// The kernel fills a task's name with zeros; other texts may have anything behind their end.
    fn name_of_task(&self, addr: &Expr, size: u32) -> Option<(Vec<u32>, u32)> {
        let ExprKind::Binary { op: BinaryOp::Add, left, right, .. } = &*addr.kind else { return None };
        let (hops, of) = self.pointer(left)?;
        let is_name = matches!(*right.kind, ExprKind::Int(offset) if offset == i64::from(self.name));
        (is_name && of == self.id && size == NAME).then_some((hops, self.name))
    }

    /// The way to the structure that a pointer leads to. Only pointers that a task itself holds are followed: of some others the
    /// verifier wants to see first that they are not null.
    fn pointer(&self, addr: &Expr) -> Option<(Vec<u32>, TypeId)> {
        let Type::Ptr(to, _) = &addr.ty else { return None };
        let Type::Struct(to) = &**to else { return None };
        let to = TypeId(to.btf);
        match &*addr.kind {
            ExprKind::Call(Helper::GET_CURRENT_TASK, _) => (to == self.id).then(|| (Vec::new(), to)),
            ExprKind::Var(var) if self.aliases.contains(var) => (to == self.id).then(|| (Vec::new(), to)),
            // A pointer that was found before, as a part of this.
            ExprKind::FromTask { hops, offset } => Some(([&hops[..], &[*offset]].concat(), to)),
            ExprKind::Load { addr, offset } if self.reach == Reach::Beyond => {
                let (mut hops, of) = self.pointer(addr).filter(|(_, of)| *of == self.id)?;
                let offset = u32::try_from(*offset).ok()?;
                let pointer = self.btf.plain_at(of, offset, 8)?;
                let leads_there = self.btf.pointee(pointer).map(|target| self.btf.strip(target)) == Some(to);
                hops.push(offset);
                leads_there.then_some((hops, to))
            }
            _ => None,
        }
    }
}
