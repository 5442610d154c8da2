//! Plays a session on a pseudo-terminal: types, watches the screen, and waits for the end.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use regex::Regex;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// A regular expression that the screen shows sooner or later, after what was seen before.
    See(String),
    /// Keys, Enter being `\r` and Ctrl-C `\u0003`.
    Type(String),
    /// A signal for the shell, such as `TERM`.
    Signal(String),
    /// The shell ends with this code; a signal's is 128 and its number.
    End(i32),
    /// The shell is started again by the same person.
    Again,
}

/// How long to wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Plays the steps, and fails at the first that does not come true.
pub fn play(args: &[String], steps: &[Step]) -> Result<(), String> {
    let home =
        std::env::temp_dir().join(format!("rtrace-repl-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    let result = attempt(&home.to_string_lossy(), args, steps);
    std::fs::remove_dir_all(&home).map_err(|error| error.to_string())?;
    result
}

fn attempt(home: &str, args: &[String], steps: &[Step]) -> Result<(), String> {
    let mut screen = Screen::open(home, args)?;
    for (number, step) in steps.iter().enumerate() {
        let result = match step {
            Step::See(pattern) => screen.see(pattern),
            Step::Type(keys) => screen.type_keys(keys),
            Step::Signal(name) => screen.signal(name),
            Step::End(code) => screen.end(*code),
            Step::Again => Screen::open(home, args).map(|new| screen = new),
        };
        result.map_err(|fault| format!("step {}: {fault}\nThe screen showed:\n{}", number + 1, screen.shown))?;
    }
    Ok(())
}

/// A shell on a terminal that `script` made for it.
struct Screen {
    script: Child,
    keys: ChildStdin,
    output: Receiver<Vec<u8>>,
    /// All text so far without control sequences, and how much of it was seen.
    shown: String,
    seen: usize,
}

impl Screen {
    fn open(home: &str, args: &[String]) -> Result<Screen, String> {
        let rtrace = std::env::var("RTRACE_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rtrace").to_string());
        let command = format!("stty rows 40 cols 120; exec {rtrace} {}", args.join(" "));
        let mut script = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env("HOME", home)
            .env("TERM", "xterm")
            .env_remove("XDG_STATE_HOME")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("script: {error}"))?;
        let (keys, mut terminal) = script.stdin.take().zip(script.stdout.take()).ok_or("no pipes")?;
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = terminal.read(&mut bytes) {
                if count == 0 || sender.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Screen { script, keys, output, shown: String::new(), seen: 0 })
    }

    fn see(&mut self, pattern: &str) -> Result<(), String> {
        let wanted = Regex::new(&format!("(?m){pattern}")).map_err(|error| error.to_string())?;
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = wanted.find(&self.shown[self.seen..]) {
                self.seen += found.end();
                return Ok(());
            }
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.shown.push_str(&plain(&bytes)),
                Err(RecvTimeoutError::Timeout) => return Err(format!("'{pattern}' was not seen")),
                Err(RecvTimeoutError::Disconnected) => return Err(format!("the shell ended before '{pattern}'")),
            }
        }
    }

    fn type_keys(&mut self, keys: &str) -> Result<(), String> {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).map_err(|error| error.to_string())
    }

    fn signal(&self, name: &str) -> Result<(), String> {
        let parent = self.script.id().to_string();
        let sent = Command::new("pkill").args(["-x", "-P", &parent, &format!("-{name}"), "rtrace"]).status();
        match sent {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("pkill: {other:?}")),
        }
    }

    fn end(&mut self, code: i32) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.shown.push_str(&plain(&bytes)),
                Err(RecvTimeoutError::Timeout) => return Err("the shell did not end".to_string()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.script.wait().map_err(|error| error.to_string())?;
        if status.code() == Some(code) { Ok(()) } else { Err(format!("the shell ended with {status}")) }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // One that has ended already is all the better; the shell ends with its terminal.
        self.script.kill().ok();
        self.script.wait().ok();
    }
}

/// Text without control sequences and carriage returns.
fn plain(bytes: &[u8]) -> String {
    let controls = Regex::new(r"\x1b\[[0-9;?]*[A-Za-z]|\r").expect("a pattern");
    controls.replace_all(&String::from_utf8_lossy(bytes), "").into_owned()
}
