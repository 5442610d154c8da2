//! Finished programs as people and the kernel see them: the listing, and the verifier naming script lines.

use std::os::fd::AsRawFd;

use rtrace::bpf::btf::{FUNC_INFO, LINE_INFO, program_btf};
use rtrace::bpf::insn::Insn;
use rtrace::bpf::list::Listing;
use rtrace::bpf::unit::{RelocTarget, Unit};

use crate::units;
use crate::verifier::{self, Refusal};

#[test]
fn listing_shows_source_maps_and_notes() {
    let made = units::make();
    let text = Listing { unit: &made.units[0], plan: &made.plan, sources: &made.sources }.to_string();
    for wanted in
        ["count:\n; @[pid] = count();\n", "= map[@]", "= map[counters][0]+8", "; pid\n", "; an update was lost"]
    {
        assert!(text.contains(wanted), "no {wanted:?} in:\n{text}");
    }
    let text = Listing { unit: &made.units[2], plan: &made.plan, sources: &made.sources }.to_string();
    assert!(text.contains("; twice\n") && text.contains("\nadd:\n; @n = 1\n"), "{text}");
    let text = Listing { unit: &made.units[3], plan: &made.plan, sources: &made.sources }.to_string();
    assert!(text.contains("; each\n") && text.contains("each:\n; @n = 1\n"), "{text}");
}

#[test]
fn the_verifier_names_script_lines() {
    assert_refused_at(1, "@[pid] = count();");
}

/// Callbacks came with Linux 5.13.
#[test]
fn the_verifier_names_script_lines_of_programs_with_callbacks() {
    if verifier::kernel() >= (5, 13) {
        assert_refused_at(3, "for ($i : @) { @n = 1; }");
    }
}

/// Without its maps the program must be refused, at the line that wants one.
fn assert_refused_at(unit: usize, line: &str) {
    let made = units::make();
    let unit = without_maps(&made.units[unit]);
    let btf = program_btf(&unit, &made.sources);
    let blob = match verifier::load_btf(&btf.blob) {
        Ok(fd) => fd,
        Err(Refusal::NotAllowed) => return eprintln!("skipped: this process may not load BTF"),
        Err(Refusal::Rejected(log)) => panic!("{log}"),
    };
    let result = verifier::load(&unit.insns, |attr| {
        attr.btf = blob.as_raw_fd() as u32;
        (attr.func_info_size, attr.line_info_size) = (FUNC_INFO, LINE_INFO);
        attr.func_info = btf.func_info.as_ptr() as u64;
        attr.func_info_count = btf.func_info.len() as u32 / FUNC_INFO;
        attr.line_info = btf.line_info.as_ptr() as u64;
        attr.line_info_count = btf.line_info.len() as u32 / LINE_INFO;
    });
    let Err(Refusal::Rejected(log)) = result else { panic!("loaded without a map") };
    assert!(log.contains(line), "{log}");
}

/// The unit with zeros where maps belong.
fn without_maps(unit: &Unit) -> Unit {
    let mut unit = unit.clone();
    for reloc in &unit.relocs {
        let (RelocTarget::Map(_) | RelocTarget::MapValue(_)) = reloc.to;
        let insn: &mut Insn = &mut unit.insns[reloc.at as usize];
        insn.regs &= 0x0f;
    }
    unit
}
