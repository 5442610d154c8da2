//! Callbacks, and what does not fit the machine.

use rtrace::bpf::Helper;
use rtrace::bpf::asm::{Alu, Arg, Asm, AsmError, Assembled, Base, Cond, FunctionId, Operand, Place, Size};
use rtrace::plan::MapId;

use crate::machine::{Access, Machine, World};

const MAIN: FunctionId = FunctionId(0);

/// A world with `bpf_loop` and one map value.
struct Loops {
    value: u64,
}

impl World for Loops {
    fn call(&mut self, machine: &mut Machine, helper: Helper, args: [Option<u64>; 5]) -> Result<u64, String> {
        let (Helper::LOOP, [Some(times), Some(function), Some(context), Some(0), _]) = (helper, args) else {
            return Err(format!("{helper} with {args:?}"));
        };
        for index in 0..times {
            if machine.callback(self, function, &[index, context])? != 0 {
                return Ok(index + 1);
            }
        }
        Ok(times)
    }

    fn map(&mut self, _: &mut Machine, map: MapId) -> Result<u64, String> {
        Err(format!("no {map:?} here"))
    }

    fn map_value(&mut self, _: &mut Machine, _: MapId) -> Result<u64, String> {
        Ok(self.value)
    }
}

/// Adds up the squares of what is below `limit`, one call of a callback each; the callback counts its calls in a map.
fn squares(limit: i64) -> Assembled {
    let mut asm = Asm::new();
    let sum = Place::new(Base::Frame(asm.slot(8)), 0);
    asm.store(Size::B8, sum, Operand::Imm(0));
    let (square, params) = asm.function("square", 2);
    let product = asm.alu(Alu::Mul, params[0].into(), params[0].into());
    let total = Place::new(Base::Reg(params[1]), 0);
    let old = asm.load(Size::B8, total);
    let new = asm.alu(Alu::Add, old.into(), product);
    asm.store(Size::B8, total, new);
    asm.atomic_add(Place::new(Base::Map(MapId(0)), 8), Operand::Imm(1));
    let stop = asm.label();
    asm.branch(Cond::Eq, params[0].into(), Operand::Imm(7), stop);
    asm.exit(Operand::Imm(0));
    asm.place(stop);
    asm.exit(Operand::Imm(1));
    asm.resume(MAIN);
    let args = [Arg::Imm(limit), Arg::Function(square), Arg::Address(sum), Arg::Imm(0)];
    let calls = asm.call(Helper::LOOP, &args);
    let sum = asm.load(Size::B8, sum);
    let calls = asm.alu(Alu::Mul, calls.into(), Operand::Imm(1000));
    let result = asm.alu(Alu::Add, calls, sum.into());
    asm.exit(result);
    asm.finish().expect("it fits")
}

/// A world without helpers and maps.
struct Nothing;

impl World for Nothing {
    fn call(&mut self, _: &mut Machine, helper: Helper, _: [Option<u64>; 5]) -> Result<u64, String> {
        Err(format!("no {helper} here"))
    }

    fn map(&mut self, _: &mut Machine, map: MapId) -> Result<u64, String> {
        Err(format!("no {map:?} here"))
    }

    fn map_value(&mut self, _: &mut Machine, map: MapId) -> Result<u64, String> {
        Err(format!("no {map:?} here"))
    }
}

#[test]
fn callbacks_run() {
    for (limit, calls, sum) in [(0, 0, 0), (5, 5, 30), (100, 8, 140)] {
        let assembled = squares(limit);
        let mut machine = Machine::new(&assembled.insns, &assembled.relocs);
        let value = machine.memory.add(&[0; 16], Access::ReadWrite);
        assert_eq!(machine.run(&mut Loops { value }, &[]), Ok(calls * 1000 + sum));
        assert_eq!(machine.memory.load(Size::B8, value + 8), Ok(calls));
    }
}

#[test]
fn a_function_that_nothing_calls_is_left_out() {
    let mut asm = Asm::new();
    asm.function("unused", 1);
    asm.resume(MAIN);
    asm.exit(Operand::Imm(3));
    let assembled = asm.finish().expect("it fits");
    assert_eq!((assembled.insns.len(), assembled.functions.len()), (2, 1));
    assert_eq!(Machine::new(&assembled.insns, &assembled.relocs).run(&mut Nothing, &[]), Ok(3));
}

/// Frames of a program and of a callback it runs count together.
#[test]
fn frames_have_a_limit() {
    let used = |asm: &mut Asm, bytes| {
        let slot = asm.slot(bytes);
        for at in 0..bytes as i32 / 8 {
            asm.store(Size::B8, Place::new(Base::Frame(slot), at * 8), Operand::Imm(0));
        }
        slot
    };
    let build = |main, callback| {
        let mut asm = Asm::new();
        let (id, _) = asm.function("callback", 2);
        used(&mut asm, callback);
        asm.resume(MAIN);
        let slot = used(&mut asm, main);
        let context = Arg::Address(Place::new(Base::Frame(slot), 0));
        asm.call(Helper::LOOP, &[Arg::Imm(1), Arg::Function(id), context, Arg::Imm(0)]);
        asm.finish().map(|_| ())
    };
    assert_eq!(build(256, 256), Ok(()));
    assert_eq!(build(256, 264), Err(AsmError::FrameTooLarge(544)));
}

#[test]
fn jumps_have_a_limit() {
    let build = |stores| {
        let mut asm = Asm::new();
        let end = asm.label();
        let value = asm.load(Size::B8, Place::new(Base::Ctx, 0));
        asm.branch(Cond::Eq, value.into(), Operand::Imm(0), end);
        for _ in 0..stores {
            asm.store(Size::B8, Place::new(Base::Ctx, 0), Operand::Imm(0));
        }
        asm.place(end);
        asm.exit(Operand::Imm(0));
        asm.finish().map(|_| ())
    };
    assert_eq!(build(32_767), Ok(()));
    assert_eq!(build(32_768), Err(AsmError::JumpTooFar));
}

#[test]
fn a_label_must_be_placed() {
    let mut asm = Asm::new();
    let nowhere = asm.label();
    asm.jump(nowhere);
    assert_eq!(asm.finish().map(|_| ()), Err(AsmError::NowhereToGo(nowhere)));
}
