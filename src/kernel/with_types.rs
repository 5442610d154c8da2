//! A kernel as a script sees it that defines types of its own.

use std::ops::Range;
use std::sync::Arc;

use super::{Binary, Feature, Kernel, Parameter, TracepointFormat, dwarf};
use crate::btf::Btf;
use crate::error::Result;

/// Answers as the kernel does, except for types.
pub struct WithTypes<'a> {
    pub kernel: &'a dyn Kernel,
    /// The kernel's, and those of the script.
    pub types: &'a Btf,
}

impl Kernel for WithTypes<'_> {
    fn btf(&self) -> Option<&Btf> {
        Some(self.types)
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

    fn parameters(&self, path: &str, offset: u64) -> Result<Option<Vec<Parameter>>> {
        self.kernel.parameters(path, offset)
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
