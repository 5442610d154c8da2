//! Text in, [`ast::Program`] out.

pub mod ast;
mod attach;
mod build;
mod build_expr;
mod build_stmt;
mod fault;
mod hint;
mod literal;
mod parse;
mod precedence;
pub mod print;
mod print_expr;
mod scan;

pub use parse::parse;
