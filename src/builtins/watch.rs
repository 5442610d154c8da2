//! Watchpoints that the program itself lets go of.

use super::Builtin;
use crate::check::{Call, Cx, Emit, Fallible};
use crate::diag::Severity;
use crate::error::Result;
use crate::ir::{Expr, ExprKind};
use crate::plan::{Action, Host};
use crate::report::Message;
use crate::types::Type;
use crate::value::Value;

pub const ROWS: &[Builtin] = &[Builtin::function(
    "unwatch",
    "address",
    (1, 1),
    "Ends the watchpoints at an address.",
    "watchpoint:0x10000000:8:w { printf(\"written\\n\"); unwatch(0x10000000); }",
    unwatch,
)];

fn unwatch(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let address = cx.number_arg(call, 0)?;
    let address = Expr::new(ExprKind::Convert(address), Type::U64, call.span);
    let emit = Emit { name: "unwatch", act: let_go, format: None, map: None, span: call.span };
    let statement = cx.emit(emit, vec![address]);
    Ok(Expr::effect(vec![statement], call.span))
}

fn let_go(_: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    let [Value::UInt(address)] = values else { return Ok(()) };
    if host.unwatch(*address) {
        return Ok(());
    }
    let text = format!("no watchpoint at {address:#x} to end");
    host.sink().message(&Message::new(Severity::Warning, &text))
}
