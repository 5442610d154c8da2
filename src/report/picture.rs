//! Output formats that show nothing but stacks, or nothing but heat maps: as lines at once, or all of them in one document at the
//! end.

use std::io::Write;
use std::time::Instant;

use super::heatmap_svg::Gallery;
use super::pprof::Period;
use super::stacks::{Profile, stacks};
use super::text::TextSink;
use super::{Benchmark, Loss, Message, Sink, Testing, flamegraph, folded, pprof, written};
use crate::config::Config;
use crate::error::Result;
use crate::strftime;
use crate::value::{MapReport, Value};

/// What maps become: those that count stacks, or heat maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picture {
    Folded,
    Flamegraph,
    Pprof,
    /// Heat maps.
    Svg,
}

/// Writes the maps that the picture is of to `out`; everything else is said aside.
pub struct PictureSink {
    picture: Picture,
    out: Box<dyn Write>,
    aside: TextSink,
    config: Config,
    profile: Profile,
    gallery: Gallery,
    start_ns: i128,
    started: Instant,
}

impl PictureSink {
    pub fn new(picture: Picture, out: Box<dyn Write>, aside: TextSink, config: Config) -> Self {
        let (profile, gallery) = (Profile::default(), Gallery::default());
        let (start_ns, started) = (strftime::now(), Instant::now());
        Self { picture, out, aside, config, profile, gallery, start_ns, started }
    }

    /// Takes a map in, if it is one of stacks.
    fn stacks(&mut self, map: &MapReport) -> Result<bool> {
        let Some(stacks) = stacks(map, &self.config) else { return Ok(false) };
        if self.picture == Picture::Folded {
            written(self.out.write_all(&folded::lines(&stacks)))?;
        } else {
            self.profile.update(&map.name, stacks);
        }
        Ok(true)
    }

    fn document(&self) -> Result<Vec<u8>> {
        match self.picture {
            Picture::Folded => Ok(Vec::new()),
            Picture::Svg => self.gallery.draw(),
            Picture::Flamegraph => flamegraph::draw(&self.profile),
            Picture::Pprof => {
                let start_ns = u64::try_from(self.start_ns).unwrap_or(0);
                let length_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(0);
                pprof::encode(&self.profile, Period { start_ns, length_ns })
            }
        }
    }
}

impl Sink for PictureSink {
    fn attached(&mut self, probes: usize) -> Result<()> {
        self.aside.attached(probes)
    }

    fn text(&mut self, kind: &'static str, text: &[u8]) -> Result<()> {
        self.aside.text(kind, text)
    }

    fn value(&mut self, value: &Value) -> Result<()> {
        self.aside.value(value)
    }

    fn map(&mut self, map: &MapReport) -> Result<()> {
        let is_drawn = match self.picture {
            Picture::Svg => self.gallery.update(map, &self.config),
            Picture::Folded | Picture::Flamegraph | Picture::Pprof => self.stacks(map)?,
        };
        if is_drawn { Ok(()) } else { self.aside.map(map) }
    }

    fn emptied(&mut self, map: &str) -> Result<()> {
        self.profile.emptied(map);
        self.gallery.emptied(map);
        Ok(())
    }

    fn finale(&mut self) -> Result<()> {
        Ok(())
    }

    fn lost(&mut self, events: u64) -> Result<()> {
        self.aside.lost(events)
    }

    fn message(&mut self, message: &Message<'_>) -> Result<()> {
        self.aside.message(message)
    }

    fn test(&mut self, event: &Testing<'_>) -> Result<()> {
        self.aside.test(event)
    }

    fn benchmarks(&mut self, results: &[Benchmark]) -> Result<()> {
        self.aside.benchmarks(results)
    }

    fn losses(&mut self, losses: &[Loss]) -> Result<()> {
        self.aside.losses(losses)
    }

    fn flush(&mut self) -> Result<()> {
        self.aside.flush()?;
        written(self.out.flush())
    }

    fn end(&mut self) -> Result<()> {
        written(self.out.write_all(&self.document()?))?;
        self.flush()
    }
}
