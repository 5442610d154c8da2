//! A folder of files as a [`Kernel`], so that checking and code generation are tested alike on every machine.
//!
//! The folder holds `version` (`6.18`), `cpus` (`4`), `features` (names of [`Feature`], one a line; `Call NAME KIND` for [`Feature::Call`]), `functions` (one a line),
//! `symbols` (as `/proc/kallsyms`), `cgroups` (a path and its id a line), `tracepoints/CATEGORY/EVENT/format` and `btf`, all of them copied from a kernel, and
//! `binaries/NAME.txt`: the path, then `function offset size` and
//! `marker provider name offset semaphore arguments` lines, and `go` if it is written in Go (its first megabyte is mapped at address 0). All but `version` may be missing.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::kallsyms::Kallsyms;
use super::{
    Binary, DescribedFunction, Feature, Function, Home, Kernel, Loaded, Marker, Segment, Stacks, TracepointFormat,
    Wanted, dwarf, tracefs,
};
use crate::btf::build::Builder;
use crate::btf::{Btf, Foreign};
use crate::error::{Error, Result};
use crate::names;

/// How a line begins that names a function which programs may call.
const CALL: &str = "Call ";

/// A kernel that exists on paper.
pub struct Fixture {
    root: PathBuf,
    version: (u32, u32),
    cpus: u32,
    features: Vec<String>,
    btf: Option<Btf>,
    symbols: Kallsyms,
}

impl Fixture {
    pub fn open(root: &Path) -> Result<Fixture> {
        let text = |name: &str| fs::read_to_string(root.join(name)).unwrap_or_default();
        let version = text("version");
        let numbers = version.trim().split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let btf = root.join("btf");
        Ok(Fixture {
            root: root.to_path_buf(),
            version: numbers.ok_or_else(|| Error::usage(format!("no kernel version in {}", root.display())))?,
            cpus: text("cpus").trim().parse().unwrap_or(1),
            features: lines(&text("features")),
            btf: btf.exists().then(|| Btf::open_at(&btf)).transpose()?,
            symbols: Kallsyms::parse(text("symbols").into()),
        })
    }

    /// The same kernel without a feature.
    pub fn without(mut self, feature: Feature) -> Fixture {
        let name = self.name_of(feature);
        self.features.retain(|known| *known != name);
        self
    }

    /// The same kernel, whose functions no program may call.
    pub fn without_calls(mut self) -> Fixture {
        self.features.retain(|name| !name.starts_with(CALL));
        self
    }

    fn name_of(&self, feature: Feature) -> String {
        match (feature, &self.btf) {
            (Feature::Call { function, from }, Some(btf)) => format!("{CALL}{} {from:?}", btf.name(function)),
            (feature, _) => format!("{feature:?}"),
        }
    }

    /// Path and lines of each program.
    fn programs(&self) -> impl Iterator<Item = (String, String)> {
        let folder = self.root.join("binaries");
        let texts = names_in(&folder).into_iter().filter_map(move |file| fs::read_to_string(folder.join(file)).ok());
        texts.filter_map(|text| text.split_once('\n').map(|(path, lines)| (path.to_string(), lines.to_string())))
    }

    fn events(&self, category: &str) -> Vec<String> {
        names_in(&self.root.join("tracepoints").join(category))
    }
}

impl Kernel for Fixture {
    fn version(&self) -> (u32, u32) {
        self.version
    }

    fn cpus(&self) -> u32 {
        self.cpus
    }

    fn has(&self, feature: Feature) -> bool {
        self.features.contains(&self.name_of(feature))
    }

    fn btf(&self) -> Option<&Btf> {
        self.btf.as_ref()
    }

    fn types_are_its_own(&self) -> bool {
        true
    }

    fn tracepoint(&self, category: &str, event: &str) -> Result<Option<TracepointFormat>> {
        let path = self.root.join("tracepoints").join(category).join(event).join("format");
        Ok(fs::read_to_string(path).ok().and_then(|text| tracefs::parse_format(&text)))
    }

    fn tracepoints(&self) -> Result<Vec<String>> {
        let categories = names_in(&self.root.join("tracepoints"));
        let full = |category: &String| {
            self.events(category).into_iter().map(|event| format!("{category}:{event}")).collect::<Vec<_>>()
        };
        Ok(categories.iter().flat_map(full).collect())
    }

    fn functions(&self) -> Result<Vec<String>> {
        Ok(lines(&fs::read_to_string(self.root.join("functions")).unwrap_or_default()))
    }

    fn modules(&self) -> Vec<String> {
        Vec::new()
    }

    fn foreign_types(&self, _: &Home) -> Option<Foreign> {
        None
    }

    fn programs(&self) -> Vec<Loaded> {
        Vec::new()
    }

    fn symbol(&self, name: &str) -> Option<u64> {
        self.symbols.address(name)
    }

    fn files(&self, name: &str, _: Option<u32>) -> Vec<String> {
        let last = |path: &str| path.rsplit('/').next().unwrap_or(path).to_string();
        let wanted =
            |path: &String| names::matches(name, path) || !name.contains('/') && names::matches(name, &last(path));
        self.programs().map(|(path, _)| path).filter(wanted).collect()
    }

    fn binary(&self, path: &str) -> Result<Arc<Binary>> {
        let found = self.programs().find(|(known, _)| known == path);
        let (path, lines) = found.ok_or_else(|| Error::usage(format!("cannot read {path}: entity not found")))?;
        let functions = lines.lines().filter_map(parse_function).collect();
        let markers = lines.lines().filter_map(parse_marker).collect();
        let segments = vec![Segment { address: 0, offset: 0, size: 1 << 20 }];
        let stacks = if lines.lines().any(|line| line == "go") { Stacks::Moving } else { Stacks::Fixed };
        Ok(Arc::new(Binary { path, functions, markers, segments, stacks }))
    }

    fn describe(&self, _: &str, _: &Wanted, _: &mut Builder) -> Result<Vec<DescribedFunction>> {
        Ok(Vec::new())
    }

    fn line(&self, _: &str, _: dwarf::Line<'_>) -> Result<Option<dwarf::LineFound>> {
        Ok(None)
    }

    /// One-byte instructions throughout.
    fn code(&self, _: &str, range: Range<u64>) -> Result<Vec<u8>> {
        Ok(vec![0x90; (range.end - range.start) as usize])
    }

    fn cgroup(&self, path: &str) -> Result<u64> {
        let text = fs::read_to_string(self.root.join("cgroups")).unwrap_or_default();
        let found = text.lines().filter_map(|line| line.split_once(' ')).find(|(known, _)| *known == path);
        let id = found.and_then(|(_, id)| id.parse().ok());
        id.ok_or_else(|| Error::usage("No such file or directory"))
    }

    fn pid_namespace(&self) -> Option<(u64, u64)> {
        None
    }

    fn own_number(&self, _: u32) -> Option<((u64, u64), u32)> {
        None
    }
}

/// Reads `function 0xoffset size`.
fn parse_function(line: &str) -> Option<Function> {
    let mut words = line.split_whitespace();
    let name = words.next()?.to_string();
    let offset = u64::from_str_radix(words.next()?.trim_start_matches("0x"), 16).ok()?;
    Some(Function { name, offset, size: words.next()?.parse().ok()? })
}

/// Reads `marker provider name 0xoffset 0xsemaphore arguments`, the semaphore being 0 for none.
fn parse_marker(line: &str) -> Option<Marker> {
    let mut words = line.strip_prefix("marker ")?.splitn(5, ' ');
    let mut word = || words.next().map(str::to_string);
    let (provider, name) = (word()?, word()?);
    let mut number = || u64::from_str_radix(word()?.trim_start_matches("0x"), 16).ok();
    let (offset, semaphore) = (number()?, number().filter(|semaphore| *semaphore != 0));
    Some(Marker { provider, name, offset, semaphore, arguments: word().unwrap_or_default(), variables: Vec::new() })
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_string).collect()
}

/// Names of a folder's entries, sorted.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_from_its_folder() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/kernel");
        let kernel = Fixture::open(&root).unwrap();
        assert_eq!((kernel.version(), kernel.cpus()), ((6, 18), 4));
        assert!(kernel.has(Feature::Kprobes) && !kernel.has(Feature::ModuleBtf));
        assert!(kernel.btf().unwrap().struct_named("task_struct").is_some());
        assert!(kernel.tracepoints().unwrap().contains(&"sched:sched_switch".to_string()));
        assert_eq!(kernel.symbol("vfs_read"), Some(0xffff_ffff_8140_1000));
        assert_eq!(kernel.binary("/bin/bash").unwrap().functions.len(), 7);
        assert!(kernel.binary("/nosuch").is_err() && Fixture::open(Path::new("/nosuch")).is_err());
    }
}
