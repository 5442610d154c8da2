//! `ast::Program` in, [`ir::Program`] out: names resolved, types inferred, attach points expanded, builtins lowered.
//!
//! Types of variables and maps are joined over all their assignments, which may come later in the text than their uses. So the
//! whole program is lowered again and again until no type changes; only the last pass counts.

use crate::builtins::Builtin;
use crate::config::Config;
use crate::diag::Diagnostic;
use crate::format::Format;
use crate::ir::{Expr, Stmt};
use crate::kernel::Kernel;
use crate::plan::{Action, Cause, CounterId, Host, MapId, Plan};
use crate::probes::{Context, ContextField, ProbeType};
use crate::source::Span;
use crate::syntax::ast;
use crate::types::{MapValue, StackType, Type};
use crate::value::Value;

/// The diagnostic of what failed has been recorded; the caller only has to give up on what depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Reported;

pub type Fallible<T> = Result<T, Reported>;

/// What the command line says about the program.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `$1`, `$2`, …
    pub params: Vec<String>,
    /// `-p PID`.
    pub pid: Option<u32>,
    /// Process id of the `-c` child.
    pub child: Option<u32>,
    pub safety: Safety,
    /// Boot-time nanoseconds at which the run started, for `elapsed`.
    pub start_ns: u64,
}

/// Whether actions that change the system may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Safety {
    #[default]
    Safe,
    /// `--unsafe`.
    Unsafe,
}

/// Checks a program. Warnings come with the result.
pub fn check(
    _program: &ast::Program,
    _kernel: &dyn Kernel,
    _config: Config,
    _options: &Options,
) -> Result<(crate::ir::Program, Vec<Diagnostic>), Vec<Diagnostic>> {
    todo!()
}

/// A use of a builtin.
pub struct Call<'a> {
    pub builtin: &'static Builtin,
    pub args: &'a [ast::Expr],
    /// The whole call.
    pub span: Span,
}

/// What a builtin's `lower` works with: the state of lowering one probe body.
pub struct Cx<'a> {
    pub kernel: &'a dyn Kernel,
    pub options: &'a Options,
    pub config: &'a Config,
    /// The probe type and the target that the body is being lowered for.
    pub probe: &'static ProbeType,
    /// Full name of the attach point, for the `probe` builtin (asking for it gives each target a program of its own).
    pub context: &'a Context,
}

/// An action about to be registered; its fields follow from the values sent.
pub struct Emit {
    pub name: &'static str,
    pub act: fn(&Action, &[Value], &mut dyn Host) -> crate::error::Result<()>,
    pub format: Option<Format>,
    pub map: Option<MapId>,
    pub span: Span,
}

/// A map named as an argument, as in `print(@m)` or `delete(@m[1])`.
pub struct MapArg {
    pub map: MapId,
    /// `None` while not known yet (in an early pass).
    pub value: Option<MapValue>,
    /// The map's key type; `None` for scalar maps.
    pub key_type: Option<Type>,
    /// The key given in the argument.
    pub key: Option<Expr>,
    pub name: String,
}

impl Cx<'_> {
    /// Lowers an argument.
    pub fn expr(&mut self, _expr: &ast::Expr) -> Fallible<Expr> {
        todo!()
    }

    /// Lowers an argument that must be a scalar number (integers, bools, pointers, enums), as a 64-bit value.
    pub fn scalar(&mut self, _expr: &ast::Expr) -> Fallible<Expr> {
        todo!()
    }

    /// An argument that must be a constant number.
    pub fn literal_int(&mut self, _expr: &ast::Expr, _what: &str) -> Fallible<i64> {
        todo!()
    }

    /// An argument that must be a literal text.
    pub fn literal_str(&mut self, _expr: &ast::Expr, _what: &str) -> Fallible<Vec<u8>> {
        todo!()
    }

    /// An argument that must name a map. A key in brackets is lowered and converted to the map's key type.
    pub fn map_arg(&mut self, _expr: &ast::Expr) -> Fallible<MapArg> {
        todo!()
    }

    /// Lowers a key given as a separate argument, as in `delete(@m, key)`.
    pub fn key_arg(&mut self, _map: &MapArg, _expr: &ast::Expr) -> Fallible<Expr> {
        todo!()
    }

    /// Converts a value to a type that can hold it (widening, padding, narrowing of literals); reports what cannot be.
    pub fn convert(&mut self, _value: Expr, _to: &Type) -> Fallible<Expr> {
        todo!()
    }

    /// Registers an action whose record carries `values`, and gives the statement that sends it.
    pub fn emit(&mut self, _action: Emit, _values: Vec<Expr>) -> Stmt {
        todo!()
    }

    pub fn stack_map(&mut self, _stack: StackType) -> MapId {
        todo!()
    }

    pub fn counter(&mut self, _cause: Cause, _span: Span) -> CounterId {
        todo!()
    }

    /// The fields that `args.NAME` can name here.
    pub fn fields(&mut self, _span: Span) -> Fallible<Vec<ContextField>> {
        todo!()
    }

    /// Records an error.
    pub fn error(&mut self, _diagnostic: Diagnostic) -> Reported {
        todo!()
    }

    pub fn warn(&mut self, _diagnostic: Diagnostic) {
        todo!()
    }

    pub fn plan(&mut self) -> &mut Plan {
        todo!()
    }
}
