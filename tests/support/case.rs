//! A test case as data, and what running it gave.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use regex::RegexBuilder;
use serde::Deserialize;

/// The cases of one file.
#[derive(Deserialize)]
pub struct File {
    #[serde(rename = "case")]
    pub cases: Vec<Case>,
}

/// One run of rtrace and what must come of it. `{tmp}`, `{root}` and `{pid}` are filled in everywhere.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    /// The program, given with `-e`.
    pub program: Option<String>,
    /// A script, relative to the repository.
    pub script: Option<String>,
    #[serde(default)]
    pub args: Vec<String>,
    /// What the machine must have; see `needs.rs`.
    #[serde(default)]
    pub needs: Vec<String>,
    /// A shell command to run once rtrace is attached.
    pub workload: Option<String>,
    /// A shell command that runs from before rtrace starts until it ended; its process id is `{pid}`.
    pub target: Option<String>,
    /// Sent to rtrace when the workload has ended.
    pub signal: Option<String>,
    #[serde(default)]
    pub stdin: String,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    pub stdout: Option<String>,
    #[serde(default)]
    pub stdout_matches: Vec<String>,
    #[serde(default)]
    pub stdout_lacks: Vec<String>,
    pub stderr: Option<String>,
    #[serde(default)]
    pub stderr_matches: Vec<String>,
    #[serde(default)]
    pub exit: i32,
    /// Seconds until a run counts as hung (times five in a virtual machine).
    #[serde(default = "twenty")]
    pub timeout: u64,
}

/// What a run gave.
struct Outcome {
    stdout: String,
    stderr: String,
    exit: Option<i32>,
}

fn twenty() -> u64 {
    20
}

impl Case {
    /// Runs the case with this rtrace; the error says what differs.
    pub fn run(&self, rtrace: &Path, root: &Path) -> Result<(), String> {
        if !self.expects_something() {
            return Err("this case expects nothing: it could not fail".to_string());
        }
        let tmp = std::env::temp_dir().join(format!("rtrace-case-{}-{:x}", std::process::id(), hash(&self.name)));
        std::fs::create_dir_all(&tmp).map_err(|error| error.to_string())?;
        let result = self.run_in(rtrace, root, &tmp);
        std::fs::remove_dir_all(&tmp).ok();
        result
    }

    fn expects_something(&self) -> bool {
        self.stdout.is_some()
            || self.stderr.is_some()
            || !self.stdout_matches.is_empty()
            || !self.stderr_matches.is_empty()
    }

    fn run_in(&self, rtrace: &Path, root: &Path, tmp: &Path) -> Result<(), String> {
        let target = self.target.as_ref().map(|command| shell(&fill(command, root, tmp, 0)).spawn()).transpose();
        let mut target = target.map_err(|error| error.to_string())?;
        let pid = target.as_ref().map_or(0, Child::id);
        let outcome = self.trace(rtrace, root, tmp, pid);
        if let Some(target) = &mut target {
            target.kill().ok();
            target.wait().ok();
        }
        let fill = |text: &str| fill(text, root, tmp, pid);
        self.judge(&outcome?, &fill)
    }

    fn trace(&self, rtrace: &Path, root: &Path, tmp: &Path, pid: u32) -> Result<Outcome, String> {
        let fill = |text: &str| fill(text, root, tmp, pid);
        let ready = tmp.join("ready");
        let socket = UnixDatagram::bind(&ready).map_err(|error| error.to_string())?;
        std::fs::write(tmp.join("stdin"), fill(&self.stdin)).map_err(|error| error.to_string())?;
        let file = |name: &str| std::fs::File::create(tmp.join(name)).map_err(|error| error.to_string());
        let mut child = Command::new(rtrace)
            .args(self.args.iter().filter(|arg| !arg.starts_with('$')).map(|arg| fill(arg)))
            .args(self.program.iter().flat_map(|program| ["-e".to_string(), fill(program)]))
            .args(self.script.iter().map(|script| root.join(script).to_string_lossy().into_owned()))
            // Parameters of the program follow it; they are written with a leading dollar.
            .args(self.args.iter().filter_map(|arg| arg.strip_prefix('$')).map(fill))
            .env("NOTIFY_SOCKET", &ready)
            .envs(self.env.iter().map(|(key, value)| (key, fill(value))))
            .current_dir(root)
            .stdin(std::fs::File::open(tmp.join("stdin")).map_err(|error| error.to_string())?)
            .stdout(file("stdout")?)
            .stderr(file("stderr")?)
            .spawn()
            .map_err(|error| format!("cannot run {}: {error}", rtrace.display()))?;
        let limit = Duration::from_secs(self.timeout * if super::needs::in_vm() { 5 } else { 1 });
        let ended = self.drive(&mut child, &socket, limit, &fill);
        child.kill().ok();
        let read = |name: &str| std::fs::read(tmp.join(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let stdout = read("stdout").unwrap_or_default();
        let stderr = read("stderr").unwrap_or_default();
        let exit = ended.map_err(|what| format!("{what}\n--- stdout\n{stdout}--- stderr\n{stderr}"))?;
        Ok(Outcome { stdout, stderr, exit })
    }

    /// Waits for readiness, runs the workload, sends the signal and waits for the end.
    fn drive(
        &self,
        child: &mut Child,
        socket: &UnixDatagram,
        limit: Duration,
        fill: &dyn Fn(&str) -> String,
    ) -> Result<Option<i32>, String> {
        let deadline = Instant::now() + limit;
        if (self.workload.is_some() || self.signal.is_some()) && wait_ready(child, socket, deadline)? {
            if let Some(workload) = &self.workload {
                run_workload(&fill(workload))?;
            }
            if let Some(signal) = &self.signal {
                shell(&format!("kill -{signal} {}", child.id())).status().map_err(|error| error.to_string())?;
            }
        }
        loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                return Ok(status.code());
            }
            if Instant::now() > deadline {
                return Err(format!("rtrace did not end within {} s", limit.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn judge(&self, outcome: &Outcome, fill: &dyn Fn(&str) -> String) -> Result<(), String> {
        let mut faults = Vec::new();
        if outcome.exit != Some(self.exit) {
            faults.push(format!("exit code {:?}, expected {}", outcome.exit, self.exit));
        }
        for (name, expected, found) in
            [("stdout", &self.stdout, &outcome.stdout), ("stderr", &self.stderr, &outcome.stderr)]
        {
            if expected.as_ref().is_some_and(|expected| fill(expected) != *found) {
                faults.push(format!(
                    "{name} differs from what is expected:\n{}",
                    fill(expected.as_deref().unwrap_or(""))
                ));
            }
        }
        let matches = |pattern: &String, text: &str| {
            let pattern = RegexBuilder::new(&fill(pattern)).multi_line(true).build();
            pattern.unwrap_or_else(|error| panic!("{}: {error}", self.name)).is_match(text)
        };
        let missing = |patterns: &[String], text: &str| -> Vec<String> {
            patterns.iter().filter(|pattern| !matches(pattern, text)).cloned().collect()
        };
        for pattern in missing(&self.stdout_matches, &outcome.stdout) {
            faults.push(format!("nothing on stdout matches {pattern}"));
        }
        for pattern in missing(&self.stderr_matches, &outcome.stderr) {
            faults.push(format!("nothing on stderr matches {pattern}"));
        }
        for pattern in self.stdout_lacks.iter().filter(|pattern| matches(pattern, &outcome.stdout)) {
            faults.push(format!("something on stdout matches {pattern}"));
        }
        if faults.is_empty() {
            return Ok(());
        }
        let program = self.program.as_deref().or(self.script.as_deref()).unwrap_or("(no program)");
        let faults = faults.join("\n");
        Err(format!("{faults}\n--- program\n{program}\n--- stdout\n{}--- stderr\n{}", outcome.stdout, outcome.stderr))
    }
}

/// All cases of `tests/run`, each with the name of its file.
pub fn all(root: &Path) -> Vec<(String, Case)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root.join("tests/run"))
        .expect("tests/run is there")
        .map(|entry| entry.expect("a folder entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files.iter().flat_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<(String, Case)> {
    let text = std::fs::read_to_string(path).expect("a readable case file");
    let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let area = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    file.cases.into_iter().map(|case| (area.clone(), case)).collect()
}

/// Whether rtrace became ready (it may also end before it attaches anything).
fn wait_ready(child: &mut Child, socket: &UnixDatagram, deadline: Instant) -> Result<bool, String> {
    socket.set_read_timeout(Some(Duration::from_millis(20))).map_err(|error| error.to_string())?;
    let mut message = [0; 64];
    loop {
        if socket.recv(&mut message).is_ok_and(|length| message[..length].starts_with(b"READY=1")) {
            return Ok(true);
        }
        if child.try_wait().map_err(|error| error.to_string())?.is_some() {
            return Ok(false);
        }
        if Instant::now() > deadline {
            return Err("rtrace did not become ready".to_string());
        }
    }
}

fn run_workload(command: &str) -> Result<(), String> {
    let mut child = shell(command).stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let mut said = String::new();
    if let Some(stderr) = &mut child.stderr {
        stderr.read_to_string(&mut said).ok();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("the workload failed ({status}): {said}")) }
}

fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::null());
    shell
}

fn fill(text: &str, root: &Path, tmp: &Path, pid: u32) -> String {
    text.replace("{tmp}", &tmp.to_string_lossy())
        .replace("{root}", &root.to_string_lossy())
        .replace("{pid}", &pid.to_string())
}

fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
