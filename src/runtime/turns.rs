//! A map that is emptied by putting a new one in its place: nothing that programs count is lost or counted twice between the
//! reading and the emptying.
//!
//! Programs find the map in use through an array of maps. When the kernel has replaced it there, it waits for all programs that
//! may still be at work on the old one; from then on that does not change any more.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::content::{Content, Entry, Layout, is_marked};
use super::sys;
use super::sys::map::{self, NewMap};

/// The maps that take turns.
pub struct Turns {
    array: OwnedFd,
    model: NewMap,
    layout: Layout,
    in_use: OwnedFd,
    /// The map that was in use before, until it is no longer wanted.
    ended: Option<OwnedFd>,
    /// Whether a scalar map counts as assigned because one before it was.
    is_assigned: bool,
    /// Whether programs have come to rest, so that there is no need to take turns.
    is_settled: bool,
}

/// The array's only key.
const ONLY: u32 = 0;

impl Turns {
    /// Also gives the array, which is what programs are to have. `first` was made like `model`.
    pub fn new(model: NewMap, first: OwnedFd, layout: Layout) -> io::Result<(OwnedFd, Turns)> {
        let array = map::create_array_of(&model, 1, first.as_fd())?;
        let of_programs = sys::duplicate(array.as_fd())?;
        let (is_assigned, is_settled) = (false, false);
        let turns = Turns { array, model, layout, in_use: first, ended: None, is_assigned, is_settled };
        turns.set(turns.in_use.as_fd())?;
        Ok((of_programs, turns))
    }

    /// The entries of the interval that has ended, or else those there are.
    pub fn read(&self) -> io::Result<Vec<Entry>> {
        let entries = self.content(self.ended.as_ref().unwrap_or(&self.in_use)).read()?;
        Ok(self.assigned(entries))
    }

    /// The entries of an ended interval and those since then; what is of one key is one entry.
    pub fn read_all(&self) -> io::Result<Vec<Entry>> {
        let mut entries: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
        for map in self.ended.iter().chain([&self.in_use]) {
            for entry in self.content(map).read()? {
                match entries.get_mut(&entry.key) {
                    Some(other) => other.value.extend(entry.value),
                    None => drop(entries.insert(entry.key.clone(), entry)),
                }
            }
        }
        Ok(self.assigned(entries.into_values().collect()))
    }

    /// Puts a new map in the place of the one in use, unless that was done and the old one is still wanted.
    pub fn end_interval(&mut self) -> io::Result<()> {
        if self.ended.is_some() || self.is_settled {
            return Ok(());
        }
        let new = map::create(&self.model)?;
        self.set(new.as_fd())?;
        self.ended = Some(std::mem::replace(&mut self.in_use, new));
        Ok(())
    }

    /// The ended interval is no longer wanted.
    pub fn clear(&mut self) -> io::Result<()> {
        self.end_interval()?;
        self.is_assigned = false;
        match self.ended.take() {
            Some(_) => Ok(()),
            None => self.content(&self.in_use).clear(),
        }
    }

    /// Likewise, but its keys are there again, without a value.
    pub fn zero(&mut self) -> io::Result<()> {
        self.end_interval()?;
        let Some(ended) = self.ended.take() else { return self.content(&self.in_use).zero() };
        let entries = self.assigned(self.content(&ended).read()?);
        let Layout { shape, stride, mark } = self.layout;
        if let Some(mark) = mark {
            self.is_assigned = entries.iter().any(|entry| is_marked(&entry.value, stride, mark));
            return Ok(());
        }
        let zeros = vec![0; shape.value];
        entries.iter().try_for_each(|entry| map::insert(self.in_use.as_fd(), shape, &entry.key, &zeros))
    }

    /// From now on nothing is counted; what is under way is waited for.
    pub fn settle(&mut self) -> io::Result<()> {
        self.is_settled = true;
        self.set(self.in_use.as_fd())
    }

    fn content<'m>(&self, map: &'m OwnedFd) -> Content<'m> {
        Content { map: map.as_fd(), layout: self.layout }
    }

    /// The one entry of a scalar map has its mark if one before it had.
    fn assigned(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        if let (true, Some(mark), [entry]) = (self.is_assigned, self.layout.mark, &mut entries[..]) {
            entry.value[mark] = 1;
        }
        entries
    }

    /// The kernel waits for the programs that work on the map that was there.
    fn set(&self, map: BorrowedFd<'_>) -> io::Result<()> {
        map::put(self.array.as_fd(), ONLY, map)
    }
}
