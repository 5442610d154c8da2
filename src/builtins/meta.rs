//! What the compiler knows of a value or of the kernel: constants, all of them.

use super::Builtin;
use crate::btf::Kind;
use crate::check::{self, Call, Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::syntax::ast;
use crate::types::{Int, Sign, Type};

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "is_integer",
        "value",
        (1, 1),
        "Whether it is an integer.",
        "begin { print(is_integer(pid)); }",
        |cx, call| of_type(cx, call, |ty| matches!(ty, Type::Int(_))),
    ),
    Builtin::function(
        "is_unsigned_integer",
        "value",
        (1, 1),
        "Whether it is an integer without a sign.",
        "begin { print(is_unsigned_integer(pid)); }",
        |cx, call| of_type(cx, call, |ty| matches!(ty, Type::Int(Int { sign: Sign::Unsigned, .. }))),
    ),
    Builtin::function(
        "is_str",
        "value",
        (1, 1),
        "Whether it is text.",
        "begin { print(is_str(comm)); }",
        |cx, call| of_type(cx, call, |ty| matches!(ty, Type::Str(_))),
    ),
    Builtin::function(
        "is_ptr",
        "value",
        (1, 1),
        "Whether it is a pointer.",
        "begin { print(is_ptr(curtask)); }",
        |cx, call| of_type(cx, call, |ty| matches!(ty, Type::Ptr(..))),
    ),
    Builtin::function(
        "is_array",
        "value",
        (1, 1),
        "Whether it is an array.",
        "begin { print(is_array(pton(\"::1\"))); }",
        |cx, call| of_type(cx, call, |ty| matches!(ty, Type::Array(..))),
    ),
    Builtin::function(
        "is_literal",
        "value",
        (1, 1),
        "Whether it is known when the program is compiled.",
        "begin { print(is_literal(5)); }",
        is_literal,
    ),
    Builtin::function(
        "default_str_length",
        "",
        (0, 0),
        "Size of texts whose length is not given: the setting max_strlen.",
        "begin { print(default_str_length()); }",
        |cx, call| Ok(super::number(cx.config.max_strlen as i64, call.span)),
    ),
    Builtin::function(
        "kfunc_exist",
        "\"name\"",
        (1, 1),
        "Whether this kernel has a function of this name.",
        "begin { print(kfunc_exist(\"bpf_task_from_pid\")); }",
        kfunc_exist,
    ),
    Builtin::function(
        "kfunc_allowed",
        "\"name\"",
        (1, 1),
        "Whether probes of this kind may call this function of the kernel, here.",
        "begin { print(kfunc_allowed(\"bpf_rdonly_cast\")); }",
        kfunc_allowed,
    ),
    Builtin::function(
        "has_field",
        "value | typeof(type), name",
        (2, 2),
        "Whether a structure, or args, has a field of this name on this kernel; `if comptime` leaves out what names it otherwise.",
        "begin { if comptime (has_field(curtask, __state)) { print(curtask.__state); } else { print(curtask.state); } }",
        has_field,
    ),
    Builtin::function(
        "probe_exists",
        "\"attach point\"",
        (1, 1),
        "Whether this kernel has such an attach point. A clause whose predicate is `comptime`, and does not hold, is left out.",
        "begin { print(probe_exists(\"tracepoint:skb:kfree_skb\")); }",
        probe_exists,
    ),
];

fn of_type(cx: &mut Cx<'_>, call: &Call<'_>, is_meant: fn(&Type) -> bool) -> Fallible<Expr> {
    let value = cx.expr(&call.args[0])?;
    Ok(truth(is_meant(&value.ty), call))
}

fn is_literal(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let value = cx.expr(&call.args[0])?;
    Ok(truth(matches!(*value.kind, ExprKind::Int(_) | ExprKind::Str(_)), call))
}

fn kfunc_exist(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let name = cx.literal_str(&call.args[0], "kfunc_exist()")?;
    let exists = cx.kernel.btf().is_some_and(|btf| btf.func(&String::from_utf8_lossy(&name)).is_some());
    Ok(truth(exists, call))
}

fn kfunc_allowed(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let name = cx.literal_str(&call.args[0], "kfunc_allowed()")?;
    let function = cx.kernel.btf().and_then(|btf| btf.find(&String::from_utf8_lossy(&name), Kind::Func));
    let is_allowed = function.is_some_and(|function| cx.may_call(function));
    Ok(truth(is_allowed, call))
}

fn has_field(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let name = &call.args[1];
    let ast::ExprKind::Ident(text) = &*name.kind else {
        let message = "has_field() expects the name of a field as second argument";
        return Err(cx.error(Diagnostic::error(name.span, message).hint("has_field(curtask, __state)")));
    };
    let has = cx.has_field(&call.args[0], &ast::Name { text: text.clone(), span: name.span })?;
    Ok(truth(has, call))
}

fn probe_exists(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let text = cx.literal_str(&call.args[0], "probe_exists()")?;
    let span = call.args[0].span;
    let part = |text: &str| ast::Name { text: text.to_string(), span };
    let parts = String::from_utf8_lossy(&text).split(':').map(part).collect();
    let exists = check::exists(&ast::AttachPoint { parts, span }, cx.kernel, cx.options);
    exists.map(|exists| truth(exists, call)).map_err(|fault| cx.error(fault))
}

fn truth(holds: bool, call: &Call<'_>) -> Expr {
    Expr::int(i64::from(holds), Type::Bool, call.span)
}
