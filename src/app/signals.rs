//! SIGINT and SIGTERM ask the session to end, SIGUSR1 to run its `self` probes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rtrace::error::{Error, Result};
use rtrace::runtime::Stop;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
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

/// SIGTERM to the shell: while a program runs it ends both in good order, at the prompt it has its usual effect.
pub struct Termination {
    at_prompt: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
}

impl Termination {
    pub fn watch() -> Result<Termination> {
        let watch = Termination { at_prompt: Arc::new(AtomicBool::new(true)), asked: Arc::default() };
        flag::register_conditional_default(SIGTERM, Arc::clone(&watch.at_prompt)).map_err(failed)?;
        flag::register(SIGTERM, Arc::clone(&watch.asked)).map_err(failed)?;
        Ok(watch)
    }

    /// Does what takes its time, and then fails if it was ended by SIGTERM.
    pub fn during(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        self.at_prompt.store(false, Ordering::Relaxed);
        let result = work();
        self.at_prompt.store(true, Ordering::Relaxed);
        if self.asked.load(Ordering::Relaxed) { Err(Error::closed()) } else { result }
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::usage(format!("cannot handle signals: {}", crate::reason(&error)))
}
