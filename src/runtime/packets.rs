//! Packets that the kernel copies for programs: rings of perf, one for each CPU, and the files that the packets end in.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::maps::perf::{PerfEvent, PerfEventArrayBuffer};
use aya::maps::{Map, MapData, PerfEventArray};

use super::maps::Maps;
use super::perf;
use super::records::Reader;
use super::refusal::refused;
use super::sys::{self, process};
use crate::errno::reason;
use crate::error::{Error, Result};
use crate::plan::{Plan, Role};
use crate::report::pcap::{self, Packet};

/// The reading ends of all rings.
pub struct Packets {
    rings: Vec<PerfEventArrayBuffer<MapData>>,
    /// Readable while one of them is.
    any: OwnedFd,
}

/// Pages of each ring unless the script sets them: a few of the largest packets find room.
const PAGES: u64 = 64;
/// Borders for what the script sets: one large packet, and what the kernel can still find memory for.
const PAGE_RANGE: (u64, u64) = (32, 1 << 18);

impl Packets {
    /// Nothing if the plan has no such rings.
    pub fn open(plan: &Plan, maps: &Maps) -> Result<Option<Packets>> {
        let Some(id) = plan.map_of(&Role::Packets) else { return Ok(None) };
        let failed =
            |error: &dyn std::error::Error| Error::kernel(format!("cannot open the rings of packets: {error}"));
        let fd = sys::duplicate(maps.fd(id)).map_err(|error| refused("cannot open the rings of packets", &error))?;
        let data = MapData::from_fd(fd).map_err(|error| failed(&error))?;
        let mut array = PerfEventArray::try_from(Map::PerfEventArray(data)).map_err(|error| failed(&error))?;
        let pages = match plan.config.perf_rb_pages {
            0 => PAGES,
            wanted => wanted.clamp(PAGE_RANGE.0, PAGE_RANGE.1).next_power_of_two(),
        };
        let mut rings = Vec::new();
        for cpu in perf::online() {
            rings.push(array.open(cpu as u32, Some(pages as usize)).map_err(|error| failed(&error))?);
        }
        let any = process::any_of(rings.iter().map(AsFd::as_fd));
        let any = any.map_err(|error| refused("cannot wait for packets", &error))?;
        Ok(Some(Packets { rings, any }))
    }

    /// Hands over all packets that are there, each with its record before it.
    pub fn drain(&mut self, to: &mut dyn Reader) -> Result<usize> {
        let mut records = 0;
        for ring in &mut self.rings {
            let read = ring.try_fold((), |(), event| match event {
                PerfEvent::Sample { head, tail } => {
                    records += 1;
                    let read = if tail.is_empty() { to.record(head) } else { to.record(&[head, tail].concat()) };
                    read.map_or_else(ControlFlow::Break, ControlFlow::Continue)
                }
                // The program that found no room has counted that.
                PerfEvent::Lost { .. } => ControlFlow::Continue(()),
            });
            if let ControlFlow::Break(error) = read {
                return Err(error);
            }
        }
        Ok(records)
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.any.as_fd()
    }
}

/// The files that packets are written to. They are valid without packets, too.
pub struct Captures(HashMap<String, Capture>);

/// A file is opened before anything is attached, so that one which cannot be written is told of at once. What it held is gone only
/// once records are read, which a dry run never gets to.
enum Capture {
    Opened(File),
    Begun(BufWriter<File>),
}

impl Captures {
    pub fn open(plan: &Plan) -> Result<Captures> {
        let opened = |path: &String| {
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
            Ok((path.clone(), Capture::Opened(file.map_err(|error| unwritten(path, &error))?)))
        };
        plan.captures.iter().map(opened).collect::<Result<_>>().map(Captures)
    }

    /// A packet of so many nanoseconds after 1970.
    pub fn add(&mut self, path: &str, time: i128, packet: &Packet<'_>) -> Result<()> {
        let Some(capture) = self.0.get_mut(path) else { return Ok(()) };
        let record = pcap::record(u64::try_from(time).unwrap_or(0), packet);
        capture.begun().and_then(|file| file.write_all(&record)).map_err(|error| unwritten(path, &error))
    }

    /// Has the files hold all that was added.
    pub fn flush(&mut self) -> Result<()> {
        let flush = |capture: &mut Capture| capture.begun()?.flush();
        self.0.iter_mut().try_for_each(|(path, capture)| flush(capture).map_err(|error| unwritten(path, &error)))
    }
}

impl Capture {
    fn begun(&mut self) -> io::Result<&mut BufWriter<File>> {
        if let Capture::Opened(file) = self {
            // Pipes and the like have no length.
            if file.metadata()?.is_file() {
                file.set_len(0)?;
            }
            let mut file = BufWriter::new(file.try_clone()?);
            file.write_all(&pcap::header())?;
            *self = Capture::Begun(file);
        }
        match self {
            Capture::Begun(file) => Ok(file),
            Capture::Opened(_) => unreachable!("it has just begun"),
        }
    }
}

fn unwritten(path: &str, error: &io::Error) -> Error {
    Error::usage(format!("cannot write the capture file {path}: {}", reason(error)))
}
