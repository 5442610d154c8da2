//! `watchpoint`: the processor itself watches an address for reads, writes or execution.

use super::{PidFilter, ProbeType, Request, no_fields, nothing_to_list, number, registers};
use crate::diag::Diagnostic;
use crate::plan::{Access, Attach, ProgKind, Target};

pub static WATCHPOINT: ProbeType = ProbeType {
    names: &["watchpoint", "w"],
    syntax: "watchpoint:0xADDRESS:LENGTH:MODE, where LENGTH is 1, 2, 4 or 8 and MODE is w, rw or x",
    doc: "Fires when the memory at an address is written, read or executed; with -p or -c, that of one process.",
    example: "watchpoint:0x10000000:8:rw { printf(\"hit\\n\"); exit(); }",
    kind: ProgKind::PerfEvent,
    expand,
    missing: |request| request.no_matches(&WATCHPOINT),
    context: |_, target| registers::interrupted(target.span),
    fields: no_fields,
    list: nothing_to_list,
    pid_filter: PidFilter::Attachment,
};

fn expand(request: &Request<'_>) -> Result<Vec<Target>, Diagnostic> {
    let parts = request.parts(&WATCHPOINT, 3..=3)?;
    let [address, length, mode] = parts else { return Ok(Vec::new()) };
    let address = number::integer(&address.text)
        .map_err(|why| request.error(format!("Invalid function/address argument: {why}")))?;
    let size = number::integer(&length.text).map_err(|why| request.error(format!("Invalid length argument: {why}")))?;
    if address == 0 {
        return Err(request.error("watchpoint must be attached to a non-zero address"));
    }
    let access = access(request, &mode.text)?;
    let length = u8::try_from(size).ok().filter(|length| [1, 2, 4, 8].contains(length));
    let length = length.ok_or_else(|| {
        request.error("watchpoint length must be one of (1,2,4,8)").hint("for example: watchpoint:0x10000000:8:w")
    })?;
    check(request, address, length, access)?;
    let name = format!("watchpoint:{address}:{length}:{}", mode.text);
    let attach = Attach::Watchpoint { address, length, access, scope: request.scope_with_child() };
    Ok(vec![Target { name, attach, span: request.point.span }])
}

fn access(request: &Request<'_>, mode: &str) -> Result<Access, Diagnostic> {
    if mode.is_empty() || !mode.chars().all(|letter| "rwx".contains(letter)) {
        let problem = request.error("watchpoint mode must be combination of (r,w,x)");
        return Err(problem.hint("for example: watchpoint:0x10000000:8:rw"));
    }
    if mode.chars().any(|letter| mode.matches(letter).count() > 1) {
        return Err(request.error("watchpoint modes may not be duplicated"));
    }
    match mode {
        "w" => Ok(Access::Write),
        "rw" | "wr" => Ok(Access::ReadWrite),
        "x" => Ok(Access::Execute),
        _ => Err(request.error(format!("invalid watchpoint mode: {mode}")).hint("supported modes: x,w,rw")),
    }
}

/// What the processor demands.
fn check(request: &Request<'_>, address: u64, length: u8, access: Access) -> Result<(), Diagnostic> {
    if access == Access::Execute && length != 8 {
        let problem = request.error(format!("a watchpoint on execution has length 8, not {length}"));
        return Err(problem.hint("it fires when the instruction that begins at the address is reached"));
    }
    if access != Access::Execute && !address.is_multiple_of(u64::from(length)) {
        let problem = request.error(format!("the address {address:#x} is not a multiple of the length {length}"));
        return Err(problem.hint("the processor only watches aligned memory: use a smaller length"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Scope;
    use crate::probes::testing::{expand, fixture};

    #[test]
    fn modes_and_lengths() {
        for (text, length, access) in [
            ("watchpoint:0x1000:8:rw", 8, Access::ReadWrite),
            ("w:0x1000:1:w", 1, Access::Write),
            ("watchpoint:0x1000:8:x", 8, Access::Execute),
        ] {
            let target = expand(&fixture(), text).unwrap().remove(0);
            let scope = Scope::EveryCpu;
            assert_eq!(target.attach, Attach::Watchpoint { address: 0x1000, length, access, scope });
        }
        assert_eq!(expand(&fixture(), "w:0x1000:8:w").unwrap()[0].name, "watchpoint:4096:8:w");
    }

    #[test]
    fn faults_in_the_words_of_bpftrace() {
        for (text, message) in [
            ("watchpoint:0x1000:3:w", "watchpoint length must be one of (1,2,4,8)"),
            ("watchpoint:0x1000:8:q", "watchpoint mode must be combination of (r,w,x)"),
            ("watchpoint:0x1000:8:ww", "watchpoint modes may not be duplicated"),
            ("watchpoint:0x1000:8:rx", "invalid watchpoint mode: rx"),
            ("watchpoint:0:8:w", "watchpoint must be attached to a non-zero address"),
            ("watchpoint:foo:8:w", "Invalid function/address argument: invalid integer: foo"),
            ("watchpoint:0x1000:8", "watchpoint probe type requires 3 arguments, found 2"),
            ("watchpoint:0x1001:8:w", "the address 0x1001 is not a multiple of the length 8"),
        ] {
            assert_eq!(expand(&fixture(), text).unwrap_err().message, message);
        }
    }
}
