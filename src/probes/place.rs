//! Places in the code of a program: what the end of a uprobe's attach point means, found in one binary.

use std::collections::HashSet;

use super::{ProbeType, Request, number};
use crate::check::Safety;
use crate::demangle::demangle;
use crate::diag::Diagnostic;
use crate::kernel::dwarf::{Line, LineFound};
use crate::kernel::{Binary, Function, begins_at};
use crate::names;
use crate::plan::{Attach, Point, Target};
use crate::syntax::ast::Name;

/// What follows the program.
pub enum Place<'a> {
    /// As `nm` shows it.
    Address(u64),
    /// A name or pattern.
    Symbol { name: &'a str, offset: u64 },
    /// A line of the source.
    Line(Line<'a>),
    /// A name or pattern as the source has it; without parameters it stands for all functions of the name.
    Demangled(&'a str),
}

impl<'a> Place<'a> {
    /// What the last part means is decided by the part before and by its first letter.
    pub fn parse(request: &Request<'a>, of: &ProbeType) -> Result<Place<'a>, Diagnostic> {
        let parts = request.parts(of, 2..=3)?;
        let text = parts[parts.len() - 1].text.as_str();
        if text.is_empty() {
            return Err(request.error(format!("{} should be attached to a function and/or address", of.name())));
        }
        if let Some((_, file)) = parts[0].text.split_once('@') {
            return Place::line(request, file, &parts[1..]);
        }
        match parts {
            [_, language, _] if language.text == "cpp" => Ok(Place::Demangled(text)),
            [_, language, _] => {
                let problem = request.error(format!("{} is not a language whose names are known", language.text));
                Err(problem.hint("cpp is; a name with colons of its own must be quoted: uprobe:PROGRAM:\"a::b\""))
            }
            _ if text.contains("::") => Ok(Place::Demangled(text)),
            _ => Place::plain(request, text),
        }
    }

    fn line(request: &Request<'_>, file: &'a str, numbers: &[Name]) -> Result<Place<'a>, Diagnostic> {
        let number = |part: &Name| {
            number::integer(&part.text).map_err(|why| request.error(format!("Invalid line number: {why}")))
        };
        let column = numbers.get(1).map(number).transpose()?;
        Ok(Place::Line(Line { file, line: number(&numbers[0])?, column }))
    }

    fn plain(request: &Request<'_>, text: &'a str) -> Result<Place<'a>, Diagnostic> {
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

/// Bytes of the longest instruction.
const LONGEST: u64 = 15;

/// Finds the places in one binary that an attach point means.
pub struct Finder<'a> {
    pub request: &'a Request<'a>,
    pub of: &'a ProbeType,
    pub at: Point,
    pub binary: &'a Binary,
}

impl Finder<'_> {
    pub fn find(&self, place: &Place<'_>) -> Result<Vec<Target>, Diagnostic> {
        match place {
            Place::Address(address) => self.at_address(*address),
            Place::Symbol { name, offset } if names::is_pattern(name) => Ok(self.at_pattern(name, *offset)),
            Place::Symbol { name, offset } => self.at_symbol(name, *offset),
            Place::Line(line) => self.at_line(*line),
            Place::Demangled(name) => Ok(self.at_source_name(name)),
        }
    }

    /// An address is where the program was linked to lie, not a place in the file.
    fn at_address(&self, address: u64) -> Result<Vec<Target>, Diagnostic> {
        let outside = || {
            let problem = self.request.error(format!("{} has no code at address {address:#x}", self.binary.path));
            problem.hint("give the address as 'nm' or 'objdump -d' show it")
        };
        let offset = self.binary.offset_of(address).ok_or_else(outside)?;
        let target = self.target(&address.to_string(), offset);
        let around =
            |function: &&Function| offset.checked_sub(function.offset).is_some_and(|distance| distance < function.size);
        match self.binary.functions.iter().find(around) {
            Some(function) => self.check(function, offset - function.offset, &target.name)?,
            None => self.unless_unsafe(|| {
                let program = &self.binary.path;
                format!("Could not determine instruction boundary for {} ({program} has no symbol there)", target.name)
            })?,
        }
        Ok(vec![target])
    }

    /// In the words of bpftrace.
    fn at_line(&self, line: Line<'_>) -> Result<Vec<Target>, Diagnostic> {
        let found = self.request.kernel.line(&self.binary.path, line).map_err(|error| self.request.fault(error))?;
        let Line { file, line, column } = line;
        let column = column.map_or(String::new(), |column| format!(":{column}"));
        let message = match found {
            Some(LineFound::Address(address)) => {
                let offset = self.binary.offset_of(address);
                return Ok(offset.map(|offset| self.target(&address.to_string(), offset)).into_iter().collect());
            }
            Some(LineFound::NoFile) => format!("DWARF error: No compilation unit matches {file}"),
            Some(LineFound::NoCode) => format!("DWARF error: Unable to map '{file}:{line}{column}' to address"),
            None => {
                let problem = self.request.error(format!("{} has no debug information", self.binary.path));
                return Err(problem.hint("compile it with -g, or install its debug symbols"));
            }
        };
        Err(self.request.error(message))
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
            let target = self.target(&with_offset(name, offset), function.offset.saturating_add(offset));
            self.check(function, offset, &target.name)?;
            Ok(target)
        };
        self.binary.functions.iter().filter(|function| function.name == name).map(place).collect()
    }

    /// A breakpoint in the middle of an instruction would make another one of it.
    fn check(&self, function: &Function, offset: u64, name: &str) -> Result<(), Diagnostic> {
        if offset == 0 {
            return Ok(());
        }
        // The last instruction may reach beyond.
        let code = function.offset..function.offset.saturating_add(offset + LONGEST);
        let code = self.request.kernel.code(&self.binary.path, code).map_err(|error| self.request.fault(error))?;
        match begins_at(&code, offset as usize) {
            Some(true) => Ok(()),
            Some(false) => self.unless_unsafe(|| format!("Could not add uprobe into middle of instruction: {name}")),
            None => self.unless_unsafe(|| format!("Could not determine instruction boundary for {name}")),
        }
    }

    fn unless_unsafe(&self, message: impl Fn() -> String) -> Result<(), Diagnostic> {
        if self.request.safety == Safety::Unsafe {
            return Ok(());
        }
        let hint = "use --unsafe to force attachment; this could corrupt data in the traced process";
        Err(self.request.error(message()).hint(hint))
    }

    fn at_pattern(&self, pattern: &str, offset: u64) -> Vec<Target> {
        let matching = self.once(|function| {
            let within = function.size == 0 || offset < function.size;
            names::matches(pattern, &function.name) && within
        });
        let place = |function: &Function| {
            self.target(&with_offset(&function.name, offset), function.offset.saturating_add(offset))
        };
        matching.map(place).collect()
    }

    fn at_source_name(&self, wanted: &str) -> Vec<Target> {
        let matching = self.once(|function| {
            let Some(name) = demangle(&function.name) else { return function.name == wanted };
            names::matches(wanted, &name.full) || names::matches(wanted, &name.base)
        });
        matching.map(|function| self.target(&format!("cpp:{}", function.name), function.offset)).collect()
    }

    /// Several names of one function are one place, which must not be hit twice.
    fn once(&self, wanted: impl Fn(&Function) -> bool) -> impl Iterator<Item = &Function> {
        let mut seen = HashSet::new();
        self.binary.functions.iter().filter(move |function| wanted(function) && seen.insert(function.offset))
    }

    fn target(&self, place: &str, offset: u64) -> Target {
        let path = self.binary.path.clone();
        Target {
            name: format!("{}:{path}:{place}", self.of.name()),
            attach: Attach::Uprobe { path, offset, at: self.at, pid: self.request.pid, semaphore: None },
            span: self.request.point.span,
        }
    }
}

fn with_offset(name: &str, offset: u64) -> String {
    if offset == 0 { name.to_string() } else { format!("{name}+{offset}") }
}

/// What `-l` shows of a binary: `function`, or `cpp:function` for a pattern of names as the source has them.
pub fn matching_names(binary: &Binary, pattern: &str) -> Vec<String> {
    let by_source = pattern.strip_prefix("cpp:").map(|pattern| pattern.trim_matches('"'));
    let matching = binary.functions.iter().filter_map(|function| match by_source {
        Some(pattern) => {
            let name = demangle(&function.name)?;
            let fits = names::matches(pattern, &name.full) || names::matches(pattern, &name.base);
            fits.then(|| format!("cpp:\"{}\"", name.full))
        }
        None => names::matches(pattern, &function.name).then(|| function.name.clone()),
    });
    let mut found: Vec<String> = matching.collect();
    found.dedup();
    found
}
