//! A thing: what the runtime hands to the printer, already read, merged and symbolised.

use std::net::IpAddr;

use crate::types::{Aggregate, StackMode};

/// A value of the language.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Int(i64),
    UInt(u64),
    Bool(bool),
    /// Text up to its NUL; `cut` when it filled its buffer, so that more may have followed.
    Str {
        text: Vec<u8>,
        cut: bool,
    },
    /// Bytes of `buf()`.
    Bytes(Vec<u8>),
    Pointer(u64),
    /// Shown by name where the number has one.
    Enum {
        name: Option<String>,
        number: i64,
    },
    Mac([u8; 6]),
    Inet(IpAddr),
    /// Formatted wall-clock time.
    Time(String),
    /// A symbolised address, as `ksym()` and `usym()` show it: `vfs_read+16` or `0x…` where unknown.
    Symbol(String),
    Stack {
        mode: StackMode,
        frames: Vec<Frame>,
    },
    Tuple(Vec<Value>),
    Record(Vec<(String, Value)>),
    Array(Vec<Value>),
    /// A merged `avg`: `total / count` of it is what is shown.
    Average {
        count: u64,
        total: i128,
    },
    Stats {
        count: u64,
        total: i128,
    },
    Histogram(Histogram),
    Series(Series),
    Quantiles(Quantiles),
    Heat(Heat),
}

/// One frame of a stack, or one of the inlined functions within it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frame {
    pub address: u64,
    /// Function name, where the symboliser found one.
    pub symbol: Option<String>,
    pub offset: u64,
    /// File or kernel module that holds it.
    pub module: Option<String>,
    /// `file.c:12`, where that was asked for.
    pub place: Option<String>,
    pub kind: FrameKind,
    /// The file's build id and the offset in it, where they were asked for.
    pub build: Option<(String, u64)>,
}

/// How a function came to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FrameKind {
    Called,
    /// The compiler put it into its caller.
    Inlined,
}

impl Frame {
    /// Nothing is known of this address.
    pub fn bare(address: u64) -> Frame {
        let kind = FrameKind::Called;
        Frame { address, symbol: None, offset: 0, module: None, place: None, kind, build: None }
    }
}

/// The merged intervals of `tseries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Nanoseconds.
    pub interval: u64,
    /// The number of each interval since 1970 and what its values come to, oldest first; intervals without values are left out.
    pub points: Vec<(u64, i128)>,
}

/// A merged distribution of `quantiles`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantiles {
    /// The greatest value.
    pub max: i64,
    /// Buckets that are not empty, in their order (see [`crate::types::log2_bucket`]), each with its count.
    pub buckets: Vec<(u32, u64)>,
    /// What values are divided by when they are shown.
    pub div: u64,
}

/// A merged `heatmap`: a logarithmic histogram for each interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heat {
    /// Nanoseconds.
    pub interval: u64,
    /// Of the buckets, as in [`Aggregate::Hist`].
    pub bits: u8,
    /// The number of each interval since 1970 and its counts, oldest first; intervals without values are left out.
    pub columns: Vec<(u64, Vec<u64>)>,
    /// What counts are divided by when they are shown.
    pub div: u64,
}

/// The merged buckets of `hist` or `lhist`, in the order of [`Aggregate`]'s slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// `Aggregate::Hist` or `Aggregate::LHist`: what each bucket's borders are.
    pub shape: Aggregate,
    pub counts: Vec<u64>,
    /// What counts are divided by when they are shown.
    pub div: u64,
}

impl Frame {
    /// The kernel has the upper half of all addresses.
    pub fn is_of_kernel(&self) -> bool {
        self.address >> 63 == 1
    }
}

impl Quantiles {
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

/// A whole map as it was read at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct MapReport {
    /// `@` or `@name`.
    pub name: String,
    pub entries: Entries,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Entries {
    Scalar(Value),
    /// In the order in which they are to be shown.
    Keyed(Vec<(Value, Value)>),
}
