//! Records, and what can be asked of a type: where its fields lie and what it is called.

use super::convert::record;
use super::{Cx, Fallible};
use crate::btf::TypeId;
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::source::Span;
use crate::syntax::ast::{self, Queried};
use crate::types::{MapValue, Space, Type};

impl Cx<'_> {
    /// `(a = 1, b = "x")`.
    pub(super) fn record(&mut self, fields: &[(ast::Name, ast::Expr)], span: Span) -> Fallible<Expr> {
        let values: Vec<Fallible<Expr>> = fields.iter().map(|(_, value)| self.value(value)).collect();
        self.no_duplicates(fields.iter().map(|(name, _)| name))?;
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.text.as_str()).collect();
        Ok(record(&names, values.into_iter().collect::<Fallible<_>>()?, span))
    }

    /// `{ .a: int8, .b: string[4] }`.
    pub(super) fn record_type(&mut self, fields: &[(ast::Name, ast::TypeName)]) -> Fallible<Type> {
        let types: Fallible<Vec<Type>> = fields.iter().map(|(_, ty)| self.type_named(ty)).collect();
        self.no_duplicates(fields.iter().map(|(name, _)| name))?;
        let names = fields.iter().map(|(name, _)| name.text.as_str().into()).collect();
        Ok(Type::Record(names, types?.into()))
    }

    fn no_duplicates<'n>(&mut self, names: impl Iterator<Item = &'n ast::Name>) -> Fallible<()> {
        let mut seen: Vec<&ast::Name> = Vec::new();
        for name in names {
            if let Some(first) = seen.iter().find(|other| other.text == name.text) {
                let message = format!("Named argument list already contains name: {}", name.text);
                return Err(self.error(Diagnostic::error(name.span, message).label(first.span, "first given here")));
            }
            seen.push(name);
        }
        Ok(())
    }

    /// `offsetof(struct x, a.b)`: bytes from the start.
    pub(super) fn offsetof(&mut self, of: &Queried, path: &[ast::Name], span: Span) -> Fallible<Expr> {
        let mut ty = self.type_of(of)?;
        let mut offset = 0;
        for name in path {
            let Type::Struct(of) = &ty else {
                let diagnostic = Diagnostic::error(span, format!("'{ty}' is not a C type."));
                return Err(self.error(
                    diagnostic.hint("only structures and unions have offsets: offsetof(struct task_struct, comm)"),
                ));
            };
            let found = self.kernel.btf().and_then(|btf| {
                let field = btf.field(TypeId(of.btf), &name.text)?;
                Some((field.bit_offset / 8, btf.to_type(field.ty, Space::Unknown)))
            });
            let Some((start, field)) = found else {
                let message = format!("'{}' has no field named '{}'", of.name, name.text);
                let known = self.kernel.btf().map(|btf| btf.field_names(TypeId(of.btf))).unwrap_or_default();
                let hint = super::fields::suggestion(&name.text, &known);
                return Err(self.error(Diagnostic::error(name.span, message).hint(hint)));
            };
            offset += start;
            ty = field;
        }
        Ok(Expr::int(i64::from(offset), Type::U64, span))
    }

    /// `typeinfo(x)`: a record that names a type.
    pub(super) fn typeinfo(&mut self, of: &Queried, span: Span) -> Fallible<Expr> {
        self.unstable(self.config.unstable_typeinfo, "typeinfo", span)?;
        let aggregate = match of {
            Queried::Expr(value) => self.aggregate_named(value).map(|of| MapValue::Aggregate(of).to_string()),
            Queried::Type(_) => None,
        };
        let (id, base, full) = match aggregate {
            Some(name) => (0, name.clone(), name),
            None => {
                let ty = self.type_of(of)?;
                let id = if let Type::Struct(of) = &ty { of.btf } else { 0 };
                (id, class(&ty), ty.to_string())
            }
        };
        let text = |text: String| {
            let ty = Type::Str(text.len() as u32 + 1);
            Expr::new(ExprKind::Str(text.into_bytes()), ty, span)
        };
        let values = vec![Expr::int(i64::from(id), Type::U64, span), text(base), text(full)];
        Ok(record(&["btf_id", "base_type", "full_type"], values, span))
    }
}

/// What kind of type it is.
fn class(ty: &Type) -> String {
    let word = match ty {
        Type::Void => "none",
        Type::Int(_) | Type::Enum(_) => "int",
        Type::Str(_) => "string",
        Type::Buf(_) => "buffer",
        Type::Ptr(..) => "pointer",
        Type::Struct(_) => "c_type",
        Type::Array(..) => "array",
        Type::Tuple(_) => "tuple",
        Type::Record(..) => "record",
        // A kind of their own.
        Type::Bool | Type::Mac | Type::Inet | Type::Timestamp(_) | Type::KSym | Type::USym => return ty.to_string(),
        Type::Named(_) | Type::Stack(_) => return ty.to_string(),
    };
    word.to_string()
}
