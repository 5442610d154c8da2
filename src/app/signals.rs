//! SIGINT and SIGTERM ask the session to end, SIGUSR1 to run its `self` probes.

use std::sync::OnceLock;

use rtrace::error::{Error, Result};
use rtrace::runtime::Stop;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

/// A stop handle that the signals pull.
pub fn stop_handle() -> Result<Stop> {
    pulled_by(&[SIGINT, SIGTERM])
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
    let failed = |error: std::io::Error| Error::usage(format!("cannot handle signals: {error}"));
    let stop = Stop::new().map_err(failed)?;
    for signal in signals.iter().copied() {
        let writer = stop.writer().try_clone_to_owned().map_err(failed)?;
        signal_hook::low_level::pipe::register(signal, std::os::unix::net::UnixStream::from(writer)).map_err(failed)?;
    }
    Ok(stop)
}
