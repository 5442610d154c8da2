//! A script in, the same script formatted out: to standard output, or into a file as a whole.

use std::io::Write;
use std::path::Path;

use rtrace::cli::{Invocation, Program};
use rtrace::errno::reason;
use rtrace::error::{Error, Result};
use rtrace::source::Sources;
use rtrace::syntax;

use crate::replacement::{Replacement, is_replaceable};
use crate::{output, source};

pub fn program(invocation: &Invocation, program: &Program) -> Result<u8> {
    let (name, text) = source(program)?;
    let mut sources = Sources::new();
    let tidied = match syntax::tidied(sources.add(name, text)) {
        Ok(tidied) => tidied,
        Err(faults) => {
            output::show_diagnostics(&faults, &sources, invocation);
            return Ok(1);
        }
    };
    match &invocation.output {
        None => output::line(&tidied)?,
        Some(path) => replace(Path::new(path), &tidied)
            .map_err(|error| Error::usage(format!("Failed to write output file: \"{path}\": {}", reason(&error))))?,
    }
    Ok(0)
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    if !is_replaceable(path) {
        return std::fs::write(path, text);
    }
    let mut replacement = Replacement::new(path)?;
    replacement.write_all(text.as_bytes())?;
    replacement.commit()
}
