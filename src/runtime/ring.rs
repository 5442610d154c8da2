//! The ring that carries records: the one map that user space reads through shared memory.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::maps::{Map, MapData, RingBuf};

use super::refusal::refused;
use super::sys;
use crate::error::{Error, Result};

/// The reading end.
pub struct Ring {
    buffer: RingBuf<MapData>,
    /// The same ring again, as aya does not lend its descriptor.
    fd: OwnedFd,
}

impl Ring {
    pub fn open(fd: BorrowedFd<'_>) -> Result<Ring> {
        let clone = || sys::duplicate(fd).map_err(|error| refused("cannot open the ring buffer", &error));
        let failed = |error: &dyn std::error::Error| Error::kernel(format!("cannot open the ring buffer: {error}"));
        let data = MapData::from_fd(clone()?).map_err(|error| failed(&error))?;
        let buffer = RingBuf::try_from(Map::RingBuf(data)).map_err(|error| failed(&error))?;
        Ok(Ring { buffer, fd: clone()? })
    }

    /// The next record, if there is one.
    pub fn next(&mut self) -> Option<impl std::ops::Deref<Target = [u8]> + '_> {
        self.buffer.next()
    }

    /// Readable while there are records.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
