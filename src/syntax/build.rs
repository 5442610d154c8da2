//! The grammar's pairs made into an [`ast::Program`], one function a rule. What the grammar lets pass on purpose (bad numbers, bad
//! escapes, what stands in the wrong order) is refused here, all of it at once.

use pest::iterators::Pairs;

use super::ast::{AttachPoint, CText, Import, MapDecl, Name, Probe, Program, Setting, SettingValue};
use super::parse::{Node, Rule};
use super::{attach, literal};
use crate::diag::Diagnostic;
use crate::source::{Source, Span};

/// Builds one program and collects its faults.
pub struct Builder {
    /// Where the text begins in the space of spans.
    base: usize,
    pub faults: Vec<Diagnostic>,
    /// Operators seen so far in the statement being built; they bound the height of its tree.
    pub(super) operators: usize,
    /// Blocks within the expression being built; their operators count as its own.
    pub(super) inner_blocks: usize,
}

impl Builder {
    pub fn new(source: &Source) -> Self {
        Self { base: source.base as usize, faults: Vec::new(), operators: 0, inner_blocks: 0 }
    }

    pub fn program(&mut self, program: Pairs<'_, Rule>) -> Program {
        let mut result = Program::default();
        let mut configured = None;
        for item in program.flat_map(parts) {
            match item.as_rule() {
                Rule::config => self.config(item, &mut result, &mut configured),
                Rule::probe => result.probes.push(self.probe(item)),
                Rule::macro_item => result.macros.push(self.macro_item(item)),
                Rule::function_item => result.functions.push(self.function_item(item)),
                Rule::import => {
                    if !(result.probes.is_empty() && result.functions.is_empty()) {
                        self.misplaced(self.span(&item), "root imports");
                    }
                    result.imports.push(self.import(item));
                }
                Rule::map_declaration => result.maps.push(self.map_declaration(item)),
                Rule::preprocessor | Rule::c_type => result.c.push(self.c_text(&item, &result)),
                _ => {}
            }
        }
        result
    }

    /// C comes before all that may use it.
    fn c_text(&mut self, node: &Node<'_>, before: &Program) -> CText {
        let span = self.span(node);
        if !(before.probes.is_empty() && before.functions.is_empty()) {
            self.misplaced(span, "C definitions");
        }
        CText { text: format!("{}\n", node.as_str()), span }
    }

    /// There is one `config` block and it comes first.
    fn config(&mut self, node: Node<'_>, program: &mut Program, earlier: &mut Option<Span>) {
        let span = self.span(&node);
        let word = Span { end: span.start + "config".len() as u32, ..span };
        match earlier {
            Some(first) => {
                let fault = Diagnostic::error(word, "syntax: duplicate config block").label(*first, "the first one");
                self.faults.push(fault.hint("put all settings into one block"));
            }
            None if !(program.probes.is_empty() && program.functions.is_empty()) => {
                self.misplaced(word, "config");
            }
            None => {}
        }
        earlier.get_or_insert(word);
        program.config.extend(parts(node).map(|setting| self.setting(setting)).collect::<Vec<_>>());
    }

    fn setting(&mut self, node: Node<'_>) -> Setting {
        let mut inner = parts(node);
        let key = self.name(take(&mut inner));
        let value_node = take(&mut parts(take(&mut inner)));
        let value_span = self.span(&value_node);
        let value = match value_node.as_rule() {
            Rule::number => SettingValue::Int(self.integer(&value_node).0),
            Rule::word if value_node.as_str() == "true" => SettingValue::Bool(true),
            Rule::word if value_node.as_str() == "false" => SettingValue::Bool(false),
            Rule::word => SettingValue::Word(value_node.as_str().to_string()),
            _ => SettingValue::Text(String::from_utf8_lossy(&self.string(&value_node)).into_owned()),
        };
        Setting { key, value, value_span }
    }

    pub(super) fn import(&mut self, node: Node<'_>) -> Import {
        let span = self.span(&node);
        let path = take(&mut parts(node));
        let path_span = self.span(&path);
        Import { path: String::from_utf8_lossy(&self.string(&path)).into_owned(), path_span, span }
    }

    fn map_declaration(&mut self, node: Node<'_>) -> MapDecl {
        let span = self.span(&node);
        let mut inner = parts(node);
        let (name, kind) = (self.name(take(&mut inner)), self.name(take(&mut inner)));
        let entries = take(&mut inner);
        let entries_span = self.span(&entries);
        MapDecl { name, kind, entries: self.count(entries), entries_span, span }
    }

    fn probe(&mut self, node: Node<'_>) -> Probe {
        let span = self.span(&node);
        let mut probe = Probe { name: None, attach_points: Vec::new(), predicate: None, body: Vec::new(), span };
        for part in parts(node) {
            match part.as_rule() {
                Rule::probe_name => probe.name = Some(self.name(take(&mut parts(part)))),
                Rule::attach_point => probe.attach_points.push(self.attach_point(&part)),
                Rule::predicate => probe.predicate = Some(self.statement_expression(take(&mut parts(part)))),
                _ => probe.body = self.statements(part),
            }
        }
        probe
    }

    fn attach_point(&self, node: &Node<'_>) -> AttachPoint {
        attach::split(node.as_str(), self.span(node))
    }

    pub(super) fn name(&self, node: Node<'_>) -> Name {
        Name { text: node.as_str().to_string(), span: self.span(&node) }
    }

    /// A number's value and suffix; a bad one counts as 0 once it has been told.
    pub(super) fn integer<'t>(&mut self, node: &Node<'t>) -> literal::Integer<'t> {
        literal::integer(node.as_str()).unwrap_or_else(|fault| {
            self.literal_fault(node, fault);
            (0, "")
        })
    }

    /// A string's bytes.
    pub(super) fn string(&mut self, node: &Node<'_>) -> Vec<u8> {
        if node.as_rule() == Rule::unterminated_string {
            let fault = Diagnostic::error(self.span(node), "syntax: unterminated string");
            self.faults
                .push(fault.hint("a string ends with '\"' on the line where it began; a line break in it is '\\n'"));
        }
        let (bytes, faults) = literal::string(node.as_str());
        for fault in faults {
            self.literal_fault(node, fault);
        }
        bytes
    }

    fn literal_fault(&mut self, node: &Node<'_>, fault: literal::LiteralFault) {
        let start = self.span(node).start as usize;
        let span = Span::new(start + fault.range.start, start + fault.range.end);
        let mut diagnostic = Diagnostic::error(span, format!("syntax: {}", fault.message));
        diagnostic.hints.extend(fault.hint);
        self.faults.push(diagnostic);
    }

    /// What only the beginning of a program may hold.
    fn misplaced(&mut self, span: Span, what: &str) {
        let message = format!("syntax: {what} must appear before probes and functions");
        self.faults.push(Diagnostic::error(span, message).hint("move it to the beginning of the program"));
    }

    pub(super) fn fault(&mut self, span: Span, message: impl Into<String>) {
        self.faults.push(Diagnostic::error(span, message));
    }

    pub(super) fn span(&self, node: &Node<'_>) -> Span {
        Span::new(self.base + node.as_span().start(), self.base + end(node))
    }
}

/// Where a node's last word or mark ends. The node itself may go on: pest takes in the space before a part that then did not come.
fn end(node: &Node<'_>) -> usize {
    let mut last = node.clone();
    while let Some(inner) = last.clone().into_inner().next_back() {
        last = inner;
    }
    last.as_span().start() + last.as_str().trim_end().len()
}

/// The pieces of a node, without the marks and words that only hold it together.
pub fn parts<'t>(node: Node<'t>) -> impl Iterator<Item = Node<'t>> {
    node.into_inner().filter(|part| !is_mark(part.as_rule()))
}

/// The next piece, which the grammar promises.
pub fn take<'t>(parts: &mut impl Iterator<Item = Node<'t>>) -> Node<'t> {
    parts.next().expect("grammar.pest and the builder disagree about the parts of a rule")
}

fn is_mark(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::open_brace
            | Rule::close_brace
            | Rule::open_angle
            | Rule::close_angle
            | Rule::open_paren
            | Rule::close_paren
            | Rule::open_bracket
            | Rule::close_bracket
            | Rule::semicolon
            | Rule::colon
            | Rule::question
            | Rule::slash
            | Rule::predicate_end
            | Rule::assign_mark
            | Rule::range_mark
            | Rule::dot
            | Rule::config_word
            | Rule::if_word
            | Rule::else_word
            | Rule::for_word
            | Rule::while_word
            | Rule::unroll_word
            | Rule::let_word
            | Rule::return_word
            | Rule::break_word
            | Rule::continue_word
            | Rule::import_word
            | Rule::macro_word
            | Rule::fn_word
            | Rule::comptime_word
            | Rule::sizeof_word
            | Rule::offsetof_word
            | Rule::typeof_word
            | Rule::typeinfo_word
            | Rule::EOI
    )
}
