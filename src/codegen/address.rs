//! Addresses as numbers, and scalars at places that need not be aligned.

use super::maps::Found;
use super::memory::argument;
use super::state::{Gen, Generated, Storage, at, size_of};
use crate::bpf::Helper;
use crate::bpf::asm::{Alu, Arg, Base, Operand, Place, Size};
use crate::ir::{self, Block, Expr, ExprKind, VarId};
use crate::plan::MapId;
use crate::types::Type;

impl Gen<'_> {
    /// A scalar of this type in memory.
    pub fn load_from(&mut self, place: Place, ty: &Type) -> Operand {
        let size = size_of(ty);
        let is_aligned = place.offset.rem_euclid(size.bytes() as i32) == 0;
        let value = match place.base {
            // Only on the stack does the verifier insist on it.
            Base::Frame(_) if !is_aligned => self.load_by_bytes(place, size),
            _ => self.asm.load(size, place).into(),
        };
        self.extended(value, ty)
    }

    fn load_by_bytes(&mut self, place: Place, size: Size) -> Operand {
        let mut value = Operand::Imm(0);
        for byte in 0..size.bytes() {
            let part = self.asm.load(Size::B1, at(place, byte));
            let part = self.asm.alu(Alu::Shl, part.into(), Operand::Imm(8 * i64::from(byte)));
            value = self.asm.alu(Alu::Or, value, part);
        }
        value
    }

    pub fn variable_address(&mut self, var: VarId) -> Operand {
        match self.storage(var) {
            Storage::Memory(place) => {
                let address = self.asm.address(place);
                self.as_number(address.into())
            }
            // Variables whose address is taken are kept in memory.
            Storage::Register(_) => Operand::Imm(0),
        }
    }

    pub fn map_address(&mut self, map: MapId, key: Option<&Expr>) -> Generated<Operand> {
        let address = match self.look_up(map, key)? {
            Found::Always(place) => self.asm.address(place),
            Found::Maybe(pointer) => pointer,
        };
        Ok(self.as_number(address.into()))
    }

    pub fn per_cpu_address(&mut self, var: u32, cpu: Option<&Expr>) -> Generated<Operand> {
        let address = match cpu {
            None => self.asm.call(Helper::THIS_CPU_PTR, &[Arg::KernelVar(var)]),
            Some(cpu) => {
                let cpu = argument(self.scalar(cpu)?);
                self.asm.call(Helper::PER_CPU_PTR, &[Arg::KernelVar(var), cpu])
            }
        };
        Ok(self.as_number(address.into()))
    }

    /// The verifier allows little arithmetic with what it knows to be a pointer. Once a helper has copied it, it is a number.
    fn as_number(&mut self, pointer: Operand) -> Operand {
        let (from, to) = (self.stack(8), self.stack(8));
        self.asm.store(Size::B8, from, pointer);
        self.asm.call(Helper::PROBE_READ_KERNEL, &[Arg::Address(to), Arg::Imm(8), Arg::Address(from)]);
        self.asm.load(Size::B8, to).into()
    }

    /// Gives memory to the variables whose address is taken.
    pub fn keep_addressed(&mut self, body: &Block) {
        let mut addressed = Vec::new();
        ir::walk(body, &mut |expr| {
            if let ExprKind::Address(var) = *expr.kind {
                addressed.push(var);
            }
        });
        for var in addressed {
            self.keep_in_memory(var);
        }
    }
}
