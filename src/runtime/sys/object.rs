//! What is in the kernel whoever loaded it: programs and types by their numbers, and what the kernel says of them.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use aya_obj::generated::{bpf_btf_info, bpf_func_info, bpf_prog_info};

use super::program::info;
use super::{Command, attr, bpf, bpf_fd, describe};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Program,
    Types,
}

/// The numbers of all that there are.
pub fn all(kind: Kind) -> impl Iterator<Item = u32> {
    let mut last = 0;
    std::iter::from_fn(move || {
        let mut attr = attr();
        attr.__bindgen_anon_6.__bindgen_anon_1.start_id = last;
        let command = match kind {
            Kind::Program => Command::BPF_PROG_GET_NEXT_ID,
            Kind::Types => Command::BPF_BTF_GET_NEXT_ID,
        };
        bpf(command, &mut attr).ok()?;
        // SAFETY: all fields of the union are plain numbers, and the kernel has filled this one in.
        last = unsafe { attr.__bindgen_anon_6.next_id };
        Some(last)
    })
}

/// A descriptor of the one with this number.
pub fn by_number(kind: Kind, id: u32) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.__bindgen_anon_6.__bindgen_anon_1.start_id = id;
    let command = match kind {
        Kind::Program => Command::BPF_PROG_GET_FD_BY_ID,
        Kind::Types => Command::BPF_BTF_GET_FD_BY_ID,
    };
    bpf_fd(command, &mut attr)
}

/// The number of a program's types, 0 for none, and those of its functions in them, the main one first.
pub fn functions(program: BorrowedFd<'_>) -> io::Result<(u32, Vec<u32>)> {
    let info = info(program)?;
    let (types, count) = (info.btf_id, info.nr_func_info);
    let mut functions = vec![bpf_func_info { insn_off: 0, type_id: 0 }; count as usize];
    // SAFETY: the structure consists of integers only, for which zero is a valid value.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    info.nr_func_info = count;
    info.func_info_rec_size = size_of::<bpf_func_info>() as u32;
    info.func_info = functions.as_mut_ptr() as u64;
    describe(program, &mut info)?;
    Ok((types, functions.iter().map(|function| function.type_id).collect()))
}

/// Types as they were loaded.
pub fn types(fd: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut info = zeroed_types();
    describe(fd, &mut info)?;
    let mut blob = vec![0; info.btf_size as usize];
    let mut info = zeroed_types();
    info.btf = blob.as_mut_ptr() as u64;
    info.btf_size = blob.len() as u32;
    describe(fd, &mut info)?;
    Ok(blob)
}

/// What types of the kernel are called: the name of a module. Those of programs have none.
pub fn types_name(fd: BorrowedFd<'_>) -> io::Result<String> {
    let mut name = [0u8; 64];
    let mut info = zeroed_types();
    info.name = name.as_mut_ptr() as u64;
    info.name_len = name.len() as u32;
    describe(fd, &mut info)?;
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(0);
    Ok(String::from_utf8_lossy(&name[..end]).into_owned())
}

fn zeroed_types() -> bpf_btf_info {
    // SAFETY: the structure consists of integers only, for which zero is a valid value.
    unsafe { std::mem::zeroed() }
}
