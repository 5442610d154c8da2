//! Packets as a capture file (pcap, with nanoseconds) that begins at their IP headers, for tcpdump, Wireshark and the like.

/// A packet, or its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    pub bytes: &'a [u8],
    /// How long the whole of it is.
    pub length: u32,
}

/// The most of a packet that a file of this kind is expected to hold.
pub const LONGEST: u32 = 65_535;

/// The first word of files whose times have nanoseconds; it tells the order of bytes, too.
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const VERSION: (u16, u16) = (2, 4);
/// `LINKTYPE_RAW`: the version of IP is in the packet itself.
const RAW: u32 = 101;

const SECOND: u64 = 1_000_000_000;

/// What a file begins with.
pub fn header() -> Vec<u8> {
    let mut out = NANOSECONDS.to_le_bytes().to_vec();
    out.extend(VERSION.0.to_le_bytes());
    out.extend(VERSION.1.to_le_bytes());
    // Offset of the time zone and accuracy of the times, which nobody sets.
    out.extend([0; 8]);
    out.extend(LONGEST.to_le_bytes());
    out.extend(RAW.to_le_bytes());
    out
}

/// A packet seen so many nanoseconds after 1970.
pub fn record(time: u64, packet: &Packet<'_>) -> Vec<u8> {
    let words = [(time / SECOND) as u32, (time % SECOND) as u32, packet.bytes.len() as u32, packet.length];
    let mut out: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    out.extend(packet.bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_that_was_cut() {
        assert_eq!(header().len(), 24);
        let record = record(3 * SECOND + 7, &Packet { bytes: b"\x45abc", length: 60 });
        assert_eq!(record, b"\x03\0\0\0\x07\0\0\0\x04\0\0\0\x3c\0\0\0\x45abc");
    }
}
