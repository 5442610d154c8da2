//! A program as text for people: instructions as `bpftool prog dump xlated` writes them, between the source they come from,
//! with map names and the assembler's notes beside them.

use std::fmt;

use super::insn::{Decoded, Insn, Wide};
use super::names::map_label;
use super::unit::{RelocTarget, Unit};
use crate::plan::{MapId, Plan};
use crate::source::{Sources, Span};

/// Shows a unit; made to be printed.
pub struct Listing<'a> {
    pub unit: &'a Unit,
    pub plan: &'a Plan,
    pub sources: &'a Sources,
}

/// Notes begin in this column, counted from the beginning of the instruction's text.
const NOTES: usize = 44;

/// Source text longer than this is cut, in characters.
const LONGEST: usize = 100;

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let insns = &self.unit.insns;
        let mut at = 0;
        while at < insns.len() {
            self.heading(f, at as u32)?;
            let text = self.text(at);
            let notes = self.notes(at);
            if notes.is_empty() {
                writeln!(f, "{at:5}: {text}")?;
            } else {
                writeln!(f, "{at:5}: {text:NOTES$} ; {notes}")?;
            }
            at += if matches!(insns[at].decode(), Some(Decoded::Wide { .. })) { 2 } else { 1 };
        }
        Ok(())
    }
}

impl Listing<'_> {
    /// The function and the piece of source that begin here.
    fn heading(&self, f: &mut fmt::Formatter<'_>, at: u32) -> fmt::Result {
        for function in self.unit.functions.iter().filter(|function| function.at == at) {
            let name = if at == 0 { &self.unit.name } else { &function.name };
            writeln!(f, "{name}:")?;
        }
        for (_, span) in self.unit.lines.iter().filter(|(line, _)| *line == at) {
            let text = self.source(*span);
            if !text.is_empty() {
                writeln!(f, "; {text}")?;
            }
        }
        Ok(())
    }

    /// The first line of a span, cut if it is long.
    fn source(&self, span: Span) -> String {
        let text = self.sources.text(span).trim();
        let line = text.lines().next().unwrap_or("").trim_end();
        let short: String = line.chars().take(LONGEST).collect();
        if short.len() < text.len() { short + " …" } else { short }
    }

    fn text(&self, at: usize) -> String {
        let insn = self.unit.insns[at];
        match insn.decode() {
            Some(Decoded::Wide { to, kind }) => format!("{to} = {}", self.wide(at, kind, insn)),
            _ => insn.to_string(),
        }
    }

    fn wide(&self, at: usize, kind: u8, first: Insn) -> String {
        let high = self.unit.insns.get(at + 1).map_or(0, |second| second.imm);
        let reloc = self.unit.relocs.iter().find(|reloc| reloc.at as usize == at);
        match reloc.map(|reloc| &reloc.to) {
            Some(RelocTarget::Map(map)) => format!("map[{}]", self.map(*map)),
            Some(RelocTarget::MapValue(map)) => format!("map[{}][0]+{high}", self.map(*map)),
            None if kind == Wide::KernelVar as u8 => format!("kernel-variable#{}", first.imm),
            None if kind == Wide::Function as u8 => format!("subprog[{:+}]", first.imm),
            None => format!("{:#x}", u64::from(first.imm as u32) | u64::from(high as u32) << 32),
        }
    }

    fn map(&self, map: MapId) -> String {
        self.plan.maps.get(map).map_or_else(|| format!("{}", map.0), map_label)
    }

    /// Where a jump leads, what function an address is of, and what the assembler's user wrote.
    fn notes(&self, at: usize) -> String {
        let insn = self.unit.insns[at];
        let target = (at as i64) + 1 + i64::from(insn.off);
        let mut notes = match insn.decode() {
            Some(Decoded::Jump | Decoded::Branch { .. }) => vec![format!("to {target}")],
            Some(Decoded::Wide { kind, .. }) if kind == Wide::Function as u8 => {
                self.function_at(at as i64 + 1 + i64::from(insn.imm)).into_iter().collect()
            }
            Some(Decoded::CallFunction { distance }) => {
                self.function_at(at as i64 + 1 + i64::from(distance)).into_iter().collect()
            }
            _ => Vec::new(),
        };
        let comments = self.unit.comments.iter().filter(|(comment, _)| *comment as usize == at);
        notes.extend(comments.map(|(_, text)| text.clone()));
        notes.join("; ")
    }

    fn function_at(&self, at: i64) -> Option<String> {
        let function = self.unit.functions.iter().find(|function| i64::from(function.at) == at);
        function.map(|function| function.name.clone())
    }
}
