//! BPF maps as bytes: creation, look-up one by one and in batches. Wrong lengths would let the kernel write past a buffer, so every
//! call goes through [`Shape`], which knows them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::{Command, address, attr, bpf, bpf_attr, bpf_fd, object_name};

/// Sizes of a map, in bytes as system calls see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub key: usize,
    /// The whole value; for per-CPU maps the slots of all possible CPUs, each a multiple of eight.
    pub value: usize,
}

/// Arguments of `BPF_MAP_CREATE`.
#[derive(Debug, Clone)]
pub struct NewMap {
    pub kind: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub flags: u32,
    pub name: String,
}

/// What a batch look-up gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Batch {
    /// So many entries, and more to come.
    More(usize),
    /// So many entries, the last ones.
    Last(usize),
}

/// `BPF_MAP_TYPE_ARRAY_OF_MAPS` of `include/uapi/linux/bpf.h`, and the sizes of its keys and descriptors.
const ARRAY_OF_MAPS: u32 = 12;
const NUMBERED: Shape = Shape { key: 4, value: 4 };

/// `BPF_NOEXIST` of `include/uapi/linux/bpf.h`.
const NOEXIST: u64 = 1;

pub fn create(new: &NewMap) -> io::Result<OwnedFd> {
    bpf_fd(Command::BPF_MAP_CREATE, &mut description(new))
}

/// An array of maps that are like `inner`, which was made by `model`.
pub fn create_array_of(model: &NewMap, length: u32, inner: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let Shape { key, value } = NUMBERED;
    let (key_size, value_size) = (key as u32, value as u32);
    let array = NewMap { kind: ARRAY_OF_MAPS, key_size, value_size, max_entries: length, flags: 0, ..model.clone() };
    let mut attr = description(&array);
    attr.__bindgen_anon_1.inner_map_fd = inner.as_raw_fd() as u32;
    bpf_fd(Command::BPF_MAP_CREATE, &mut attr)
}

/// Puts a map into such an array. The kernel waits for the programs that work on the one that was there.
pub fn put(array: BorrowedFd<'_>, at: u32, map: BorrowedFd<'_>) -> io::Result<()> {
    update(array, NUMBERED, &at.to_ne_bytes(), &map.as_raw_fd().to_ne_bytes())
}

fn description(new: &NewMap) -> bpf_attr {
    let mut attr = attr();
    attr.__bindgen_anon_1.map_type = new.kind;
    attr.__bindgen_anon_1.key_size = new.key_size;
    attr.__bindgen_anon_1.value_size = new.value_size;
    attr.__bindgen_anon_1.max_entries = new.max_entries;
    attr.__bindgen_anon_1.map_flags = new.flags;
    attr.__bindgen_anon_1.map_name = object_name(&new.name);
    attr
}

/// Makes a map read-only for user space, which lets the verifier take its contents for constants.
pub fn freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = attr();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    bpf(Command::BPF_MAP_FREEZE, &mut attr).map(drop)
}

/// Reads one value; `None` if there is no such key.
pub fn lookup(map: BorrowedFd<'_>, shape: Shape, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
    assert_eq!(key.len(), shape.key);
    let mut value = vec![0u8; shape.value];
    let mut attr = attr();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    attr.__bindgen_anon_2.key = address(key);
    attr.__bindgen_anon_2.__bindgen_anon_1.value = value.as_mut_ptr() as u64;
    found(bpf(Command::BPF_MAP_LOOKUP_ELEM, &mut attr)).map(|found| found.then_some(value))
}

pub fn update(map: BorrowedFd<'_>, shape: Shape, key: &[u8], value: &[u8]) -> io::Result<()> {
    write(map, shape, key, value, 0)
}

/// Writes a value unless the key is there already.
pub fn insert(map: BorrowedFd<'_>, shape: Shape, key: &[u8], value: &[u8]) -> io::Result<()> {
    match write(map, shape, key, value, NOEXIST) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        written => written,
    }
}

fn write(map: BorrowedFd<'_>, shape: Shape, key: &[u8], value: &[u8], flags: u64) -> io::Result<()> {
    assert_eq!((key.len(), value.len()), (shape.key, shape.value));
    let mut attr = attr();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    attr.__bindgen_anon_2.key = address(key);
    attr.__bindgen_anon_2.__bindgen_anon_1.value = address(value);
    attr.__bindgen_anon_2.flags = flags;
    bpf(Command::BPF_MAP_UPDATE_ELEM, &mut attr).map(drop)
}

/// Removes an entry; one that is gone already is no error.
pub fn delete(map: BorrowedFd<'_>, shape: Shape, key: &[u8]) -> io::Result<()> {
    assert_eq!(key.len(), shape.key);
    let mut attr = attr();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    attr.__bindgen_anon_2.key = address(key);
    found(bpf(Command::BPF_MAP_DELETE_ELEM, &mut attr)).map(drop)
}

/// The key after this one, or the first.
pub fn next_key(map: BorrowedFd<'_>, shape: Shape, key: Option<&[u8]>) -> io::Result<Option<Vec<u8>>> {
    assert!(key.is_none_or(|key| key.len() == shape.key));
    let mut next = vec![0u8; shape.key];
    let mut attr = attr();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    attr.__bindgen_anon_2.key = key.map_or(0, address);
    attr.__bindgen_anon_2.__bindgen_anon_1.next_key = next.as_mut_ptr() as u64;
    found(bpf(Command::BPF_MAP_GET_NEXT_KEY, &mut attr)).map(|found| found.then_some(next))
}

/// Reads as many entries as the buffers hold, from `cursor` on, which is empty at first and is moved on.
pub fn lookup_batch(
    map: BorrowedFd<'_>,
    shape: Shape,
    cursor: &mut Vec<u8>,
    keys: &mut [u8],
    values: &mut [u8],
) -> io::Result<Batch> {
    let room = (keys.len() / shape.key).min(values.len() / shape.value);
    // The kernel's own cursor is a number of four bytes in hash tables, and a key elsewhere.
    let mut next = vec![0u8; shape.key.max(4)];
    let mut attr = attr();
    attr.batch.map_fd = map.as_raw_fd() as u32;
    attr.batch.in_batch = if cursor.is_empty() { 0 } else { address(cursor) };
    attr.batch.out_batch = next.as_mut_ptr() as u64;
    attr.batch.keys = keys.as_mut_ptr() as u64;
    attr.batch.values = values.as_mut_ptr() as u64;
    attr.batch.count = room as u32;
    let found = found(bpf(Command::BPF_MAP_LOOKUP_BATCH, &mut attr))?;
    *cursor = next;
    // SAFETY: all fields of the union are plain numbers, and this one was set above.
    let count = unsafe { attr.batch.count } as usize;
    Ok(if found { Batch::More(count) } else { Batch::Last(count) })
}

/// Writes as many entries as there are keys (5.6).
pub fn update_batch(map: BorrowedFd<'_>, shape: Shape, keys: &[u8], values: &[u8]) -> io::Result<()> {
    let count = keys.len() / shape.key;
    assert_eq!((keys.len(), values.len()), (count * shape.key, count * shape.value));
    let mut attr = attr();
    attr.batch.map_fd = map.as_raw_fd() as u32;
    attr.batch.keys = address(keys);
    attr.batch.values = address(values);
    attr.batch.count = count as u32;
    bpf(Command::BPF_MAP_UPDATE_BATCH, &mut attr).map(drop)
}

/// `ENOENT` is an answer, not a failure.
fn found(result: io::Result<i64>) -> io::Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}
