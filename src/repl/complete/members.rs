//! Fields of an expression: the compiler is asked what type it has, where it stands.

use super::Candidate;
use super::place::Shape;
use crate::btf::{Btf, TypeId};
use crate::check::{Options, Sharing};
use crate::config::Overrides;
use crate::engine::Engine;
use crate::kernel::Kernel;
use crate::plan::Map;
use crate::probes;
use crate::types::Type;

/// The variable that is given the expression.
const PROBE: &str = "$rtrace_type";

/// What may follow `of` and a dot or an arrow at the end of the text.
pub fn of(kernel: &dyn Kernel, maps: &[Map], before: &str, of: &str) -> Vec<Candidate> {
    if of == "args" {
        return arguments(kernel, before);
    }
    let Some(btf) = kernel.btf() else { return Vec::new() };
    type_of(kernel, maps, before, of).map_or(Vec::new(), |ty| fields(btf, &ty))
}

/// The fields of `args` in the probe that is being written.
pub fn arguments(kernel: &dyn Kernel, before: &str) -> Vec<Candidate> {
    let shape = Shape::of(before);
    let head = &before[shape.head..shape.body.map_or(before.len(), |body| body - 1)];
    let Some(point) = head.split([',', '/', '{']).next().map(str::trim).filter(|point| !point.is_empty()) else {
        return Vec::new();
    };
    let fields = probes::arguments(kernel, point).into_iter();
    fields.map(|field| Candidate { text: field.name.clone(), note: probes::declare(&field) }).collect()
}

/// The type of an expression at the end of the text. What was begun there is left out, and what is open is closed.
pub fn type_of(kernel: &dyn Kernel, maps: &[Map], before: &str, of: &str) -> Option<Type> {
    let shape = Shape::of(before);
    let text = match shape.body {
        Some(_) => {
            let closing = shape.open.iter().filter(|(bracket, at)| *bracket == '{' && *at < shape.statement).count();
            format!("{} {PROBE} = ({of}); {}", &before[..shape.statement], "}".repeat(closing))
        }
        None => {
            let head =
                before[shape.head..].split('/').next().filter(|head| !head.trim_start().starts_with(['@', '$', '(']));
            let head = head.filter(|head| head.contains(':')).unwrap_or("begin");
            format!("{head} {{ {PROBE} = ({of}); }}")
        }
    };
    let options = Options { sharing: Sharing::With(maps.to_vec()), ..Options::default() };
    let mut engine = Engine::new(kernel, options, Overrides::default());
    let program = engine.parse("", &text).ok()?;
    let (program, _) = engine.check(&program).ok()?;
    let mut vars = program.probes.iter().flat_map(|probe| probe.vars.values());
    vars.find(|var| var.name == PROBE).map(|var| var.ty.clone())
}

fn fields(btf: &Btf, ty: &Type) -> Vec<Candidate> {
    match ty {
        Type::Ptr(to, _) => fields(btf, to),
        Type::Struct(of) => members(btf, TypeId(of.btf), DEPTH),
        Type::Tuple(elements) => elements.iter().enumerate().map(|(at, ty)| candidate(&at.to_string(), ty)).collect(),
        Type::Record(names, elements) => {
            names.iter().zip(elements.iter()).map(|(name, ty)| candidate(name, ty)).collect()
        }
        _ => Vec::new(),
    }
}

/// Structures without names within structures; only broken data has more.
const DEPTH: usize = 8;

/// Those of anonymous ones within count as its own.
fn members(btf: &Btf, id: TypeId, depth: usize) -> Vec<Candidate> {
    let mut all = Vec::new();
    for member in btf.members(id) {
        if member.name.is_empty() && depth > 0 {
            all.extend(members(btf, btf.strip(member.ty), depth - 1));
        } else if !member.name.is_empty() {
            let ty = btf.to_type(member.ty, crate::types::Space::Kernel);
            all.push(candidate(member.name, &ty));
        }
    }
    all
}

fn candidate(name: &str, ty: &Type) -> Candidate {
    Candidate { text: name.to_string(), note: format!("{name}: {ty}") }
}
