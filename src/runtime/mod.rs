//! [`Compiled`](crate::codegen::Compiled) in, a running session out, which hands values to a sink.
