//! What a call calls, and what it hands over.

use super::Helper;
use super::asm::{Place, VReg};
use crate::btf::Kind;
use crate::kernel::{Feature, Kernel, ProgKind};
use crate::plan::MapId;

/// What a call calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Callee {
    Helper(Helper),
    /// A function of the kernel that programs may call.
    Kernel(Kfunc),
    /// A function of this program.
    Function(FunctionId),
}

/// A function of the kernel that is no helper: it has no number of its own, but is known by its type among the running kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kfunc {
    pub name: &'static str,
    /// Its id in the kernel's BTF.
    pub id: u32,
}

impl Kfunc {
    /// The function of this name, if the running kernel lets programs of this kind call it.
    pub fn find(kernel: &dyn Kernel, name: &'static str, from: ProgKind) -> Option<Kfunc> {
        let btf = kernel.btf().filter(|_| kernel.types_are_its_own())?;
        let function = btf.find(name, Kind::Func)?;
        kernel.has(Feature::Call { function, from }).then_some(Kfunc { name, id: function.0 })
    }
}

/// Argument of a call; everything but `Reg` is made in the argument register itself, just before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arg {
    Reg(VReg),
    Imm(i64),
    Address(Place),
    Map(MapId),
    /// Address of a variable of the kernel, by its id in the kernel's BTF (`BPF_PSEUDO_BTF_ID`).
    KernelVar(u32),
    /// Address of a function of this program (`BPF_PSEUDO_FUNC`).
    Function(FunctionId),
}

/// A function of the program: 0 is the main one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FunctionId(pub u32);

impl From<Helper> for Callee {
    fn from(helper: Helper) -> Self {
        Callee::Helper(helper)
    }
}

impl From<Kfunc> for Callee {
    fn from(function: Kfunc) -> Self {
        Callee::Kernel(function)
    }
}

impl From<FunctionId> for Callee {
    fn from(function: FunctionId) -> Self {
        Callee::Function(function)
    }
}
