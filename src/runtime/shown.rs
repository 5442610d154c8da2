//! Entries of maps and fields of records become what is shown of them. What was not read from this kernel is shown likewise, which
//! is how programs are tested that only an interpreter has run.

use std::collections::BTreeMap;

use super::content::Entry;
use super::decode::Decoder;
use super::maps::{Maps, Pool};
use super::merge::{Part, merge, merge_parts};
use super::order::{self, Choice, Row};
use super::symbols::Symbols;
use crate::error::Result;
use crate::kernel::Kernel;
use crate::plan::{Action, Map, MapId, Plan, Role};
use crate::types::{Aggregate, MapValue};
use crate::value::{Entries, MapReport, Value};

/// Shows what is handed to it, with times counted from 1970 and stacks empty.
pub struct Shown<'a> {
    plan: &'a Plan,
    kernel: &'a dyn Kernel,
    maps: Maps,
    symbols: Symbols,
}

impl<'a> Shown<'a> {
    pub fn new(plan: &'a Plan, kernel: &'a dyn Kernel) -> Result<Self> {
        let maps = Maps::create(&Plan::default(), kernel, &Pool::default())?;
        Ok(Self { plan, kernel, maps, symbols: Symbols::new(&plan.config, kernel.debug_places()) })
    }

    /// The fields of a record, each given by its bytes.
    pub fn values(&mut self, action: &Action, fields: &[Vec<u8>]) -> Vec<Value> {
        let mut decoder = self.decoder();
        action.fields.iter().zip(fields).map(|(of, bytes)| decoder.decode(&of.ty, bytes)).collect()
    }

    /// A map with these entries: key, and the slots of all CPUs.
    pub fn map(&mut self, id: MapId, entries: &[(Vec<u8>, Vec<Vec<u8>>)], top: u64, div: u64) -> Option<MapReport> {
        let entry = |(key, slots): &(Vec<u8>, Vec<Vec<u8>>)| {
            Entry::new(key.clone(), slots.concat(), slots.first().map_or(0, Vec::len))
        };
        let entries: Vec<Entry> = entries.iter().map(entry).collect();
        let plan = self.plan;
        map_report(&mut self.decoder(), plan, id, &entries, Choice { top, div })
    }

    fn decoder(&mut self) -> Decoder<'_> {
        let Self { plan, kernel, maps, symbols } = self;
        Decoder { plan, maps, kernel: *kernel, symbols, boot: 0 }
    }
}

/// The chosen entries of a map of the script in their order; `None` if there is nothing to show.
pub(super) fn map_report(
    decoder: &mut Decoder<'_>,
    plan: &Plan,
    id: MapId,
    entries: &[Entry],
    choice: Choice,
) -> Option<MapReport> {
    let map = &plan.maps[id];
    let Role::User { name, key, value, .. } = &map.role else { return None };
    let mut rows: Vec<Row> = match value {
        MapValue::Aggregate(of) if map.is_parted() => joined(map, *of, entries),
        _ => {
            let row = |entry: &Entry| Row { key: entry.key.clone(), value: value_of(decoder, value, entry) };
            entries.iter().map(row).collect()
        }
    };
    let entries = match key {
        None => {
            let mut row = rows.pop()?;
            // A histogram shows nothing before its first value, but its heading once it is zeroed.
            if matches!(row.value, Value::Histogram(_)) && !entries.iter().all(|entry| entry.is_marked(value)) {
                return None;
            }
            order::divide(&mut row.value, choice.div);
            Entries::Scalar(row.value)
        }
        Some(key) => {
            order::arrange(&mut rows, key, value, choice);
            Entries::Keyed(rows.into_iter().map(|row| (decoder.decode(key, &row.key), row.value)).collect())
        }
    };
    Some(MapReport { name: name.clone(), entries })
}

/// The parts of each key become one value.
fn joined(map: &Map, of: Aggregate, entries: &[Entry]) -> Vec<Row> {
    let mut keys: BTreeMap<&[u8], Vec<Part>> = BTreeMap::new();
    for entry in entries {
        let (key, number) = entry.key.split_at((map.part_offset() as usize).min(entry.key.len()));
        let number = number.first_chunk().map_or(0, |number| u64::from_ne_bytes(*number));
        keys.entry(key).or_default().push(Part { number, slots: entry.slots().collect() });
    }
    keys.into_iter().map(|(key, parts)| Row { key: key.to_vec(), value: merge_parts(of, parts) }).collect()
}

fn value_of(decoder: &mut Decoder<'_>, ty: &MapValue, entry: &Entry) -> Value {
    match ty {
        MapValue::Plain(ty) => decoder.decode(ty, entry.slots().next().unwrap_or_default()),
        MapValue::Aggregate(of) => merge(*of, entry.slots()),
    }
}
