//! tracefs: its lists of events and functions, and the `format` files that tell a tracepoint's fields.
//!
//! The files are described in the kernel's `Documentation/trace/events.rst` and `ftrace.rst`.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::OnceLock;

use super::mounts::{self, Filesystem, Mount, State};
use super::{TracepointField, TracepointFormat};
use crate::error::{Error, Result};
use crate::types::Sign;

/// Functions that no kprobe may be put on: the kernel's `Documentation/trace/kprobes.rst`.
const KPROBES_BARRED: &str = "/sys/kernel/debug/kprobes/blacklist";

/// A mounted tracefs, looked for (and mounted, where it is missing) when first needed.
#[derive(Default)]
pub struct Tracefs {
    mount: OnceLock<Result<Mount>>,
}

impl Tracefs {
    /// Where it is, if it was needed and found.
    pub fn mount(&self) -> Option<&Mount> {
        self.mount.get()?.as_ref().ok()
    }

    /// All `category:event`, sorted.
    pub fn events(&self) -> Result<Vec<String>> {
        let path = self.root()?.join("available_events");
        let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
        let mut events: Vec<String> = text.lines().map(str::to_string).collect();
        events.sort_unstable();
        Ok(events)
    }

    pub fn format(&self, category: &str, event: &str) -> Result<Option<TracepointFormat>> {
        // Names come from the script and must not leave the folder.
        if [category, event].iter().any(|part| part.is_empty() || part.starts_with('.') || part.contains('/')) {
            return Ok(None);
        }
        let path = self.root()?.join("events").join(category).join(event).join("format");
        match fs::read_to_string(&path) {
            Ok(text) => parse_format(&text).map(Some).ok_or_else(|| garbled(&path)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(unreadable(&path, &error)),
        }
    }

    /// Functions that may be traced, as `name` or `module:name`, sorted; `None` if the kernel does not tell.
    pub fn functions(&self) -> Option<Vec<String>> {
        let path = self.root().ok()?.join("available_filter_functions");
        let hooked = fs::read_to_string(path).ok()?;
        // What only debugfs tells is left to the kernel to refuse where that is not mounted.
        let barred = fs::read_to_string(KPROBES_BARRED).unwrap_or_default();
        Some(parse_functions(&hooked, &barred))
    }

    /// Where tracefs is; the error that tells how to mount it is kept too.
    fn root(&self) -> Result<&Path> {
        let mount = self.mount.get_or_init(|| {
            let usual = Filesystem::Tracefs.place();
            // Asking for one file is quicker than reading the list of mounts.
            if Path::new(usual).join("README").exists() {
                return Ok(Mount { path: usual.to_string(), state: State::Found });
            }
            mounts::ensure(Filesystem::Tracefs)
        });
        mount.as_ref().map(|mount| Path::new(&mount.path)).map_err(Error::clone)
    }
}

/// Reads a `format` file. The fields every tracepoint has (`common_*`), which programs cannot read, are left out.
pub fn parse_format(text: &str) -> Option<TracepointFormat> {
    let id = text.lines().find_map(|line| line.strip_prefix("ID:"))?.trim().parse().ok()?;
    let fields = text.lines().filter_map(|line| line.trim_start().strip_prefix("field:"));
    let fields = fields.map(parse_field).collect::<Option<Vec<_>>>()?;
    let own = fields.into_iter().filter(|field| !field.name.starts_with("common_"));
    Some(TracepointFormat { id, fields: own.collect() })
}

/// Reads `char comm[16];\toffset:8;\tsize:16;\tsigned:0;`.
fn parse_field(text: &str) -> Option<TracepointField> {
    let mut parts = text.split(';').map(str::trim);
    let (name, c_type) = split_declaration(parts.next()?)?;
    let mut field = TracepointField { name, c_type, offset: 0, size: 0, sign: Sign::Unsigned };
    for part in parts {
        match part.split_once(':') {
            Some(("offset", value)) => field.offset = value.parse().ok()?,
            Some(("size", value)) => field.size = value.parse().ok()?,
            Some(("signed", "1")) => field.sign = Sign::Signed,
            Some(_) | None => {}
        }
    }
    Some(field)
}

/// Splits a C declaration into name and type: `char comm[16]` into `comm` and `char[16]`.
fn split_declaration(text: &str) -> Option<(String, String)> {
    // A function pointer has its name in the middle: `void (*function)(void *)`.
    if let Some((result, rest)) = text.split_once("(*") {
        let (name, params) = rest.split_once(')')?;
        return Some((name.to_string(), format!("{result}(*){params}")));
    }
    let (declared, dimensions) = match text.find('[') {
        // The empty brackets of `__data_loc char[] name` belong to the type already.
        Some(at) if text.ends_with(']') => text.split_at(at),
        Some(_) | None => (text, ""),
    };
    let start = declared.rfind(|c: char| !c.is_alphanumeric() && c != '_')? + 1;
    let (ty, name) = declared.split_at(start);
    (!name.is_empty()).then(|| (name.to_string(), format!("{}{dimensions}", ty.trim_end())))
}

/// Reads lines like `vfs_read` and `nf_hook [nf_tables]`, and the list of what no kprobe may be on: `0xFROM-0xTO\tname`.
pub fn parse_functions(hooked: &str, barred: &str) -> Vec<String> {
    let barred: HashSet<&str> = barred.lines().filter_map(|line| line.split_once('\t')).map(|(_, name)| name).collect();
    let name = |line: &str| match line.split_once(" [") {
        Some((name, module)) => format!("{}:{name}", module.trim_end_matches(']')),
        None => line.to_string(),
    };
    let may_be_traced = |line: &&str| !is_left_out(line) && !barred.contains(line.split(' ').next().unwrap_or(line));
    let mut names: Vec<String> = hooked.lines().filter(may_be_traced).map(name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Places that the kernel could not name are of no use to a probe, and neither is what the compiler split off a function: it runs as
/// part of that. What programs themselves run on (read-copy-update) can hang the machine.
fn is_left_out(function: &str) -> bool {
    function.starts_with("__ftrace_invalid") || function.starts_with("rcu_") || function.contains(".part.")
}

/// tracefs is closed to all but root at first, which surprises those who have given rtrace its capabilities.
fn unreadable(path: &Path, error: &io::Error) -> Error {
    let problem = Error::usage(format!("cannot read {}: {}", path.display(), error.kind()));
    match error.kind() {
        ErrorKind::PermissionDenied => problem.hint(
            "tracefs is for root only: run as root, add CAP_DAC_READ_SEARCH, or run: \
             sudo mount -o remount,mode=750,gid=$(id -g) /sys/kernel/tracing",
        ),
        _ => problem,
    }
}

fn garbled(path: &Path) -> Error {
    Error::usage(format!("{} is not in the format that the kernel documents", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = "name: sched_process_exec\nID: 296\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
        \tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;\n\
        \tfield:pid_t pid;\toffset:12;\tsize:4;\tsigned:1;\n\
        \tfield:char comm[16];\toffset:16;\tsize:16;\tsigned:0;\n\
        \tfield:const char * name;\toffset:32;\tsize:8;\tsigned:0;\n\
        \tfield:struct page *page;\toffset:40;\tsize:8;\tsigned:0;\n\
        \tfield:void (*function)(void *);\toffset:48;\tsize:8;\tsigned:0;\n\n\
        print fmt: \"filename=%s pid=%d\", __get_str(filename), REC->pid\n";

    #[test]
    fn reads_a_format() {
        let format = parse_format(FORMAT).unwrap();
        let fields: Vec<_> = format.fields.iter().map(|field| (&*field.c_type, &*field.name, field.offset)).collect();
        let expected = [
            ("__data_loc char[]", "filename", 8),
            ("pid_t", "pid", 12),
            ("char[16]", "comm", 16),
            ("const char *", "name", 32),
            ("struct page *", "page", 40),
            ("void (*)(void *)", "function", 48),
        ];
        assert_eq!((format.id, fields), (296, expected.to_vec()));
        assert_eq!((format.fields[1].sign, format.fields[1].size), (Sign::Signed, 4));
    }

    #[test]
    fn a_broken_format_is_no_format() {
        assert_eq!(parse_format("name: x\nformat:\n"), None);
        assert_eq!(parse_format("ID: 1\n\tfield:int x;\toffset:y;\n"), None);
    }

    #[test]
    fn reads_functions_of_modules() {
        assert_eq!(
            parse_functions(
                "vfs_read\nhook [nf]\nbind\nbind\n__ftrace_invalid_address___12\ndo_int3\nrcu_core\nvfs_read.part.0\n",
                "0xffffffff812e97a0-0xffffffff812e9800\tdo_int3\n"
            ),
            ["bind", "nf:hook", "vfs_read"]
        );
    }

    #[test]
    fn names_cannot_leave_the_folder() {
        let tracefs = Tracefs::default();
        assert_eq!(tracefs.format("..", "x").unwrap(), None);
        assert_eq!(tracefs.format("sched/../sched", "sched_switch").unwrap(), None);
    }
}
