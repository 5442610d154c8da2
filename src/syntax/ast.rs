//! What was written: the program as the parser saw it, with the place of everything.

use crate::source::Span;

/// A whole script or one-liner.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Program {
    /// Preprocessor lines and C definitions, in order and as written.
    pub c: Vec<CText>,
    pub config: Vec<Setting>,
    pub imports: Vec<Import>,
    pub maps: Vec<MapDecl>,
    pub macros: Vec<Macro>,
    pub functions: Vec<Function>,
    pub probes: Vec<Probe>,
}

/// C text that has yet to be understood.
#[derive(Debug, Clone, PartialEq)]
pub struct CText {
    pub text: String,
    pub span: Span,
}

/// `import "path";`.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    pub path: String,
    /// The path as written, with its quotes.
    pub path_span: Span,
    pub span: Span,
}

/// `let @m = lruhash(100);`.
#[derive(Debug, Clone, PartialEq)]
pub struct MapDecl {
    /// With its `@`.
    pub name: Name,
    pub kind: Name,
    pub entries: Count,
    pub entries_span: Span,
    pub span: Span,
}

/// `key = value` of the `config` block.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    pub key: Name,
    pub value: SettingValue,
    pub value_span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SettingValue {
    Int(u64),
    Bool(bool),
    Text(String),
    /// A bare word.
    Word(String),
}

/// A word and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    pub text: String,
    pub span: Span,
}

/// `macro name(params) { body }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Macro {
    pub name: Name,
    pub params: Vec<Param>,
    /// A `Block`.
    pub body: Expr,
    /// From the word `macro` up to the body.
    pub head: Span,
    pub span: Span,
}

/// A parameter of a macro; the name has its `$` or `@`.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    pub name: Name,
    pub kind: ParamKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// By reference.
    Variable,
    /// A whole map.
    Map,
    /// An expression, evaluated wherever the parameter stands, or a type.
    Expr,
}

/// `fn name($a: type, ...): type { body }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    pub name: Name,
    pub params: Vec<FunctionParam>,
    pub result: Option<TypeName>,
    pub body: Vec<Stmt>,
    /// From the word `fn` up to the body.
    pub head: Span,
    pub span: Span,
}

/// `$name: type`.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionParam {
    pub name: Name,
    pub ty: TypeName,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// `name=`, which nothing uses yet.
    pub name: Option<Name>,
    pub attach_points: Vec<AttachPoint>,
    pub predicate: Option<Expr>,
    pub body: Vec<Stmt>,
    pub span: Span,
}

/// `provider:part:part`, split at colons outside of quotes, quotes and escapes resolved, `$1` and `$#` still as written.
#[derive(Debug, Clone, PartialEq)]
pub struct AttachPoint {
    pub parts: Vec<Name>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Stmt {
    pub kind: StmtKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum StmtKind {
    Expr(Expr),
    /// `let $x`, `let $x: type`, `let $x = e`.
    Let {
        name: Name,
        ty: Option<TypeName>,
        value: Option<Expr>,
    },
    /// `place = value` or, with `op`, `place op= value`. The place is `Var`, `Map` or `_` (an `Ident`).
    Assign {
        place: Expr,
        op: Option<BinaryOp>,
        value: Expr,
    },
    If {
        cond: Expr,
        then: Vec<Stmt>,
        otherwise: Option<Vec<Stmt>>,
    },
    Unroll {
        count: Expr,
        body: Vec<Stmt>,
    },
    While {
        cond: Expr,
        body: Vec<Stmt>,
    },
    ForRange {
        var: Name,
        from: Expr,
        to: Expr,
        body: Vec<Stmt>,
    },
    /// `for ($kv : @map)`.
    ForMap {
        var: Name,
        map: Expr,
        body: Vec<Stmt>,
    },
    Break,
    Continue,
    Return(Option<Expr>),
    Block(Vec<Stmt>),
    Import(Import),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub kind: Box<ExprKind>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// Any integer or duration literal, already computed; durations are nanoseconds. `suffix` is `u`, `l`, `ul`, `ll`, `ull`, a time unit or empty.
    Int {
        value: u64,
        suffix: String,
    },
    Bool(bool),
    /// Escapes resolved.
    Str(Vec<u8>),
    /// A builtin value or other bare word.
    Ident(String),
    /// `$x`, with its dollar.
    Var(String),
    /// `$1`.
    Positional(u32),
    /// `$#`.
    PositionalCount,
    /// `@x` or `@x[keys]`, name with its `@`. No keys: `None`.
    Map {
        name: String,
        keys: Option<Vec<Expr>>,
    },
    Call {
        name: Name,
        args: Vec<Expr>,
    },
    Unary(UnaryOp, Expr),
    Binary(BinaryOp, Expr, Expr),
    /// `++x`, `x--`; the target is `Var` or `Map`.
    Step {
        target: Expr,
        by: i8,
        when: StepTime,
    },
    /// `c ? a : b`; without `then` it is `c ?: b`.
    Ternary {
        cond: Expr,
        then: Option<Expr>,
        otherwise: Expr,
    },
    Cast {
        ty: TypeName,
        value: Expr,
    },
    /// `a.name`, or `a->name` where `arrow` says so.
    Field {
        base: Expr,
        name: Name,
        arrow: Arrow,
    },
    /// `a.0`.
    TupleIndex {
        base: Expr,
        index: u32,
    },
    Index {
        base: Expr,
        index: Expr,
    },
    Tuple(Vec<Expr>),
    /// `(a = 1, b = "x")`.
    Record(Vec<(Name, Expr)>),
    /// `{ statements; value }`; without `value` it is run for its effect.
    Block(Vec<Stmt>, Option<Expr>),
    /// `if c { a } else { b }` as a value. The branches are `Block`s; an `else if` is an `If`.
    If {
        cond: Expr,
        then: Expr,
        otherwise: Option<Expr>,
    },
    /// `comptime e`: what must be known at compile time.
    Comptime(Expr),
    Sizeof(Queried),
    /// `offsetof(T, a.b)`.
    Offsetof {
        of: Queried,
        path: Vec<Name>,
    },
    Typeinfo(Queried),
    /// A type handed to a macro: `m(typeof(int8))`.
    Typeof(Queried),
    /// What could not be parsed; its diagnostic is already made.
    Bad,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrow {
    Dot,
    Arrow,
}

/// Whether `++` and `--` give the new value or the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepTime {
    Pre,
    Post,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnaryOp {
    Negate,
    /// `~`
    Invert,
    /// `!`
    Not,
    /// `*p`
    Deref,
    /// `&x`
    Address,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    BitAnd,
    BitOr,
    BitXor,
    Shl,
    Shr,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
}

/// A type, or an expression whose type is meant; the expression is never evaluated.
#[derive(Debug, Clone, PartialEq)]
pub enum Queried {
    Type(TypeName),
    Expr(Expr),
}

/// A type as written: `uint8`, `struct task_struct *`, `string[16]`, `int32[4]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeName {
    pub base: TypeBase,
    /// `*` and `[n]` in the order written.
    pub suffixes: Vec<TypeSuffix>,
    pub span: Span,
}

/// What stands before any `*` or `[`.
#[derive(Debug, Clone, PartialEq)]
pub enum TypeBase {
    /// `struct task_struct`, `uint64`, `string`.
    Named(String),
    /// `typeof($x)`.
    Typeof(Box<Queried>),
    /// `(int8, string[4])`.
    Tuple(Vec<TypeName>),
    /// `{ .a: int8, .b: string }`.
    Record(Vec<(Name, TypeName)>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum TypeSuffix {
    Pointer,
    /// `[n]`; `None` for `[]`.
    Array(Option<Count>),
}

/// How many there are of something.
#[derive(Debug, Clone, PartialEq)]
pub enum Count {
    Number(u64),
    /// The name of a constant that the C part must define.
    Named(Name),
}
