//! The address of a variable or of a map's value.

use super::{Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::source::Span;
use crate::syntax::ast;
use crate::types::{Space, Type};

impl Cx<'_> {
    /// `&$x`, `&@m` and `&@m[key]`: a pointer into the kernel's memory.
    pub(super) fn address(&mut self, operand: &ast::Expr, span: Span) -> Fallible<Expr> {
        let is_place = matches!(&*operand.kind, ast::ExprKind::Var(_) | ast::ExprKind::Map { .. });
        if !is_place {
            let message = "address-of operator (&) can only be used on a map or variable";
            return Err(self.error(Diagnostic::error(span, message)));
        }
        let value = self.value(operand)?;
        let kind = match *value.kind {
            ExprKind::Var(var) => ExprKind::Address(var),
            ExprKind::MapGet { map, key } => ExprKind::MapAddress { map, key },
            _ => {
                let message = format!("a value of type '{}' that is made as it is read has no address", value.ty);
                let hint = "assign it to a variable, and take the address of that";
                return Err(self.error(Diagnostic::error(span, message).hint(hint)));
            }
        };
        Ok(Expr::new(kind, Type::pointer(value.ty, Space::Kernel), span))
    }
}
