//! This machine as a [`Kernel`]: every answer is looked up when first asked for, and kept.

use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::debug_files::DebugPlaces;
use super::kallsyms::Kallsyms;
use super::mounts::Mount;
use super::tracefs::Tracefs;
use super::vmlinux::{self, Vmlinux};
use super::{
    Binary, DescribedFunction, Feature, Home, Kernel, Loaded, TracepointFormat, Wanted, dwarf, elf, namespaces, paths,
};
use crate::btf::build::Builder;
use crate::btf::{Basis, Btf, Foreign, Kind};
use crate::errno;
use crate::error::{Error, Result};

/// Tells by trying whether the kernel accepts a program or link of this kind, given its types. Asked only for
/// [`Feature::KprobeMulti`], [`Feature::UprobeMulti`], [`Feature::Trampolines`], [`Feature::TracingMulti`], [`Feature::Iterators`] and
/// [`Feature::Call`], which no file and no version tells.
pub type Probe = fn(Feature, Option<&Btf>) -> bool;

/// What only the `bpf` system call tells of BPF programs.
#[derive(Clone, Copy)]
pub struct Programs {
    pub all: fn() -> Vec<Loaded>,
    /// The types of the one with this number.
    pub types: fn(u32) -> Option<Vec<u8>>,
}

/// The running kernel.
pub struct Live {
    probe: Probe,
    programs: Option<Programs>,
    tracefs: Tracefs,
    version: OnceLock<(u32, u32)>,
    btf: OnceLock<Option<Btf>>,
    types: Types,
    symbols: OnceLock<Kallsyms>,
    image: Option<Vmlinux>,
    events: OnceLock<Vec<String>>,
    /// By category and event, as checking asks for each many times and the kernel writes the file anew for each reader.
    formats: Mutex<HashMap<(String, String), Option<TracepointFormat>>>,
    pid_namespace: OnceLock<Option<(u64, u64)>>,
    functions: OnceLock<Vec<String>>,
    features: Mutex<HashMap<Feature, bool>>,
    binaries: Mutex<HashMap<String, Arc<Binary>>>,
    debug_places: DebugPlaces,
}

/// Whose types are at hand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Types {
    Own,
    OfAFile,
}

impl Live {
    pub fn new(probe: Probe) -> Live {
        Live {
            probe,
            programs: None,
            tracefs: Tracefs::default(),
            version: OnceLock::new(),
            btf: OnceLock::new(),
            types: Types::Own,
            symbols: OnceLock::new(),
            image: None,
            events: OnceLock::new(),
            formats: Mutex::default(),
            pid_namespace: OnceLock::new(),
            functions: OnceLock::new(),
            features: Mutex::default(),
            binaries: Mutex::default(),
            debug_places: DebugPlaces::default(),
        }
    }

    /// The same kernel, with a way to ask for BPF programs.
    pub fn with_programs(self, programs: Programs) -> Live {
        Live { programs: Some(programs), ..self }
    }

    /// The same kernel, with features that are not to be used.
    pub fn without(self, features: &[Feature]) -> Live {
        self.features().extend(features.iter().map(|feature| (*feature, false)));
        self
    }

    /// The same kernel, with its types read from a file.
    pub fn with_types(self, path: &str) -> Result<Live> {
        let btf = Btf::open_at(Path::new(path))?;
        Ok(Live { btf: OnceLock::from(Some(btf)), types: Types::OfAFile, ..self })
    }

    /// The same kernel, with its image, whose symbols are looked up where the kernel itself tells of none.
    pub fn with_image(self, path: &str) -> Result<Live> {
        Ok(Live { image: Some(Vmlinux::open(Path::new(path))?), ..self })
    }

    /// The same kernel, with the functions that may be traced from a file, one a line, as the kernel's own list has them.
    pub fn with_functions(self, path: &str) -> Result<Live> {
        let text = fs::read_to_string(path).map_err(|error| {
            let reason = errno::describe(error.raw_os_error().unwrap_or_default().into());
            Error::usage(format!("Could not read functions from '{path}': {reason}"))
        })?;
        Ok(Live { functions: OnceLock::from(super::tracefs::parse_functions(&text, "")), ..self })
    }

    /// The same kernel, with places in which debug information of programs is looked for first.
    pub fn with_debug_places(self, debug_places: DebugPlaces) -> Live {
        Live { debug_places, ..self }
    }

    /// The tracefs in use, once it was needed: `-v` tells if rtrace mounted it.
    pub fn tracefs(&self) -> Option<&Mount> {
        self.tracefs.mount()
    }

    /// Reading all symbols takes the kernel 40 ms or more, so this waits until somebody asks.
    fn symbols(&self) -> &Kallsyms {
        self.symbols.get_or_init(Kallsyms::read)
    }

    /// What was found out so far.
    fn features(&self) -> MutexGuard<'_, HashMap<Feature, bool>> {
        self.features.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Programs and libraries read so far.
    fn binaries(&self) -> MutexGuard<'_, HashMap<String, Arc<Binary>>> {
        self.binaries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What no file tells is told by the version in which it came; a vendor's kernel may have it earlier, at no harm.
    fn find_out(&self, feature: Feature) -> bool {
        match feature {
            // The event source that perf attaches kprobes with.
            Feature::Kprobes => Path::new("/sys/bus/event_source/devices/kprobe").exists(),
            Feature::KprobeMulti => self.has(Feature::Kprobes) && (self.probe)(feature, None),
            Feature::UprobeMulti | Feature::Trampolines => (self.probe)(feature, None),
            Feature::TracingMulti => self.has(Feature::Trampolines) && (self.probe)(feature, None),
            Feature::Iterators => (self.probe)(feature, self.btf()),
            Feature::Call { .. } => self.version() >= (5, 13) && (self.probe)(feature, self.btf()),
            Feature::PerfLink | Feature::FuncIp | Feature::Cookie => self.version() >= (5, 15),
            Feature::RawTracepointCookie => self.version() >= (6, 10),
            Feature::Loop | Feature::FuncResult => self.version() >= (5, 17),
            Feature::LoopRounds => self.version() >= (6, 7),
            Feature::TaskPointers => self.version() >= (5, 11) && self.types_are_its_own(),
            Feature::LargeKeys => self.version() >= (5, 11),
            Feature::PerCpuLookup | Feature::TracingCookie => self.version() >= (5, 19),
            Feature::ForEachMapElem => self.version() >= (5, 13),
            Feature::UnallocatedHash | Feature::TaiClock => self.version() >= (6, 1),
            Feature::RawTracepointsUnpreempted => self.version() < (7, 0),
            Feature::ModuleBtf => fs::read_dir(MODULES).is_ok_and(|entries| entries.count() > 1),
        }
    }

    /// Functions that have both a type and an address: those that ftrace may hook are mostly among them.
    fn typed_functions(&self) -> Vec<String> {
        let Some(btf) = self.btf() else { return Vec::new() };
        let typed: HashSet<&str> = btf.all(Kind::Func).map(|(name, _)| name).collect();
        let mut names: Vec<String> = self
            .symbols()
            .functions()
            .filter(|(module, name)| module.is_none() && typed.contains(name))
            .map(|(_, name)| name.to_string())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl Kernel for Live {
    fn version(&self) -> (u32, u32) {
        *self.version.get_or_init(|| {
            let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
            parse_version(&release).unwrap_or((0, 0))
        })
    }

    fn cpus(&self) -> u32 {
        let list = fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
        count_cpus(&list).unwrap_or(1)
    }

    fn has(&self, feature: Feature) -> bool {
        if let Some(known) = self.features().get(&feature) {
            return *known;
        }
        let found = self.find_out(feature);
        self.features().insert(feature, found);
        found
    }

    fn btf(&self) -> Option<&Btf> {
        self.btf.get_or_init(|| Btf::open().ok()).as_ref()
    }

    fn types_are_its_own(&self) -> bool {
        self.types == Types::Own
    }

    fn tracepoint(&self, category: &str, event: &str) -> Result<Option<TracepointFormat>> {
        let mut formats = self.formats.lock().unwrap_or_else(PoisonError::into_inner);
        match formats.entry((category.to_string(), event.to_string())) {
            Occupied(read) => Ok(read.get().clone()),
            Vacant(unread) => Ok(unread.insert(self.tracefs.format(category, event)?).clone()),
        }
    }

    fn tracepoints(&self) -> Result<Vec<String>> {
        if let Some(events) = self.events.get() {
            return Ok(events.clone());
        }
        let events = self.tracefs.events()?;
        Ok(self.events.get_or_init(|| events).clone())
    }

    fn functions(&self) -> Result<Vec<String>> {
        let functions =
            self.functions.get_or_init(|| self.tracefs.functions().unwrap_or_else(|| self.typed_functions()));
        Ok(functions.clone())
    }

    fn modules(&self) -> Vec<String> {
        let entries = fs::read_dir(MODULES).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut modules: Vec<String> = names.filter(|name| name != KERNEL).collect();
        modules.sort_unstable();
        modules
    }

    fn foreign_types(&self, home: &Home) -> Option<Foreign> {
        match home {
            Home::Kernel => None,
            Home::Module(name) if name.contains(['/', '.']) => None,
            Home::Module(name) => {
                let blob = fs::read(Path::new(MODULES).join(name)).ok()?;
                Some(Foreign { blob, basis: Basis::Kernel })
            }
            Home::Program(id) => Some(Foreign { blob: (self.programs?.types)(*id)?, basis: Basis::Own }),
        }
    }

    fn programs(&self) -> Vec<Loaded> {
        self.programs.map_or(Vec::new(), |programs| (programs.all)())
    }

    fn symbol(&self, name: &str) -> Option<u64> {
        let symbols = self.symbols();
        let in_image = || self.image.as_ref()?.symbol(name, symbols.address(vmlinux::START)?);
        symbols.address(name).or_else(in_image)
    }

    fn files(&self, name: &str, process: Option<u32>) -> Vec<String> {
        paths::find(name, process)
    }

    fn describe(&self, path: &str, wanted: &Wanted, types: &mut Builder) -> Result<Vec<DescribedFunction>> {
        elf::describe(path, wanted, types, &self.debug_places)
    }

    fn line(&self, path: &str, line: dwarf::Line<'_>) -> Result<Option<dwarf::LineFound>> {
        elf::line(path, line, &self.debug_places)
    }

    fn debug_places(&self) -> DebugPlaces {
        self.debug_places.clone()
    }

    fn code(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>> {
        elf::code(path, range)
    }

    fn binary(&self, path: &str) -> Result<Arc<Binary>> {
        if let Some(known) = self.binaries().get(path) {
            return Ok(Arc::clone(known));
        }
        let binary = Arc::new(elf::read(path, &self.debug_places)?);
        self.binaries().insert(path.to_string(), Arc::clone(&binary));
        Ok(binary)
    }

    /// The inode of its folder.
    fn cgroup(&self, path: &str) -> Result<u64> {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => Ok(meta.ino()),
            Ok(_) => Err(Error::usage("Not a directory")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(Error::usage("No such file or directory"))
            }
            Err(error) => Err(Error::usage(error.to_string())),
        }
    }

    fn pid_namespace(&self) -> Option<(u64, u64)> {
        let own = || namespaces::of_process("self").filter(|namespace| !namespaces::is_initial(*namespace));
        *self.pid_namespace.get_or_init(own)
    }

    fn own_number(&self, pid: u32) -> Option<((u64, u64), u32)> {
        self.pid_namespace()?;
        Some((namespaces::of_process(&pid.to_string())?, namespaces::number_within(pid)?))
    }
}

/// Where the kernel shows its own types and those of its modules.
const MODULES: &str = "/sys/kernel/btf";

/// What the kernel's own go by there.
const KERNEL: &str = "vmlinux";

/// Major and minor of `6.18.44-generic`.
fn parse_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// How many CPUs a list such as `0-3,8` names.
fn count_cpus(list: &str) -> Option<u32> {
    let mut count = 0;
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        count += last.parse::<u32>().ok()?.checked_sub(first.parse().ok()?)? + 1;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_cpu_lists() {
        assert_eq!(parse_version("6.18.44-fc-v669\n"), Some((6, 18)));
        assert_eq!((parse_version("5.10"), parse_version("next")), (Some((5, 10)), None));
        assert_eq!((count_cpus("0-3,8\n"), count_cpus("0"), count_cpus("x")), (Some(5), Some(1), None));
    }

    #[test]
    fn answers_for_this_machine() {
        let kernel = Live::new(|_, _| true);
        assert!(kernel.version() > (4, 0) && kernel.cpus() > 0);
        assert!(!kernel.has(Feature::KprobeMulti) || kernel.has(Feature::Kprobes));
        if let Ok(Some(format)) = kernel.tracepoint("sched", "sched_switch") {
            assert!(format.fields.iter().any(|field| field.name == "next_pid" && field.c_type == "pid_t"));
            assert!(kernel.tracepoints().unwrap().binary_search(&"sched:sched_switch".to_string()).is_ok());
            assert_eq!(kernel.tracepoint("sched", "nosuch").unwrap(), None);
        }
        if kernel.symbol("vfs_read").is_some() {
            assert!(kernel.functions().unwrap().iter().any(|name| name == "vfs_read"));
        }
    }

    #[test]
    fn every_format_of_this_machine_is_read() {
        let kernel = Live::new(|_, _| true);
        let Ok(events) = kernel.tracepoints() else { return };
        for (category, event) in events.iter().filter_map(|event| event.split_once(':')) {
            let format = kernel.tracepoint(category, event).unwrap();
            let format = format.unwrap_or_else(|| panic!("{category}:{event}"));
            assert!(format.fields.iter().all(|field| !field.name.is_empty() && !field.c_type.is_empty()), "{event}");
        }
    }
}
