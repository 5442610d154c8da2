//! How anyone, a signal handler above all, ends a session that waits for events.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// A handle that stops the session it was given to (or, given as its signal, has it run the `self` probes), from any thread.
/// Copies stand for the same session.
#[derive(Debug, Clone)]
pub struct Stop {
    ends: Arc<(UnixStream, UnixStream)>,
}

impl Stop {
    pub fn new() -> io::Result<Stop> {
        let (asked, ask) = UnixStream::pair()?;
        asked.set_nonblocking(true)?;
        ask.set_nonblocking(true)?;
        Ok(Stop { ends: Arc::new((asked, ask)) })
    }

    /// Asks the session.
    pub fn stop(&self) {
        // If nothing more can be written, the session has been asked often enough.
        let _ = (&self.ends.1).write(&[1]);
    }

    /// What a signal handler may write a byte to, `write(2)` being all it can do.
    pub fn writer(&self) -> BorrowedFd<'_> {
        self.ends.1.as_fd()
    }

    /// Whether the session was asked; forgets it.
    pub fn take(&self) -> bool {
        let mut bytes = [0; 64];
        matches!((&self.ends.0).read(&mut bytes), Ok(count) if count > 0)
    }

    /// Readable once the session was asked.
    pub fn reader(&self) -> BorrowedFd<'_> {
        self.ends.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_stop_the_same_session() {
        let stop = Stop::new().unwrap();
        assert!(!stop.take());
        stop.clone().stop();
        assert!(stop.take() && !stop.take());
    }
}
