//! Stacks and their numbers as lines for flame graphs (`-f folded`): the frames from the outermost to the innermost, then the number.

use std::io::Write;

use super::text::{TextSink, plain};
use super::{Benchmark, Loss, Message, Sink, Testing, written};
use crate::config::Config;
use crate::error::Result;
use crate::value::{Entries, Frame, MapReport, Value};

/// Writes the maps that count stacks to `out`; everything else is said aside.
pub struct FoldedSink {
    out: Box<dyn Write>,
    aside: TextSink,
    config: Config,
}

impl FoldedSink {
    pub fn new(out: Box<dyn Write>, aside: TextSink, config: Config) -> Self {
        Self { out, aside, config }
    }
}

impl Sink for FoldedSink {
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
        match lines(map, &self.config) {
            Some(lines) => written(self.out.write_all(&lines)),
            None => self.aside.map(map),
        }
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
}

/// A line for each entry, if the map has a stack in each key and a number at it.
fn lines(map: &MapReport, config: &Config) -> Option<Vec<u8>> {
    let Entries::Keyed(entries) = &map.entries else { return None };
    let line = |(key, value): &(Value, Value)| {
        let count = match value {
            Value::Int(number) => u64::try_from(*number).ok()?,
            Value::UInt(number) => *number,
            _ => return None,
        };
        let frames = folded(key, config)?;
        Some([&frames.join(&b';')[..], format!(" {count}\n").as_bytes()].concat())
    };
    entries.iter().map(line).collect::<Option<Vec<_>>>().map(|lines| lines.concat())
}

/// The parts of a key from the outermost to the innermost: what is no stack, the stack of the process, that of the kernel.
fn folded(key: &Value, config: &Config) -> Option<Vec<Vec<u8>>> {
    let parts = match key {
        Value::Tuple(parts) => &parts[..],
        _ => std::slice::from_ref(key),
    };
    let mut stacks: Vec<&Vec<Frame>> = parts.iter().filter_map(stack).collect();
    stacks.sort_by_key(|frames| frames.first().is_some_and(|frame| frame.address >> 63 == 1));
    let words = parts.iter().filter(|part| stack(part).is_none()).map(|part| plain(part, config));
    let names = stacks.iter().flat_map(|frames| frames.iter().rev()).map(name);
    (!stacks.is_empty()).then(|| words.chain(names).map(one_word).collect())
}

fn stack(value: &Value) -> Option<&Vec<Frame>> {
    if let Value::Stack { frames, .. } = value { Some(frames) } else { None }
}

fn name(frame: &Frame) -> Vec<u8> {
    frame.symbol.clone().unwrap_or_else(|| format!("{:#x}", frame.address)).into_bytes()
}

/// Semicolons part the frames, and a line's end the stacks.
fn one_word(text: Vec<u8>) -> Vec<u8> {
    text.into_iter().map(|byte| if byte == b';' || byte.is_ascii_control() { b'_' } else { byte }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::StackMode;

    fn stack_of(frames: &[(u64, Option<&str>)]) -> Value {
        let frame = |(address, symbol): &(u64, Option<&str>)| Frame {
            address: *address,
            symbol: symbol.map(str::to_string),
            offset: 4,
            module: None,
        };
        Value::Stack { mode: StackMode::Bpftrace, frames: frames.iter().map(frame).collect() }
    }

    #[test]
    fn frames_go_from_the_outermost_to_the_innermost() {
        let kernel = stack_of(&[(u64::MAX, Some("vfs_read")), (u64::MAX - 9, Some("do_syscall"))]);
        let user = stack_of(&[(16, None), (32, Some("main"))]);
        let comm = Value::Str { text: b"a;b".to_vec(), cut: false };
        let entries = Entries::Keyed(vec![(Value::Tuple(vec![kernel.clone(), user, comm]), Value::UInt(7))]);
        let map = MapReport { name: "@".to_string(), entries };
        let lines = lines(&map, &Config::default()).unwrap();
        assert_eq!(String::from_utf8(lines).unwrap(), "a_b;main;0x10;do_syscall;vfs_read 7\n");
    }

    #[test]
    fn other_maps_are_none_of_it() {
        let report = |key, value| {
            let map = MapReport { name: "@".to_string(), entries: Entries::Keyed(vec![(key, value)]) };
            lines(&map, &Config::default())
        };
        assert_eq!(report(Value::Int(1), Value::Int(1)), None);
        assert_eq!(report(stack_of(&[(1, None)]), Value::Stats { count: 1, total: 1 }), None);
        assert_eq!(report(stack_of(&[(1, None)]), Value::Int(-1)), None);
    }
}
