//! Addresses of processes become names, by the ELF symbols of what they have mapped.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::time::{Duration, Instant};

use blazesym::Pid;
use blazesym::symbolize::cache::{self, Cache};
use blazesym::symbolize::source::{Elf, Process, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};

use crate::value::Frame;

/// Names addresses, of processes that have ended too, if they were remembered while they lived.
pub struct UserSymbols {
    symbolizer: Symbolizer,
    noted: HashMap<u32, Noted>,
}

/// What is known of a process's code.
struct Noted {
    /// When it was last seen to be this.
    at: Instant,
    code: Vec<Mapping>,
}

/// A part of a file that a process has mapped to run it.
#[derive(PartialEq, Eq)]
struct Mapping {
    addresses: Range<u64>,
    /// Where in the file it begins.
    offset: u64,
    path: String,
}

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
        let code = mapped_code(pid);
        // A process that is gone already keeps what was noted before, if anything.
        if code.is_empty() {
            return;
        }
        if self.noted.get(&pid).is_none_or(|noted| noted.code != code) {
            // It may end meanwhile, and then nothing is read here; what is noted remains.
            let _ = self.symbolizer.cache(&Cache::Process(cache::Process::new(Pid::from(pid))));
        }
        self.noted.insert(pid, Noted { at: Instant::now(), code });
    }

    pub fn frames(&mut self, pid: u32, addresses: &[u64]) -> Vec<Frame> {
        let alive = has_memory(pid);
        if alive && self.noted.get(&pid).is_none_or(|noted| noted.at.elapsed() >= FRESH) {
            self.remember(pid);
        }
        let mut process = Process::new(Pid::from(pid));
        process.debug_syms = false;
        // The kernel's own view of mapped files reaches into containers, but goes with the process.
        process.map_files = alive;
        let found = self.symbolizer.symbolize(&Source::Process(process), Input::AbsAddr(addresses)).unwrap_or_default();
        let found = found.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        let name = |(address, found): (&u64, Option<Symbolized<'_>>)| {
            let found = found.filter(|found| matches!(found, Symbolized::Sym(_)));
            frame(*address, found.or_else(|| self.by_file(pid, *address)))
        };
        addresses.iter().zip(found).map(name).collect()
    }

    /// By what was noted of the process: it may have ended since its memory was looked at.
    fn by_file(&self, pid: u32, address: u64) -> Option<Symbolized<'_>> {
        let code = &self.noted.get(&pid)?.code;
        let mapping = code.iter().find(|mapping| mapping.addresses.contains(&address))?;
        let mut file = Elf::new(&mapping.path);
        file.debug_syms = false;
        let offset = address - mapping.addresses.start + mapping.offset;
        self.symbolizer.symbolize_single(&Source::Elf(file), Input::FileOffset(offset)).ok()
    }
}

/// Whether names of C++ and Rust are shown as written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demangle {
    Yes,
    No,
}

/// Whether a process still has its memory: one that has ended but was not yet waited for has none, though `/proc` lists it.
fn has_memory(pid: u32) -> bool {
    let maps = File::open(format!("/proc/{pid}/maps"));
    maps.and_then(|mut maps| maps.read(&mut [0])).is_ok_and(|bytes| bytes > 0)
}

/// The executable mappings of files, as proc_pid_maps(5) tells them; none for a process that has no memory.
fn mapped_code(pid: u32) -> Vec<Mapping> {
    let text = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    text.lines().filter_map(mapping).collect()
}

fn mapping(line: &str) -> Option<Mapping> {
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let is_code = words.next()?.contains('x');
    let offset = number(words.next()?)?;
    let path = words.nth(2)?.trim_start();
    (is_code && path.starts_with('/')).then_some(Mapping {
        addresses: number(start)?..number(end)?,
        offset,
        path: path.to_string(),
    })
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
