//! Finds how many entries of each table may be made before the kernel's allocator gets to run, as in
//! `interval:s:1 { for ($i : 0..100) { @[$i] = count(); } }`. It keeps a few at hand for each CPU, and fetches more by an interrupt:
//! where interrupts are off, all further new keys would be lost. Tables with such probes have their entries from the start.

use std::collections::BTreeMap;

use super::syscalls;
use crate::ir::{Block, ExprKind, Probe, Stmt, StmtKind, turns};
use crate::plan::{Attach, MapId, Plan, Target};

/// New entries by table.
type Counts = BTreeMap<MapId, u64>;

/// Notes in the plan how many entries may be new at once.
pub fn mark(probes: &[Probe], plan: &mut Plan) {
    for probe in probes {
        let targets = probe.targets.iter().filter(|target| may_hold_off_interrupts(target)).count() as u64;
        if targets == 0 {
            continue;
        }
        let mut made = in_block(&probe.body);
        for function in probe.functions.values() {
            // It may be called any number of times.
            add(&mut made, in_block(&function.body), u64::MAX);
        }
        add(&mut plan.bursts, made, targets);
    }
}

/// Whether a probe there may run while interrupts are off. System calls begin and end with interrupts on, and so do traps of user
/// space.
fn may_hold_off_interrupts(target: &Target) -> bool {
    match &target.attach {
        Attach::Run(_) | Attach::Uprobe { .. } | Attach::Iterator { .. } => false,
        Attach::Tracepoint { category, .. } => ![syscalls::CATEGORY, syscalls::OF_ALL].contains(&&category[..]),
        Attach::RawTracepoint { event } => !["sys_enter", "sys_exit"].contains(&&event[..]),
        Attach::Kprobe { .. } | Attach::KprobeAddress { .. } | Attach::Trampoline { .. } => true,
        Attach::Perf { .. } | Attach::Watchpoint { .. } => true,
    }
}

fn in_block(block: &Block) -> Counts {
    let mut made = Counts::new();
    for statement in block {
        add(&mut made, in_statement(statement), 1);
    }
    made
}

fn in_statement(statement: &Stmt) -> Counts {
    let mut made = Counts::new();
    match &statement.kind {
        StmtKind::Update { map, .. } | StmtKind::MapSet { map, .. } => {
            made.insert(*map, 1);
        }
        StmtKind::If { then, otherwise, .. } => {
            made = in_block(then);
            for (map, count) in in_block(otherwise) {
                let most = made.entry(map).or_default();
                *most = count.max(*most);
            }
        }
        StmtKind::For { from, to, body, .. } => {
            add(&mut made, in_block(body), turns(from, to).map_or(u64::MAX, |turns| turns as u64));
        }
        StmtKind::ForMap { body, .. } | StmtKind::While { body, .. } => add(&mut made, in_block(body), u64::MAX),
        StmtKind::Block(body) => made = in_block(body),
        StmtKind::Eval(_) | StmtKind::Set(..) | StmtKind::Count(_) | StmtKind::Announce(_) | StmtKind::Emit { .. } => {}
        StmtKind::Break | StmtKind::Continue | StmtKind::Return(_) => {}
    }
    statement.each_expr(&mut |expr| {
        expr.walk_direct(&mut |part| {
            if let ExprKind::Seq(block, _) = &*part.kind {
                add(&mut made, in_block(block), 1);
            }
        });
    });
    made
}

fn add(to: &mut Counts, more: Counts, times: u64) {
    for (map, count) in more {
        let sum = to.entry(map).or_default();
        *sum = sum.saturating_add(count.saturating_mul(times));
    }
}
