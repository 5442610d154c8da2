//! Expressions: names, literals, calls, casts; operators, fields and maps are next door.

use super::convert::{literal_type, tuple};
use super::declared;
use super::env::VarKey;
use super::{Call, Cx, Fallible, Safety};
use crate::builtins::{self, Builtin, Lower, Update};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind, VarId};
use crate::names;
use crate::source::Span;
use crate::syntax::{self, ast};
use crate::types::{Int, Naming, Sign, Space, Type};

impl Cx<'_> {
    /// Lowers an argument: something that has a value.
    pub fn expr(&mut self, expr: &ast::Expr) -> Fallible<Expr> {
        self.value(expr)
    }

    /// Lowers an argument that must be a scalar number (integers, bools, pointers, enums), as a 64-bit value.
    pub fn scalar(&mut self, expr: &ast::Expr) -> Fallible<Expr> {
        let value = self.value(expr)?;
        if is_number(&value.ty) {
            return Ok(value);
        }
        let message = format!("expected a number, found a value of type '{}'", value.ty);
        Err(self.error(Diagnostic::error(expr.span, message)))
    }

    /// An argument that must be a number.
    pub fn number_arg(&mut self, call: &Call<'_>, index: usize) -> Fallible<Expr> {
        let value = self.value(&call.args[index])?;
        if is_number(&value.ty) {
            return Ok(value);
        }
        let message = format!("{}() only supports int arguments ({} provided)", call.builtin.name, kind_of(&value.ty));
        let example = format!("for example: {}", call.builtin.example);
        Err(self.error(Diagnostic::error(call.args[index].span, message).hint(example)))
    }

    /// An argument that must be a constant number.
    pub fn literal_int(&mut self, expr: &ast::Expr, what: &str) -> Fallible<i64> {
        let value = self.value(expr)?;
        match *value.kind {
            ExprKind::Int(number) => Ok(number),
            _ => Err(self.error(Diagnostic::error(expr.span, format!("{what} must be a literal number")))),
        }
    }

    /// An argument that must be a literal text.
    pub fn literal_str(&mut self, expr: &ast::Expr, what: &str) -> Fallible<Vec<u8>> {
        // It stays out of the program, so it may be longer than texts there.
        if let ast::ExprKind::Str(text) = &*expr.kind {
            return Ok(text.clone());
        }
        let value = self.value(expr)?;
        match *value.kind {
            ExprKind::Str(text) => Ok(text),
            _ => {
                let message = format!("{what} expects a string literal ({} provided)", kind_of(&value.ty));
                Err(self.error(Diagnostic::error(expr.span, message).hint("it must be a text in quotes")))
            }
        }
    }

    /// Lowers what must have a value.
    pub(super) fn value(&mut self, expr: &ast::Expr) -> Fallible<Expr> {
        let lowered = self.any(expr)?;
        if lowered.ty == Type::Void {
            return Err(self.error(no_value(expr)));
        }
        Ok(lowered)
    }

    /// Lowers anything, actions included.
    pub(super) fn any(&mut self, expr: &ast::Expr) -> Fallible<Expr> {
        let span = expr.span;
        match &*expr.kind {
            ast::ExprKind::Int { value, suffix } => Ok(integer(*value, suffix, span)),
            ast::ExprKind::Bool(truth) => Ok(Expr::int(i64::from(*truth), Type::Bool, span)),
            ast::ExprKind::Str(text) => self.string(text.clone(), span),
            ast::ExprKind::Ident(name) => self.ident(name, span),
            ast::ExprKind::Var(name) => self.variable(name, span),
            ast::ExprKind::Positional(number) => self.positional(*number, span),
            ast::ExprKind::PositionalCount => Ok(integer(self.options.params.len() as u64, "", span)),
            ast::ExprKind::Map { name, keys } => self.map_get(name, keys.as_deref(), span),
            ast::ExprKind::Call { name, args } => self.call(name, args, span),
            ast::ExprKind::Unary(op, operand) => self.unary(*op, operand, span),
            ast::ExprKind::Binary(op, left, right) => self.binary(*op, left, right, span),
            ast::ExprKind::Step { target, by, when } => self.step(target, *by, *when, span),
            ast::ExprKind::Ternary { cond, then, otherwise } => self.ternary(cond, then.as_ref(), otherwise, span),
            ast::ExprKind::Cast { ty, value } => self.cast(ty, value, span),
            ast::ExprKind::Field { base, name, .. } => self.field(base, name, span),
            ast::ExprKind::TupleIndex { base, index } => self.tuple_index(base, u64::from(*index), span),
            ast::ExprKind::Index { base, index } => self.index(base, index, span),
            ast::ExprKind::Tuple(elements) => {
                let elements: Vec<Fallible<Expr>> = elements.iter().map(|element| self.value(element)).collect();
                Ok(tuple(elements.into_iter().collect::<Fallible<_>>()?, span))
            }
            ast::ExprKind::Sizeof(of) => {
                let size = self.type_of(of)?.size();
                Ok(Expr::int(i64::from(size), Type::U64, span))
            }
            ast::ExprKind::Block(body, value) => self.block_value(body, value.as_ref(), span),
            ast::ExprKind::If { cond, then, otherwise } => self.if_value(cond, then, otherwise.as_ref(), span),
            ast::ExprKind::Comptime(value) => self.comptime(value, span),
            ast::ExprKind::Record(fields) => self.record(fields, span),
            ast::ExprKind::Offsetof { of, path } => self.offsetof(of, path, span),
            ast::ExprKind::Typeinfo(of) => self.typeinfo(of, span),
            ast::ExprKind::Typeof(_) => Err(self.stray_type(span)),
            ast::ExprKind::Bad => Err(super::Reported),
        }
    }

    pub(super) fn lookup(&self, name: &str) -> Option<&super::cx::Local> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name))
    }

    fn variable(&mut self, name: &str, span: Span) -> Fallible<Expr> {
        let Some(local) = self.lookup(name).cloned() else {
            if self.env.is_spoiled(name) {
                return Err(super::Reported);
            }
            let known: Vec<String> = self.scopes.iter().flat_map(|scope| scope.keys().cloned()).collect();
            let near = names::nearest(name, known.iter().map(String::as_str));
            // Variables of a macro have a number behind their name.
            let written = name.split('#').next().unwrap_or(name);
            let diagnostic = Diagnostic::error(span, format!("Undefined or undeclared variable: {written}"));
            return Err(self.error(match near {
                Some(near) if near == written => diagnostic
                    .hint(format!("a macro does not see its caller's variables: pass it, macro name({written})")),
                Some(near) => diagnostic.hint(format!("did you mean {near}?")),
                None => {
                    diagnostic.hint("a variable lives in the block that first assigns to it, and blocks within that")
                }
            }));
        };
        if let Some(entry) = local.entry {
            return Ok(Expr { span, ..entry });
        }
        if local.waiting.is_some() {
            self.warn(span, format!("Variable used before it was assigned: {name}"));
        }
        match self.var_type(local.id, &local.key) {
            Some(ty) => Ok(Expr::new(ExprKind::Var(local.id), ty, span)),
            None if self.env.is_spoiled(name) => Err(super::Reported),
            None => {
                let diagnostic = Diagnostic::error(span, "Could not resolve the type of this variable");
                let hint = format!("give it a value where it is declared, or a type: let {name}: uint64;");
                Err(self.error(diagnostic.hint(hint)))
            }
        }
    }

    fn var_type(&self, id: VarId, key: &VarKey) -> Option<Type> {
        self.env.var(key).cloned().or_else(|| {
            let ty = &self.vars[id].ty;
            (*ty != Type::Void).then(|| ty.clone())
        })
    }

    fn string(&mut self, text: Vec<u8>, span: Span) -> Fallible<Expr> {
        let limit = self.config.max_strlen;
        if text.len() as u64 >= limit.max(1) {
            let shown = String::from_utf8_lossy(&text);
            // The text may be far longer than anybody reads.
            let beginning =
                shown.char_indices().nth(40).map_or(shown.to_string(), |(end, _)| format!("{}...", &shown[..end]));
            let message = format!("String is too long (over {limit} bytes): {beginning}");
            let hint = format!("raise the limit: config = {{ max_strlen = {} }}", text.len() + 1);
            return Err(self.error(Diagnostic::error(span, message).hint(hint)));
        }
        let ty = Type::Str(text.len() as u32 + 1);
        Ok(Expr::new(ExprKind::Str(text), ty, span))
    }

    fn ident(&mut self, name: &str, span: Span) -> Fallible<Expr> {
        if let Some(builtin) = builtins::find(name) {
            return self.use_builtin(builtin, &[], span);
        }
        if let Some((id, value)) = self.kernel.btf().and_then(|btf| btf.enum_value(name)) {
            let ty = self.kernel.btf().map_or(Type::I64, |btf| btf.to_type(id, Space::Kernel));
            return Ok(Expr::int(value, ty, span));
        }
        if self.functions.named(name).is_some() {
            let diagnostic = Diagnostic::error(span, format!("'{name}' is a function, and this is no call of it"));
            return Err(self.error(diagnostic.hint(format!("a call has parentheses: {name}()"))));
        }
        Err(self.unknown("identifier", name, span))
    }

    fn call(&mut self, name: &ast::Name, args: &[ast::Expr], span: Span) -> Fallible<Expr> {
        match (builtins::find(&name.text), self.functions.named(&name.text)) {
            (Some(builtin), _) => self.use_builtin(builtin, args, span),
            (None, Some(function)) => self.invoke(function, args, span),
            (None, None) => Err(self.unknown("function", &name.text, name.span)),
        }
    }

    fn unknown(&mut self, what: &str, name: &str, span: Span) -> super::Reported {
        let message = if what == "function" {
            format!("Unknown function: '{name}'")
        } else {
            format!("Unknown identifier: '{name}'")
        };
        let all = builtins::TABLES.iter().flat_map(|table| table.iter()).map(|builtin| builtin.name);
        let diagnostic = Diagnostic::error(span, message);
        self.error(match names::nearest(name, all.chain(self.functions.names())) {
            Some(near) => diagnostic.hint(format!("did you mean '{near}'?")),
            None => diagnostic.hint("`rtrace --generate man` lists all builtins; variables begin with $, maps with @"),
        })
    }

    fn use_builtin(&mut self, builtin: &'static Builtin, args: &[ast::Expr], span: Span) -> Fallible<Expr> {
        self.admit(builtin, args, span)?;
        let call = Call { builtin, args, span };
        match builtin.lower {
            Lower::Value(lower) | Lower::Function(lower) => lower(self, &call),
            Lower::Aggregation(_) => {
                let message = format!("{}() must be assigned directly to a map", builtin.name);
                Err(self.error(Diagnostic::error(span, message).hint(format!("write @name = {}(...);", builtin.name))))
            }
        }
    }

    /// The call on the right of `@m = count()`.
    pub(super) fn aggregation_call(&mut self, name: &ast::Name, value: &ast::Expr) -> Fallible<Update> {
        let (Some(builtin), ast::ExprKind::Call { args, .. }) = (builtins::find(&name.text), &*value.kind) else {
            return Err(self.unknown("function", &name.text, name.span));
        };
        self.admit(builtin, args, value.span)?;
        match builtin.lower {
            Lower::Aggregation(lower) => lower(self, &Call { builtin, args, span: value.span }),
            Lower::Value(_) | Lower::Function(_) => Err(self.unknown("function", &name.text, name.span)),
        }
    }

    /// Checks what holds for every builtin: the number of arguments, and whether it is allowed at all.
    fn admit(&mut self, builtin: &'static Builtin, args: &[ast::Expr], span: Span) -> Fallible<()> {
        let (least, most) = builtin.arity;
        if args.len() < least || args.len() > most {
            let message = arity_message(builtin, args.len());
            let hint = format!("it is written {}", builtins::signature(builtin));
            return Err(self.error(Diagnostic::error(span, message).hint(hint)));
        }
        if builtin.safety == Safety::Unsafe && self.options.safety == Safety::Safe {
            let message = format!("{}() is an unsafe function being used in safe mode", builtin.name);
            return Err(self.error(Diagnostic::error(span, message).hint("run rtrace with --unsafe to allow it")));
        }
        Ok(())
    }

    fn positional(&mut self, number: u32, span: Span) -> Fallible<Expr> {
        let Some(text) = self.parameter(number, span) else { return Ok(integer(0, "", span)) };
        match self.integer(&text, span) {
            Some(number) => Ok(number),
            None => self.string(text.into_bytes(), span),
        }
    }

    /// A parameter as it was written. Of one that is missing that is told.
    fn parameter(&mut self, number: u32, span: Span) -> Option<String> {
        let text = self.options.params.get(number.wrapping_sub(1) as usize).filter(|text| !text.is_empty());
        if text.is_none() {
            self.warn(span, format!("Positional parameter ${number} is empty or not provided: it counts as 0 or \"\""));
        }
        text.cloned()
    }

    /// What `str()` makes of `$1` and `$1 + n`: the parameter as text, even if it reads as a number.
    pub fn parameter_text(&mut self, expr: &ast::Expr) -> Option<Fallible<Expr>> {
        let (number, skipped) = match &*expr.kind {
            ast::ExprKind::Positional(number) => (*number, 0),
            ast::ExprKind::Binary(ast::BinaryOp::Add, left, right) => match (&*left.kind, &*right.kind) {
                (ast::ExprKind::Positional(number), ast::ExprKind::Int { value, .. }) => (*number, *value),
                _ => return None,
            },
            _ => return None,
        };
        let text = self.parameter(number, expr.span).unwrap_or_default().into_bytes();
        let start = text.len().min(usize::try_from(skipped).unwrap_or(usize::MAX));
        Some(self.string(text[start..].to_vec(), expr.span))
    }

    /// A number of the command line, in any of the forms of a literal, as a constant.
    pub fn integer(&self, text: &str, span: Span) -> Option<Expr> {
        parse_integer(text).map(|value| Expr::int(value as i64, literal_type(value), span))
    }

    /// The type that a name stands for.
    pub(super) fn type_named(&mut self, name: &ast::TypeName) -> Fallible<Type> {
        let mut suffixes = name.suffixes.iter();
        let mut ty = match (&name.base, name.suffixes.first()) {
            (ast::TypeBase::Named(base), Some(ast::TypeSuffix::Array(Some(size)))) if base == "string" => {
                suffixes.next();
                Type::Str(self.length(size)?)
            }
            (ast::TypeBase::Named(base), Some(ast::TypeSuffix::Array(Some(size)))) if base == "buffer" => {
                suffixes.next();
                Type::Buf(self.length(size)?)
            }
            // An address is kept with its family, which tells how long it is.
            (ast::TypeBase::Named(base), Some(ast::TypeSuffix::Array(Some(_)))) if base == "inet" => {
                suffixes.next();
                Type::Inet
            }
            (base, _) => self.base_type(base, name.span)?,
        };
        for suffix in suffixes {
            ty = match suffix {
                ast::TypeSuffix::Pointer => Type::pointer(ty, Space::Unknown),
                ast::TypeSuffix::Array(None) => Type::Array(Box::new(ty), 0),
                ast::TypeSuffix::Array(Some(length)) => Type::Array(Box::new(ty), self.length(length)?),
            };
        }
        Ok(ty)
    }

    /// The parser lets no length pass that is larger.
    fn length(&mut self, written: &ast::Count) -> Fallible<u32> {
        match declared::number(written) {
            Ok(number) => Ok(number as u32),
            Err(fault) => Err(self.error(fault)),
        }
    }

    pub(super) fn base_type(&mut self, base: &ast::TypeBase, span: Span) -> Fallible<Type> {
        match base {
            ast::TypeBase::Named(name) if name == "string" => Ok(Type::Str(self.config.max_strlen as u32)),
            ast::TypeBase::Named(name) => match basic_type(name) {
                Some(ty) => Ok(ty),
                None => self.kernel_type(name, span),
            },
            ast::TypeBase::Typeof(of) => self.type_of(of),
            ast::TypeBase::Tuple(elements) => {
                let elements: Fallible<Vec<Type>> = elements.iter().map(|element| self.type_named(element)).collect();
                Ok(Type::tuple(elements?))
            }
            ast::TypeBase::Record(fields) => self.record_type(fields),
        }
    }

    pub(super) fn kernel_type(&mut self, name: &str, span: Span) -> Fallible<Type> {
        let Some(btf) = self.kernel.btf() else {
            let diagnostic = Diagnostic::error(span, format!("Cannot resolve unknown type \"{name}\""));
            return Err(self.error(
                diagnostic.hint("this kernel has no BTF (/sys/kernel/btf/vmlinux), so its types are not known"),
            ));
        };
        let bare = name.split_once(' ').map_or(name, |(_, bare)| bare);
        match btf.named(name) {
            Some(id) => Ok(btf.to_type(id, Space::Kernel)),
            None => {
                let known = btf.all(crate::btf::Kind::Struct).map(|(name, _)| name);
                let diagnostic = Diagnostic::error(span, format!("Cannot resolve unknown type \"{name}\""));
                Err(self.error(match names::nearest(bare, known) {
                    Some(near) => diagnostic.hint(format!("did you mean 'struct {near}'?")),
                    None => diagnostic
                        .hint("types are the kernel's (rtrace -l 'struct *') or those that the script defines"),
                }))
            }
        }
    }
}

/// A number or duration; `u` suffixes and durations are unsigned.
fn integer(value: u64, suffix: &str, span: Span) -> Expr {
    let ty = match suffix {
        "" | "l" | "ll" => literal_type(i128::from(value)),
        _ => Type::U64,
    };
    Expr::int(value as i64, ty, span)
}

/// A parameter that is a number in full: in any of the forms of a literal, in binary, or with a suffix, perhaps with a sign.
fn parse_integer(text: &str) -> Option<i128> {
    let text = text.trim();
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let bare = digits.trim_end_matches(['u', 'l']);
    let value = match bare.strip_prefix("0b") {
        Some(binary) => u64::from_str_radix(&binary.replace('_', ""), 2).ok(),
        None => syntax::integer(bare),
    };
    value.map(|value| sign * i128::from(value))
}

pub(super) fn basic_type(name: &str) -> Option<Type> {
    let int = |bits, sign| Some(Type::Int(Int { bits, sign }));
    match name {
        "void" => Some(Type::Void),
        "bool" => Some(Type::Bool),
        "int8" | "s8" | "int8_t" | "char" => int(8, Sign::Signed),
        "int16" | "s16" | "int16_t" | "short" => int(16, Sign::Signed),
        "int32" | "s32" | "int32_t" | "int" | "pid_t" => int(32, Sign::Signed),
        "int64" | "s64" | "int64_t" | "long" | "ssize_t" => int(64, Sign::Signed),
        "uint8" | "u8" | "uint8_t" => int(8, Sign::Unsigned),
        "uint16" | "u16" | "uint16_t" => int(16, Sign::Unsigned),
        "uint32" | "u32" | "uint32_t" | "unsigned" => int(32, Sign::Unsigned),
        "uint64" | "u64" | "uint64_t" | "size_t" | "uintptr_t" => int(64, Sign::Unsigned),
        "macaddr_t" => Some(Type::Mac),
        "inet" => Some(Type::Inet),
        "ksym_t" => Some(Type::KSym),
        "usym_t" => Some(Type::USym),
        "username_t" => Some(Type::Named(Naming::User)),
        "cgroup_path_t" => Some(Type::Named(Naming::Cgroup("".into()))),
        "timestamp" => Some(Type::Timestamp("".into())),
        _ => None,
    }
}

fn arity_message(builtin: &Builtin, found: usize) -> String {
    let name = builtin.name;
    let arguments = |count: usize| match count {
        0 => "no arguments".to_string(),
        1 => "one argument".to_string(),
        count => format!("{count} arguments"),
    };
    match builtin.arity {
        (least, most) if least == most => format!("{name}() requires {} ({found} provided)", arguments(least)),
        (least, _) if found < least => format!("{name}() requires at least {} ({found} provided)", arguments(least)),
        (_, most) => format!("{name}() takes up to {} ({found} provided)", arguments(most)),
    }
}

fn is_number(ty: &Type) -> bool {
    matches!(ty, Type::Int(_) | Type::Bool | Type::Ptr(..) | Type::Enum(_) | Type::KSym | Type::Timestamp(_))
}

/// What bpftrace calls a class of types in messages.
pub fn kind_of(ty: &Type) -> String {
    match ty {
        Type::Str(_) => "string".to_string(),
        Type::Int(_) => "int".to_string(),
        other => other.to_string(),
    }
}

/// What stands where a value is needed and gives none.
fn no_value(expr: &ast::Expr) -> Diagnostic {
    let name = match &*expr.kind {
        ast::ExprKind::Call { name, .. } => &name.text,
        ast::ExprKind::Ident(name) => name,
        _ => {
            return Diagnostic::error(expr.span, "this block or macro has no value")
                .hint("its value is that of its last expression, which no semicolon follows");
        }
    };
    Diagnostic::error(expr.span, format!("this has no value: '{name}' cannot be part of an expression"))
}
