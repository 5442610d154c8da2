//! Types as canonical source.

use super::ast::{Count, Name, TypeBase, TypeName, TypeSuffix};
use super::print_expr::queried;

pub fn type_name(ty: &TypeName) -> String {
    let suffixes: String = ty.suffixes.iter().map(suffix).collect();
    format!("{}{}", base(&ty.base), suffixes.replace("* *", "**"))
}

fn base(base: &TypeBase) -> String {
    match base {
        TypeBase::Named(name) => name.clone(),
        TypeBase::Typeof(of) => format!("typeof({})", queried(of)),
        TypeBase::Tuple(elements) => match elements.as_slice() {
            [only] => format!("({},)", type_name(only)),
            elements => format!("({})", elements.iter().map(type_name).collect::<Vec<_>>().join(", ")),
        },
        TypeBase::Record(fields) => format!("{{ {} }}", fields.iter().map(field).collect::<Vec<_>>().join(", ")),
    }
}

fn field((name, ty): &(Name, TypeName)) -> String {
    format!(".{}: {}", name.text, type_name(ty))
}

pub fn count(count: &Count) -> String {
    match count {
        Count::Number(number) => number.to_string(),
        Count::Named(name) => name.text.clone(),
    }
}

fn suffix(suffix: &TypeSuffix) -> String {
    match suffix {
        TypeSuffix::Pointer => " *".to_string(),
        TypeSuffix::Array(Some(length)) => format!("[{}]", count(length)),
        TypeSuffix::Array(None) => "[]".to_string(),
    }
}
