//! The saved processor state (`struct pt_regs`) that probes on code hand to a program, as expressions over its context.

use super::Context;
use crate::bpf::Helper;
use crate::ir::{self, BinaryOp, Expr, ExprKind};
use crate::kernel::Kernel;
use crate::source::Span;
use crate::types::{Sign, Space, Type};

/// Names for `reg()`, and byte offsets in x86-64's `struct pt_regs` (`arch/x86/include/asm/ptrace.h`).
#[cfg(target_arch = "x86_64")]
mod layout {
    pub const NAMES: &[(&str, u32)] = &[
        ("r15", 0),
        ("r14", 8),
        ("r13", 16),
        ("r12", 24),
        ("bp", 32),
        ("bx", 40),
        ("r11", 48),
        ("r10", 56),
        ("r9", 64),
        ("r8", 72),
        ("ax", 80),
        ("cx", 88),
        ("dx", 96),
        ("si", 104),
        ("di", 112),
        ("orig_rax", 120),
        ("ip", 128),
        ("pc", 128),
        ("cs", 136),
        ("flags", 144),
        ("sp", 152),
        ("ss", 160),
    ];
    /// Arguments in registers: di, si, dx, cx, r8, r9.
    pub const ARGS: &[u32] = &[112, 104, 96, 88, 72, 64];
    /// Where the first argument on the stack lies, above the return address.
    pub const STACK_ARGS: i64 = 8;
    pub const RESULT: u32 = 80;
    pub const PC: u32 = 128;
    /// How far behind a kprobe's place its breakpoint leaves it.
    pub const BEHIND: i64 = 1;
    pub const SP: u32 = 152;
    pub const CODE_SEGMENT: Option<u32> = Some(136);

    /// `rdi`, `edi` and `dil` are parts of `di`; `r8d` is one of `r8`.
    pub fn whole(name: &str) -> &str {
        if let Some(number) =
            name.strip_prefix('r').filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
        {
            return &name[..1 + number.trim_end_matches(['d', 'w', 'b']).len()];
        }
        match name {
            "al" => "ax",
            "bl" => "bx",
            "cl" => "cx",
            "dl" => "dx",
            "sil" => "si",
            "dil" => "di",
            "bpl" => "bp",
            "spl" => "sp",
            _ if name.len() == 3 => name.strip_prefix(['r', 'e']).unwrap_or(name),
            _ => name,
        }
    }
}

/// Names for `reg()`, and byte offsets in arm64's `struct user_pt_regs` (`arch/arm64/include/uapi/asm/ptrace.h`).
#[cfg(target_arch = "aarch64")]
mod layout {
    pub const NAMES: &[(&str, u32)] = &[
        ("r0", 0),
        ("r1", 8),
        ("r2", 16),
        ("r3", 24),
        ("r4", 32),
        ("r5", 40),
        ("r6", 48),
        ("r7", 56),
        ("r8", 64),
        ("r9", 72),
        ("r10", 80),
        ("r11", 88),
        ("r12", 96),
        ("r13", 104),
        ("r14", 112),
        ("r15", 120),
        ("r16", 128),
        ("r17", 136),
        ("r18", 144),
        ("r19", 152),
        ("r20", 160),
        ("r21", 168),
        ("r22", 176),
        ("r23", 184),
        ("r24", 192),
        ("r25", 200),
        ("r26", 208),
        ("r27", 216),
        ("r28", 224),
        ("r29", 232),
        ("r30", 240),
        ("sp", 248),
        ("pc", 256),
        ("pstate", 264),
    ];
    pub const ARGS: &[u32] = &[0, 8, 16, 24, 32, 40, 48, 56];
    pub const STACK_ARGS: i64 = 0;
    pub const RESULT: u32 = 0;
    pub const PC: u32 = 256;
    /// How far behind a kprobe's place its breakpoint leaves it.
    pub const BEHIND: i64 = 0;
    pub const SP: u32 = 248;
    pub const CODE_SEGMENT: Option<u32> = None;

    /// `x5` and `w5` are what the kernel calls `r5`.
    pub fn whole(name: &str) -> &str {
        let number = name.strip_prefix(['x', 'w']).and_then(|number| number.parse::<usize>().ok());
        number.and_then(|number| NAMES.get(number)).map_or(name, |(register, _)| register)
    }
}

/// What programs on code get: the saved processor state.
const SAVED: &str = "pt_regs";

/// How many arguments can be named: those in registers, and the rest on the stack.
const ARGS: usize = 10;

/// How many arguments are in registers.
pub const IN_REGISTERS: usize = layout::ARGS.len();

/// What a timer or a counted event interrupted: only registers.
pub fn interrupted(span: Span) -> Context {
    let code_segment = layout::CODE_SEGMENT.map(|offset| saved(offset, span));
    Context { registers: layout::NAMES, code_segment, ctx: Some("bpf_perf_event_data".into()), ..Context::default() }
}

/// The entry of a function whose stack lies in `space`.
pub fn entry(space: Space, span: Span) -> Context {
    let args = (0..ARGS).map(|index| argument(index, space, span)).collect();
    Context { args, space, ctx: Some(SAVED.into()), ..interrupted(span) }
}

/// The return from a function.
pub fn returned(space: Space, span: Span) -> Context {
    Context { retval: Some(saved(layout::RESULT, span)), space, ctx: Some(SAVED.into()), ..interrupted(span) }
}

/// A register by the name that assemblers give it or a part of it; of a part, the upper bits are not cut off.
pub fn named(name: &str, span: Span) -> Option<Expr> {
    let name = layout::whole(name);
    layout::NAMES.iter().find(|(known, _)| *known == name).map(|(_, offset)| saved(*offset, span))
}

/// The instruction the probe is on.
pub fn program_counter(span: Span) -> Expr {
    saved(layout::PC, span)
}

/// Where a kprobe lies.
pub fn kprobe_address(span: Span) -> Expr {
    let behind = Expr::int(layout::BEHIND, Type::U64, span);
    let kind = ExprKind::Binary {
        op: BinaryOp::Sub,
        sign: Sign::Unsigned,
        left: program_counter(span),
        right: behind,
        zero: None,
    };
    Expr::new(kind, Type::U64, span)
}

/// The address of the traced function, which the kernel knows even on return.
pub fn function_address(span: Span) -> Expr {
    let ctx = Expr::new(ExprKind::Ctx, Type::pointer(Type::Void, Space::Kernel), span);
    Expr::new(ExprKind::Call(Helper::GET_FUNC_IP, vec![ctx]), Type::U64, span)
}

/// The rest of the arguments lies on the caller's side of the stack, eight bytes each.
fn argument(index: usize, space: Space, span: Span) -> Expr {
    if let Some(offset) = layout::ARGS.get(index) {
        return saved(*offset, span);
    }
    let offset = layout::STACK_ARGS + 8 * (index - layout::ARGS.len()) as i64;
    let sp = Expr { ty: Type::pointer(Type::U64, space), ..saved(layout::SP, span) };
    Expr::new(ExprKind::Load { addr: sp, offset }, Type::U64, span)
}

/// One 64-bit register.
fn saved(offset: u32, span: Span) -> Expr {
    Expr::new(ExprKind::CtxLoad { offset }, Type::U64, span)
}

/// An address as a user symbol: the address, then whose it is.
pub fn user_symbol(address: Expr, kernel: &dyn Kernel, span: Span) -> Expr {
    let pid = ir::process(kernel.pid_namespace(), Type::U64, span);
    Expr::new(ExprKind::Compose(vec![(0, address), (8, pid)]), Type::USym, span)
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests {
    use super::*;

    #[test]
    fn parts_of_registers() {
        for (name, whole) in [
            ("rdi", "di"),
            ("edi", "di"),
            ("dil", "di"),
            ("di", "di"),
            ("r10d", "r10"),
            ("r8", "r8"),
            ("al", "ax"),
            ("rip", "ip"),
        ] {
            assert_eq!(layout::whole(name), whole, "{name}");
        }
        assert!(named("rsp", Span::default()).is_some() && named("xmm0", Span::default()).is_none());
    }

    #[test]
    fn arguments_leave_the_registers_after_the_sixth() {
        let context = entry(Space::User, Span::default());
        assert_eq!(*context.args[0].kind, ExprKind::CtxLoad { offset: 112 });
        assert_eq!(*context.args[5].kind, ExprKind::CtxLoad { offset: 64 });
        let ExprKind::Load { addr, offset } = &*context.args[7].kind else { panic!() };
        assert_eq!((&*addr.kind, *offset), (&ExprKind::CtxLoad { offset: 152 }, 16));
    }
}
