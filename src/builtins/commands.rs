//! Files and commands, as the machine has them when an event is handled.

use std::fs::File;
use std::io::Read;
use std::process::Command;

use super::Builtin;
use super::output::{formatted, text_of};
use crate::check::Safety;
use crate::diag::Severity;
use crate::errno;
use crate::error::Result;
use crate::plan::{Action, Host};
use crate::report::Message;
use crate::report::text::harmless;
use crate::value::Value;

pub const ROWS: &[Builtin] = &[
    Builtin::function(
        "cat",
        "\"format\"[, value...]",
        (1, 129),
        "Prints the contents of a file, at most max_cat_bytes.",
        "begin { cat(\"/proc/%d/comm\", pid); }",
        |cx, call| formatted(cx, call, print_file),
    ),
    Builtin {
        safety: Safety::Unsafe,
        ..Builtin::function(
            "system",
            "\"format\"[, value...]",
            (1, 129),
            "Runs a shell command and prints what it says, with a line's end more; nothing if it fails.",
            "begin { system(\"ps -p %d\", pid); }",
            |cx, call| formatted(cx, call, run_command),
        )
    },
];

fn print_file(action: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    let path = String::from_utf8_lossy(&text_of(action, values, host)).into_owned();
    let mut contents = Vec::new();
    let limit = host.config().max_cat_bytes;
    match File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut contents)) {
        Ok(_) => {
            let contents = harmless(&contents, host.config()).into_owned();
            host.sink().text(action.name, &contents)
        }
        Err(error) => {
            let reason = errno::describe(error.raw_os_error().unwrap_or_default().into());
            complain(host, &format!("failed to open file '{path}' ({reason})"))
        }
    }
}

/// What the command says to either of its outputs goes through one pipe, so that it stays in order. It may be empty,
/// which braces alone would not be.
fn run_command(action: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    let command = String::from_utf8_lossy(&text_of(action, values, host)).into_owned();
    // What was printed before must stand before what the command prints.
    host.sink().flush()?;
    match Command::new("sh").args(["-c", &format!("{{ :; {command}\n}} 2>&1")]).output() {
        Ok(output) if output.status.success() => host.sink().text(action.name, &output.stdout),
        Ok(output) => {
            let how = output.status.code().map_or("by a signal".to_string(), |code| format!("with code {code}"));
            complain(host, &format!("command exited {how}: {command}"))
        }
        Err(error) => complain(host, &format!("cannot run a shell: {error}")),
    }
}

fn complain(host: &mut dyn Host, text: &str) -> Result<()> {
    host.sink().message(&Message::new(Severity::Error, text))
}
