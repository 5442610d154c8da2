use rtrace::bpf::Helper;
use rtrace::bpf::asm::*;
use rtrace::plan::MapId;
use rtrace::types::Sign;
fn main() {
    let mut a = Asm::new();
    let out = a.label();
    // tid key
    let tid = |a: &mut Asm| {
        let p = a.call_constant(Helper::GET_CURRENT_PID_TGID, &[]);
        a.extend(p.into(), 32, Sign::Unsigned)
    };
    let key = a.slot(4);
    let t = tid(&mut a);
    a.store(Size::B4, Place::new(Base::Frame(key), 0), t);
    let p = a.call(Helper::MAP_LOOKUP_ELEM, &[Arg::Map(MapId(0)), Arg::Address(Place::new(Base::Frame(key), 0))]);
    let v = a.variable();
    a.set(v, Operand::Imm(0));
    let skip = a.label();
    a.branch(Cond::Eq, p.into(), Operand::Imm(0), skip);
    a.enter();
    let l = a.load(Size::B8, Place::new(Base::Reg(p), 0));
    a.set(v, l.into());
    a.leave();
    a.place(skip);
    let s = a.get(v);
    a.branch(Cond::Eq, s.into(), Operand::Imm(0), out);
    // nsecs
    let n = a.call(Helper::KTIME_GET_BOOT_NS, &[]);
    let key2 = a.slot(4);
    let t = tid(&mut a);
    a.store(Size::B4, Place::new(Base::Frame(key2), 0), t);
    let p = a.call(Helper::MAP_LOOKUP_ELEM, &[Arg::Map(MapId(0)), Arg::Address(Place::new(Base::Frame(key2), 0))]);
    let v2 = a.variable();
    a.set(v2, Operand::Imm(0));
    let skip = a.label();
    a.branch(Cond::Eq, p.into(), Operand::Imm(0), skip);
    a.enter();
    let l = a.load(Size::B8, Place::new(Base::Reg(p), 0));
    a.set(v2, l.into());
    a.leave();
    a.place(skip);
    let s = a.get(v2);
    let d = a.alu(Alu::Sub, n.into(), s.into());
    let d = a.alu(Alu::Div, d, Operand::Imm(1000));
    // comm
    let comm = a.slot(16);
    a.call(Helper::GET_CURRENT_COMM, &[Arg::Address(Place::new(Base::Frame(comm), 0)), Arg::Imm(16)]);
    let slotv = a.variable();
    let p = a.call(Helper::MAP_LOOKUP_ELEM, &[Arg::Map(MapId(1)), Arg::Address(Place::new(Base::Frame(comm), 0))]);
    a.set(slotv, p.into());
    let have = a.label();
    let done = a.label();
    a.branch(Cond::Ne, p.into(), Operand::Imm(0), have);
    a.enter();
    a.call(
        Helper::MAP_UPDATE_ELEM,
        &[
            Arg::Map(MapId(1)),
            Arg::Address(Place::new(Base::Frame(comm), 0)),
            Arg::Address(Place::new(Base::Map(MapId(2)), 0)),
            Arg::Imm(1),
        ],
    );
    let p2 = a.call(Helper::MAP_LOOKUP_ELEM, &[Arg::Map(MapId(1)), Arg::Address(Place::new(Base::Frame(comm), 0))]);
    a.set(slotv, p2.into());
    a.branch(Cond::Ne, p2.into(), Operand::Imm(0), have);
    a.atomic_add(Place::new(Base::Map(MapId(3)), 16), Operand::Imm(1));
    a.jump(done);
    a.leave();
    a.place(have);
    // log2 bucket
    let b = a.variable();
    a.set(b, Operand::Imm(0));
    let neg = a.label();
    a.branch(Cond::SLt, d, Operand::Imm(0), neg);
    a.enter();
    let x = a.variable();
    a.set(x, d);
    let sh = a.variable();
    a.set(sh, Operand::Imm(0));
    for bit in [32u8, 16, 8, 4, 2, 1] {
        let l = a.label();
        if bit == 32 {
            let h = a.alu(Alu::Shr, x.into(), Operand::Imm(32));
            a.branch(Cond::Eq, h, Operand::Imm(0), l);
        } else {
            a.branch(Cond::Lt, x.into(), Operand::Imm(1 << bit), l);
        }
        a.enter();
        let y = a.alu(Alu::Shr, x.into(), Operand::Imm(bit as i64));
        a.set(x, y);
        let z = a.alu(Alu::Add, sh.into(), Operand::Imm(bit as i64));
        a.set(sh, z);
        a.leave();
        a.place(l);
    }
    let z = a.alu(Alu::Add, sh.into(), x.into());
    let z = a.alu(Alu::Add, z, Operand::Imm(1));
    a.set(b, z);
    a.leave();
    a.place(neg);
    let i = a.alu(Alu::Mul, b.into(), Operand::Imm(8));
    let i = a.alu(Alu::And, i, Operand::Imm(1023));
    let at = a.alu(Alu::Add, slotv.into(), i);
    let Operand::Reg(at) = at else { unreachable!() };
    let old = a.load(Size::B8, Place::new(Base::Reg(at), 0));
    let new = a.alu(Alu::Add, old.into(), Operand::Imm(1));
    a.store(Size::B8, Place::new(Base::Reg(at), 0), new);
    a.place(done);
    let t = tid(&mut a);
    let key3 = a.slot(4);
    a.store(Size::B4, Place::new(Base::Frame(key3), 0), t);
    a.call(Helper::MAP_DELETE_ELEM, &[Arg::Map(MapId(0)), Arg::Address(Place::new(Base::Frame(key3), 0))]);
    a.place(out);
    a.exit(Operand::Imm(0));
    let d = a.finish().unwrap();
    for (i, insn) in d.insns.iter().enumerate() {
        println!("{i:3}: {insn}");
    }
}
