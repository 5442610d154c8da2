//! Addresses of processes become names, by the ELF symbols of what they have mapped.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use blazesym::Pid;
use blazesym::symbolize::cache::{self, Cache};
use blazesym::symbolize::source::{Process, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};

use crate::value::Frame;

/// Names addresses, of processes that have ended too, if they were remembered while they lived.
pub struct UserSymbols {
    symbolizer: Symbolizer,
    /// When each process's mappings were last noted.
    noted: HashMap<u32, Instant>,
}

/// Mappings noted so recently are not read again.
const JUST_NOW: Duration = Duration::from_millis(500);

/// Mappings of a live process are taken for current for so long.
const FRESH: Duration = Duration::from_secs(1);

impl UserSymbols {
    pub fn new(demangle: Demangle) -> UserSymbols {
        let symbolizer = Symbolizer::builder()
            .enable_auto_reload(false)
            .enable_code_info(false)
            .enable_inlined_fns(false)
            .enable_demangling(demangle == Demangle::Yes)
            .build();
        UserSymbols { symbolizer, noted: HashMap::new() }
    }

    /// Notes what a process has mapped, for the time when it is gone.
    pub fn remember(&mut self, pid: u32) {
        // A process may end while its mappings are read; what was read just before is better than that.
        if self.noted.get(&pid).is_some_and(|noted| noted.elapsed() < JUST_NOW) {
            return;
        }
        // A process that is gone already keeps what was noted before, if anything.
        if has_memory(pid) && self.symbolizer.cache(&Cache::Process(cache::Process::new(Pid::from(pid)))).is_ok() {
            self.noted.insert(pid, Instant::now());
        }
    }

    pub fn frames(&mut self, pid: u32, addresses: &[u64]) -> Vec<Frame> {
        let alive = has_memory(pid);
        if alive && self.noted.get(&pid).is_none_or(|noted| noted.elapsed() >= FRESH) {
            self.remember(pid);
        }
        // The kernel's own view of mapped files reaches into containers, but goes with the process.
        let through = if alive { Files::OfKernel } else { Files::ByPath };
        let frames = self.look_up(pid, addresses, through);
        if alive && !has_memory(pid) { self.look_up(pid, addresses, Files::ByPath) } else { frames }
    }

    fn look_up(&self, pid: u32, addresses: &[u64], through: Files) -> Vec<Frame> {
        let mut process = Process::new(Pid::from(pid));
        process.debug_syms = false;
        process.map_files = through == Files::OfKernel;
        let found = self.symbolizer.symbolize(&Source::Process(process), Input::AbsAddr(addresses)).unwrap_or_default();
        let found = found.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        addresses.iter().zip(found).map(|(address, found)| frame(*address, found)).collect()
    }
}

/// How the files that a process has mapped are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Files {
    /// By `/proc/PID/map_files`.
    OfKernel,
    ByPath,
}

/// Whether names of C++ and Rust are shown as written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demangle {
    Yes,
    No,
}

/// Whether a process still has its memory: one that has ended but was not yet waited for has none, though `/proc` lists it.
fn has_memory(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/maps")).is_ok_and(|maps| !maps.is_empty())
}

fn frame(address: u64, found: Option<Symbolized<'_>>) -> Frame {
    match found {
        Some(Symbolized::Sym(symbol)) => Frame {
            address,
            symbol: Some(symbol.name.into_owned()),
            offset: symbol.offset as u64,
            module: symbol.module.map(|module| module.to_string_lossy().into_owned()),
        },
        Some(Symbolized::Unknown(_)) | None => Frame { address, symbol: None, offset: 0, module: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    extern "C" fn marked() {}

    #[test]
    fn names_our_own_function() {
        let mut symbols = UserSymbols::new(Demangle::Yes);
        let address = marked as extern "C" fn() as usize as u64;
        let frames = symbols.frames(std::process::id(), &[address, 1]);
        assert!(frames[0].symbol.as_ref().is_some_and(|name| name.contains("marked")), "{frames:?}");
        assert_eq!((frames[0].offset, &frames[1].symbol), (0, &None));
    }
}
