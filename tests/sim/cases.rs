//! Programs and what they print, in `*.toml` beside this file: the meaning of the language, one case a rule.

use std::fs;
use std::path::Path;

use rtrace::kernel::Feature;
use rtrace::plan::{Attach, When};
use serde::Deserialize;

use crate::fixture;
use crate::sim::scene::Moment;
use crate::sim::{Subject, compile, run, show};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    program: String,
    /// How often each probe but `begin` and `end` is hit, by turns on the one and the other CPU.
    #[serde(default = "Case::once")]
    hits: usize,
    /// All output, the maps at the end included.
    stdout: String,
    /// What was counted, as `Cause: times`.
    #[serde(default)]
    counted: Vec<String>,
    /// Records that fit the ring.
    #[serde(default = "Case::plenty")]
    room: usize,
}

impl Case {
    const fn once() -> usize {
        1
    }

    const fn plenty() -> usize {
        1000
    }

    fn check(&self) -> Result<(), String> {
        // What they print of the current thread is what the helpers say.
        let kernel = fixture().without(Feature::TaskPointers);
        let subject = compile(&self.program, &kernel).map_err(|failure| format!("{failure:#?}"))?;
        let store = run(&subject, &self.moments(&subject), self.room).map_err(|failure| format!("{failure:#?}"))?;
        let plan = &subject.compiled.plan;
        let counters = plan.counters.values().zip(&store.counters).filter(|(_, times)| **times > 0);
        let counted: Vec<String> = counters.map(|(counter, times)| format!("{:?}: {times}", counter.cause)).collect();
        let output = show::output(plan, &kernel, store).map_err(|error| error.message)?;
        if output.trim_end() != self.stdout.trim_end() {
            return Err(format!("it prints\n{output}\nand should print\n{}", self.stdout));
        }
        if counted != self.counted {
            return Err(format!("{counted:?} was counted"));
        }
        Ok(())
    }

    /// Begin, then the hits, then end.
    fn moments(&self, subject: &Subject) -> Vec<Moment> {
        let units = |wanted: Option<When>| {
            let when = |unit: usize| match subject.compiled.units[unit].targets[0].attach {
                Attach::Run(when) => Some(when),
                _ => None,
            };
            (0..subject.compiled.units.len()).filter(move |unit| when(*unit) == wanted)
        };
        let once = |unit| Moment { unit, cpu: 0, seed: 1 };
        let hits = (0..self.hits).flat_map(|hit| units(None).map(move |unit| Moment { unit, cpu: hit % 2, seed: 2 }));
        units(Some(When::Begin)).map(once).chain(hits).chain(units(Some(When::End)).map(once)).collect()
    }
}

#[test]
fn programs_print_what_they_should() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim");
    let files = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    let mut faults = Vec::new();
    for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")) {
        let text = fs::read_to_string(&path).expect("it can be read");
        let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let faulty = file.case.iter().filter_map(|case| Some((&case.name, case.check().err()?)));
        faults.extend(faulty.map(|(name, fault)| format!("{}: {name}: {fault}", path.display())));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
