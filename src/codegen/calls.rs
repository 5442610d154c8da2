//! The script's functions: one function of the program each, which all calls in the program share.
//!
//! Numbers are handed over and given in registers. Whatever else lies in memory of the caller's, whose address is handed over;
//! such a result is written by the function to where the caller wants it.

use super::cache::Cache;
use super::memory::argument;
use super::state::{Function, FunctionRole, Gen, Generated, Kept, MAIN, Returns, Storage};
use crate::bpf::asm::{Arg, Base, Operand, Place, VReg};
use crate::id::Id;
use crate::ir::{self, Block, Expr, ExprKind, FunctionId, StmtKind, Takes, VarId};
use crate::types::Type;

impl<'a> Gen<'a> {
    /// Generates a function; those that it calls are there already.
    pub fn called_function(&mut self, of: &'a ir::Function) -> Generated<()> {
        let main = self.function;
        let (id, registers) = self.asm.function(&of.name, of.registers() as u8);
        self.functions.push(id);
        self.asm.at(of.span);
        let mut handed = registers.into_iter();
        let ctx = match of.takes {
            Takes::ContextToo => handed.next().map(Base::Reg),
            Takes::Arguments => None,
        };
        let returns = match (&of.result, of.gives_memory()) {
            (Type::Void, _) => Returns::Status,
            (_, false) => Returns::Number,
            (_, true) => handed.next().map_or(Returns::Status, Returns::Memory),
        };
        let role = FunctionRole::Called;
        self.function = Function { id, ctx, captured: None, scratch: None, reserved: None, role, returns };
        self.cache = Cache::new();
        self.body(&of.body, &of.params.iter().copied().zip(handed).collect::<Vec<_>>())?;
        self.cache = Cache::new();
        self.function = main;
        self.asm.resume(MAIN);
        Ok(())
    }

    /// Takes over a parameter. What lies in the caller's memory stays there, unless the function changes it.
    pub fn take_over(&mut self, var: VarId, handed: VReg, body: &Block) {
        let ty = &self.probe.vars[var].ty;
        let there = Place::new(Base::Reg(handed), 0);
        if !ty.is_scalar() && self.vars[var.index()].is_none() && !is_set(body, var) {
            self.vars[var.index()] = Some(Kept::Memory(there));
            return;
        }
        match self.storage(var) {
            Storage::Register(variable) => self.asm.set(variable, handed.into()),
            Storage::Memory(place) if ty.is_scalar() => self.store_scalar(ty, place, handed.into()),
            Storage::Memory(place) => self.copy(place, there, ty.size()),
        }
    }

    /// A call; what does not fit a register is written to `to`.
    pub fn invoke(&mut self, function: FunctionId, args: &[Expr], to: Option<Place>) -> Generated<Operand> {
        let of = &self.probe.functions[function];
        let mut handed = Vec::new();
        if of.takes == Takes::ContextToo {
            handed.push(Arg::Address(self.ctx(0)));
        }
        handed.extend(to.map(Arg::Address));
        let effects = args.iter().any(Expr::has_effects);
        for arg in args {
            let arg = match &*arg.kind {
                _ if arg.ty.is_scalar() => argument(self.scalar(arg)?),
                ExprKind::Var(_) if !effects => Arg::Address(self.lent(arg)?),
                _ => Arg::Address(self.copy_of(arg)?),
            };
            handed.push(arg);
        }
        let callee = self.functions[function.index()];
        Ok(self.asm.call(callee, &handed).into())
    }

    /// Where a variable lies, if functions can read it there: they rely on a multiple of 8 bytes.
    fn lent(&mut self, arg: &Expr) -> Generated<Place> {
        let place = self.place_of(arg)?;
        if place.offset % 8 == 0 { Ok(place) } else { self.copy_of(arg) }
    }
}

/// Whether a variable is assigned to, or has its address taken.
fn is_set(block: &Block, var: VarId) -> bool {
    let mut found = false;
    ir::walk(block, &mut |expr| found |= matches!(*expr.kind, ExprKind::Address(other) if other == var));
    ir::walk_statements(block, &mut |statement| {
        found |= matches!(statement.kind, StmtKind::Set(other, _) if other == var);
    });
    found
}
