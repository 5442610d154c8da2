//! What is read of the kernel's structures, read directly: where the verifier knows what a pointer leads to, a plain load does what a
//! helper did.
//!
//! A call into the kernel costs more than all else that a small probe does: with the task at hand, its name is two loads. The
//! verifier knows the current task by itself, and any other pointer by a cast, which is no instruction at all in the end. What
//! lies behind the task's own pointers is reached by a cast as well: to see how far the task itself can be trusted, the verifier
//! would look through all types for each of them.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use crate::bpf::Helper;
use crate::bpf::asm::Kfunc;
use crate::btf::{Btf, Kind, TypeId};
use crate::ir::{BinaryOp, Cast, Expr, ExprKind, Probe, StmtKind, VarId, rewrite, walk, walk_statements};
use crate::kernel::{Feature, Kernel, ProgKind};
use crate::plan::Faults;
use crate::types::{Space, Type};

/// Bytes of a task's name, zeros after its NUL included.
const NAME: u32 = 16;

/// Reads directly what can be. Where reads that fail are to be told of, only those are, that cannot.
pub fn read_directly(probes: &mut [Probe], kernel: &dyn Kernel, faults: Faults) {
    let may_be_read = kernel.types_are_its_own() && probes.iter().any(is_concerned);
    let Some(btf) = may_be_read.then(|| kernel.btf()).flatten() else { return };
    let task = Task::of(btf).filter(|_| kernel.has(Feature::TaskPointers));
    let casts = Casts { kernel, known: RefCell::default() };
    for probe in probes {
        let casts = match faults {
            Faults::Ignored => Some(&casts),
            Faults::Counted | Faults::Told => None,
        };
        let reader = Reader { btf, casts, kind: probe.kind, task: task.as_ref(), aliases: aliases(probe) };
        reader.rewrite(probe);
    }
}

/// The cast as programs of each kind may call it. It is looked for when the first pointer needs it: to find it and to try it takes half
/// a millisecond, and most programs follow none.
struct Casts<'a> {
    kernel: &'a dyn Kernel,
    known: RefCell<HashMap<ProgKind, Option<Kfunc>>>,
}

impl Casts<'_> {
    fn of(&self, kind: ProgKind) -> Option<Kfunc> {
        let find = || Kfunc::find(self.kernel, "bpf_rdonly_cast", kind);
        *self.known.borrow_mut().entry(kind).or_insert_with(find)
    }
}

/// Whether there is anything to be read.
fn is_concerned(probe: &Probe) -> bool {
    any(probe, |kind| match kind {
        ExprKind::Comm | ExprKind::Call(Helper::GET_CURRENT_TASK, _) => true,
        ExprKind::Load { addr, .. } => structure(addr).is_some(),
        _ => false,
    })
}

fn each(probe: &mut Probe, f: &mut dyn FnMut(&mut Expr)) {
    probe.functions.values_mut().for_each(|function| rewrite(&mut function.body, f));
    rewrite(&mut probe.body, f);
}

fn any(probe: &Probe, is_it: fn(&ExprKind) -> bool) -> bool {
    let mut found = false;
    probe.blocks().for_each(|block| walk(block, &mut |expr| found |= is_it(&expr.kind)));
    found
}

/// The variables that the task is assigned to, and nothing else ever: `$task = curtask;`.
fn aliases(probe: &Probe) -> BTreeSet<VarId> {
    let mut set = BTreeSet::new();
    let mut others: BTreeSet<VarId> = probe.functions.values().flat_map(|function| function.params.clone()).collect();
    for block in probe.blocks() {
        walk_statements(block, &mut |statement| match &statement.kind {
            StmtKind::Set(var, value) if is_task(value) => {
                set.insert(*var);
            }
            StmtKind::Set(var, _) | StmtKind::For { var, .. } => {
                others.insert(*var);
            }
            StmtKind::ForMap { key, value, .. } => others.extend([key].into_iter().chain(value)),
            _ => {}
        });
    }
    set.difference(&others).copied().collect()
}

fn is_task(value: &Expr) -> bool {
    match &*value.kind {
        ExprKind::Call(Helper::GET_CURRENT_TASK, _) => true,
        ExprKind::Convert(of) => is_task(of),
        _ => false,
    }
}

/// The structure in the kernel's memory that an address leads to.
fn structure(addr: &Expr) -> Option<TypeId> {
    let Type::Ptr(to, Space::Kernel) = &addr.ty else { return None };
    let Type::Struct(to) = &**to else { return None };
    Some(TypeId(to.btf))
}

/// The kernel's `struct task_struct`.
struct Task {
    id: TypeId,
    name: u32,
    process: u32,
    thread: u32,
}

impl Task {
    fn of(btf: &Btf) -> Option<Self> {
        let id = btf.find("task_struct", Kind::Struct)?;
        let offset = |name, size| {
            let offset = btf.field(id, name)?.bit_offset / 8;
            btf.plain_at(id, offset, size).map(|_| offset)
        };
        Some(Self { id, name: offset("comm", NAME)?, process: offset("tgid", 4)?, thread: offset("pid", 4)? })
    }
}

struct Reader<'a> {
    btf: &'a Btf,
    /// None where no pointer is to be followed without a check.
    casts: Option<&'a Casts<'a>>,
    kind: ProgKind,
    task: Option<&'a Task>,
    /// Variables that hold nothing but the task.
    aliases: BTreeSet<VarId>,
}

/// A way to a structure, as [`ExprKind::Follow`] has it.
struct Way {
    from: Expr,
    cast: Option<Cast>,
    hops: Vec<u32>,
    to: TypeId,
}

impl Way {
    fn field_at(self, offset: u32) -> ExprKind {
        ExprKind::Follow { from: self.from, cast: self.cast, hops: self.hops, offset }
    }
}

impl Reader<'_> {
    fn rewrite(&self, probe: &mut Probe) {
        each(probe, &mut |expr| self.read_directly(expr));
        if let Some(task) = self.task {
            // The ids take a helper call of their own, or the one that the task took.
            if any(probe, |kind| matches!(kind, ExprKind::Call(Helper::GET_CURRENT_TASK_BTF, _))) {
                each(probe, &mut |expr| read_ids(task, expr));
            }
        }
    }

    fn read_directly(&self, expr: &mut Expr) {
        let direct = match &*expr.kind {
            ExprKind::Comm => self.task.map(|task| self.current(task, expr).field_at(task.name)),
            ExprKind::Load { addr, offset } if !matches!(expr.ty, Type::Ptr(..)) && expr.ty.is_scalar() => {
                self.field(addr, *offset, expr.ty.size())
            }
            ExprKind::ReadStr { addr, max: None } => self.name_of_task(addr, expr.ty.size()),
            ExprKind::Load { addr, offset: 0 } if matches!(expr.ty, Type::Str(_)) => {
                self.name_of_task(addr, expr.ty.size())
            }
            _ => None,
        };
        match (direct, &mut *expr.kind) {
            (Some(direct), kind) => *kind = direct,
            (None, ExprKind::Load { addr, .. }) => self.start_directly(addr),
            (None, _) => {}
        }
    }

    /// A read that has to be checked may begin where pointers that need no check lead to.
    fn start_directly(&self, addr: &mut Expr) {
        if let Some((way, offset)) = self.hop(addr) {
            *addr.kind = way.field_at(offset);
        }
    }

    /// A number within the structure that an address leads to.
    fn field(&self, addr: &Expr, offset: i64, size: u32) -> Option<ExprKind> {
        let way = self.way(addr)?;
        let offset = u32::try_from(offset).ok()?;
        let ty = self.btf.plain_at(way.to, offset, size)?;
        (self.btf.kind(ty) != Some(Kind::Ptr)).then(|| way.field_at(offset))
    }

    /// The kernel fills a task's name with zeros; other texts may have anything behind their end.
    fn name_of_task(&self, addr: &Expr, size: u32) -> Option<ExprKind> {
        let ExprKind::Binary { op: BinaryOp::Add, left, right, .. } = &*addr.kind else { return None };
        let task = self.task?;
        let is_name = matches!(*right.kind, ExprKind::Int(offset) if offset == i64::from(task.name));
        let way = self.way(left).filter(|way| is_name && way.to == task.id && size == NAME)?;
        Some(way.field_at(task.name))
    }

    /// The way to the structure that a pointer leads to.
    fn way(&self, addr: &Expr) -> Option<Way> {
        let to = structure(addr)?;
        match &*addr.kind {
            ExprKind::Call(Helper::GET_CURRENT_TASK, _) => return self.own(to, addr),
            ExprKind::Var(var) if self.aliases.contains(var) => return self.own(to, addr),
            // The verifier knows what it is, and it need not be what it seems to be.
            ExprKind::Ctx => return None,
            // A pointer that was found before, as a part of this.
            ExprKind::Follow { from, cast, hops, offset } => {
                return Some(Way { from: from.clone(), cast: *cast, hops: [&hops[..], &[*offset]].concat(), to });
            }
            _ => {}
        }
        if let Some((Way { from, cast, mut hops, .. }, offset)) = self.hop(addr) {
            hops.push(offset);
            return Some(Way { from, cast, hops, to });
        }
        // A script's own structures, and unions, are nothing that the verifier could take a pointer for.
        let is_known = self.btf.kind(to) == Some(Kind::Struct);
        let cast = if is_known { self.cast(to)? } else { return None };
        Some(Way { from: addr.clone(), cast: Some(cast), hops: Vec::new(), to })
    }

    fn cast(&self, to: TypeId) -> Option<Cast> {
        let by = self.casts?.of(self.kind)?;
        Some(Cast { by, to: to.0 })
    }

    /// The way to a pointer that is read, but for the last step.
    fn hop(&self, pointer: &Expr) -> Option<(Way, u32)> {
        let to = structure(pointer)?;
        let ExprKind::Load { addr, offset } = &*pointer.kind else { return None };
        let mut way = self.way(addr)?;
        let offset = u32::try_from(*offset).ok()?;
        let found = self.btf.plain_at(way.to, offset, 8)?;
        if self.btf.pointee(found).map(|target| self.btf.strip(target)) != Some(to) {
            return None;
        }
        if way.cast.is_none() {
            way.cast = Some(self.cast(way.to)?);
        }
        Some((way, offset))
    }

    fn own(&self, to: TypeId, addr: &Expr) -> Option<Way> {
        let task = self.task.filter(|task| task.id == to)?;
        Some(self.current(task, addr))
    }

    /// The task itself, from which the verifier lets programs read.
    fn current(&self, task: &Task, place: &Expr) -> Way {
        let call = ExprKind::Call(Helper::GET_CURRENT_TASK_BTF, Vec::new());
        Way { from: Expr::new(call, Type::U64, place.span), cast: None, hops: Vec::new(), to: task.id }
    }
}

fn read_ids(task: &Task, expr: &mut Expr) {
    let ExprKind::Binary { op, left, right, .. } = &*expr.kind else { return };
    let is_ids = matches!(*left.kind, ExprKind::Call(Helper::GET_CURRENT_PID_TGID, _));
    let offset = match (op, &*right.kind) {
        (BinaryOp::Shr, ExprKind::Int(32)) if is_ids => task.process,
        (BinaryOp::And, ExprKind::Int(0xffff_ffff)) if is_ids => task.thread,
        _ => return,
    };
    let from = Expr::new(ExprKind::Call(Helper::GET_CURRENT_TASK_BTF, Vec::new()), Type::U64, expr.span);
    let field = ExprKind::Follow { from, cast: None, hops: Vec::new(), offset };
    // The number in the task has 32 bits, whatever becomes of it.
    let number = Expr::new(field, Type::U32, expr.span);
    *expr.kind = if expr.ty.size() == 4 { *number.kind } else { ExprKind::Convert(number) };
}
