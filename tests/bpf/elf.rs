//! The object that `--emit-elf` writes, given to other tools: aya's loader must load every program of it, and
//! `llvm-objdump` must disassemble it. Nothing is attached.

use std::process::Command;

use aya::EbpfLoader;
use aya::programs::{Program, ProgramError};
use rtrace::bpf::elf::object;

use crate::units;
use crate::verifier;

#[test]
fn aya_loads_it() {
    let mut made = units::make();
    if verifier::kernel() < (5, 13) {
        // No callbacks.
        made.units.pop();
    }
    let bytes = object(&made.units, &made.plan, &made.sources).expect("it can be written");
    let mut ebpf = match EbpfLoader::new().load(&bytes) {
        Ok(ebpf) => ebpf,
        Err(error) if not_allowed(&error) => return eprintln!("skipped: this process may not create BPF maps"),
        Err(error) => panic!("{error:?}"),
    };
    for unit in &made.units {
        let program = ebpf.program_mut(&unit.name).unwrap_or_else(|| panic!("{} is not in the object", unit.name));
        load(program).unwrap_or_else(|error| panic!("{}: {error:?}", unit.name));
    }
    assert!(ebpf.map("AT_").is_some(), "the script's map is there by name");
    assert!(ebpf.map(".bss.counters").is_some());
}

fn load(program: &mut Program) -> Result<(), ProgramError> {
    match program {
        Program::TracePoint(program) => program.load(),
        Program::RawTracePoint(program) => program.load(),
        other => panic!("not a kind that this test makes: {other:?}"),
    }
}

/// Whether the machine is to blame: no privilege.
fn not_allowed(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.and_then(std::io::Error::raw_os_error) == Some(libc::EPERM) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[test]
fn objdump_reads_it() {
    let made = units::make();
    let bytes = object(&made.units, &made.plan, &made.sources).expect("it can be written");
    let path = std::env::temp_dir().join(format!("rtrace-elf-{}.o", std::process::id()));
    std::fs::write(&path, bytes).expect("the temporary directory can be written");
    let output = Command::new("llvm-objdump").args(["-d", "-r"]).arg(&path).output();
    let removed = std::fs::remove_file(&path);
    let Ok(output) = output else { return eprintln!("skipped: llvm-objdump is not installed") };
    let text = String::from_utf8_lossy(&output.stdout);
    for wanted in [
        "elf64-bpf",
        "<count>:",
        "<walk_each>:",
        "call 1\n",
        "<call_twice>:",
        "R_BPF_64_32",
        "R_BPF_64_64\tAT_",
        "exit",
    ] {
        assert!(text.contains(wanted), "no {wanted:?} in:\n{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(removed.is_ok());
}
