//! C types as text, as `format` files declare them, become the language's types. The kernel's BTF is opened only for names
//! that C itself does not know.

use crate::kernel::Kernel;
use crate::types::{Int, Space, Type};

/// The type of a declaration such as `const struct iovec *`, its pointers leading into `space`. What is not known is `Void`.
pub fn parse(kernel: &dyn Kernel, text: &str, space: Space) -> Type {
    let stars = text.matches('*').count();
    let words = text.split(|c: char| c == '*' || c.is_whitespace());
    let base: Vec<&str> = words.filter(|word| !word.is_empty() && !is_qualifier(word)).collect();
    let base = base.join(" ");
    let base = if text.contains("(*") { Type::Void } else { named(kernel, &base, space) };
    (0..stars).fold(base, |ty, _| Type::pointer(ty, space))
}

/// Words that say nothing about how a value is read.
fn is_qualifier(word: &str) -> bool {
    matches!(word, "const" | "volatile" | "restrict") || word.starts_with("__user") || word.starts_with("__seg_")
}

/// A type without stars.
fn named(kernel: &dyn Kernel, name: &str, space: Space) -> Type {
    if let Some(known) = arithmetic(name) {
        return known;
    }
    let from_btf = || kernel.btf().and_then(|btf| Some(btf.to_type(btf.named(name)?, space)));
    if name == "void" { Type::Void } else { from_btf().unwrap_or(Type::Void) }
}

/// Types that are the same on every kernel.
fn arithmetic(name: &str) -> Option<Type> {
    let int = match name {
        "bool" | "_Bool" => return Some(Type::Bool),
        "char" | "signed char" | "s8" | "__s8" | "int8_t" => Int::I8,
        "unsigned char" | "u8" | "__u8" | "uint8_t" => Int::U8,
        "short" | "s16" | "__s16" | "int16_t" => Int::I16,
        "unsigned short" | "u16" | "__u16" | "uint16_t" | "umode_t" => Int::U16,
        "int" | "s32" | "__s32" | "int32_t" | "pid_t" | "key_t" | "clockid_t" => Int::I32,
        "unsigned int" | "unsigned" | "uint" | "u32" | "__u32" | "uint32_t" | "uid_t" | "gid_t" | "dev_t" => Int::U32,
        "long" | "long long" | "s64" | "__s64" | "int64_t" | "ssize_t" | "loff_t" | "off_t" => Int::I64,
        "unsigned long" | "unsigned long long" | "u64" | "__u64" | "uint64_t" | "size_t" => Int::U64,
        _ => return None,
    };
    Some(Type::Int(int))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::fixture;

    #[test]
    fn c_types() {
        let kernel = fixture();
        for (text, expected) in [
            ("int", "int32"),
            ("const char *", "int8 *"),
            ("const char *const *", "int8 * *"),
            ("unsigned long", "uint64"),
            ("void *", "void *"),
            ("void (*)(void *)", "void * *"),
            ("struct task_struct *", "struct task_struct *"),
            ("struct no_such_thing *", "void *"),
            ("bool", "bool"),
        ] {
            assert_eq!(parse(&kernel, text, Space::User).to_string(), expected, "{text}");
        }
    }
}
