//! The unwind table that compilers leave in a program (`.eh_frame`) becomes sorted rows, each a rule for the code from its address on.

use gimli::{BaseAddresses, CfaRule, CieOrFde, EhFrame, LittleEndian, Register, RegisterRule, UnwindSection};
use object::{File, Object, ObjectSection};

use super::{Segment, address_in, elf};

/// The table of one file.
pub struct UnwindTable {
    pub rows: Vec<UnwindRow>,
    segments: Vec<Segment>,
}

/// From this address on (as the file was linked), until the next row's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnwindRow {
    pub pc: u32,
    pub rule: Rule,
}

/// Where the caller's frame begins: what the stack pointer was before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// There is no caller, or it cannot be told where it is.
    Stop,
    /// So many bytes above the register; the frame pointer was saved so many bytes below, if at all.
    Above { register: FrameRegister, offset: u32, saved: Option<u32> },
    /// The table through which libraries are called, which pushes a word on its way.
    Linkage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameRegister {
    StackPointer,
    FramePointer,
}

/// Registers of x86-64 as debug information numbers them.
const FRAME_POINTER: Register = Register(6);
const STACK_POINTER: Register = Register(7);
const RETURN_ADDRESS: Register = Register(16);

impl UnwindTable {
    /// `None` for what has no such table.
    pub fn read(bytes: &[u8]) -> Option<UnwindTable> {
        let file = File::parse(bytes).ok()?;
        let section = file.section_by_name(".eh_frame")?;
        let address = |name| file.section_by_name(name).map_or(0, |section| section.address());
        let bases = BaseAddresses::default()
            .set_eh_frame(section.address())
            .set_text(address(".text"))
            .set_got(address(".got"));
        let mut table = EhFrame::new(section.data().ok()?, LittleEndian);
        table.set_address_size(8);
        let mut rows = vec![UnwindRow { pc: 0, rule: Rule::Stop }];
        // What is damaged ends the table; what was read before holds.
        let _ = collect(&table, &bases, &mut rows);
        rows.sort_by_key(|row| (row.pc, row.rule != Rule::Stop));
        // Where one function ends and the next begins, the beginning counts; where nothing changes, one row is enough.
        let mut sorted: Vec<UnwindRow> = Vec::with_capacity(rows.len());
        for row in rows {
            if sorted.last().is_some_and(|last| last.pc == row.pc) {
                sorted.pop();
            }
            if sorted.last().is_none_or(|last| last.rule != row.rule) {
                sorted.push(row);
            }
        }
        Some(UnwindTable { rows: sorted, segments: elf::segments(&file, 0) })
    }

    /// The linked address of a place in the file.
    pub fn address_of(&self, offset: u64) -> Option<u64> {
        address_in(&self.segments, offset)
    }
}

fn collect(
    table: &EhFrame<gimli::EndianSlice<'_, LittleEndian>>,
    bases: &BaseAddresses,
    rows: &mut Vec<UnwindRow>,
) -> gimli::Result<()> {
    let mut context = gimli::UnwindContext::new();
    let mut entries = table.entries(bases);
    while let Some(entry) = entries.next()? {
        let CieOrFde::Fde(partial) = entry else { continue };
        let function = partial.parse(EhFrame::cie_from_offset)?;
        let Ok(end) = u32::try_from(function.initial_address().wrapping_add(function.len())) else { continue };
        let mut states = function.rows(table, bases, &mut context)?;
        while let Some(state) = states.next_row()? {
            rows.push(UnwindRow { pc: state.start_address() as u32, rule: rule(state) });
        }
        rows.push(UnwindRow { pc: end, rule: Rule::Stop });
    }
    Ok(())
}

fn rule(state: &gimli::UnwindTableRow<usize>) -> Rule {
    if state.register(RETURN_ADDRESS) != Some(RegisterRule::Offset(-8)) {
        return Rule::Stop;
    }
    let (register, offset) = match state.cfa() {
        CfaRule::RegisterAndOffset { register: STACK_POINTER, offset } => (FrameRegister::StackPointer, *offset),
        CfaRule::RegisterAndOffset { register: FRAME_POINTER, offset } => (FrameRegister::FramePointer, *offset),
        CfaRule::RegisterAndOffset { .. } => return Rule::Stop,
        // Linkers write no other expression.
        CfaRule::Expression(_) => return Rule::Linkage,
    };
    let saved = match state.register(FRAME_POINTER) {
        Some(RegisterRule::Offset(below)) => match u32::try_from(-below) {
            Ok(below) => Some(below),
            Err(_) => return Rule::Stop,
        },
        None | Some(RegisterRule::Undefined | RegisterRule::SameValue) => None,
        Some(_) => return Rule::Stop,
    };
    u32::try_from(offset).map_or(Rule::Stop, |offset| Rule::Above { register, offset, saved })
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests {
    use super::*;

    #[test]
    fn own_code_has_a_table() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let table = UnwindTable::read(&bytes).unwrap();
        assert!(table.rows.len() > 1000 && table.rows.is_sorted_by(|a, b| a.pc < b.pc));
        // Every function begins with its return address on top of the stack.
        let first = Rule::Above { register: FrameRegister::StackPointer, offset: 8, saved: None };
        assert!(table.rows.iter().any(|row| row.rule == first));
        assert!(UnwindTable::read(b"text").is_none());
    }
}
