//! `uprobe` and `uretprobe`: entry of, return from and places within functions of programs and libraries.

use super::{Context, PidFilter, ProbeType, Request, no_fields, number, registers};
use crate::diag::Diagnostic;
use crate::kernel::{Binary, Feature, Function, Kernel};
use crate::names;
use crate::plan::{Attach, Point, ProgKind, Target};
use crate::types::Space;

pub static UPROBE: ProbeType = ProbeType {
    names: &["uprobe", "u"],
    syntax: "uprobe:PROGRAM:FUNCTION[+OFFSET], or uprobe:PROGRAM:0xADDRESS",
    doc: "Fires when a function of a program or library is entered; `arg0` and so on are its arguments.",
    example: "uprobe:/bin/bash:readline { @[ustack(3)] = count(); }",
    kind: ProgKind::Kprobe,
    expand: |request| expand(request, &UPROBE, Point::Entry),
    missing: |request| missing(request, &UPROBE),
    context,
    fields: no_fields,
    list: |kernel, pattern| list(kernel, &UPROBE, pattern),
    pid_filter: PidFilter::Attachment,
};

pub static URETPROBE: ProbeType = ProbeType {
    names: &["uretprobe", "ur"],
    syntax: "uretprobe:PROGRAM:FUNCTION",
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

/// The second half of an attach point.
enum Place<'a> {
    /// As `nm` shows it.
    Address(u64),
    Symbol {
        name: &'a str,
        offset: u64,
    },
}

/// The program is read once; what the second part means is decided by its first letter.
fn expand(request: &Request<'_>, of: &ProbeType, at: Point) -> Result<Vec<Target>, Diagnostic> {
    let parts = request.parts(of, 2..=2)?;
    let binary = open(request, of, &parts[0].text)?;
    let finder = Finder { request, of, at, binary: &binary };
    match Place::parse(request, &parts[1].text)? {
        Place::Address(address) => finder.at_address(address),
        Place::Symbol { offset: 1.., .. } if at == Point::Return => Err(request.error("Offset not allowed")),
        Place::Symbol { name, offset } if names::is_pattern(name) => Ok(finder.at_pattern(name, offset)),
        Place::Symbol { name, offset } => finder.at_symbol(name, offset),
    }
}

/// Reads the program's symbols, and says which probe it was wanted for if that fails.
fn open(request: &Request<'_>, of: &ProbeType, name: &str) -> Result<Binary, Diagnostic> {
    request.kernel.binary(name).map_err(|error| {
        // The file's own message begins with its name in quotes.
        let words = match error.message.strip_prefix(&format!("'{name}'")) {
            Some(rest) => format!("{} target file '{name}'{rest}", of.name()),
            None => error.message,
        };
        error.hint.into_iter().fold(request.error(words), Diagnostic::hint)
    })
}

impl<'a> Place<'a> {
    fn parse(request: &Request<'_>, text: &'a str) -> Result<Place<'a>, Diagnostic> {
        let number =
            |text: &str| number::integer(text.trim()).map_err(|why| request.error(format!("Invalid offset: {why}")));
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return Ok(Place::Address(number(text)?));
        }
        match text.split_once('+') {
            Some((name, offset)) => Ok(Place::Symbol { name: name.trim_end(), offset: number(offset)? }),
            None => Ok(Place::Symbol { name: text, offset: 0 }),
        }
    }
}

/// Finds the places in one binary that an attach point means.
struct Finder<'a> {
    request: &'a Request<'a>,
    of: &'a ProbeType,
    at: Point,
    binary: &'a Binary,
}

impl Finder<'_> {
    /// An address is where the program was linked to lie, not a place in the file.
    fn at_address(&self, address: u64) -> Result<Vec<Target>, Diagnostic> {
        let outside = || {
            let problem = self.request.error(format!("{} has no code at address {address:#x}", self.binary.path));
            problem.hint("give the address as 'nm' or 'objdump -d' show it")
        };
        let offset = self.binary.offset_of(address).ok_or_else(outside)?;
        Ok(vec![self.target(&address.to_string(), offset)])
    }

    /// All functions of this name: static ones may be several.
    fn at_symbol(&self, name: &str, offset: u64) -> Result<Vec<Target>, Diagnostic> {
        let place = |function: &Function| {
            // Functions written in assembly may lack a size.
            if function.size > 0 && offset >= function.size {
                let size = function.size;
                let message = format!("Offset outside the function bounds ('{name}' size is {size})");
                return Err(self.request.error(message));
            }
            Ok(self.target(&with_offset(name, offset), function.offset.saturating_add(offset)))
        };
        self.binary.functions.iter().filter(|function| function.name == name).map(place).collect()
    }

    /// Several names of one function are one place, which must not be hit twice.
    fn at_pattern(&self, pattern: &str, offset: u64) -> Vec<Target> {
        let mut seen = std::collections::HashSet::new();
        let matching = self.binary.functions.iter().filter(|function| {
            let within = function.size == 0 || offset < function.size;
            names::matches(pattern, &function.name) && within && seen.insert(function.offset)
        });
        matching
            .map(|function| self.target(&with_offset(&function.name, offset), function.offset.saturating_add(offset)))
            .collect()
    }

    fn target(&self, place: &str, offset: u64) -> Target {
        let path = self.binary.path.clone();
        Target {
            name: format!("{}:{path}:{place}", self.of.name()),
            attach: Attach::Uprobe { path, offset, at: self.at, pid: self.request.pid },
            span: self.request.point.span,
        }
    }
}

fn with_offset(name: &str, offset: u64) -> String {
    if offset == 0 { name.to_string() } else { format!("{name}+{offset}") }
}

/// Names the nearest function, or says why there is none.
fn missing(request: &Request<'_>, of: &ProbeType) -> Diagnostic {
    let problem = request.no_matches(of);
    let [_, program, function] = request.point.parts.as_slice() else { return problem };
    let Ok(binary) = request.kernel.binary(&program.text) else { return problem };
    let name = function.text.split('+').next().unwrap_or("");
    let functions = binary.functions.iter().map(|function| function.name.as_str());
    match names::nearest(name, functions) {
        Some(meant) => problem.hint(format!("did you mean '{}:{}:{meant}'?", of.name(), program.text)),
        None if binary.functions.is_empty() => {
            problem.hint(format!("{} has no symbols: install its debug symbols, or give an address", binary.path))
        }
        None => problem.hint(format!("rtrace -l '{}:{}:*' lists its functions", of.name(), program.text)),
    }
}

/// Arguments and results are in registers, as the C calling convention has it.
fn context(kernel: &dyn Kernel, target: &Target) -> Context {
    let span = target.span;
    let is_return = matches!(target.attach, Attach::Uprobe { at: Point::Return, .. });
    if !is_return {
        let func = registers::user_symbol(registers::program_counter(span), span);
        return Context { func: Some(func), ..registers::entry(Space::User, span) };
    }
    // Only the kernel knows where a function that returns began, and tells it since uprobe_multi came.
    let func =
        kernel.has(Feature::UprobeMulti).then(|| registers::user_symbol(registers::function_address(span), span));
    Context { func, ..registers::returned(Space::User, span) }
}

/// Functions of one program are listed only if the pattern names the program.
fn list(kernel: &dyn Kernel, of: &ProbeType, pattern: &str) -> Vec<String> {
    let mut parts = pattern.splitn(3, ':');
    let (Some(provider), Some(program), Some(function)) = (parts.next(), parts.next(), parts.next()) else {
        return Vec::new();
    };
    if provider != of.name() || names::is_pattern(program) {
        return Vec::new();
    }
    let Ok(binary) = kernel.binary(program) else { return Vec::new() };
    let matching = binary.functions.iter().filter(|known| names::matches(function, &known.name));
    let mut found: Vec<String> =
        matching.map(|known| format!("{}:{}:{}", of.name(), binary.path, known.name)).collect();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::ExprKind;
    use crate::probes::testing::{expand, fixture, missing};
    use crate::types::Type;

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
        assert_eq!(places("uprobe:bash:0x30000"), [("uprobe:/bin/bash:196608".into(), 0x30000)]);
        // `read_line_alias` is another name of `readline`.
        let names: Vec<_> = places("uretprobe:bash:read*").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["uretprobe:/bin/bash:read_builtin", "uretprobe:/bin/bash:read_line_alias"]);
        assert!(places("uprobe:bash:nosuch").is_empty());
    }

    #[test]
    fn several_static_functions_of_one_name_are_all_meant() {
        assert_eq!(places("uprobe:bash:cleanup").len(), 2);
    }

    #[test]
    fn faults_in_the_words_of_bpftrace() {
        let kernel = fixture();
        for (text, message) in [
            ("uprobe:/bin/nosuch:x", "uprobe target file '/bin/nosuch' does not exist or is not executable"),
            ("uprobe:bash:main+100000", "Offset outside the function bounds ('main' size is 6264)"),
            ("uretprobe:bash:main+4", "Offset not allowed"),
            ("uprobe:bash", "uprobe probe type requires 2 arguments, found 1"),
            ("uprobe:bash:0xffffffffff", "/bin/bash has no code at address 0xffffffffff"),
        ] {
            assert_eq!(expand(&kernel, text).unwrap_err().message, message);
        }
        let problem = missing(&kernel, "uprobe:bash:raedline");
        assert_eq!(problem.message, "No matches for uprobe bash:raedline.");
        assert_eq!(problem.hints, ["did you mean 'uprobe:bash:readline'?"]);
    }

    #[test]
    fn func_is_a_user_symbol() {
        let kernel = fixture();
        let context = context(&kernel, &expand(&kernel, "uprobe:bash:main").unwrap()[0]);
        let func = context.func.unwrap();
        assert!(func.ty == Type::USym && matches!(*func.kind, ExprKind::Compose(_)));
        assert_eq!(context.space, Space::User);
    }
}
