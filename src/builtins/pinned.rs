//! `printf` of pinned iterators: whoever reads the file gets text, so the kernel has to format it.

use crate::bpf::Helper;
use crate::check::{Call, Cx, Fallible};
use crate::diag::Diagnostic;
use crate::format::{Format, KernelSpec};
use crate::ir::{Expr, ExprKind, Stmt, StmtKind};
use crate::types::Type;

/// Conversions that `bpf_seq_printf` takes at the most.
const CONVERSIONS: usize = 12;

const HINT: &str =
    "the kernel makes the text, of numbers (%d, %u, %x) and strings (%s) only; without a pin rtrace makes it";

/// The helper takes the addresses of the format and of a list of words: numbers, and the addresses of texts.
pub fn printf(cx: &mut Cx<'_>, call: &Call<'_>, format: &Format, values: Vec<Expr>) -> Fallible<Expr> {
    if values.len() > CONVERSIONS {
        let message =
            format!("the kernel formats at most {CONVERSIONS} values in one call, which pinned iterators need");
        return Err(cx.error(Diagnostic::error(call.span, message).hint("print the line in parts")));
    }
    let (text, specs) = format.for_kernel().map_err(|what| refuse(cx, call, what))?;
    let mut words = Vec::new();
    for ((value, spec), at) in values.into_iter().zip(specs).zip((0..).step_by(8)) {
        words.push((at, word(cx, value, spec)?));
    }
    let span = call.span;
    let constant = |value: u32| Expr::int(i64::from(value), Type::U32, span);
    let bytes = 8 * words.len() as u32;
    let list = Type::Array(Box::new(Type::U64), words.len().max(1) as u32);
    let list = Expr::new(ExprKind::Compose(words), list, span);
    let size = text.len() as u32 + 1;
    let text = Expr::new(ExprKind::Str(text), Type::Str(size), span);
    let arguments = vec![
        Expr::new(ExprKind::OutputFile, Type::U64, span),
        address(text),
        constant(size),
        address(list),
        constant(bytes),
    ];
    let printed = Expr::new(ExprKind::Call(Helper::SEQ_PRINTF, arguments), Type::I64, span);
    Ok(Expr::effect(vec![Stmt::new(StmtKind::Eval(printed), span)], span))
}

/// A value as a word that the kernel makes the same text of.
fn word(cx: &mut Cx<'_>, value: Expr, spec: KernelSpec) -> Fallible<Expr> {
    let span = value.span;
    let cut = |value, ty| Expr::new(ExprKind::Convert(Expr::new(ExprKind::Convert(value), ty, span)), Type::U64, span);
    match (spec, &value.ty) {
        (KernelSpec::Text, Type::Str(_)) => Ok(address(value)),
        (KernelSpec::Number(to), ty) if ty.is_scalar() => Ok(cut(value, to)),
        (KernelSpec::Text | KernelSpec::Number(_), ty) => {
            let message = format!("a value of type '{ty}' cannot be printed by a pinned iterator");
            Err(cx.error(Diagnostic::error(span, message).hint(HINT)))
        }
    }
}

fn refuse(cx: &mut Cx<'_>, call: &Call<'_>, conversion: &str) -> crate::check::Reported {
    let message = format!("%{conversion} cannot be printed by a pinned iterator");
    cx.error(Diagnostic::error(call.span, message).hint(HINT))
}

fn address(of: Expr) -> Expr {
    let span = of.span;
    Expr::new(ExprKind::Location(of), Type::U64, span)
}
