//! Places in the code of a program: what the end of a uprobe's attach point means, found in one binary.

use std::collections::HashSet;

use super::{ProbeType, Request, number};
use crate::demangle::demangle;
use crate::diag::Diagnostic;
use crate::kernel::{Binary, Function};
use crate::names;
use crate::plan::{Attach, Point, Target};

/// What follows the program.
pub enum Place<'a> {
    /// As `nm` shows it.
    Address(u64),
    /// A name or pattern.
    Symbol { name: &'a str, offset: u64 },
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
