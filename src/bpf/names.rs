//! Names for maps and programs: as people write them, and as the kernel and object files accept them.

use crate::plan::{Lane, Map, Role};
use crate::types::{Side, StackMode, Unwinder};

/// What a listing calls a map: `@name` for the script's own, a word for the others.
pub fn map_label(map: &Map) -> String {
    match &map.role {
        Role::User { name, .. } if name.starts_with('@') => name.clone(),
        Role::User { name, .. } => format!("@{name}"),
        Role::Ring(Lane::Data) => "ring".to_owned(),
        Role::Rings => "rings".to_owned(),
        Role::Ring(Lane::Control) => "control".to_owned(),
        Role::Stacks(stack) => {
            let side = match (stack.side, stack.unwinder) {
                (Side::Kernel, _) => "kstacks",
                (Side::User, Unwinder::FramePointers) => "ustacks",
                (Side::User, Unwinder::Tables) => "dw_ustacks",
            };
            match stack.mode {
                StackMode::Bpftrace | StackMode::Perf | StackMode::Raw => format!("{side}_{}", stack.limit),
                StackMode::BuildId => format!("{side}_id_{}", stack.limit),
            }
        }
        Role::Packets => "packets".to_owned(),
        Role::Scratch => "scratch".to_owned(),
        Role::Counters => "counters".to_owned(),
        Role::Zeros => "zeros".to_owned(),
        Role::UnwindProcesses(_) => "unwind_processes".to_owned(),
        Role::UnwindRanges => "unwind_ranges".to_owned(),
        Role::UnwindRows => "unwind_rows".to_owned(),
        Role::SeenProcesses => "processes".to_owned(),
        Role::Table(_) => "names".to_owned(),
        Role::Cgroup(_) => "cgroup".to_owned(),
        Role::Over => "over".to_owned(),
    }
}

/// The name in the characters that the kernel allows in object names (letters, digits, `_` and `.`): `@x` becomes `AT_x`.
/// The kernel keeps the first 15 bytes.
pub fn symbol(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '.' { c } else { '_' };
    name.replace('@', "AT_").chars().map(allowed).collect()
}
