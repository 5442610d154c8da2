//! Canonical source: an [`ast::Program`] in, text out that parses to the same program. This is what `-d ast` shows.

use super::ast::{
    AttachPoint, BinaryOp, Expr, ExprKind, Function, FunctionParam, Import, Macro, MapDecl, Probe, Program, Setting,
    SettingValue, Stmt, StmtKind,
};
use super::print_expr::{Strength, expr, operand, quoted};
use super::print_type::{count, type_name};

/// The whole program, one statement a line.
pub fn program(program: &Program) -> String {
    let mut printer = Printer::default();
    for part in &program.c {
        printer.out.push_str(part.text.trim_end());
        printer.out.push('\n');
    }
    if !program.config.is_empty() {
        printer.config(&program.config);
    }
    for import in &program.imports {
        printer.line(&self::import(import));
    }
    for map in &program.maps {
        printer.line(&map_declaration(map));
    }
    for one in &program.macros {
        printer.item(&macro_item(one));
    }
    for one in &program.functions {
        printer.gap();
        printer.block(&function_head(one), &one.body);
        printer.out.push('\n');
    }
    for probe in &program.probes {
        printer.gap();
        printer.probe(probe);
    }
    printer.out
}

/// A statement on one line, as it stands in a block that is a value.
pub fn inline(stmt: &Stmt) -> String {
    let mut printer = Printer::default();
    printer.stmt(stmt);
    printer.out.lines().map(str::trim_start).collect::<Vec<_>>().join(" ")
}

#[derive(Default)]
struct Printer {
    out: String,
    depth: usize,
}

impl Printer {
    /// An item on one line, apart from what stands before it.
    fn item(&mut self, text: &str) {
        self.gap();
        self.line(text);
    }

    fn gap(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn config(&mut self, settings: &[Setting]) {
        self.line("config = {");
        self.depth += 1;
        for setting in settings {
            self.line(&format!("{} = {};", setting.key.text, setting_value(&setting.value)));
        }
        self.depth -= 1;
        self.line("}");
    }

    fn probe(&mut self, probe: &Probe) {
        let points: Vec<_> = probe.attach_points.iter().map(attach_point).collect();
        let predicate = probe.predicate.as_ref().map_or(String::new(), |predicate| format!(" /{}/", expr(predicate)));
        let name = probe.name.as_ref().map_or(String::new(), |name| format!("{}=", name.text));
        self.block(&format!("{name}{}{predicate} ", points.join(",\n")), &probe.body);
        self.out.push('\n');
    }

    /// A head, then statements in braces. The line stays open behind the last brace, for an `else`.
    fn block(&mut self, head: &str, body: &[Stmt]) {
        self.indent();
        self.out.push_str(head);
        self.braces(body);
    }

    fn braces(&mut self, body: &[Stmt]) {
        self.out.push_str("{\n");
        self.depth += 1;
        for stmt in body {
            self.stmt(stmt);
        }
        self.depth -= 1;
        self.indent();
        self.out.push('}');
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Expr(value) => return self.line(&format!("{};", expression_statement(value))),
            StmtKind::Import(import) => return self.line(&self::import(import)),
            StmtKind::Let { name, ty, value } => {
                let ty = ty.as_ref().map_or(String::new(), |ty| format!(": {}", type_name(ty)));
                let value = value.as_ref().map_or(String::new(), |value| format!(" = {}", expr(value)));
                return self.line(&format!("let {}{ty}{value};", name.text));
            }
            StmtKind::Assign { place, op, value } => {
                let symbol = op.map_or("", BinaryOp::symbol);
                return self.line(&format!("{} {symbol}= {};", expr(place), expr(value)));
            }
            StmtKind::Break => return self.line("break;"),
            StmtKind::Continue => return self.line("continue;"),
            StmtKind::Return(None) => return self.line("return;"),
            StmtKind::Return(Some(value)) => return self.line(&format!("return {};", expr(value))),
            StmtKind::If { cond, then, otherwise } => {
                self.indent();
                self.if_chain(cond, then, otherwise.as_deref());
            }
            StmtKind::Unroll { count, body } => self.block(&format!("unroll ({}) ", expr(count)), body),
            StmtKind::While { cond, body } => self.block(&format!("while ({}) ", expr(cond)), body),
            StmtKind::ForRange { var, from, to, body } => {
                let (from, to) = (operand(from, Strength::Postfix), operand(to, Strength::Postfix));
                self.block(&format!("for ({} : {from}..{to}) ", var.text), body);
            }
            StmtKind::ForMap { var, map, body } => self.block(&format!("for ({} : {}) ", var.text, expr(map)), body),
            StmtKind::Block(body) => self.block("", body),
        }
        self.out.push('\n');
    }

    /// An `if` alone in an `else` is written `else if`.
    fn if_chain(&mut self, cond: &Expr, then: &[Stmt], otherwise: Option<&[Stmt]>) {
        self.out.push_str(&format!("if ({}) ", expr(cond)));
        self.braces(then);
        match otherwise {
            None => {}
            Some([Stmt { kind: StmtKind::If { cond, then, otherwise }, .. }]) => {
                self.out.push_str(" else ");
                self.if_chain(cond, then, otherwise.as_deref());
            }
            Some(otherwise) => {
                self.out.push_str(" else ");
                self.braces(otherwise);
            }
        }
    }

    fn line(&mut self, text: &str) {
        self.indent();
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn indent(&mut self) {
        self.out.push_str(&"    ".repeat(self.depth));
    }
}

/// A block or an `if` would be taken for the statement.
fn expression_statement(value: &Expr) -> String {
    match &*value.kind {
        ExprKind::Block(..) | ExprKind::If { .. } => format!("({})", expr(value)),
        _ => expr(value),
    }
}

fn import(import: &Import) -> String {
    format!("import {};", quoted(import.path.as_bytes()))
}

fn map_declaration(map: &MapDecl) -> String {
    format!("let {} = {}({});", map.name.text, map.kind.text, count(&map.entries))
}

fn macro_item(of: &Macro) -> String {
    let params: Vec<&str> = of.params.iter().map(|param| param.name.text.as_str()).collect();
    format!("macro {}({}) {}", of.name.text, params.join(", "), expr(&of.body))
}

fn function_head(of: &Function) -> String {
    let param = |param: &FunctionParam| format!("{}: {}", param.name.text, type_name(&param.ty));
    let params: Vec<String> = of.params.iter().map(param).collect();
    let result = of.result.as_ref().map_or(String::new(), |ty| format!(": {}", type_name(ty)));
    format!("fn {}({}){result} ", of.name.text, params.join(", "))
}

fn setting_value(value: &SettingValue) -> String {
    match value {
        SettingValue::Int(value) => value.to_string(),
        SettingValue::Bool(value) => value.to_string(),
        SettingValue::Text(text) => quoted(text.as_bytes()),
        SettingValue::Word(word) => word.clone(),
    }
}

fn attach_point(point: &AttachPoint) -> String {
    let parts: Vec<_> =
        point.parts.iter().enumerate().map(|(index, part)| attach_part(&part.text, index == 0)).collect();
    parts.join(":")
}

/// One part, in quotes when it would otherwise end early.
fn attach_part(text: &str, first: bool) -> String {
    let ends = |c: char| c.is_whitespace() || matches!(c, ':' | ',' | '{' | '"');
    let ends_first = |c: char| first && !(c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '#' | '*' | '-' | '.'));
    if text.contains(ends) || text.contains(ends_first) || first && text.is_empty() {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::source::Sources;

    fn tree(text: &str) -> Program {
        let mut sources = Sources::new();
        parse(sources.add("stdin", text)).unwrap_or_else(|faults| panic!("{text}\n{faults:?}"))
    }

    /// A tree without its places.
    fn shape(program: &Program) -> String {
        let spans = regex::Regex::new(r"span: Span \{ start: \d+, end: \d+ \}").expect("valid pattern");
        spans.replace_all(&format!("{program:?}"), "").into_owned()
    }

    #[test]
    fn printing_keeps_the_program() {
        for text in [
            r#"config = { a = 1; b = yes; c = "x:\n"; d = true } BEGIN, uprobe:"/bin/a:b":"f\"(" /pid / 2 < 3/ { }"#,
            "begin { print(- -1, -(-(2)), !~-pid, 1 - -1, *$p, &$x, - --@x, (1 + 2) * 3, 1 + 2 * 3, 1 - (2 - 3)); }",
            "begin { print(1 ? 2 : 3 ? 4 : 5, (1 ? 2 : 3) ? 4 : 5, 1 ?: 2, 1 ? 2 ?: 3 : 4, (1 || 2) && 3); }",
            "begin { $x.0.1++; }".replace("$x.0.1++", "$x++").as_str(),
            "begin { print((1).0, $x.0.1, (@x)[1], @x[1][2], @x[(1, 2)], @x[1, 2], (), (1,), ((1, 2), 3), a.b->c[0].d); }",
            "begin { print(5s, 1e6, 7ul, 1500us, 0x10, \"\\x00a\\377é\\n\\\\\\\"\", sizeof(struct a *), sizeof(5), (uint8)-1); }",
            "begin { if a { } else if (b == 1) { b; } else { c } if (1) { } else { if (2) { } else { } 3 } }",
            "begin { for ($i : 0..(1 + 2)) { break } for $kv : @m { continue } unroll 3 { } while (1) { return } return 5 }",
            "begin { let $x; let $y: uint8[4] *= 5; @ += 1; @[1] <<= 2; _ = 3; { { } } }"
                .replace(" *= ", " = ")
                .as_str(),
            "begin < $x = 1 > 2 > kprobe:f < if ($x > 3) { @ = $x > 1 } > end { }",
        ] {
            let first = tree(text);
            let printed = program(&first);
            assert_eq!(shape(&tree(&printed)), shape(&first), "{printed}");
        }
    }
}
