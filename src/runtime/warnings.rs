//! What went wrong in the kernel, counted there, becomes words to the user.

use super::maps::Maps;
use crate::diag::{self, Place, Severity};
use crate::errno;
use crate::error::Result;
use crate::plan::{Cause, Faults, MapId, Plan, Role};
use crate::report::{Excerpt, HelperFault, Message, Sink};
use crate::source::Sources;

/// The counters, what is said of each, and how much of it has been said.
pub struct Warnings {
    map: Option<MapId>,
    counters: Vec<Told>,
    lost: u64,
}

struct Told {
    says: Says,
    place: Option<Place>,
    told: u64,
}

/// What is said while the run goes on.
enum Says {
    /// The sink words lost events.
    Lost,
    Words(Words),
    /// The account at the end tells.
    Nothing,
}

/// What is said of a cause.
struct Words {
    text: String,
    helper: Option<HelperFault>,
}

impl Warnings {
    pub fn new(plan: &Plan, sources: &Sources) -> Warnings {
        let counters = plan.counters.values().map(|counter| Told {
            says: says(&counter.cause, plan.faults),
            place: diag::place(counter.span, sources),
            told: 0,
        });
        let map = plan.map_of(&Role::Counters);
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
            counter.told = count;
            match &counter.says {
                Says::Lost => lost += new,
                Says::Words(words) if new > 0 => words.say(new, counter.place.as_ref(), sink)?,
                Says::Words(_) | Says::Nothing => {}
            }
        }
        self.lost += lost;
        if lost > 0 { sink.lost(lost) } else { Ok(()) }
    }

    /// Tells the sum of what was lost, at the end.
    pub fn total(&self, sink: &mut dyn Sink) -> Result<()> {
        match self.lost {
            0 => Ok(()),
            lost => {
                let text = format!("Total lost event count: {lost}");
                sink.message(&Message::new(Severity::Warning, &text))
            }
        }
    }
}

impl Words {
    fn say(&self, times: u64, place: Option<&Place>, sink: &mut dyn Sink) -> Result<()> {
        let text = if times == 1 { self.text.clone() } else { format!("{} ({times} times)", self.text) };
        let kind = if self.helper.is_some() { "helper_error" } else { "runtime_error" };
        let (severity, source, helper) = (Severity::Warning, Excerpt::Shown, self.helper);
        sink.message(&Message { severity, kind, text: &text, place, source, helper })
    }
}

fn says(cause: &Cause, faults: Faults) -> Says {
    let only = |text: &str| Says::Words(Words { text: text.to_string(), helper: None });
    let update = |text: &str, code: i32| {
        Says::Words(Words { text: text.to_string(), helper: Some(HelperFault { helper: "map_update_elem", code }) })
    };
    match cause {
        Cause::RingFull { .. } => Says::Lost,
        Cause::TextCut | Cause::Ticks => Says::Nothing,
        Cause::MapMemory { .. } => update("The kernel has no memory for a new map element.", -libc::ENOMEM),
        Cause::MapBusy { .. } => update("Map element in use elsewhere; can't update it.", -libc::EBUSY),
        Cause::MapFull { map } => {
            let text = format!(
                "Map full; can't update element. Try increasing max_map_keys config or manually setting the max entries in a \
                 map declaration e.g. `let {map} = hash(5000)`"
            );
            update(&text, -libc::E2BIG)
        }
        Cause::MissingKey => Says::Words(Words {
            text: "Can't lookup map element because it does not exist.".to_string(),
            helper: Some(HelperFault { helper: "map_lookup_elem", code: 0 }),
        }),
        Cause::HelperFailed { .. } if faults != Faults::Told => Says::Nothing,
        Cause::HelperFailed { helper, code } => Says::Words(Words {
            text: errno::describe(-i64::from(*code)),
            helper: Some(HelperFault { helper, code: *code }),
        }),
        Cause::DivideByZero => {
            only("Divide or modulo by 0 detected. This can lead to unexpected results. 1 is being used as the result.")
        }
        Cause::OutOfBounds => {
            only("Array access out of bounds. This can lead to unexpected results. 0 is being used as the result.")
        }
        Cause::StackCollision => {
            only("A stack could not be stored, as its hash collides with another's; it is shown as an empty one.")
        }
        Cause::LoopBound { limit } => {
            only(&format!("A loop was ended after {limit} rounds, the most that this kernel allows."))
        }
    }
}
