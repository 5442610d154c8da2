//! Aggregations as values: what one of them comes to over all CPUs.

use super::convert::record;
use super::{Cx, Fallible};
use crate::diag::Diagnostic;
use crate::ir::{BinaryOp, CompareOp, Expr, ExprKind, Merge, Stmt, StmtKind};
use crate::kernel::Feature;
use crate::plan::MapId;
use crate::source::Span;
use crate::syntax::ast;
use crate::types::{Aggregate, Int, MapValue, Sign, Type};

impl Cx<'_> {
    /// The aggregation of the map that an expression names, if it does.
    pub(super) fn aggregate_named(&self, value: &ast::Expr) -> Option<Aggregate> {
        let ast::ExprKind::Map { name, .. } = &*value.kind else { return None };
        match self.env.map(name)?.value {
            Some(MapValue::Aggregate(of)) => Some(of),
            Some(MapValue::Plain(_)) | None => None,
        }
    }

    pub(super) fn aggregate_copied(&mut self, target: &str, of: Aggregate, span: Span) -> super::Reported {
        let of = MapValue::Aggregate(of);
        let function = of.to_string().replace("_t", "");
        let message = format!(
            "Map value '{of}' cannot be assigned from one map to another. The function that returns this type must be called directly e.g. `{target} = {function}(...);`."
        );
        let hint = "cast it to an integer if you want the number that it comes to: (int64)@map";
        self.error(Diagnostic::error(span, message).hint(hint))
    }

    /// The value of an aggregation at a key, over all CPUs.
    pub fn merged(&mut self, of: Aggregate, name: &str, key: Option<Expr>, span: Span) -> Fallible<Expr> {
        let Some(map) = self.env.map_id(name) else { return Err(self.undefined(name, span)) };
        if !self.kernel.has(Feature::PerCpuLookup) {
            let message = format!(
                "reading the {} value of {name} needs kernel 5.19 or later (bpf_map_lookup_percpu_elem)",
                MapValue::Aggregate(of)
            );
            let hint = format!("print({name}) works everywhere; to compute with a number, keep one in a plain map");
            return Err(self.error(Diagnostic::error(span, message).hint(hint)));
        }
        let merge =
            |how, sign, key| Expr::new(ExprKind::Merge { map, key, how }, Type::Int(Int { bits: 64, sign }), span);
        Ok(match of {
            Aggregate::Count => merge(Merge::Sum(0), Sign::Signed, key),
            Aggregate::Sum(sign) => merge(Merge::Sum(0), sign, key),
            Aggregate::Min(sign) => merge(Merge::Min(sign), sign, key),
            Aggregate::Max(sign) => merge(Merge::Max(sign), sign, key),
            Aggregate::Avg(sign) => {
                let mut block = Vec::new();
                let [_, average, _] = self.totals(map, key, sign, &mut block, span);
                let ty = average.ty.clone();
                Expr::new(ExprKind::Seq(block, average), ty, span)
            }
            Aggregate::Stats(sign) => {
                let mut block = Vec::new();
                let totals = self.totals(map, key, sign, &mut block, span);
                let record = record(&["count", "average", "total"], totals.to_vec(), span);
                let ty = record.ty.clone();
                Expr::new(ExprKind::Seq(block, record), ty, span)
            }
            Aggregate::Hist { .. }
            | Aggregate::LHist { .. }
            | Aggregate::Series { .. }
            | Aggregate::Heat { .. }
            | Aggregate::Quantiles => {
                let ty = MapValue::Aggregate(of);
                let diagnostic = Diagnostic::error(span, format!("{name} is a '{ty}': it is no single value"));
                let diagnostic = diagnostic.hint(format!("print({name}) shows all of it"));
                return Err(self.error(match of {
                    Aggregate::Quantiles => {
                        diagnostic.hint(format!("p50({name}), p99({name}) and the like are numbers"))
                    }
                    _ => diagnostic,
                }));
            }
        })
    }

    /// Count, average (0 of nothing) and total. The block sets the variables that they are made of.
    fn totals(&mut self, map: MapId, key: Option<Expr>, sign: Sign, block: &mut Vec<Stmt>, span: Span) -> [Expr; 3] {
        let ty = Type::Int(Int { bits: 64, sign });
        // The key is made once for both sums.
        let key = key.map(|key| self.named("key", key, block));
        let sum = |index, ty: &Type| {
            let kind = ExprKind::Merge { map, key: key.clone(), how: Merge::Sum(index) };
            Expr::new(kind, ty.clone(), span)
        };
        let count = self.named("count", sum(0, &Type::I64), block);
        let total = self.named("total", sum(1, &ty), block);
        let (left, right) = (total.clone(), count.clone());
        let quotient = ExprKind::Binary { op: BinaryOp::Div, sign, left, right, zero: None };
        let none = Expr::int(0, ty.clone(), span);
        let (left, right) = (count.clone(), none.clone());
        let test = ExprKind::Compare { op: CompareOp::Ne, sign: Sign::Unsigned, left, right };
        let kind = ExprKind::Cond {
            cond: Expr::new(test, Type::Bool, span),
            then: Expr::new(quotient, ty.clone(), span),
            otherwise: none,
        };
        [count, Expr::new(kind, ty, span), total]
    }

    /// Keeps a value in a variable of the compiler's own; the statement that sets it is appended to the block.
    pub fn named(&mut self, name: &str, value: Expr, block: &mut Vec<Stmt>) -> Expr {
        let (ty, span) = (value.ty.clone(), value.span);
        let var = self.fresh(name, ty.clone());
        block.push(Stmt::new(StmtKind::Set(var, value), span));
        Expr::new(ExprKind::Var(var), ty, span)
    }
}
