//! An entry of debug information with the unit that it is in, and what its attributes say.

use std::rc::Rc;

use gimli::{AttributeValue, DwAt, constants as dw};

use super::{Bytes, Debug, Found, Unit};

type Entry<'a> = gimli::DebuggingInformationEntry<Bytes<'a>>;

#[derive(Clone)]
pub struct Die<'a> {
    pub unit: Rc<Unit<'a>>,
    pub entry: Entry<'a>,
}

/// An entry may complete another, which may complete a third.
const ORIGINS: usize = 3;

impl<'a> Die<'a> {
    pub fn tag(&self) -> gimli::DwTag {
        self.entry.tag()
    }

    /// Where it is in all of the debug information.
    pub fn place(&self) -> usize {
        self.entry.offset().to_debug_info_offset(&self.unit.header).map_or(0, |offset| offset.0)
    }

    /// The entries within.
    pub fn children(&self) -> Found<Vec<Die<'a>>> {
        let mut tree = self.unit.entries_tree(Some(self.entry.offset()))?;
        let mut children = tree.root()?.children();
        let mut found = Vec::new();
        while let Some(child) = children.next()? {
            found.push(Die { unit: Rc::clone(&self.unit), entry: child.entry().clone() });
        }
        Ok(found)
    }

    /// What its type attribute leads to.
    pub fn ty(&self, debug: &Debug<'a>) -> Found<Option<Die<'a>>> {
        let Some((of, value)) = self.value(debug, dw::DW_AT_type)? else { return Ok(None) };
        of.target(debug, value)
    }

    pub fn text(&self, debug: &Debug<'a>, name: DwAt) -> Found<Option<String>> {
        let Some((of, value)) = self.value(debug, name)? else { return Ok(None) };
        debug.dwarf.attr_string(&of.unit, value).map(|text| Some(text.to_string_lossy().into_owned()))
    }

    pub fn number(&self, debug: &Debug<'a>, name: DwAt) -> Found<Option<u64>> {
        Ok(self.value(debug, name)?.and_then(|(_, value)| value.udata_value()))
    }

    pub fn signed(&self, debug: &Debug<'a>, name: DwAt) -> Found<Option<i64>> {
        let of =
            |value: AttributeValue<Bytes<'a>>| value.sdata_value().or(value.udata_value().map(|value| value as i64));
        Ok(self.value(debug, name)?.and_then(|(_, value)| of(value)))
    }

    pub fn encoding(&self, debug: &Debug<'a>) -> Found<Option<gimli::DwAte>> {
        Ok(match self.value(debug, dw::DW_AT_encoding)? {
            Some((_, AttributeValue::Encoding(encoding))) => Some(encoding),
            Some(_) | None => None,
        })
    }

    pub fn address(&self, debug: &Debug<'a>, name: DwAt) -> Found<Option<u64>> {
        match self.entry.attr_value(name) {
            Some(value) => debug.dwarf.attr_address(&self.unit, value),
            None => Ok(None),
        }
    }

    /// Whether a flag is set, whatever other entries say.
    pub fn has(&self, name: DwAt) -> bool {
        matches!(self.entry.attr_value(name), Some(AttributeValue::Flag(true)))
    }

    /// An attribute, and the entry that has it: a function or parameter that was inlined elsewhere, too, is described there.
    fn value(&self, debug: &Debug<'a>, name: DwAt) -> Found<Option<(Die<'a>, AttributeValue<Bytes<'a>>)>> {
        let mut die = self.clone();
        for _ in 0..ORIGINS {
            if let Some(value) = die.entry.attr_value(name) {
                return Ok(Some((die, value)));
            }
            let origins = [dw::DW_AT_abstract_origin, dw::DW_AT_specification];
            let Some(origin) = origins.into_iter().find_map(|origin| die.entry.attr_value(origin)) else { break };
            let Some(next) = die.target(debug, origin)? else { break };
            die = next;
        }
        Ok(None)
    }

    /// The entry that a reference leads to, in this unit or another.
    fn target(&self, debug: &Debug<'a>, reference: AttributeValue<Bytes<'a>>) -> Found<Option<Die<'a>>> {
        match reference {
            AttributeValue::UnitRef(offset) => {
                Ok(Some(Die { unit: Rc::clone(&self.unit), entry: self.unit.entry(offset)? }))
            }
            AttributeValue::DebugInfoRef(offset) => {
                let mut headers = debug.dwarf.units();
                while let Some(header) = headers.next()? {
                    if let Some(within) = offset.to_unit_offset(&header) {
                        let unit = debug.unit(header)?;
                        let entry = unit.entry(within)?;
                        return Ok(Some(Die { unit, entry }));
                    }
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }
}
