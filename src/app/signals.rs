//! SIGINT and SIGTERM ask the session to end, SIGUSR1 to run its `self` probes.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use rtrace::errno::reason;
use rtrace::error::{Error, Result};
use rtrace::runtime::Stop;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

/// The signals that end a run.
const ENDING: [i32; 2] = [SIGINT, SIGTERM];

/// A stop handle that the signals pull.
pub fn stop_handle() -> Result<Stop> {
    pulled_by(&ENDING)
}

/// Has the second signal kill: a run that cannot end, as nobody reads its output, must not hold its user.
pub fn kill_at_second() -> Result<()> {
    let asked = Arc::new(AtomicBool::new(false));
    ENDING.iter().try_for_each(|signal| {
        let asked = || Arc::clone(&asked);
        let registered = flag::register_conditional_default(*signal, asked()).and(flag::register(*signal, asked()));
        registered.map(drop).map_err(failed)
    })
}

/// The handle by which SIGUSR1 reaches a session; all sessions of the shell share it.
pub fn signal_handle() -> Result<Stop> {
    static HANDLE: OnceLock<Stop> = OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let handle = pulled_by(&[SIGUSR1])?;
    Ok(HANDLE.get_or_init(|| handle).clone())
}

fn pulled_by(signals: &[i32]) -> Result<Stop> {
    let stop = Stop::new().map_err(failed)?;
    for signal in signals.iter().copied() {
        let writer = stop.writer().try_clone_to_owned().map_err(failed)?;
        signal_hook::low_level::pipe::register(signal, std::os::unix::net::UnixStream::from(writer)).map_err(failed)?;
    }
    Ok(stop)
}

/// The shell's handles: what interrupts that which takes its time, and what ends the shell.
pub fn shell_handles() -> Result<[Stop; 2]> {
    Ok([pulled_by(&[SIGINT])?, pulled_by(&[SIGTERM, SIGHUP])?])
}

/// A handle that no signal pulls.
pub fn handle() -> Result<Stop> {
    Stop::new().map_err(failed)
}

fn failed(error: std::io::Error) -> Error {
    Error::usage(format!("cannot handle signals: {}", reason(&error)))
}
