//! Iterators: reading a file has the kernel run a program on each of its objects; what is read are the program's records.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{BorrowedFd, OwnedFd};

use super::refusal::refused;
use super::sys::link;
use crate::error::{Error, Result};
use crate::plan::{ActionId, Plan};

/// A visit to all objects of an iterator, under way.
pub struct Visit {
    /// The iterator lives as long as its link.
    _link: OwnedFd,
    name: String,
    file: File,
    /// What was read and not yet taken, from `start` on.
    bytes: Vec<u8>,
    start: usize,
}

/// Bytes read at once: half of what the kernel has room for. It stops at the object that fills them up, and one for which there is
/// no room at all would have the program run on it again.
const BYTES: usize = 16 << 10;

impl Visit {
    pub fn begin(iterator: OwnedFd, name: &str) -> Result<Visit> {
        let open = |iterator: BorrowedFd<'_>| link::visit(iterator).map(File::from);
        let file = open(std::os::fd::AsFd::as_fd(&iterator));
        let file = file.map_err(|error| refused(format!("cannot visit {name}"), &error))?;
        Ok(Visit { _link: iterator, name: name.to_string(), file, bytes: Vec::new(), start: 0 })
    }

    /// Has more objects visited; false once all are.
    pub fn advance(&mut self) -> Result<bool> {
        self.bytes.drain(..self.start);
        self.start = 0;
        let end = self.bytes.len();
        self.bytes.resize(end + BYTES, 0);
        let read = self.file.read(&mut self.bytes[end..]);
        self.bytes.truncate(end + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(read) => Ok(read > 0),
            // So many objects without a word that the kernel takes a break.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::E2BIG) => Err(self.says_too_much()),
            Err(error) => Err(refused(format!("cannot visit {}", self.name), &error)),
        }
    }

    /// The next record that was read to its end.
    pub fn record(&mut self, plan: &Plan) -> Option<&[u8]> {
        let rest = &self.bytes[self.start..];
        let id = u64::from_ne_bytes(*rest.first_chunk()?);
        // An unknown kind is left for those to complain of who act on it.
        let action = u32::try_from(id).ok().and_then(|id| plan.actions.get(ActionId(id)));
        let record = rest.get(..action.map_or(rest.len(), |action| action.size as usize))?;
        self.start += record.len();
        Some(record)
    }

    fn says_too_much(&self) -> Error {
        Error::kernel(format!("{} says more about one object than the kernel has room for, 32 KB", self.name))
            .hint("print less for each object, or shorter texts: config = { max_strlen = 64 }")
    }
}
