//! The rings of a session, read in turn.

use std::time::{Duration, Instant};

use super::ends::{Ends, Heard, NO_RINGS, RingFds};
use super::maps::Maps;
use super::packets::Packets;
use super::ring::Ring;
use super::rings::{Go, Rings};
use super::sys::process::{self, Precedence};
use crate::error::Result;
use crate::plan::{Lane, Plan, Role};

/// The data first, then what found no room among it.
pub struct Records {
    data: Option<Ring>,
    /// The data, where there are several rings for it.
    spread: Option<Rings>,
    control: Option<Ring>,
    /// What waits in the control ring, and for what.
    late: Option<Late>,
    packets: Option<Packets>,
    pace: Pace,
    precedence: Option<Precedence>,
}

/// Records that found no room among the data are not to be acted on before what the same processor had written there.
#[derive(Debug, Clone, Copy)]
struct Late {
    /// How far the control ring was written.
    control: usize,
    /// How far the data was written a moment later: a position, or a time if there are several rings.
    data: u64,
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
        let one = |id| Ring::open(maps.fd(id));
        let control = plan.map_of(&Role::Ring(Lane::Control)).map(one).transpose()?;
        let data = plan.map_of(&Role::Ring(Lane::Data)).map(one).transpose()?;
        let (data, spread) = match (data, plan.map_of(&Role::Rings)) {
            (Some(one), Some(others)) => (None, Some(Rings::open(one, maps.rings(others))?)),
            (data, _) => (data, None),
        };
        let packets = Packets::open(plan, maps)?;
        Ok(Records { data, spread, control, late: None, packets, pace: Pace::Single, precedence: None })
    }

    /// At least as many records as there are now. What programs still send meanwhile may be more.
    pub fn waiting(&self) -> usize {
        let rings = [&self.data, &self.control].into_iter().flatten();
        let unread = rings.map(Ring::unread).sum::<usize>() + self.spread.as_ref().map_or(0, Rings::unread);
        unread / LEAST_RECORD + 1
    }

    /// Hands over records until none are left, or so many of each ring were seen, or the rings went quiet for a moment, or it took
    /// long (the last two only with patience).
    pub fn drain(&mut self, ends: &Ends, patience: Patience, limit: usize, to: &mut dyn Reader) -> Result<Drained> {
        let mut records = match &mut self.packets {
            Some(packets) => packets.drain(to)?,
            None => 0,
        };
        let since = Instant::now();
        self.late = self.late.take().or_else(|| self.look_for_late());
        let spread = self.drain_spread(patience, limit, since, to)?;
        records += spread;
        if let Some(ring) = &mut self.data {
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
                    records += drain_control(&mut self.control, self.late.take(), to)?;
                    to.pause()?;
                    // The record is kept meanwhile, so that nobody wakes us.
                    return Ok(Drained { records, heard: ends.wait(NO_RINGS, NAP)? });
                }
            }
            if self.late.is_some_and(|late| late.data <= ring.positions().read() as u64) {
                records += drain_control(&mut self.control, self.late.take(), to)?;
            }
        }
        let heard = match patience {
            Patience::Some if spread > 1 || spread > 0 && self.pace == Pace::Flood => {
                to.pause()?;
                ends.wait(NO_RINGS, NAP)?
            }
            // Whoever is always behind must hear of the end all the same.
            Patience::Some if records > 0 => ends.wait(NO_RINGS, Duration::ZERO)?,
            Patience::Some | Patience::None => Heard::Nothing,
        };
        Ok(Drained { records, heard })
    }

    /// What is in the control ring by now, if anything is.
    fn look_for_late(&self) -> Option<Late> {
        let control = self.control.as_ref().filter(|ring| ring.unread() > 0)?.positions().written();
        let data = match &self.data {
            Some(ring) => ring.positions().written() as u64,
            None => process::monotonic_time(),
        };
        Some(Late { control, data })
    }

    /// Hands over what several rings have, and the control ring; gives how many records that were. With patience these are in the order of
    /// their times: what is written meanwhile waits for the next time.
    fn drain_spread(&mut self, patience: Patience, limit: usize, since: Instant, to: &mut dyn Reader) -> Result<usize> {
        let Some(rings) = &mut self.spread else { return Ok(0) };
        let until = match patience {
            Patience::None => u64::MAX,
            Patience::Some => process::monotonic_time(),
        };
        let mut records = 0;
        let gone = rings.read(until, &mut |bytes, unread| {
            to.record(bytes)?;
            records += 1;
            let looks_up = records % OFTEN == 1;
            if looks_up {
                hurry(&mut self.precedence, unread);
            }
            let is_long = looks_up && patience == Patience::Some && since.elapsed() > LONG;
            Ok(if is_long || records == limit { Go::Away } else { Go::On })
        })?;
        if gone == Go::On {
            records += drain_control(&mut self.control, self.late.take(), to)?;
        }
        Ok(records)
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
        [data.or(self.spread.as_ref().map(Rings::fd)), control, self.packets.as_ref().map(Packets::fd)]
    }
}

/// Hands over what was in the control ring when its data was looked at.
fn drain_control(control: &mut Option<Ring>, late: Option<Late>, to: &mut dyn Reader) -> Result<usize> {
    let (Some(ring), Some(late)) = (control, late) else { return Ok(0) };
    let mut records = 0;
    while ring.positions().read() < late.control
        && let Some(record) = ring.next()
    {
        to.record(record.bytes())?;
        records += 1;
    }
    Ok(records)
}

/// Whoever writes faster than is read has to wait from then on, until the flood is over: events are not to be lost for want of the
/// processor. That is looked for while reading, too: a reader that is put aside in its midst may find the ring full later.
fn hurry(precedence: &mut Option<Precedence>, unread: usize) {
    if unread > BACKLOG {
        precedence.get_or_insert_with(Precedence::take);
    }
}
