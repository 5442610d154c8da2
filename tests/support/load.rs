//! A process that makes a known number of system calls, counted by one program of the shell while others are added, replaced, paused
//! and removed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Writes that it makes at first; if it ends before all is done, it is to make more.
const WRITES: u64 = 1_000_000;

/// A shell that is talked to line by line.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    fn start() -> std::io::Result<Shell> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rtrace"))
            .arg("--repl")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = child.stdin.take().zip(child.stdout.take()).expect("pipes");
        Ok(Shell { child, input, output: BufReader::new(output) })
    }

    /// Enters a text and waits for a line that begins so; gives what follows.
    fn ask(&mut self, text: &str, beginning: &str) -> Result<String, String> {
        writeln!(self.input, "{text}").and_then(|()| self.input.flush()).map_err(|error| error.to_string())?;
        let mut line = String::new();
        loop {
            line.clear();
            if self.output.read_line(&mut line).map_err(|error| error.to_string())? == 0 {
                return Err(format!("the shell ended before it said '{beginning}'"));
            }
            if let Some(rest) = line.strip_prefix(beginning) {
                return Ok(rest.trim().to_string());
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub fn nothing_is_lost() -> Result<(), String> {
    let mut writes = WRITES;
    while !attempt(writes)? {
        writes *= 4;
    }
    Ok(())
}

/// Whether the process was still busy when everything was done; fails if not all of it was counted.
fn attempt(writes: u64) -> Result<bool, String> {
    // Nobody else's process is called so.
    let name = format!("load{}", std::process::id());
    let program = std::env::temp_dir().join(&name);
    std::fs::copy("/bin/dd", &program).map_err(|error| format!("dd: {error}"))?;
    let mut shell = Shell::start().map_err(|error| error.to_string())?;
    let counter = format!("tracepoint:syscalls:sys_enter_write /comm == \"{name}\"/ {{ @writes = count(); }}");
    shell.ask(&counter, "[1]")?;
    let arguments = ["if=/dev/zero", "of=/dev/null", "bs=1", "status=none"];
    let mut load = Command::new(&program)
        .args(arguments)
        .arg(format!("count={writes}"))
        .spawn()
        .map_err(|error| error.to_string())?;
    shell.ask("tracepoint:syscalls:sys_exit_write { @results[args.ret > 0] = count(); }", "[2]")?;
    shell.ask("tracepoint:sched:sched_switch { @switches = count(); }", "[3]")?;
    shell.ask(":edit 2 tracepoint:syscalls:sys_enter_read { @reads = count(); }", "[2]")?;
    shell.ask(":pause 3", "[3] paused")?;
    shell.ask(":resume 3", "[3] tracepoint")?;
    shell.ask(":stop 3", "[3] ended")?;
    let was_busy = load.try_wait().map_err(|error| error.to_string())?.is_none();
    load.wait().and_then(|_| std::fs::remove_file(&program)).map_err(|error| error.to_string())?;
    let counted = shell.ask("@writes", "@writes: ")?;
    match counted == writes.to_string() {
        true => Ok(was_busy),
        false => Err(format!("{counted} of {writes} writes were counted")),
    }
}
