//! Lengths of machine instructions: a probe in the middle of one would destroy it.
//!
//! Opcodes are those of Intel's Software Developer's Manual, volume 2, appendix A.

/// Whether an instruction begins at `offset` of a function's code; `None` if the code before cannot be decoded.
pub fn begins_at(code: &[u8], offset: usize) -> Option<bool> {
    let mut at = 0;
    while at < offset {
        at += length(code.get(at..)?)?;
    }
    Some(at == offset)
}

#[cfg(target_arch = "aarch64")]
fn length(_: &[u8]) -> Option<usize> {
    Some(4)
}

/// Bytes of the first instruction.
#[cfg(target_arch = "x86_64")]
pub fn length(code: &[u8]) -> Option<usize> {
    let mut decoder = Decoder { code, at: 0, operand: Width::Double };
    decoder.instruction()?;
    (decoder.at <= code.len()).then_some(decoder.at)
}

#[cfg(target_arch = "x86_64")]
struct Decoder<'a> {
    code: &'a [u8],
    at: usize,
    operand: Width,
}

/// Of the operand, by its prefixes.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg(target_arch = "x86_64")]
enum Width {
    Word,
    Double,
    Quad,
}

/// Tables of opcodes, by the bytes that lead to them.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg(target_arch = "x86_64")]
enum Table {
    /// `0f`
    Second,
    /// `0f 38`
    Third,
    /// `0f 3a`, all with a byte behind.
    ThirdWithByte,
}

#[cfg(target_arch = "x86_64")]
impl Decoder<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = *self.code.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.at += bytes;
        Some(())
    }

    fn instruction(&mut self) -> Option<()> {
        let mut byte = self.next()?;
        while matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3) {
            if byte == 0x66 {
                self.operand = Width::Word;
            }
            byte = self.next()?;
        }
        if byte & 0xf0 == 0x40 {
            if byte & 8 != 0 {
                self.operand = Width::Quad;
            }
            byte = self.next()?;
        }
        match byte {
            0x0f => self.escaped(),
            0x62 => self.vector(3, 0x07),
            0xc4 => self.vector(2, 0x1f),
            0xc5 => self.vector(1, 0),
            _ => self.plain(byte),
        }
    }

    fn escaped(&mut self) -> Option<()> {
        match self.next()? {
            0x38 => self.behind(Table::Third),
            0x3a => self.behind(Table::ThirdWithByte),
            opcode => self.second(opcode),
        }
    }

    fn behind(&mut self, table: Table) -> Option<()> {
        let opcode = self.next()?;
        self.in_table(table, opcode)
    }

    fn in_table(&mut self, table: Table, opcode: u8) -> Option<()> {
        self.operands()?;
        let has_byte = match table {
            Table::Second => matches!(opcode, 0x70..=0x73 | 0xc2 | 0xc4..=0xc6),
            Table::Third => false,
            Table::ThirdWithByte => true,
        };
        self.skip(usize::from(has_byte))
    }

    /// AVX and its kin: prefixes in `payload` bytes, of which the first names the table of opcodes under `mask`.
    fn vector(&mut self, payload: usize, mask: u8) -> Option<()> {
        let table = match self.code.get(self.at)? & mask {
            0 | 1 => Table::Second,
            2 => Table::Third,
            3 => Table::ThirdWithByte,
            // Half precision, which has the same operands.
            5 | 6 => Table::Third,
            _ => return None,
        };
        self.skip(payload)?;
        let opcode = self.next()?;
        if table == Table::Second && opcode == 0x77 {
            return Some(());
        }
        self.in_table(table, opcode)
    }

    fn second(&mut self, opcode: u8) -> Option<()> {
        match opcode {
            0x05..=0x09 | 0x0b | 0x0e | 0x30..=0x37 | 0x77 | 0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf => Some(()),
            0x80..=0x8f => self.skip(4),
            0x04 | 0x0a | 0x0c | 0x24..=0x27 | 0x39 | 0x3b..=0x3f => None,
            0x0f | 0xa4 | 0xac | 0xba => {
                self.operands()?;
                self.skip(1)
            }
            _ => self.in_table(Table::Second, opcode),
        }
    }

    fn plain(&mut self, opcode: u8) -> Option<()> {
        match opcode {
            0x00..=0x3f => match opcode & 7 {
                0..=3 => self.operands(),
                4 => self.skip(1),
                5 => self.immediate(),
                _ => None,
            },
            0x50..=0x5f | 0x6c..=0x6f | 0x90..=0x99 | 0x9b..=0x9f | 0xa4..=0xa7 | 0xaa..=0xaf => Some(()),
            0xc3 | 0xc9 | 0xcb | 0xcc | 0xcf | 0xd7 | 0xec..=0xef | 0xf1 | 0xf4 | 0xf5 | 0xf8..=0xfd => Some(()),
            0x6a | 0x70..=0x7f | 0xa8 | 0xb0..=0xb7 | 0xcd | 0xe0..=0xe7 | 0xeb => self.skip(1),
            0xc2 | 0xca => self.skip(2),
            0xc8 => self.skip(3),
            0xe8 | 0xe9 => self.skip(4),
            0xa0..=0xa3 => self.skip(8),
            0x68 | 0xa9 => self.immediate(),
            0xb8..=0xbf if self.operand == Width::Quad => self.skip(8),
            0xb8..=0xbf => self.immediate(),
            0x63 | 0x84..=0x8f | 0xd0..=0xd3 | 0xd8..=0xdf | 0xfe | 0xff => self.operands(),
            0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 => {
                self.operands()?;
                self.skip(1)
            }
            0x69 | 0x81 | 0xc7 => {
                self.operands()?;
                self.immediate()
            }
            0xf6 | 0xf7 => self.test(opcode),
            _ => None,
        }
    }

    /// A group of opcodes of which only the first two have an immediate operand.
    fn test(&mut self, opcode: u8) -> Option<()> {
        let is_test = self.code.get(self.at)? & 0x30 == 0;
        self.operands()?;
        match (is_test, opcode) {
            (false, _) => Some(()),
            (true, 0xf6) => self.skip(1),
            (true, _) => self.immediate(),
        }
    }

    fn immediate(&mut self) -> Option<()> {
        self.skip(if self.operand == Width::Word { 2 } else { 4 })
    }

    /// The byte that names registers, and the parts of an address that it asks for.
    fn operands(&mut self) -> Option<()> {
        let byte = self.next()?;
        let (mode, register) = (byte >> 6, byte & 7);
        if mode == 3 {
            return Some(());
        }
        let base = if register == 4 { self.next()? & 7 } else { register };
        match mode {
            // Relative to the instruction, or to nothing.
            0 if base == 5 => self.skip(4),
            0 => Some(()),
            1 => self.skip(1),
            _ => self.skip(4),
        }
    }
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_common_instructions() {
        for (code, expected) in [
            (&b"\x55"[..], 1),
            (b"\x48\x89\xe5", 3),
            (b"\xf3\x0f\x1e\xfa", 4),
            (b"\x48\x8b\x05\x01\x02\x03\x04", 7),
            (b"\x48\x8d\x44\x24\x08", 5),
            (b"\x66\xc7\x45\xfe\x01\x02", 6),
            (b"\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08", 10),
            (b"\xe8\x00\x00\x00\x00", 5),
            (b"\x0f\x84\x00\x00\x00\x00", 6),
            (b"\xc5\xf8\x77", 3),
            (b"\xc4\xe3\x7d\x19\xc1\x01", 6),
            (b"\x62\xf1\xfe\x48\x6f\x06", 6),
            (b"\xf6\x40\x04\x01", 4),
            (b"\xf7\xd8", 2),
            (b"\x66\x0f\x3a\x0f\xc1\x08", 6),
        ] {
            assert_eq!(length(code), Some(expected), "{code:x?}");
            assert_eq!(length(&code[..expected - 1]), None, "{code:x?}");
        }
    }

    #[test]
    fn boundaries() {
        let code = b"\x55\x48\x89\xe5\xc3";
        let begins: Vec<bool> = (0..5).map(|offset| begins_at(code, offset).unwrap()).collect();
        assert_eq!(begins, [true, true, false, false, true]);
        assert_eq!(begins_at(code, 9), None);
    }
}
