//! What a loaded program is made of, for the verifier's log and bpftool: its functions as BTF types, and the source line of
//! each instruction. (Kernel: `Documentation/bpf/btf.rst`.)

use std::collections::HashMap;

use super::names::symbol;
use super::unit::{FunctionInfo, Unit};
use crate::source::{Sources, Span};

/// The arguments that `BPF_PROG_LOAD` takes beside the instructions; `blob` is to be loaded first, by `BPF_BTF_LOAD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramBtf {
    pub blob: Vec<u8>,
    /// Array of `struct bpf_func_info`, [`FUNC_INFO`] bytes each.
    pub func_info: Vec<u8>,
    /// Array of `struct bpf_line_info`, [`LINE_INFO`] bytes each.
    pub line_info: Vec<u8>,
}

/// Bytes of `struct bpf_func_info`.
pub const FUNC_INFO: u32 = 8;
/// Bytes of `struct bpf_line_info`.
pub const LINE_INFO: u32 = 16;

/// Describes one unit.
pub fn program_btf(unit: &Unit, sources: &Sources) -> ProgramBtf {
    let mut writer = BtfWriter::new();
    let mut func_info = Vec::new();
    for function in &unit.functions {
        let id = writer.function(name(unit, function), params(function));
        extend(&mut func_info, [function.at, id]);
    }
    let mut line_info = Vec::new();
    for line in lines(unit) {
        let place = writer.place(sources, line.span);
        extend(&mut line_info, [line.at, place.file, place.text, place.position]);
    }
    ProgramBtf { blob: writer.finish(), func_info, line_info }
}

/// A function's name in an object or a kernel: the unit's for the main one.
pub(super) fn name(unit: &Unit, function: &FunctionInfo) -> String {
    let name = if function.at == 0 { unit.name.clone() } else { format!("{}_{}", unit.name, function.name) };
    symbol(&name).replace('.', "_")
}

/// The parameters to describe. The context goes unmentioned: it has no type that all kernels understand, and the verifier
/// knows it anyway.
pub(super) fn params(function: &FunctionInfo) -> u8 {
    if function.at == 0 { 0 } else { function.params }
}

/// Where a line begins.
pub(super) struct Line {
    pub at: u32,
    pub span: Span,
}

/// The unit's lines in ascending order, with one at the start of each function, as the kernel demands.
pub(super) fn lines(unit: &Unit) -> Vec<Line> {
    let mut lines: Vec<Line> = unit.lines.iter().map(|&(at, span)| Line { at, span }).collect();
    for function in &unit.functions {
        let next = lines.partition_point(|line| line.at < function.at);
        if lines.get(next).is_none_or(|line| line.at > function.at) {
            let span = lines.get(next).map_or(Span::default(), |line| line.span);
            lines.insert(next, Line { at: function.at, span });
        }
    }
    lines.dedup_by_key(|line| line.at);
    lines
}

/// A place in the source as `struct bpf_line_info` has it: string offsets, and line and column in one word.
pub(super) struct LinePlace {
    pub file: u32,
    pub text: u32,
    pub position: u32,
}

/// Collects types and strings.
pub(super) struct BtfWriter {
    types: Vec<u8>,
    count: u32,
    strings: Vec<u8>,
    offsets: HashMap<String, u32>,
    /// The type of all parameters and results.
    word: u32,
}

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
const HEADER: u32 = 24;
const KIND_INT: u32 = 1;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
/// Linkage is where other kinds count their members; static is 0, the only one that callbacks may have.
const LINKAGE_STATIC: u32 = 0;
const COLUMN_BITS: u32 = 10;

impl BtfWriter {
    pub fn new() -> BtfWriter {
        let mut writer = BtfWriter { types: Vec::new(), count: 0, strings: vec![0], offsets: HashMap::new(), word: 0 };
        let name = writer.string("u64");
        writer.word = writer.add([name, KIND_INT << 24, 8, 64]);
        writer
    }

    /// A static function of 64-bit parameters; gives its type's id.
    pub fn function(&mut self, name: String, params: u8) -> u32 {
        let mut proto = vec![0, KIND_FUNC_PROTO << 24 | u32::from(params), self.word];
        for param in 0..params {
            proto.extend([self.string(&format!("arg{param}")), self.word]);
        }
        let proto = self.add(proto);
        let name = self.string(&name);
        self.add([name, KIND_FUNC << 24 | LINKAGE_STATIC, proto])
    }

    pub fn place(&mut self, sources: &Sources, span: Span) -> LinePlace {
        let Some(location) = sources.locate(span) else { return LinePlace { file: 0, text: 0, position: 0 } };
        let column = (location.column as u32).min((1 << COLUMN_BITS) - 1);
        LinePlace {
            file: self.string(location.file),
            text: self.string(location.text.trim()),
            position: (location.line as u32) << COLUMN_BITS | column,
        }
    }

    pub fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(offset) = self.offsets.get(text) {
            return *offset;
        }
        let offset = self.strings.len() as u32;
        self.strings.extend(text.bytes().filter(|byte| *byte != 0));
        self.strings.push(0);
        self.offsets.insert(text.to_owned(), offset);
        offset
    }

    pub fn finish(self) -> Vec<u8> {
        let mut blob = header();
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        extend(&mut blob, [0, types, types, strings]);
        blob.extend(self.types);
        blob.extend(self.strings);
        blob
    }

    fn add(&mut self, words: impl IntoIterator<Item = u32>) -> u32 {
        extend(&mut self.types, words);
        self.count += 1;
        self.count
    }
}

/// The first eight bytes of a BTF or `.BTF.ext` blob, whose header ends after 16 more.
pub(super) fn header() -> Vec<u8> {
    let mut blob = MAGIC.to_le_bytes().to_vec();
    blob.extend([VERSION, 0]);
    extend(&mut blob, [HEADER]);
    blob
}

pub(super) fn extend(bytes: &mut Vec<u8>, words: impl IntoIterator<Item = u32>) {
    bytes.extend(words.into_iter().flat_map(u32::to_le_bytes));
}
