//! The running session: programs that were entered one after another and run side by side, and the maps that they share.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::codegen::Compiled;
use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::plan::{Map, Role};
use crate::report::Sink;
use crate::runtime::{Look, Options, Pool, Session, wait_for_any};
use crate::source::Sources;
use crate::value::MapReport;

/// The programs by number, one reader for all of their rings, and their maps, which outlive them.
pub struct Workspace<'k> {
    kernel: &'k dyn Kernel,
    pool: Pool,
    programs: BTreeMap<u32, Program<'k>>,
    next: u32,
    /// How long the last wait was.
    waited: Duration,
}

/// A program that runs, or is out of the way for a while.
pub struct Program<'k> {
    pub text: String,
    pub state: State,
    pub session: Session<'k>,
    sink: Box<dyn Sink>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Running,
    Paused,
}

/// What a program's end is to say of its maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    Maps,
    Silent,
}

/// A compiled program with all that running it takes.
pub struct Entered<'s> {
    pub text: String,
    pub compiled: Compiled,
    pub sources: &'s Sources,
    pub sink: Box<dyn Sink>,
}

impl<'k> Workspace<'k> {
    pub fn new(kernel: &'k dyn Kernel) -> Self {
        Self { kernel, pool: Pool::default(), programs: BTreeMap::new(), next: 1, waited: Duration::ZERO }
    }

    /// Loads and attaches a program beside those that run, and gives its number. One that only runs at its start has none: it ends
    /// here, with its maps.
    pub fn add(&mut self, entered: Entered<'_>) -> Result<Option<u32>> {
        let program = self.start(entered)?;
        if !program.session.is_lasting() {
            return program.run(Farewell::Maps).map(|()| None);
        }
        let number = self.next;
        self.programs.insert(number, program);
        self.next += 1;
        Ok(Some(number))
    }

    /// Puts a program in another's place. The old one goes on if that fails.
    pub fn replace(&mut self, number: u32, entered: Entered<'_>) -> Result<()> {
        let old = self.get_mut(number)?;
        let state = old.state;
        old.pause()?;
        match self.start(entered) {
            Ok(new) => {
                self.finish(number, Farewell::Silent)?;
                self.programs.insert(number, new);
                Ok(())
            }
            Err(error) => {
                if state == State::Running {
                    self.get_mut(number)?.resume()?;
                }
                Err(error)
            }
        }
    }

    /// Runs a program to its end, which must come by itself, and says nothing of its maps.
    pub fn run(&mut self, entered: Entered<'_>) -> Result<()> {
        self.start(entered)?.run(Farewell::Silent)
    }

    fn start(&mut self, entered: Entered<'_>) -> Result<Program<'k>> {
        let Entered { text, compiled, sources, sink } = entered;
        let options = Options { pool: self.pool.clone(), ..Options::default() };
        crate::runtime::check_privilege()?;
        let session = Session::start(compiled, sources, self.kernel, options)?;
        session.share(&mut self.pool);
        Ok(Program { text, state: State::Running, session, sink })
    }

    /// Acts on what all programs have sent; gives those that are at their end.
    pub fn attend(&mut self) -> Result<Vec<u32>> {
        let mut ended = Vec::new();
        let mut waited = std::mem::take(&mut self.waited);
        loop {
            let mut is_busy = false;
            for (number, program) in &mut self.programs {
                match program.session.attend(waited, program.sink.as_mut())? {
                    Look::Busy => is_busy = true,
                    Look::Idle => {}
                    Look::Ended => ended.push(*number),
                }
            }
            // A flood must not keep anyone else from being heard.
            if !is_busy || !ended.is_empty() || waited > Duration::ZERO {
                return Ok(ended);
            }
            waited = Duration::from_nanos(1);
        }
    }

    /// Waits for something to happen to the programs, or on one of the descriptors.
    pub fn wait(&mut self, others: &[BorrowedFd<'_>], timeout: Duration) -> Result<()> {
        let since = Instant::now();
        let rings = self.programs.values().flat_map(|program| program.session.fds());
        let fds: Vec<BorrowedFd<'_>> = rings.chain(others.iter().copied()).collect();
        wait_for_any(&fds, timeout)?;
        self.waited = since.elapsed();
        Ok(())
    }

    /// Ends a program; its maps stay.
    pub fn finish(&mut self, number: u32, farewell: Farewell) -> Result<()> {
        let program = self.programs.remove(&number).ok_or_else(|| unknown(number))?;
        program.finish(farewell)
    }

    /// Detaches all programs at once, so that none is kept waiting by the last words of another; their maps are for others to show.
    pub fn finish_all(&mut self) -> Result<()> {
        self.detach_all()?;
        std::mem::take(&mut self.programs).into_values().try_for_each(|program| program.finish(Farewell::Silent))
    }

    /// Nothing is traced any more; what was sent is acted on.
    pub fn detach_all(&mut self) -> Result<()> {
        self.programs.values_mut().try_for_each(Program::pause)
    }

    pub fn pause(&mut self, number: u32) -> Result<()> {
        self.get_mut(number)?.pause()
    }

    pub fn resume(&mut self, number: u32) -> Result<()> {
        self.get_mut(number)?.resume()
    }

    pub fn get(&self, number: u32) -> Result<&Program<'k>> {
        self.programs.get(&number).ok_or_else(|| unknown(number))
    }

    fn get_mut(&mut self, number: u32) -> Result<&mut Program<'k>> {
        self.programs.get_mut(&number).ok_or_else(|| unknown(number))
    }

    pub fn programs(&self) -> impl Iterator<Item = (u32, &Program<'k>)> {
        self.programs.iter().map(|(number, program)| (*number, program))
    }

    /// The number that the next program will have.
    pub fn next_number(&self) -> u32 {
        self.next
    }

    pub fn numbers(&self) -> Vec<u32> {
        self.programs.keys().copied().collect()
    }

    /// Maps that exist, for programs to come.
    pub fn maps(&self) -> Vec<Map> {
        self.pool.established()
    }

    /// The names of those maps, sorted.
    pub fn map_names(&self) -> Vec<String> {
        let name = |map: Map| if let Role::User { name, .. } = map.role { name } else { String::new() };
        let mut names: Vec<String> = self.maps().into_iter().map(name).collect();
        names.sort_unstable();
        names
    }

    /// A map as the program shows it that uses it and knows its processes; `None` if no program that runs does.
    pub fn report(&mut self, map: &str) -> Option<Result<Option<MapReport>>> {
        self.user(map).map(|program| program.session.report(map))
    }

    /// Removes the entries of a map, if a program that runs uses it; a map that none uses is gone, and its name free.
    pub fn clear(&mut self, map: &str) -> Result<()> {
        match self.user(map) {
            Some(program) => program.session.clear(map),
            None => {
                self.pool.forget(map);
                Ok(())
            }
        }
    }

    /// What shows maps that no program uses which runs: `entered` prints them all.
    pub fn viewer(&mut self, entered: Entered<'_>) -> Result<Session<'k>> {
        self.start(entered).map(|program| program.session)
    }

    /// Removes the entries of a map that a program uses which runs.
    pub fn empty(&mut self, map: &str) -> Result<()> {
        self.user(map).map_or(Ok(()), |program| program.session.clear(map))
    }

    fn user(&mut self, map: &str) -> Option<&mut Program<'k>> {
        self.programs.values_mut().find(|program| program.session.map_names().any(|name| name == map))
    }
}

impl Program<'_> {
    fn pause(&mut self) -> Result<()> {
        self.state = State::Paused;
        self.session.pause(self.sink.as_mut())
    }

    fn resume(&mut self) -> Result<()> {
        if self.state == State::Paused {
            self.session.resume()?;
            self.state = State::Running;
        }
        Ok(())
    }

    /// Acts on all it says until its end.
    fn run(mut self, farewell: Farewell) -> Result<()> {
        while self.session.attend(Duration::ZERO, self.sink.as_mut())? != Look::Ended {}
        self.finish(farewell)
    }

    fn finish(mut self, farewell: Farewell) -> Result<()> {
        if farewell == Farewell::Silent {
            self.session.silence();
        }
        self.session.finish(self.sink.as_mut()).map(drop)
    }
}

fn unknown(number: u32) -> Error {
    Error::usage(format!("there is no program {number}")).hint(":list shows those that run")
}
