//! How far a ring is written and read: the positions that the kernel and its reader share.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::owned;

/// Both positions, in bytes since the ring was made.
pub struct Positions {
    read: Page,
    written: Page,
}

impl Positions {
    pub fn map(ring: BorrowedFd<'_>) -> io::Result<Positions> {
        // The reader's page comes first, then the writers'.
        Ok(Positions { read: Page::map(ring, 0)?, written: Page::map(ring, Page::size() as libc::off_t)? })
    }

    pub fn written(&self) -> usize {
        self.written.position()
    }

    pub fn read(&self) -> usize {
        self.read.position()
    }

    /// Bytes that are written and not yet read.
    pub fn unread(&self) -> usize {
        self.written().wrapping_sub(self.read())
    }
}

/// A descriptor that is readable while one of these is.
pub fn any_of<'r>(fds: impl Iterator<Item = BorrowedFd<'r>>) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let any = match unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) } {
        -1 => return Err(io::Error::last_os_error()),
        fd => owned(fd),
    };
    for fd in fds {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        let (any, fd) = (any.as_fd().as_raw_fd(), fd.as_raw_fd());
        // SAFETY: the event is valid for the call.
        if unsafe { libc::epoll_ctl(any, libc::EPOLL_CTL_ADD, fd, &raw mut event) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(any)
}

/// A page that begins with a position.
struct Page(NonNull<AtomicUsize>);

impl Page {
    fn map(ring: BorrowedFd<'_>, offset: libc::off_t) -> io::Result<Page> {
        // SAFETY: a new mapping, where the kernel finds room for it, touches no memory that is in use.
        let page = unsafe {
            libc::mmap(std::ptr::null_mut(), Self::size(), libc::PROT_READ, libc::MAP_SHARED, ring.as_raw_fd(), offset)
        };
        match NonNull::new(page) {
            Some(start) if page != libc::MAP_FAILED => Ok(Page(start.cast())),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn position(&self) -> usize {
        // SAFETY: the page stays mapped as long as this value lives, and the kernel keeps an aligned word at its start.
        unsafe { self.0.as_ref() }.load(Ordering::Acquire)
    }

    fn size() -> usize {
        // SAFETY: no memory is passed.
        unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: this mapping was made by `map`, and nothing borrows from it any more.
        unsafe { libc::munmap(self.0.as_ptr().cast(), Self::size()) };
    }
}
