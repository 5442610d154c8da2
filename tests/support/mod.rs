//! What several test programs share.

pub mod machine;
pub mod random;
pub mod verifier;
