//! Names of C in a program: where a constant or a type stands behind one, it takes the name's place.

use super::constant::Answers;
use super::lex::Token;
use super::preprocess::{Constant, Preprocessor};
use crate::btf::Btf;
use crate::diag::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{Count, Expr, ExprKind, Program, Queried, TypeBase, TypeName, TypeSuffix, UnaryOp};
use crate::syntax::string_literal;
use crate::syntax::visit::{VisitMut, walk_block, walk_expr, walk_type};

pub struct Resolver<'a> {
    pub definitions: Preprocessor<'a>,
    /// What can be known of types.
    pub types: Option<&'a Btf>,
    pub faults: Vec<Diagnostic>,
}

impl Resolver<'_> {
    pub fn program(&mut self, program: &mut Program) {
        for map in &mut program.maps {
            self.count(&mut map.entries);
        }
        for one in &mut program.macros {
            self.expr(&mut one.body);
        }
        for one in &mut program.functions {
            walk_block(self, &mut one.body);
        }
        for probe in &mut program.probes {
            probe.predicate.iter_mut().for_each(|predicate| self.expr(predicate));
            walk_block(self, &mut probe.body);
        }
    }

    /// A name alone may stand for a type.
    fn queried(&self, of: &mut Queried) {
        let Queried::Expr(Expr { kind, span }) = of else { return };
        if let ExprKind::Ident(name) = &**kind
            && let Some(Err(())) = self.definitions.constant(name, &Types(self.types))
        {
            let base = TypeBase::Named(name.clone());
            *of = Queried::Type(TypeName { base, suffixes: Vec::new(), span: *span });
        }
    }

    /// What a defined name stands for; a fault if that is no constant.
    fn constant(&mut self, name: &str, span: Span) -> Option<Constant> {
        let constant = self.definitions.constant(name, &Types(self.types))?;
        if constant.is_err() {
            self.faults.push(
                Diagnostic::error(span, format!("'{name}' is defined, but not as a constant"))
                    .hint("only numbers, strings and what can be computed from numbers can be used by name"),
            );
        }
        constant.ok()
    }
}

impl VisitMut for Resolver<'_> {
    fn expr(&mut self, expr: &mut Expr) {
        if let ExprKind::Ident(name) = &*expr.kind
            && self.definitions.meaning(name).is_some()
        {
            if let Some(constant) = self.constant(&name.clone(), expr.span) {
                *expr = literal(constant, expr.span);
            }
            return;
        }
        if let ExprKind::Sizeof(of) | ExprKind::Typeinfo(of) | ExprKind::Typeof(of) | ExprKind::Offsetof { of, .. } =
            &mut *expr.kind
        {
            self.queried(of);
        }
        walk_expr(self, expr);
    }

    fn count(&mut self, count: &mut Count) {
        let Count::Named(name) = count else { return };
        match self.constant(&name.text, name.span) {
            Some(Constant::Int(value)) => match u64::try_from(value) {
                Ok(value) => *count = Count::Number(value),
                Err(_) => self.faults.push(Diagnostic::error(name.span, format!("'{}' is less than 0", name.text))),
            },
            Some(_) => self.faults.push(Diagnostic::error(name.span, format!("'{}' is not a number", name.text))),
            None => {}
        }
    }

    fn type_name(&mut self, ty: &mut TypeName) {
        if let TypeBase::Named(name) = &ty.base
            && let Some(meaning) = self.definitions.meaning(name)
        {
            match type_of(&meaning) {
                Some((base, pointers)) => {
                    ty.base = TypeBase::Named(base);
                    ty.suffixes.splice(0..0, vec![TypeSuffix::Pointer; pointers]);
                }
                None => {
                    self.faults.push(Diagnostic::error(ty.span, format!("'{name}' is defined, but not as a type")));
                }
            }
        }
        walk_type(self, ty);
    }
}

/// The words of a type, and how many stars follow them.
fn type_of(meaning: &[Token]) -> Option<(String, usize)> {
    let stars = meaning.iter().rev().take_while(|token| token.text == "*").count();
    let words = &meaning[..meaning.len() - stars];
    let base = words.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ");
    (!words.is_empty() && words.iter().all(Token::is_name)).then_some((base, stars))
}

/// What is known of types, for constants.
struct Types<'a>(Option<&'a Btf>);

impl Answers for Types<'_> {
    fn value(&self, name: &str) -> Option<i128> {
        self.0?.enum_value(name).map(|(_, value)| i128::from(value))
    }

    fn size(&self, ty: &[Token]) -> Option<u32> {
        let words: Vec<&str> = ty.iter().map(|token| token.text.as_str()).collect();
        let types = self.0?;
        types.size_of(types.named(&words.join(" "))?)
    }
}

fn literal(constant: Constant, span: Span) -> Expr {
    let int = |value: u128| ExprKind::Int { value: value as u64, suffix: String::new() };
    let kind = match constant {
        Constant::Enumerator(name) => ExprKind::Ident(name),
        Constant::Text(quoted) => ExprKind::Str(string_literal(&quoted)),
        Constant::Int(value) if value < 0 => {
            let magnitude = Expr { kind: Box::new(int(value.unsigned_abs())), span };
            ExprKind::Unary(UnaryOp::Negate, magnitude)
        }
        Constant::Int(value) => int(value.unsigned_abs()),
    };
    Expr { kind: Box::new(kind), span }
}
