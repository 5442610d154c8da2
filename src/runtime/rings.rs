//! The rings that processors share out among them, read as one: records in the order of the times that they begin with.
//!
//! A program notes the time when it has its place in a ring. So everything from before now has its place by now, and is there to be
//! read, or about to be.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use super::refusal::refused;
use super::ring::Ring;
use super::sys;
use super::sys::map::{self, NewMap};
use crate::error::Result;

pub struct Rings {
    rings: Vec<Ring>,
    /// Readable while one of them has records.
    any: OwnedFd,
}

/// Whether to go on reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    On,
    Away,
}

/// Bytes of the time.
const TIME: usize = 8;

/// Makes so many rings, and the array in which programs find them. Each waits until the kernel has come to rest once before it is put
/// there, which nobody else is to wait for: meanwhile programs do without.
pub fn make(model: &NewMap, count: u32) -> io::Result<(OwnedFd, Arc<[OwnedFd]>)> {
    let rings = (0..count).map(|_| map::create(model)).collect::<io::Result<Arc<[OwnedFd]>>>()?;
    let array = map::create_array_of(model, count, rings[0].as_fd())?;
    let (to, all) = (sys::duplicate(array.as_fd())?, Arc::clone(&rings));
    thread::spawn(move || (0..).zip(&*all).try_for_each(|(at, ring)| map::put(to.as_fd(), at, ring.as_fd())));
    Ok((array, rings))
}

impl Rings {
    pub fn open(one: Ring, others: &[OwnedFd]) -> Result<Rings> {
        let others = others.iter().map(|fd| Ring::open(fd.as_fd()));
        let rings = [Ok(one)].into_iter().chain(others).collect::<Result<Vec<_>>>()?;
        let any = sys::ring::any_of(rings.iter().map(Ring::fd));
        Ok(Rings { any: any.map_err(|error| refused("cannot wait for several rings", &error))?, rings })
    }

    /// Hands over what was written before that time, until there is no more or it is to go away, which it gives. Also told are the bytes
    /// that wait.
    pub fn read(&mut self, until: u64, to: &mut dyn FnMut(&[u8], usize) -> Result<Go>) -> Result<Go> {
        let mut next: Vec<Option<u64>> = self.rings.iter_mut().map(Ring::time).collect();
        while let Some((_, at)) = next.iter().enumerate().filter_map(|(at, time)| Some(((*time)?, at))).min()
            && next[at] < Some(until)
        {
            let unread = self.unread();
            let Some(record) = self.rings[at].next() else { break };
            let go = to(record.bytes().get(TIME..).unwrap_or_default(), unread)?;
            drop(record);
            if go == Go::Away {
                return Ok(Go::Away);
            }
            next[at] = self.rings[at].time();
        }
        Ok(Go::On)
    }

    /// Bytes that wait to be read.
    pub fn unread(&self) -> usize {
        self.rings.iter().map(Ring::unread).sum()
    }

    /// Readable while there are records.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.any.as_fd()
    }
}
