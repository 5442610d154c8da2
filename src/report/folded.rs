//! Stacks and their numbers as lines for programs that draw flame graphs (`-f folded`): the frames from the outermost to the
//! innermost, then the number.

use super::stacks::{Stack, Weight};
use crate::value::Frame;

/// A line for each stack.
pub fn lines(stacks: &[(Stack, Weight)]) -> Vec<u8> {
    let line = |(stack, weight): &(Stack, Weight)| {
        let names = words(stack, name);
        [&names.join(&b';')[..], format!(" {}\n", weight.number()).as_bytes()].concat()
    };
    stacks.iter().flat_map(line).collect()
}

/// What is in the key beside its stacks, then the names of the frames.
pub fn words(stack: &Stack, name: impl Fn(&Frame) -> String) -> Vec<Vec<u8>> {
    let labels = stack.labels.iter().map(|label| label.text.clone());
    let frames = stack.frames.iter().map(|frame| name(frame).into_bytes());
    labels.chain(frames).map(one_word).collect()
}

/// The function, or else the address.
pub fn name(frame: &Frame) -> String {
    frame.symbol.clone().unwrap_or_else(|| format!("{:#x}", frame.address))
}

/// Semicolons part the frames, and a line's end the stacks.
fn one_word(text: Vec<u8>) -> Vec<u8> {
    text.into_iter().map(|byte| if byte == b';' || byte.is_ascii_control() { b'_' } else { byte }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::stacks::stacks;
    use super::super::stacks::tests::{report, stack_of};
    use super::*;
    use crate::config::Config;
    use crate::value::Value;

    #[test]
    fn frames_go_from_the_outermost_to_the_innermost() {
        let kernel = stack_of(&[(u64::MAX, Some("vfs_read")), (u64::MAX - 9, Some("do_syscall"))]);
        let user = stack_of(&[(16, None), (32, Some("main"))]);
        let comm = Value::Str { text: b"a;b".to_vec(), cut: false };
        let map = report(&[(Value::Tuple(vec![kernel, user, comm]), Value::UInt(7))]);
        let lines = lines(&stacks(&map, &Config::default()).unwrap());
        assert_eq!(String::from_utf8(lines).unwrap(), "a_b;main;0x10;do_syscall;vfs_read 7\n");
    }
}
