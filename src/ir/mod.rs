//! What the program means: every name resolved to an id, every expression typed, every offset known, every builtin lowered to a small core.
//!
//! One [`Probe`] becomes one BPF program. Control flow is structured. Expressions have no hidden effects except where their
//! documentation says so. Scalars are 64-bit while they are computed with and are narrowed where they are stored.
//! Faults at run time (a bad address, a missing key) give zero. The printed form is what `-d ast,ir` shows.

mod make;
pub mod print;
mod walk;

pub use make::{ids, process};
pub use walk::{rewrite, walk, walk_statements};

use crate::bpf::Helper;
use crate::bpf::asm::Kfunc;
use crate::id::IdVec;
use crate::plan::{ActionId, CounterId, MapId, Plan, ProgKind, Refusals, Target};
use crate::source::Span;
use crate::types::{Sign, Type};

crate::ids! {
    /// A scratch variable of one probe, or of a function in it.
    VarId;
    /// A function that one probe calls.
    FunctionId;
}

pub type Block = Vec<Stmt>;

#[derive(Debug, Clone)]
pub struct Program {
    pub probes: Vec<Probe>,
    pub plan: Plan,
}

/// One body with all targets that can share it.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    pub kind: ProgKind,
    pub targets: Vec<Target>,
    pub vars: IdVec<VarId, Var>,
    /// What the body calls; each stands after those that it calls itself.
    pub functions: IdVec<FunctionId, Function>,
    pub body: Block,
    pub span: Span,
}

/// A function of the script, as one probe uses it. It becomes a function of the probe's program.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    pub name: String,
    pub params: Vec<VarId>,
    /// `Void` if it gives no value.
    pub result: Type,
    pub takes: Takes,
    pub body: Block,
    pub span: Span,
}

/// What a function is handed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    Arguments,
    /// The program's context as well, before all arguments.
    ContextToo,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Var {
    /// `$x`, or a description for one the compiler made.
    pub name: String,
    pub ty: Type,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Stmt {
    pub kind: StmtKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum StmtKind {
    /// Evaluates for its effect.
    Eval(Expr),
    /// The value has exactly the variable's type.
    Set(VarId, Expr),
    /// Stores a plain value; `refused` counts updates that the kernel did not take. Key `None` for scalar maps.
    MapSet {
        map: MapId,
        key: Option<Expr>,
        value: Expr,
        refused: Refusals,
    },
    /// Finds or makes this CPU's slot at the key, then does the steps in order. Values are evaluated before the slot is looked up.
    Update {
        map: MapId,
        key: Option<Expr>,
        steps: Vec<Step>,
        refused: Refusals,
    },
    /// Bumps a counter.
    Count(CounterId),
    /// Tells user space of the current process, once, so that its addresses can have names when it is gone.
    Announce(Seen),
    /// Sends a record; the values have exactly the types of the action's fields.
    Emit {
        action: ActionId,
        values: Vec<Expr>,
        lost: CounterId,
    },
    If {
        cond: Expr,
        then: Block,
        otherwise: Block,
    },
    /// `for ($var : from..to)`, half open, ends evaluated once. `bound` counts loops that are cut short, and says after how many rounds.
    For {
        var: VarId,
        from: Expr,
        to: Expr,
        body: Block,
        bound: CounterId,
    },
    /// `for ($kv : @map)`: the body runs once for each entry, in the kernel's order, with copies of its key and (of maps with
    /// plain values, where it is wanted) its value. Entries that come or go meanwhile may be met or not.
    ForMap {
        map: MapId,
        key: VarId,
        value: Option<VarId>,
        body: Block,
    },
    While {
        cond: Expr,
        body: Block,
    },
    Break,
    Continue,
    /// Ends the program, whose result is the value (0 without one), or the function, which gives it.
    Return(Option<Expr>),
    Block(Block),
}

/// What is done to one `u64` of an aggregation's slot.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Index of the `u64` within the slot; checked against the slot's size by code generation (clamped to the last one).
    pub index: Expr,
    pub op: StepOp,
    pub value: Expr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOp {
    Add,
    Set,
    /// Stores the value; if it is another than before, so many words after it become 0.
    Renew {
        words: u32,
    },
    /// Stores the value if it is smaller, or if the next `u64` (the `set` mark) is still 0; the mark is set then.
    Min(Sign),
    /// Likewise for larger.
    Max(Sign),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub kind: Box<ExprKind>,
    pub ty: Type,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    // Scalars.
    /// A constant, of scalar type.
    Int(i64),
    /// The program's context pointer.
    Ctx,
    /// The file that an iterator writes what it has to say to.
    OutputFile,
    /// A direct load from the context, extended by the type's sign.
    CtxLoad {
        offset: u32,
    },
    /// A kernel helper with scalar arguments and result. Helpers that [`Helper::is_constant`] names give the same value throughout one run.
    Call(Helper, Vec<Expr>),
    /// `bpf_get_ns_current_pid_tgid` for the PID namespace given by its device and inode.
    NamespacedPid {
        device: u64,
        inode: u64,
    },
    /// 1 if the current task is in the control group of the map, or in one below it; 0 or an error of the kernel if not.
    InCgroup(MapId),
    /// What the traced function returns, as the kernel tells whatever it knows of the function: `bpf_get_func_ret`.
    FuncResult,
    Unary(UnaryOp, Expr),
    /// 64-bit arithmetic; division, modulo, right shift and comparison follow `sign`. Division by zero gives 1 and is counted.
    Binary {
        op: BinaryOp,
        sign: Sign,
        left: Expr,
        right: Expr,
        zero: Option<CounterId>,
    },
    Compare {
        op: CompareOp,
        sign: Sign,
        left: Expr,
        right: Expr,
    },
    And(Expr, Expr),
    Or(Expr, Expr),
    /// Narrows or extends a scalar to the type (bool: nonzero).
    Convert(Expr),
    /// `width` bits from bit `shift` of a scalar, extended by the type's sign.
    Bits {
        value: Expr,
        shift: u8,
        width: u8,
    },
    MapHas {
        map: MapId,
        key: Expr,
    },
    /// Removes the entry; true if there was one. A scalar map (no key) is set to zero.
    MapDelete {
        map: MapId,
        key: Option<Expr>,
    },
    MapLen(MapId),
    /// The map itself, as helpers take it.
    Handle(MapId),
    /// The address of a variable in the kernel's memory; it holds until the program ends.
    Address(VarId),
    /// The address of a CPU's own copy of a per-CPU variable of the kernel, named by its id in the kernel's BTF: this CPU's, or 0 of
    /// one that there is not.
    PerCpuAddress {
        var: u32,
        cpu: Option<Expr>,
    },
    /// The address of a value in its map; 0 if the key is missing.
    MapAddress {
        map: MapId,
        key: Option<Expr>,
    },
    /// The slots of all CPUs of an aggregation made one number, each word of them read once. Zero if the key is missing.
    Merge {
        map: MapId,
        key: Option<Expr>,
        how: Merge,
    },
    /// The wrapping sum over all CPUs of the `u64` of this index (clamped to the last one) in an aggregation's slots. Zero if the
    /// key is missing.
    SlotSum {
        map: MapId,
        key: Option<Expr>,
        index: Expr,
    },
    /// Records the stack and gives its id (see [`Type::Stack`]).
    Stack {
        map: MapId,
        collision: CounterId,
    },
    /// How many frames the current stack has (`len(kstack)`), up to the type's limit.
    StackLen {
        of: crate::types::StackType,
    },
    /// 0 if the first `len` bytes (or both whole texts, up to a common NUL) are equal, else 1. Arrays of one type are compared
    /// byte for byte.
    StrCompare {
        left: Expr,
        right: Expr,
        len: Option<u32>,
    },
    StrContains {
        hay: Expr,
        needle: Expr,
    },
    /// Where `needle` first occurs in `hay`, or -1.
    StrFind {
        hay: Expr,
        needle: Expr,
    },
    StrLen(Expr),
    /// -1, 0 or 1 by the first byte in which the memory of two values differs, of `len` bytes.
    MemCompare {
        left: Expr,
        right: Expr,
        len: u32,
    },
    /// Where a value in memory lies; it is built first if it is nowhere yet.
    Location(Expr),
    /// Index of a value in a logarithmic histogram ([`crate::types::log2_bucket`]).
    Log2Bucket {
        value: Expr,
        bits: u8,
    },
    /// Index in a linear one: 0 below `min`, last at `max` and above.
    LinearBucket {
        value: Expr,
        min: i64,
        max: i64,
        step: i64,
    },

    // Scalars or memory, by type.
    Var(VarId),
    /// All bytes zero.
    Zero,
    /// The value at an address (`addr` is a pointer, its space says whose) plus `offset`. Fault: zero.
    Load {
        addr: Expr,
        offset: i64,
    },
    /// The value so many bytes into what the pointers at the hops' offsets lead to, one after the other, from where `from` points on.
    /// The verifier knows these pointers, by itself or by the cast: plain loads follow them. Fault: zero.
    Follow {
        from: Expr,
        cast: Option<Cast>,
        hops: Vec<u32>,
        offset: u32,
    },
    /// So many bytes from the offset of the object that a kernel function gives, which another is to take back. Zero if it gives none.
    OfObject {
        given: Kfunc,
        args: Vec<Expr>,
        taken: Kfunc,
        offset: u32,
    },
    /// Zero if the key is missing.
    MapGet {
        map: MapId,
        key: Option<Expr>,
    },
    /// Element at a constant offset of a value in memory, as its bytes are.
    Field {
        base: Expr,
        offset: u32,
    },
    /// Element of an array or text in memory by an index taken as unsigned. From `count` on it is zero, and that is counted.
    Element {
        base: Expr,
        index: Expr,
        count: u32,
        outside: CounterId,
    },
    /// The same bytes as a value of another type, which is as large: the lowest byte of a scalar comes first.
    Reinterpret(Expr),
    Cond {
        cond: Expr,
        then: Expr,
        otherwise: Expr,
    },
    /// Statements, then the value.
    Seq(Block, Expr),
    /// A call of a function; the arguments have exactly the types of its parameters.
    Invoke {
        function: FunctionId,
        args: Vec<Expr>,
    },

    // Memory.
    /// Text of a literal; the type is `Str` of at least its length plus one, padded with zeros.
    Str(Vec<u8>),
    /// Bytes of a literal, of type `Buf`.
    Bytes(Vec<u8>),
    /// The type's parts at their byte offsets; the rest is zero. Tuples, and all compound internal types.
    Compose(Vec<(u32, Expr)>),
    /// `bpf_get_current_comm`, 16 bytes.
    Comm,
    /// Text at an address, cut to the type's size (and to `max` bytes, NUL included, where given), zero-padded.
    ReadStr {
        addr: Expr,
        max: Option<Expr>,
    },
    /// The name of the file that a `struct path` is of, so many bytes from where a pointer leads that the verifier trusts. Empty if
    /// there is none, or it is too long.
    PathName {
        base: Expr,
        offset: u32,
    },
    /// One text after the other, cut to the type's size, zero-padded.
    StrConcat(Expr, Expr),
    /// Bytes at an address: type `Buf`, as many as `len` says up to the type's capacity.
    ReadBuf {
        addr: Expr,
        len: Expr,
    },
    /// A text as the kernel keeps it, made a proper one: what follows its NUL is zero, and its last byte is a NUL.
    Terminate(Expr),
    /// A text or array converted to a longer (zero-padded) or shorter (cut, NUL kept) one of the same kind; tuples and records element by element.
    Resize(Expr),
}

/// What a pointer is to be taken for by the verifier: a structure, by its id in the kernel's BTF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cast {
    /// `bpf_rdonly_cast`, which costs nothing when the program runs.
    pub by: Kfunc,
    pub to: u32,
}

/// How the slots of all CPUs become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// The wrapping sum of the `u64` of this index.
    Sum(u32),
    /// The least first `u64` of those slots whose second one, the `set` mark, is not 0; zero if there is none.
    Min(Sign),
    /// Likewise the greatest.
    Max(Sign),
}

/// How a process is announced: the map of those announced already, and the record sent for a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub map: MapId,
    pub action: ActionId,
    pub lost: CounterId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    Negate,
    /// Bitwise.
    Invert,
    /// Logical: 1 for zero, else 0.
    Not,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    And,
    Or,
    Xor,
    /// Shift counts are taken modulo 64.
    Shl,
    Shr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Probe {
    /// The body and those of all functions.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.functions.values().map(|function| &function.body).chain([&self.body])
    }
}

impl Function {
    /// Arguments in registers: the context, where the result is wanted, and its own.
    pub fn registers(&self) -> usize {
        self.params.len() + usize::from(self.takes == Takes::ContextToo) + usize::from(self.gives_memory())
    }

    /// Whether the result is written to where the caller wants it, rather than given in a register.
    pub fn gives_memory(&self) -> bool {
        self.result != Type::Void && !self.result.is_scalar()
    }
}

/// How many turns a loop between constants makes.
pub fn turns(from: &Expr, to: &Expr) -> Option<i64> {
    match (&*from.kind, &*to.kind) {
        (ExprKind::Int(from), ExprKind::Int(to)) => Some(to.saturating_sub(*from).max(0)),
        _ => None,
    }
}
