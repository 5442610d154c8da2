//! A script in, the same script formatted out: to standard output, or into a file as a whole.

use std::fs;
use std::path::Path;

use rtrace::cli::{Invocation, Program};
use rtrace::error::{Error, Result};
use rtrace::source::Sources;
use rtrace::syntax;

use crate::{output, reason, source};

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

/// Whoever reads the file meanwhile finds the old text or the new one. Its permissions stay.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // A link is followed, so that what it names is replaced and not the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = fs::write(&beside, text)
        .and_then(|()| match fs::metadata(&path) {
            Ok(metadata) => fs::set_permissions(&beside, metadata.permissions()),
            Err(_) => Ok(()),
        })
        .and_then(|()| fs::rename(&beside, &path));
    written.inspect_err(|_| drop(fs::remove_file(&beside)))
}
