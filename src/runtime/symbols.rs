//! Addresses become names: those of the kernel, and those of processes. So do numbers that have names.

use super::kernel_symbols::KernelSymbols;
use super::names::Names;
use super::user_symbols::{Demangle, Detail, UserSymbols};
use crate::config::Config;
use crate::kernel::DebugPlaces;
use crate::plan::{Plan, Role};
use crate::types::{MapValue, Side, Type};
use crate::value::Frame;

/// Both symbolisers. That for processes is made when first needed.
pub struct Symbols {
    kernel: KernelSymbols,
    user: Option<UserSymbols>,
    demangle: Demangle,
    detail: Detail,
    places: DebugPlaces,
    pub names: Names,
}

impl Symbols {
    /// `places` may have debug files of processes' programs.
    pub fn new(config: &Config, places: DebugPlaces) -> Symbols {
        let demangle = if config.cpp_demangle { Demangle::Yes } else { Demangle::No };
        let detail = if config.show_debug_info { Detail::Source } else { Detail::None };
        Symbols { kernel: KernelSymbols::new(), user: None, demangle, detail, places, names: Names::default() }
    }

    /// Gets ready for what the plan will want: the kernel's symbols are read in the background, and a process that is seen may be
    /// gone within a millisecond.
    pub fn prepare(&mut self, plan: &Plan) {
        if plan.maps.values().any(|map| map.role == Role::SeenProcesses) {
            self.user();
        }
        let in_maps = plan.maps.values().any(|map| match &map.role {
            Role::Stacks(stack) => stack.side == Side::Kernel,
            Role::User { key, value, .. } => {
                key.as_ref().is_some_and(names_kernel) || matches!(value, MapValue::Plain(of) if names_kernel(of))
            }
            Role::Ring(_) | Role::Rings | Role::Packets | Role::Scratch | Role::Counters | Role::Zeros => false,
            Role::SeenProcesses | Role::Cgroup(_) | Role::Over => false,
            Role::Table(_) | Role::UnwindProcesses(_) | Role::UnwindRanges | Role::UnwindRows => false,
        });
        if in_maps || plan.actions.values().any(|action| action.fields.iter().any(|field| names_kernel(&field.ty))) {
            self.kernel.prepare();
        }
    }

    pub fn remember(&mut self, pid: u32) {
        self.user().remember(pid);
    }

    /// The function at a kernel address, or the address.
    pub fn kernel_name(&mut self, address: u64) -> String {
        self.kernel.find(address).map_or_else(|| bare(address), |found| found.name)
    }

    /// The function at an address of a process, or the address.
    pub fn user_name(&mut self, pid: u32, address: u64) -> String {
        let frame = self.user().frames(pid, &[address]).pop();
        frame.and_then(|frame| frame.symbol).unwrap_or_else(|| bare(address))
    }

    /// The frames of a stack; `pid` counts for those of processes.
    pub fn frames(&mut self, side: Side, pid: u32, addresses: &[u64]) -> Vec<Frame> {
        match side {
            Side::User => self.user().frames(pid, addresses),
            Side::Kernel => addresses.iter().map(|address| self.kernel_frame(*address)).collect(),
        }
    }

    /// The places of a process's stack in the files it has mapped.
    pub fn builds(&mut self, pid: u32, addresses: &[u64]) -> Vec<Frame> {
        self.user().builds(pid, addresses)
    }

    fn kernel_frame(&mut self, address: u64) -> Frame {
        match self.kernel.find(address) {
            Some(found) => {
                Frame { symbol: Some(found.name), offset: found.offset, module: found.module, ..Frame::bare(address) }
            }
            None => Frame::bare(address),
        }
    }

    fn user(&mut self) -> &mut UserSymbols {
        self.user.get_or_insert_with(|| UserSymbols::new(self.demangle, self.detail, self.places.clone()))
    }
}

/// An address without a name, as `%p` shows it.
fn bare(address: u64) -> String {
    if address == 0 { "0".to_string() } else { format!("{address:#x}") }
}

fn names_kernel(ty: &Type) -> bool {
    match ty {
        Type::KSym => true,
        Type::Stack(stack) => stack.side == Side::Kernel,
        Type::Tuple(elements) => elements.iter().any(names_kernel),
        Type::Array(of, _) => names_kernel(of),
        _ => false,
    }
}
