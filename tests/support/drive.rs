//! Turns a case into an outcome: starts rtrace, waits until its probes are attached, runs the workload, and waits for the end.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, io, process, thread};

use crate::case::Case;

/// By what and where cases are run.
pub struct Bench {
    pub rtrace: PathBuf,
    pub root: PathBuf,
    /// Where the programs of the case lie, if they are compiled already.
    pub made: Option<PathBuf>,
}

/// What a run gave, with the case that asked for it, its placeholders filled.
pub struct Outcome {
    pub case: Case,
    pub stdout: String,
    pub stderr: String,
    pub exit: i32,
}

/// Runs a case; the error says why there is no outcome.
pub fn run(case: &Case, bench: &Bench) -> Result<Outcome, String> {
    let folder = Folder::new().map_err(|error| format!("no temporary folder: {error}"))?;
    let own = env::current_exe().map_err(|error| error.to_string())?;
    let mut placeholders = vec![
        ("{tmp}", folder.text()),
        ("{root}", bench.root.display().to_string()),
        ("{do}", format!("{} workload", own.display())),
    ];
    if let Some(made) = &bench.made {
        folder.fill(made).map_err(|error| format!("{}: {error}", made.display()))?;
    }
    let Case { compile, setup, .. } = case.filled(&placeholders)?;
    for command in compile.filter(|_| bench.made.is_none()).iter().chain(&setup) {
        let limit = Duration::from_secs(u64::from(case.timeout * patience()));
        work(command, Instant::now() + limit, &folder)?;
    }
    let target = match &case.filled(&placeholders)?.target {
        Some(command) => Some(settled(shell(command, &folder.file("target")?)?, command)),
        None => None,
    };
    if let Some(target) = &target {
        placeholders.push(("{pid}", target.0.id().to_string()));
    }
    trace(case.filled(&placeholders)?, bench, &folder)
}

/// Gives a shell the time to become the program that it ends in.
fn settled(target: Group, command: &str) -> Group {
    let Some((_, program)) = command.rsplit_once("exec ") else { return target };
    let path = program.split_whitespace().next().unwrap_or_default();
    let name: String = path.rsplit('/').next().unwrap_or_default().chars().take(15).collect();
    let comm = format!("/proc/{}/comm", target.0.id());
    // One that waits for a fifo to be opened never gets there before the workload runs.
    let limit = Instant::now() + Duration::from_millis(500);
    while Instant::now() < limit && fs::read_to_string(&comm).is_ok_and(|comm| comm.trim() != name) {
        thread::sleep(Duration::from_millis(5));
    }
    target
}

fn trace(case: Case, bench: &Bench, folder: &Folder) -> Result<Outcome, String> {
    let ready = folder.0.join("ready");
    let socket = UnixDatagram::bind(&ready).map_err(|error| format!("{}: {error}", ready.display()))?;
    let deadline = Instant::now() + Duration::from_secs(u64::from(case.timeout * patience()));
    let mut rtrace = start(command(&case, bench).env("NOTIFY_SOCKET", &ready), &case, folder)?;
    let ended = drive(&case, &mut rtrace, &socket, deadline, folder);
    drop(rtrace);
    let (stdout, stderr) = (folder.read("stdout"), folder.read("stderr"));
    match ended {
        Ok(status) => {
            let exit = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or_default();
            Ok(Outcome { case, stdout, stderr, exit })
        }
        Err(why) => Err(format!("{why}\n{}--- stdout\n{stdout}--- stderr\n{stderr}", case.program_text())),
    }
}

fn command(case: &Case, bench: &Bench) -> Command {
    let mut command = match &case.through {
        Some(shell) => {
            let mut command = Command::new("sh");
            command.args(["-c", shell, "sh"]).arg(&bench.rtrace);
            command
        }
        None => Command::new(&bench.rtrace),
    };
    command.args(&case.args).current_dir(&bench.root).envs(&case.env);
    if let Some(program) = &case.program {
        command.args(["-e", program]);
    }
    command.args(&case.script).args(&case.params);
    command
}

fn start(command: &mut Command, case: &Case, folder: &Folder) -> Result<Group, String> {
    fs::write(folder.0.join("stdin"), &case.stdin).map_err(|error| format!("stdin: {error}"))?;
    let stdin = File::open(folder.0.join("stdin")).map_err(|error| format!("stdin: {error}"))?;
    Group::spawn(command.stdin(stdin).stdout(folder.file("stdout")?).stderr(folder.file("stderr")?))
}

/// From the start of rtrace to its end.
fn drive(
    case: &Case,
    rtrace: &mut Group,
    socket: &UnixDatagram,
    deadline: Instant,
    folder: &Folder,
) -> Result<ExitStatus, String> {
    let waits = case.workload.is_some() || case.signal.is_some();
    if waits && is_ready(rtrace, socket, deadline)? {
        if let Some(workload) = &case.workload {
            work(workload, deadline, folder)?;
        }
        if let Some(signal) = &case.signal {
            shell(&format!("kill -{signal} {}", rtrace.0.id()), &folder.file("signal")?)?.wait(deadline)?;
        }
    }
    rtrace.wait(deadline)?.ok_or_else(|| format!("rtrace did not end within {} s", case.timeout * patience()))
}

/// Whether the probes are attached; the other answer is that rtrace ended before.
fn is_ready(rtrace: &mut Group, socket: &UnixDatagram, deadline: Instant) -> Result<bool, String> {
    socket.set_read_timeout(Some(Duration::from_millis(20))).map_err(|error| error.to_string())?;
    let mut message = [0; 64];
    while Instant::now() < deadline {
        if socket.recv(&mut message).is_ok_and(|length| message[..length].starts_with(b"READY=1")) {
            return Ok(true);
        }
        if rtrace.ended()?.is_some() {
            return Ok(false);
        }
    }
    Err("rtrace never said that it is ready".to_string())
}

fn work(command: &str, deadline: Instant, folder: &Folder) -> Result<(), String> {
    match shell(command, &folder.file("workload")?)?.wait(deadline)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("the workload failed, {status}: {command}\n{}", folder.read("workload"))),
        None => Err(format!("the workload did not end: {command}\n{}", folder.read("workload"))),
    }
}

fn shell(command: &str, output: &File) -> Result<Group, String> {
    let output = || output.try_clone().map_err(|error| error.to_string());
    Group::spawn(Command::new("sh").args(["-c", command]).stdin(Stdio::null()).stdout(output()?).stderr(output()?))
}

/// Guests under emulation need more time.
fn patience() -> u32 {
    env::var("RTRACE_PATIENCE").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// A process and all that it starts; nothing of it outlives this value.
struct Group(Child);

impl Group {
    fn spawn(command: &mut Command) -> Result<Self, String> {
        command
            .process_group(0)
            .spawn()
            .map(Self)
            .map_err(|error| format!("cannot run {:?}: {error}", command.get_program()))
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, String> {
        self.0.try_wait().map_err(|error| error.to_string())
    }

    /// Nothing if it has not ended by then.
    fn wait(&mut self, deadline: Instant) -> Result<Option<ExitStatus>, String> {
        loop {
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() > deadline {
                return Ok(ended);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: the call takes numbers only.
        unsafe { libc::kill(-self.0.id().cast_signed(), libc::SIGKILL) };
        self.0.wait().ok();
    }
}

/// A temporary folder that goes with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("rtrace-run-{}-{number}", process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// With the files of another folder.
    fn fill(&self, from: &Path) -> io::Result<()> {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            fs::copy(entry.path(), self.0.join(entry.file_name()))?;
        }
        Ok(())
    }

    fn text(&self) -> String {
        self.0.display().to_string()
    }

    fn file(&self, name: &str) -> Result<File, String> {
        File::create(self.0.join(name)).map_err(|error| format!("{name}: {error}"))
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read::<&Path>(self.0.join(name).as_ref()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
