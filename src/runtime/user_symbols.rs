//! Addresses of processes become names, by the symbols of what they have mapped.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::mappings::{self, FileId, Mapping, Origin};
use super::perf_map::PerfMap;
use crate::demangle::demangle;
use crate::kernel::{DebugPlaces, SourceFrame, Symbols};
use crate::mapped::Bytes;
use crate::value::{Frame, FrameKind};

/// Names addresses, of processes that have ended too, if they were remembered while they lived.
pub struct UserSymbols {
    demangle: Demangle,
    detail: Detail,
    places: DebugPlaces,
    processes: HashMap<u32, Noted>,
    images: HashMap<FileId, Image>,
    vdso: Option<Option<Symbols>>,
}

/// Whether names of C++ and Rust are shown as written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demangle {
    Yes,
    No,
}

/// What is shown of code beside the name of its function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    None,
    /// Places in the source, and the functions that the compiler put into others.
    Source,
}

/// What is known of a process's code.
struct Noted {
    /// When it was last looked at.
    at: Instant,
    /// The mappings as they are, then as they were before: stacks may be older than the last look, and another program may have
    /// taken the place of the first.
    code: Vec<Vec<Mapping>>,
    jit: Option<PerfMap>,
}

/// A file that some process has mapped. It is mapped here too, as it may go with the process's container.
enum Image {
    Unread(Bytes),
    Read(Option<Symbols>),
}

/// Mappings of a live process are taken for current for so long, and for so long even if they lack an address.
const FRESH: Duration = Duration::from_secs(1);
const SHORTLY: Duration = Duration::from_millis(20);

/// How many states of a process's mappings are kept.
const STATES: usize = 4;

impl UserSymbols {
    pub fn new(demangle: Demangle, detail: Detail, places: DebugPlaces) -> UserSymbols {
        UserSymbols { demangle, detail, places, processes: HashMap::new(), images: HashMap::new(), vdso: None }
    }

    /// Notes what a process has mapped, for the time when it is gone.
    pub fn remember(&mut self, pid: u32) {
        let code = mappings::of_process(pid);
        // A process that is gone already keeps what was noted before, if anything.
        if code.is_empty() {
            return;
        }
        for mapping in &code {
            if let Origin::File { id, path, .. } = &mapping.origin
                && !self.images.contains_key(id)
                && let Some(bytes) = open(pid, mapping, path)
            {
                self.images.insert(id.clone(), Image::Unread(bytes));
            }
        }
        let noted = self.processes.entry(pid).or_insert(Noted { at: Instant::now(), code: Vec::new(), jit: None });
        if noted.jit.is_none() && code.iter().any(|mapping| mapping.origin == Origin::Anonymous) {
            noted.jit = PerfMap::open(pid);
        }
        noted.update(code);
    }

    pub fn frames(&mut self, pid: u32, addresses: &[u64]) -> Vec<Frame> {
        self.look_again(pid, addresses);
        let frames = |(index, address): (usize, &u64)| {
            let frame = self.frame(pid, *address);
            // Those behind the first are return addresses: the line of the call is that of the byte before.
            let running = if index == 0 { *address } else { address - 1 };
            match self.detail {
                Detail::None => vec![frame],
                Detail::Source => self.detailed(pid, frame, running),
            }
        };
        addresses.iter().enumerate().flat_map(frames).collect()
    }

    /// The frame with its place in the source, after those of functions that are part of it.
    fn detailed(&mut self, pid: u32, frame: Frame, running: u64) -> Vec<Frame> {
        let source = self.file_offset(pid, running).map_or(Vec::new(), |(symbols, offset)| symbols.source(offset));
        let Some((outer, inlined)) = source.split_last() else { return vec![frame] };
        let inner = |of: &SourceFrame| {
            let symbol = of.function.as_deref().map(|name| self.shown(name));
            let (place, module, kind) = (of.place.clone(), frame.module.clone(), FrameKind::Inlined);
            Frame { symbol, place, module, kind, ..Frame::bare(frame.address) }
        };
        let mut frames: Vec<Frame> = inlined.iter().map(inner).collect();
        frames.push(Frame { place: outer.place.clone(), ..frame });
        frames
    }

    /// The file that an address lies in, and where in it.
    fn file_offset(&mut self, pid: u32, address: u64) -> Option<(&Symbols, u64)> {
        let mapping = self.processes.get(&pid)?.mapping(address)?;
        let Origin::File { id, path, offset } = &mapping.origin else { return None };
        let offset = address - mapping.addresses.start + offset;
        Some((self.images.get_mut(id)?.symbols(path, &self.places)?, offset))
    }

    fn shown(&self, name: &str) -> String {
        let shown = Some(name).filter(|_| self.demangle == Demangle::Yes).and_then(demangle);
        shown.map_or_else(|| name.to_string(), |name| name.full)
    }

    /// What is known of a process may be out of date, above all if it lacks an address.
    fn look_again(&mut self, pid: u32, addresses: &[u64]) {
        let noted = self.processes.get(&pid);
        let is_known = |address: &u64| noted.is_some_and(|noted| noted.mapping(*address).is_some());
        let lasts = if addresses.iter().all(is_known) { FRESH } else { SHORTLY };
        if noted.is_none_or(|noted| noted.at.elapsed() >= lasts) {
            self.remember(pid);
        }
        // Programs write a map once they have made code, which may be after their mappings were noted.
        if let Some(noted) = self.processes.get_mut(&pid)
            && noted.jit.is_none()
            && addresses.iter().any(|address| noted.is_made_at_run_time(*address))
        {
            noted.jit = PerfMap::open(pid);
        }
    }

    /// The files that addresses lie in, by their build ids, and where in them.
    pub fn builds(&mut self, pid: u32, addresses: &[u64]) -> Vec<Frame> {
        self.look_again(pid, addresses);
        addresses.iter().map(|address| Frame { build: self.build(pid, *address), ..Frame::bare(*address) }).collect()
    }

    fn build(&mut self, pid: u32, address: u64) -> Option<(String, u64)> {
        let (symbols, offset) = self.file_offset(pid, address)?;
        Some((symbols.build_id()?.to_string(), offset))
    }

    fn frame(&mut self, pid: u32, address: u64) -> Frame {
        let bare = Frame::bare(address);
        let Some(noted) = self.processes.get_mut(&pid) else { return bare };
        let Some(mapping) = noted.mapping(address).cloned() else { return bare };
        let (found, module) = match mapping.origin {
            Origin::File { id, path, offset } => {
                let image = self.images.get_mut(&id).and_then(|image| image.symbols(&path, &self.places));
                (image.and_then(|symbols| symbols.find(address - mapping.addresses.start + offset)), path)
            }
            Origin::Vdso => {
                let vdso = self.vdso.get_or_insert_with(own_vdso).as_ref();
                (vdso.and_then(|symbols| symbols.find(address - mapping.addresses.start)), "[vdso]".to_string())
            }
            Origin::Anonymous => {
                let Some(jit) = &mut noted.jit else { return bare };
                let path = jit.path.clone();
                (jit.find(address), path)
            }
        };
        let Some((name, offset)) = found else { return bare };
        let name = name.to_string();
        Frame { symbol: Some(self.shown(&name)), offset, module: Some(module), ..bare }
    }
}

impl Noted {
    fn update(&mut self, code: Vec<Mapping>) {
        self.at = Instant::now();
        if self.code.first() != Some(&code) {
            self.code.insert(0, code);
            self.code.truncate(STATES);
        }
    }

    fn is_made_at_run_time(&self, address: u64) -> bool {
        self.mapping(address).is_some_and(|mapping| mapping.origin == Origin::Anonymous)
    }

    /// What lies at an address, or lay there last.
    fn mapping(&self, address: u64) -> Option<&Mapping> {
        self.code.iter().flatten().find(|mapping| mapping.addresses.contains(&address))
    }
}

impl Image {
    fn symbols(&mut self, path: &str, places: &DebugPlaces) -> Option<&Symbols> {
        if let Image::Unread(bytes) = self {
            let bytes = std::mem::replace(bytes, Bytes::Owned(Vec::new()));
            *self = Image::Read(Symbols::read(bytes, Path::new(path), places));
        }
        match self {
            Image::Read(symbols) => symbols.as_ref(),
            Image::Unread(_) => None,
        }
    }
}

/// The file behind a mapping: through the mapping itself, which reaches into containers and files that were removed but takes
/// privilege, or by its path there or here.
pub fn open(pid: u32, mapping: &Mapping, path: &str) -> Option<Bytes> {
    let range = &mapping.addresses;
    let itself = PathBuf::from(format!("/proc/{pid}/map_files/{:x}-{:x}", range.start, range.end));
    let there = PathBuf::from(format!("/proc/{pid}/root{path}"));
    [itself, there, PathBuf::from(path)].iter().find_map(|path| Bytes::open(path).ok())
}

/// The library that the kernel maps into every process.
fn own_vdso() -> Option<Symbols> {
    let all = mappings::of_process(std::process::id());
    let mapping = all.into_iter().find(|mapping| mapping.origin == Origin::Vdso)?;
    let mut bytes = vec![0; (mapping.addresses.end - mapping.addresses.start) as usize];
    let mut memory = File::open("/proc/self/mem").ok()?;
    memory.seek(SeekFrom::Start(mapping.addresses.start)).ok()?;
    memory.read_exact(&mut bytes).ok()?;
    Symbols::read(Bytes::Owned(bytes), Path::new("[vdso]"), &DebugPlaces::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    extern "C" fn marked() {}

    #[test]
    fn names_our_own_function() {
        let mut symbols = UserSymbols::new(Demangle::Yes, Detail::None, DebugPlaces::default());
        let address = marked as extern "C" fn() as usize as u64;
        let frames = symbols.frames(std::process::id(), &[address, 1]);
        assert!(frames[0].symbol.as_ref().is_some_and(|name| name.contains("marked")), "{frames:?}");
        assert_eq!((frames[0].offset, &frames[1].symbol), (0, &None));
    }

    #[test]
    fn the_kernel_has_a_library_in_every_process() {
        assert!(own_vdso().is_some_and(|symbols| symbols.build_id().is_some()));
    }

    /// Looking again when a process is at its end must not lose what was seen before.
    #[test]
    fn a_process_that_ended_keeps_its_names() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mut symbols = UserSymbols::new(Demangle::Yes, Detail::None, DebugPlaces::default());
        let pid = child.id();
        let libc = |mapping: &&Mapping| matches!(&mapping.origin, Origin::File { path, .. } if path.contains("libc"));
        let since = Instant::now();
        let libc = loop {
            let code = mappings::of_process(pid);
            match code.iter().find(libc) {
                Some(mapping) => break mapping.addresses.clone(),
                None => assert!(since.elapsed() < Duration::from_secs(10)),
            }
        };
        symbols.remember(pid);
        child.kill().unwrap();
        child.wait().unwrap();
        symbols.remember(pid);
        let addresses: Vec<u64> = libc.step_by(4096).collect();
        assert!(symbols.frames(pid, &addresses).iter().any(|frame| frame.symbol.is_some()));
    }
}
