//! Names of C++ and Rust functions as they are written in the source.

/// The name with its parameters, and without them; `None` if it is not mangled.
pub fn demangle(symbol: &str) -> Option<Demangled> {
    if let Ok(rust) = rustc_demangle::try_demangle(symbol) {
        // The alternate form leaves the hash out.
        let name = format!("{rust:#}");
        return Some(Demangled { full: name.clone(), base: name });
    }
    // Most symbols are plain C, which need not be tried.
    if !symbol.starts_with("_Z") && !symbol.starts_with("__Z") {
        return None;
    }
    let parsed = cpp_demangle::Symbol::new(symbol).ok()?;
    let bare = cpp_demangle::DemangleOptions::new().no_params().no_return_type();
    Some(Demangled { full: parsed.demangle().ok()?, base: parsed.demangle_with_options(&bare).ok()? })
}

pub struct Demangled {
    /// `ns::add(int, long)`.
    pub full: String,
    /// `ns::add`.
    pub base: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_languages() {
        let name = demangle("_ZN2ns3addEil").unwrap();
        assert_eq!((&*name.full, &*name.base), ("ns::add(int, long)", "ns::add"));
        let name = demangle("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE").unwrap();
        assert_eq!(&*name.full, "core::fmt::Write::write_fmt");
        assert!(demangle("readline").is_none() && demangle("_Z").is_none());
    }
}
