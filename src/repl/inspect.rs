//! Commands that show what there is: help, probes and types of the kernel, and what became of a program.

use super::manage::number;
use super::shell::{Flow, Shell};
use super::{fit, help};
use crate::bpf::list::Listing;
use crate::error::{Error, Result};
use crate::plan::{Map, MapKind, Role};
use crate::probes;
use crate::runtime;

/// Columns of text that is written to no terminal.
const PAGE: usize = 100;

pub fn help(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let text = fit::wrapped(&help::topic(rest), Shell::columns().unwrap_or(PAGE));
    shell.say(&text).map(|()| Flow::Next)
}

pub fn maps(shell: &mut Shell<'_>, _: &str) -> Result<Flow> {
    let mut lines: Vec<String> = shell.workspace.maps().iter().filter_map(describe).collect();
    lines.sort_unstable();
    shell.say(&if lines.is_empty() { "there are no maps\n".to_string() } else { lines.concat() })?;
    Ok(Flow::Next)
}

/// `@m[string[16]]: count_t`
fn describe(map: &Map) -> Option<String> {
    let Role::User { name, key, value, .. } = &map.role else { return None };
    let key = key.as_ref().map_or(String::new(), |key| format!("[{key}]"));
    let kind = match map.kind {
        MapKind::LruHash | MapKind::PerCpuLruHash => format!(", the last {} used", map.max_entries),
        _ if key.is_empty() => String::new(),
        _ => format!(", up to {} entries", map.max_entries),
    };
    Some(format!("{name}{key}: {value}{kind}\n"))
}

/// Listed probes beyond these are counted.
const MOST: usize = 200;

pub fn probes(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    if rest.is_empty() {
        return Err(Error::usage("give a pattern of probes").hint("for instance :probes tracepoint:*open*"));
    }
    let pattern = match rest.split_once(':') {
        _ if rest.contains('*') => rest.to_string(),
        Some((of, name)) => format!("{of}:*{name}*"),
        None => format!("*{rest}*"),
    };
    let found = probes::list(shell.kernel(), Some(&pattern))?;
    let mut text: String = found.iter().take(MOST).map(|line| format!("{line}\n")).collect();
    if found.len() > MOST {
        text.push_str(&format!("and {} more\n", found.len() - MOST));
    }
    shell.say(if found.is_empty() { "no probe matches\n" } else { &text }).map(|()| Flow::Next)
}

pub fn type_of(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let kinds = ["struct ", "union ", "enum "];
    let patterns: Vec<String> = match kinds.iter().any(|kind| rest.starts_with(kind)) {
        true => vec![rest.to_string()],
        false => kinds.iter().map(|kind| format!("{kind}{rest}")).collect(),
    };
    let mut lines = Vec::new();
    for pattern in &patterns {
        lines.extend(probes::list_verbose(shell.kernel(), Some(pattern))?);
    }
    if lines.is_empty() {
        return Err(Error::usage(format!("the kernel has no type '{rest}'"))
            .hint("for instance :type struct task_struct; * stands for any letters"));
    }
    shell.say(&lines.iter().map(|line| format!("{line}\n")).collect::<String>()).map(|()| Flow::Next)
}

pub fn insns(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let session = &shell.workspace.get(number(rest)?)?.session;
    let listing = |unit| Listing { unit, plan: session.plan(), sources: &shell.engine.sources };
    let text: String = session.units().iter().map(|unit| format!("{}\n", listing(unit))).collect();
    shell.say(&text).map(|()| Flow::Next)
}

pub fn plan(shell: &mut Shell<'_>, rest: &str) -> Result<Flow> {
    let session = &shell.workspace.get(number(rest)?)?.session;
    let mechanisms = runtime::plan(session.units(), shell.kernel()).into_iter().map(|line| line + "\n");
    let maps = session.plan().maps.values().filter_map(describe);
    let text: String = mechanisms.chain(maps).collect();
    shell.say(&text).map(|()| Flow::Next)
}
