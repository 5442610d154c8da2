//! Maps that the program declares: `let @m = lruhash(100);` says what kind of map holds the entries, and how many.

use std::collections::BTreeMap;

use super::env::MapInfo;
use crate::diag::Diagnostic;
use crate::plan::MapKind;
use crate::source::Span;
use crate::syntax::ast::{Count, MapDecl};
use crate::types::MapValue;

/// The declarations by map name.
#[derive(Default)]
pub struct Declarations {
    by_name: BTreeMap<String, Declared>,
    faults: Vec<Diagnostic>,
}

#[derive(Clone, Copy)]
pub struct Declared {
    pub kind: MapKind,
    pub entries: u32,
    span: Span,
}

const KINDS: [(&str, MapKind); 4] = [
    ("percpulruhash", MapKind::PerCpuLruHash),
    ("percpuhash", MapKind::PerCpuHash),
    ("lruhash", MapKind::LruHash),
    ("hash", MapKind::Hash),
];

impl Declarations {
    /// Reads the declarations; those at fault are left out.
    pub fn new(written: &[MapDecl]) -> Self {
        let mut declarations = Self::default();
        declarations.faults = written.iter().filter_map(|one| declarations.add(one).err()).collect();
        declarations
    }

    pub fn get(&self, name: &str) -> Option<Declared> {
        self.by_name.get(name).copied()
    }

    /// What is wrong with the declarations, in themselves and in the light of how the program uses the maps.
    pub fn judge(&self, used: &BTreeMap<String, MapInfo>, is_cut: bool) -> Vec<Diagnostic> {
        let judged = self.by_name.iter().filter_map(|(name, declared)| match used.get(name) {
            None if is_cut => None,
            None => Some(Diagnostic::warning(declared.span, format!("Unused map: {name}"))),
            Some(info) => info.value.as_ref().and_then(|value| mismatch(*declared, value, info.value_span)),
        });
        self.faults.iter().cloned().chain(judged).collect()
    }

    fn add(&mut self, written: &MapDecl) -> Result<(), Diagnostic> {
        let Some((_, kind)) = KINDS.iter().find(|(word, _)| *word == written.kind.text) else {
            let fault = Diagnostic::error(written.kind.span, format!("Invalid bpf map type: {}", written.kind.text));
            return Err(fault.hint(format!("Valid map types: {}", KINDS.map(|(word, _)| word).join(", "))));
        };
        let entries = entries(written)?;
        let declared = Declared { kind: *kind, entries, span: written.span };
        match self.by_name.insert(written.name.text.clone(), declared) {
            None => Ok(()),
            Some(first) => {
                let message = format!("Map {} was already declared.", written.name.text);
                Err(Diagnostic::error(written.name.span, message).label(first.span, "the first declaration"))
            }
        }
    }
}

fn entries(written: &MapDecl) -> Result<u32, Diagnostic> {
    let entries = number(&written.entries)?;
    u32::try_from(entries).ok().filter(|entries| *entries > 0).ok_or_else(|| {
        let message = format!("a map cannot have {entries} entries");
        Diagnostic::error(written.entries_span, message).hint(format!("give a number from 1 to {}", u32::MAX))
    })
}

/// Names of constants were replaced where the C part defines them.
pub(super) fn number(count: &Count) -> Result<u64, Diagnostic> {
    match count {
        Count::Number(number) => Ok(*number),
        Count::Named(name) => {
            let fault = Diagnostic::error(name.span, format!("Unknown identifier: '{}'", name.text));
            Err(fault.hint(format!("give a number, or define one: #define {} 16", name.text)))
        }
    }
}

/// Aggregations need a slot for every CPU, and nothing else can use one.
fn mismatch(declared: Declared, value: &MapValue, place: Span) -> Option<Diagnostic> {
    let (fits, found) = match value {
        MapValue::Plain(_) => (matches!(declared.kind, MapKind::Hash | MapKind::LruHash), "hash"),
        MapValue::Aggregate(_) => (matches!(declared.kind, MapKind::PerCpuHash | MapKind::PerCpuLruHash), "percpuhash"),
    };
    if fits {
        return None;
    }
    let word = KINDS.iter().find(|(_, kind)| *kind == declared.kind).map_or("", |(word, _)| word);
    let message = format!("Incompatible map types. Type from declaration: {word}. Type from value/key type: {found}");
    let fault = Diagnostic::error(place, message).label(declared.span, "declared here");
    Some(fault.hint("count(), sum(), hist() and the like need a percpu map, all other values one without percpu"))
}
