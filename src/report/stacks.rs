//! Maps keyed by stacks become what profiles are made of: stacks from the outermost frame to the innermost, with their numbers.

use std::collections::BTreeMap;

use super::text::plain;
use crate::config::Config;
use crate::value::{Entries, Frame, MapReport, Value};

/// A key: its stacks as one, and what else is in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stack {
    pub labels: Vec<Label>,
    /// From the outermost to the innermost: those of the process, then those of the kernel.
    pub frames: Vec<Frame>,
}

/// A part of a key that is no stack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// The name of the field, or which part of the key it is, counted from 1.
    pub name: String,
    pub text: Vec<u8>,
}

/// What is counted for one stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Number(u64),
    /// Of `avg` and `stats`.
    Totals {
        count: u64,
        total: u64,
    },
}

/// What has been printed of each map: the latest report, and the sums of those after which the map was emptied.
#[derive(Debug, Default)]
pub struct Profile {
    maps: BTreeMap<String, Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    ended: BTreeMap<Stack, Weight>,
    latest: BTreeMap<Stack, Weight>,
}

impl Weight {
    /// The one number that it comes to.
    pub fn number(self) -> u64 {
        match self {
            Weight::Number(number) => number,
            Weight::Totals { total, .. } => total,
        }
    }

    fn and(self, other: Weight) -> Weight {
        match (self, other) {
            (Weight::Totals { count, total }, Weight::Totals { count: more, total: also }) => {
                Weight::Totals { count: count.saturating_add(more), total: total.saturating_add(also) }
            }
            (one, other) => Weight::Number(one.number().saturating_add(other.number())),
        }
    }
}

impl Profile {
    /// A map as it is now, in place of what it was before.
    pub fn update(&mut self, map: &str, stacks: Vec<(Stack, Weight)>) {
        if stacks.is_empty() && !self.maps.contains_key(map) {
            return;
        }
        let latest = &mut self.maps.entry(map.to_string()).or_default().latest;
        latest.clear();
        stacks.into_iter().for_each(|(stack, weight)| add(latest, stack, weight));
    }

    /// What the map counts from now on comes on top of what was last printed.
    pub fn emptied(&mut self, map: &str) {
        let Some(Counted { ended, latest }) = self.maps.get_mut(map) else { return };
        std::mem::take(latest).into_iter().for_each(|(stack, weight)| add(ended, stack, weight));
    }

    /// The stacks of each map that are not zero.
    pub fn maps(&self) -> impl Iterator<Item = (&str, BTreeMap<Stack, Weight>)> {
        self.maps.iter().map(|(name, Counted { ended, latest })| {
            let mut all = ended.clone();
            latest.iter().for_each(|(stack, weight)| add(&mut all, stack.clone(), *weight));
            all.retain(|_, weight| weight.number() > 0);
            (name.as_str(), all)
        })
    }
}

fn add(to: &mut BTreeMap<Stack, Weight>, stack: Stack, weight: Weight) {
    let sum = to.get(&stack).map_or(weight, |old| old.and(weight));
    to.insert(stack, sum);
}

/// The entries of a map that has a stack in each key and a number that is not negative at it.
pub fn stacks(map: &MapReport, config: &Config) -> Option<Vec<(Stack, Weight)>> {
    let Entries::Keyed(entries) = &map.entries else { return None };
    entries.iter().map(|(key, value)| Some((stack(key, config)?, weight(value)?))).collect()
}

fn weight(value: &Value) -> Option<Weight> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok().map(Weight::Number),
        Value::UInt(number) => Some(Weight::Number(*number)),
        Value::Average { count, total } | Value::Stats { count, total } => {
            u64::try_from(*total).ok().map(|total| Weight::Totals { count: *count, total })
        }
        _ => None,
    }
}

fn stack(key: &Value, config: &Config) -> Option<Stack> {
    let (mut stacks, mut labels) = (Vec::new(), Vec::new());
    for (name, part) in parts(key) {
        match part {
            Value::Stack { frames, .. } => stacks.push(frames),
            part => labels.push(Label { name, text: plain(part, config) }),
        }
    }
    if stacks.is_empty() {
        return None;
    }
    stacks.sort_by_key(|frames| frames.first().is_some_and(Frame::is_of_kernel));
    Some(Stack { labels, frames: stacks.into_iter().flat_map(|frames| frames.iter().rev().cloned()).collect() })
}

/// What a key is made of, by its names, or by its places.
fn parts(key: &Value) -> Vec<(String, &Value)> {
    let elements = match key {
        Value::Record(fields) => return fields.iter().map(|(name, part)| (name.clone(), part)).collect(),
        Value::Tuple(elements) => elements,
        _ => std::slice::from_ref(key),
    };
    (1..).zip(elements).map(|(n, part)| (format!("key{n}"), part)).collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::types::StackMode;

    pub fn stack_of(frames: &[(u64, Option<&str>)]) -> Value {
        let frame = |(address, symbol): &(u64, Option<&str>)| Frame {
            symbol: symbol.map(str::to_string),
            offset: 4,
            ..Frame::bare(*address)
        };
        Value::Stack { mode: StackMode::Bpftrace, frames: frames.iter().map(frame).collect() }
    }

    pub fn report(entries: &[(Value, Value)]) -> MapReport {
        MapReport { name: "@".to_string(), entries: Entries::Keyed(entries.to_vec()) }
    }

    fn number(profile: &Profile) -> u64 {
        profile.maps().flat_map(|(_, stacks)| stacks.into_values()).map(Weight::number).sum()
    }

    #[test]
    fn what_is_printed_again_counts_once_and_what_was_cleared_is_kept() {
        let mut profile = Profile::default();
        let of = |count| stacks(&report(&[(stack_of(&[(1, None)]), Value::UInt(count))]), &Config::default()).unwrap();
        profile.update("@", of(3));
        profile.update("@", of(5));
        assert_eq!(number(&profile), 5);
        profile.emptied("@");
        assert_eq!(number(&profile), 5);
        profile.update("@", of(2));
        assert_eq!(number(&profile), 7);
        profile.update("@", Vec::new());
        assert_eq!(number(&profile), 5);
    }

    #[test]
    fn other_maps_are_none_of_it() {
        let of = |key, value| stacks(&report(&[(key, value)]), &Config::default());
        assert_eq!(of(Value::Int(1), Value::Int(1)), None);
        assert_eq!(of(stack_of(&[(1, None)]), Value::Bool(true)), None);
        assert_eq!(of(stack_of(&[(1, None)]), Value::Int(-1)), None);
    }
}
