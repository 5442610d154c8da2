//! Bytes and their type become a value. Bytes that are missing count as zero, so nothing in a record can make this fail.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::maps::Maps;
use super::symbols::Symbols;
use super::sys::process::tai_time;
use crate::btf::{Btf, TypeId};
use crate::config::Config;
use crate::kernel::Kernel;
use crate::plan::{Plan, Role};
use crate::strftime;
use crate::types::{EnumType, Sign, Space, StackMode, StackType, Type, Unwinder};
use crate::value::{Frame, Value};

/// What decoding has to look up.
pub struct Decoder<'a> {
    pub plan: &'a Plan,
    pub maps: &'a Maps,
    pub kernel: &'a dyn Kernel,
    pub symbols: &'a mut Symbols,
    /// Nanoseconds from boot time to the time since 1970.
    pub boot: i128,
}

const SECOND: i128 = 1_000_000_000;

/// More nanoseconds than any machine has been running, and less than there were since 1970.
const DECADES: i128 = 1 << 60;

/// `AF_INET` as [`Type::Inet`] holds it; everything else is an IPv6 address.
const AF_INET: u64 = 2;

impl Decoder<'_> {
    pub fn decode(&mut self, ty: &Type, bytes: &[u8]) -> Value {
        match ty {
            Type::Void => Value::UInt(0),
            Type::Bool => Value::Bool(number(bytes, 0, 1) != 0),
            Type::Int(int) => integer(number(bytes, 0, u32::from(int.bits) / 8), int.bits.into(), int.sign),
            Type::Str(size) => text(part(bytes, 0, *size), *size, &self.plan.config),
            Type::Buf(size) => Value::Bytes(part(bytes, 4, (number(bytes, 0, 4) as u32).min(*size)).to_vec()),
            Type::Ptr(..) => Value::Pointer(number(bytes, 0, 8)),
            Type::Struct(of) => match self.plan.types.as_deref().or(self.kernel.btf()) {
                Some(btf) => Value::Record(self.members(btf, TypeId(of.btf), bytes, DEPTH)),
                None => Value::Bytes(part(bytes, 0, of.size).to_vec()),
            },
            Type::Enum(of) => enumerator(of, bytes),
            Type::Array(of, count) => {
                let size = of.size();
                Value::Array((0..*count).map(|index| self.decode(of, part(bytes, index * size, size))).collect())
            }
            Type::Tuple(elements) => {
                let pairs = elements.iter().zip(ty.offsets());
                Value::Tuple(pairs.map(|(element, at)| self.decode(element, part(bytes, at, element.size()))).collect())
            }
            Type::Record(names, elements) => {
                let parts = elements.iter().zip(ty.offsets());
                let values = parts.map(|(element, at)| self.decode(element, part(bytes, at, element.size())));
                Value::Record(names.iter().map(|name| name.to_string()).zip(values).collect())
            }
            Type::Mac => Value::Mac(array(bytes, 0)),
            Type::Inet => inet(bytes),
            Type::Timestamp(format) => {
                let time = i128::from(number(bytes, 0, 8));
                Value::Time(strftime::format(format, self.since_1970(time)))
            }
            Type::KSym => Value::Symbol(self.symbols.kernel_name(number(bytes, 0, 8))),
            Type::USym => Value::Symbol(self.symbols.user_name(number(bytes, 8, 8) as u32, number(bytes, 0, 8))),
            Type::Named(naming) => {
                Value::Str { text: self.symbols.names.of(naming, number(bytes, 0, 8) as i64).into(), cut: false }
            }
            Type::Stack(of) => Value::Stack { mode: of.mode, frames: self.stack(*of, number(bytes, 0, 8)) },
        }
    }

    /// Times are those of `nsecs`, or else of one of its clocks that count from 1970: no machine runs for decades.
    fn since_1970(&self, time: i128) -> i128 {
        if time < DECADES {
            return self.boot + time;
        }
        let leap_seconds = (tai_time() - strftime::now() + SECOND / 2).div_euclid(SECOND);
        time - leap_seconds * SECOND
    }

    /// The members of a structure; those of anonymous ones within it count as its own.
    fn members(&mut self, btf: &Btf, id: TypeId, bytes: &[u8], depth: usize) -> Vec<(String, Value)> {
        let mut members = Vec::new();
        for member in btf.members(id) {
            let at = member.bit_offset / 8;
            let size = btf.size_of(member.ty).unwrap_or(0);
            if member.name.is_empty() && depth > 0 {
                members.extend(self.members(btf, member.ty, part(bytes, at, size), depth - 1));
                continue;
            }
            let ty = btf.to_type(member.ty, Space::Kernel);
            let value = match member.bitfield {
                Some(width) => integer(bits(bytes, member.bit_offset, width.into()), width.into(), ty.sign()),
                None => self.member(btf, &ty, part(bytes, at, size), depth),
            };
            members.push((member.name.to_string(), value));
        }
        members
    }

    fn member(&mut self, btf: &Btf, ty: &Type, bytes: &[u8], depth: usize) -> Value {
        match (ty, depth.checked_sub(1)) {
            (Type::Struct(of), Some(depth)) => Value::Record(self.members(btf, TypeId(of.btf), bytes, depth)),
            (Type::Struct(_), None) => Value::Record(Vec::new()),
            _ => self.decode(ty, bytes),
        }
    }

    /// The frames of a stack: the low half of the scalar is the id under which the kernel stored it, or negative.
    fn stack(&mut self, of: StackType, scalar: u64) -> Vec<Frame> {
        let id = scalar as u32;
        let Some(map) = self.plan.map_of(&Role::Stacks(of)).filter(|_| id as i32 >= 0) else { return Vec::new() };
        let Ok(Some(bytes)) = self.maps.get(map, &id.to_ne_bytes()) else { return Vec::new() };
        let before = if of.unwinder == Unwinder::Tables { 1 } else { 0 };
        let words = bytes.as_chunks::<8>().0.iter().skip(before).map(|word| u64::from_ne_bytes(*word));
        let addresses: Vec<u64> = words.take_while(|address| *address != 0).take(of.limit as usize).collect();
        match of.mode {
            StackMode::Raw => addresses.into_iter().map(Frame::bare).collect(),
            StackMode::BuildId => self.symbols.builds((scalar >> 32) as u32, &addresses),
            StackMode::Bpftrace | StackMode::Perf => self.symbols.frames(of.side, (scalar >> 32) as u32, &addresses),
        }
    }
}

/// How many structures within structures are looked into; only broken data has more.
const DEPTH: usize = 32;

/// Text up to its NUL. Only a buffer for `max_strlen` bytes and their NUL can have cut it: smaller ones are made to measure.
fn text(bytes: &[u8], size: u32, config: &Config) -> Value {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    let cut = end + 1 >= size as usize && u64::from(size) > config.max_strlen;
    Value::Str { text: bytes[..end].to_vec(), cut }
}

fn enumerator(of: &EnumType, bytes: &[u8]) -> Value {
    let raw = number(bytes, 0, of.size.into());
    let number = match integer(raw, u32::from(of.size) * 8, of.sign) {
        Value::Int(number) => number,
        _ => raw as i64,
    };
    // Of several names for one number the last is shown.
    let name = of.variants.iter().rfind(|variant| variant.1 == number).map(|variant| variant.0.clone());
    Value::Enum { name, number }
}

fn inet(bytes: &[u8]) -> Value {
    match number(bytes, 0, 4) {
        AF_INET => Value::Inet(Ipv4Addr::from(array::<4>(bytes, 4)).into()),
        _ => Value::Inet(Ipv6Addr::from(array::<16>(bytes, 4)).into()),
    }
}

fn integer(raw: u64, bits: u32, sign: Sign) -> Value {
    let unused = 64 - bits.clamp(1, 64);
    match sign {
        Sign::Signed => Value::Int((raw << unused) as i64 >> unused),
        Sign::Unsigned => Value::UInt(raw << unused >> unused),
    }
}

/// A number of up to eight bytes.
fn number(bytes: &[u8], at: u32, size: u32) -> u64 {
    let mut word = [0; 8];
    let bytes = part(bytes, at, size.min(8));
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_ne_bytes(word)
}

/// A bit field of up to 64 bits, as little-endian machines lay it out.
fn bits(bytes: &[u8], offset: u32, width: u32) -> u64 {
    let mut word = [0; 16];
    let bytes = part(bytes, offset / 8, 16);
    word[..bytes.len()].copy_from_slice(bytes);
    let word = u128::from_le_bytes(word) >> (offset % 8);
    (word & ((1u128 << width.min(64)) - 1)) as u64
}

fn array<const N: usize>(bytes: &[u8], at: u32) -> [u8; N] {
    let mut array = [0; N];
    let bytes = part(bytes, at, N as u32);
    array[..bytes.len()].copy_from_slice(bytes);
    array
}

/// A range of the bytes, as much of it as there is.
fn part(bytes: &[u8], at: u32, size: u32) -> &[u8] {
    let (start, end) = (at as usize, at as usize + size as usize);
    &bytes[start.min(bytes.len())..end.min(bytes.len())]
}
