//! What is attached, and how to let go of it at once: closing a perf event of a probe makes the kernel wait some 80 ms, each.

use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};

use super::sys::{perf, process};

/// Everything attached; dropping it detaches.
#[derive(Default)]
pub struct Links {
    /// Raw tracepoints and multi links, which close fast.
    fast: Vec<OwnedFd>,
    /// Perf events of clocks, counters and breakpoints with their links, which close fast too.
    counted: Vec<(OwnedFd, Option<OwnedFd>)>,
    /// Addresses of watchpoints, and which of the counted events are theirs.
    watchpoints: Vec<(u64, Range<usize>)>,
    /// Perf events of tracepoints, kprobes and uprobes, and the links on them.
    slow: Vec<OwnedFd>,
    /// Those perf events again, to switch them off.
    events: Vec<usize>,
}

impl Links {
    pub fn add_fast(&mut self, fds: impl IntoIterator<Item = OwnedFd>) {
        self.fast.extend(fds);
    }

    pub fn add_counted(&mut self, event: OwnedFd, link: Option<OwnedFd>) {
        self.counted.push((event, link));
    }

    /// How many counted events there are.
    pub fn counted(&self) -> usize {
        self.counted.len()
    }

    /// Says that the counted events from `first` on are a watchpoint at this address.
    pub fn name_watchpoint(&mut self, address: u64, first: usize) {
        self.watchpoints.push((address, first..self.counted.len()));
    }

    /// Ends the watchpoints at an address; tells whether there were any.
    pub fn unwatch(&mut self, address: u64) -> bool {
        let events =
            self.watchpoints.iter().filter(|(watched, _)| *watched == address).flat_map(|(_, events)| events.clone());
        let events: Vec<usize> = events.collect();
        for event in &events {
            // The others keep their numbers, so it stays in its place, switched off.
            let _ = perf::disable(self.counted[*event].0.as_fd());
        }
        !events.is_empty()
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
        self.counted.clear();
        for event in &self.events {
            // An event that cannot be switched off goes silent when it is closed.
            let _ = perf::disable(self.slow[*event].as_fd());
        }
        if !self.slow.is_empty() {
            // Where that is impossible, they close here, slowly.
            let _ = process::close_elsewhere(std::mem::take(&mut self.slow));
        }
    }
}
