//! A profile as one flame graph in SVG (`-f flamegraph`), to be opened in a browser, where frames can be searched and enlarged.

use std::str::FromStr;

use inferno::flamegraph::{Options, Palette, from_lines};

use super::folded;
use super::stacks::{Profile, Stack, Weight};
use super::unit::Unit;
use crate::error::{Error, Result};
use crate::value::Frame;

/// The picture. Of several maps, each has a frame of its own at the bottom.
pub fn draw(profile: &Profile) -> Result<Vec<u8>> {
    let maps: Vec<(&str, _)> = profile.maps().filter(|(_, stacks)| !stacks.is_empty()).collect();
    let roots = maps.len() > 1;
    let line = |name: &str, (stack, weight): (&Stack, &Weight)| {
        let root = roots.then(|| name.as_bytes().to_vec());
        let words: Vec<Vec<u8>> = root.into_iter().chain(folded::words(stack, marked)).collect();
        format!("{} {}", String::from_utf8_lossy(&words.join(&b';')), weight.number())
    };
    let lines: Vec<String> =
        maps.iter().flat_map(|(name, stacks)| stacks.iter().map(move |entry| line(name, entry))).collect();
    if lines.is_empty() {
        return Err(Error::usage("no stacks were counted, so there is no flame graph to draw"));
    }
    let mut options = options(&maps.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let mut picture = Vec::new();
    from_lines(&mut options, lines.iter().map(String::as_str), &mut picture)
        .map_err(|error| Error::usage(format!("cannot draw the flame graph: {error}")))?;
    Ok(picture)
}

/// Functions keep their colours from picture to picture, and those of the kernel have one of their own.
fn options<'o>(maps: &[&str]) -> Options<'o> {
    let mut options = Options::default();
    options.title = format!("Flame Graph: {}", maps.join(", "));
    options.deterministic = true;
    options.colors = Palette::from_str("java").unwrap_or_default();
    options.count_name = match maps {
        [map] => Unit::of(map).counted().to_string(),
        _ => String::new(),
    };
    options
}

/// The name, with the mark by which the palette knows the kernel's functions; it is not shown.
fn marked(frame: &Frame) -> String {
    let mark = if frame.is_of_kernel() { "_[k]" } else { "" };
    format!("{}{mark}", folded::name(frame))
}

#[cfg(test)]
mod tests {
    use super::super::stacks::stacks;
    use super::super::stacks::tests::{report, stack_of};
    use super::*;
    use crate::config::Config;
    use crate::value::Value;

    fn profile(maps: &[&str]) -> Profile {
        let kernel = stack_of(&[(u64::MAX, Some("vfs_read")), (u64::MAX - 9, Some("do_syscall"))]);
        let map = report(&[(kernel, Value::UInt(7)), (stack_of(&[(16, Some("a<b>"))]), Value::UInt(3))]);
        let mut profile = Profile::default();
        maps.iter().for_each(|name| profile.update(name, stacks(&map, &Config::default()).unwrap()));
        profile
    }

    #[test]
    fn each_frame_has_its_share() {
        let svg = String::from_utf8(draw(&profile(&["@"])).unwrap()).unwrap();
        assert!(svg.contains("<title>vfs_read (7 samples, 70.00%)</title>"), "{svg}");
        assert!(svg.contains("<title>a&lt;b&gt; (3 samples, 30.00%)</title>"), "{svg}");
    }

    #[test]
    fn several_maps_stand_beside_each_other() {
        let svg = String::from_utf8(draw(&profile(&["@one", "@two"])).unwrap()).unwrap();
        assert!(svg.contains("<title>@one (10 ") && svg.contains("<title>@two (10 "), "{svg}");
        assert!(draw(&Profile::default()).is_err());
    }
}
