//! A kernel as a script sees it that defines types of its own, or traces programs whose types are known.

use std::ops::Range;
use std::sync::Arc;

use super::{Binary, Described, DescribedFunction, Feature, Kernel, TracepointFormat, Wanted, dwarf};
use crate::btf::Btf;
use crate::btf::build::Builder;
use crate::error::Result;

/// Answers as the kernel does, except for types.
pub struct WithTypes<'a> {
    pub kernel: &'a dyn Kernel,
    /// The kernel's, and those of the script and of programs that it traces.
    pub types: &'a Btf,
    /// Functions of those programs.
    pub functions: &'a [DescribedFunction],
}

impl Kernel for WithTypes<'_> {
    fn btf(&self) -> Option<&Btf> {
        Some(self.types)
    }

    fn types_are_its_own(&self) -> bool {
        self.kernel.types_are_its_own()
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
        let found = self.functions.iter().find(|function| function.path == path && function.offset == offset)?;
        Some(&found.described)
    }

    fn line(&self, path: &str, line: dwarf::Line<'_>) -> Result<Option<dwarf::LineFound>> {
        self.kernel.line(path, line)
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
}
