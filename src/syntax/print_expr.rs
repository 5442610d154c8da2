//! Expressions as canonical source, with no more parentheses than the grouping needs.

use super::ast::{Arrow, BinaryOp, Expr, ExprKind, Name, Queried, StepTime, Stmt, UnaryOp};
use super::literal::UNITS;
use super::print::inline;
use super::print_type::type_name;

/// How tightly an expression holds together; where a tighter one is required, it needs parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    Choice,
    /// As [`BinaryOp::strength`] says.
    Binary(u8),
    Prefix,
    Postfix,
    Primary,
}

pub fn expr(value: &Expr) -> String {
    match &*value.kind {
        ExprKind::Int { value, suffix } => int(*value, suffix),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Str(bytes) => quoted(bytes),
        ExprKind::Ident(name) | ExprKind::Var(name) => name.clone(),
        ExprKind::Positional(number) => format!("${number}"),
        ExprKind::PositionalCount => "$#".to_string(),
        ExprKind::Map { name, keys: None } => name.clone(),
        ExprKind::Map { name, keys: Some(keys) } => format!("{name}[{}]", list(keys)),
        ExprKind::Call { name, args } => format!("{}({})", name.text, list(args)),
        ExprKind::Unary(op, value) => prefixed(op.symbol(), value),
        ExprKind::Binary(op, left, right) => binary(*op, left, right),
        ExprKind::Step { target, by, when: StepTime::Pre } => format!("{}{}", step(*by), expr(target)),
        ExprKind::Step { target, by, when: StepTime::Post } => format!("{}{}", expr(target), step(*by)),
        ExprKind::Ternary { cond, then, otherwise } => choice(cond, then.as_ref(), otherwise),
        ExprKind::Cast { ty, value } => prefixed(&format!("({})", type_name(ty)), value),
        ExprKind::Field { base, name, arrow: Arrow::Dot } => {
            format!("{}.{}", operand(base, Strength::Postfix), name.text)
        }
        ExprKind::Field { base, name, arrow: Arrow::Arrow } => {
            format!("{}->{}", operand(base, Strength::Postfix), name.text)
        }
        ExprKind::TupleIndex { base, index } => format!("{}.{index}", indexed(base)),
        ExprKind::Index { base, index } => format!("{}[{}]", indexed(base), expr(index)),
        ExprKind::Tuple(items) if items.len() == 1 => format!("({},)", list(items)),
        ExprKind::Tuple(items) => format!("({})", list(items)),
        ExprKind::Record(fields) => format!("({})", fields.iter().map(record_field).collect::<Vec<_>>().join(", ")),
        ExprKind::Block(body, value) => block(body, value.as_ref()),
        ExprKind::If { cond, then, otherwise: None } => format!("if ({}) {}", expr(cond), expr(then)),
        ExprKind::If { cond, then, otherwise: Some(otherwise) } => {
            format!("if ({}) {} else {}", expr(cond), expr(then), expr(otherwise))
        }
        ExprKind::Comptime(value) => prefixed("comptime ", value),
        ExprKind::Sizeof(of) => format!("sizeof({})", queried(of)),
        ExprKind::Offsetof { of, path } => format!("offsetof({}, {})", queried(of), dotted(path)),
        ExprKind::Typeinfo(of) => format!("typeinfo({})", queried(of)),
        ExprKind::Typeof(of) => format!("typeof({})", queried(of)),
        ExprKind::Bad => "/* not understood */".to_string(),
    }
}

/// An expression where one of at least this strength must stand.
pub fn operand(value: &Expr, least: Strength) -> String {
    if strength(value) < least { format!("({})", expr(value)) } else { expr(value) }
}

/// A string literal; bytes that are not text are written as escapes.
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", c as u8)),
                c => out.push(c),
            }
        }
        out.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    out.push('"');
    out
}

fn strength(value: &Expr) -> Strength {
    match &*value.kind {
        // A brace at the beginning of an operand could be taken for that of a body.
        ExprKind::Ternary { .. } | ExprKind::Block(..) | ExprKind::If { .. } => Strength::Choice,
        ExprKind::Binary(op, ..) => Strength::Binary(op.strength()),
        ExprKind::Unary(..)
        | ExprKind::Cast { .. }
        | ExprKind::Comptime(_)
        | ExprKind::Step { when: StepTime::Pre, .. } => Strength::Prefix,
        ExprKind::Step { when: StepTime::Post, .. }
        | ExprKind::Field { .. }
        | ExprKind::TupleIndex { .. }
        | ExprKind::Index { .. } => Strength::Postfix,
        ExprKind::Int { .. }
        | ExprKind::Bool(_)
        | ExprKind::Str(_)
        | ExprKind::Ident(_)
        | ExprKind::Var(_)
        | ExprKind::Positional(_)
        | ExprKind::PositionalCount
        | ExprKind::Map { .. }
        | ExprKind::Call { .. }
        | ExprKind::Tuple(_)
        | ExprKind::Record(_)
        | ExprKind::Sizeof(_)
        | ExprKind::Offsetof { .. }
        | ExprKind::Typeinfo(_)
        | ExprKind::Typeof(_)
        | ExprKind::Bad => Strength::Primary,
    }
}

/// Durations are written in the unit they had.
fn int(value: u64, suffix: &str) -> String {
    let unit = UNITS.iter().find(|(unit, _)| *unit == suffix).map_or(1, |(_, nanoseconds)| *nanoseconds);
    format!("{}{suffix}", value / unit)
}

fn record_field((name, value): &(Name, Expr)) -> String {
    format!("{} = {}", name.text, expr(value))
}

fn block(body: &[Stmt], value: Option<&Expr>) -> String {
    let value = value.map(expr);
    let parts: Vec<String> = body.iter().map(inline).chain(value).collect();
    if parts.is_empty() { "{ }".to_string() } else { format!("{{ {} }}", parts.join(" ")) }
}

/// The operand of `sizeof` and its like.
pub fn queried(of: &Queried) -> String {
    match of {
        Queried::Type(ty) => type_name(ty),
        Queried::Expr(value) => expr(value),
    }
}

fn dotted(path: &[Name]) -> String {
    path.iter().map(|name| name.text.as_str()).collect::<Vec<_>>().join(".")
}

fn list(items: &[Expr]) -> String {
    items.iter().map(expr).collect::<Vec<_>>().join(", ")
}

/// A space keeps `- -x` from becoming `--x`.
fn prefixed(prefix: &str, value: &Expr) -> String {
    let value = operand(value, Strength::Prefix);
    let merges = prefix.ends_with(['-', '&', '+']) && value.starts_with(prefix);
    format!("{prefix}{}{value}", if merges { " " } else { "" })
}

fn binary(op: BinaryOp, left: &Expr, right: &Expr) -> String {
    let left = operand(left, Strength::Binary(op.strength()));
    let right = operand(right, Strength::Binary(op.strength() + 1));
    format!("{left} {} {right}", op.symbol())
}

fn choice(cond: &Expr, then: Option<&Expr>, otherwise: &Expr) -> String {
    let cond = operand(cond, Strength::Binary(0));
    let otherwise = expr(otherwise);
    match then {
        Some(then) => format!("{cond} ? {} : {otherwise}", expr(then)),
        None => format!("{cond} ?: {otherwise}"),
    }
}

/// The base of `[i]` or `.0`: `@x[1]` would be a key, and `1.0` a fraction.
fn indexed(base: &Expr) -> String {
    match &*base.kind {
        ExprKind::Map { keys: None, .. } | ExprKind::Int { .. } => format!("({})", expr(base)),
        _ => operand(base, Strength::Postfix),
    }
}

fn step(by: i8) -> &'static str {
    if by > 0 { "++" } else { "--" }
}

impl UnaryOp {
    /// The operator as written.
    pub fn symbol(self) -> &'static str {
        match self {
            UnaryOp::Negate => "-",
            UnaryOp::Invert => "~",
            UnaryOp::Not => "!",
            UnaryOp::Deref => "*",
            UnaryOp::Address => "&",
        }
    }
}
