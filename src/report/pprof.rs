//! A profile as pprof's `profile.proto`, compressed (`-f pprof`), for `go tool pprof` and whatever else reads that.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::folded::name;
use super::stacks::{Profile, Stack, Weight};
use super::unit::Unit;
use super::written;
use crate::error::Result;
use crate::value::Frame;

/// When the run began, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Since 1970.
    pub start_ns: u64,
    pub length_ns: u64,
}

/// Fields of the messages of `profile.proto` that are written.
mod field {
    pub const SAMPLE_TYPE: u32 = 1;
    pub const SAMPLE: u32 = 2;
    pub const MAPPING: u32 = 3;
    pub const LOCATION: u32 = 4;
    pub const FUNCTION: u32 = 5;
    pub const STRING: u32 = 6;
    pub const TIME: u32 = 9;
    pub const DURATION: u32 = 10;
}

/// The whole file.
pub fn encode(profile: &Profile, period: Period) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    written(encoder.write_all(&message(profile, period)))?;
    written(encoder.finish())
}

/// Everything that others refer to by number.
#[derive(Default)]
struct Tables {
    strings: BTreeMap<String, u64>,
    string_list: Vec<String>,
    mappings: BTreeMap<u64, u64>,
    functions: BTreeMap<u64, u64>,
    locations: BTreeMap<(u64, u64, u64), u64>,
}

fn message(profile: &Profile, period: Period) -> Vec<u8> {
    let mut tables = Tables::default();
    tables.string("");
    let maps: Vec<(&str, BTreeMap<Stack, Weight>)> = profile.maps().collect();
    let types: Vec<Vec<SampleType>> = maps.iter().map(|(name, stacks)| sample_types(name, stacks)).collect();
    let width = types.iter().map(Vec::len).sum();
    let mut out = Message::default();
    for SampleType { name, unit } in types.iter().flatten() {
        let (name, unit) = (tables.string(name), tables.string(unit));
        out.message(field::SAMPLE_TYPE, Message::default().number(1, name).number(2, unit));
    }
    let mut first = 0;
    for ((_, stacks), types) in maps.iter().zip(&types) {
        for (stack, weight) in stacks {
            let mut values = vec![0; width];
            values[first..first + types.len()].copy_from_slice(&numbers(*weight)[..types.len()]);
            out.message(field::SAMPLE, &tables.sample(stack, &values));
        }
        first += types.len();
    }
    tables.write(&mut out);
    out.number(field::TIME, period.start_ns).number(field::DURATION, period.length_ns);
    out.0
}

struct SampleType {
    name: String,
    unit: &'static str,
}

/// What the numbers of a map are: one of sums and counts, two of `avg` and `stats`.
fn sample_types(map: &str, stacks: &BTreeMap<Stack, Weight>) -> Vec<SampleType> {
    let unit = Unit::of(map);
    let name = match map.trim_start_matches('@') {
        "" => unit.counted(),
        name => name,
    };
    let of = SampleType { name: name.to_string(), unit: unit.name() };
    match stacks.values().next() {
        Some(Weight::Totals { .. }) => vec![of, SampleType { name: format!("{name}_count"), unit: Unit::Count.name() }],
        Some(Weight::Number(_)) | None => vec![of],
    }
}

fn numbers(weight: Weight) -> [u64; 2] {
    match weight {
        Weight::Number(number) => [number, 0],
        Weight::Totals { count, total } => [total, count],
    }
}

impl Tables {
    fn string(&mut self, text: &str) -> u64 {
        let next = self.string_list.len() as u64;
        let number = *self.strings.entry(text.to_string()).or_insert(next);
        if number == next {
            self.string_list.push(text.to_string());
        }
        number
    }

    /// One stack, its innermost frame first.
    fn sample(&mut self, stack: &Stack, values: &[u64]) -> Message {
        let locations: Vec<u64> = stack.frames.iter().rev().map(|frame| self.location(frame)).collect();
        let mut sample = Message::default();
        sample.packed(1, &locations).packed(2, values);
        for label in &stack.labels {
            let (name, text) = (self.string(&label.name), self.string(&String::from_utf8_lossy(&label.text)));
            sample.message(3, Message::default().number(1, name).number(2, text));
        }
        sample
    }

    /// A place in a function, which is known by its file too: the same address may be another one's in another process.
    fn location(&mut self, frame: &Frame) -> u64 {
        let file = match &frame.module {
            Some(module) => module.as_str(),
            None if frame.is_of_kernel() => "[kernel.kallsyms]",
            None => "[unknown]",
        };
        let (file, function) = (self.string(file), self.string(&name(frame)));
        let mapping = numbered(&mut self.mappings, file);
        let function = numbered(&mut self.functions, function);
        numbered(&mut self.locations, (mapping, function, frame.address))
    }

    fn write(&self, out: &mut Message) {
        for (file, mapping) in &self.mappings {
            // Names are in the profile: there is nothing left for the reader to look up.
            let has_functions = 7;
            out.message(
                field::MAPPING,
                Message::default().number(1, *mapping).number(5, *file).number(has_functions, 1),
            );
        }
        for ((mapping, function, address), location) in &self.locations {
            let mut of = Message::default();
            of.number(1, *location).number(2, *mapping).number(3, *address);
            of.message(4, Message::default().number(1, *function));
            out.message(field::LOCATION, &of);
        }
        for (name, function) in &self.functions {
            out.message(field::FUNCTION, Message::default().number(1, *function).number(2, *name).number(3, *name));
        }
        for text in &self.string_list {
            out.bytes(field::STRING, text.as_bytes());
        }
    }
}

/// The number of a thing, counted from 1.
fn numbered<K: Ord>(table: &mut BTreeMap<K, u64>, key: K) -> u64 {
    let next = table.len() as u64 + 1;
    *table.entry(key).or_insert(next)
}

/// A message of Protocol Buffers.
#[derive(Default)]
struct Message(Vec<u8>);

/// How a field's bytes are to be read.
const VARINT: u32 = 0;
const LENGTH: u32 = 2;

impl Message {
    fn number(&mut self, field: u32, value: u64) -> &mut Message {
        self.varint(u64::from(field << 3 | VARINT));
        self.varint(value);
        self
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) -> &mut Message {
        self.varint(u64::from(field << 3 | LENGTH));
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn message(&mut self, field: u32, of: &Message) {
        self.bytes(field, &of.0);
    }

    fn packed(&mut self, field: u32, values: &[u64]) -> &mut Message {
        let mut list = Message::default();
        values.iter().for_each(|value| list.varint(*value));
        self.bytes(field, &list.0)
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::super::stacks::stacks;
    use super::super::stacks::tests::{report, stack_of};
    use super::*;
    use crate::config::Config;
    use crate::value::Value;

    #[test]
    fn a_profile_of_one_stack_byte_by_byte() {
        let map = report(&[(stack_of(&[(300, Some("f"))]), Value::Stats { count: 1, total: 200 })]);
        let mut profile = Profile::default();
        profile.update("@us", stacks(&map, &Config::default()).unwrap());
        let bytes = message(&profile, Period { start_ns: 5, length_ns: 6 });
        let mut expected = vec![0x0a, 4, 0x08, 1, 0x10, 2, 0x0a, 4, 0x08, 3, 0x10, 4];
        expected.extend([0x12, 8, 0x0a, 1, 1, 0x12, 3, 0xc8, 1, 1]);
        expected.extend([0x1a, 6, 0x08, 1, 0x28, 5, 0x38, 1]);
        expected.extend([0x22, 11, 0x08, 1, 0x10, 1, 0x18, 0xac, 2, 0x22, 2, 0x08, 1]);
        expected.extend([0x2a, 6, 0x08, 1, 0x10, 6, 0x18, 6]);
        for text in ["", "us", "microseconds", "us_count", "count", "[unknown]", "f"] {
            expected.extend([&[0x32, text.len() as u8], text.as_bytes()].concat());
        }
        expected.extend([0x48, 5, 0x50, 6]);
        assert_eq!(bytes, expected);
    }
}
