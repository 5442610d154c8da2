//! Completion at many positions: what `tests/complete/positions.toml` says may follow, follows; and fast where there is much.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rtrace::check::Sharing;
use rtrace::config::Overrides;
use rtrace::engine::Engine;
use rtrace::kernel::{Fixture, Kernel};
use rtrace::repl::complete::Completer;
use rtrace::repl::knowledge::{Knowledge, Known};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    before: String,
    /// Among the candidates, in this order.
    #[serde(default)]
    has: Vec<String>,
    /// The first candidate.
    first: Option<String>,
    /// Not among them.
    #[serde(default)]
    lacks: Vec<String>,
    /// Part of what is noted beside the first.
    note: Option<String>,
}

#[derive(Deserialize)]
struct Positions {
    position: Vec<Position>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A session in which a program has made maps.
fn known(kernel: &dyn Kernel) -> Known {
    let text = "begin { @counts[comm] = count(); @last = (struct task_struct *)0; }";
    let options = rtrace::check::Options { sharing: Sharing::With(Vec::new()), ..Default::default() };
    let mut engine = Engine::new(kernel, options, Overrides::default());
    let program = engine.parse("", text).expect("a program");
    let (program, _) = engine.check(&program).expect("a program");
    let known = Known::default();
    let maps = program.plan.maps.values().cloned().collect();
    known.set(Knowledge { maps, numbers: vec![(1, text.to_string()), (12, text.to_string())] });
    known
}

#[test]
fn positions() {
    let kernel = Fixture::open(&root().join("tests/fixture/kernel")).expect("the fixture");
    let completer = Completer { kernel: &kernel, known: known(&kernel) };
    let text = fs::read_to_string(root().join("tests/complete/positions.toml")).expect("the positions");
    let positions: Positions = toml::from_str(&text).expect("positions");
    assert!(positions.position.len() >= 20);
    for Position { before, has, first, lacks, note } in positions.position {
        let found = completer.complete(&before);
        let texts: Vec<&str> = found.candidates.iter().map(|one| one.text.as_str()).collect();
        let mut places = has.iter().map(|wanted| texts.iter().position(|text| text == wanted));
        assert!(places.all(|place| place.is_some()), "{before}: {has:?} are not all among {texts:?}");
        assert!(lacks.iter().all(|text| !texts.contains(&text.as_str())), "{before}: {texts:?}");
        if let Some(first) = first {
            assert_eq!(texts.first(), Some(&first.as_str()), "{before}: {texts:?}");
        }
        if let Some(note) = note {
            let shown = found.candidates.first().map_or("", |one| one.note.as_str());
            assert!(shown.contains(&note), "{before}: {shown}");
        }
    }
}

/// What this thread has used of a processor, which does not depend on what else the machine does.
fn time_on_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("schedstat");
    let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

#[test]
fn the_first_answer_of_sixty_thousand_functions_takes_no_more_than_fifty_milliseconds() {
    let folder = std::env::temp_dir().join(format!("rtrace-many-functions-{}", std::process::id()));
    let fixture = root().join("tests/fixture/kernel");
    let copied = Command::new("cp").arg("-r").args([&fixture, &folder]).status().expect("cp");
    assert!(copied.success());
    let names: String = (0..60_000).map(|number| format!("some_function_of_the_kernel_{number}\n")).collect();
    fs::write(folder.join("functions"), names + "zz_sys_openat2\n").expect("a file");
    let tries = (0..5).map(|_| {
        let kernel = Fixture::open(&folder).expect("the kernel");
        let completer = Completer { kernel: &kernel, known: Known::default() };
        let before = time_on_cpu();
        let found = completer.complete("kprobe:openat");
        let took = time_on_cpu() - before;
        assert_eq!(found.candidates[0].text, "kprobe:zz_sys_openat2");
        took
    });
    let best = tries.min().expect("tries");
    fs::remove_dir_all(&folder).expect("the folder");
    assert!(best <= Duration::from_millis(50), "{best:?}");
}
