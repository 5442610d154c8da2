//! The slots of all CPUs become one value.

use std::collections::BTreeMap;

use crate::types::{
    Aggregate, Keep, QUANTILE_BITS, QUANTILE_BLOCK, QUANTILE_BUCKETS_AT, QUANTILE_PART_AT, SERIES_WORDS, Sign,
    log2_buckets,
};
use crate::value::{Heat, Histogram, Quantiles, Series, Value};

/// Merges an aggregation's slots.
pub fn merge<'s>(of: Aggregate, slots: impl Iterator<Item = &'s [u8]>) -> Value {
    let slots = slots.map(words);
    match of {
        Aggregate::Count => Value::UInt(sum(slots, 0)),
        Aggregate::Sum(sign) => number(sum(slots, 0), sign),
        Aggregate::Min(sign) => number(extreme(slots, sign, Iterator::min_by_key), sign),
        Aggregate::Max(sign) => number(extreme(slots, sign, Iterator::max_by_key), sign),
        Aggregate::Avg(sign) => {
            let (count, total) = count_and_total(slots, sign);
            Value::Average { count, total }
        }
        Aggregate::Stats(sign) => {
            let (count, total) = count_and_total(slots, sign);
            Value::Stats { count, total }
        }
        Aggregate::Series { interval, keep, sign, .. } => {
            Value::Series(Series { interval, points: points(slots, of.size() as usize / 8, keep, sign) })
        }
        // Its slots are always those of parts.
        Aggregate::Heat { interval, bits } => Value::Heat(heat(interval, bits, Vec::new())),
        Aggregate::Hist { .. } | Aggregate::LHist { .. } => {
            Value::Histogram(Histogram { shape: of, counts: sums(slots, of.size() as usize / 8), div: 1 })
        }
        Aggregate::Quantiles => {
            let whole = vec![(0, slots.collect())];
            Value::Quantiles(quantiles(whole, QUANTILE_BUCKETS_AT, log2_buckets(QUANTILE_BITS)))
        }
    }
}

/// One part of a value that is spread over several entries, with the slots of all CPUs.
pub struct Part<'e> {
    pub number: u64,
    pub slots: Vec<&'e [u8]>,
}

/// Merges the slots of all parts.
pub fn merge_parts(of: Aggregate, parts: Vec<Part<'_>>) -> Value {
    let parts = parts.into_iter().map(|part| (part.number, part.slots.into_iter().map(words).collect())).collect();
    match of {
        Aggregate::Quantiles => Value::Quantiles(quantiles(parts, QUANTILE_PART_AT, QUANTILE_BLOCK)),
        Aggregate::Heat { interval, bits } => Value::Heat(heat(interval, bits, parts)),
        _ => merge(of, std::iter::empty()),
    }
}

fn heat(interval: u64, bits: u8, mut parts: Vec<(u64, Vec<Vec<u64>>)>) -> Heat {
    parts.sort_by_key(|(epoch, _)| *epoch);
    let buckets = log2_buckets(bits) as usize;
    let columns = parts.into_iter().map(|(epoch, slots)| (epoch, sums(slots.into_iter(), buckets)));
    let columns = columns.filter(|(_, counts)| counts.iter().any(|count| *count > 0)).collect();
    Heat { interval, bits, columns, div: 1 }
}

/// The sum of each of the first words.
fn sums(slots: impl Iterator<Item = Vec<u64>>, words: usize) -> Vec<u64> {
    slots.fold(vec![0u64; words], |mut sums, slot| {
        sums.iter_mut().zip(slot).for_each(|(sum, more)| *sum = sum.wrapping_add(more));
        sums
    })
}

/// Each part has so many buckets, from this word on. The counts of a bucket add up, so nothing is lost in merging.
fn quantiles(mut parts: Vec<(u64, Vec<Vec<u64>>)>, start: u32, buckets: u32) -> Quantiles {
    parts.sort_by_key(|(number, _)| *number);
    let max = extreme(parts.iter().flat_map(|(_, slots)| slots.iter().cloned()), Sign::Signed, Iterator::max_by_key);
    let counts = parts.into_iter().flat_map(|(number, slots)| {
        let counts = sums(slots.into_iter(), (start + buckets) as usize).split_off(start as usize);
        (number as u32 * buckets..).zip(counts)
    });
    Quantiles { max: max as i64, buckets: counts.filter(|(_, count)| *count > 0).collect(), div: 1 }
}

/// The words of a slot. What lies behind the aggregation (such as a mark) is there too.
fn words(slot: &[u8]) -> Vec<u64> {
    slot.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect()
}

/// Sums wrap, as they do in the kernel.
fn sum(slots: impl Iterator<Item = Vec<u64>>, word: usize) -> u64 {
    slots.fold(0, |sum, slot| sum.wrapping_add(slot.get(word).copied().unwrap_or(0)))
}

/// The least or greatest among the CPUs that saw a value; 0 if none did.
fn extreme<I: Iterator<Item = Vec<u64>>>(
    slots: I,
    sign: Sign,
    choose: impl Fn(std::vec::IntoIter<u64>, fn(&u64) -> i128) -> Option<u64>,
) -> u64 {
    let seen: Vec<u64> =
        slots.filter(|slot| matches!(slot[..], [_, set, ..] if set != 0)).map(|slot| slot[0]).collect();
    let order: fn(&u64) -> i128 = match sign {
        Sign::Signed => |value| i128::from(*value as i64),
        Sign::Unsigned => |value| i128::from(*value),
    };
    choose(seen.into_iter(), order).unwrap_or(0)
}

fn count_and_total(slots: impl Iterator<Item = Vec<u64>>, sign: Sign) -> (u64, i128) {
    slots.fold((0, 0), |(count, total), slot| match (slot[..].get(..2), sign) {
        (Some([more, part]), Sign::Signed) => (count + more, total + i128::from(*part as i64)),
        (Some([more, part]), Sign::Unsigned) => (count + more, total + i128::from(*part)),
        _ => (count, total),
    })
}

/// The intervals of all CPUs, each once; those that fell out of the window on another CPU are left out.
fn points(slots: impl Iterator<Item = Vec<u64>>, words: usize, keep: Keep, sign: Sign) -> Vec<(u64, i128)> {
    let mut merged: BTreeMap<u64, (i128, u64)> = BTreeMap::new();
    for slot in slots {
        for interval in slot[..words.min(slot.len())].as_chunks::<{ SERIES_WORDS as usize }>().0 {
            let [epoch, value, mark] = *interval;
            if mark == 0 {
                continue;
            }
            let value = if sign == Sign::Signed { i128::from(value as i64) } else { i128::from(value) };
            let joined = merged.get(&epoch).map_or((value, mark), |old| join(*old, (value, mark), keep));
            merged.insert(epoch, joined);
        }
    }
    let window = (words / SERIES_WORDS as usize) as u64;
    let oldest = merged.last_key_value().map_or(0, |(last, _)| (last + 1).saturating_sub(window));
    let recent = merged.into_iter().filter(|(epoch, _)| *epoch >= oldest);
    let shown = |(value, mark)| if keep == Keep::Average { value / i128::from(mark) } else { value };
    recent.map(|(epoch, point)| (epoch, shown(point))).collect()
}

/// Two CPUs' values of one interval, each with its mark.
fn join(one: (i128, u64), other: (i128, u64), keep: Keep) -> (i128, u64) {
    match keep {
        Keep::Last => {
            if other.1 > one.1 {
                other
            } else {
                one
            }
        }
        Keep::Sum | Keep::Average => (one.0 + other.0, one.1 + other.1),
        Keep::Min => one.min(other),
        Keep::Max => one.max(other),
    }
}

fn number(bits: u64, sign: Sign) -> Value {
    match sign {
        Sign::Signed => Value::Int(bits as i64),
        Sign::Unsigned => Value::UInt(bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(of: Aggregate, slots: &[&[i64]]) -> Value {
        let slots: Vec<Vec<u8>> =
            slots.iter().map(|slot| slot.iter().flat_map(|word| word.to_ne_bytes()).collect()).collect();
        merge(of, slots.iter().map(Vec::as_slice))
    }

    #[test]
    fn sums_and_extremes() {
        assert_eq!(merged(Aggregate::Count, &[&[2], &[3]]), Value::UInt(5));
        assert_eq!(merged(Aggregate::Sum(Sign::Signed), &[&[2], &[-3]]), Value::Int(-1));
        assert_eq!(merged(Aggregate::Min(Sign::Signed), &[&[0, 0], &[7, 1], &[-3, 1]]), Value::Int(-3));
        assert_eq!(merged(Aggregate::Min(Sign::Unsigned), &[&[7, 1], &[-3, 1]]), Value::UInt(7));
        assert_eq!(merged(Aggregate::Max(Sign::Unsigned), &[&[7, 1], &[-1, 1]]), Value::UInt(u64::MAX));
        assert_eq!(merged(Aggregate::Max(Sign::Signed), &[&[-7, 1], &[0, 0]]), Value::Int(-7));
    }

    #[test]
    fn intervals_of_all_cpus_are_one_series() {
        let merged = |keep, slots: &[&[i64]]| {
            let of = Aggregate::Series { interval: 1, count: 2, keep, sign: Sign::Signed };
            match merged(of, slots) {
                Value::Series(series) => series.points,
                _ => Vec::new(),
            }
        };
        let slots: [&[i64]; 2] = [&[6, -4, 2, 5, 9, 1], &[4, 1, 1, 5, 1, 3]];
        assert_eq!(merged(Keep::Sum, &slots), [(5, 10), (6, -4)]);
        assert_eq!(merged(Keep::Last, &slots), [(5, 1), (6, -4)]);
        assert_eq!(merged(Keep::Average, &slots), [(5, 2), (6, -2)]);
        assert_eq!((merged(Keep::Max, &slots)[0], merged(Keep::Min, &slots)[0]), ((5, 9), (5, 1)));
        assert!(merged(Keep::Last, &[&[7, 7, 0, 0, 0, 0]]).is_empty());
    }

    #[test]
    fn averages_and_histograms() {
        assert_eq!(merged(Aggregate::Avg(Sign::Signed), &[&[1, -4], &[2, 10]]), Value::Average { count: 3, total: 6 });
        assert_eq!(merged(Aggregate::Stats(Sign::Signed), &[&[1, -4]]), Value::Stats { count: 1, total: -4 });
        let shape = Aggregate::LHist { min: 0, max: 2, step: 1 };
        let counts = vec![1, 2, 2, 5];
        assert_eq!(
            merged(shape, &[&[1, 0, 2, 3, 9], &[0, 2, 0, 2, 9]]),
            Value::Histogram(Histogram { shape, counts, div: 1 })
        );
    }
}
