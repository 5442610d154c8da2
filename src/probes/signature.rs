//! Parameters of kernel functions, as the kernel's types have them, become `args.NAME`.

use super::ContextField;
use crate::btf::{Btf, Kind, Param, Signature, TypeId};
use crate::diag::Diagnostic;
use crate::ir::{Expr, ExprKind};
use crate::kernel::{Home, Kernel};
use crate::plan::Target;
use crate::types::{Space, Type};

/// The kernel's types, and the signature of a function of its own or of a module; the fault names the target that has none.
pub fn of_function<'k>(
    kernel: &'k dyn Kernel,
    module: Option<&str>,
    function: &str,
    target: &Target,
) -> Result<(&'k Btf, Signature<'k>), Diagnostic> {
    let found = kernel.btf().and_then(|btf| Some((btf, btf.signature(type_of(kernel, btf, module, function)?)?)));
    found.ok_or_else(|| without_types(target))
}

fn type_of(kernel: &dyn Kernel, btf: &Btf, module: Option<&str>, function: &str) -> Option<TypeId> {
    let Some(module) = module else { return btf.find(function, Kind::Func) };
    let home = Home::Module(module.to_string());
    let (_, grafted) = kernel.grafts().iter().find(|(other, _)| *other == home)?;
    let mut functions = btf.all_in(grafted.ids.clone(), Kind::Func);
    functions.find(|(name, _)| *name == function).map(|(_, id)| id)
}

pub fn without_types(target: &Target) -> Diagnostic {
    let message = format!("the arguments of {} have no types here", target.name);
    Diagnostic::error(target.span, message)
        .hint("the kernel tells types if built with CONFIG_DEBUG_INFO_BTF=y; arg0, arg1, … work without")
}

/// One field for each parameter, its value made by `value` from its place among those of eight bytes and its type. Parameters
/// after the first that `value` cannot give are left out: where they are is not known.
pub fn fields(btf: &Btf, params: &[Param<'_>], mut value: impl FnMut(u32, Type) -> Option<Expr>) -> Vec<ContextField> {
    let mut slot = 0;
    let field = |param: &Param<'_>| {
        let ty = btf.to_type(param.ty, Space::Kernel);
        let at = slot;
        slot += ty.size().div_ceil(8).max(1);
        let name = if param.name.is_empty() { format!("arg{at}") } else { param.name.to_string() };
        Some(ContextField { name, c_type: btf.type_name(param.ty), value: value(at, ty)? })
    };
    params.iter().map_while(field).collect()
}

/// A word as a scalar of this type; `None` if the type is none.
pub fn typed(word: Expr, ty: Type) -> Option<Expr> {
    match ty {
        Type::U64 | Type::Ptr(..) => Some(Expr { ty, ..word }),
        scalar if scalar.is_scalar() => {
            let span = word.span;
            Some(Expr::new(ExprKind::Convert(word), scalar, span))
        }
        _ => None,
    }
}
