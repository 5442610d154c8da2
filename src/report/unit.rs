//! What numbers of a map are numbers of, as far as its name tells.

/// A unit by the name that profiles know it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Bytes,
    Count,
}

/// The last words of names that tell.
const WORDS: &[(&str, Unit)] = &[
    ("ns", Unit::Nanoseconds),
    ("nsecs", Unit::Nanoseconds),
    ("us", Unit::Microseconds),
    ("usecs", Unit::Microseconds),
    ("ms", Unit::Milliseconds),
    ("msecs", Unit::Milliseconds),
    ("secs", Unit::Seconds),
    ("seconds", Unit::Seconds),
    ("bytes", Unit::Bytes),
];

impl Unit {
    /// Of `@read_us`, microseconds; of most names, how many there are.
    pub fn of(map: &str) -> Unit {
        let last = map.trim_start_matches('@').rsplit('_').next().unwrap_or_default();
        WORDS.iter().find(|(word, _)| *word == last).map_or(Unit::Count, |(_, unit)| *unit)
    }

    pub fn name(self) -> &'static str {
        match self {
            Unit::Nanoseconds => "nanoseconds",
            Unit::Microseconds => "microseconds",
            Unit::Milliseconds => "milliseconds",
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
            Unit::Count => "count",
        }
    }

    /// What stands behind a number of it.
    pub fn counted(self) -> &'static str {
        if self == Unit::Count { "samples" } else { self.name() }
    }
}
