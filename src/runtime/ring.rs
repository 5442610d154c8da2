//! A ring that carries records: the one kind of map that user space reads through shared memory.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use aya::maps::ring_buf::RingBufItem;
use aya::maps::{Map, MapData, RingBuf};

use super::refusal::refused;
use super::sys;
use super::sys::ring::Positions;
use crate::error::{Error, Result};

/// The reading end.
pub struct Ring {
    buffer: RingBuf<MapData>,
    positions: Positions,
    /// The same ring again, as aya does not lend its descriptor.
    fd: OwnedFd,
}

/// A record, which counts as read once it is dropped.
///
/// The kernel wakes the reader for what is written right behind the last record read. So a reader that keeps the last one for a
/// while is not woken: in a flood it need not be, as it comes back by itself.
pub struct Record<'r> {
    item: RingBufItem<'r>,
    positions: &'r Positions,
}

/// How long a program may take to write a record.
const WRITTEN: Duration = Duration::from_micros(50);

/// Bytes before each record, and the multiple of which it takes.
const HEADER: usize = 8;

impl Ring {
    pub fn open(fd: BorrowedFd<'_>) -> Result<Ring> {
        let duplicate = || sys::duplicate(fd).map_err(|error| refused("cannot open the ring buffer", &error));
        let failed = |error: &dyn std::error::Error| Error::kernel(format!("cannot open the ring buffer: {error}"));
        let data = MapData::from_fd(duplicate()?).map_err(|error| failed(&error))?;
        let buffer = RingBuf::try_from(Map::RingBuf(data)).map_err(|error| failed(&error))?;
        let positions = Positions::map(fd).map_err(|error| refused("cannot map the ring buffer", &error))?;
        Ok(Ring { buffer, positions, fd: duplicate()? })
    }

    /// The next record, if there is one.
    pub fn next(&mut self) -> Option<Record<'_>> {
        let item = self.buffer.next()?;
        Some(Record { item, positions: &self.positions })
    }

    /// The time that the next record begins with; `None` if there is no record. One that is being written is waited for, as long
    /// as its program is likely to take.
    pub fn time(&mut self) -> Option<u64> {
        let mut since = None;
        loop {
            if let Some(item) = self.buffer.next() {
                let time = item.first_chunk().map_or(0, |time| u64::from_ne_bytes(*time));
                // It counts as read if it is dropped.
                std::mem::forget(item);
                return Some(time);
            }
            if self.unread() == 0 || since.get_or_insert_with(Instant::now).elapsed() > WRITTEN {
                return None;
            }
            std::hint::spin_loop();
        }
    }

    /// Bytes that wait to be read.
    pub fn unread(&self) -> usize {
        self.positions.unread()
    }

    /// How far it is written, and read, in bytes.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }

    /// Readable while there are records.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Record<'_> {
    pub fn bytes(&self) -> &[u8] {
        &self.item
    }

    /// Bytes that wait to be read, its own among them.
    pub fn unread(&self) -> usize {
        self.positions.unread()
    }

    /// Whether nothing has been written after it yet.
    pub fn is_last(&self) -> bool {
        self.unread() <= (HEADER + self.item.len()).next_multiple_of(HEADER)
    }
}
