//! Kernel types, read in place: nothing is parsed that nobody asks for.

/// The kernel's (or a module's) BTF.
pub struct Btf {}
