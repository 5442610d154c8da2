//! SIGINT and SIGTERM ask the session to end.

use rtrace::error::{Error, Result};
use rtrace::runtime::Stop;
use signal_hook::consts::{SIGINT, SIGTERM};

/// A stop handle that the signals pull.
pub fn stop_handle() -> Result<Stop> {
    let failed = |error: std::io::Error| Error::usage(format!("cannot handle signals: {error}"));
    let stop = Stop::new().map_err(failed)?;
    for signal in [SIGINT, SIGTERM] {
        let writer = stop.writer().try_clone_to_owned().map_err(failed)?;
        signal_hook::low_level::pipe::register(signal, std::os::unix::net::UnixStream::from(writer)).map_err(failed)?;
    }
    Ok(stop)
}
