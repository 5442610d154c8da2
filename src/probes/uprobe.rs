//! `uprobe` and `uretprobe`: entry of, return from and places within functions of programs and libraries.

use super::place::{self, Place};
use super::{Context, ContextField, Likeness, PidFilter, ProbeType, Request, fault, no_fields, program, registers};
use crate::btf::Btf;
use crate::btf::build::Builder;
use crate::demangle::demangle;
use crate::diag::Diagnostic;
use crate::error;
use crate::ir::{Expr, ExprKind};
use crate::kernel::{Described, DescribedParam, Feature, Kernel, Namesakes, Passing, Wanted};
use crate::names;
use crate::plan::{Attach, Point, ProgKind, Target};
use crate::types::{Space, Type};

pub static UPROBE: ProbeType = ProbeType {
    names: &["uprobe", "u"],
    syntax: "uprobe:PROGRAM:FUNCTION[+OFFSET], uprobe:PROGRAM:cpp:\"NAME\", uprobe:PROGRAM:0xADDRESS, or uprobe:PROGRAM@FILE:LINE[:COLUMN]",
    doc: "Fires when a function of a program or library is entered; `arg0` and so on are its arguments, or `args.NAME` with debug information.",
    example: "uprobe:/bin/bash:readline { @[ustack(3)] = count(); }",
    kind: ProgKind::Kprobe,
    expand: |request| expand(request, &UPROBE, Point::Entry),
    missing: |request| missing(request, &UPROBE),
    context,
    fields,
    list: |kernel, pattern| list(kernel, &UPROBE, pattern),
    pid_filter: PidFilter::Attachment,
};

pub static URETPROBE: ProbeType = ProbeType {
    names: &["uretprobe", "ur"],
    syntax: "uretprobe:PROGRAM:FUNCTION, or uretprobe:PROGRAM:cpp:\"NAME\"",
    doc: "Fires when a function of a program or library returns; `retval` is its result.",
    example: "uretprobe:/bin/bash:readline { printf(\"%s\\n\", str(retval)); }",
    kind: ProgKind::Kprobe,
    expand: |request| expand(request, &URETPROBE, Point::Return),
    missing: |request| missing(request, &URETPROBE),
    context,
    fields: no_fields,
    list: |kernel, pattern| list(kernel, &URETPROBE, pattern),
    pid_filter: PidFilter::Attachment,
};

/// Each program is read once, however many functions of it are meant.
fn expand(request: &Request<'_>, of: &ProbeType, at: Point) -> Result<Vec<Target>, Diagnostic> {
    let place = Place::parse(request, of)?;
    if at == Point::Return && matches!(place, Place::Symbol { offset: 1.., .. }) {
        return Err(request.error("Offset not allowed"));
    }
    let program = program(&request.point.parts[1].text);
    if program.is_empty() && request.pid.is_none() {
        let problem = request.error(format!("{} should have a target", of.name()));
        return Err(problem.hint("name the program; with -p PID, an empty name stands for that of the process"));
    }
    let mut targets = Vec::new();
    for binary in program::open(request, program)? {
        targets.extend(place::Finder { request, of, at, binary: &binary }.find(&place)?);
    }
    Ok(targets)
}

/// The part that names the program, without the file of its source that may follow.
fn program(part: &str) -> &str {
    part.split('@').next().unwrap_or_default()
}

/// Names the nearest function, or says why there is none.
fn missing(request: &Request<'_>, of: &ProbeType) -> Diagnostic {
    let problem = request.no_matches(of);
    let [_, name, .., function] = request.point.parts.as_slice() else { return problem };
    let name = program(&name.text);
    let binary = match program::only(request, of, name, problem.clone()) {
        Ok(binary) => binary,
        Err(problem) => return problem,
    };
    let wanted = function.text.split('+').next().unwrap_or("");
    let functions = binary.functions.iter().map(|function| function.name.as_str());
    match names::nearest(wanted, functions) {
        Some(meant) => problem.hint(format!("did you mean '{}:{name}:{meant}'?", of.name())),
        None if binary.functions.is_empty() => {
            problem.hint(format!("{} has no symbols: install its debug symbols, or give an address", binary.path))
        }
        None => problem.hint(format!("rtrace -l '{}:{name}:*' lists its functions", of.name())),
    }
}

/// Arguments and results are in registers, as the C calling convention has it.
fn context(kernel: &dyn Kernel, target: &Target) -> Context {
    let span = target.span;
    let is_return = matches!(target.attach, Attach::Uprobe { at: Point::Return, .. });
    let function = function(target);
    if !is_return {
        let func = registers::user_symbol(registers::program_counter(span), kernel, span);
        return Context { func: Some(func), function, ..registers::entry(Space::User, span) };
    }
    // Only the kernel knows where a function that returns began, and tells it since uprobe_multi came.
    let func = kernel
        .has(Feature::UprobeMulti)
        .then(|| registers::user_symbol(registers::function_address(span), kernel, span));
    let plain = Context { func, function, ..registers::returned(Space::User, span) };
    match (result(kernel, target), &plain.retval) {
        (Some(ty), Some(value)) => {
            let retval = Some(Expr::new(ExprKind::Convert(value.clone()), ty, span));
            Context { retval, likeness: Likeness::Differing, ..plain }
        }
        _ => plain,
    }
}

/// The function's name in the source; an offset or address is not a function.
fn function(target: &Target) -> Option<String> {
    let (_, symbol) = target.name.rsplit_once(':')?;
    let is_name = !symbol.contains('+') && !symbol.starts_with(|c: char| c.is_ascii_digit());
    is_name.then(|| demangle(symbol).map_or(symbol.to_string(), |name| name.full))
}

/// The type of a function's result, where that is known and fits a register. Pointers to what has no members stay numbers, as those that
/// are passed are: programs compare them.
fn result(kernel: &dyn Kernel, target: &Target) -> Option<Type> {
    let Attach::Uprobe { path, offset, .. } = &target.attach else { return None };
    let ty = kernel.btf()?.to_type(kernel.described(path, *offset)?.result?, Space::User);
    match &ty {
        Type::Ptr(to, _) => matches!(**to, Type::Struct(_)).then_some(ty),
        _ => ty.is_scalar().then_some(ty),
    }
}

/// Parameters by name, which only debug information knows. Those on the stack, and those after them, are not offered.
fn fields(kernel: &dyn Kernel, target: &Target) -> Result<Vec<ContextField>, Diagnostic> {
    let Attach::Uprobe { path, offset, .. } = &target.attach else { return Ok(Vec::new()) };
    let described = parameters(kernel, path, *offset).map_err(|error| fault(target.span, error))?;
    let Some(parameters) = described else {
        let problem = Diagnostic::error(target.span, format!("the arguments of {} have no names here", target.name));
        return Err(problem.hint("they have where the program was compiled with -g; arg0, arg1, … work without"));
    };
    let mut registers = registers::entry(Space::User, target.span).args.into_iter().take(registers::IN_REGISTERS);
    let mut fields = Vec::new();
    for (parameter, ty) in parameters {
        match parameter.passed {
            Passing::InRegister => {}
            Passing::AsFloat => continue,
            Passing::Otherwise => break,
        }
        let Some(register) = registers.next() else { break };
        let value = Expr::new(ExprKind::Convert(register), ty, target.span);
        fields.push(ContextField { name: parameter.name, c_type: parameter.c_type, value });
    }
    if fields.is_empty() {
        return Err(Diagnostic::error(target.span, format!("{} has no arguments in registers", target.name)));
    }
    Ok(fields)
}

/// The parameters of a function with their types. Where it was not described before, as when probes are listed, nobody knows the
/// structures that pointers lead to.
fn parameters(kernel: &dyn Kernel, path: &str, offset: u64) -> error::Result<Option<Vec<(DescribedParam, Type)>>> {
    let with = |described: &Described, types: &Btf| {
        let typed = |param: &DescribedParam| (param.clone(), types.to_type(param.ty, Space::User));
        described.params.iter().map(typed).collect::<Vec<_>>()
    };
    if let (Some(described), Some(types)) = (kernel.described(path, offset), kernel.btf()) {
        return Ok(Some(with(described, types)));
    }
    let mut builder = Builder::new(None)?;
    let wanted = Wanted { functions: vec![offset], types: Vec::new(), namesakes: Namesakes::Hidden };
    let found = kernel.describe(path, &wanted, &mut builder)?;
    let types = builder.finish()?;
    let opaque = |ty| match ty {
        Type::Ptr(_, space) => Type::pointer(Type::Void, space),
        other => other,
    };
    Ok(found
        .first()
        .map(|function| with(&function.described, &types).into_iter().map(|(param, ty)| (param, opaque(ty))).collect()))
}

/// Functions are listed only of programs that the pattern names.
fn list(kernel: &dyn Kernel, of: &ProbeType, pattern: &str) -> Vec<String> {
    let mut parts = pattern.splitn(3, ':');
    let (Some(provider), Some(program)) = (parts.next(), parts.next()) else { return Vec::new() };
    if provider != of.name() {
        return Vec::new();
    }
    let function = parts.next().unwrap_or("*");
    let mut found = Vec::new();
    for path in kernel.files(program, None) {
        let Ok(binary) = kernel.binary(&path) else { continue };
        let names = place::matching_names(&binary, function).into_iter();
        found.extend(names.map(|name| format!("{}:{path}:{name}", of.name())));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::{expand, fixture, missing};

    fn places(text: &str) -> Vec<(String, u64)> {
        let offset = |target: Target| match target.attach {
            Attach::Uprobe { offset, .. } => (target.name, offset),
            other => panic!("{other:?}"),
        };
        expand(&fixture(), text).unwrap().into_iter().map(offset).collect()
    }

    #[test]
    fn symbols_offsets_addresses_and_globs() {
        assert_eq!(places("uprobe:/bin/bash:readline"), [("uprobe:/bin/bash:readline".into(), 0xc6250)]);
        assert_eq!(places("u:bash:readline+4"), [("uprobe:/bin/bash:readline+4".into(), 0xc6254)]);
        assert_eq!(places("uprobe:bash:0xc6250"), [("uprobe:/bin/bash:811600".into(), 0xc6250)]);
        // `read_line_alias` is another name of `readline`.
        let names: Vec<_> = places("uretprobe:bash:read*").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["uretprobe:/bin/bash:read_builtin", "uretprobe:/bin/bash:read_line_alias"]);
        assert_eq!(places("uprobe:/bin/b*h:main").len(), 1);
        assert!(places("uprobe:bash:nosuch").is_empty() && places("uprobe:/bin/q*h:main").is_empty());
    }

    #[test]
    fn names_of_the_source_and_mangled_ones() {
        let add = ("uprobe:/usr/bin/calc:cpp:_ZN2ns3addEil".to_string(), 0x1200);
        for text in [
            r#"uprobe:calc:cpp:"ns::add""#,
            r#"uprobe:calc:cpp:"ns::add(int, long)""#,
            r#"uprobe:calc:cpp:"*add*long*""#,
            r#"uprobe:calc:"ns::add""#,
        ] {
            assert_eq!(places(text), std::slice::from_ref(&add), "{text}");
        }
        assert_eq!(places("uprobe:calc:_ZN2ns3addEil")[0].1, 0x1200);
        assert!(places(r#"uprobe:calc:cpp:"ns::ad""#).is_empty());
    }

    #[test]
    fn several_static_functions_of_one_name_are_all_meant() {
        assert_eq!(places("uprobe:bash:cleanup").len(), 2);
    }

    #[test]
    fn faults_in_the_words_of_bpftrace() {
        let kernel = fixture();
        for (text, message) in [
            ("uprobe:bash:main+100000", "Offset outside the function bounds ('main' size is 6264)"),
            ("uretprobe:bash:main+4", "Offset not allowed"),
            ("uprobe:bash", "uprobe probe type requires 2 or 3 arguments, found 1"),
            ("uprobe:bash:0xffffffffff", "/bin/bash has no code at address 0xffffffffff"),
            ("uprobe::main", "uprobe should have a target"),
            ("uprobe:bash:", "uprobe should be attached to a function and/or address"),
            ("uprobe:bash:go:main", "go is not a language whose names are known"),
        ] {
            assert_eq!(expand(&kernel, text).unwrap_err().message, message);
        }
        let problem = missing(&kernel, "uprobe:/bin/nosuch:x");
        assert_eq!(problem.message, "uprobe target file '/bin/nosuch' does not exist or is not executable");
        assert_eq!(missing(&kernel, "uprobe:/bin/nosuch@f.c:12").message, problem.message);
        let problem = missing(&kernel, "uprobe:bash:raedline");
        assert_eq!(problem.message, "No matches for uprobe bash:raedline.");
        assert_eq!(problem.hints, ["did you mean 'uprobe:bash:readline'?"]);
    }

    #[test]
    fn func_is_a_name_or_else_a_user_symbol() {
        let kernel = fixture();
        let context = context(&kernel, &expand(&kernel, "uprobe:bash:main").unwrap()[0]);
        let func = context.func.unwrap();
        assert!(func.ty == Type::USym && matches!(*func.kind, ExprKind::Compose(_)));
        assert_eq!((context.space, context.function.as_deref()), (Space::User, Some("main")));
        let within = super::context(&kernel, &expand(&kernel, "uprobe:bash:readline+4").unwrap()[0]);
        assert!(within.function.is_none() && within.func.is_some());
        let mangled = super::context(&kernel, &expand(&kernel, "uprobe:calc:_ZN2ns3addEil").unwrap()[0]);
        assert_eq!(mangled.function.as_deref(), Some("ns::add(int, long)"));
    }
}
