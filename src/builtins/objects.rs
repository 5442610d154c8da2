//! What only the kernel can tell of its objects: the name of a file, the cookie of a socket.

use super::Builtin;
use super::process::fields_of;
use crate::bpf::Helper;
use crate::check::{Call, Cx, Fallible, kind_of};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::plan::ProgKind;
use crate::types::Type;

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "path",
        "path[, size]",
        (1, 2),
        "Full name of the file that a struct path of the arguments is of, at most size bytes with its NUL. Some functions only may be asked: security_file_open and the like.",
        "fentry:vfs_open { print(path(args.path)); }",
        path,
    ),
    Builtin::function(
        "socket_cookie",
        "sk",
        (1, 1),
        "The number that the kernel knows a socket by. An argument of fentry or fexit is given one if it has none; of others it is 0 then.",
        "fentry:tcp_sendmsg { @[socket_cookie(args.sk)] = count(); }",
        socket_cookie,
    ),
];

fn path(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    if !cx.probe.kind.is_told_pointers() {
        let message = "The path function can only be used with 'fentry', 'fexit', 'iter' probes";
        let hint = "elsewhere the last part of the name can be read: str(args.file.f_path.dentry.d_name.name)";
        return Err(cx.error(Diagnostic::error(call.span, message).hint(hint)));
    }
    let size = match call.args.get(1) {
        Some(size) => cx.literal_int(size, "the size of path()")?,
        None => cx.config.max_strlen as i64 + 1,
    };
    if !(1..=i64::from(LONGEST)).contains(&size) {
        let message = format!("the size of path() must lie between 1 and {LONGEST} bytes ({size} provided)");
        return Err(cx.error(Diagnostic::error(call.args[call.args.len() - 1].span, message)));
    }
    let value = cx.expr(&call.args[0])?;
    let (base, offset) = match (*value.kind, &value.ty) {
        (ExprKind::Load { addr, offset }, Type::Struct(of)) if &*of.name == "struct path" => (addr, offset),
        (kind, Type::Ptr(to, _)) if matches!(&**to, Type::Struct(of) if &*of.name == "struct path") => {
            (Expr { kind: Box::new(kind), ty: value.ty.clone(), span: value.span }, 0)
        }
        (_, other) => {
            let message =
                format!("path() only supports a struct path, or a pointer to one ({} provided)", kind_of(other));
            return Err(cx.error(Diagnostic::error(value.span, message).hint("for example: path(args.file.f_path)")));
        }
    };
    if !is_argument(&base) {
        let message = "path() can only ask of what an argument of the probe leads to";
        let hint = "name the argument: path(args.file.f_path), not a variable or what is behind another pointer";
        return Err(cx.error(Diagnostic::error(value.span, message).hint(hint)));
    }
    Ok(Expr::new(ExprKind::PathName { base, offset: offset as u32 }, Type::Str(size as u32), call.span))
}

/// The kernel's `PATH_MAX`.
const LONGEST: u32 = 4096;

/// Whether it is a pointer as the kernel hands it to the program.
pub(super) fn is_argument(pointer: &Expr) -> bool {
    match &*pointer.kind {
        ExprKind::CtxLoad { .. } => true,
        ExprKind::Load { addr, .. } => matches!(*addr.kind, ExprKind::Ctx),
        _ => false,
    }
}

fn socket_cookie(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let socket = cx.expr(&call.args[0])?;
    let is_socket =
        matches!(&socket.ty, Type::Ptr(to, _) if matches!(&**to, Type::Struct(of) if &*of.name == "struct sock"));
    if !is_socket {
        let message =
            format!("socket_cookie() only supports a pointer to a struct sock ({} provided)", kind_of(&socket.ty));
        return Err(cx.error(Diagnostic::error(socket.span, message).hint("cast it first: (struct sock *)arg0")));
    }
    if cx.probe.kind == ProgKind::Tracing && is_argument(&socket) && cx.kernel.version() >= (5, 12) {
        return Ok(Expr::new(ExprKind::Call(Helper::GET_SOCKET_COOKIE, vec![socket]), Type::U64, call.span));
    }
    let kept = fields_of(call.args[0].clone(), &["__sk_common", "skc_cookie", "counter"], call.span);
    let kept = cx.expr(&kept)?;
    Ok(Expr::new(ExprKind::Convert(kept), Type::U64, call.span))
}
