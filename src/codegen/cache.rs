//! What has been computed on every path to here and cannot change during one run of the program.
//!
//! The assembler numbers arithmetic and helper calls; this remembers what takes memory: reads of the kernel's or the
//! process's memory, texts, names.

use std::collections::HashMap;
use std::fmt::Write;

use crate::bpf::asm::{Operand, Place};
use crate::ir::{Expr, ExprKind};

/// Where a value is.
#[derive(Clone, Copy)]
pub enum Cached {
    Scalar(Operand),
    Memory(Place),
}

/// Values by what they are computed from; one table for each conditional part that is open.
pub struct Cache {
    scopes: Vec<HashMap<String, Cached>>,
}

impl Cache {
    pub fn new() -> Self {
        Self { scopes: vec![HashMap::new()] }
    }

    pub fn enter(&mut self) {
        self.scopes.push(HashMap::new());
    }

    pub fn leave(&mut self) {
        self.scopes.pop();
    }

    pub fn get(&self, key: &str) -> Option<Cached> {
        self.scopes.iter().rev().find_map(|scope| scope.get(key)).copied()
    }

    pub fn insert(&mut self, key: String, value: Cached) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(key, value);
        }
    }
}

/// A name for the value of an expression that gives the same throughout one run; `None` for any other.
pub fn key(expr: &Expr) -> Option<String> {
    let mut text = String::new();
    describe(expr, &mut text).then_some(text)
}

fn describe(expr: &Expr, to: &mut String) -> bool {
    // Types matter: the same bytes may be read in several ways.
    write!(to, "({:?} ", expr.ty).ok();
    let is_constant = match &*expr.kind {
        ExprKind::Int(number) => write!(to, "{number}").is_ok(),
        ExprKind::Ctx => write!(to, "the context").is_ok(),
        ExprKind::CtxLoad { offset } => write!(to, "ctx+{offset}").is_ok(),
        ExprKind::Comm => write!(to, "current comm").is_ok(),
        ExprKind::Follow { from, hops, offset, .. } => {
            write!(to, "follow {hops:?} {offset}").ok();
            describe(from, to)
        }
        ExprKind::NamespacedPid { device, inode } => write!(to, "pid {device} {inode}").is_ok(),
        ExprKind::FuncResult => write!(to, "the result").is_ok(),
        ExprKind::Call(helper, args) => {
            write!(to, "call {helper:?}").ok();
            helper.is_constant() && args.iter().all(|arg| describe(arg, to))
        }
        ExprKind::Convert(of) => describe(of, to),
        ExprKind::Unary(op, of) => {
            write!(to, "{op:?}").ok();
            describe(of, to)
        }
        ExprKind::Binary { op, sign, left, right, zero: None } => {
            write!(to, "{op:?} {sign:?}").ok();
            describe(left, to) && describe(right, to)
        }
        ExprKind::Bits { value, shift, width } => {
            write!(to, "bits {shift} {width}").ok();
            describe(value, to)
        }
        ExprKind::Load { addr, offset } => {
            write!(to, "load {offset}").ok();
            describe(addr, to)
        }
        ExprKind::ReadStr { addr, max: None } => {
            write!(to, "text").ok();
            describe(addr, to)
        }
        _ => false,
    };
    to.push(')');
    is_constant
}
