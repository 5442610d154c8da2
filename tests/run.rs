//! The cases of `tests/run` on the kernel of this machine: program and workload in, output compared.

#[path = "support/case.rs"]
mod case;
#[path = "support/needs.rs"]
mod needs;

use std::path::PathBuf;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    // In a virtual machine the repository lies elsewhere than where this was built.
    let root = std::env::var_os("RTRACE_ROOT").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let rtrace =
        std::env::var_os("RTRACE_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_rtrace")), PathBuf::from);
    let trials = case::all(&root)
        .into_iter()
        .map(|(area, case)| {
            let name = format!("{area}::{}", case.name);
            let unmet = needs::unmet(&case.needs);
            let name = unmet.as_ref().map_or(name.clone(), |reason| format!("{name} (skipped: {reason})"));
            let (rtrace, root) = (rtrace.clone(), root.clone());
            Trial::test(name, move || case.run(&rtrace, &root).map_err(Failed::from)).with_ignored_flag(unmet.is_some())
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}
