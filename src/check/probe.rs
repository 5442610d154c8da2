//! Probe clauses: attach points become targets, and each body is lowered once for all targets that can share it.

use super::cx::Sharing;
use super::env::Env;
use super::functions::{self, Functions};
use super::{Cx, Options, Trials};
use crate::config::{Config, MissingProbes};
use crate::diag::Diagnostic;
use crate::id::IdVec;
use crate::ir::{self, Block, CompareOp, Expr, ExprKind, Stmt, StmtKind};
use crate::kernel::Kernel;
use crate::names;
use crate::plan::{Attach, Target, When};
use crate::probes::{self, Context, PidFilter, ProbeType, Request};
use crate::source::Span;
use crate::syntax::ast;
use crate::types::{Sign, Type};

/// The program's clauses with their targets found.
pub struct Clauses<'a> {
    clauses: Vec<Clause<'a>>,
    functions: &'a [ast::Function],
    /// Attach points that are wrong, or match nothing. Their bodies are not looked at; all others are.
    pub faults: Vec<Diagnostic>,
    pub warnings: Vec<Diagnostic>,
}

struct Clause<'a> {
    probe: &'a ast::Probe,
    /// Targets by probe type, in the order of the attach points.
    targets: Vec<(&'static ProbeType, Vec<Target>)>,
}

/// Expands every attach point. All that are at fault are reported.
pub fn expand<'a>(program: &'a ast::Program, kernel: &dyn Kernel, config: &Config, options: &Options) -> Clauses<'a> {
    let mut faults = functions::judge(&program.functions);
    let mut warnings = Vec::new();
    let mut clauses = Vec::new();
    let mut passed_over = false;
    for probe in &program.probes {
        let mut targets: Vec<(&'static ProbeType, Vec<Target>)> = Vec::new();
        let mut unmatched = Vec::new();
        for point in &probe.attach_points {
            match expand_point(point, kernel, options) {
                Ok((of, mut found)) => {
                    found.retain(|target| is_wanted(target, options));
                    passed_over |= found.is_empty();
                    warnings.extend(probes::hot_warning(&found, point.span));
                    warnings.extend(probes::moving_stacks(&found, kernel, point.span));
                    targets.push((of, found));
                }
                Err(Missing::Fault(fault)) => faults.push(fault),
                Err(Missing::NoMatch(diagnostic)) => unmatched.push((point, diagnostic)),
            }
        }
        // A clause that asks what there is may itself be what there is not.
        if probe.predicate.as_ref().is_some_and(|predicate| matches!(*predicate.kind, ast::ExprKind::Comptime(_))) {
            unmatched.clear();
        }
        // A pattern, or one of several alternatives, may stand for nothing where another attach point stands for something.
        let may_be_missing = |point| config.missing_probes == MissingProbes::Alternatives || is_pattern(point);
        unmatched.retain(|(point, _)| targets.is_empty() || !may_be_missing(point));
        for (_, diagnostic) in unmatched {
            missing(diagnostic, config, &mut faults, &mut warnings);
        }
        clauses.push(Clause { probe, targets });
    }
    let count: usize = clauses.iter().flat_map(|clause| &clause.targets).map(|(_, targets)| targets.len()).sum();
    let place = program.probes.first().map_or(Span::default(), |probe| probe.span);
    if count == 0 && faults.is_empty() {
        let diagnostic = Diagnostic::error(place, "No probes to attach");
        faults.push(match (passed_over, &options.filter) {
            (true, None) => diagnostic.hint("test probes run with --test, bench probes with --bench"),
            (true, Some(filter)) => diagnostic.hint(format!("no probe's name matches {filter}")),
            (false, _) if program.probes.is_empty() => {
                diagnostic.hint("a program is a probe and its action, such as: interval:s:1 { print(nsecs); }")
            }
            (false, _) => diagnostic,
        });
    }
    if count as u64 > config.max_probes {
        faults.push(too_many(count, config, place));
    }
    faults.extend(beside_iterator(&clauses));
    faults.extend(options.cgroup.as_ref().and_then(|_| iterator_of_cgroup(&clauses)));
    Clauses { clauses, functions: &program.functions, faults, warnings }
}

/// An iterator has an output of its own, and ends when it is through; nothing can go with it.
fn beside_iterator(clauses: &[Clause<'_>]) -> Option<Diagnostic> {
    let targets = || clauses.iter().flat_map(|clause| &clause.targets).flat_map(|(_, targets)| targets);
    let is_iterator = |target: &&Target| matches!(target.attach, Attach::Iterator { .. });
    let iterator = targets().find(is_iterator)?;
    let other = targets().find(|target| target.span != iterator.span)?;
    let problem = if is_iterator(&other) {
        Diagnostic::error(other.span, "iter probe only supports one attach point.")
    } else {
        Diagnostic::error(other.span, format!("{} can not be used beside an iter probe", other.name))
    };
    Some(problem.hint("an iterator ends by itself, and prints maps then: it must be the only probe of its program"))
}

/// An iterator runs as rtrace itself, wherever the objects belong.
fn iterator_of_cgroup(clauses: &[Clause<'_>]) -> Option<Diagnostic> {
    let mut targets = clauses.iter().flat_map(|clause| &clause.targets).flat_map(|(_, targets)| targets);
    let iterator = targets.find(|target| matches!(target.attach, Attach::Iterator { .. }))?;
    let message =
        format!("{} visits the objects of all cgroups: --cgroup and --container cannot narrow it", iterator.name);
    let hint = "-p PID does, for iter:task, iter:task_file and iter:task_vma; or leave objects out by a predicate";
    Some(Diagnostic::error(iterator.span, message).hint(hint))
}

/// Lowers every clause. The faults found are in `env`.
pub fn lower(
    clauses: &Clauses<'_>,
    kernel: &dyn Kernel,
    config: &Config,
    options: &Options,
    env: &mut Env,
) -> Vec<ir::Probe> {
    let mut probes = Vec::new();
    for (clause, of) in clauses.clauses.iter().enumerate() {
        let mut lowering =
            Lowering { kernel, config, options, env, functions: clauses.functions, clause, probe: of.probe, group: 0 };
        for (of, targets) in &of.targets {
            lowering.targets(of, targets, &mut probes);
        }
    }
    probes
}

/// Whether this kernel has something that an attach point matches.
pub fn exists(point: &ast::AttachPoint, kernel: &dyn Kernel, options: &Options) -> Result<bool, Diagnostic> {
    match expand_point(point, kernel, options) {
        Ok(_) => Ok(true),
        Err(Missing::NoMatch(_)) => Ok(false),
        Err(Missing::Fault(fault)) => Err(fault),
    }
}

/// What an attach point stands for; nothing if it is at fault, as checking will tell.
pub fn targets(point: &ast::AttachPoint, kernel: &dyn Kernel, options: &Options) -> Vec<Target> {
    expand_point(point, kernel, options).map_or(Vec::new(), |(_, targets)| targets)
}

fn is_pattern(point: &ast::AttachPoint) -> bool {
    point.parts.iter().any(|part| names::is_pattern(&part.text))
}

/// Probes for the program's own sake run on request only, and a filter holds for all but those that frame the run.
fn is_wanted(target: &Target, options: &Options) -> bool {
    let trials = match target.attach {
        Attach::Run(When::Begin | When::End) => return true,
        Attach::Run(When::Test) => Trials::Tests,
        Attach::Run(When::Bench) => Trials::Benches,
        _ => options.trials,
    };
    trials == options.trials && options.filter.as_ref().is_none_or(|filter| filter.is_match(&target.name))
}

enum Missing {
    /// The attach point itself is wrong.
    Fault(Diagnostic),
    /// It is well-formed, but this kernel has nothing that matches.
    NoMatch(Diagnostic),
}

fn expand_point(
    point: &ast::AttachPoint,
    kernel: &dyn Kernel,
    options: &Options,
) -> Result<(&'static ProbeType, Vec<Target>), Missing> {
    let point = &filled_in(point, options);
    let Some(name) = point.parts.first() else {
        return Err(Missing::Fault(Diagnostic::error(point.span, "Invalid probe type: (none)")));
    };
    let of = probes::find(&name.text).ok_or_else(|| Missing::Fault(probes::unknown(name)))?;
    let request = Request { kernel, point, pid: options.pid, child: options.child, safety: options.safety };
    let targets = (of.expand)(&request).map_err(Missing::Fault)?;
    if targets.is_empty() { Err(Missing::NoMatch((of.missing)(&request))) } else { Ok((of, targets)) }
}

/// The attach point with `$1` and `$#` replaced by what the command line gives.
pub fn filled_in(point: &ast::AttachPoint, options: &Options) -> ast::AttachPoint {
    let mut parts = Vec::new();
    for part in &point.parts {
        let text = substitute(&part.text, &options.params);
        // A parameter may hold several parts, or the whole attach point.
        if text == part.text {
            parts.push(part.clone());
        } else {
            parts.extend(text.split(':').map(|text| ast::Name { text: text.to_string(), span: part.span }));
        }
    }
    ast::AttachPoint { parts, span: point.span }
}

fn substitute(text: &str, params: &[String]) -> String {
    let mut pieces = text.split('$');
    let mut result = pieces.next().unwrap_or("").to_string();
    for piece in pieces {
        let end = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        match (piece.strip_prefix('#'), piece[..end].parse::<usize>()) {
            (Some(rest), _) => result.push_str(&format!("{}{rest}", params.len())),
            (None, Ok(number)) => {
                result.push_str(params.get(number.wrapping_sub(1)).map_or("", String::as_str));
                result.push_str(&piece[end..]);
            }
            (None, Err(_)) => result.push_str(&format!("${piece}")),
        }
    }
    result
}

fn missing(diagnostic: Diagnostic, config: &Config, faults: &mut Vec<Diagnostic>, warnings: &mut Vec<Diagnostic>) {
    match config.missing_probes {
        MissingProbes::Error | MissingProbes::Alternatives => {
            faults.push(diagnostic.hint("If this is expected, set the 'missing_probes' config variable to 'warn'."))
        }
        MissingProbes::Warn => {
            let message = format!("{}. Skipping.", diagnostic.message.trim_end_matches('.'));
            warnings.push(Diagnostic { severity: crate::diag::Severity::Warning, message, ..diagnostic });
        }
        MissingProbes::Ignore => {}
    }
}

fn too_many(count: usize, config: &Config, span: Span) -> Diagnostic {
    let message =
        format!("Can't attach to {count} probes because it exceeds the current limit of {} probes.", config.max_probes);
    Diagnostic::error(span, message)
        .hint("narrow the pattern; or, if that is what you want, raise the limit: config = { max_probes = ... }")
}

/// The lowering of one clause.
struct Lowering<'a> {
    kernel: &'a dyn Kernel,
    config: &'a Config,
    options: &'a Options,
    env: &'a mut Env,
    functions: &'a [ast::Function],
    clause: usize,
    probe: &'a ast::Probe,
    /// Number of the body within the clause.
    group: usize,
}

impl Lowering<'_> {
    fn targets(&mut self, of: &'static ProbeType, targets: &[Target], probes: &mut Vec<ir::Probe>) {
        match targets {
            [] => {}
            [_] => probes.extend(self.body(of, targets).map(|(probe, _)| probe)),
            [..] => self.many_targets(of, targets, probes),
        }
    }

    /// Tries whether all can share a program, and finds out which do.
    fn many_targets(&mut self, of: &'static ProbeType, targets: &[Target], probes: &mut Vec<ir::Probe>) {
        let plan = self.env.plan.clone();
        let Some((probe, sharing)) = self.body(of, targets) else { return };
        let groups = match sharing {
            Sharing::Possible => return probes.push(probe),
            Sharing::WithinContext => groups(targets, |target| self.offer(of, target)),
            Sharing::WithinFields => groups(targets, |target| {
                let fields = (of.fields)(self.kernel, target).map_err(|fault| fault.message);
                (self.offer(of, target), fields)
            }),
            Sharing::Impossible => targets.iter().map(std::slice::from_ref).map(<[Target]>::to_vec).collect(),
        };
        if groups.len() == 1 {
            return probes.push(probe);
        }
        // What the attempt needed is made anew for each group.
        self.env.plan = plan;
        if groups.len() as u64 > self.config.max_bpf_progs {
            return self.env.report(self.too_many_programs(groups.len()));
        }
        probes.extend(groups.iter().filter_map(|group| self.body(of, group)).map(|(probe, _)| probe));
    }

    fn too_many_programs(&self, count: usize) -> Diagnostic {
        let limit = self.config.max_bpf_progs;
        let message = format!("Your program is trying to generate more than {limit} BPF programs ({count}).");
        let hint = "it names 'args', or 'probe' on a kernel that cannot tell the targets of one program apart, so each target needs \
                    its own; raise max_bpf_progs or narrow the pattern";
        Diagnostic::error(self.probe.span, message).hint(hint)
    }

    /// What a target offers to a body, whatever its function is.
    fn offer(&self, of: &'static ProbeType, target: &Target) -> Context {
        Context { function: None, ..(of.context)(self.kernel, target) }
    }

    /// The body for targets that share a program, or, if it turns out that they cannot, for nobody. There is none where the
    /// predicate is known not to hold.
    fn body(&mut self, of: &'static ProbeType, targets: &[Target]) -> Option<(ir::Probe, Sharing)> {
        let context: Context = (of.context)(self.kernel, &targets[0]);
        let mut cx = Cx {
            kernel: self.kernel,
            options: self.options,
            config: self.config,
            probe: of,
            context: &context,
            env: self.env,
            targets,
            clause: self.clause,
            group: self.group,
            sharing: Sharing::Possible,
            vars: IdVec::new(),
            scopes: Vec::new(),
            loops: 0,
            merged: Vec::new(),
            fields: None,
            functions: Functions::new(self.functions),
        };
        self.group += 1;
        let (decision, condition) = self.probe.predicate.as_ref().map_or((None, None), |predicate| {
            let (decision, condition) = cx.decided(predicate);
            (decision, Some(condition))
        });
        if decision == Some(false) {
            return None;
        }
        let body = cx.block(&self.probe.body);
        let body = match condition {
            Some(Ok(cond)) if decision.is_none() => guarded(cond, body),
            // Without the predicate the body must not run; the fault is recorded, so it never will.
            Some(_) | None => body,
        };
        let body = match &self.options.cgroup {
            Some(folder) if of.pid_filter != PidFilter::None => {
                let map = cx.cgroup_map(folder);
                guarded(is(Expr::new(ExprKind::InCgroup(map), Type::U64, self.probe.span), 1), body)
            }
            _ => body,
        };
        let body = match context.condition.clone() {
            Some(condition) => guarded(condition, body),
            None => body,
        };
        let body = match self.options.pid {
            Some(pid) if of.pid_filter == PidFilter::Predicate => {
                guarded(is_process(self.kernel, pid, self.probe.span), body)
            }
            _ => body,
        };
        let (vars, functions, sharing) = (cx.vars, cx.functions.lowered, cx.sharing);
        let probe =
            ir::Probe { kind: of.kind, targets: targets.to_vec(), vars, functions, body, span: self.probe.span };
        Some((probe, sharing))
    }
}

/// Targets that offer the same to a body, in the order of their first ones.
fn groups<T: PartialEq>(targets: &[Target], offer: impl Fn(&Target) -> T) -> Vec<Vec<Target>> {
    let mut groups: Vec<(T, Vec<Target>)> = Vec::new();
    for target in targets {
        let offered = offer(target);
        match groups.iter_mut().find(|(known, _)| *known == offered) {
            Some((_, group)) => group.push(target.clone()),
            None => groups.push((offered, vec![target.clone()])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn guarded(cond: Expr, body: Block) -> Block {
    let span = cond.span;
    vec![Stmt::new(StmtKind::If { cond, then: body, otherwise: Block::new() }, span)]
}

/// Whether the current process is the one that rtrace knows by this number.
fn is_process(kernel: &dyn Kernel, pid: u32, span: Span) -> Expr {
    let (namespace, number) = match kernel.own_number(pid) {
        Some((namespace, number)) => (Some(namespace), number),
        None => (kernel.pid_namespace(), pid),
    };
    is(ir::process(namespace, Type::U32, span), number)
}

/// Whether a number is this one.
fn is(left: Expr, number: u32) -> Expr {
    let right = Expr::int(i64::from(number), left.ty.clone(), left.span);
    Expr::compare(CompareOp::Eq, Sign::Unsigned, left, right)
}
