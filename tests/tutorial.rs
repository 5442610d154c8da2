//! Every command of the tutorial is run, in order, and prints what the line above it says.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use regex::RegexBuilder;

#[test]
fn lessons_work() {
    if !fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        println!("skipped: not root");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/tutorial.md")).expect("the tutorial");
    let lessons: Vec<&str> = text.split("\n## ").skip(1).collect();
    assert_eq!(lessons.len(), 12);

    let folder = std::env::temp_dir().join(format!("rtrace-tutorial-{}", std::process::id()));
    fs::create_dir(&folder).expect("a folder");
    symlink(env!("CARGO_BIN_EXE_rtrace"), folder.join("rtrace")).expect("a link");
    let faults: Vec<String> = lessons.iter().flat_map(|lesson| faults(lesson, &folder)).collect();
    fs::remove_dir_all(&folder).ok();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What is wrong with the commands of a lesson.
fn faults(lesson: &str, folder: &Path) -> Vec<String> {
    let title = lesson.lines().next().unwrap_or_default();
    let mut faults = Vec::new();
    for (expected, command) in commands(lesson) {
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
        let output = Command::new("timeout")
            .args(["60", "sh", "-ec", command])
            .current_dir(folder)
            .env("PATH", path)
            .output()
            .expect("a shell");
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let regex = RegexBuilder::new(expected).multi_line(true).build().expect("a pattern");
        if !output.status.success() || !regex.is_match(&out) {
            faults.push(format!("{title}\n{command}--- {}, expected {expected}\n{out}{error}", output.status));
        }
    }
    assert!(commands(lesson).count() > 0, "{title}: a lesson without a command");
    faults
}

/// Each command, and the pattern of what it prints.
fn commands(lesson: &str) -> impl Iterator<Item = (&str, &str)> {
    assert_eq!(
        lesson.matches("```sh\n").count(),
        lesson.matches("<!-- prints: ").count(),
        "a command that nothing is expected of"
    );
    lesson.split("<!-- prints: ").skip(1).map(|rest| {
        let (expected, rest) = rest.split_once(" -->\n```sh\n").expect("a block of commands");
        (expected, rest.split_once("```").expect("its end").0)
    })
}
