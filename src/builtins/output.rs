//! What a program says: values and formatted text.

use super::{Builtin, pinned};
use crate::bpf::Helper;
use crate::check::{Call, Cx, Emit, Fallible, MapArg};
use crate::diag::{Diagnostic, Severity};
use crate::error::Result;
use crate::format::{self, Format};
use crate::ir::{Expr, ExprKind, Stmt, StmtKind};
use crate::plan::{Action, Host, MapUse};
use crate::report::{Excerpt, Message};
use crate::syntax::ast;
use crate::types::{Aggregate, MapValue, Type};
use crate::value::Value;

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "printf",
        "\"format\"[, value...]",
        (1, 129),
        "Prints text with values put in, as printf(3) does.",
        "begin { printf(\"%s %d\\n\", comm, pid); }",
        printf,
    ),
    Builtin::function(
        "errorf",
        "\"format\"[, value...]",
        (1, 129),
        "Prints text as printf does, as an error and with its place in the script, on standard error.",
        "tracepoint:syscalls:sys_exit_openat /args.ret < -4095/ { errorf(\"odd result %d\", args.ret); }",
        |cx, call| formatted(cx, call, |action, values, host| say(Severity::Error, action, values, host)),
    ),
    Builtin::function(
        "warnf",
        "\"format\"[, value...]",
        (1, 129),
        "The same as a warning, which --no-warnings hides.",
        "begin { warnf(\"only %d CPUs\", ncpus); }",
        |cx, call| formatted(cx, call, |action, values, host| say(Severity::Warning, action, values, host)),
    ),
    Builtin::function(
        "debugf",
        "\"format\"[, value...]",
        (1, 129),
        "Writes text to the kernel's trace_pipe, with at most three values.",
        "begin { debugf(\"here: %d\", pid); }",
        debugf,
    ),
    Builtin::function(
        "print",
        "value | @map[, top[, div]]",
        (1, 3),
        "Prints a value, or a map: its top entries only (0 for all), its values divided by div.",
        "interval:s:1 { @[cpu] = count(); print(@, 5); print((1, \"a\")); exit(); }",
        print,
    ),
];

/// What a pinned iterator prints is for others to read.
fn printf(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    if cx.pin().is_none() {
        return formatted(cx, call, print_text);
    }
    let (format, values) = template(cx, call)?;
    pinned::printf(cx, call, &format, values)
}

/// A builtin that takes a format and values: they are sent to user space, which fills the format.
pub fn formatted(
    cx: &mut Cx<'_>,
    call: &Call<'_>,
    act: fn(&Action, &[Value], &mut dyn Host) -> Result<()>,
) -> Fallible<Expr> {
    let (format, values) = template(cx, call)?;
    let emit = Emit { name: call.builtin.name, act, format: Some(format), map: None, span: call.span };
    let send = cx.emit(emit, values);
    Ok(Expr::effect(vec![send], call.span))
}

/// The format and the values that fit it.
pub fn template(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<(Format, Vec<Expr>)> {
    let text = cx.literal_str(&call.args[0], &format!("{}()", call.builtin.name))?;
    let values: Vec<Fallible<Expr>> = call.args[1..].iter().map(|arg| shown(cx, arg)).collect();
    let values = values.into_iter().collect::<Fallible<Vec<Expr>>>()?;
    let types: Vec<&Type> = values.iter().map(|value| &value.ty).collect();
    let format = format::parse(&text).and_then(|format| format::check(&format, &types).map(|()| format));
    let format = format.map_err(|message| {
        let hint = "each specifier takes one value: %d, %u and %x a number, %r what buf() gives, %s anything";
        cx.error(Diagnostic::error(call.span, message).hint(hint))
    })?;
    Ok((format, values))
}

/// A value to be shown. An array of characters is copied as it is: its last one need not be a NUL.
fn shown(cx: &mut Cx<'_>, arg: &ast::Expr) -> Fallible<Expr> {
    let value = cx.expr(arg)?;
    let is_field = matches!(&*arg.kind, ast::ExprKind::Field { .. } | ast::ExprKind::Index { .. });
    match *value.kind {
        ExprKind::ReadStr { addr, max: None } if is_field => {
            Ok(Expr { kind: Box::new(ExprKind::Load { addr, offset: 0 }), ..value })
        }
        kind => Ok(Expr { kind: Box::new(kind), ..value }),
    }
}

pub fn text_of(action: &Action, values: &[Value], host: &mut dyn Host) -> Vec<u8> {
    let none = Format::default();
    format::render(action.format.as_ref().unwrap_or(&none), values, host.config())
}

fn print_text(action: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    let text = text_of(action, values, host);
    host.sink().text(action.name, &text)
}

fn say(severity: Severity, action: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    let text = text_of(action, values, host);
    let text = String::from_utf8_lossy(&text);
    let place = host.place(action.span);
    let (kind, source) = (action.name, Excerpt::Hidden);
    host.sink().message(&Message { severity, kind, text: &text, place: place.as_ref(), source, helper: None })
}

/// Conversions that `bpf_trace_printk` takes at the most.
const TRACED: usize = 3;

/// The kernel formats the text itself: its helper takes the address of the format, and those of texts.
fn debugf(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    cx.warn(
        call.span,
        "The debugf() builtin is not recommended for production use. For more information see bpf_trace_printk in bpf-helpers(7).",
    );
    let (_, values) = template(cx, call)?;
    if values.len() > TRACED {
        let message = format!("cannot use more than {TRACED} conversion specifiers");
        return Err(cx.error(Diagnostic::error(call.span, message)));
    }
    let format = cx.expr(&call.args[0])?;
    let size = Expr::int(i64::from(format.ty.size()), Type::U32, call.span);
    let mut arguments = vec![address(format), size];
    for value in values {
        if !value.ty.is_scalar() && !matches!(value.ty, Type::Str(_)) {
            return Err(cx.error(Diagnostic::error(value.span, "Type does not match format specifier: s")));
        }
        arguments.push(if value.ty.is_scalar() { value } else { address(value) });
    }
    let traced = Expr::new(ExprKind::Call(Helper::TRACE_PRINTK, arguments), Type::I64, call.span);
    Ok(Expr::effect(vec![Stmt::new(StmtKind::Eval(traced), call.span)], call.span))
}

fn address(of: Expr) -> Expr {
    let span = of.span;
    Expr::new(ExprKind::Location(of), Type::U64, span)
}

fn print(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    if matches!(&*call.args[0].kind, ast::ExprKind::Map { keys: None, .. }) {
        let map = cx.map_arg(&call.args[0], "print")?;
        return print_map(cx, call, &map);
    }
    if let ast::ExprKind::Map { keys: Some(_), .. } = &*call.args[0].kind {
        let map = cx.map_arg(&call.args[0], "print")?;
        if let MapValue::Aggregate(of) = map.value
            && of.is_distribution()
        {
            return Err(no_single_value(cx, call, &map));
        }
    }
    if call.args.len() > 1 {
        let diagnostic = Diagnostic::error(
            call.args[1].span,
            format!("Non-map print() only takes 1 argument, {} found", call.args.len()),
        );
        return Err(cx.error(diagnostic.hint("top and div are for whole maps: print(@m, 5)")));
    }
    let value = shown(cx, &call.args[0])?;
    let emit = Emit { name: "print", act: print_value, format: None, map: None, span: call.span };
    let send = cx.emit(emit, vec![value]);
    Ok(Expr::effect(vec![send], call.span))
}

fn no_single_value(cx: &mut Cx<'_>, call: &Call<'_>, map: &MapArg) -> crate::check::Reported {
    let message =
        format!("Map type {} cannot print the value of individual keys. You must print the whole map.", map.value);
    cx.error(Diagnostic::error(call.span, message).hint(format!("print({}) prints all its entries", map.name)))
}

fn print_map(cx: &mut Cx<'_>, call: &Call<'_>, map: &MapArg) -> Fallible<Expr> {
    let mut limits = Vec::new();
    for (position, what) in [(1, "top"), (2, "div")] {
        let value = match call.args.get(position) {
            Some(arg) => cx.literal_int(arg, &format!("print() {what}"))?,
            None => 0,
        };
        if value < 0 {
            let message = format!("Invalid value for {what}: {value}. It must not be negative");
            return Err(cx.error(Diagnostic::error(call.args[position].span, message)));
        }
        limits.push(Expr::int(value, Type::U64, call.span));
    }
    if call.args.len() > 1 && matches!(map.value, MapValue::Aggregate(Aggregate::Stats(_))) {
        cx.warn(call.span, "print()'s top and div arguments are ignored when used on stats() maps.");
    }
    if cx.in_loop() {
        let why = "Due to its asynchronous nature using 'print()' in a loop can lead to unexpected behavior. The map will likely be updated before the runtime can 'print' it.";
        cx.warn(call.span, why);
    }
    let emit =
        Emit { name: "print", act: show_map, format: None, map: Some((map.map, MapUse::Shown)), span: call.span };
    let send = cx.emit_control(emit, limits);
    Ok(Expr::effect(vec![send], call.span))
}

fn print_value(_: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    values.iter().try_for_each(|value| host.sink().value(value))
}

fn show_map(action: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    let (Some((map, usage)), [Value::UInt(top), Value::UInt(div)]) = (action.map, values) else { return Ok(()) };
    if usage == MapUse::ShownThenEmptied {
        host.end_interval(map)?;
    }
    host.print_map(map, *top, (*div).max(1))
}
