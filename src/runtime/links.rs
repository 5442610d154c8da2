//! What is attached, and how to let go of it at once: closing a perf event of a probe makes the kernel wait some 80 ms, each.

use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};

use super::sys::{link, perf, process};
use crate::plan::FEW_WAITS;
use crate::source::Span;

/// Everything attached; dropping it detaches.
#[derive(Default)]
pub struct Links {
    /// Links, which close fast, and what has to be waited for.
    fast: Vec<OwnedFd>,
    /// Perf events of clocks, counters and breakpoints with their links, which close fast too.
    counted: Vec<(OwnedFd, Option<OwnedFd>)>,
    /// Which of the fast links may miss hits, and what they are called.
    missing: Vec<(String, usize)>,
    clocks: Vec<Clock>,
    /// Addresses of watchpoints, and which of the counted events are theirs.
    watchpoints: Vec<(u64, Range<usize>)>,
    /// Perf events of tracepoints, kprobes and uprobes.
    slow: Vec<OwnedFd>,
    /// How many of those there were, each of which has the kernel wait when its program goes.
    waits: usize,
}

/// One of the counted events that ticks at known times.
struct Clock {
    /// Where its target stands in the script.
    target: Span,
    period: u64,
    event: usize,
}

/// After how many nanoseconds a tick that has not come counts as missing, at the least.
const LATE: u64 = 1_000_000;

impl Links {
    pub fn add_fast(&mut self, fds: impl IntoIterator<Item = OwnedFd>) {
        self.fast.extend(fds);
    }

    /// Says what the last link is called, as the kernel may count what it misses.
    pub fn count_missed(&mut self, name: &str) {
        if let Some(last) = self.fast.len().checked_sub(1) {
            self.missing.push((name.to_string(), last));
        }
    }

    /// Hits that the kernel could not pass on. Kernels before 6.7 do not tell.
    pub fn missed(&self) -> Vec<(String, u64)> {
        let counted = self.missing.iter().map(|(name, at)| (name, link::missed(self.fast[*at].as_fd()).unwrap_or(0)));
        counted.filter(|(_, count)| *count > 0).map(|(name, count)| (name.clone(), count)).collect()
    }

    pub fn add_counted(&mut self, event: OwnedFd, link: Option<OwnedFd>) {
        self.counted.push((event, link));
    }

    /// Says that the last counted event ticks, after so many nanoseconds each.
    pub fn add_clock(&mut self, target: Span, period: u64) {
        let Some(event) = self.counted.len().checked_sub(1) else { return };
        self.clocks.push(Clock { target, period, event });
    }

    /// Stops the clocks; tells how often each should have ticked until then, by the places of their targets.
    pub fn stop_clocks(&mut self) -> Vec<(Span, u64)> {
        let due = |Clock { target, period, event }| {
            let event = self.counted[event].0.as_fd();
            // One that cannot be stopped ticks until it is closed, and one that cannot be read has not begun to count.
            let _ = perf::disable(event);
            let counted = perf::enabled(event).unwrap_or(0);
            (target, counted.saturating_sub(LATE.max(period / 10)) / period)
        };
        std::mem::take(&mut self.clocks).into_iter().map(due).collect()
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

    /// A perf event of a probe, and the link on it (where the kernel has such links). Closing the link takes the program away, for
    /// which kernels since 6.13 wait; switching off the event would not, as programs run before it counts. Without a link the program
    /// goes with the event only, which must then be waited for.
    pub fn add_slow(&mut self, event: OwnedFd, link: Option<OwnedFd>) {
        self.waits += 1;
        match link {
            Some(link) => {
                self.slow.push(event);
                self.fast.push(link);
            }
            None => self.fast.push(event),
        }
    }
}

impl Links {
    /// Takes all programs away, however long the kernel waits for that.
    pub fn detach(mut self) {
        self.fast.clear();
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        // Many together are worth more than that no program runs once more while the reports are printed.
        if self.waits > FEW_WAITS {
            self.slow.append(&mut self.fast);
        }
        self.fast.clear();
        self.counted.clear();
        if !self.slow.is_empty() {
            // Where that is impossible, they close here, slowly.
            let _ = process::close_elsewhere(std::mem::take(&mut self.slow));
        }
    }
}
