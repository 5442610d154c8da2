//! What a thing is: the types of the language and how each lies in memory.

use std::fmt;
use std::sync::Arc;

/// The type of an expression, a variable, a map key or a map value.
///
/// Scalars (see [`Type::is_scalar`]) live in a register; everything else lives in memory, zero-padded to [`Type::size`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    Void,
    Bool,
    Int(Int),
    /// Text in a buffer of this many bytes, its NUL and zero padding included.
    Str(u32),
    /// A `u32` length followed by up to this many bytes.
    Buf(u32),
    Ptr(Box<Type>, Space),
    /// A structure by value (or, behind `Ptr`, what is pointed at).
    Struct(StructRef),
    Enum(Arc<EnumType>),
    Array(Box<Type>, u32),
    /// Elements at their natural alignment, padding zeroed.
    Tuple(Arc<[Type]>),
    /// Names, and the elements that they name, which lie as those of a tuple do.
    Record(Arc<[Arc<str>]>, Arc<[Type]>),
    /// Six bytes.
    Mac,
    /// `u32` address family (2 or 10 as in `AF_INET`, `AF_INET6`), then 16 bytes.
    Inet,
    /// `u64` boot-time nanoseconds and the strftime format it is to be shown with.
    Timestamp(Arc<str>),
    /// `u64` kernel address.
    KSym,
    /// `u64` user address, then `u64` process id.
    USym,
    /// A scalar: low 32 bits the id in the stack map, high 32 bits the process id (0 for kernel stacks).
    Stack(StackType),
    /// A scalar: `i64`, for which user space shows a name.
    Named(Naming),
}

/// What a number is that is shown by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Naming {
    User,
    /// A cgroup, in those hierarchies whose name matches the pattern.
    Cgroup(Arc<str>),
    /// An `errno`.
    Error,
    Signal,
    SystemCall,
}

/// An integer type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Int {
    /// 8, 16, 32 or 64.
    pub bits: u8,
    pub sign: Sign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sign {
    Signed,
    Unsigned,
}

/// Whose memory a pointer points into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Space {
    Kernel,
    User,
    /// Not known at compile time.
    #[default]
    Unknown,
}

/// A structure or union, by its place in the kernel's BTF.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StructRef {
    /// `struct task_struct`, `union sigval`; empty-named for anonymous ones.
    pub name: Arc<str>,
    /// The BTF type id.
    pub btf: u32,
    pub size: u32,
    /// Whose memory the pointers in it lead into: of a value, that of the memory it was read from.
    pub space: Space,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct EnumType {
    pub name: String,
    /// Bytes.
    pub size: u8,
    pub sign: Sign,
    pub variants: Vec<(String, i64)>,
}

impl EnumType {
    /// The numbers that its values are.
    pub fn numbers(&self) -> Int {
        Int { bits: self.size * 8, sign: self.sign }
    }
}

/// What kind of stack, and how its frames are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StackType {
    pub side: Side,
    pub mode: StackMode,
    /// Frames kept at the most.
    pub limit: u32,
    pub unwinder: Unwinder,
}

/// How callers are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unwinder {
    /// By the kernel, which follows frame pointers.
    FramePointers,
    /// By the program, with the tables that compilers write for exceptions.
    Tables,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    Kernel,
    User,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StackMode {
    Bpftrace,
    Perf,
    Raw,
    BuildId,
}

/// What a map holds at each key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MapValue {
    /// A plain value, last write wins.
    Plain(Type),
    /// A per-CPU slot that is merged when read.
    Aggregate(Aggregate),
}

/// The aggregations, and how the per-CPU slot of each is laid out (all fields are eight bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// `[count]`
    Count,
    /// `[sum]`
    Sum(Sign),
    /// `[value, set]`; `set` is 1 once a value was stored.
    Min(Sign),
    /// `[value, set]`
    Max(Sign),
    /// `[count, total]`
    Avg(Sign),
    /// `[count, total]`
    Stats(Sign),
    /// `[bucket; log2_buckets(bits)]`
    Hist { bits: u8 },
    /// `[bucket; 2 + (max - min) / step]`: below `min`, each step, `max` and above.
    LHist { min: i64, max: i64, step: i64 },
    /// `[epoch, value, mark]` for each of `count` intervals of so many nanoseconds, a ring; `mark` is 0 without a value.
    Series { interval: u64, count: u32, keep: Keep, sign: Sign },
    /// `[bucket; log2_buckets(bits)]` for each interval of so many nanoseconds, which has an entry of its own.
    Heat { interval: u64, bits: u8 },
    /// `[greatest, set, count]`, a count for each [`QUANTILE_BLOCK`] buckets, then the buckets of a logarithmic histogram with
    /// [`QUANTILE_BITS`]. In a map with keys each block is an entry of its own: `[greatest, set, count]` and its buckets.
    Quantiles,
}

/// Each power of two is split into 64 buckets. A bucket's middle is off by 1 of 128 at the most; one bit more would not fit a
/// per-CPU value.
pub const QUANTILE_BITS: u8 = 6;
/// Buckets that are also counted together, so that a quantile is found in two short walks.
pub const QUANTILE_BLOCK: u32 = 64;
/// The words where the blocks and the buckets of [`Aggregate::Quantiles`] begin.
pub const QUANTILE_BLOCKS_AT: u32 = 3;
pub const QUANTILE_BUCKETS_AT: u32 = QUANTILE_BLOCKS_AT + quantile_blocks();

/// The word where the buckets of one block begin, where each block has an entry of its own: `[greatest, set, count]` come first.
pub const QUANTILE_PART_AT: u32 = 3;

/// Words of one interval of a [`Aggregate::Series`].
pub const SERIES_WORDS: u32 = 3;

/// What the values of one interval come to, and what its mark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keep {
    /// The time of the last value.
    Last,
    /// How many values there were.
    Sum,
    /// 1.
    Min,
    /// 1.
    Max,
    /// How many values there were; the value is their sum.
    Average,
}

impl Int {
    pub const U8: Int = Int { bits: 8, sign: Sign::Unsigned };
    pub const U16: Int = Int { bits: 16, sign: Sign::Unsigned };
    pub const U32: Int = Int { bits: 32, sign: Sign::Unsigned };
    pub const U64: Int = Int { bits: 64, sign: Sign::Unsigned };
    pub const I8: Int = Int { bits: 8, sign: Sign::Signed };
    pub const I16: Int = Int { bits: 16, sign: Sign::Signed };
    pub const I32: Int = Int { bits: 32, sign: Sign::Signed };
    pub const I64: Int = Int { bits: 64, sign: Sign::Signed };
}

impl Type {
    pub const U64: Type = Type::Int(Int::U64);
    pub const I64: Type = Type::Int(Int::I64);
    pub const U32: Type = Type::Int(Int::U32);
    pub const I32: Type = Type::Int(Int::I32);
    pub const U8: Type = Type::Int(Int::U8);

    pub fn tuple(elements: impl Into<Arc<[Type]>>) -> Type {
        Type::Tuple(elements.into())
    }

    pub fn pointer(to: Type, space: Space) -> Type {
        Type::Ptr(Box::new(to), space)
    }

    /// Whether a value of this type lives in one register.
    pub fn is_scalar(&self) -> bool {
        match self {
            Type::Bool
            | Type::Int(_)
            | Type::Ptr(..)
            | Type::Enum(_)
            | Type::Timestamp(_)
            | Type::KSym
            | Type::Stack(_)
            | Type::Named(_) => true,
            Type::Void | Type::Str(_) | Type::Buf(_) | Type::Struct(_) | Type::Array(..) => false,
            Type::Tuple(_) | Type::Record(..) => false,
            Type::Mac | Type::Inet | Type::USym => false,
        }
    }

    /// Bytes in memory.
    pub fn size(&self) -> u32 {
        match self {
            Type::Void => 0,
            Type::Bool => 1,
            Type::Int(int) => u32::from(int.bits) / 8,
            Type::Enum(of) => u32::from(of.size),
            Type::Str(bytes) => *bytes,
            Type::Buf(bytes) => 4 + bytes,
            Type::Ptr(..) | Type::Timestamp(_) | Type::KSym | Type::Stack(_) | Type::Named(_) => 8,
            Type::USym => 16,
            Type::Struct(of) => of.size,
            Type::Array(of, count) => of.size() * count,
            Type::Tuple(elements) | Type::Record(_, elements) => tuple_layout(elements).1,
            Type::Mac => 6,
            Type::Inet => 20,
        }
    }

    /// Alignment in bytes; structures from the kernel count as eight.
    pub fn align(&self) -> u32 {
        match self {
            Type::Void | Type::Bool | Type::Str(_) | Type::Mac => 1,
            Type::Int(int) => u32::from(int.bits) / 8,
            Type::Enum(of) => u32::from(of.size),
            Type::Buf(_) | Type::Inet => 4,
            Type::Ptr(..) | Type::Timestamp(_) | Type::KSym | Type::Stack(_) | Type::Named(_) => 8,
            Type::USym | Type::Struct(_) => 8,
            Type::Array(of, _) => of.align(),
            Type::Tuple(elements) | Type::Record(_, elements) => elements.iter().map(Type::align).max().unwrap_or(1),
        }
    }

    /// Whether arithmetic on this type is signed.
    pub fn sign(&self) -> Sign {
        match self {
            Type::Int(int) => int.sign,
            Type::Enum(of) => of.sign,
            _ => Sign::Unsigned,
        }
    }

    /// The elements of a tuple or record; none of anything else.
    pub fn elements(&self) -> &[Type] {
        match self {
            Type::Tuple(elements) | Type::Record(_, elements) => elements,
            _ => &[],
        }
    }

    /// The offset of each element of a tuple or record.
    pub fn offsets(&self) -> Vec<u32> {
        tuple_layout(self.elements()).0
    }

    /// For each element of this tuple or record, which of the other's goes with it: by place, or by name where there are names.
    pub fn matching(&self, other: &Type) -> Option<Vec<usize>> {
        match (self, other) {
            (Type::Tuple(these), Type::Tuple(those)) => {
                (these.len() == those.len()).then(|| (0..these.len()).collect())
            }
            (Type::Record(these, _), Type::Record(those, _)) if these.len() == those.len() => {
                these.iter().map(|name| those.iter().position(|other| other == name)).collect()
            }
            _ => None,
        }
    }

    /// A tuple or record of the same shape with other elements.
    pub fn with_elements(&self, elements: Vec<Type>) -> Type {
        match self {
            Type::Record(names, _) => Type::Record(names.clone(), elements.into()),
            _ => Type::tuple(elements),
        }
    }

    /// Whether texts in a value of this type may lack their NUL or have anything after it, as the kernel keeps them.
    pub fn is_raw(&self) -> bool {
        matches!(self, Type::Struct(_) | Type::Array(..))
    }
}

impl Aggregate {
    /// Bytes of one CPU's slot.
    pub fn size(&self) -> u32 {
        match *self {
            Aggregate::Count | Aggregate::Sum(_) => 8,
            Aggregate::Min(_) | Aggregate::Max(_) | Aggregate::Avg(_) | Aggregate::Stats(_) => 16,
            Aggregate::Hist { bits } | Aggregate::Heat { bits, .. } => 8 * log2_buckets(bits),
            Aggregate::LHist { min, max, step } => 8 * (2 + ((max - min) / step) as u32),
            Aggregate::Series { count, .. } => 8 * SERIES_WORDS * count,
            Aggregate::Quantiles => 8 * (QUANTILE_BUCKETS_AT + log2_buckets(QUANTILE_BITS)),
        }
    }
}

impl Aggregate {
    /// Whether it has no one number (or record) to show, but many.
    pub fn is_distribution(&self) -> bool {
        match self {
            Aggregate::Count
            | Aggregate::Sum(_)
            | Aggregate::Min(_)
            | Aggregate::Max(_)
            | Aggregate::Avg(_)
            | Aggregate::Stats(_) => false,
            Aggregate::Hist { .. }
            | Aggregate::LHist { .. }
            | Aggregate::Series { .. }
            | Aggregate::Heat { .. }
            | Aggregate::Quantiles => true,
        }
    }

    /// Bytes of one CPU's slot for one part of a value that is spread over several entries.
    pub fn part_size(&self) -> u32 {
        match self {
            Aggregate::Quantiles => 8 * (QUANTILE_PART_AT + QUANTILE_BLOCK),
            _ => self.size(),
        }
    }
}

impl MapValue {
    /// Bytes of the value in the map (of one CPU's slot for an aggregation).
    pub fn size(&self) -> u32 {
        match self {
            MapValue::Plain(of) => of.size(),
            MapValue::Aggregate(of) => of.size(),
        }
    }
}

/// How many buckets a logarithmic histogram with `2^bits` sub-buckets per power of two has: one for negative numbers,
/// then one for each index that [`log2_bucket`] can give for a non-negative signed 64-bit number.
pub const fn log2_buckets(bits: u8) -> u32 {
    log2_bucket(i64::MAX, bits) + 1
}

/// The bucket a number falls into: 0 below zero, else one plus the log-linear index.
pub const fn log2_bucket(value: i64, bits: u8) -> u32 {
    if value < 0 {
        return 0;
    }
    let value = value as u64;
    let bits = bits as u32;
    let shift = (63 - (value | 1).leading_zeros()).saturating_sub(bits);
    1 + (shift << bits) + (value >> shift) as u32
}

/// Blocks of [`QUANTILE_BLOCK`] buckets.
pub const fn quantile_blocks() -> u32 {
    log2_buckets(QUANTILE_BITS).div_ceil(QUANTILE_BLOCK)
}

fn tuple_layout(elements: &[Type]) -> (Vec<u32>, u32) {
    let mut end = 0u32;
    let mut align = 1;
    let offsets = elements
        .iter()
        .map(|element| {
            let start = end.next_multiple_of(element.align());
            end = start + element.size();
            align = align.max(element.align());
            start
        })
        .collect();
    (offsets, end.next_multiple_of(align))
}

impl fmt::Display for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.sign {
            Sign::Signed => "",
            Sign::Unsigned => "u",
        };
        write!(f, "{prefix}int{}", self.bits)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Void => f.write_str("void"),
            Type::Bool => f.write_str("bool"),
            Type::Int(int) => int.fmt(f),
            Type::Str(0) => f.write_str("string"),
            Type::Str(bytes) => write!(f, "string[{bytes}]"),
            Type::Buf(bytes) => write!(f, "buffer[{bytes}]"),
            Type::Ptr(to, _) => write!(f, "{to} *"),
            Type::Struct(of) => f.write_str(&of.name),
            Type::Enum(of) => write!(f, "enum {}", of.name),
            Type::Array(of, count) => write!(f, "{of}[{count}]"),
            Type::Tuple(elements) => {
                let elements: Vec<String> = elements.iter().map(Type::to_string).collect();
                write!(f, "({})", elements.join(","))
            }
            Type::Record(names, types) => {
                let fields: Vec<String> =
                    names.iter().zip(types.iter()).map(|(name, ty)| format!(".{name} = {ty}")).collect();
                write!(f, "record {{ {} }}", fields.join(", "))
            }
            Type::Mac => f.write_str("macaddr_t"),
            Type::Inet => f.write_str("inet"),
            Type::Timestamp(_) => f.write_str("timestamp"),
            Type::KSym => f.write_str("ksym_t"),
            Type::USym => f.write_str("usym_t"),
            Type::Stack(stack) => f.write_str(match stack.side {
                Side::Kernel => "kstack_t",
                Side::User => "ustack_t",
            }),
            Type::Named(naming) => f.write_str(match naming {
                Naming::User => "username_t",
                Naming::Cgroup(_) => "cgroup_path_t",
                Naming::Error => "strerror_t",
                Naming::Signal => "signal_name_t",
                Naming::SystemCall => "syscall_name_t",
            }),
        }
    }
}

impl fmt::Display for MapValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapValue::Plain(of) => of.fmt(f),
            MapValue::Aggregate(of) => f.write_str(match of {
                Aggregate::Count => "count_t",
                Aggregate::Sum(_) => "sum_t",
                Aggregate::Min(_) => "min_t",
                Aggregate::Max(_) => "max_t",
                Aggregate::Avg(_) => "avg_t",
                Aggregate::Stats(_) => "stats_t",
                Aggregate::Hist { .. } => "hist_t",
                Aggregate::LHist { .. } => "lhist_t",
                Aggregate::Series { .. } => "tseries_t",
                Aggregate::Heat { .. } => "heatmap_t",
                Aggregate::Quantiles => "quantiles_t",
            }),
        }
    }
}
