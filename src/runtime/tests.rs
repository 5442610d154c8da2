//! Sessions on this kernel; where tracing is not permitted, they are passed over.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::features;
use super::{Child, Options, Session, Status, Stop, privilege};
use crate::engine::Engine;
use crate::error::Result;
use crate::kernel::{Feature, Kernel, Live};
use crate::plan::{Faults, Plan};
use crate::report::{Benchmark, Loss, Message, Sink, Testing};
use crate::value::{Entries, MapReport, Value};

/// Everything a session said, a line for each thing.
#[derive(Default, Clone)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&mut self, text: String) -> Result<()> {
        self.0.lock().unwrap().push(text);
        Ok(())
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Sink for Notes {
    fn attached(&mut self, probes: usize) -> Result<()> {
        self.note(format!("attached {probes}"))
    }

    fn text(&mut self, kind: &'static str, text: &[u8]) -> Result<()> {
        self.note(format!("{kind} {}", String::from_utf8_lossy(text)))
    }

    fn value(&mut self, value: &Value) -> Result<()> {
        self.note(format!("{value:?}"))
    }

    fn map(&mut self, map: &MapReport) -> Result<()> {
        match &map.entries {
            Entries::Scalar(value) => self.note(format!("{} {value:?}", map.name)),
            Entries::Keyed(rows) => rows.iter().try_for_each(|row| self.note(format!("{}{row:?}", map.name))),
        }
    }

    fn finale(&mut self) -> Result<()> {
        self.note("finale".to_string())
    }

    fn lost(&mut self, events: u64) -> Result<()> {
        self.note(format!("lost {events}"))
    }

    fn message(&mut self, message: &Message<'_>) -> Result<()> {
        let place = message.place.map_or(String::new(), |place| format!("{}: ", place.position));
        self.note(format!("{place}{}", message.text))
    }

    fn test(&mut self, event: &Testing<'_>) -> Result<()> {
        self.note(format!("{event:?}"))
    }

    fn benchmarks(&mut self, results: &[Benchmark]) -> Result<()> {
        self.note(format!("{results:?}"))
    }

    fn losses(&mut self, losses: &[Loss]) -> Result<()> {
        losses.iter().try_for_each(|loss| self.note(format!("{} {}", loss.cause, loss.count)))
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Runs a program; gives its exit code and what it said. `None` where tracing is not permitted.
fn run(program: &str, options: Options) -> Option<(i32, Vec<String>)> {
    run_changed(|_| (), program, options)
}

/// Runs a program whose plan is changed before.
fn run_changed(change: fn(&mut Plan), program: &str, options: Options) -> Option<(i32, Vec<String>)> {
    if let Err(error) = privilege::check() {
        eprintln!("skipped: {error}");
        return None;
    }
    let kernel = Live::new(features::probe);
    let mut engine = Engine::new(&kernel, Default::default(), Default::default());
    let parsed = engine.parse("stdin", program).expect("parses");
    let (mut checked, _) = engine.check(&parsed).expect("checks");
    change(&mut checked.plan);
    let compiled = engine.generate(checked).expect("generates");
    let mut notes = Notes::default();
    let mut session = Session::start(compiled, &engine.sources, &kernel, options).expect("starts");
    while session.poll(&mut notes, Duration::from_secs(5)).unwrap() == Status::Running {}
    let ending = session.finish(&mut notes).unwrap();
    Some((ending.code, notes.lines()))
}

#[test]
fn begin_and_end_alone_end_by_themselves() {
    let program = r#"begin { @x = 5; @c[7] = count(); printf("hi\n"); exit(3); } begin { printf("dropped\n"); }
        end { printf("bye\n"); clear(@x); }"#;
    let Some((code, said)) = run(program, Options::default()) else { return };
    assert_eq!(
        (code, said),
        (3, vec!["printf hi\n".into(), "printf bye\n".into(), "finale".into(), "@c(Int(7), UInt(1))".into()])
    );
}

#[test]
fn scalars_tell_zero_from_unassigned() {
    let program =
        "begin { @a = 1; @b = count(); @c = 1; clear(@a); zero(@b); print(@a); } end { if (ncpus == 0) { @d = 1; } }";
    let Some((_, said)) = run(program, Options::default()) else { return };
    assert_eq!(said, ["@a Int(0)", "finale", "@b UInt(0)", "@c Int(1)"]);
}

#[test]
fn faults_in_the_kernel_are_told_once_each() {
    let program = "config = { max_map_keys = 1 } begin { $z = 0; @x = 4 / $z; @m[1] = 1; @m[2] = 1; @m[2] = 1; }";
    let Some((_, said)) = run(program, Options::default()) else { return };
    let told = |words: &str| said.iter().filter(|line| line.contains(words)).count();
    assert_eq!((told("Divide or modulo by 0"), told("Map full; can't update")), (1, 2), "{said:?}");
}

#[test]
fn clocks_and_tracepoints_count_until_stopped() {
    let stop = Stop::new().unwrap();
    let stopper = stop.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        stopper.stop();
    });
    let program = "profile:hz:99 { @p = count(); } interval:ms:20 { @i = count(); } tracepoint:sched:sched_switch { @t = count(); }";
    let outcome = run(program, Options { stop: Some(stop), ..Options::default() });
    thread.join().unwrap();
    let Some((code, said)) = outcome else { return };
    let names: Vec<&str> = said.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!((code, names), (0, vec!["finale", "@i", "@p", "@t"]));
}

#[test]
fn letting_go_of_many_tracepoints_is_quick() {
    if privilege::check().is_err() {
        return;
    }
    let kernel = Live::new(features::probe);
    let mut engine = Engine::new(&kernel, Default::default(), Default::default());
    let parsed = engine.parse("stdin", "tracepoint:sched:sched_* { @ = count(); }").unwrap();
    let (checked, _) = engine.check(&parsed).unwrap();
    let compiled = engine.generate(checked).unwrap();
    let session = Session::start(compiled, &engine.sources, &kernel, Options::default()).expect("starts");
    assert!(session.probes() > 5);
    let start = Instant::now();
    session.finish(&mut Notes::default()).unwrap();
    assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
}

#[test]
fn a_child_runs_once_all_is_attached() {
    let child = Child::new("/bin/true").unwrap();
    let pid = child.pid();
    let program = format!("tracepoint:sched:sched_process_exec /pid == {pid}/ {{ @ = count(); }}");
    let Some((_, said)) = run(&program, Options { child: Some(child), ..Options::default() }) else { return };
    assert_eq!(said, ["finale", "@ UInt(1)"]);
}

/// The number that a line ends with, of the first line that begins like this.
fn number(said: &[String], start: &str) -> usize {
    let line = said.iter().find(|line| line.starts_with(start));
    let digits = |line: &String| line.trim_end_matches(')').rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    line.and_then(digits).unwrap_or(0)
}

#[test]
fn what_was_hit_was_delivered_or_is_accounted_for() {
    let child = Child::new("dd if=/dev/zero of=/dev/null bs=1 count=100000").unwrap();
    let pid = child.pid();
    let program = format!(
        r#"config = {{ perf_rb_pages = 1 }}
        tracepoint:syscalls:sys_enter_read /pid == {pid}/ {{ @hits = count(); printf("read"); printf("again"); }}"#
    );
    let Some((_, said)) = run(&program, Options { child: Some(child), ..Options::default() }) else { return };
    let delivered = said.iter().filter(|line| line.starts_with("printf ")).count();
    let lost: usize = said
        .iter()
        .filter(|line| line.starts_with("ring_full"))
        .map(|line| number(std::slice::from_ref(line), ""))
        .sum();
    assert!(number(&said, "@hits") >= 100_000);
    assert_eq!(2 * number(&said, "@hits"), delivered + lost);
}

#[test]
fn several_rings_are_read_in_the_order_of_time() {
    let child = Child::new("dd if=/dev/zero of=/dev/null bs=1 count=100000").unwrap();
    let pid = child.pid();
    let program = format!(r#"tracepoint:syscalls:sys_enter_read /pid == {pid}/ {{ @hits++; printf("%d", @hits); }}"#);
    let mover = std::thread::spawn(move || {
        let move_to = |cpu: usize| Command::new("taskset").args(["-cp", &cpu.to_string(), &pid.to_string()]).output();
        (0..)
            .map(|turn| move_to(turn % 2))
            .take_while(|moved| moved.as_ref().is_ok_and(|it| it.status.success()))
            .count()
    });
    let options = Options { child: Some(child), ..Options::default() };
    let Some((_, said)) = run_changed(|plan| plan.rings = 2, &program, options) else { return };
    assert!(mover.join().unwrap() > 1);
    let numbers: Vec<usize> = said
        .iter()
        .filter(|line| line.starts_with("printf "))
        .map(|line| number(std::slice::from_ref(line), ""))
        .collect();
    assert!(numbers.is_sorted() && numbers.len() >= 100_000, "{said:?}");
}

/// The kernel does not let a timer tick each microsecond. Ticks are due as long as the session has them, from before the first one that
/// came to after the last one.
#[test]
fn ticks_that_were_due_came_or_are_accounted_for() {
    let program = "interval:us:1 { @ticks = count(); @first = min(nsecs); @last = max(nsecs); if (nsecs - @begun > 300000000) { exit(); } }
        begin { @begun = nsecs; }";
    let start = Instant::now();
    let Some((_, said)) = run_changed(|plan| plan.faults = Faults::Counted, program, Options::default()) else {
        return;
    };
    let whole = start.elapsed().as_micros() as usize;
    let (came, lost) = (number(&said, "@ticks"), number(&said, "sampled_out"));
    let due = (number(&said, "@last") - number(&said, "@first")) / 1000;
    assert!(came < due / 5, "{said:?}");
    // On a busy machine, the end may be far behind the last tick.
    assert!((due - 2000..whole).contains(&(came + lost)), "{said:?}");
}

#[test]
fn features_agree_with_the_version() {
    if privilege::check().is_err() {
        return;
    }
    let kernel = Live::new(features::probe);
    if kernel.version() >= (6, 6) && std::path::Path::new("/sys/bus/event_source/devices/uprobe").exists() {
        assert!(features::probe(Feature::UprobeMulti, None));
    }
    assert!(!features::probe(Feature::KprobeMulti, None) || kernel.has(Feature::Kprobes));
}
