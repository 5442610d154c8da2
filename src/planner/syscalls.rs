//! Tracepoints of system calls, served by the events `sys_enter` and `sys_exit` of all calls and a comparison of the call's number.

use std::str::FromStr;

use super::needs::{Context, Needs};
use crate::bpf::Helper;
use crate::btf::TypeId;
use crate::ir::{BinaryOp, Block, CompareOp, Expr, ExprKind, Probe, Stmt, StmtKind, Var, VarId, rewrite, walk};
use crate::kernel::{Feature, Kernel};
use crate::plan::{Attach, Map, Plan, Point, ProgKind, Role, Target};
use crate::source::Span;
use crate::types::{Sign, Space, StructRef, Type};

pub const CATEGORY: &str = "syscalls";

/// That of the events of all system calls.
pub const OF_ALL: &str = "raw_syscalls";

/// Where the record of a system call has its number, and its first argument or its result.
const NUMBER: u32 = 8;
const FIRST: u32 = 16;

/// What the processor's saved state has where, and how a task says that it makes calls of 32-bit programs, whose numbers differ.
#[cfg(target_arch = "x86_64")]
mod layout {
    /// di, si, dx, r10, r8, r9.
    pub const ARGS: [i64; 6] = [112, 104, 96, 56, 72, 64];
    /// `orig_ax`.
    pub const NUMBER: i64 = 120;
    /// `TS_COMPAT` in `thread_info.status`.
    pub const COMPAT: (&str, i64) = ("status", 2);
}

#[cfg(target_arch = "aarch64")]
mod layout {
    pub const ARGS: [i64; 6] = [0, 8, 16, 24, 32, 40];
    /// `syscallno`, which follows `orig_x0`.
    pub const NUMBER: i64 = 280;
    /// `TIF_32BIT` in `thread_info.flags`.
    pub const COMPAT: (&str, i64) = ("flags", 1 << 22);
}

/// Whether all targets are system calls, so that one program could serve them.
pub fn serves(targets: &[Target]) -> bool {
    targets.iter().all(|target| call_of(target).is_some())
}

/// Takes the system calls out of a probe, if its body can do without their records: one probe for entries, one for returns.
pub fn dispatch(probe: &mut Probe, needs: &Needs, kernel: &dyn Kernel, plan: &mut Plan) -> Vec<Probe> {
    let Some(known) = Known::find(kernel) else { return Vec::new() };
    let is_served = |target: &Target| {
        call_of(target).is_some_and(|(at, name)| number(name).is_some() && is_readable(&needs.context, at))
    };
    // Targets that are left must keep their numbers, if these are asked for.
    if needs.cookie && !probe.targets.iter().all(is_served) {
        return Vec::new();
    }
    let source = if kernel.has(Feature::RawTracepointsUnpreempted) { EventSource::Raw } else { EventSource::Perf };
    let mut found = Vec::new();
    for at in [Point::Entry, Point::Return] {
        let calls = Call::all(&probe.targets, at, source);
        if !calls.is_empty() && is_readable(&needs.context, at) {
            found.push(Dispatcher { at, source, known: &known, span: probe.span }.build(probe, &calls, plan));
        }
    }
    probe.targets.retain(|target| !is_served(target));
    found
}

/// What tells of all system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EventSource {
    /// The raw tracepoint hands over saved registers.
    Raw,
    /// Its record has the number, the arguments and the result where those of single calls have them.
    Perf,
}

/// A system call that a probe is for.
struct Call {
    number: u32,
    /// Where among the probe's targets it stands.
    index: usize,
    /// The target as the event of all calls serves it.
    target: Target,
}

impl Call {
    /// The calls at this point.
    fn all(targets: &[Target], at: Point, source: EventSource) -> Vec<Call> {
        let event = match at {
            Point::Entry => "sys_enter",
            Point::Return => "sys_exit",
        };
        let call = |(index, target): (usize, &Target)| {
            let (point, name) = call_of(target)?;
            let event = event.to_string();
            let attach = match source {
                EventSource::Raw => Attach::RawTracepoint { event },
                EventSource::Perf => Attach::Tracepoint { category: OF_ALL.to_string(), event },
            };
            (point == at).then_some(Call { number: number(name)?, index, target: Target { attach, ..target.clone() } })
        };
        targets.iter().enumerate().filter_map(call).collect()
    }
}

/// The point and the name of the system call that a target is.
fn call_of(target: &Target) -> Option<(Point, &str)> {
    let Attach::Tracepoint { category, event } = &target.attach else { return None };
    if category != CATEGORY {
        return None;
    }
    let entry = event.strip_prefix("sys_enter_").map(|name| (Point::Entry, name));
    entry.or_else(|| event.strip_prefix("sys_exit_").map(|name| (Point::Return, name)))
}

/// The number of a call by the name that its tracepoint has, which is that of the function in the kernel.
pub fn number(name: &str) -> Option<u32> {
    let name = match name {
        "newstat" => "stat",
        "newfstat" => "fstat",
        "newlstat" => "lstat",
        "newuname" => "uname",
        "umount" => "umount2",
        "sendfile64" => "sendfile",
        other => other,
    };
    let recent = || RECENT.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    syscalls::Sysno::from_str(name).ok().map(|call| call.id() as u32).or_else(recent)
}

/// Calls that are newer than the table of all, by their numbers, which since 424 are the same on all architectures.
const RECENT: &[(&str, u32)] = &[
    ("cachestat", 451),
    ("fchmodat2", 452),
    ("map_shadow_stack", 453),
    ("futex_wake", 454),
    ("futex_wait", 455),
    ("futex_requeue", 456),
    ("statmount", 457),
    ("listmount", 458),
    ("lsm_get_self_attr", 459),
    ("lsm_set_self_attr", 460),
    ("lsm_list_modules", 461),
    ("mseal", 462),
    ("setxattrat", 463),
    ("getxattrat", 464),
    ("listxattrat", 465),
    ("removexattrat", 466),
    ("open_tree_attr", 467),
    ("file_getattr", 468),
    ("file_setattr", 469),
    ("listns", 470),
    #[cfg(target_arch = "x86_64")]
    ("uretprobe", 335),
    #[cfg(target_arch = "x86_64")]
    ("uprobe", 336),
];

/// Whether everything that a body reads of the record can be had from the raw event.
fn is_readable(context: &Context, at: Point) -> bool {
    let readable = |offset: &u32| match at {
        Point::Entry => *offset == NUMBER || argument(*offset).is_some(),
        Point::Return => [NUMBER, FIRST].contains(offset),
    };
    match context {
        Context::Nothing => true,
        Context::Fields(offsets) => offsets.iter().all(readable),
        Context::Whole => false,
    }
}

/// The index of the argument at an offset of the record.
fn argument(offset: u32) -> Option<usize> {
    let index = offset.checked_sub(FIRST)?;
    (index.is_multiple_of(8) && index / 8 < 6).then_some(index as usize / 8)
}

/// What the kernel's types tell.
struct Known {
    /// The processor's saved state.
    registers: StructRef,
    task: StructRef,
    /// Where a task says that it makes calls of 32-bit programs.
    compat: i64,
}

impl Known {
    fn find(kernel: &dyn Kernel) -> Option<Known> {
        let btf = kernel.btf()?;
        let task = btf.struct_named("task_struct")?;
        let info = btf.field(TypeId(task.btf), "thread_info")?;
        let field = btf.field(btf.strip(info.ty), layout::COMPAT.0)?;
        let compat = i64::from(info.bit_offset + field.bit_offset) / 8;
        Some(Known { registers: btf.struct_named("pt_regs")?, task, compat })
    }
}

/// Builds the program for one event of all calls.
struct Dispatcher<'a> {
    at: Point,
    source: EventSource,
    known: &'a Known,
    span: Span,
}

impl Dispatcher<'_> {
    fn build(&self, probe: &Probe, calls: &[Call], plan: &mut Plan) -> Probe {
        let mut vars = probe.vars.clone();
        let number = vars.push(Var { name: "system call".to_string(), ty: Type::U64 });
        let mut body = probe.body.clone();
        by_number(&mut body, calls, plan);
        rewrite(&mut body, &mut |expr| self.rewrite(expr, number));
        let mut numbers: Vec<u32> = calls.iter().map(|call| call.number).collect();
        numbers.sort_unstable();
        let wanted = self.if_then(self.among(number, &ranges(&numbers)), self.native(body));
        let set = Stmt::new(StmtKind::Set(number, self.number()), self.span);
        let body = [vec![set], wanted].concat();
        let targets = calls.iter().map(|call| call.target.clone()).collect();
        let functions = probe.functions.clone();
        let kind = match self.source {
            EventSource::Raw => ProgKind::RawTracepoint,
            EventSource::Perf => ProgKind::Tracepoint,
        };
        Probe { kind, targets, vars, functions, body, span: probe.span }
    }

    /// What was read of the record is read of the arguments of the raw event: the saved registers, and the number or the result. The
    /// number tells targets apart.
    fn rewrite(&self, expr: &mut Expr, number: VarId) {
        let value = match (&*expr.kind, self.source, self.at) {
            (ExprKind::CtxLoad { offset: NUMBER }, _, _) => self.var(number),
            (ExprKind::CtxLoad { offset: FIRST }, EventSource::Raw, Point::Return) => self.raw(1),
            (ExprKind::CtxLoad { offset }, EventSource::Raw, Point::Entry) => match argument(*offset) {
                Some(index) => self.register(layout::ARGS[index]),
                None => return,
            },
            (ExprKind::Call(Helper::GET_ATTACH_COOKIE, _), _, _) => self.var(number),
            _ => return,
        };
        *expr = Expr::new(ExprKind::Convert(value), expr.ty.clone(), expr.span);
    }

    /// The number of the call: at the raw event of its return, only the registers have it.
    fn number(&self) -> Expr {
        match (self.source, self.at) {
            (EventSource::Perf, _) => Expr::new(ExprKind::CtxLoad { offset: NUMBER }, Type::U64, self.span),
            (EventSource::Raw, Point::Entry) => self.raw(1),
            (EventSource::Raw, Point::Return) => self.register(layout::NUMBER),
        }
    }

    /// An argument of the raw event.
    fn raw(&self, index: u32) -> Expr {
        Expr::new(ExprKind::CtxLoad { offset: 8 * index }, Type::U64, self.span)
    }

    fn register(&self, offset: i64) -> Expr {
        let registers = Type::Struct(self.known.registers.clone());
        let addr = Expr { ty: Type::pointer(registers, Space::Kernel), ..self.raw(0) };
        Expr::new(ExprKind::Load { addr, offset }, Type::U64, self.span)
    }

    /// The body for calls of programs of the kernel's own width. To ask the task takes a call, for which a predicate on what the event
    /// hands over does not wait.
    fn native(&self, mut body: Block) -> Block {
        match body.as_mut_slice() {
            [Stmt { kind: StmtKind::If { cond, then, otherwise }, .. }] if otherwise.is_empty() && is_at_hand(cond) => {
                *then = self.if_then(self.is_native(), std::mem::take(then));
                body
            }
            _ => self.if_then(self.is_native(), body),
        }
    }

    fn is_native(&self) -> Expr {
        let addr = Expr::new(
            ExprKind::Call(Helper::GET_CURRENT_TASK, Vec::new()),
            Type::pointer(Type::Struct(self.known.task.clone()), Space::Kernel),
            self.span,
        );
        let flags = Expr::new(ExprKind::Load { addr, offset: self.known.compat }, Type::U32, self.span);
        let bit = Expr::int(layout::COMPAT.1, Type::U64, self.span);
        let kind = ExprKind::Binary { op: BinaryOp::And, sign: Sign::Unsigned, left: flags, right: bit, zero: None };
        self.compare(CompareOp::Eq, Expr::new(kind, Type::U64, self.span), 0)
    }

    /// Whether the number lies in one of the ranges: halved until one is left, so that many cost little more than a few.
    fn among(&self, number: VarId, ranges: &[(u32, u32)]) -> Expr {
        match ranges {
            [] => Expr::int(0, Type::Bool, self.span),
            [(first, last)] if first == last => self.compare(CompareOp::Eq, self.var(number), *first),
            [(first, last)] => {
                let above = self.compare(CompareOp::Ge, self.var(number), *first);
                let below = self.compare(CompareOp::Le, self.var(number), *last);
                Expr::new(ExprKind::And(above, below), Type::Bool, self.span)
            }
            _ => {
                let (low, high) = ranges.split_at(ranges.len() / 2);
                let cond = self.compare(CompareOp::Lt, self.var(number), high[0].0);
                let (then, otherwise) = (self.among(number, low), self.among(number, high));
                Expr::new(ExprKind::Cond { cond, then, otherwise }, Type::Bool, self.span)
            }
        }
    }

    fn compare(&self, op: CompareOp, left: Expr, right: u32) -> Expr {
        let right = Expr::int(i64::from(right), Type::U64, self.span);
        Expr::new(ExprKind::Compare { op, sign: Sign::Unsigned, left, right }, Type::Bool, self.span)
    }

    fn var(&self, var: VarId) -> Expr {
        Expr::new(ExprKind::Var(var), Type::U64, self.span)
    }

    fn if_then(&self, cond: Expr, then: Block) -> Block {
        vec![Stmt::new(StmtKind::If { cond, then, otherwise: Block::new() }, self.span)]
    }
}

/// Whether an expression takes nothing but what the event hands over, and has no effect.
fn is_at_hand(cond: &Expr) -> bool {
    let mut at_hand = true;
    cond.walk(&mut |expr| {
        at_hand &= match &*expr.kind {
            ExprKind::Int(_) | ExprKind::Var(_) | ExprKind::CtxLoad { .. } => true,
            ExprKind::Load { addr, .. } => matches!(*addr.kind, ExprKind::CtxLoad { offset: 0 }),
            ExprKind::Compare { .. } | ExprKind::And(..) | ExprKind::Or(..) | ExprKind::Convert(_) => true,
            ExprKind::Binary { zero, .. } => zero.is_none(),
            _ => false,
        }
    });
    at_hand
}

/// Texts that the body looks up by the number of the target are put where the number of the call finds them.
fn by_number(body: &mut Block, calls: &[Call], plan: &mut Plan) {
    let mut tables = Vec::new();
    walk(body, &mut |expr| match &*expr.kind {
        ExprKind::MapGet { map, key: Some(key) } if is_number_of_target(key) => tables.push(*map),
        _ => {}
    });
    let Some(table) = tables.first().copied() else { return };
    let Role::Table(rows) = &plan.maps[table].role else { return };
    let row = |call: &Call| Some((call.number, rows.get(call.index)?.1.clone()));
    let role = Role::Table(calls.iter().filter_map(row).collect());
    let max_entries = calls.iter().map(|call| call.number + 1).max().unwrap_or(1);
    let moved = plan.maps.push(Map { role, max_entries, ..plan.maps[table].clone() });
    rewrite(body, &mut |expr| match &mut *expr.kind {
        ExprKind::MapGet { map, .. } if *map == table => *map = moved,
        _ => {}
    });
}

fn is_number_of_target(key: &Expr) -> bool {
    match &*key.kind {
        ExprKind::Convert(number) => matches!(*number.kind, ExprKind::Call(Helper::GET_ATTACH_COOKIE, _)),
        _ => false,
    }
}

/// Runs of numbers that follow each other, as first and last.
fn ranges(sorted: &[u32]) -> Vec<(u32, u32)> {
    let mut found: Vec<(u32, u32)> = Vec::new();
    for number in sorted {
        match found.last_mut() {
            Some((_, last)) if *last + 1 >= *number => *last = *number,
            _ => found.push((*number, *number)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_by_the_names_of_tracepoints() {
        assert_eq!(number("openat"), Some(syscalls::Sysno::openat.id() as u32));
        assert_eq!(number("newuname"), Some(syscalls::Sysno::uname.id() as u32));
        assert_eq!((number("mseal"), number("nosuch")), (Some(462), None));
    }

    #[test]
    fn every_call_of_this_machine_has_a_number() {
        let kernel = crate::kernel::Live::new(|_, _| true);
        let events = kernel.tracepoints().unwrap_or_default();
        let names = events.iter().filter_map(|event| event.strip_prefix("syscalls:sys_enter_"));
        let unknown: Vec<&str> = names.filter(|name| number(name).is_none()).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn neighbours_become_ranges() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), [(1, 3), (7, 7), (9, 10)]);
    }
}
