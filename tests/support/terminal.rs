//! Plays a session on a pseudo-terminal: types, watches the screen, and waits for the end.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use regex::Regex;
use serde::Deserialize;

use crate::vt::Vt;

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// A regular expression that the screen shows sooner or later, after what was seen before. Here, below and in keys, `<name>`
    /// stands for what the file of this name holds.
    See(String),
    /// The same, for the screen as it is at some moment, whatever was seen of it before.
    Screen(String),
    /// Keys, Enter being `\r` and Ctrl-C `\u0003`.
    Type(String),
    /// A signal for the shell, such as `TERM`.
    Signal(String),
    /// The shell ends with this code, a signal's being 128 and its number, and leaves the terminal set as it was.
    End(i32),
    /// The kernel has a map of this name, or comes to have it.
    There(String),
    /// It has none any more, or soon.
    Gone(String),
    /// A command succeeds in the folder that the shell runs in; `$RTRACE` is the program.
    Run(String),
    /// The terminal has so many rows and columns now.
    Resize([usize; 2]),
    /// The terminal goes away.
    Kill,
    /// Nothing that was shown had a colour.
    Colourless,
    /// The shell is started again by the same person.
    Again,
}

/// The terminal, and how the shell is started.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields, default)]
pub struct Setting {
    /// Arguments of rtrace.
    pub args: Vec<String>,
    /// Rows and columns.
    pub size: [usize; 2],
    pub term: String,
    pub env: BTreeMap<String, String>,
}

impl Default for Setting {
    fn default() -> Self {
        Setting { args: Vec::new(), size: [40, 120], term: "xterm".to_string(), env: BTreeMap::new() }
    }
}

/// How long to wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Plays the steps, and fails at the first that does not come true.
pub fn play(setting: &Setting, steps: &[Step]) -> Result<(), String> {
    let home =
        std::env::temp_dir().join(format!("rtrace-repl-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    let result = attempt(&home.to_string_lossy(), setting, steps);
    std::fs::remove_dir_all(&home).map_err(|error| error.to_string())?;
    result
}

fn attempt(home: &str, setting: &Setting, steps: &[Step]) -> Result<(), String> {
    let mut screen = Screen::open(home, setting)?;
    for (number, step) in steps.iter().enumerate() {
        let result = match step {
            Step::See(pattern) => screen.see(&filled(home, pattern)),
            Step::Screen(pattern) => screen.shows(&filled(home, pattern)),
            Step::Type(keys) => screen.type_keys(&filled(home, keys)),
            Step::Run(command) => run(home, command),
            Step::Resize(size) => screen.resize(*size),
            Step::Signal(name) => screen.signal(name),
            Step::End(code) => screen.end(*code).and_then(|()| settings_are_as_before(home)),
            Step::There(name) => await_map(name, 1),
            Step::Gone(name) => await_map(name, 0),
            Step::Kill => screen.script.kill().map_err(|error| error.to_string()),
            Step::Colourless => screen.colourless(),
            Step::Again => Screen::open(home, setting).map(|new| screen = new),
        };
        result.map_err(|fault| format!("step {}: {fault}\nThe screen showed:\n{}", number + 1, screen.vt.screen()))?;
    }
    Ok(())
}

/// A text with what files hold.
fn filled(home: &str, text: &str) -> String {
    let place = Regex::new("<([a-z]+)>").expect("a pattern");
    let content = |name: &regex::Captures<'_>| {
        let text = std::fs::read_to_string(format!("{home}/{}", &name[1]));
        text.map_or(name[0].to_string(), |text| text.trim().to_string())
    };
    place.replace_all(text, content).into_owned()
}

fn rtrace() -> String {
    std::env::var("RTRACE_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rtrace").to_string())
}

fn run(home: &str, command: &str) -> Result<(), String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(home).env("RTRACE", rtrace()).stdin(Stdio::null());
    match shell.status() {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("'{command}': {other:?}")),
    }
}

/// What `stty` said before the shell began, and after its end.
fn settings_are_as_before(home: &str) -> Result<(), String> {
    let [before, after] = ["before", "after"].map(|name| std::fs::read_to_string(format!("{home}/{name}")));
    match (before, after) {
        (Ok(before), Ok(after)) if before == after => Ok(()),
        (before, after) => Err(format!("the terminal's settings were {before:?} and are {after:?}")),
    }
}

/// Waits until the kernel has so many maps of this name.
fn await_map(name: &str, wanted: usize) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    let count = || {
        let maps = aya::maps::loaded_maps().flatten();
        maps.filter(|map| map.name_as_str().is_some_and(|other| name.starts_with(other) && !other.is_empty())).count()
    };
    while count() != wanted {
        if Instant::now() > end {
            return Err(format!("there are {} maps '{name}', and not {wanted}", count()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A shell on a terminal that `script` made for it.
struct Screen {
    script: Child,
    keys: ChildStdin,
    output: Receiver<Vec<u8>>,
    vt: Vt,
    /// Everything as it came.
    raw: Vec<u8>,
}

impl Screen {
    fn open(home: &str, setting: &Setting) -> Result<Screen, String> {
        let [rows, columns] = setting.size;
        let start = format!("stty rows {rows} cols {columns}; stty -g >$HOME/before; trap : INT");
        let end = "code=$?; stty -g >$HOME/after; exit $code";
        let command = format!("{start}; {} {}; {end}", rtrace(), setting.args.join(" "));
        let mut script = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .current_dir(home)
            .env("HOME", home)
            .env("TERM", &setting.term)
            .envs(&setting.env)
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
        Ok(Screen { script, keys, output, vt: Vt::new(rows, columns), raw: Vec::new() })
    }

    fn see(&mut self, pattern: &str) -> Result<(), String> {
        let wanted = Regex::new(&format!("(?m){pattern}")).map_err(|error| error.to_string())?;
        let end = Instant::now() + PATIENCE;
        loop {
            let end_of_found = wanted.find(&self.vt.unread()).map(|found| found.end());
            if let Some(found) = end_of_found {
                self.vt.read(found);
                return Ok(());
            }
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.show(&bytes),
                Err(RecvTimeoutError::Timeout) => return Err(format!("'{pattern}' was not seen")),
                Err(RecvTimeoutError::Disconnected) => return Err(format!("the shell ended before '{pattern}'")),
            }
        }
    }

    fn show(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        self.vt.feed(bytes);
    }

    fn colourless(&self) -> Result<(), String> {
        let colours = Regex::new(r"\x1b\[[0-9;]*m").expect("a pattern");
        let text = String::from_utf8_lossy(&self.raw);
        colours.find(&text).map_or(Ok(()), |found| Err(format!("{:?} was sent", found.as_str())))
    }

    fn shows(&mut self, pattern: &str) -> Result<(), String> {
        let wanted = Regex::new(&format!("(?m){pattern}")).map_err(|error| error.to_string())?;
        let end = Instant::now() + PATIENCE;
        while !wanted.is_match(&self.vt.screen()) {
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.show(&bytes),
                Err(error) => return Err(format!("'{pattern}' was not on the screen ({error})")),
            }
        }
        Ok(())
    }

    fn type_keys(&mut self, keys: &str) -> Result<(), String> {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).map_err(|error| error.to_string())
    }

    fn signal(&self, name: &str) -> Result<(), String> {
        let parent = child_of(&self.script.id().to_string())?;
        let sent = Command::new("pkill").args(["-x", "-P", &parent, &format!("-{name}"), "rtrace"]).status();
        match sent {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("pkill: {other:?}")),
        }
    }

    fn resize(&mut self, [rows, columns]: [usize; 2]) -> Result<(), String> {
        let shell = child_of(&self.script.id().to_string())?;
        let terminal = format!("/proc/{shell}/fd/0");
        let size = ["rows".to_string(), rows.to_string(), "cols".to_string(), columns.to_string()];
        self.vt.resize(rows, columns);
        match Command::new("stty").arg("-F").arg(terminal).args(size).status() {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("stty: {other:?}")),
        }
    }

    fn end(&mut self, code: i32) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.show(&bytes),
                Err(RecvTimeoutError::Timeout) => return Err("the shell did not end".to_string()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.script.wait().map_err(|error| error.to_string())?;
        if status.code() == Some(code) { Ok(()) } else { Err(format!("the shell ended with {status}")) }
    }
}

/// The only child of a process.
fn child_of(process: &str) -> Result<String, String> {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    children.split_whitespace().next().map(str::to_string).ok_or(format!("{process} has no child"))
}

impl Drop for Screen {
    fn drop(&mut self) {
        // One that has ended already is all the better; the shell ends with its terminal.
        self.script.kill().ok();
        self.script.wait().ok();
    }
}
