//! Types of the programs that a script traces, as their debug information has them: what `args`, `retval` and casts in a script's
//! uprobes lead to is put beside the kernel's types before the script is checked.

use std::collections::{BTreeMap, BTreeSet};

use crate::btf::Btf;
use crate::btf::build::Builder;
use crate::check::{self, Options};
use crate::error::Result;
use crate::kernel::{DescribedFunction, Kernel, Namesakes, Wanted};
use crate::plan::Attach;
use crate::probes;
use crate::syntax::ast::{Expr, ExprKind, Probe, Program, TypeBase, TypeName};
use crate::syntax::visit::{self, VisitMut};

/// What was found.
pub struct DebugTypes {
    /// The kernel's and the script's own, and behind them those of programs.
    pub types: Btf,
    pub functions: Vec<DescribedFunction>,
}

/// Reads what a script needs; `None` if it needs nothing, or nothing is described.
pub fn find(program: &Program, kernel: &dyn Kernel, options: &Options) -> Result<Option<DebugTypes>> {
    let mut wanted: BTreeMap<String, (BTreeSet<u64>, BTreeSet<String>)> = BTreeMap::new();
    for probe in program.probes.iter().filter(|probe| probe.attach_points.iter().any(|point| is_uprobe(&point.parts))) {
        let mut needs = Needs::default();
        needs.probe(probe.clone());
        needs.types.retain(|name| is_unknown(name, kernel, namesakes(program)));
        if !needs.signature && needs.types.is_empty() {
            continue;
        }
        for target in probe.attach_points.iter().flat_map(|point| check::targets(point, kernel, options)) {
            if let Attach::Uprobe { path, offset, .. } = target.attach {
                let (functions, types) = wanted.entry(path).or_default();
                functions.extend(Some(offset).filter(|_| needs.signature));
                types.extend(needs.types.iter().cloned());
            }
        }
    }
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut builder = Builder::new(kernel.btf())?;
    let mut functions = Vec::new();
    for (path, (of, types)) in wanted {
        let wanted = Wanted {
            functions: of.into_iter().collect(),
            types: types.into_iter().collect(),
            namesakes: namesakes(program),
        };
        functions.extend(kernel.describe(&path, &wanted, &mut builder)?);
    }
    if functions.is_empty() && builder.is_empty() {
        return Ok(None);
    }
    Ok(Some(DebugTypes { types: builder.finish()?, functions }))
}

/// Where only programs are traced, their names are meant; where the kernel is traced too, its names stay its own.
fn namesakes(program: &Program) -> Namesakes {
    const OF_PROGRAMS: &[&str] = &["uprobe", "uretprobe", "usdt", "begin", "end", "interval", "self", "test", "bench"];
    let mut points = program.probes.iter().flat_map(|probe| &probe.attach_points);
    let is_of_programs = |parts: &[crate::syntax::ast::Name]| {
        parts.first().and_then(|name| probes::find(&name.text)).is_some_and(|of| OF_PROGRAMS.contains(&of.name()))
    };
    if points.all(|point| is_of_programs(&point.parts)) { Namesakes::Hidden } else { Namesakes::Kept }
}

fn is_uprobe(parts: &[crate::syntax::ast::Name]) -> bool {
    let of = parts.first().and_then(|name| probes::find(&name.text));
    of.is_some_and(|of| matches!(of.name(), "uprobe" | "uretprobe"))
}

/// Whether a type's name can only mean one of the program's. Names without a word before are mostly the language's own.
fn is_unknown(name: &str, kernel: &dyn Kernel, namesakes: Namesakes) -> bool {
    let is_known = || kernel.btf().is_some_and(|btf| btf.named(name).is_some());
    let has_word = ["struct ", "union ", "enum "].iter().any(|word| name.starts_with(word));
    (has_word && namesakes == Namesakes::Hidden) || ((has_word || name.ends_with("_t")) && !is_known())
}

/// What a probe's body makes use of.
#[derive(Default)]
struct Needs {
    /// `args` or `retval`.
    signature: bool,
    types: BTreeSet<String>,
}

impl Needs {
    fn probe(&mut self, mut probe: Probe) {
        probe.predicate.iter_mut().for_each(|predicate| self.expr(predicate));
        visit::walk_block(self, &mut probe.body);
    }
}

impl VisitMut for Needs {
    fn expr(&mut self, expr: &mut Expr) {
        self.signature |= matches!(&*expr.kind, ExprKind::Ident(name) if matches!(name.as_str(), "args" | "retval"));
        visit::walk_expr(self, expr);
    }

    fn type_name(&mut self, ty: &mut TypeName) {
        if let TypeBase::Named(name) = &ty.base {
            self.types.insert(name.clone());
        }
        visit::walk_type(self, ty);
    }
}
