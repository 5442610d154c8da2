//! The grammars for editors are made of the same tables as the compiler, and are up to date.
//!
//! `UPDATE=1 cargo test --test editors` rewrites them.

use std::fs;
use std::path::Path;

use rtrace::{builtins, probes};

const KEYWORDS: [&str; 14] = [
    "break", "comptime", "config", "continue", "else", "for", "if", "import", "let", "macro", "offsetof", "return",
    "sizeof", "while",
];

const TYPES: [&str; 18] = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "void", "string", "buffer",
    "inet", "struct", "union", "enum", "typeof", "typeinfo",
];

#[test]
fn grammars_are_up_to_date() {
    for (path, fresh) in
        [("editors/vim/syntax/rtrace.vim", vim()), ("editors/vscode/syntaxes/rtrace.tmLanguage.json", vscode())]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &fresh).expect("a writable file");
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        assert!(text == fresh, "{} is out of date; UPDATE=1 rewrites it", path.display());
    }
}

fn builtin_names() -> Vec<&'static str> {
    builtins::TABLES.iter().flat_map(|table| table.iter()).map(|row| row.name).collect()
}

fn probe_names() -> Vec<&'static str> {
    probes::TYPES.iter().flat_map(|of| of.names.iter().copied()).collect()
}

fn vim() -> String {
    format!(
        r#"" Syntax of rtrace and bpftrace scripts. Made by tests/editors.rs from rtrace's own tables.
if exists('b:current_syntax')
  finish
endif

syntax keyword rtraceKeyword {keywords}
syntax keyword rtraceType {types}
syntax keyword rtraceBuiltin {builtins}
syntax match rtraceProbe /\v^\s*({probes})>[^{{\/]*/
syntax match rtraceVariable /\v\$\w+/
syntax match rtraceMap /\v\@\w*/
syntax match rtraceNumber /\v<(0x\x+|\d[0-9_]*(e\d)?(ns|us|ms|s|m|h|d|u?l{{0,2}})?)>/
syntax region rtraceString start=/"/ skip=/\\./ end=/"/ contains=rtraceFormat
syntax match rtraceFormat /\v\%[-+#0-9]*(hh|ll|[hljzt])?[a-z]/ contained
syntax match rtraceComment +//.*$+
syntax region rtraceComment start=+/\*+ end=+\*/+
syntax match rtracePreprocessor /^\s*#.*$/

highlight default link rtraceKeyword Keyword
highlight default link rtraceType Type
highlight default link rtraceBuiltin Function
highlight default link rtraceProbe Label
highlight default link rtraceVariable Identifier
highlight default link rtraceMap Special
highlight default link rtraceNumber Number
highlight default link rtraceString String
highlight default link rtraceFormat SpecialChar
highlight default link rtraceComment Comment
highlight default link rtracePreprocessor PreProc

syntax sync fromstart

let b:current_syntax = 'rtrace'
"#,
        keywords = KEYWORDS.join(" "),
        types = TYPES.join(" "),
        builtins = builtin_names().join(" "),
        probes = probe_names().join("|"),
    )
}

fn vscode() -> String {
    let words = |names: &[&str]| names.join("|");
    format!(
        r##"{{
  "name": "rtrace",
  "scopeName": "source.rtrace",
  "fileTypes": ["bt"],
  "firstLineMatch": "^#!.*\\b(rtrace|bpftrace)\\b",
  "patterns": [
    {{ "name": "comment.line.rtrace", "match": "//.*$" }},
    {{ "name": "comment.block.rtrace", "begin": "/\\*", "end": "\\*/" }},
    {{ "name": "meta.preprocessor.rtrace", "match": "^\\s*#.*$" }},
    {{
      "name": "string.quoted.double.rtrace",
      "begin": "\"",
      "end": "\"",
      "patterns": [
        {{ "name": "constant.character.escape.rtrace", "match": "\\\\." }},
        {{ "name": "constant.other.placeholder.rtrace", "match": "%[-+#0-9]*(hh|ll|[hljzt])?[a-z]" }}
      ]
    }},
    {{ "name": "entity.name.function.probe.rtrace", "match": "^\\s*({probes})\\b[^{{/]*" }},
    {{ "name": "keyword.control.rtrace", "match": "\\b({keywords})\\b" }},
    {{ "name": "storage.type.rtrace", "match": "\\b({types})\\b" }},
    {{ "name": "support.function.rtrace", "match": "\\b({builtins})\\b" }},
    {{ "name": "variable.other.rtrace", "match": "\\$\\w+" }},
    {{ "name": "variable.other.map.rtrace", "match": "@\\w*" }},
    {{ "name": "constant.numeric.rtrace", "match": "\\b(0x[0-9a-fA-F]+|[0-9][0-9_]*(e[0-9])?(ns|us|ms|[smhd]|u?l{{0,2}})?)\\b" }}
  ]
}}
"##,
        probes = words(&probe_names()),
        keywords = words(&KEYWORDS),
        types = words(&TYPES),
        builtins = words(&builtin_names()),
    )
}
