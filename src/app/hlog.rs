//! `--hlog`: when the distributions of a run are logged.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rtrace::errno::reason;
use rtrace::error::{Error, Result};
use rtrace::plan::{MapId, MapUse, Plan, Role};
use rtrace::report::Sink;
use rtrace::report::hlog::{HlogSink, Log};
use rtrace::runtime::Session;
use rtrace::types::{Aggregate, MapValue};

/// A log, and the maps to be looked at.
pub struct Hlog {
    log: Rc<RefCell<Log>>,
    /// All distributions.
    all: Vec<String>,
    /// Those whose intervals the program does not end itself, by printing them.
    unprinted: Vec<String>,
    due: Instant,
}

/// How long an interval lasts, unless the program says so.
const INTERVAL: Duration = Duration::from_secs(1);

impl Hlog {
    /// Begins the log. What the program prints goes through the sink.
    pub fn begin(path: &str, plan: &Plan, inner: Box<dyn Sink>) -> Result<(Box<dyn Sink>, Hlog)> {
        let maps: Vec<(MapId, &str, bool)> =
            plan.maps.iter().filter_map(|(id, map)| distribution(id, &map.role)).collect();
        let untagged = match &maps[..] {
            [] => {
                let error = Error::usage("--hlog logs what quantiles() collects, and the program has none");
                return Err(error.hint("for instance @us = quantiles((nsecs - @start[tid]) / 1000)"));
            }
            [(_, name, false)] => Some(name.to_string()),
            _ => None,
        };
        let file = File::create(path)
            .map_err(|error| Error::usage(format!("Failed to open the log file: \"{path}\": {}", reason(&error))))?;
        let log = Rc::new(RefCell::new(Log::new(Box::new(file), untagged, plan.config.clone())?));
        let printed = printed(plan);
        let unprinted = maps.iter().filter(|(id, ..)| !printed.contains(id)).map(|(_, name, _)| name.to_string());
        let hlog = Hlog {
            log: Rc::clone(&log),
            unprinted: unprinted.collect(),
            all: maps.iter().map(|(_, name, _)| name.to_string()).collect(),
            due: Instant::now() + INTERVAL,
        };
        Ok((Box::new(HlogSink { inner, log }), hlog))
    }

    /// Ends the intervals whose time is over; tells how long it is until the next one.
    pub fn keep_up(&mut self, session: &mut Session<'_>) -> Result<Duration> {
        let now = Instant::now();
        if now >= self.due {
            self.due = now + INTERVAL;
            self.record(session, &self.unprinted)?;
        }
        Ok(self.due - now)
    }

    /// All that is not in it yet, of a run that has stopped.
    pub fn complete(&self, session: &mut Session<'_>) -> Result<()> {
        self.record(session, &self.all)
    }

    fn record(&self, session: &mut Session<'_>, maps: &[String]) -> Result<()> {
        maps.iter().try_for_each(|name| match session.report(name)? {
            Some(report) => self.log.borrow_mut().record(&report),
            None => Ok(()),
        })
    }
}

/// The name of a map of distributions, and whether it has keys.
fn distribution(id: MapId, role: &Role) -> Option<(MapId, &str, bool)> {
    match role {
        Role::User { name, key, value: MapValue::Aggregate(Aggregate::Quantiles), .. } => {
            Some((id, name, key.is_some()))
        }
        _ => None,
    }
}

fn printed(plan: &Plan) -> BTreeSet<MapId> {
    let uses = plan.actions.values().filter_map(|action| action.map);
    uses.filter(|(_, usage)| *usage != MapUse::Emptied).map(|(map, _)| map).collect()
}
