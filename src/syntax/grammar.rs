//! The parser that pest makes of `grammar.pest`.

use pest::iterators::Pair;

#[derive(pest_derive::Parser)]
#[grammar = "../grammar.pest"]
pub struct Grammar;

/// A piece of text that matched a rule.
pub type Node<'a> = Pair<'a, Rule>;
