//! Text up to the cursor in, what its last word may become out.

pub mod members;
pub mod place;
mod rank;

use std::path::Path;

use self::place::{Place, Spot};
use super::commands::{self, Takes};
use super::knowledge::Known;
use crate::btf::Kind;
use crate::builtins;
use crate::kernel::Kernel;
use crate::plan::{Map, Role};
use crate::probes::{self, ProbeType};

/// Something that a word may become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub text: String,
    /// What it is: a signature, a type.
    pub note: String,
}

/// Where the word begins, and what it may become, the most likely first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    pub start: usize,
    pub candidates: Vec<Candidate>,
}

/// Knows the kernel, and the session as it was after the last entry.
pub struct Completer<'k> {
    pub kernel: &'k dyn Kernel,
    pub known: Known,
}

/// Words of the language that begin statements.
const KEYWORDS: [&str; 11] =
    ["if", "else", "while", "for", "unroll", "let", "return", "break", "continue", "sizeof", "offsetof"];

/// More candidates than this help nobody.
const MOST: usize = 200;

impl Completer<'_> {
    pub fn complete(&self, before: &str) -> Completion {
        let Spot { start, place } = place::find(before);
        let word = &before[start..];
        let all = match &place {
            Place::Nothing => Vec::new(),
            Place::Command => named(commands::COMMANDS.iter().map(|of| (of.names[0].to_string(), of.doc))),
            Place::Argument(takes) => self.argument(*takes, word),
            Place::Probe => self.probes(word),
            Place::Word => words(),
            Place::Map => self.maps(before, word),
            Place::Variable => plain(place::words_after(before, '$', word)),
            Place::Type(kind) => self.types(*kind, word),
            Place::Member { of } => members::of(self.kernel, &self.known.get().maps, before, of),
        };
        let mut candidates = rank::best(all, word);
        candidates.truncate(MOST);
        Completion { start, candidates }
    }

    fn argument(&self, takes: Takes, word: &str) -> Vec<Candidate> {
        match takes {
            Takes::Nothing => Vec::new(),
            Takes::Number => {
                let numbers = self.known.get().numbers.into_iter();
                numbers.map(|(number, text)| Candidate { text: number.to_string(), note: text }).collect()
            }
            Takes::Map => self.maps("", word),
            Takes::File => files(word),
            Takes::Topic => {
                let probes = probes::TYPES.iter().map(|of| (of.name().to_string(), of.doc));
                let commands = commands::COMMANDS.iter().map(|of| (of.names[0].to_string(), of.doc));
                let mut all = builtin_words();
                all.extend(named(probes.chain(commands)));
                all
            }
            Takes::Probes => self.probes(word),
            Takes::Type => match word.split_once(' ') {
                Some(("struct" | "union" | "enum", _)) => Vec::new(),
                _ => plain(["struct ", "union ", "enum "].map(str::to_string)),
            },
        }
    }

    /// Attach points. A word without a type is looked for among tracepoints and functions too.
    fn probes(&self, word: &str) -> Vec<Candidate> {
        let Some((name, rest)) = word.split_once(':') else {
            let mut all = named(probes::TYPES.iter().map(|of| (head(of), of.doc)));
            if word.len() >= 3 {
                let found = ["tracepoint", "kprobe"].into_iter().flat_map(|name| self.points(name, word));
                all.extend(plain(found));
            }
            return all;
        };
        let Some(of) = probes::find(name) else { return Vec::new() };
        let spelled = |point: String| format!("{name}{}", &point[of.name().len()..]);
        plain(self.points(of.name(), rest).map(spelled))
    }

    /// The points of a type whose names hold `rest`; for those in programs, the programs first.
    fn points(&self, name: &str, rest: &str) -> impl Iterator<Item = String> {
        let files_first = ["uprobe", "uretprobe", "usdt"].contains(&name);
        let points = match probes::find(name) {
            _ if files_first && !rest.contains(':') => {
                files(rest).into_iter().map(|file| format!("{name}:{}", with_colon(file.text))).collect()
            }
            Some(of) => {
                let (program, word) = match rest.split_once(':') {
                    Some((program, word)) if files_first => (format!("{program}:"), word),
                    _ => (String::new(), rest),
                };
                (of.list)(self.kernel, &format!("{name}:{program}*{word}*"))
            }
            None => Vec::new(),
        };
        points.into_iter()
    }

    fn maps(&self, before: &str, word: &str) -> Vec<Candidate> {
        let known = self.known.get().maps;
        let mut all: Vec<Candidate> = known.iter().filter_map(map).collect();
        let written = place::words_after(before, '@', word);
        all.extend(plain(written.into_iter().filter(|name| !known.iter().any(|map| is_named(map, name)))));
        all
    }

    fn types(&self, kind: Kind, word: &str) -> Vec<Candidate> {
        let Some(btf) = self.kernel.btf() else { return Vec::new() };
        let names = btf.all(kind).map(|(name, _)| name).filter(|name| rank::is_within(word, name));
        let mut names: Vec<String> = names.map(str::to_string).collect();
        names.sort_unstable();
        names.dedup();
        plain(names)
    }
}

/// Probe types that take no more begin their body, all others go on behind a colon.
fn head(of: &ProbeType) -> String {
    if of.syntax.contains(':') { format!("{}:", of.name()) } else { of.name().to_string() }
}

fn with_colon(path: String) -> String {
    if path.ends_with('/') { path } else { format!("{path}:") }
}

fn words() -> Vec<Candidate> {
    let mut all = builtin_words();
    all.extend(plain(KEYWORDS.map(str::to_string)));
    all
}

fn builtin_words() -> Vec<Candidate> {
    let rows = builtins::TABLES.iter().flat_map(|table| table.iter());
    rows.map(|row| Candidate { text: row.name.to_string(), note: signature(row) }).collect()
}

/// `hist(number[, k])  A histogram …`
pub fn signature(row: &builtins::Builtin) -> String {
    let params = if row.params.is_empty() { String::new() } else { format!("({})", row.params) };
    format!("{}{params}  {}", row.name, row.doc)
}

fn map(map: &Map) -> Option<Candidate> {
    let Role::User { name, key, value, .. } = &map.role else { return None };
    let key = key.as_ref().map_or(String::new(), |key| format!("[{key}]"));
    Some(Candidate { text: name.clone(), note: format!("{name}{key}: {value}") })
}

fn is_named(map: &Map, name: &str) -> bool {
    matches!(&map.role, Role::User { name: other, .. } if other == name)
}

fn plain(names: impl IntoIterator<Item = String>) -> Vec<Candidate> {
    names.into_iter().map(|text| Candidate { text, note: String::new() }).collect()
}

fn named(names: impl IntoIterator<Item = (String, &'static str)>) -> Vec<Candidate> {
    names.into_iter().map(|(text, note)| Candidate { text, note: note.to_string() }).collect()
}

/// Files and folders that a path may become.
fn files(word: &str) -> Vec<Candidate> {
    let (folder, _) = word.rfind('/').map_or(("", word), |at| word.split_at(at + 1));
    let Ok(entries) = std::fs::read_dir(Path::new(if folder.is_empty() { "." } else { folder })) else {
        return Vec::new();
    };
    let name = |entry: std::fs::DirEntry| {
        let slash = if entry.path().is_dir() { "/" } else { "" };
        format!("{folder}{}{slash}", entry.file_name().to_string_lossy())
    };
    plain(entries.flatten().map(name).filter(|path| !path.contains(' ')))
}
