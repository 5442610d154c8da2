//! Whether this kernel's verifier accepts programs, without attaching them to anything.

use std::ffi::CString;

use super::load::{Loader, Purpose};
use super::maps::{Maps, Pool};
use crate::codegen::Compiled;
use crate::error::Result;
use crate::kernel::Kernel;
use crate::source::Sources;

/// Loads every program, and lets go of it again.
pub fn verify(compiled: &Compiled, sources: &Sources, kernel: &dyn Kernel) -> Result<()> {
    let Compiled { units, plan } = compiled;
    let maps = Maps::create(plan, kernel, &Pool::default())?;
    let license = CString::new(plan.config.license.as_str()).unwrap_or_default();
    let loader = Loader::new(&maps, sources, license);
    // Every unit serves a target.
    let mut firsts = units.iter().filter_map(|unit| Some((unit, unit.targets.first()?)));
    firsts.try_for_each(|(unit, target)| loader.load(unit, &Purpose::of(unit.kind, target)).map(drop))
}
