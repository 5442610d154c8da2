//! What a program says: values and formatted text, files and commands, and the end.

use std::fs::File;
use std::io::Read;
use std::process::Command;

use super::Builtin;
use crate::check::{Call, Cx, Emit, Fallible, MapArg, Safety};
use crate::diag::{Diagnostic, Severity};
use crate::error::Result;
use crate::format::{self, Format};
use crate::ir::{Expr, ExprKind, Stmt, StmtKind};
use crate::plan::{Action, Host};
use crate::syntax::ast;
use crate::types::{Aggregate, Int, MapValue, Type};
use crate::value::Value;

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "printf",
        "\"format\"[, value...]",
        (1, 129),
        "Prints text with values put in, as printf(3) does.",
        "begin { printf(\"%s %d\\n\", comm, pid); }",
        |cx, call| formatted(cx, call, print_text),
    ),
    Builtin::function(
        "print",
        "value | @map[, top[, div]]",
        (1, 3),
        "Prints a value, or a map: its top entries only (0 for all), its values divided by div.",
        "interval:s:1 { @[cpu] = count(); print(@, 5); print((1, \"a\")); exit(); }",
        print,
    ),
    Builtin::function(
        "join",
        "array[, separator]",
        (1, 2),
        "Prints the strings that an array of pointers leads to, at most 16.",
        "tracepoint:syscalls:sys_enter_execve { join(args.argv); }",
        join,
    ),
    Builtin::function(
        "cat",
        "\"format\"[, value...]",
        (1, 129),
        "Prints the contents of a file, at most max_cat_bytes.",
        "begin { cat(\"/proc/%d/comm\", pid); }",
        |cx, call| formatted(cx, call, print_file),
    ),
    Builtin {
        safety: Safety::Unsafe,
        ..Builtin::function(
            "system",
            "\"format\"[, value...]",
            (1, 129),
            "Runs a shell command and prints what it says.",
            "begin { system(\"ps -p %d\", pid); }",
            |cx, call| formatted(cx, call, run_command),
        )
    },
    Builtin::function(
        "exit",
        "[code]",
        (0, 1),
        "Ends tracing; end probes still run and maps are printed.",
        "interval:s:5 { exit(); }",
        exit,
    ),
];

/// Strings that join() reads, and the bytes it keeps of each.
const JOINED: i64 = 16;
const JOINED_SIZE: u32 = 256;

fn formatted(
    cx: &mut Cx<'_>,
    call: &Call<'_>,
    act: fn(&Action, &[Value], &mut dyn Host) -> Result<()>,
) -> Fallible<Expr> {
    let name = call.builtin.name;
    let text = cx.literal_str(&call.args[0], &format!("{name}()"))?;
    let values: Vec<Fallible<Expr>> = call.args[1..].iter().map(|arg| cx.expr(arg)).collect();
    let values = values.into_iter().collect::<Fallible<Vec<Expr>>>()?;
    let types: Vec<&Type> = values.iter().map(|value| &value.ty).collect();
    let format = format::parse(&text).and_then(|format| format::check(&format, &types).map(|()| format));
    let format = format.map_err(|message| cx.error(Diagnostic::error(call.span, message)))?;
    let emit = Emit { name, act, format: Some(format), map: None, span: call.span };
    let send = cx.emit(emit, values);
    Ok(Expr::effect(vec![send], call.span))
}

fn text_of(action: &Action, values: &[Value], host: &mut dyn Host) -> Vec<u8> {
    let none = Format::default();
    format::render(action.format.as_ref().unwrap_or(&none), values, host.config())
}

fn print_text(action: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    let text = text_of(action, values, host);
    host.sink().text(action.name, &text)
}

fn print_file(action: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    let path = String::from_utf8_lossy(&text_of(action, values, host)).into_owned();
    let mut contents = Vec::new();
    let limit = host.config().max_cat_bytes;
    match File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut contents)) {
        Ok(_) => host.sink().text(action.name, &contents),
        Err(error) => host.sink().message(Severity::Error, &format!("failed to open file '{path}': {error}")),
    }
}

fn run_command(action: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    let command = String::from_utf8_lossy(&text_of(action, values, host)).into_owned();
    // What was printed before must stand before what the command prints.
    host.sink().flush()?;
    match Command::new("sh").args(["-c", &format!("{{ {command}\n}} 2>&1")]).output() {
        Ok(output) if output.status.success() => {
            let text = [&output.stdout[..], b"\n"].concat();
            host.sink().text(action.name, &text)
        }
        Ok(output) => {
            host.sink().text(action.name, &output.stdout)?;
            let code = output.status.code().map_or("a signal".to_string(), |code| format!("code {code}"));
            host.sink().message(Severity::Error, &format!("command exited with {code}: {command}"))
        }
        Err(error) => host.sink().message(Severity::Error, &format!("cannot run a shell: {error}")),
    }
}

fn print(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    if matches!(&*call.args[0].kind, ast::ExprKind::Map { keys: None, .. }) {
        let map = cx.map_arg(&call.args[0], "print")?;
        return print_map(cx, call, &map);
    }
    if let ast::ExprKind::Map { keys: Some(_), .. } = &*call.args[0].kind {
        let map = cx.map_arg(&call.args[0], "print")?;
        if let MapValue::Aggregate(of @ (Aggregate::Stats(_) | Aggregate::Hist { .. } | Aggregate::LHist { .. })) =
            map.value
        {
            return Err(no_single_value(cx, call, &map, of));
        }
    }
    if call.args.len() > 1 {
        let diagnostic = Diagnostic::error(
            call.args[1].span,
            "Single-value (i.e. non-map) print() does not take additional arguments",
        );
        return Err(cx.error(diagnostic.hint("top and div are for whole maps: print(@m, 5)")));
    }
    let value = cx.expr(&call.args[0])?;
    let emit = Emit { name: "print", act: print_value, format: None, map: None, span: call.span };
    let send = cx.emit(emit, vec![value]);
    Ok(Expr::effect(vec![send], call.span))
}

fn no_single_value(cx: &mut Cx<'_>, call: &Call<'_>, map: &MapArg, of: Aggregate) -> crate::check::Reported {
    let message = match of {
        Aggregate::Hist { .. } | Aggregate::LHist { .. } => {
            format!("Map type {} cannot print the value of individual keys. You must print the whole map.", map.value)
        }
        _ => format!("print() of one entry of an aggregation ({}) is not supported yet", map.value),
    };
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
        cx.warn(call.span, "print()'s top and div arguments are ignored for maps of stats()");
    }
    let emit = Emit { name: "print", act: show_map, format: None, map: Some(map.map), span: call.span };
    let send = cx.emit(emit, limits);
    Ok(Expr::effect(vec![send], call.span))
}

fn print_value(_: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    values.iter().try_for_each(|value| host.sink().value(value))
}

fn show_map(action: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    match (action.map, values) {
        (Some(map), [Value::UInt(top), Value::UInt(div)]) => host.print_map(map, *top, (*div).max(1)),
        _ => Ok(()),
    }
}

fn join(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let array = cx.expr(&call.args[0])?;
    let separator = match call.args.get(1) {
        Some(separator) => cx.literal_str(separator, "join()")?,
        None => b" ".to_vec(),
    };
    let space = match &array.ty {
        Type::Ptr(_, space) => *space,
        Type::Int(_) => cx.context.space,
        other => {
            let message = format!("join() expects an array of pointers to text ({other} provided)");
            return Err(cx.error(Diagnostic::error(array.span, message)));
        }
    };
    let text = Type::pointer(Type::Int(Int::I8), space);
    let array = Expr { ty: Type::pointer(text.clone(), space), ..array };
    let size = JOINED_SIZE.min(cx.config.max_strlen as u32);
    // The array ends at its first null pointer: text there reads as empty, and what comes after it is not looked at.
    let mut values = Vec::new();
    let mut block = Vec::new();
    let mut previous: Option<Expr> = None;
    for index in 0..JOINED {
        let load = Expr::new(ExprKind::Load { addr: array.clone(), offset: 8 * index }, text.clone(), call.span);
        let pointer = match previous {
            None => load,
            Some(previous) => {
                let otherwise = Expr::int(0, text.clone(), call.span);
                Expr::new(ExprKind::Cond { cond: previous, then: load, otherwise }, text.clone(), call.span)
            }
        };
        let var = cx.fresh("joined pointer", text.clone());
        block.push(Stmt::new(StmtKind::Set(var, pointer), call.span));
        let pointer = Expr::new(ExprKind::Var(var), text.clone(), call.span);
        values.push(Expr::new(ExprKind::Convert(pointer.clone()), Type::Bool, call.span));
        values.push(Expr::new(ExprKind::ReadStr { addr: pointer.clone(), max: None }, Type::Str(size), call.span));
        previous = Some(pointer);
    }
    let format = Some(Format { pieces: vec![format::Piece::Text(separator)] });
    let emit = Emit { name: "join", act: print_joined, format, map: None, span: call.span };
    block.push(cx.emit(emit, values));
    Ok(Expr::effect(block, call.span))
}

fn print_joined(action: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    let separator = match action.format.as_ref().and_then(|format| format.pieces.first()) {
        Some(format::Piece::Text(text)) => text.clone(),
        _ => Vec::new(),
    };
    let texts: Vec<Vec<u8>> = values
        .chunks(2)
        .map_while(|pair| match pair {
            [Value::Bool(true), text] => Some(crate::report::text::plain(text, host.config())),
            _ => None,
        })
        .collect();
    let line = [texts.join(&separator[..]), b"\n".to_vec()].concat();
    host.sink().text("join", &line)
}

fn exit(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    if cx.in_loop() {
        let diagnostic = Diagnostic::error(call.span, "exit() is not allowed in a loop: it returns from the probe");
        return Err(cx.error(diagnostic.hint("set a variable in the loop, and call exit() after it")));
    }
    let code = match call.args.first() {
        Some(code) => cx.scalar(code)?,
        None => Expr::int(0, Type::I64, call.span),
    };
    let code = Expr::new(ExprKind::Convert(code), Type::I64, call.span);
    let send = cx.emit(Emit { name: "exit", act: end, format: None, map: None, span: call.span }, vec![code]);
    let leave = Stmt::new(StmtKind::Return, call.span);
    Ok(Expr::effect(vec![send, leave], call.span))
}

fn end(_: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    if let [Value::Int(code)] = values {
        host.exit(*code);
    }
    Ok(())
}
