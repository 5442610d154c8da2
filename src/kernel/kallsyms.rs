//! `/proc/kallsyms`: kept as text and searched, as listing all 120,000 symbols apart would cost more than any question asked of it.

use std::fs::File;
use std::io::Read;

use memchr::memmem;

/// The kernel's symbols; empty if the kernel does not tell.
pub struct Kallsyms {
    text: Vec<u8>,
}

/// Bytes that most kernels' symbols find room in.
const ROOM: usize = 16 << 20;

/// One line: `ffffffff81234560 t name`, with `\t[module]` behind for modules.
struct Line<'a> {
    address: u64,
    kind: u8,
    name: &'a str,
    module: Option<&'a str>,
}

impl Kallsyms {
    pub fn read() -> Kallsyms {
        // Memory that is never touched costs nothing, while text that grows is copied, and kept twice for a while.
        let mut text = Vec::with_capacity(ROOM);
        match File::open("/proc/kallsyms").and_then(|mut file| file.read_to_end(&mut text)) {
            Ok(_) => Kallsyms { text },
            Err(_) => Kallsyms::parse(Vec::new()),
        }
    }

    /// Symbols in the same format, from elsewhere.
    pub fn parse(text: Vec<u8>) -> Kallsyms {
        Kallsyms { text }
    }

    /// Address of the first symbol of this name; `None` also if addresses are hidden (`kptr_restrict`).
    pub fn address(&self, name: &str) -> Option<u64> {
        let needle = format!(" {name}");
        let at = memmem::find_iter(&self.text, needle.as_bytes())
            .find(|at| matches!(self.text.get(at + needle.len()), None | Some(b'\n' | b'\t')))?;
        let start = memchr::memrchr(b'\n', &self.text[..at]).map_or(0, |newline| newline + 1);
        let line = Line::parse(self.text[start..].split(|byte| *byte == b'\n').next()?)?;
        (line.address != 0 && line.name == name).then_some(line.address)
    }

    /// Functions as `name` or `module:name`, in order of address; every one may occur several times.
    pub fn functions(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let mut rest = &self.text[..];
        let lines = std::iter::from_fn(move || {
            let end = memchr::memchr(b'\n', rest).or((!rest.is_empty()).then_some(rest.len()))?;
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            Some(line)
        });
        lines
            .filter_map(Line::parse)
            .filter(|line| matches!(line.kind, b't' | b'T' | b'w' | b'W'))
            .map(|line| (line.module, line.name))
    }

    pub fn lines(&self) -> usize {
        memchr::memchr_iter(b'\n', &self.text).count()
    }

    /// Address of each function, and the place in the text that [`Kallsyms::name_at`] takes.
    pub fn function_lines(&self) -> impl Iterator<Item = (u64, usize)> {
        let ends = memchr::memchr_iter(b'\n', &self.text);
        let starts = std::iter::once(0).chain(ends.map(|end| end + 1));
        starts.filter_map(|start| {
            // The address and the kind make up a prefix of fixed length: `ffffffff81234560 t `.
            let (digits, rest) = self.text.get(start..start + 18)?.split_at(16);
            let is_function = matches!(rest, [b' ', b't' | b'T' | b'w' | b'W']);
            is_function.then(|| Some((hexadecimal(digits)?, start)))?
        })
    }

    /// Name and module of the symbol whose line starts there.
    pub fn name_at(&self, start: usize) -> Option<(&str, Option<&str>)> {
        let line = self.text.get(start..)?.split(|byte| *byte == b'\n').next()?;
        Line::parse(line).map(|line| (line.name, line.module))
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | u64::from(char::from(*digit).to_digit(16)?)))
}

impl<'a> Line<'a> {
    /// Lines that are not text, or not whole, are passed over.
    fn parse(line: &'a [u8]) -> Option<Line<'a>> {
        let line = std::str::from_utf8(line).ok()?;
        let mut words = line.splitn(3, ' ');
        let address = u64::from_str_radix(words.next()?, 16).ok()?;
        let kind = *words.next()?.as_bytes().first()?;
        let (name, module) = match words.next()?.split_once('\t') {
            Some((name, module)) => (name, Some(module.trim_matches(['[', ']']))),
            None => (line.rsplit(' ').next()?, None),
        };
        Some(Line { address, kind, name, module })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "ffffffff81000000 T _text\nffffffff81000010 t vfs_readv\nffffffff81000020 T vfs_read\n\
        ffffffff82000000 D jiffies\n0000000000000000 A hidden\nffffffffc0000000 t hook\t[nf_tables]\n";

    #[test]
    fn finds_whole_names() {
        let symbols = Kallsyms::parse(TEXT.into());
        assert_eq!(symbols.address("vfs_read"), Some(0xffff_ffff_8100_0020));
        assert_eq!(symbols.address("hook"), Some(0xffff_ffff_c000_0000));
        assert_eq!((symbols.address("vfs_rea"), symbols.address("hidden"), symbols.address("T")), (None, None, None));
    }

    #[test]
    fn lists_functions_only() {
        let symbols = Kallsyms::parse(TEXT.into());
        let functions: Vec<_> = symbols.functions().collect();
        assert_eq!(functions[1..], [(None, "vfs_readv"), (None, "vfs_read"), (Some("nf_tables"), "hook")]);
    }
}
