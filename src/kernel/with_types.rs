//! A kernel as a script sees it that defines types of its own, or traces modules and programs whose types are known.

use std::ops::Range;
use std::sync::Arc;

use super::{
    Binary, DebugPlaces, Described, DescribedFunction, Feature, Home, Kernel, Loaded, TracepointFormat, Wanted, dwarf,
};
use crate::btf::build::Builder;
use crate::btf::{Btf, Foreign, Grafted};
use crate::error::Result;

/// Answers as the kernel does, except for types.
pub struct WithTypes<'a> {
    pub kernel: &'a dyn Kernel,
    /// The kernel's, those of modules and BPF programs, and those of the script and of programs that it traces.
    pub types: &'a Btf,
    /// Functions of those programs, by path and offset.
    pub functions: &'a [DescribedFunction],
    /// Modules and BPF programs that it traces.
    pub grafts: &'a [(Home, Grafted)],
}

/// The kernel's types, and behind them those of modules and BPF programs.
pub struct Grown {
    pub types: Arc<Btf>,
    pub grafts: Vec<(Home, Grafted)>,
}

impl Grown {
    /// With the types of these, as far as they have any; `None` if there are none.
    pub fn of(kernel: &dyn Kernel, homes: Vec<Home>) -> Result<Option<Grown>> {
        let found = homes.into_iter().filter_map(|home| Some((kernel.foreign_types(&home)?, home)));
        let (foreign, homes): (Vec<Foreign>, Vec<Home>) = found.unzip();
        // To open the kernel's types takes a quarter of what a small program takes to start.
        let Some(own) = (!homes.is_empty()).then(|| kernel.btf()).flatten() else { return Ok(None) };
        let (types, grafted) = own.with(&foreign)?;
        Ok(Some(Grown { types: Arc::new(types), grafts: homes.into_iter().zip(grafted).collect() }))
    }

    /// The kernel as a script sees it that names functions of theirs.
    pub fn over<'a>(&'a self, kernel: &'a dyn Kernel) -> WithTypes<'a> {
        WithTypes { kernel, types: &self.types, functions: &[], grafts: &self.grafts }
    }
}

impl Kernel for WithTypes<'_> {
    fn btf(&self) -> Option<&Btf> {
        Some(self.types)
    }

    fn types_are_its_own(&self) -> bool {
        self.kernel.types_are_its_own()
    }

    fn grafts(&self) -> &[(Home, Grafted)] {
        self.grafts
    }

    fn modules(&self) -> Vec<String> {
        self.kernel.modules()
    }

    fn foreign_types(&self, home: &Home) -> Option<Foreign> {
        self.kernel.foreign_types(home)
    }

    fn programs(&self) -> Vec<Loaded> {
        self.kernel.programs()
    }

    fn version(&self) -> (u32, u32) {
        self.kernel.version()
    }

    fn cpus(&self) -> u32 {
        self.kernel.cpus()
    }

    fn has(&self, feature: Feature) -> bool {
        self.kernel.has(feature)
    }

    fn tracepoint(&self, category: &str, event: &str) -> Result<Option<TracepointFormat>> {
        self.kernel.tracepoint(category, event)
    }

    fn tracepoints(&self) -> Result<Vec<String>> {
        self.kernel.tracepoints()
    }

    fn functions(&self) -> Result<Vec<String>> {
        self.kernel.functions()
    }

    fn symbol(&self, name: &str) -> Option<u64> {
        self.kernel.symbol(name)
    }

    fn files(&self, name: &str, process: Option<u32>) -> Vec<String> {
        self.kernel.files(name, process)
    }

    fn binary(&self, path: &str) -> Result<Arc<Binary>> {
        self.kernel.binary(path)
    }

    fn describe(&self, path: &str, wanted: &Wanted, types: &mut Builder) -> Result<Vec<DescribedFunction>> {
        self.kernel.describe(path, wanted, types)
    }

    fn described(&self, path: &str, offset: u64) -> Option<&Described> {
        let place = |function: &DescribedFunction| (function.path.as_str(), function.offset).cmp(&(path, offset));
        let index = self.functions.binary_search_by(place).ok()?;
        Some(&self.functions[index].described)
    }

    fn line(&self, path: &str, line: dwarf::Line<'_>) -> Result<Option<dwarf::LineFound>> {
        self.kernel.line(path, line)
    }

    fn debug_places(&self) -> DebugPlaces {
        self.kernel.debug_places()
    }

    fn code(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.kernel.code(path, range)
    }

    fn cgroup(&self, path: &str) -> Result<u64> {
        self.kernel.cgroup(path)
    }

    fn pid_namespace(&self) -> Option<(u64, u64)> {
        self.kernel.pid_namespace()
    }

    fn own_number(&self, pid: u32) -> Option<((u64, u64), u32)> {
        self.kernel.own_number(pid)
    }
}
