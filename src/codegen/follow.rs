//! Objects of the kernel's that the verifier knows: pointers followed by plain loads, and what has to be given back.

use super::cache;
use super::memory::{Padding, argument};
use super::state::{Gen, Generated, at};
use crate::bpf::Helper;
use crate::bpf::asm::{Alu, Arg, Base, Cond, Kfunc, Operand, Place, Size, VReg};
use crate::ir::{Cast, Expr};

/// Where pointers lead to.
#[derive(Clone, Copy)]
pub struct Led {
    pub place: Place,
    stay: Stay,
}

/// Whether one look serves the whole run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stay {
    /// The way begins at what stays the same.
    Same,
    /// It begins at a variable, which may be set to something else, or whose memory may be the script's own.
    Changing,
}

impl Gen<'_> {
    pub fn led_to(&mut self, from: &Expr, cast: Option<Cast>, hops: &[u32], offset: u32) -> Generated<Led> {
        let stay = if cache::key(from).is_some() { Stay::Same } else { Stay::Changing };
        let start = self.scalar(from)?;
        let start = match (cast, start) {
            (Some(Cast { by, to }), start) => {
                self.asm.comment(by.name);
                self.asm.call_constant(by, &[argument(start), Arg::Imm(to.into())])
            }
            (None, Operand::Reg(start)) => start,
            (None, Operand::Imm(address)) => self.asm.imm(address),
        };
        let mut led = Led { place: Place::new(Base::Reg(start), 0), stay };
        for hop in hops {
            let to = self.load_led(Size::B8, Led { place: at(led.place, *hop), stay });
            led.place = Place::new(Base::Reg(to), 0);
        }
        Ok(Led { place: at(led.place, offset), stay })
    }

    pub fn load_led(&mut self, size: Size, from: Led) -> VReg {
        match from.stay {
            Stay::Same => self.asm.load_pure(size, from.place),
            Stay::Changing => self.asm.load(size, from.place),
        }
    }

    /// The object is held in a register from the call that gives it to the one that takes it back, on the only way that has it.
    pub fn of_object(
        &mut self,
        given: Kfunc,
        args: &[Expr],
        taken: Kfunc,
        offset: u32,
        to: Place,
        size: u32,
    ) -> Generated<()> {
        let args = args.iter().map(|arg| self.scalar(arg).map(argument)).collect::<Generated<Vec<_>>>()?;
        self.asm.comment(given.name);
        let object = self.asm.call(given, &args);
        let (none, done) = (self.asm.label(), self.asm.label());
        self.asm.branch(Cond::Eq, object.into(), Operand::Imm(0), none);
        self.enter();
        self.copy(to, Place::new(Base::Reg(object), offset as i32), size);
        self.asm.comment(taken.name);
        self.asm.call(taken, &[Arg::Reg(object)]);
        self.leave();
        self.asm.jump(done);
        self.asm.place(none);
        self.enter();
        self.clear(to, size);
        self.leave();
        self.asm.place(done);
        Ok(())
    }

    /// The helper works from the end of the buffer, and leaves there what it does not need: only the text is taken over.
    pub fn path_name(&mut self, base: &Expr, offset: u32, to: Place, size: u32, padding: Padding) -> Generated<()> {
        let built = self.temporary(size);
        self.asm.store(Size::B1, built, Operand::Imm(0));
        let base = self.scalar(base)?;
        let (failed, done) = (self.asm.label(), self.asm.label());
        self.asm.branch(Cond::Eq, base, Operand::Imm(0), done);
        self.enter();
        let path = self.asm.alu(Alu::Add, base, Operand::Imm(offset.into()));
        let args = [argument(path), Arg::Address(built), Arg::Imm(size.into())];
        let length = self.asm.call(Helper::D_PATH, &args);
        self.asm.branch(Cond::SLt, length.into(), Operand::Imm(0), failed);
        self.leave();
        self.asm.jump(done);
        self.asm.place(failed);
        self.asm.store(Size::B1, built, Operand::Imm(0));
        self.asm.place(done);
        if padding == Padding::Zeros {
            self.clear(to, size);
        }
        self.asm.call(Helper::PROBE_READ_KERNEL_STR, &[Arg::Address(to), Arg::Imm(size.into()), Arg::Address(built)]);
        Ok(())
    }
}
