//! Turns programs into the constructs that they use, by the names that the documents give them.

use std::collections::BTreeSet;

use rtrace::syntax::ast::{
    Arrow, BinaryOp, Count, Expr, ExprKind, MapDecl, Probe, Program, Stmt, StmtKind, TypeBase, TypeName, TypeSuffix,
    UnaryOp,
};
use rtrace::syntax::visit::{VisitMut, walk_block, walk_expr, walk_stmt, walk_type};
use rtrace::{builtins, probes, source, syntax};

/// What the language has besides builtins and probe types, group by group.
pub const CONSTRUCTS: [(&str, &[&str]); 6] = [
    (
        "program",
        &[
            "`config = { … }`",
            "`import \"…\"`",
            "`macro`",
            "`fn`",
            "`let @m = hash(N)`",
            "`let @m = lruhash(N)`",
            "`let @m = percpuhash(N)`",
            "`let @m = percpulruhash(N)`",
            "`#define`",
            "`#if`",
            "`#include`",
            "`struct … { … }`",
            "`union … { … }`",
            "`enum … { … }`",
            "`typedef`",
            "predicate",
            "several attach points",
            "`name=` before a probe",
        ],
    ),
    (
        "statements",
        &[
            "`let $x`",
            "`let $x: type`",
            "`$x = e`",
            "`@m = e`",
            "`@m[k] = e`",
            "compound assignment",
            "`_ = e`",
            "`++` before",
            "`++` behind",
            "`if`",
            "`else`",
            "`while`",
            "`for ($kv : @m)`",
            "`for ($i : a..b)`",
            "`unroll`",
            "`break`",
            "`continue`",
            "`return`",
            "`return e`",
            "`{ … }`",
        ],
    ),
    (
        "operators",
        &[
            "`? :`",
            "`?:`",
            "`\\|\\|`",
            "`&&`",
            "`\\|`",
            "`^`",
            "`&`",
            "`==`",
            "`!=`",
            "`<`",
            "`>`",
            "`<=`",
            "`>=`",
            "`<<`",
            "`>>`",
            "`+`",
            "`-`",
            "`*`",
            "`/`",
            "`%`",
            "`!`",
            "`~`",
            "`-e`",
            "`*p`",
            "`&x`",
            "`(type)e`",
            "`.name`",
            "`->name`",
            "`.0`",
            "`[i]`",
        ],
    ),
    (
        "expressions",
        &[
            "integer",
            "boolean",
            "string",
            "duration",
            "tuple",
            "record",
            "block as value",
            "`if` as value",
            "`comptime`",
            "`sizeof`",
            "`offsetof`",
            "`typeof`",
            "`typeinfo`",
            "`$1`",
            "`$#`",
            "`@`",
        ],
    ),
    (
        "types",
        &[
            "`bool`",
            "`int8`",
            "`int16`",
            "`int32`",
            "`int64`",
            "`uint8`",
            "`uint16`",
            "`uint32`",
            "`uint64`",
            "`string[N]`",
            "`T[N]`",
            "`T *`",
            "`struct T`",
            "`union T`",
            "`enum T`",
            "typedef name",
            "tuple type",
            "record type",
        ],
    ),
    (
        "printf",
        &[
            "`%d`", "`%i`", "`%u`", "`%x`", "`%X`", "`%o`", "`%p`", "`%c`", "`%s`", "`%r`", "`%rx`", "`%rh`", "`%gr`",
            "`%%`", "`%ld`", "`%-5d`", "`%05d`", "`%#x`",
        ],
    ),
];

/// Everything that a program uses; nothing if it cannot be parsed.
pub fn used(text: &str) -> BTreeSet<String> {
    let mut sources = source::Sources::new();
    let Ok(program) = syntax::parse(sources.add("stdin", text)) else { return BTreeSet::new() };
    let mut used = Used::default();
    used.program(program);
    used.found
}

#[derive(Default)]
struct Used {
    found: BTreeSet<String>,
}

impl Used {
    fn add(&mut self, name: &str) {
        self.found.insert(name.to_string());
    }

    fn program(&mut self, mut program: Program) {
        for part in &program.c {
            let text = part.text.trim_start_matches(['#', ' ']);
            let words = [
                ("define", "`#define`"),
                ("if", "`#if`"),
                ("include", "`#include`"),
                ("struct", "`struct … { … }`"),
                ("union", "`union … { … }`"),
                ("enum", "`enum … { … }`"),
                ("typedef", "`typedef`"),
            ];
            words.iter().filter(|(word, _)| text.starts_with(word)).for_each(|(_, name)| self.add(name));
        }
        let parts = [
            (program.config.is_empty(), "`config = { … }`"),
            (program.imports.is_empty(), "`import \"…\"`"),
            (program.macros.is_empty(), "`macro`"),
            (program.functions.is_empty(), "`fn`"),
        ];
        parts.iter().filter(|(is_missing, _)| !is_missing).for_each(|(_, name)| self.add(name));
        program.maps.iter().for_each(|map| self.map(map));
        program.macros.iter_mut().for_each(|of| self.expr(&mut of.body));
        for function in &mut program.functions {
            function.params.iter_mut().for_each(|param| self.type_name(&mut param.ty));
            walk_block(self, &mut function.body);
        }
        program.probes.iter_mut().for_each(|probe| self.probe(probe));
    }

    fn map(&mut self, map: &MapDecl) {
        self.add(&format!("`let @m = {}(N)`", map.kind.text));
    }

    fn probe(&mut self, probe: &mut Probe) {
        for point in &probe.attach_points {
            let provider = point.parts.first().map_or("", |part| part.text.as_str());
            if let Some(of) = probes::find(provider) {
                self.add(&format!("probe {}", of.name()));
            }
        }
        let parts = [
            (probe.predicate.is_some(), "predicate"),
            (probe.attach_points.len() > 1, "several attach points"),
            (probe.name.is_some(), "`name=` before a probe"),
        ];
        parts.iter().filter(|(is_there, _)| *is_there).for_each(|(_, name)| self.add(name));
        probe.predicate.iter_mut().for_each(|predicate| self.expr(predicate));
        walk_block(self, &mut probe.body);
    }

    fn named(&mut self, name: &str) {
        if let Some(builtin) = builtins::find(name) {
            self.add(&format!("builtin {}", builtin.name));
        }
    }

    /// The conversions of a format.
    fn format(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text).into_owned();
        for name in CONSTRUCTS.iter().filter(|(group, _)| *group == "printf").flat_map(|(_, names)| *names) {
            if text.contains(name.trim_matches('`')) {
                self.add(name);
            }
        }
    }
}

impl VisitMut for Used {
    fn stmt(&mut self, stmt: &mut Stmt) {
        let name = match &stmt.kind {
            StmtKind::Let { ty: Some(_), .. } => "`let $x: type`",
            StmtKind::Let { ty: None, .. } => "`let $x`",
            StmtKind::Assign { op: Some(_), .. } => "compound assignment",
            StmtKind::Assign { place, op: None, .. } => match &*place.kind {
                ExprKind::Var(_) => "`$x = e`",
                ExprKind::Map { keys: None, .. } => "`@m = e`",
                ExprKind::Map { keys: Some(_), .. } => "`@m[k] = e`",
                _ => "`_ = e`",
            },
            StmtKind::If { otherwise: Some(_), .. } => {
                self.add("`if`");
                "`else`"
            }
            StmtKind::If { otherwise: None, .. } => "`if`",
            StmtKind::Unroll { .. } => "`unroll`",
            StmtKind::While { .. } => "`while`",
            StmtKind::ForRange { .. } => "`for ($i : a..b)`",
            StmtKind::ForMap { .. } => "`for ($kv : @m)`",
            StmtKind::Break => "`break`",
            StmtKind::Continue => "`continue`",
            StmtKind::Return(None) => "`return`",
            StmtKind::Return(Some(_)) => "`return e`",
            StmtKind::Block(_) => "`{ … }`",
            StmtKind::Expr(_) | StmtKind::Import(_) => return walk_stmt(self, stmt),
        };
        self.add(name);
        walk_stmt(self, stmt);
    }

    fn expr(&mut self, expr: &mut Expr) {
        match &*expr.kind {
            ExprKind::Ident(name) => self.named(name),
            ExprKind::Call { name, args } => {
                self.named(&name.text);
                if let Some(ExprKind::Str(text)) = args.first().map(|arg| &*arg.kind) {
                    self.format(text);
                }
            }
            ExprKind::Map { name, .. } if name == "@" => self.add("`@`"),
            kind => {
                let name = name_of(kind);
                if !name.is_empty() {
                    self.add(&name);
                }
            }
        }
        walk_expr(self, expr);
    }

    fn type_name(&mut self, ty: &mut TypeName) {
        match &ty.base {
            TypeBase::Named(name) => {
                let words = CONSTRUCTS.iter().filter(|(group, _)| *group == "types").flat_map(|(_, names)| *names);
                let tags = ["struct", "union", "enum"].into_iter().find(|tag| name.starts_with(tag));
                match tags {
                    Some(tag) => self.add(&format!("`{tag} T`")),
                    None if words.clone().any(|word| word.trim_matches('`') == name) => self.add(&format!("`{name}`")),
                    None if name == "string" => self.add("`string[N]`"),
                    None => self.add("typedef name"),
                }
            }
            TypeBase::Typeof(_) => self.add("`typeof`"),
            TypeBase::Tuple(_) => self.add("tuple type"),
            TypeBase::Record(_) => self.add("record type"),
        }
        for suffix in &ty.suffixes {
            match suffix {
                TypeSuffix::Pointer => self.add("`T *`"),
                TypeSuffix::Array(_) => self.add("`T[N]`"),
            }
        }
        walk_type(self, ty);
    }

    fn count(&mut self, _: &mut Count) {}
}

/// The name of an expression that has one of its own; empty for others.
fn name_of(kind: &ExprKind) -> String {
    let name = match kind {
        ExprKind::Int { suffix, .. } if matches!(suffix.as_str(), "ns" | "us" | "ms" | "s" | "m" | "h" | "d") => {
            "duration"
        }
        ExprKind::Int { .. } => "integer",
        ExprKind::Bool(_) => "boolean",
        ExprKind::Str(_) => "string",
        ExprKind::Positional(_) => "`$1`",
        ExprKind::PositionalCount => "`$#`",
        ExprKind::Unary(op, _) => match op {
            UnaryOp::Negate => "`-e`",
            UnaryOp::Invert => "`~`",
            UnaryOp::Not => "`!`",
            UnaryOp::Deref => "`*p`",
            UnaryOp::Address => "`&x`",
        },
        ExprKind::Binary(op, ..) => return operator(*op),
        ExprKind::Step { when: syntax::ast::StepTime::Pre, .. } => "`++` before",
        ExprKind::Step { when: syntax::ast::StepTime::Post, .. } => "`++` behind",
        ExprKind::Ternary { then: Some(_), .. } => "`? :`",
        ExprKind::Ternary { then: None, .. } => "`?:`",
        ExprKind::Cast { .. } => "`(type)e`",
        ExprKind::Field { arrow: Arrow::Dot, .. } => "`.name`",
        ExprKind::Field { arrow: Arrow::Arrow, .. } => "`->name`",
        ExprKind::TupleIndex { .. } => "`.0`",
        ExprKind::Index { .. } => "`[i]`",
        ExprKind::Tuple(_) => "tuple",
        ExprKind::Record(_) => "record",
        ExprKind::Block(..) => "block as value",
        ExprKind::If { .. } => "`if` as value",
        ExprKind::Comptime(_) => "`comptime`",
        ExprKind::Sizeof(_) => "`sizeof`",
        ExprKind::Offsetof { .. } => "`offsetof`",
        ExprKind::Typeinfo(_) => "`typeinfo`",
        ExprKind::Typeof(_) => "`typeof`",
        ExprKind::Ident(_) | ExprKind::Var(_) | ExprKind::Map { .. } | ExprKind::Call { .. } | ExprKind::Bad => "",
    };
    name.to_string()
}

/// A bar would end the cell of a table.
fn operator(op: BinaryOp) -> String {
    format!("`{}`", op.symbol().replace('|', "\\|"))
}
