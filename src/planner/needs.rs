//! What a body needs of the mechanism that runs it.

use std::collections::BTreeSet;

use crate::bpf::Helper;
use crate::ir::{Expr, ExprKind, Probe, Takes, walk};
use crate::types::{Side, Type};

pub struct Needs {
    pub context: Context,
    pub kernel_stack: bool,
    /// The number of the target among those of the program.
    pub cookie: bool,
    /// Functions of the kernel that are called.
    pub calls: BTreeSet<u32>,
}

/// What is used of the memory that the kernel hands to the program.
#[derive(Debug, PartialEq, Eq)]
pub enum Context {
    Nothing,
    /// Scalars at these offsets.
    Fields(BTreeSet<u32>),
    /// Its address.
    Whole,
}

impl Needs {
    pub fn of(probe: &Probe) -> Needs {
        let mut fields = BTreeSet::new();
        let mut addresses = 0usize;
        let (mut kernel_stack, mut cookies, mut functions, mut calls) = (false, 0usize, 0usize, BTreeSet::new());
        walk(&probe.body, &mut |expr| match &*expr.kind {
            ExprKind::Ctx => addresses += 1,
            ExprKind::CtxLoad { offset } => {
                fields.insert(*offset);
            }
            ExprKind::Call(Helper::GET_ATTACH_COOKIE, _) => cookies += 1,
            ExprKind::OfObject { given, taken, .. } => calls.extend([given.id, taken.id]),
            ExprKind::Call(Helper::GET_FUNC_IP, _) => functions += 1,
            _ => kernel_stack |= is_kernel_stack(expr),
        });
        for function in probe.functions.values() {
            // What functions are handed is not looked into.
            addresses += usize::from(function.takes == Takes::ContextToo);
            walk(&function.body, &mut |expr| match &*expr.kind {
                ExprKind::OfObject { given, taken, .. } => calls.extend([given.id, taken.id]),
                _ => kernel_stack |= is_kernel_stack(expr),
            });
        }
        // Each cookie, and the function's address, is asked for with the context's, which is all that it is used for.
        let context = match (addresses - cookies - functions, fields.is_empty()) {
            (0, true) => Context::Nothing,
            (0, false) => Context::Fields(fields),
            _ => Context::Whole,
        };
        Needs { context, kernel_stack, cookie: cookies > 0, calls }
    }
}

fn is_kernel_stack(expr: &Expr) -> bool {
    match &*expr.kind {
        ExprKind::Stack { .. } => !matches!(&expr.ty, Type::Stack(stack) if stack.side == Side::User),
        ExprKind::StackLen { of } => of.side == Side::Kernel,
        _ => false,
    }
}
