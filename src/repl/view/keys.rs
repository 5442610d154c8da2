//! Keys pressed in a view. Not a byte more is read than the keys that are acted on: what is typed after the one that leaves the
//! view is for the line editor.

use std::fs::File;
use std::io::{self, Read, stdin};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::runtime;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Control(char),
    Escape,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    /// One that means nothing to anybody here.
    Other,
}

/// Where keys come from: standard input, without the buffer that the library has for it.
pub struct Keys(File);

/// Bytes of one key come together; Escape comes alone.
const TOGETHER: Duration = Duration::from_millis(20);

impl Keys {
    pub fn open() -> io::Result<Keys> {
        Ok(Keys(stdin().as_fd().try_clone_to_owned()?.into()))
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// The next key, if one was pressed already. A terminal that is gone is left as if by a key, and is not asked.
    pub fn next(&mut self) -> Option<Key> {
        if runtime::is_gone(self.0.as_fd()) {
            return Some(Key::Escape);
        }
        if !runtime::is_readable(self.0.as_fd(), Duration::ZERO) {
            return None;
        }
        Some(read(&mut self.0).unwrap_or(Key::Escape))
    }
}

fn read(source: &mut (impl Read + AsFd)) -> io::Result<Key> {
    Ok(match byte(source)? {
        0x1b if !comes_soon(source) => Key::Escape,
        0x1b => sequence(source)?,
        byte @ 1..=26 => Key::Control((b'a' + byte - 1).into()),
        byte @ 0x20..=0x7e => Key::Char(byte.into()),
        _ => Key::Other,
    })
}

/// What follows an escape: `[` and parameters, or `O`, and the letter that ends it.
fn sequence(source: &mut (impl Read + AsFd)) -> io::Result<Key> {
    if !matches!(byte(source)?, b'[' | b'O') {
        return Ok(Key::Other);
    }
    let mut parameters = Vec::new();
    loop {
        let byte = byte(source)?;
        match (byte, &*parameters) {
            (b'A', _) => return Ok(Key::Up),
            (b'B', _) => return Ok(Key::Down),
            (b'H', _) | (b'~', b"1") => return Ok(Key::Home),
            (b'F', _) | (b'~', b"4") => return Ok(Key::End),
            (b'~', b"5") => return Ok(Key::PageUp),
            (b'~', b"6") => return Ok(Key::PageDown),
            (0x40..=0x7e, _) => return Ok(Key::Other),
            _ => parameters.push(byte),
        }
    }
}

fn comes_soon(source: &impl AsFd) -> bool {
    runtime::is_readable(source.as_fd(), TOGETHER)
}

fn byte(source: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    source.read_exact(&mut byte)?;
    Ok(byte[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn keys_are_read_one_by_one_and_the_rest_is_left() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"s\x1b[A\x1bOB\x1b[5~\x1b[1;5C\x03qlist").unwrap();
        let keys: Vec<Key> = (0..7).map(|_| read(&mut reader).unwrap()).collect();
        let control = Key::Control('c');
        assert_eq!(keys, [Key::Char('s'), Key::Up, Key::Down, Key::PageUp, Key::Other, control, Key::Char('q')]);
        drop(writer);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "list");
    }

    #[test]
    fn escape_comes_alone() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"\x1b").unwrap();
        assert_eq!(read(&mut reader).unwrap(), Key::Escape);
    }
}
