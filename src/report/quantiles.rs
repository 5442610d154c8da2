//! The percentiles of a `quantiles` value.

use super::histogram::log2_borders;
use crate::types::QUANTILE_BITS;
use crate::value::Quantiles;

/// Percentiles shown, each as a fraction.
const SHOWN: [(&str, u64, u64); 4] = [("p50", 50, 100), ("p90", 90, 100), ("p99", 99, 100), ("p99.9", 999, 1000)];

/// What is shown beside the count: percentiles and the greatest value, divided as they are to be shown.
pub fn values(of: &Quantiles) -> Vec<(&'static str, i64)> {
    let divided = |value: i64| i64::try_from(of.div.max(1)).map_or(0, |by| value / by);
    let percentiles = SHOWN.iter().map(|(name, part, whole)| (*name, divided(quantile(of, *part, *whole))));
    percentiles.chain([("max", divided(of.max))]).collect()
}

/// One line without its end.
pub fn text(of: &Quantiles) -> String {
    let values: Vec<String> = values(of).into_iter().map(|(name, value)| format!("  {name} {value}")).collect();
    format!("count {}{}", of.count(), values.concat())
}

/// The least value that `part` of `whole` of all are not above: the middle of its bucket, which is off by less than 1 %. Programs
/// that ask for `p99(@)` compute the same.
pub fn quantile(of: &Quantiles, part: u64, whole: u64) -> i64 {
    let rank = (u128::from(of.count()) * u128::from(part)).div_ceil(u128::from(whole)).max(1);
    if rank >= u128::from(of.count()) {
        return of.max;
    }
    let mut seen = 0;
    let found = of.buckets.iter().find(|(_, count)| {
        seen += u128::from(*count);
        seen >= rank
    });
    found.map_or(of.max, |(bucket, _)| middle(*bucket).min(of.max))
}

/// The middle of a bucket; of that of all negative numbers, the greatest.
pub fn middle(bucket: u32) -> i64 {
    match log2_borders(QUANTILE_BITS, bucket) {
        (Some(min), Some(max)) => min + (max - min).wrapping_add(1) / 2,
        (_, max) => max.unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::types::log2_bucket;

    fn distribution(values: &[i64]) -> Quantiles {
        let mut buckets = BTreeMap::new();
        for &value in values {
            *buckets.entry(log2_bucket(value, QUANTILE_BITS)).or_insert(0) += 1;
        }
        let max = values.iter().copied().max().unwrap_or(0);
        Quantiles { max, buckets: buckets.into_iter().collect(), div: 1 }
    }

    #[test]
    fn every_percentile_of_known_distributions_is_within_a_percent() {
        let squares: Vec<i64> = (1..=30_000).map(|n| n * n).collect();
        let powers: Vec<i64> = (0..6_000).map(|n| 1.007f64.powi(n) as i64).collect();
        for values in [(1..=100_000).collect(), squares, powers] {
            let of = distribution(&values);
            for part in 1..=1000 {
                let exact = values[(values.len() * part as usize).div_ceil(1000) - 1];
                let off = (quantile(&of, part, 1000) - exact).unsigned_abs();
                assert!(off as f64 <= exact as f64 / 100.0, "p{part}: {exact}, off by {off}");
            }
        }
    }

    #[test]
    fn nothing_is_above_the_greatest() {
        assert_eq!(text(&distribution(&[1000, 3])), "count 2  p50 3  p90 1000  p99 1000  p99.9 1000  max 1000");
        assert_eq!(quantile(&distribution(&[-7, -5]), 1, 2), -5);
        assert_eq!(quantile(&distribution(&[-7, 5]), 1, 2), -1);
        assert_eq!(quantile(&distribution(&[i64::MAX; 2]), 1, 2), i64::MAX - (1 << 55) + 1);
    }
}
