//! The state of lowering one body for one group of targets, and what builtins may ask of it.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use super::env::{Env, VarKey};
use super::functions::Functions;
use super::{Fallible, Options, Reported};
use crate::bpf::Helper;
use crate::bpf::asm::Kfunc;
use crate::btf::TypeId;
use crate::builtins::Builtin;
use crate::config::{Config, Unstable};
use crate::diag::{Diagnostic, Severity};
use crate::format::Format;
use crate::id::IdVec;
use crate::ir::{Expr, ExprKind, Stmt, StmtKind, Var, VarId};
use crate::kernel::{Feature, Kernel};
use crate::plan::{
    Action, ActionId, Attach, Cause, CounterId, Field, Host, Lane, Map, MapId, MapKind, MapUse, Plan, ProgKind, Role,
    Target, When,
};
use crate::probes::{Context, ContextField, Likeness, ProbeType};
use crate::source::Span;
use crate::syntax::ast;
use crate::types::{Space, StackType, Type, Unwinder};
use crate::value::Value;

/// A use of a builtin.
pub struct Call<'a> {
    pub builtin: &'static Builtin,
    pub args: &'a [ast::Expr],
    /// The whole call.
    pub span: Span,
}

/// An action about to be registered; its fields follow from the values sent.
pub struct Emit {
    pub name: &'static str,
    pub act: fn(&Action, &[Value], &mut dyn Host) -> crate::error::Result<()>,
    pub format: Option<Format>,
    pub map: Option<(MapId, MapUse)>,
    pub span: Span,
}

/// What a builtin's `lower` works with.
pub struct Cx<'a> {
    pub kernel: &'a dyn Kernel,
    pub options: &'a Options,
    pub config: &'a Config,
    pub probe: &'static ProbeType,
    /// What the body can see of the event.
    pub context: &'a Context,
    pub(super) env: &'a mut Env,
    /// What is asked of the first of them decides whether the others can share the program.
    pub(super) targets: &'a [Target],
    pub(super) clause: usize,
    pub(super) group: usize,
    pub(super) sharing: Sharing,
    pub(super) vars: IdVec<VarId, Var>,
    pub(super) scopes: Vec<Scope>,
    pub(super) loops: usize,
    /// Variables that hold what an aggregation comes to.
    pub(super) merged: Vec<VarId>,
    pub(super) fields: Option<Rc<[ContextField]>>,
    pub(super) functions: Functions<'a>,
}

/// Variables of one block by name.
pub(super) type Scope = HashMap<String, Local>;

#[derive(Clone)]
pub(super) struct Local {
    pub id: VarId,
    pub key: VarKey,
    /// An explicit type does not widen.
    pub declared: Option<Type>,
    /// What the variable of a loop over a map stands for: the entry, whose parts have variables of their own.
    pub entry: Option<Expr>,
    /// Where it was declared without a value, until it is assigned one.
    pub waiting: Option<Span>,
}

/// Whether the body would be the same for another target with the same context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sharing {
    Possible,
    /// It uses what only targets with an equal context have.
    WithinContext,
    /// It names arguments, which only targets with equal ones have where it looks for them.
    WithinFields,
    /// It names its target.
    Impossible,
}

/// Entries of the list of processes already seen.
const PROCESSES: u32 = 4096;

/// Border for what the script sets: what the kernel can still find memory for.
const MOST_STACKS: u64 = 1 << 24;

impl Cx<'_> {
    /// Registers an action whose record carries `values`, and gives the statement that sends it.
    pub fn emit(&mut self, emit: Emit, values: Vec<Expr>) -> Stmt {
        self.emit_on(Lane::Data, emit, values)
    }

    /// Likewise for what must reach user space however full the ring is; rare and small, so that it can.
    pub fn emit_control(&mut self, emit: Emit, values: Vec<Expr>) -> Stmt {
        self.emit_on(Lane::Control, emit, values)
    }

    fn emit_on(&mut self, lane: Lane, emit: Emit, values: Vec<Expr>) -> Stmt {
        let span = emit.span;
        let (action, lost) = self.register(lane, emit, &values);
        Stmt::new(StmtKind::Emit { action, values, lost }, span)
    }

    /// An action for records that are made otherwise, with its counter of those that found no room.
    pub fn register(&mut self, lane: Lane, emit: Emit, values: &[Expr]) -> (ActionId, CounterId) {
        if self.pin().is_some() {
            let message = format!("{}() has no meaning in a pinned iterator", emit.name);
            let hint = "nobody but the kernel is there when the file is read: use printf()";
            self.error(Diagnostic::error(emit.span, message).hint(hint));
        }
        let mut end = 8u32;
        let fields = values
            .iter()
            .map(|value| {
                let offset = end.next_multiple_of(value.ty.align());
                end = offset + value.ty.size();
                Field { offset, ty: value.ty.clone() }
            })
            .collect();
        let action = Action {
            name: emit.name,
            act: emit.act,
            fields,
            size: end.next_multiple_of(8),
            format: emit.format,
            map: emit.map,
            lane,
            span: emit.span,
        };
        let action = self.env.plan.actions.push(action);
        let lost = self.counter(Cause::RingFull { action: emit.name }, emit.span);
        (action, lost)
    }

    /// The rings that packets come in, which are to be written to this file.
    pub fn packet_map(&mut self, file: &str) -> MapId {
        self.env.plan.captures.insert(file.to_string());
        self.env.plan.shared_map(Map {
            role: Role::Packets,
            kind: MapKind::PerfRings,
            key_size: 4,
            value_size: 4,
            max_entries: self.kernel.cpus(),
        })
    }

    /// The kernel keeps the stacks that it walks; those that the program walks are kept behind their hashes.
    pub fn stack_map(&mut self, stack: StackType) -> MapId {
        let (kind, before) = match stack.unwinder {
            Unwinder::FramePointers => (MapKind::StackTrace, 0),
            Unwinder::Tables => (MapKind::Hash, 8),
        };
        // The kernel rounds the number of places up to a power of two; there are as many stacks to put there.
        let max_entries = self.env.plan.config.max_stacks.clamp(1, MOST_STACKS).next_power_of_two() as u32;
        self.env.plan.shared_map(Map {
            role: Role::Stacks(stack),
            kind,
            key_size: 4,
            value_size: before + 8 * stack.limit,
            max_entries,
        })
    }

    /// The map of processes that user space has been told of.
    pub fn seen_map(&mut self) -> MapId {
        self.env.plan.shared_map(Map {
            role: Role::SeenProcesses,
            kind: MapKind::LruHash,
            key_size: 4,
            value_size: 4,
            max_entries: PROCESSES,
        })
    }

    /// The map that stands for the control group of this folder.
    pub(super) fn cgroup_map(&mut self, folder: &Path) -> MapId {
        self.env.plan.shared_map(Map {
            role: Role::Cgroup(folder.to_path_buf()),
            kind: MapKind::CgroupArray,
            key_size: 4,
            value_size: 4,
            max_entries: 1,
        })
    }

    pub fn counter(&mut self, cause: Cause, span: Span) -> CounterId {
        self.env.counter(cause, span)
    }

    /// The fields that `args.NAME` can name here.
    pub fn fields(&mut self, span: Span) -> Fallible<Rc<[ContextField]>> {
        self.sharing = self.sharing.max(Sharing::WithinFields);
        if let Some(fields) = &self.fields {
            return Ok(Rc::clone(fields));
        }
        match (self.probe.fields)(self.kernel, self.target()) {
            Ok(fields) if fields.is_empty() => {
                let provider = provider_word(self.probe);
                let message = format!(
                    "The args builtin can only be used with tracepoint, rawtracepoint, fentry/fexit, and uprobe probes ({provider} used here)"
                );
                Err(self
                    .error(Diagnostic::error(span, message).hint(format!("{} probes have none", self.probe.name()))))
            }
            Ok(fields) => Ok(Rc::clone(self.fields.insert(fields.into()))),
            Err(diagnostic) => Err(self.error(diagnostic)),
        }
    }

    /// Full name of the attach point.
    pub fn target_name(&mut self, span: Span) -> Expr {
        self.target_text(|_, target| target.name.clone(), span)
    }

    /// The traced function, by the name that the attach point has for it.
    pub fn target_function(&mut self, span: Span) -> Expr {
        let context = self.probe.context;
        self.target_text(|kernel, target| context(kernel, target).function.unwrap_or_default(), span)
    }

    /// What is known of the target by itself. Those that share a program are told apart by their numbers, where the kernel can.
    fn target_text(&mut self, of: impl Fn(&dyn Kernel, &Target) -> String, span: Span) -> Expr {
        if self.targets.len() > 1 {
            let cookie = match self.probe.kind {
                ProgKind::RawTracepoint => Some(Feature::RawTracepointCookie),
                ProgKind::Kprobe | ProgKind::Tracepoint | ProgKind::PerfEvent => Some(Feature::Cookie),
                ProgKind::Tracing | ProgKind::ManyTracing => Some(Feature::TracingCookie),
                ProgKind::Iterator | ProgKind::Xdp => None,
            };
            if cookie.is_some_and(|cookie| self.kernel.has(cookie)) {
                let texts = self.targets.iter().map(|target| of(self.kernel, target).into_bytes());
                return self.text_by_number((0..).zip(texts).collect(), span);
            }
            self.sharing = Sharing::Impossible;
        }
        let text = of(self.kernel, self.target()).into_bytes();
        let ty = Type::Str(text.len() as u32 + 1);
        Expr::new(ExprKind::Str(text), ty, span)
    }

    fn text_by_number(&mut self, rows: Vec<(u32, Vec<u8>)>, span: Span) -> Expr {
        let size = rows.iter().map(|(_, text)| text.len() as u32 + 1).max().unwrap_or(1);
        let ctx = Expr::new(ExprKind::Ctx, Type::pointer(Type::Void, Space::Kernel), span);
        let number = Expr::new(ExprKind::Call(Helper::GET_ATTACH_COOKIE, vec![ctx]), Type::U64, span);
        self.text_at(number, rows, size)
    }

    /// One of these texts, by its number; an empty one for a number that has none.
    pub fn text_at(&mut self, number: Expr, rows: Vec<(u32, Vec<u8>)>, size: u32) -> Expr {
        let span = number.span;
        let map = self.env.plan.shared_map(Map {
            kind: MapKind::Array,
            key_size: 4,
            value_size: size,
            max_entries: rows.iter().map(|(number, _)| number + 1).max().unwrap_or(1),
            role: Role::Table(rows),
        });
        let key = Some(Expr::new(ExprKind::Convert(number), Type::U32, span));
        Expr::new(ExprKind::MapGet { map, key }, Type::Str(size), span)
    }

    /// How the target is attached. Each target gets a program of its own then.
    pub fn target_attach(&mut self) -> &Attach {
        self.alone();
        &self.target().attach
    }

    /// Has each target get a program of its own.
    pub fn alone(&mut self) {
        self.sharing = Sharing::Impossible;
    }

    /// Whether it is rtrace that has the program run, rather than an event of the kernel.
    pub fn runs_for_itself(&self) -> bool {
        matches!(self.target().attach, Attach::Run(_))
    }

    /// The target, or the first of several that may share the program.
    pub(super) fn target(&self) -> &Target {
        &self.targets[0]
    }

    /// What the context offers, which other targets may have elsewhere.
    pub fn offered(&mut self) -> &Context {
        if self.context.likeness == Likeness::Differing && self.sharing == Sharing::Possible {
            self.sharing = Sharing::WithinContext;
        }
        self.context
    }

    /// The file that an iterator is pinned as.
    pub fn pin(&self) -> Option<&str> {
        match &self.target().attach {
            Attach::Iterator { pin, .. } => pin.as_deref(),
            _ => None,
        }
    }

    /// Whether the program is one whose result rtrace looks at.
    pub(super) fn is_trial(&self) -> bool {
        self.targets.iter().all(|target| matches!(target.attach, Attach::Run(When::Test | When::Bench)))
    }

    /// Whether the statement being lowered stands in a loop.
    pub fn in_loop(&self) -> bool {
        self.loops > 0
    }

    /// Whether programs of this kind may call a function of the kernel.
    pub fn may_call(&self, function: TypeId) -> bool {
        let from = self.probe.kind;
        self.kernel.types_are_its_own() && self.kernel.has(Feature::Call { function, from })
    }

    /// A function of the kernel, if programs of this kind may call it.
    pub fn kernel_function(&self, name: &'static str) -> Option<Kfunc> {
        Kfunc::find(self.kernel, name, self.probe.kind)
    }

    /// Records an error.
    pub fn error(&mut self, diagnostic: Diagnostic) -> Reported {
        self.env.report(diagnostic);
        Reported
    }

    pub fn warn(&mut self, span: Span, message: impl Into<String>) {
        self.env.report(Diagnostic::warning(span, message));
    }

    pub fn report(&mut self, diagnostic: Diagnostic) {
        debug_assert_eq!(diagnostic.severity, Severity::Warning);
        self.env.report(diagnostic);
    }

    /// Lets a script use what bpftrace counts among its unstable features, if its settings do.
    pub fn unstable(&mut self, feature: Unstable, name: &str, span: Span) -> Fallible<()> {
        match feature {
            Unstable::Enable => Ok(()),
            Unstable::Warn => {
                // Once for the whole script, so at no place in it.
                let message = format!(
                    "Script is using an unstable feature: {name}. To prevent this warning you must explicitly enable it in the config e.g. unstable_{name}=enable"
                );
                self.warn(Span::default(), message);
                Ok(())
            }
            Unstable::Error => {
                let message = format!(
                    "{name} feature is not enabled by default. To enable this unstable feature, set the config flag to enable. unstable_{name}=enable"
                );
                Err(self
                    .error(Diagnostic::error(span, message).hint(format!("config = {{ unstable_{name} = enable }}"))))
            }
        }
    }

    pub fn plan(&mut self) -> &mut Plan {
        &mut self.env.plan
    }

    /// A variable of the compiler's own.
    pub fn fresh(&mut self, name: &str, ty: Type) -> VarId {
        self.vars.push(Var { name: name.to_string(), ty })
    }
}

/// What bpftrace calls the provider in messages.
pub fn provider_word(probe: &ProbeType) -> &'static str {
    match probe.name() {
        "begin" | "end" => "special",
        name => name,
    }
}
