//! The settings of the terminal: kept, and put back.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Whether nobody is at the other end any more.
pub fn is_gone(terminal: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: terminal.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one structure is given, which is valid for the call.
    let found = unsafe { libc::poll(&raw mut poll, 1, 0) };
    found > 0 && poll.revents & libc::POLLHUP != 0
}

/// Settings as they were.
#[derive(Clone, Copy)]
pub struct Settings(libc::termios);

impl Settings {
    /// Those of standard input, which must be a terminal.
    pub fn read() -> io::Result<Settings> {
        let mut settings = MaybeUninit::uninit();
        // SAFETY: the call fills the structure in if it succeeds.
        match unsafe { libc::tcgetattr(libc::STDIN_FILENO, settings.as_mut_ptr()) } {
            // SAFETY: as above.
            0 => Ok(Settings(unsafe { settings.assume_init() })),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Has keys wait as they are until someone reads them, unseen and not in lines; Ctrl-C still interrupts. Otherwise Ctrl-D typed
    /// ahead would be taken for the end of a line that is not there.
    pub fn leave_keys(&self) {
        let mut quiet = *self;
        quiet.0.c_lflag &= !(libc::ICANON | libc::ECHO);
        quiet.0.c_iflag &= !libc::ICRNL;
        quiet.set();
    }

    /// The same, and no key means anything to the kernel.
    pub fn take_keys(&self) {
        let mut raw = *self;
        raw.0.c_lflag &= !(libc::ICANON | libc::ECHO | libc::ISIG | libc::IEXTEN);
        raw.0.c_iflag &= !(libc::ICRNL | libc::IXON);
        raw.set();
    }

    /// Puts them in force at once. A terminal that is gone has no settings to care for.
    pub fn set(&self) {
        // SAFETY: the structure is valid for the call.
        unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &raw const self.0) };
    }
}

/// Columns and rows of a terminal; nothing of anything else, or if it knows no size.
pub fn size(of: impl AsFd) -> Option<(usize, usize)> {
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the call fills the structure in if it succeeds, and zero bytes are a size, too.
    let size = unsafe {
        libc::ioctl(of.as_fd().as_raw_fd(), libc::TIOCGWINSZ, size.as_mut_ptr());
        size.assume_init()
    };
    let (columns, rows) = (usize::from(size.ws_col), usize::from(size.ws_row));
    (columns > 0 && rows > 0).then_some((columns, rows))
}
