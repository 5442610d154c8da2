//! The rings of a session, read in turn.

use std::time::{Duration, Instant};

use super::ends::{Ends, Heard, NO_RINGS, RingFds};
use super::maps::Maps;
use super::packets::Packets;
use super::ring::Ring;
use super::sys::process::Precedence;
use crate::error::Result;
use crate::plan::{Lane, Plan, Role};

/// The data first, then what found no room among it.
pub struct Records {
    data: Option<Ring>,
    control: Option<Ring>,
    packets: Option<Packets>,
    pace: Pace,
    precedence: Option<Precedence>,
}

/// How records come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Single,
    /// So many that it pays to look for them from time to time rather than to be woken for each.
    Flood,
}

/// What became of an attempt to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    pub records: usize,
    pub heard: Heard,
}

/// Whether a flood is worth another look after a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    None,
    Some,
}

/// Who is given the records, and is told when there are no more for the moment.
pub trait Reader {
    fn record(&mut self, bytes: &[u8]) -> Result<()>;
    fn pause(&mut self) -> Result<()>;
}

/// How long a flood is left to itself.
const NAP: Duration = Duration::from_millis(1);

/// After how long a reader whose records take their time is to look up, and how many of them it reads between two looks at the clock.
const LONG: Duration = Duration::from_millis(100);
const OFTEN: usize = 8;

/// Bytes of a record with its header.
const LEAST_RECORD: usize = 16;

/// After how long without a record a flood is over.
const CALM: Duration = Duration::from_millis(100);

/// Unread bytes that call for haste.
const BACKLOG: usize = 16 << 10;

impl Records {
    pub fn open(plan: &Plan, maps: &Maps) -> Result<Records> {
        let open = |lane| plan.map_of(&Role::Ring(lane)).map(|id| Ring::open(maps.fd(id))).transpose();
        let (data, control) = (open(Lane::Data)?, open(Lane::Control)?);
        let packets = Packets::open(plan, maps)?;
        Ok(Records { data, control, packets, pace: Pace::Single, precedence: None })
    }

    /// At least as many records as there are now. What programs still send meanwhile may be more.
    pub fn waiting(&self) -> usize {
        let rings = [&self.data, &self.control].into_iter().flatten();
        rings.map(|ring| ring.unread() / LEAST_RECORD).sum::<usize>() + 1
    }

    /// Hands over records until none are left, or so many of each ring were seen, or the rings went quiet for a moment, or it took
    /// long (the last two only with patience).
    pub fn drain(&mut self, ends: &Ends, patience: Patience, limit: usize, to: &mut dyn Reader) -> Result<Drained> {
        let mut records = match &mut self.packets {
            Some(packets) => packets.drain(to)?,
            None => 0,
        };
        let since = Instant::now();
        for ring in [&mut self.data, &mut self.control].into_iter().flatten() {
            for seen in 1..=limit {
                let Some(record) = ring.next() else { break };
                to.record(record.bytes())?;
                records += 1;
                if seen % OFTEN == 1 {
                    hurry(&mut self.precedence, record.unread());
                    if patience == Patience::Some && since.elapsed() > LONG {
                        break;
                    }
                }
                let is_flood = self.pace == Pace::Flood || seen > 1;
                if patience == Patience::Some && is_flood && record.is_last() {
                    to.pause()?;
                    // The record is kept meanwhile, so that nobody wakes us.
                    return Ok(Drained { records, heard: ends.wait(NO_RINGS, NAP)? });
                }
            }
        }
        // Whoever is always behind must hear of the end all the same.
        let heard = if patience == Patience::Some && records > 0 {
            ends.wait(NO_RINGS, Duration::ZERO)?
        } else {
            Heard::Nothing
        };
        Ok(Drained { records, heard })
    }

    /// Waits for records or something else.
    pub fn wait(&mut self, ends: &Ends, timeout: Duration) -> Result<Heard> {
        let since = Instant::now();
        let heard = ends.wait(self.fds(), timeout)?;
        self.waited(since.elapsed());
        Ok(heard)
    }

    /// Tells how long nothing came.
    pub fn waited(&mut self, time: Duration) {
        self.pace = if time < NAP { Pace::Flood } else { Pace::Single };
        if time > CALM {
            self.precedence = None;
        }
    }

    /// Readable while there are records.
    pub fn fds(&self) -> RingFds<'_> {
        let [data, control] = [&self.data, &self.control].map(|ring| ring.as_ref().map(Ring::fd));
        [data, control, self.packets.as_ref().map(Packets::fd)]
    }
}

/// Whoever writes faster than is read has to wait from then on, until the flood is over: events are not to be lost for want of the
/// processor. That is looked for while reading, too: a reader that is put aside in its midst may find the ring full later.
fn hurry(precedence: &mut Option<Precedence>, unread: usize) {
    if unread > BACKLOG {
        precedence.get_or_insert_with(Precedence::take);
    }
}
