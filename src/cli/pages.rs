//! What other programs want to know of the command line, made of its table: the manual page and the completions of shells.

use super::flags::{FLAGS, Flag};
use crate::shelf;

/// What `--generate` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    Manual,
    Bash,
    Zsh,
    Fish,
}

pub const PAGES: [(&str, Page); 4] =
    [("man", Page::Manual), ("bash", Page::Bash), ("zsh", Page::Zsh), ("fish", Page::Fish)];

impl Page {
    pub fn text(self) -> String {
        match self {
            Self::Manual => manual(),
            Self::Bash => bash(),
            Self::Zsh => zsh(),
            Self::Fish => fish(),
        }
    }
}

const SYNOPSIS: [&str; 5] = [
    "rtrace [OPTIONS] FILE [PARAMS] [-- --NAME=VALUE...]",
    "rtrace [OPTIONS] -e PROGRAM [PARAMS]",
    "rtrace [OPTIONS] TOOL [--NAME=VALUE...]",
    "rtrace -l [PATTERN]",
    "rtrace",
];

const EXIT_CODES: [(&str, &str); 5] = [
    ("0", "normal end, Ctrl-C, SIGTERM"),
    ("n", "exit(n) of the program, its low eight bits"),
    ("1", "faults of the command line or the program, missing files, nothing to attach to, missing privilege"),
    ("3", "with --strict, something was lost"),
    ("255", "the kernel refused to load or attach"),
];

/// In the language of troff.
fn manual() -> String {
    let synopsis: String = SYNOPSIS.iter().map(|line| format!(".br\n{}\n", troff(line))).collect();
    let options: String = FLAGS.iter().map(|flag| term(&spelled(flag), flag.doc)).collect();
    let tools: String = shelf::TOOLS.iter().map(|tool| term(tool.name, tool.about())).collect();
    let codes: String = EXIT_CODES.iter().map(|(code, when)| term(code, when)).collect();
    format!(
        ".TH RTRACE 1 \"\" \"rtrace {}\" \"User Commands\"\n.SH NAME\nrtrace \\- a tracing language for Linux\n.SH SYNOPSIS\n{synopsis}\
         .SH DESCRIPTION\nRuns programs of a language compatible with bpftrace's: a probe, perhaps a condition, and what to do when the \
         probe is hit. The program becomes eBPF, runs in the kernel at every event, and prints counts, histograms, stacks and lines.\n\
         Without a program there is an interactive shell. A TOOL is one of the scripts that come within rtrace; a file of its name in \
         the current folder wins. Tracing needs CAP_BPF and CAP_PERFMON, or root.\n\
         .SH OPTIONS\n{options}.SH TOOLS\nEach says more with --help.\n{tools}.SH EXIT STATUS\n{codes}\
         .SH ENVIRONMENT\n{}.SH EXAMPLES\n.nf\n{}.fi\n.SH SEE ALSO\nbpftrace(8), bpf(2), capabilities(7)\n",
        env!("CARGO_PKG_VERSION"),
        term("RTRACE_SETTING", "a setting of the language in capitals, such as RTRACE_MAX_MAP_KEYS"),
        troff(
            "rtrace -e 'tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }'\nrtrace -p 612 opensnoop --failed\n"
        ),
    )
}

fn term(name: &str, text: &str) -> String {
    format!(".TP\n.B {}\n{}\n", troff(name), troff(text))
}

fn troff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

/// Both of its names, and that of its value.
fn spelled(flag: &Flag) -> String {
    let short = flag.short.map(|short| format!("-{short}, ")).unwrap_or_default();
    format!("{short}--{} {}", flag.long, flag.value).trim_end().to_string()
}

/// What a shell can offer for the value of an option.
enum Offer {
    Files,
    Tools,
    Nothing,
}

fn offer(flag: &Flag) -> Offer {
    match flag.value {
        "FILE" => Offer::Files,
        "TOOL" => Offer::Tools,
        _ => Offer::Nothing,
    }
}

fn tools() -> String {
    shelf::TOOLS.iter().map(|tool| tool.name).collect::<Vec<_>>().join(" ")
}

fn bash() -> String {
    let takers = FLAGS.iter().filter(|flag| !flag.value.is_empty());
    let cases: String = takers
        .map(|flag| {
            let names: Vec<String> =
                flag.short.map(|short| format!("-{short}")).into_iter().chain([format!("--{}", flag.long)]).collect();
            let reply = match offer(flag) {
                Offer::Files => "COMPREPLY=($(compgen -f -- \"$word\")); return",
                Offer::Tools => "COMPREPLY=($(compgen -W \"$tools\" -- \"$word\")); return",
                Offer::Nothing => "return",
            };
            format!("    {}) {reply} ;;\n", names.join("|"))
        })
        .collect();
    let names: Vec<String> = FLAGS.iter().map(|flag| format!("--{}", flag.long)).collect();
    format!(
        "# Completion of rtrace for bash, made by: rtrace --generate bash\n_rtrace() {{\n  local word=${{COMP_WORDS[COMP_CWORD]}} \
         tools='{}'\n  case ${{COMP_WORDS[COMP_CWORD-1]}} in\n{cases}  esac\n  case $word in\n    -*) COMPREPLY=($(compgen -W '{}' -- \"$word\")) ;;\n    \
         *) COMPREPLY=($(compgen -W \"$tools\" -- \"$word\") $(compgen -f -- \"$word\")) ;;\n  esac\n}}\ncomplete -o filenames -F _rtrace rtrace\n",
        tools(),
        names.join(" "),
    )
}

fn zsh() -> String {
    let options: String = FLAGS
        .iter()
        .map(|flag| {
            let doc = flag.doc.replace('\'', "'\\''").replace('[', "\\[").replace(']', "\\]").replace(':', "\\:");
            let names = match flag.short {
                Some(short) => format!("{{-{short},--{}}}", flag.long),
                None => format!("--{}", flag.long),
            };
            let value = match (flag.value, offer(flag)) {
                ("", _) => String::new(),
                (name, Offer::Files) => format!(":{name}:_files"),
                (name, Offer::Tools) => format!(":{name}:($tools)"),
                (name, Offer::Nothing) => format!(":{name}: "),
            };
            format!("  {names}'[{doc}]{value}' \\\n")
        })
        .collect();
    format!(
        "#compdef rtrace\n# Completion of rtrace for zsh, made by: rtrace --generate zsh\nlocal -a tools=({})\n_arguments -s \\\n{options}  \
         '*:script or tool:_alternative \"tools:tool:($tools)\" \"files:script:_files\"'\n",
        tools(),
    )
}

fn fish() -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let options: String = FLAGS
        .iter()
        .map(|flag| {
            let short = flag.short.map(|short| format!(" -s {short}")).unwrap_or_default();
            let value = match (flag.value, offer(flag)) {
                ("", _) => String::new(),
                (_, Offer::Files) => " -r".to_string(),
                (_, Offer::Tools) => format!(" -x -a '{}'", tools()),
                (_, Offer::Nothing) => " -x".to_string(),
            };
            format!("complete -c rtrace{short} -l {}{value} -d {}\n", flag.long, quoted(flag.doc))
        })
        .collect();
    let tool = |tool: &shelf::Tool| format!("complete -c rtrace -a {} -d {}\n", tool.name, quoted(tool.about()));
    let tools: String = shelf::TOOLS.iter().map(tool).collect();
    format!("# Completion of rtrace for fish, made by: rtrace --generate fish\n{options}{tools}")
}
