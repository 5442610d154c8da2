//! The files that the name of a program or library stands for: paths, patterns, names on `PATH`, libraries, what a process has mapped.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use super::libraries;
use crate::names;

/// Between an archive and what is in it: `app.apk!/lib/libapp.so`.
const WITHIN: &str = "!/";

/// Splits a path that leads into an archive.
pub fn split_archive(path: &str) -> (&str, Option<&str>) {
    path.split_once(WITHIN).map_or((path, None), |(archive, entry)| (archive, Some(entry)))
}

/// Every file that is meant, each once. Names are taken as the process sees them, where there is one. `*` is what it has mapped, or
/// what any process has.
pub fn find(name: &str, process: Option<u32>) -> Vec<String> {
    if let (archive, Some(entry)) = split_archive(name) {
        return find(archive, process).into_iter().map(|archive| format!("{archive}{WITHIN}{entry}")).collect();
    }
    let found = match process {
        Some(pid) if name.is_empty() => fs::read_link(format!("/proc/{pid}/exe")).into_iter().collect(),
        Some(pid) if name == "*" => mapped(pid),
        None if name == "*" => processes().into_iter().flat_map(mapped).collect(),
        _ if names::is_pattern(name) => matching(name),
        _ => located(name).into_iter().collect(),
    };
    let root = process.and_then(foreign_root);
    let found = found.into_iter().map(|path| within(path, root.as_deref()));
    each_once(found.filter(|path| path.is_file()))
}

/// The file that a full name stands for.
fn located(name: &str) -> Option<PathBuf> {
    if name.contains('/') { std::path::absolute(name).ok() } else { on_path(name).or_else(|| libraries::locate(name)) }
}

/// The first executable of this name, as a shell would run it.
fn on_path(name: &str) -> Option<PathBuf> {
    folders_on_path().into_iter().map(|folder| folder.join(name)).find(|file| is_executable(file))
}

fn folders_on_path() -> Vec<PathBuf> {
    env::var_os("PATH").iter().flat_map(env::split_paths).collect()
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Files that match a pattern: by path, or by name in the folders of `PATH`.
fn matching(pattern: &str) -> Vec<PathBuf> {
    if !pattern.contains('/') {
        let files = folders_on_path().into_iter().flat_map(|folder| entries(&folder, pattern));
        return files.filter(|file| is_executable(file)).collect();
    }
    let Ok(path) = std::path::absolute(pattern) else { return Vec::new() };
    path.components().fold(vec![PathBuf::new()], |found, part| {
        let next = |path: PathBuf| match part {
            Component::Normal(part) if part.to_str().is_some_and(names::is_pattern) => {
                entries(&path, part.to_str().unwrap_or_default())
            }
            part => vec![path.join(part)],
        };
        found.into_iter().flat_map(next).collect()
    })
}

/// What in a folder matches a pattern, sorted.
fn entries(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let matching = names.filter(|name| name.to_str().is_some_and(|name| names::matches(pattern, name)));
    let mut found: Vec<PathBuf> = matching.map(|name| folder.join(name)).collect();
    found.sort_unstable();
    found
}

/// Files of which a process has mapped code: its program and its libraries.
fn mapped(pid: u32) -> Vec<PathBuf> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    maps.lines().filter_map(code_of).map(PathBuf::from).collect()
}

/// Numbers of all processes.
fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The file of a line such as `55d0-55d8 r-xp 00002000 fe:00 1234   /usr/bin/cat`.
fn code_of(line: &str) -> Option<&str> {
    let path = line.get(line.find('/')?..)?;
    (line.split(' ').nth(1)?.contains('x')).then_some(path)
}

/// The root folder of a process that has another one than rtrace.
fn foreign_root(pid: u32) -> Option<PathBuf> {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let identity = |path: &Path| path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    (identity(&root)? != identity(Path::new("/"))?).then_some(root)
}

fn within(path: PathBuf, root: Option<&Path>) -> PathBuf {
    match (root, path.strip_prefix("/")) {
        (Some(root), Ok(relative)) => root.join(relative),
        (Some(_), Err(_)) | (None, _) => path,
    }
}

/// Several names of one file are one file: its code must not be hit twice.
fn each_once(paths: impl Iterator<Item = PathBuf>) -> Vec<String> {
    let mut seen = HashSet::new();
    let new = paths.filter(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    new.map(|path| path.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_libraries_are_found_by_name() {
        assert!(find("sh", None)[0].ends_with("/sh"));
        let by_name = ["libc.so.6", "libc"].map(|name| find(name, None));
        assert_eq!(by_name[0], by_name[1]);
        assert!(find("no-such-program", None).is_empty() && find("/nosuch/file", None).is_empty());
    }

    #[test]
    fn patterns_match_paths_and_names_on_path() {
        assert!(find("/bin/s*h", None).contains(&"/bin/sh".to_string()));
        assert!(find("/b*/sh", None).len() == 1 && find("/nosuch*/sh", None).is_empty());
        assert!(find("s*h", None).iter().any(|path| path.ends_with("/sh")));
    }

    #[test]
    fn a_process_has_a_program_and_libraries() {
        let own = env::current_exe().unwrap().to_string_lossy().into_owned();
        assert_eq!(find("", Some(std::process::id())), std::slice::from_ref(&own));
        assert!([Some(std::process::id()), None].iter().all(|process| find("*", *process).contains(&own)));
        assert_eq!(code_of("55d0-55d8 r-xp 0 fe:00 1234   /usr/bin/my tool"), Some("/usr/bin/my tool"));
        assert_eq!(code_of("55d0-55d8 rw-p 0 fe:00 1234   /usr/bin/cat"), None);
    }

    #[test]
    fn archives_have_entries() {
        assert_eq!(split_archive("/a.zip!/lib/x.so"), ("/a.zip", Some("lib/x.so")));
        assert_eq!(split_archive("/a.so"), ("/a.so", None));
    }
}
