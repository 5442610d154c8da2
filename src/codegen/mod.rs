//! [`ir::Program`](crate::ir::Program) in, loadable programs out.

use crate::bpf::unit::Unit;
use crate::diag::Diagnostic;
use crate::ir::Program;
use crate::kernel::Kernel;
use crate::plan::Plan;

/// All that the runtime needs.
pub struct Compiled {
    pub units: Vec<Unit>,
    pub plan: Plan,
}

/// Generates the programs. Fails only on what no kernel of this version could load, such as a value larger than its limits.
pub fn generate(_program: Program, _kernel: &dyn Kernel) -> Result<Compiled, Vec<Diagnostic>> {
    todo!()
}
