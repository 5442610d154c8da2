//! The parser meets damaged programs: whatever it is given, it answers with a program or with diagnostics that can be shown, and a
//! program that it accepts survives being printed and read again. The damage is the same in every run.

use std::fs;
use std::path::Path;

use rtrace::diag::{self, Diagnostic, Style};
use rtrace::source::Sources;
use rtrace::syntax::{self, ast::Program};

const ROUNDS: usize = 4000;

/// Pieces that change the meaning of what stands around them.
const PIECES: [&str; 44] = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "<",
    ">",
    ";",
    ",",
    "/",
    "\"",
    "'",
    "\\",
    "//",
    "/*",
    "*/",
    "=",
    "==",
    "?",
    ":",
    "..",
    ".",
    "->",
    "$x",
    "@",
    "&",
    "-",
    "++",
    "if",
    "else",
    "for",
    "begin",
    "1e9",
    "0x",
    "é",
    "\n",
    "config = {",
    "{ $y = 1; 2 }",
    "if 1 { 2 } else ",
    "comptime ",
    "typeof(",
    "(a = 1)",
    "let @m = hash(",
];

#[test]
fn damaged_programs() {
    let programs = programs();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0;
    for _ in 0..ROUNDS {
        let mut text = programs[random.below(programs.len())].clone();
        for _ in 0..=random.below(4) {
            damage(&mut text, &mut random);
        }
        accepted += usize::from(survives(&text));
    }
    assert!(accepted > ROUNDS / 20, "hardly any program was accepted: {accepted}");
}

/// Every program of the parser's golden tests.
fn programs() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parse");
    let mut files: Vec<_> = fs::read_dir(folder).expect("tests/parse").flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "bt"));
    files.sort();
    let texts = files.iter().map(|path| fs::read_to_string(path).expect("a readable program"));
    texts.flat_map(|text| text.split("//---\n").map(str::to_string).collect::<Vec<_>>()).collect()
}

fn damage(text: &mut String, random: &mut Random) {
    let start = text.floor_char_boundary(random.below(text.len() + 1));
    let end = text.floor_char_boundary((start + random.below(8)).min(text.len())).max(start);
    match random.below(4) {
        0 => text.replace_range(start..end, ""),
        1 => text.insert_str(start, PIECES[random.below(PIECES.len())]),
        2 => text.replace_range(start..end, PIECES[random.below(PIECES.len())]),
        _ => {
            let piece = text[start..end].to_string();
            let place = text.floor_char_boundary(random.below(text.len() + 1));
            text.insert_str(place, &piece);
        }
    }
}

/// Whether the text was accepted.
fn survives(text: &str) -> bool {
    let mut sources = Sources::new();
    let _ = syntax::completeness(text);
    match syntax::parse(sources.add("stdin", text)) {
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a reason:\n{text}");
            let text_shown = shown(&faults, &sources);
            assert!(faults.iter().all(|fault| text_shown.contains(&fault.message)), "{text}");
            false
        }
        Ok(program) => {
            let printed = syntax::print::program(&program);
            let again = syntax::parse(sources.add("printed", printed.as_str()));
            let again = again.unwrap_or_else(|faults| panic!("{text}\n{}", shown(&faults, &sources)));
            assert_eq!(shape(&again), shape(&program), "\n{text}\n{printed}");
            true
        }
    }
}

fn shown(faults: &[Diagnostic], sources: &Sources) -> String {
    faults.iter().map(|fault| diag::render(fault, sources, Style::Plain, usize::MAX)).collect()
}

/// A tree without its places.
fn shape(program: &Program) -> String {
    format!("{program:?}").split("Span {").map(|part| part.split_once('}').map_or(part, |(_, rest)| rest)).collect()
}

/// Xorshift: few lines, and good enough to choose what to break.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}
