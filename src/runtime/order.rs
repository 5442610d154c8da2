//! The entries of a map in the order in which they are shown, the greatest chosen, and values divided.

use std::cmp::Ordering;

use crate::types::{Aggregate, MapValue, Type};
use crate::value::Value;

/// An entry whose value is merged, and whose key is still bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub key: Vec<u8>,
    pub value: Value,
}

/// Which entries to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The last so many in order; 0 for all.
    pub top: u64,
    /// What values are divided by.
    pub div: u64,
}

impl Choice {
    pub const ALL: Choice = Choice { top: 0, div: 1 };
}

/// Sorts ascending: numbers and aggregations by value, everything else by key, which also decides between equals.
pub fn arrange(rows: &mut Vec<Row>, key: &Type, value: &MapValue, choice: Choice) {
    let by_key = |one: &Row, other: &Row| compare(key, &one.key, &other.key);
    if is_ranked(value) {
        let rank = |row: &Row| rank(value, &row.value);
        rows.sort_by(|one, other| rank(one).cmp(&rank(other)).then_with(|| by_key(one, other)));
    } else {
        rows.sort_by(by_key);
    }
    if choice.top != 0 && (choice.top as usize) < rows.len() {
        rows.drain(..rows.len() - choice.top as usize);
    }
    for row in rows {
        divide(&mut row.value, choice.div);
    }
}

/// Divides numbers, averages and histogram counts, and the numbers within tuples; other values stay.
pub fn divide(value: &mut Value, by: u64) {
    if by <= 1 {
        return;
    }
    match value {
        // No 64-bit integer is larger than such a divisor, but for the most negative one.
        Value::Int(number) => *number = i64::try_from(by).map_or(0, |by| *number / by),
        Value::UInt(number) => *number /= by,
        Value::Average { total, .. } => *total /= i128::from(by),
        Value::Histogram(of) => of.div = by,
        Value::Tuple(elements) | Value::Array(elements) => elements.iter_mut().for_each(|element| divide(element, by)),
        Value::Record(fields) => fields.iter_mut().for_each(|(_, field)| divide(field, by)),
        Value::Bool(_)
        | Value::Str { .. }
        | Value::Bytes(_)
        | Value::Pointer(_)
        | Value::Enum { .. }
        | Value::Mac(_)
        | Value::Inet(_)
        | Value::Time(_)
        | Value::Symbol(_)
        | Value::Stack { .. }
        | Value::Stats { .. } => {}
        Value::Quantiles(of) => of.div = by,
        Value::Heat(of) => of.div = by,
        Value::Series(of) => of.points.iter_mut().for_each(|(_, value)| *value /= i128::from(by)),
    }
}

fn is_ranked(value: &MapValue) -> bool {
    matches!(value, MapValue::Aggregate(_) | MapValue::Plain(Type::Int(_)))
}

fn rank(ty: &MapValue, value: &Value) -> i128 {
    match value {
        // As in bpftrace, negative extremes come after all others.
        Value::Int(number) if matches!(ty, MapValue::Aggregate(Aggregate::Min(_) | Aggregate::Max(_))) => {
            i128::from(*number as u64)
        }
        Value::Int(number) => i128::from(*number),
        Value::UInt(number) => i128::from(*number),
        Value::Average { count, total } | Value::Stats { count, total } => *total / i128::from(*count).max(1),
        Value::Histogram(of) => of.counts.iter().map(|count| i128::from(*count)).sum(),
        Value::Quantiles(of) => i128::from(of.count()),
        Value::Heat(of) => of.columns.iter().flat_map(|(_, counts)| counts).map(|count| i128::from(*count)).sum(),
        Value::Series(of) => of.points.last().map_or(0, |(epoch, _)| i128::from(*epoch)),
        _ => 0,
    }
}

/// Compares two keys: numbers as signed ones of their width (as bpftrace does), text by its bytes, tuples element by element.
fn compare(ty: &Type, one: &[u8], other: &[u8]) -> Ordering {
    match ty {
        Type::Int(_) | Type::Enum(_) => signed(ty, one).cmp(&signed(ty, other)),
        Type::Bool | Type::Ptr(..) | Type::Timestamp(_) | Type::KSym | Type::Stack(_) | Type::Named(_) => {
            word(one).cmp(&word(other))
        }
        Type::USym => word(one).cmp(&word(other)).then_with(|| one.cmp(other)),
        Type::Tuple(elements) | Type::Record(_, elements) => {
            let offsets = ty.offsets();
            let pairs = elements.iter().zip(offsets);
            pairs.fold(Ordering::Equal, |order, (element, at)| {
                let part = |bytes| part(bytes, at, element.size());
                order.then_with(|| compare(element, part(one), part(other)))
            })
        }
        Type::Void | Type::Str(_) | Type::Buf(_) | Type::Struct(_) | Type::Array(..) | Type::Mac | Type::Inet => {
            one.cmp(other)
        }
    }
}

fn signed(ty: &Type, bytes: &[u8]) -> i64 {
    let unused = 64 - (ty.size() * 8).clamp(1, 64);
    (word(bytes) << unused) as i64 >> unused
}

/// The first bytes, up to eight, as a number.
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    let length = bytes.len().min(8);
    word[..length].copy_from_slice(&bytes[..length]);
    u64::from_ne_bytes(word)
}

fn part(bytes: &[u8], at: u32, size: u32) -> &[u8] {
    bytes.get(at as usize..(at + size) as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Int, Sign};
    use crate::value::Histogram;

    fn rows(pairs: &[(i32, i64)]) -> Vec<Row> {
        pairs.iter().map(|(key, value)| Row { key: key.to_ne_bytes().to_vec(), value: Value::Int(*value) }).collect()
    }

    fn values(rows: &[Row]) -> Vec<i64> {
        rows.iter().map(|row| if let Value::Int(value) = row.value { value } else { 0 }).collect()
    }

    #[test]
    fn numbers_by_value_the_greatest_last() {
        let mut of = rows(&[(1, 30), (2, -10), (3, 20)]);
        arrange(&mut of, &Type::I32, &MapValue::Plain(Type::I64), Choice::ALL);
        assert_eq!(values(&of), [-10, 20, 30]);
        arrange(&mut of, &Type::I32, &MapValue::Plain(Type::Int(Int::I8)), Choice { top: 2, div: 10 });
        assert_eq!(values(&of), [2, 3]);
    }

    #[test]
    fn other_values_by_key() {
        let mut of = rows(&[(7, 1), (-7, 2), (0, 3)]);
        arrange(&mut of, &Type::I32, &MapValue::Plain(Type::Bool), Choice::ALL);
        assert_eq!(values(&of), [2, 3, 1]);
        let key = Type::tuple([Type::Str(2), Type::U32]);
        let row = |text: u8, number: u8| Row { key: vec![text, 0, 0, 0, number, 0, 0, 0], value: Value::Bool(true) };
        let mut of = vec![row(b'b', 1), row(b'a', 9), row(b'a', 2)];
        arrange(&mut of, &key, &MapValue::Plain(Type::Bool), Choice::ALL);
        assert_eq!(of, [row(b'a', 2), row(b'a', 9), row(b'b', 1)]);
    }

    #[test]
    fn averages_by_average_histograms_by_total() {
        let of = MapValue::Aggregate(Aggregate::Avg(Sign::Signed));
        assert!(rank(&of, &Value::Average { count: 2, total: 10 }) < rank(&of, &Value::Stats { count: 1, total: 6 }));
        let shape = Aggregate::LHist { min: 0, max: 1, step: 1 };
        let histogram = Value::Histogram(Histogram { shape, counts: vec![1, 2, 3], div: 1 });
        assert_eq!(rank(&MapValue::Aggregate(shape), &histogram), 6);
    }
}
