//! Addresses of the kernel become names. Reading the table takes some 60 ms, so a thread does it while the session starts.

use std::thread::{self, JoinHandle};

use crate::kernel::kallsyms::Kallsyms;

/// The kernel's symbols.
pub struct KernelSymbols {
    state: State,
    /// Whether the table may still be read once more, for what was loaded after it was read.
    again: bool,
}

/// Read, being read, or not asked for yet.
enum State {
    Unread,
    Reading(JoinHandle<Table>),
    Read(Table),
}

/// Functions by address.
pub struct Table {
    text: Kallsyms,
    /// Address of each function and where its line starts in the text, ascending.
    index: Vec<(u64, usize)>,
}

/// What lies at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub name: String,
    pub offset: u64,
    pub module: Option<String>,
}

impl KernelSymbols {
    pub fn new() -> KernelSymbols {
        KernelSymbols { state: State::Unread, again: true }
    }

    /// Begins to read in the background.
    pub fn prepare(&mut self) {
        if matches!(self.state, State::Unread) {
            self.state = State::Reading(thread::spawn(|| Table::new(Kallsyms::read())));
        }
    }

    pub fn find(&mut self, address: u64) -> Option<Found> {
        let found = self.table().find(address);
        if found.is_some() || address < KERNEL || !self.again {
            return found;
        }
        // While the table is read, programs and modules that go make it pass over some that stay.
        self.again = false;
        self.state = State::Unread;
        self.table().find(address)
    }

    fn table(&mut self) -> &Table {
        let read = match std::mem::replace(&mut self.state, State::Unread) {
            State::Read(table) => table,
            State::Unread => Table::new(Kallsyms::read()),
            // A reader that failed leaves no symbols, as a kernel that hides them does.
            State::Reading(reader) => reader.join().unwrap_or_else(|_| Table::new(Kallsyms::parse(Vec::new()))),
        };
        self.state = State::Read(read);
        match &self.state {
            State::Read(table) => table,
            State::Unread | State::Reading(_) => unreachable!("just read"),
        }
    }
}

impl Table {
    pub fn new(text: Kallsyms) -> Table {
        let mut index = Vec::with_capacity(text.lines());
        index.extend(text.function_lines().filter(|(address, _)| *address != 0));
        index.sort_unstable();
        Table { text, index }
    }

    fn find(&self, address: u64) -> Option<Found> {
        let (start, line) = self.index[..self.index.partition_point(|entry| entry.0 <= address)].last()?;
        // Of several names for one address, the first in the table is the one that others show too.
        let first = self.index.partition_point(|entry| entry.0 < *start);
        let (name, module) = self.text.name_at(self.index.get(first).map_or(*line, |entry| entry.1))?;
        let offset = address - start;
        (offset < FARTHEST).then(|| Found { name: name.to_string(), offset, module: module.map(str::to_string) })
    }
}

/// Addresses from here on are the kernel's.
const KERNEL: u64 = 1 << 63;

/// No function is longer, so an address farther from a symbol belongs to none.
const FARTHEST: u64 = 1 << 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_function_around_an_address() {
        let text = "ffffffff81000020 T vfs_read\nffffffff81000010 t vfs_readv\nffffffff81000018 D data\n\
            ffffffffc0000000 t hook\t[nf_tables]\n";
        let table = Table::new(Kallsyms::parse(text.into()));
        let found = |address| table.find(address).map(|found| (found.name, found.offset, found.module));
        assert_eq!(found(0xffff_ffff_8100_001f), Some(("vfs_readv".to_string(), 15, None)));
        assert_eq!(found(0xffff_ffff_8100_0020), Some(("vfs_read".to_string(), 0, None)));
        assert_eq!(found(0xffff_ffff_c000_0004), Some(("hook".to_string(), 4, Some("nf_tables".to_string()))));
        assert_eq!((found(3), found(0xffff_ffff_b000_0000)), (None, None));
    }
}
