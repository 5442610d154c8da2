//! Where in the source an address is, and which functions the compiler put into the one it is in: from debug information.

use std::path::Path;
use std::rc::Rc;

use addr2line::Context;
use gimli::{EndianRcSlice, LittleEndian};
use object::{File, Object, ObjectSection};

use super::debug_files::DebugPlaces;

type Bytes = EndianRcSlice<LittleEndian>;

/// The debug information of one file.
pub struct SourceLines {
    context: Context<Bytes>,
}

/// A function that was running at an address, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFrame {
    /// As the linker knows it.
    pub function: Option<String>,
    /// `file.c:12`, the file without its folder.
    pub place: Option<String>,
}

impl SourceLines {
    /// From the file itself, or from the one that has its debug information; `path` is where the file lies.
    pub fn read(bytes: &[u8], path: &Path, places: &DebugPlaces) -> Option<SourceLines> {
        let file = File::parse(bytes).ok()?;
        if file.section_by_name(".debug_info").is_some() {
            return Self::of(&file);
        }
        let separate = places.separate(&file, path)?;
        Self::of(&File::parse(&*separate).ok()?)
    }

    /// What ran at an address: the functions that were put into others first, the one that is called last.
    pub fn find(&self, address: u64) -> Vec<SourceFrame> {
        let Ok(mut frames) = self.context.find_frames(address).skip_all_loads() else { return Vec::new() };
        let mut found = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let function = frame.function.and_then(|name| name.raw_name().ok().map(|name| name.into_owned()));
            let place = frame.location.and_then(|place| {
                let file = place.file?;
                Some(format!("{}:{}", file.rsplit('/').next().unwrap_or(file), place.line?))
            });
            found.push(SourceFrame { function, place });
        }
        found
    }

    fn of(file: &File<'_>) -> Option<SourceLines> {
        file.section_by_name(".debug_info")?;
        let section = |id: gimli::SectionId| {
            let data = file.section_by_name(id.name()).and_then(|section| section.uncompressed_data().ok());
            Ok::<_, gimli::Error>(EndianRcSlice::new(Rc::from(data.as_deref().unwrap_or_default()), LittleEndian))
        };
        let context = Context::from_dwarf(gimli::Dwarf::load(section).ok()?).ok()?;
        Some(SourceLines { context })
    }
}
