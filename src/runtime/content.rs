//! A map's entries: read whole, cleared and zeroed.

use std::io;
use std::os::fd::BorrowedFd;

use super::sys::map::{self, Batch, Shape};
use crate::plan::Plan;
use crate::types::MapValue;

/// How a map's bytes lie, as system calls see them.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    pub shape: Shape,
    /// Bytes from one CPU's slot to the next; the whole value for maps that all CPUs share.
    pub stride: usize,
    /// Of a map of one entry, which always exists: where its mark lies.
    pub mark: Option<usize>,
}

/// A map in the kernel, as far as its entries go.
pub struct Content<'m> {
    pub map: BorrowedFd<'m>,
    pub layout: Layout,
}

/// One entry as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    stride: usize,
}

/// The key of the only entry of an array.
const ONLY: [u8; 4] = [0; 4];

/// Bytes that one batch of a look-up may take.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_ENTRIES: usize = 4096;
const FIRST_ENTRIES: usize = 16;

impl Entry {
    /// One whose slots are `stride` bytes apart.
    pub fn new(key: Vec<u8>, value: Vec<u8>, stride: usize) -> Entry {
        Entry { key, value, stride }
    }

    /// The value of each CPU; of maps that the CPUs share, the one value.
    pub fn slots(&self) -> impl Iterator<Item = &[u8]> {
        self.value.chunks(self.stride.max(1))
    }

    /// Whether an array's entry was ever assigned.
    pub fn is_marked(&self, value: &MapValue) -> bool {
        is_marked(&self.value, self.stride, Plan::mark_offset(value) as usize)
    }
}

impl Content<'_> {
    pub fn read(&self) -> io::Result<Vec<Entry>> {
        if self.layout.mark.is_some() {
            let value = map::lookup(self.map, self.layout.shape, &ONLY)?;
            return Ok(value.map(|value| self.entry(&ONLY, &value)).into_iter().collect());
        }
        match self.read_batches() {
            // Kernels before 5.6 know no batches; some kinds of map never learnt them.
            Err(error) if !matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOMEM)) => self.read_singly(),
            read => read,
        }
    }

    /// Removes every entry; that of an array becomes zero and counts as never assigned.
    pub fn clear(&self) -> io::Result<()> {
        match self.layout.mark {
            Some(_) => self.write(&ONLY, &vec![0; self.layout.shape.value]),
            None => self.each_key(|key| map::delete(self.map, self.layout.shape, key)),
        }
    }

    /// Sets every value to zero; an array that was never assigned stays so.
    pub fn zero(&self) -> io::Result<()> {
        match self.layout.mark {
            Some(mark) => self.zero_marked(mark),
            None => {
                let zeros = vec![0; self.layout.shape.value];
                self.each_key(|key| self.write(key, &zeros))
            }
        }
    }

    pub fn write(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        map::update(self.map, self.layout.shape, key, value)
    }

    fn zero_marked(&self, mark: usize) -> io::Result<()> {
        let Some(mut value) = map::lookup(self.map, self.layout.shape, &ONLY)? else { return Ok(()) };
        if !is_marked(&value, self.layout.stride, mark) {
            return Ok(());
        }
        value.fill(0);
        value[mark] = 1;
        self.write(&ONLY, &value)
    }

    /// Most maps are small, so batches begin so, too.
    fn read_batches(&self) -> io::Result<Vec<Entry>> {
        let Shape { key, value } = self.layout.shape;
        let most = (BATCH_BYTES / (key + value)).clamp(FIRST_ENTRIES, BATCH_ENTRIES);
        let mut room = FIRST_ENTRIES;
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        let (mut entries, mut cursor) = (Vec::new(), Vec::new());
        loop {
            keys.resize(room * key, 0);
            values.resize(room * value, 0);
            let batch = map::lookup_batch(self.map, self.layout.shape, &mut cursor, &mut keys, &mut values);
            let (count, last) = match batch {
                Ok(Batch::More(count)) => (count, false),
                Ok(Batch::Last(count)) => (count, true),
                // One bucket of the hash table holds more than there was room for.
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                    room *= 2;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let pairs = keys.chunks(key).zip(values.chunks(value));
            entries.extend(pairs.take(count).map(|(key, value)| self.entry(key, value)));
            if last {
                return Ok(entries);
            }
            room = room.max(most.min(room * 4));
        }
    }

    fn read_singly(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.each_key(|key| {
            // The entry may have been deleted meanwhile.
            let value = map::lookup(self.map, self.layout.shape, key)?;
            entries.extend(value.map(|value| self.entry(key, &value)));
            Ok(())
        })?;
        Ok(entries)
    }

    /// Keys are collected first, as the walk begins anew when the key it stands on is deleted.
    fn each_key(&self, mut act: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        while let Some(next) = map::next_key(self.map, self.layout.shape, keys.last().map(Vec::as_slice))? {
            keys.push(next);
        }
        keys.iter().try_for_each(|key| act(key))
    }

    fn entry(&self, key: &[u8], value: &[u8]) -> Entry {
        Entry { key: key.to_vec(), value: value.to_vec(), stride: self.layout.stride }
    }
}

/// Whether any slot has a mark there.
pub fn is_marked(value: &[u8], stride: usize, mark: usize) -> bool {
    let mut slots = value.chunks(stride.max(1));
    slots.any(|slot| slot.get(mark..mark + 8).is_some_and(|mark| mark.iter().any(|byte| *byte != 0)))
}
