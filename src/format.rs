//! Format strings of `printf` and its kin: parsed once by the compiler, filled by the runtime.

/// A parsed format string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Format {
    pub pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(Vec<u8>),
    Spec(Spec),
}

/// One conversion, `%[flags][width][.precision][length]conversion`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    pub text: String,
}
