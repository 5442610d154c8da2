//! What went wrong in the kernel, counted there, becomes words to the user.

use super::maps::Maps;
use crate::diag::{self, Severity};
use crate::error::Result;
use crate::plan::{Cause, MapId, Plan, Role};
use crate::report::Sink;
use crate::source::Sources;

/// The counters, what is said of each, and how much of it has been said.
pub struct Warnings {
    map: Option<MapId>,
    counters: Vec<Told>,
    lost: u64,
}

struct Told {
    /// `None` for lost events, which the sink words.
    text: Option<String>,
    told: u64,
}

impl Warnings {
    pub fn new(plan: &Plan, sources: &Sources) -> Warnings {
        let counters = plan.counters.values().map(|counter| Told {
            text: words(&counter.cause).map(|words| diag::place(counter.span, sources) + &words),
            told: 0,
        });
        let map = plan.maps.iter().find(|(_, map)| map.role == Role::Counters).map(|(id, _)| id);
        Warnings { map, counters: counters.collect(), lost: 0 }
    }

    /// Tells what has happened since the last time.
    pub fn tell(&mut self, maps: &Maps, sink: &mut dyn Sink) -> Result<()> {
        let Some(map) = self.map else { return Ok(()) };
        let bytes = maps.get(map, &[0; 4])?.unwrap_or_default();
        let counts = bytes.as_chunks::<8>().0.iter().map(|count| u64::from_ne_bytes(*count));
        let mut lost = 0;
        for (counter, count) in self.counters.iter_mut().zip(counts) {
            let new = count - counter.told.min(count);
            match &counter.text {
                None => lost += new,
                Some(text) if new > 0 => sink.message(Severity::Warning, &with_count(text, new))?,
                Some(_) => {}
            }
            counter.told = count;
        }
        self.lost += lost;
        if lost > 0 { sink.lost(lost) } else { Ok(()) }
    }

    /// Tells the sum of what was lost, at the end.
    pub fn total(&self, sink: &mut dyn Sink) -> Result<()> {
        match self.lost {
            0 => Ok(()),
            lost => sink.message(Severity::Warning, &format!("Total lost event count: {lost}")),
        }
    }
}

fn with_count(text: &str, count: u64) -> String {
    if count == 1 { text.to_string() } else { format!("{text} ({count} times)") }
}

fn words(cause: &Cause) -> Option<String> {
    match cause {
        Cause::RingFull => None,
        Cause::MapFull { map } => Some(format!(
            "Map full; can't update element. Try increasing max_map_keys config or manually setting the max entries in a \
             map declaration e.g. `let {map} = hash(5000)`"
        )),
        Cause::DivideByZero => Some(
            "Divide or modulo by 0 detected. This can lead to unexpected results. 1 is being used as the result."
                .to_string(),
        ),
        Cause::OutOfBounds => Some("Array access out of bounds. 0 is being used as the result.".to_string()),
        Cause::StackCollision => Some(
            "A stack could not be stored, as its hash collides with another's; it is shown as an empty one."
                .to_string(),
        ),
        Cause::LoopBound { limit } => {
            Some(format!("A loop was ended after {limit} rounds, the most that this kernel's verifier allows."))
        }
    }
}
