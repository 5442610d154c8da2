//! What may end a session from outside, or speak to it, and the wait for that and for records.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::child::{self, Child};
use super::refusal::refused;
use super::session::Options;
use super::stop::Stop;
use super::sys::process;
use crate::error::Result;

pub struct Ends {
    stop: Option<Stop>,
    signal: Option<Stop>,
    process: Option<OwnedFd>,
    pub child: Option<Child>,
}

/// What is readable while there are records.
pub type RingFds<'r> = [Option<BorrowedFd<'r>>; 3];

pub const NO_RINGS: RingFds<'static> = [None; 3];

/// What a wait came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// There may be records, or the time is over.
    Nothing,
    /// The session is to run its `self` probes.
    Signal,
    End,
}

impl Ends {
    pub fn new(options: Options) -> Result<Ends> {
        let Options { stop, signal, pid, child, pool: _, top: _ } = options;
        Ok(Ends { stop, signal, process: pid.map(child::watch).transpose()?, child })
    }

    /// Whether a process is traced whose end is to be awaited.
    pub fn awaits_process(&self) -> bool {
        self.process.is_some() || self.child.is_some()
    }

    /// Waits until one of the rings has records, or for something else to happen.
    pub fn wait(&self, rings: RingFds<'_>, timeout: Duration) -> Result<Heard> {
        let fds = [
            rings[0],
            rings[1],
            rings[2],
            self.stop.as_ref().map(Stop::reader),
            self.child.as_ref().map(Child::alive),
            self.process.as_ref().map(AsFd::as_fd),
            self.signal.as_ref().map(Stop::reader),
        ];
        let [_, _, _, stop, child, process, signal] =
            process::wait_readable(fds, timeout).map_err(|error| refused("cannot wait for events", &error))?;
        let is_asked = |handle: &Option<Stop>| handle.as_ref().is_some_and(Stop::take);
        Ok(if stop && is_asked(&self.stop) || child || process {
            Heard::End
        } else if signal && is_asked(&self.signal) {
            Heard::Signal
        } else {
            Heard::Nothing
        })
    }
}
