//! Programs and maps become an object file for other loaders: `llvm-objdump` reads it, aya's `EbpfLoader` loads it.
//!
//! One section for each kind of program, named as loaders expect; their other functions in `.text`; maps as `struct bpf_map_def` in
//! `maps`, but those whose value is addressed directly as data sections, since loaders make the one-element array for them.

mod file;

use std::collections::HashMap;

use self::file::{Contents, ElfFile, RelocationKind, SectionId, Symbol, SymbolId, SymbolKind};
use super::btf::{self, BtfWriter, FUNC_INFO, LINE_INFO};
use super::insn::{Decoded, Wide};
use super::names::{map_label, symbol};
use super::unit::{Insn, RelocTarget, Unit};
use crate::error::{Error, Result};
use crate::plan::{Attach, Map, MapId, MapKind, Plan, Point, ProgKind, Role};
use crate::source::Sources;

/// The object, as the bytes of a file.
pub fn object(units: &[Unit], plan: &Plan, sources: &Sources) -> Result<Vec<u8>> {
    let mut file = ElfFile::default();
    let license = file.section("license", Contents::Data);
    file.append(license, b"GPL\0");
    let maps = plan.maps.iter().map(|(id, map)| Ok((id, map_symbol(&mut file, map, usage(units, id, map)?))));
    let maps = maps.collect::<Result<HashMap<MapId, SymbolId>>>()?;
    let mut debug = Debug { btf: BtfWriter::new(), functions: Vec::new(), lines: Vec::new() };
    for unit in units {
        add_unit(&mut file, unit, &maps, sources, &mut debug);
    }
    debug.write(&mut file);
    Ok(file.finish())
}

/// How programs use a map.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Usage {
    ByDescriptor,
    ByAddress,
}

fn usage(units: &[Unit], id: MapId, map: &Map) -> Result<Usage> {
    let used = |target: RelocTarget| units.iter().flat_map(|unit| &unit.relocs).any(|reloc| reloc.to == target);
    match (used(RelocTarget::Map(id)), used(RelocTarget::MapValue(id))) {
        (true, true) => Err(Error::usage(format!(
            "cannot write an object: the map {} is used by descriptor and by address",
            map_label(map)
        ))),
        (false, true) => Ok(Usage::ByAddress),
        (_, false) => Ok(Usage::ByDescriptor),
    }
}

fn map_symbol(file: &mut ElfFile, map: &Map, usage: Usage) -> SymbolId {
    let name = symbol(&map_label(map));
    match usage {
        Usage::ByDescriptor => {
            let section = file.section("maps", Contents::Data);
            // `struct bpf_map_def`: type, key, value, entries, flags, id, pinning.
            let fields = [map_type(map.kind), map.key_size, map.value_size, map.max_entries, 0, 0, 0];
            let bytes: Vec<u8> = fields.into_iter().flat_map(u32::to_le_bytes).collect();
            let offset = file.append(section, &bytes);
            file.symbol(Symbol { name, section, offset, size: bytes.len() as u64, kind: SymbolKind::Object })
        }
        Usage::ByAddress => {
            let section = match map.role {
                Role::Zeros => file.section(&format!(".rodata.{name}"), Contents::ReadOnly),
                _ => file.section(&format!(".bss.{name}"), Contents::Zeros),
            };
            file.append(section, &vec![0; map.value_size as usize]);
            file.symbol(Symbol { name: String::new(), section, offset: 0, size: 0, kind: SymbolKind::Section })
        }
    }
}

/// `enum bpf_map_type`.
fn map_type(kind: MapKind) -> u32 {
    match kind {
        MapKind::Hash => 1,
        MapKind::Array => 2,
        MapKind::PerfRings => 4,
        MapKind::PerCpuHash => 5,
        MapKind::PerCpuArray => 6,
        MapKind::StackTrace => 7,
        MapKind::CgroupArray => 8,
        MapKind::LruHash => 9,
        MapKind::PerCpuLruHash => 10,
        MapKind::Rings => 12,
        MapKind::Ring => 27,
    }
}

/// The section that tells loaders the program type and how it is meant to be attached.
fn section_name(unit: &Unit) -> &'static str {
    match (unit.kind, unit.targets.first().map(|target| &target.attach)) {
        (_, Some(Attach::Uprobe { at: Point::Entry, .. })) => "uprobe",
        (_, Some(Attach::Uprobe { at: Point::Return, .. })) => "uretprobe",
        (_, Some(Attach::Kprobe { at: Point::Return, .. })) => "kretprobe",
        (ProgKind::ManyTracing, Some(Attach::Trampoline { at: Point::Return, .. })) => "fexit.multi",
        (_, Some(Attach::Trampoline { at: Point::Return, .. })) => "fexit",
        (ProgKind::ManyTracing, _) => "fentry.multi",
        (ProgKind::Tracing, _) => "fentry",
        (ProgKind::Iterator, _) => "iter",
        (ProgKind::Kprobe, _) => "kprobe",
        (ProgKind::Tracepoint, _) => "tracepoint",
        (ProgKind::RawTracepoint, _) => "raw_tracepoint",
        (ProgKind::PerfEvent, _) => "perf_event",
        (ProgKind::Xdp, _) => "xdp",
    }
}

/// A function's place in the file.
struct Placed {
    section: SectionId,
    offset: u64,
    /// Instructions of the unit: its first, and the one after its last.
    start: usize,
    end: usize,
    symbol: SymbolId,
}

fn add_unit(file: &mut ElfFile, unit: &Unit, maps: &HashMap<MapId, SymbolId>, sources: &Sources, debug: &mut Debug) {
    let code = unlinked(unit);
    let ends = unit.functions.iter().skip(1).map(|next| next.at as usize).chain([unit.insns.len()]);
    let mut placed = Vec::new();
    for (function, end) in unit.functions.iter().zip(ends) {
        let (section, kind) = match function.at {
            0 => (section_name(unit), SymbolKind::Function),
            _ => (".text", SymbolKind::LocalFunction),
        };
        let start = function.at as usize;
        let bytes: Vec<u8> = code[start..end].iter().flat_map(|insn| insn.encode()).collect();
        let name = btf::name(unit, function);
        let id = debug.btf.function(name.clone(), btf::params(function));
        debug.functions.push((section, 0, id));
        let section = file.section(section, Contents::Code);
        let offset = file.append(section, &bytes);
        let symbol = file.symbol(Symbol { name, section, offset, size: bytes.len() as u64, kind });
        if let Some(last) = debug.functions.last_mut() {
            last.1 = offset as u32;
        }
        placed.push(Placed { section, offset, start, end, symbol });
    }
    relocate(file, unit, maps, &placed);
    debug.add_lines(unit, &placed, sources);
}

/// The instructions as an object has them: relocated immediates hold nothing but an offset, and calls the -1 that stands for
/// the beginning of their symbol.
fn unlinked(unit: &Unit) -> Vec<Insn> {
    let mut insns = unit.insns.clone();
    for reloc in &unit.relocs {
        let at = reloc.at as usize;
        insns[at].regs &= 0x0f;
        insns[at].imm = insns[at + 1].imm;
        insns[at + 1].imm = 0;
    }
    for reference in references(unit) {
        match reference.kind {
            RelocationKind::Wide => {
                insns[reference.at].regs &= 0x0f;
                insns[reference.at].imm = 0;
            }
            RelocationKind::Call => insns[reference.at].imm = -1,
        }
    }
    insns
}

/// A call of a function of the unit, or a load of its address.
struct Reference {
    at: usize,
    kind: RelocationKind,
    /// The function's first instruction.
    to: usize,
}

fn references(unit: &Unit) -> impl Iterator<Item = Reference> + '_ {
    unit.insns.iter().enumerate().filter_map(|(at, insn)| {
        let kind = match insn.decode()? {
            Decoded::Wide { kind, .. } if kind == Wide::Function as u8 => RelocationKind::Wide,
            Decoded::CallFunction { .. } => RelocationKind::Call,
            _ => return None,
        };
        Some(Reference { at, kind, to: (at + 1).wrapping_add_signed(insn.imm as isize) })
    })
}

fn relocate(file: &mut ElfFile, unit: &Unit, maps: &HashMap<MapId, SymbolId>, placed: &[Placed]) {
    let mut add = |at: usize, kind: RelocationKind, symbol: SymbolId| {
        if let Some(function) = placed.iter().find(|function| (function.start..function.end).contains(&at)) {
            file.relocate(function.section, function.offset + 8 * (at - function.start) as u64, kind, symbol);
        }
    };
    for reloc in &unit.relocs {
        let (RelocTarget::Map(map) | RelocTarget::MapValue(map)) = reloc.to;
        add(reloc.at as usize, RelocationKind::Wide, maps[&map]);
    }
    for reference in references(unit) {
        if let Some(function) = placed.iter().find(|function| function.start == reference.to) {
            add(reference.at, reference.kind, function.symbol);
        }
    }
}

/// The `.BTF` and `.BTF.ext` sections.
struct Debug {
    btf: BtfWriter,
    /// Section, byte offset in it, and type of each function.
    functions: Vec<(&'static str, u32, u32)>,
    /// Section, and the fields of `struct bpf_line_info` with a byte offset.
    lines: Vec<(&'static str, [u32; 4])>,
}

impl Debug {
    fn add_lines(&mut self, unit: &Unit, placed: &[Placed], sources: &Sources) {
        for line in btf::lines(unit) {
            let at = line.at as usize;
            let Some(function) = placed.iter().find(|function| (function.start..function.end).contains(&at)) else {
                continue;
            };
            let section = if function.start == 0 { section_name(unit) } else { ".text" };
            let offset = function.offset as u32 + 8 * (at - function.start) as u32;
            let place = self.btf.place(sources, line.span);
            self.lines.push((section, [offset, place.file, place.text, place.position]));
        }
    }

    fn write(mut self, file: &mut ElfFile) {
        let functions = self.functions.iter().map(|(section, offset, id)| (*section, vec![*offset, *id])).collect();
        let functions = self.by_section(FUNC_INFO, functions);
        let lines = self.lines.iter().map(|(section, fields)| (*section, fields.to_vec())).collect();
        let lines = self.by_section(LINE_INFO, lines);
        let mut ext = btf::header();
        let (functions_size, lines_size) = (functions.len() as u32, lines.len() as u32);
        btf::extend(&mut ext, [0, functions_size, functions_size, lines_size]);
        ext.extend(functions);
        ext.extend(lines);
        let section = file.section(".BTF", Contents::Info);
        file.append(section, &self.btf.finish());
        let section = file.section(".BTF.ext", Contents::Info);
        file.append(section, &ext);
    }

    /// Records after their size, in one run for each section.
    fn by_section(&mut self, size: u32, records: Vec<(&'static str, Vec<u32>)>) -> Vec<u8> {
        let mut sections: Vec<&str> = records.iter().map(|(section, _)| *section).collect();
        sections.sort_unstable();
        sections.dedup();
        let mut bytes = size.to_le_bytes().to_vec();
        for section in sections {
            let of: Vec<&[u32]> =
                records.iter().filter(|(in_section, _)| *in_section == section).map(|(_, words)| &words[..]).collect();
            btf::extend(&mut bytes, [self.btf.string(section), of.len() as u32]);
            of.into_iter().for_each(|words| btf::extend(&mut bytes, words.iter().copied()));
        }
        bytes
    }
}
