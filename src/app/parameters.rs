//! The named parameters given to a script, held against those it takes.

use rtrace::check::Named;
use rtrace::error::{Error, Result};
use rtrace::plan::Parameter;

use crate::output;

/// Whether all that is wanted is the list of them.
pub fn asks_for_help(given: &[Named]) -> bool {
    given.iter().any(|named| named.name == "help")
}

/// What has come of the parameters given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Fine,
    /// `-- --help`: they have been listed, and that is all.
    Shown,
}

/// `about` is what there is to say of the script before its parameters.
pub fn settle(known: &[Parameter], given: &[Named], about: &str) -> Result<Settled> {
    let is_known = |named: &&Named| known.iter().any(|parameter| parameter.name == named.name);
    let unknown: Vec<String> =
        given.iter().filter(|named| !is_known(named)).map(|named| format!("--{}", named.name)).collect();
    if unknown.iter().any(|name| name == "--help") {
        output::line(&format!("{about}{}", list(known)))?;
        return Ok(Settled::Shown);
    }
    if unknown.is_empty() {
        return Ok(Settled::Fine);
    }
    let message = format!("unexpected program command line options: {}", unknown.join(", "));
    Err(Error::usage(message).hint(list(known).trim_end().to_string()))
}

fn list(known: &[Parameter]) -> String {
    if known.is_empty() {
        return "no custom program options defined.\n".to_string();
    }
    let line = |of: &Parameter| {
        let description = if of.description.is_empty() { String::new() } else { format!(": {}", of.description) };
        format!("--{}{description} (default: {})\n", of.name, of.default)
    };
    let lines: String = known.iter().map(line).collect();
    format!("expected program options:\n{lines}")
}
