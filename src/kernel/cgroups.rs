//! What `--cgroup` and `--container` name, turned into a folder of the cgroup file system (version 2).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

use super::mounts::{self, Filesystem};
use crate::error::{Error, Result};
use crate::names;

/// The folder of a cgroup given by a path, as the file system or `/proc/PID/cgroup` has it, or by its number.
pub fn find(wanted: &str) -> Result<PathBuf> {
    Machine::this()?.cgroup(wanted)
}

/// The folder of a container's cgroup, by the beginning of the container's id or by its name.
pub fn of_container(wanted: &str) -> Result<PathBuf> {
    Machine::this()?.container(wanted)
}

/// Where cgroups and what runtimes note of their containers are found.
struct Machine {
    cgroups: PathBuf,
    /// `/`, except in tests.
    files: PathBuf,
}

struct Container {
    /// In hexadecimal, or a name where the runtime numbers nothing.
    id: String,
    name: Option<String>,
    cgroup: PathBuf,
}

/// What stands before the id in names of cgroups; the last is for runtimes that do without systemd.
const BEFORE_ID: [&str; 6] = ["docker-", "cri-containerd-", "crio-", "libpod-", "nerdctl-", ""];

/// What stands before the name, where containers go by name.
const BEFORE_NAME: [&str; 2] = ["machine-", "lxc.payload."];

/// Digits of an id.
const ID: usize = 64;

/// Where runtimes note the name of a container, and how.
const NOTES: [(&str, &str); 3] = [
    ("var/lib/docker/containers/{id}/config.v2.json", r#""Name":"/([^"]+)""#),
    ("var/lib/containers/storage/overlay-containers/containers.json", r#""id":"{id}","names":\["([^"]+)""#),
    (
        "run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/config.json",
        r#""io.kubernetes.cri.container-name":\s*"([^"]+)""#,
    ),
];

impl Machine {
    fn this() -> Result<Self> {
        let missing = || {
            Error::usage("the cgroup file system (version 2) is not mounted")
                .hint(format!("run: sudo {}", Filesystem::Cgroup.command()))
        };
        Ok(Self { cgroups: mounts::find(Filesystem::Cgroup).ok_or_else(missing)?.into(), files: "/".into() })
    }

    fn cgroup(&self, wanted: &str) -> Result<PathBuf> {
        let found = match wanted.parse::<u64>() {
            Ok(number) => self.all().into_iter().find(|path| is_numbered(path, number)),
            Err(_) => self.at(Path::new(wanted)),
        };
        found.ok_or_else(|| self.no_cgroup(wanted))
    }

    /// The folder at a path, which begins at the root of the machine or at that of the cgroups.
    fn at(&self, path: &Path) -> Option<PathBuf> {
        let below = self.cgroups.join(path.strip_prefix("/").unwrap_or(path));
        let folders = [path.to_path_buf(), below].into_iter().filter(|path| path.is_absolute() && path.is_dir());
        folders.filter_map(|path| path.canonicalize().ok()).find(|path| path.starts_with(&self.cgroups))
    }

    fn no_cgroup(&self, wanted: &str) -> Error {
        let all: Vec<String> = self.all().iter().map(|path| self.shown(path)).collect();
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_string();
        let lasts: Vec<String> = all.iter().map(|path| last(path)).collect();
        let wanted_last = last(wanted);
        let meant = names::nearest(&wanted_last, lasts.iter().map(String::as_str))
            .and_then(|name| all.iter().find(|path| last(path) == name));
        let error = Error::usage(format!("there is no cgroup '{wanted}' in {}", self.cgroups.display()));
        error.hint(match meant {
            Some(path) => format!("did you mean --cgroup {path}?"),
            None => "a cgroup goes by its path, as in /proc/PID/cgroup behind '0::', or by its number".to_string(),
        })
    }

    fn container(&self, wanted: &str) -> Result<PathBuf> {
        let all = self.containers();
        let is_named = |container: &&Container| container.name.as_deref() == Some(wanted);
        let is_numbered = |container: &&Container| container.id.starts_with(wanted);
        let named: Vec<&Container> = all.iter().filter(is_named).collect();
        let found = if named.is_empty() { all.iter().filter(is_numbered).collect() } else { named };
        match &found[..] {
            [one] => Ok(one.cgroup.clone()),
            [] => Err(no_container(wanted, &all)),
            several => Err(Error::usage(format!("'{wanted}' is what {} containers are called", several.len()))
                .hint(format!("give more of the id: {}", listed(several)))),
        }
    }

    /// Those whose cgroups tell what they are; what is within one belongs to it.
    fn containers(&self) -> Vec<Container> {
        let mut found: Vec<Container> = Vec::new();
        for cgroup in self.all() {
            if !found.iter().any(|outer| cgroup.starts_with(&outer.cgroup)) {
                found.extend(identity(&cgroup).map(|id| Container { name: self.name(&id), id, cgroup }));
            }
        }
        found
    }

    /// What the runtime noted as its name.
    fn name(&self, id: &str) -> Option<String> {
        NOTES.iter().find_map(|(file, pattern)| {
            let text = fs::read_to_string(self.files.join(file.replace("{id}", id))).ok()?;
            let pattern = Regex::new(&pattern.replace("{id}", &regex_lite::escape(id))).ok()?;
            Some(pattern.captures(&text)?[1].to_string())
        })
    }

    /// All folders, each before those below it.
    fn all(&self) -> Vec<PathBuf> {
        let mut found = vec![self.cgroups.clone()];
        let mut at = 0;
        while let Some(folder) = found.get(at) {
            let mut below: Vec<PathBuf> = fs::read_dir(folder)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path())
                .collect();
            below.sort();
            found.extend(below);
            at += 1;
        }
        found
    }

    /// A path as `/proc/PID/cgroup` has it.
    fn shown(&self, cgroup: &Path) -> String {
        format!("/{}", cgroup.strip_prefix(&self.cgroups).unwrap_or(cgroup).display())
    }
}

/// The kernel numbers cgroups as it does their folders.
fn is_numbered(cgroup: &Path, number: u64) -> bool {
    fs::metadata(cgroup).is_ok_and(|folder| folder.ino() == number)
}

/// What a cgroup's name tells of a container.
fn identity(cgroup: &Path) -> Option<String> {
    let name = cgroup.file_name()?.to_str()?;
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let is_id = |text: &&str| text.len() == ID && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let id = BEFORE_ID.iter().filter_map(|prefix| name.strip_prefix(prefix)).find(is_id);
    // systemd writes the hyphens of a machine's name in this way.
    let called =
        || BEFORE_NAME.iter().find_map(|prefix| name.strip_prefix(prefix)).map(|name| name.replace(r"\x2d", "-"));
    id.map(str::to_string).or_else(called)
}

fn no_container(wanted: &str, all: &[Container]) -> Error {
    let error = Error::usage(format!("there is no container '{wanted}'"));
    error.hint(if all.is_empty() {
        "no cgroup is named as those of containers are (docker-ID.scope and the like): --cgroup takes any".to_string()
    } else {
        format!("those that run here are {}", listed(&all.iter().collect::<Vec<_>>()))
    })
}

/// Digits of an id that are shown.
const SHOWN: usize = 12;

fn listed(containers: &[&Container]) -> String {
    let shown = |container: &&Container| match &container.name {
        Some(name) => format!("{:.SHOWN$} ({name})", container.id),
        None if container.id.len() == ID => format!("{:.SHOWN$}", container.id),
        None => container.id.clone(),
    };
    containers.iter().map(shown).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with three containers.
    fn machine(name: &str) -> Machine {
        let files = std::env::temp_dir().join(format!("rtrace-cgroups-{name}-{}", std::process::id()));
        let cgroups = files.join("cgroup");
        let (web, db) = ("ab".repeat(32), "ac".repeat(32));
        for folder in [
            format!("system.slice/docker-{web}.scope/init"),
            format!("kubepods/pod7/{db}"),
            r"machine.slice/machine-build\x2dhost.scope".to_string(),
            format!("system.slice/libpod-conmon-{db}.scope"),
        ] {
            fs::create_dir_all(cgroups.join(folder)).unwrap();
        }
        let noted = files.join(format!("var/lib/docker/containers/{web}"));
        fs::create_dir_all(&noted).unwrap();
        fs::write(noted.join("config.v2.json"), r#"{"MountPoints":{"Name":"v"},"Name":"/web"}"#).unwrap();
        Machine { cgroups, files }
    }

    #[test]
    fn containers_go_by_id_and_by_name() {
        let machine = machine("containers");
        let path = |wanted: &str| machine.container(wanted).map(|path| machine.shown(&path));
        let hint = |wanted: &str| path(wanted).unwrap_err().hint.unwrap();
        let web = format!("/system.slice/docker-{}.scope", "ab".repeat(32));
        assert_eq!(path("web").unwrap(), web);
        assert_eq!(path("abab").unwrap(), web);
        assert_eq!(path("ac").unwrap(), format!("/kubepods/pod7/{}", "ac".repeat(32)));
        assert_eq!(path("build-host").unwrap(), r"/machine.slice/machine-build\x2dhost.scope");
        assert_eq!(hint("a"), "give more of the id: abababababab (web), acacacacacac");
        assert_eq!(hint("db"), "those that run here are build-host, abababababab (web), acacacacacac");
        fs::remove_dir_all(machine.files).unwrap();
    }

    /// Whoever may make cgroups chooses their names.
    #[test]
    fn a_cgroups_name_is_no_pattern() {
        let machine = machine("patterns");
        let noted = machine.files.join("var/lib/containers/storage/overlay-containers");
        fs::create_dir_all(&noted).unwrap();
        fs::write(noted.join("containers.json"), r#"[{"id":"0a1b","names":["db"]}]"#).unwrap();
        assert_eq!(machine.name("0a1b").as_deref(), Some("db"));
        assert_eq!(machine.name(".*"), None);
        fs::remove_dir_all(machine.files).unwrap();
    }

    #[test]
    fn cgroups_go_by_path_and_by_number() {
        let machine = machine("paths");
        let pod = machine.cgroups.join("kubepods/pod7");
        let number = fs::metadata(&pod).unwrap().ino().to_string();
        for wanted in ["/kubepods/pod7", "kubepods/pod7/", &number, &pod.display().to_string()] {
            assert_eq!(machine.cgroup(wanted).unwrap(), pod, "{wanted}");
        }
        assert_eq!(machine.cgroup("/").unwrap(), machine.cgroups);
        assert_eq!(machine.cgroup("pod8").unwrap_err().hint.as_deref(), Some("did you mean --cgroup /kubepods/pod7?"));
        // What exists elsewhere is no cgroup.
        assert!(machine.cgroup("/usr").is_err());
        fs::remove_dir_all(machine.files).unwrap();
    }
}
