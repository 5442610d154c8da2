//! The merged buckets of `hist` and `lhist`: their borders, their bars and their percentiles.

use crate::types::{Aggregate, log2_bucket};
use crate::value::Histogram;

/// Width of a full bar, in characters, where there is room for it, and anywhere.
const BAR: usize = 52;
const LEAST_BAR: usize = 8;

/// Width of what stands beside a bar.
const BESIDE: usize = 27;

/// Percentiles shown under a histogram on request.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// One bucket: a closed interval with open ends where the histogram has them, and its count, divided as it is to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub count: u64,
}

/// The buckets from the first to the last that is not empty.
pub fn buckets(histogram: &Histogram) -> Vec<Bucket> {
    let Some(first) = histogram.counts.iter().position(|&count| count > 0) else { return Vec::new() };
    let last = histogram.counts.iter().rposition(|&count| count > 0).unwrap_or(first);
    (first..=last)
        .map(|index| {
            let (min, max) = borders(histogram.shape, index as u32);
            Bucket { min, max, count: histogram.counts[index] / histogram.div.max(1) }
        })
        .collect()
}

/// How wide a drawing with labels at its left may be.
pub(super) fn bar(columns: usize) -> usize {
    columns.saturating_sub(BESIDE).clamp(LEAST_BAR, BAR)
}

/// The rows of a histogram as text, each with its newline.
pub fn text(histogram: &Histogram, columns: usize) -> String {
    let width = bar(columns);
    let buckets = buckets(histogram);
    let most = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0).max(1);
    buckets
        .iter()
        .map(|bucket| {
            let bar = "@".repeat((bucket.count as u128 * width as u128 / most as u128) as usize);
            format!("{:<16}{:>8} |{bar:<width$}|\n", label(histogram.shape, bucket), bucket.count)
        })
        .collect()
}

/// One line of percentiles, each the upper border of the bucket it falls into: no sample is above what is said.
pub fn percentiles(histogram: &Histogram) -> String {
    let buckets = buckets(histogram);
    let Some(recorded) = record(&buckets) else { return String::new() };
    let quantile = |q: f64| bound(&buckets[recorded.value_at_quantile(q) as usize]);
    let mut line: Vec<String> = QUANTILES.iter().map(|(name, q)| format!("{name} {}", quantile(*q))).collect();
    line.push(format!("max {}", quantile(1.0)));
    format!("{}\n", line.join("  "))
}

/// The buckets by their position, so that no further rounding takes place.
fn record(buckets: &[Bucket]) -> Option<hdrhistogram::Histogram<u64>> {
    let highest = (buckets.len() as u64).max(2);
    let mut recorded = hdrhistogram::Histogram::new_with_max(highest, 4).ok()?;
    for (position, bucket) in buckets.iter().enumerate() {
        recorded.record_n(position as u64, bucket.count).ok()?;
    }
    (!recorded.is_empty()).then_some(recorded)
}

fn bound(bucket: &Bucket) -> String {
    match (bucket.min, bucket.max) {
        (Some(min), None) => format!(">= {min}"),
        (None, Some(max)) => format!("< {}", max.saturating_add(1)),
        (Some(min), Some(max)) if min == max => min.to_string(),
        (_, max) => format!("<= {}", max.unwrap_or(i64::MAX)),
    }
}

pub(super) fn borders(shape: Aggregate, index: u32) -> (Option<i64>, Option<i64>) {
    match shape {
        Aggregate::Hist { bits } => log2_borders(bits, index),
        Aggregate::LHist { min, max, step } => linear_borders(min, max, step, index),
        Aggregate::Count
        | Aggregate::Sum(_)
        | Aggregate::Min(_)
        | Aggregate::Max(_)
        | Aggregate::Avg(_)
        | Aggregate::Stats(_)
        | Aggregate::Series { .. }
        | Aggregate::Heat { .. }
        | Aggregate::Quantiles => (None, None),
    }
}

pub fn log2_borders(bits: u8, index: u32) -> (Option<i64>, Option<i64>) {
    if index == 0 {
        return (None, Some(-1));
    }
    let low = |index: u64| -> u128 {
        let shift = (index >> bits).saturating_sub(1);
        u128::from(index - (shift << bits)) << shift
    };
    let index = u64::from(index - 1);
    let top = i64::MAX as u128;
    (Some(low(index).min(top) as i64), Some((low(index + 1) - 1).min(top) as i64))
}

fn linear_borders(min: i64, max: i64, step: i64, index: u32) -> (Option<i64>, Option<i64>) {
    let low = min.saturating_add((i64::from(index) - 1).saturating_mul(step));
    let buckets = (max - min) / step;
    match i64::from(index) {
        0 => (None, Some(min - 1)),
        // When the steps do not fill the range, what is left of it counts as above.
        index if index > buckets => (Some(low), None),
        _ => (Some(low), Some(low + step - 1)),
    }
}

pub(super) fn label(shape: Aggregate, bucket: &Bucket) -> String {
    let number = |value: i64| match shape {
        Aggregate::Hist { bits } => log2_label(bits, log2_bucket(value, bits)),
        Aggregate::LHist { step, .. } if step % 1024 == 0 => scaled(value),
        _ => value.to_string(),
    };
    // The upper border is shown as the first value that is not within, which for the last logarithmic bucket is no number.
    let after = |max: i64| match shape {
        Aggregate::Hist { bits } => log2_label(bits, log2_bucket(max, bits) + 1),
        _ => number(max.saturating_add(1)),
    };
    match (bucket.min, bucket.max) {
        (None, Some(max)) => format!("(..., {})", after(max)),
        (Some(min), None) => format!("[{}, ...)", number(min)),
        (Some(min), Some(max)) if min == max => format!("[{}]", number(min)),
        (Some(min), Some(max)) => format!("[{}, {})", number(min), after(max)),
        (None, None) => "(..., ...)".to_string(),
    }
}

/// The lower border of a logarithmic bucket: `1024` with sub-buckets, where a power of 1024 is reached by its shift `1K`.
fn log2_label(bits: u8, bucket: u32) -> String {
    let index = u64::from(bucket.saturating_sub(1));
    let shift = (index >> bits).saturating_sub(1);
    let mantissa = index - (shift << bits);
    let suffix = ["", "K", "M", "G", "T", "P", "E"][(shift / 10) as usize];
    format!("{}{suffix}", mantissa << (shift % 10))
}

/// A number in the largest power of 1024 that divides it.
fn scaled(value: i64) -> String {
    let mut value = value;
    let mut suffix = "";
    for next in ["K", "M", "G", "T", "P", "E"] {
        if value == 0 || value % 1024 != 0 {
            break;
        }
        value /= 1024;
        suffix = next;
    }
    format!("{value}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::log2_buckets;

    fn hist(bits: u8, values: &[i64]) -> Histogram {
        let mut counts = vec![0; log2_buckets(bits) as usize];
        for &value in values {
            counts[log2_bucket(value, bits) as usize] += 1;
        }
        Histogram { shape: Aggregate::Hist { bits }, counts, div: 1 }
    }

    #[test]
    fn every_value_lies_within_the_borders_of_its_bucket() {
        for bits in 0..=5 {
            for value in
                (0..63).flat_map(|power| [(1i64 << power) - 1, 1 << power, (1 << power) + 1]).chain([-1, i64::MAX])
            {
                let (min, max) = borders(Aggregate::Hist { bits }, log2_bucket(value, bits));
                assert!(min.is_none_or(|min| min <= value) && max.is_none_or(|max| value <= max), "{bits} {value}");
            }
        }
    }

    #[test]
    fn bars_and_labels_are_those_of_bpftrace() {
        let text = text(&hist(0, &[-1, 0, 1, 5, 5, 1000]), usize::MAX);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows[0], "(..., 0)               1 |@@@@@@@@@@@@@@@@@@@@@@@@@@                          |");
        assert_eq!(rows[3], "[2, 4)                 0 |                                                    |");
        assert_eq!(rows[4], "[4, 8)                 2 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|");
        assert_eq!(rows[11], "[512, 1K)              1 |@@@@@@@@@@@@@@@@@@@@@@@@@@                          |");
    }

    #[test]
    fn bars_fit_where_there_is_little_room() {
        let text = |columns| text(&hist(0, &[5, 5, 1000]), columns).lines().next().map(str::to_string);
        assert_eq!(text(40), Some("[4, 8)                 2 |@@@@@@@@@@@@@|".to_string()));
        assert_eq!(text(0), Some("[4, 8)                 2 |@@@@@@@@|".to_string()));
    }

    #[test]
    fn sub_buckets_are_labelled_by_their_shift() {
        let label = |value| super::label(Aggregate::Hist { bits: 2 }, &buckets(&hist(2, &[value]))[0]);
        assert_eq!(label(900), "[896, 1024)");
        assert_eq!(label(4000), "[3584, 4K)");
        assert_eq!(label(900_000 + 50_000), "[896K, 1024K)");
        assert_eq!(label(i64::MAX), "[7E, 8E)");
        let top = |bits| super::label(Aggregate::Hist { bits }, &buckets(&hist(bits, &[i64::MAX]))[0]);
        assert_eq!((top(0), top(4)), ("[4E, 8E)".to_string(), "[7936P, 8192P)".to_string()));
    }

    #[test]
    fn percentiles_name_the_upper_border() {
        let mut values = vec![5; 98];
        values.extend([100, 1000]);
        assert_eq!(percentiles(&hist(0, &values)), "p50 <= 7  p90 <= 7  p99 <= 127  p99.9 <= 1023  max <= 1023\n");
    }
}
