//! Numbers become names: users, cgroups, errors, signals, system calls. What has no name is shown as bpftrace shows it.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::types::Naming;
use crate::{errno, names, signal};

/// What was looked up so far.
#[derive(Default)]
pub struct Names {
    users: Option<HashMap<i64, String>>,
    hierarchies: Option<Vec<Hierarchy>>,
    cgroups: HashMap<(i64, Arc<str>), String>,
}

/// A mounted tree of cgroups.
struct Hierarchy {
    /// `unified` for version 2, else the name of the folder, such as `memory`.
    name: String,
    root: PathBuf,
}

impl Names {
    pub fn of(&mut self, naming: &Naming, number: i64) -> String {
        match naming {
            Naming::User => self.user(number),
            Naming::Cgroup(pattern) => self.cgroup(number, pattern),
            Naming::Error => errno::describe(number),
            Naming::Signal => signal::describe(number),
            Naming::SystemCall => system_call(number),
        }
    }

    fn user(&mut self, id: i64) -> String {
        let users = self.users.get_or_insert_with(|| users(&fs::read_to_string("/etc/passwd").unwrap_or_default()));
        users.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    /// `unified:/system.slice,memory:/…`; a path that was found stays, as the cgroup may be removed.
    fn cgroup(&mut self, id: i64, pattern: &Arc<str>) -> String {
        let known = (id, Arc::clone(pattern));
        if let Some(path) = self.cgroups.get(&known) {
            return path.clone();
        }
        let mounts = || hierarchies(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
        let all = self.hierarchies.get_or_insert_with(mounts);
        let matching = all.iter().filter(|of| pattern.is_empty() || names::matches(pattern, &of.name));
        let paths: Vec<String> = matching.filter_map(|of| of.path_of(id as u64)).collect();
        let path = paths.join(",");
        if !path.is_empty() {
            self.cgroups.insert(known, path.clone());
        }
        path
    }
}

impl Hierarchy {
    fn path_of(&self, id: u64) -> Option<String> {
        let found = folder_with(&self.root, id)?;
        let below = found.strip_prefix(&self.root).ok()?;
        Some(format!("{}:/{}", self.name, below.display()))
    }
}

/// A cgroup's id is the inode of its folder.
fn folder_with(folder: &Path, inode: u64) -> Option<PathBuf> {
    if fs::metadata(folder).is_ok_and(|meta| meta.ino() == inode) {
        return Some(folder.to_path_buf());
    }
    let entries = fs::read_dir(folder).ok()?.flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|of| of.is_dir()));
    folders.map(|entry| entry.path()).find_map(|path| folder_with(&path, inode))
}

/// The version 2 hierarchy first, then the others by name.
fn hierarchies(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = mountinfo.lines().filter_map(hierarchy).collect();
    found.sort_by_key(|of| (of.name != UNIFIED, of.name.clone()));
    found.dedup_by(|a, b| a.name == b.name);
    found
}

const UNIFIED: &str = "unified";

/// Reads `36 35 98:0 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`.
fn hierarchy(line: &str) -> Option<Hierarchy> {
    let (mount, source) = line.split_once(" - ")?;
    let root = PathBuf::from(mount.split(' ').nth(4)?);
    let name = match source.split(' ').next()? {
        "cgroup2" => UNIFIED.to_string(),
        "cgroup" => root.file_name()?.to_string_lossy().into_owned(),
        _ => return None,
    };
    Some(Hierarchy { name, root })
}

/// Names by id, from `name:password:id:…` lines.
fn users(passwd: &str) -> HashMap<i64, String> {
    let user = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_string();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    passwd.lines().rev().filter_map(user).collect()
}

fn system_call(number: i64) -> String {
    let known = usize::try_from(number).ok().and_then(syscalls::Sysno::new);
    known.map_or_else(|| number.to_string(), |call| call.name().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_names() {
        let mut names = Names::default();
        assert_eq!([9, 0, 64].map(signal::describe), ["Killed", "Unknown signal 0", "Real-time signal 30"]);
        assert_eq!(names.of(&Naming::User, 0), "root");
        assert_eq!(names.of(&Naming::SystemCall, 99_999), "99999");
        assert_eq!(users("root:x:0:0::\ntoor:x:0:0::\n")[&0], "root");
    }

    #[test]
    fn hierarchies_of_both_versions() {
        let mounts = "1 0 0:1 / / rw - ext4 /dev/vda rw\n3 1 0:3 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      2 1 0:2 / /sys/fs/cgroup/unified rw,nosuid shared:1 - cgroup2 cgroup2 rw\n";
        let found = hierarchies(mounts);
        let names: Vec<&str> = found.iter().map(|of| of.name.as_str()).collect();
        assert_eq!((names, found[1].root.as_path()), (vec!["unified", "memory"], Path::new("/sys/fs/cgroup/memory")));
    }

    #[test]
    fn a_folder_is_found_by_its_inode() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let inode = fs::metadata(root.join("runtime/sys")).unwrap().ino();
        let of = Hierarchy { name: "x".to_string(), root };
        assert_eq!(of.path_of(inode).as_deref(), Some("x:/runtime/sys"));
        assert_eq!(of.path_of(1), None);
    }
}
