//! What is attached, and how to let go of it at once: closing a perf event of a probe makes the kernel wait some 80 ms, each.

use std::os::fd::{AsFd, OwnedFd};

use super::sys::{perf, process};

/// Everything attached; dropping it detaches.
#[derive(Default)]
pub struct Links {
    /// Raw tracepoints, multi links and clocks, which close fast.
    fast: Vec<OwnedFd>,
    /// Perf events of tracepoints, kprobes and uprobes, and the links on them.
    slow: Vec<OwnedFd>,
    /// Those perf events again, to switch them off.
    events: Vec<usize>,
}

impl Links {
    pub fn add_fast(&mut self, fds: impl IntoIterator<Item = OwnedFd>) {
        self.fast.extend(fds);
    }

    /// A perf event of a probe, and the link on it (where the kernel has such links).
    pub fn add_slow(&mut self, event: OwnedFd, link: Option<OwnedFd>) {
        self.events.push(self.slow.len());
        self.slow.push(event);
        self.slow.extend(link);
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.fast.clear();
        for event in &self.events {
            // An event that cannot be switched off goes silent when it is closed.
            let _ = perf::disable(self.slow[*event].as_fd());
        }
        if !self.slow.is_empty() {
            process::close_elsewhere(std::mem::take(&mut self.slow));
        }
    }
}
