//! Clocks, and times as text.

use super::Builtin;
use crate::bpf::Helper;
use crate::check::{Call, Cx, Emit, Fallible, kind_of};
use crate::diag::Diagnostic;
use crate::error::Result;
use crate::format::{Format, Piece};
use crate::ir::{BinaryOp, Expr, ExprKind};
use crate::kernel::Feature;
use crate::plan::{Action, Host};
use crate::source::Span;
use crate::strftime;
use crate::syntax::ast;
use crate::types::Type;
use crate::value::Value;

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "nsecs",
        "[clock]",
        (0, 1),
        "Nanoseconds since boot; of another clock with nsecs(monotonic), nsecs(boot), nsecs(tai) or, on older kernels, nsecs(sw_tai).",
        "begin { $start = nsecs; print(nsecs - $start); print(nsecs(monotonic)); }",
        nsecs,
    ),
    Builtin::value("elapsed", "Nanoseconds since tracing began.", "interval:s:1 { print(elapsed); exit(); }", elapsed),
    Builtin::function(
        "strftime",
        "format, nsecs",
        (2, 2),
        "A time as text, in the format of strftime(3) and the local time zone; also %f microseconds, %l milliseconds, %k nanoseconds.",
        "begin { print(strftime(\"%H:%M:%S.%f\", nsecs)); }",
        strftime,
    ),
    Builtin::function(
        "time",
        "[format]",
        (0, 1),
        "Prints the wall-clock time, in the format of strftime(3); \"%H:%M:%S\\n\" without one.",
        "interval:s:1 { time(\"%H:%M:%S\\n\"); exit(); }",
        time,
    ),
];

fn nsecs(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let clock = match call.args.first().map(|arg| &*arg.kind) {
        None => "boot",
        Some(ast::ExprKind::Ident(clock)) => clock,
        Some(_) => "",
    };
    let helper = match clock {
        "boot" => Helper::KTIME_GET_BOOT_NS,
        "monotonic" => Helper::KTIME_GET_NS,
        "tai" if cx.kernel.has(Feature::TaiClock) => Helper::KTIME_GET_TAI_NS,
        "sw_tai" => return Ok(boot_time_plus(cx.options.tai_offset_ns, call.span)),
        "tai" => {
            let diagnostic =
                Diagnostic::error(call.span, "this kernel has no TAI clock for BPF programs: it came with 6.1");
            return Err(cx.error(diagnostic.hint("nsecs(sw_tai) is as good, but for leap seconds while it runs")));
        }
        "" => {
            let ty = kind_of(&cx.expr(&call.args[0])?.ty);
            let message = format!("nsecs() only supports timestamp_mode arguments ({ty} provided)");
            return Err(cx.error(Diagnostic::error(call.args[0].span, message).hint(CLOCKS)));
        }
        other => {
            let diagnostic = Diagnostic::error(call.args[0].span, format!("Invalid timestamp mode: {other}"));
            return Err(cx.error(diagnostic.hint(CLOCKS)));
        }
    };
    Ok(Expr::new(ExprKind::Call(helper, Vec::new()), Type::U64, call.span))
}

const CLOCKS: &str = "the clocks are: nsecs(monotonic), nsecs(boot), nsecs(tai), nsecs(sw_tai)";

fn elapsed(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    Ok(boot_time_plus((cx.options.start_ns as i64).wrapping_neg(), call.span))
}

fn boot_time_plus(offset: i64, span: Span) -> Expr {
    let now = Expr::new(ExprKind::Call(Helper::KTIME_GET_BOOT_NS, Vec::new()), Type::U64, span);
    super::binary(BinaryOp::Add, now, offset, Type::U64)
}

fn strftime(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let format = cx.literal_str(&call.args[0], "strftime()")?;
    if let ast::ExprKind::Call { name, args } = &*call.args[1].kind
        && name.text == "nsecs"
        && matches!(args.first().map(|clock| &*clock.kind), Some(ast::ExprKind::Ident(clock)) if clock == "monotonic")
    {
        let diagnostic = Diagnostic::error(call.args[1].span, "strftime() can not take a monotonic timestamp");
        let hint = "that clock stands still while the machine sleeps: take nsecs, nsecs(boot) or nsecs(tai)";
        return Err(cx.error(diagnostic.hint(hint)));
    }
    let when = cx.number_arg(call, 1)?;
    if matches!(*when.kind, ExprKind::Int(number) if number < 0) {
        return Err(cx.error(Diagnostic::error(when.span, "strftime() does not accept negative timestamps")));
    }
    let ty = Type::Timestamp(String::from_utf8_lossy(&format).into());
    Ok(Expr::new(ExprKind::Convert(when), ty, call.span))
}

fn time(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let text = match call.args.first() {
        Some(format) => cx.literal_str(format, "time()")?,
        None => b"%H:%M:%S\n".to_vec(),
    };
    let format = Some(Format { pieces: vec![Piece::Text(text)] });
    let emit = Emit { name: "time", act: print_time, format, map: None, span: call.span };
    let send = cx.emit(emit, Vec::new());
    Ok(Expr::effect(vec![send], call.span))
}

fn print_time(action: &Action, _: &[Value], host: &mut dyn Host) -> Result<()> {
    let Some(Format { pieces }) = &action.format else { return Ok(()) };
    for piece in pieces {
        if let Piece::Text(format) = piece {
            let text = strftime::plain(&String::from_utf8_lossy(format), strftime::now());
            host.sink().text("time", text.as_bytes())?;
        }
    }
    Ok(())
}
