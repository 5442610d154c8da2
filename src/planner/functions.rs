//! Trampolines on many functions become one program with one link, where the kernel has such links and the body asks nothing of the
//! function but its address, its result, or which it is: such a program is not told arguments.

use std::collections::BTreeSet;

use super::needs::{Context, Needs};
use crate::ir::{Expr, ExprKind, Probe, rewrite};
use crate::kernel::{Feature, Home, Kernel, type_at_home};
use crate::plan::{Attach, Point, ProgKind, Target};
use crate::types::Type;

/// The same probe, or what became of it: one for each home of functions, as a link is for those of one.
pub fn together(probe: Probe, kernel: &dyn Kernel) -> Vec<Probe> {
    let is_many = probe.kind == ProgKind::Tracing && probe.targets.len() > 1;
    if !is_many || !kernel.has(Feature::TracingMulti) || !probe.targets.iter().all(is_plain) {
        return vec![probe];
    }
    let needs = Needs::of(&probe);
    let is_possible = match &needs.context {
        Context::Nothing => true,
        Context::Fields(fields) => probe.targets.iter().all(|target| is_result(kernel, target, fields)),
        Context::Whole => false,
    };
    let homes = by_home(&probe.targets);
    // Names go by the numbers that targets have among all of a program.
    if !is_possible || !needs.calls.is_empty() || needs.cookie && homes.len() > 1 {
        return vec![probe];
    }
    homes.into_iter().map(|targets| of_many(&probe, targets)).collect()
}

/// A link is for functions of the kernel or of one module.
fn is_plain(target: &Target) -> bool {
    matches!(&target.attach, Attach::Trampoline { home: Home::Kernel | Home::Module(_), .. })
}

/// Whether all that is loaded is what the function returns, which follows its arguments.
fn is_result(kernel: &dyn Kernel, target: &Target, fields: &BTreeSet<u32>) -> bool {
    let Attach::Trampoline { home, type_id, at: Point::Return, .. } = &target.attach else { return false };
    let function = kernel.btf().zip(type_at_home(kernel, home, *type_id));
    let signature = function.and_then(|(btf, id)| btf.signature(id));
    // Functions whose arguments take more than a word each are not traced by patterns.
    signature.is_some_and(|signature| fields.iter().eq([&(8 * signature.params.len() as u32)]))
}

fn by_home(targets: &[Target]) -> Vec<Vec<Target>> {
    let home = |target: &Target| match &target.attach {
        Attach::Trampoline { home, .. } => home.clone(),
        _ => Home::Kernel,
    };
    targets.chunk_by(|a, b| home(a) == home(b)).map(<[Target]>::to_vec).collect()
}

fn of_many(probe: &Probe, targets: Vec<Target>) -> Probe {
    let mut probe = Probe { kind: ProgKind::ManyTracing, targets, ..probe.clone() };
    rewrite(&mut probe.body, &mut ask_for_result);
    probe
}

/// The kernel tells the result to those who ask for it.
fn ask_for_result(expr: &mut Expr) {
    if let ExprKind::CtxLoad { .. } = &*expr.kind {
        let result = Expr::new(ExprKind::FuncResult, Type::U64, expr.span);
        *expr = Expr::new(ExprKind::Convert(result), expr.ty.clone(), expr.span);
    }
}
