//! Texts: bytes up to a NUL, zeros after it.

/// The characters.
pub fn text(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

pub fn length(bytes: &[u8]) -> u64 {
    text(bytes).len() as u64
}

/// Whether two texts differ within so many bytes.
pub fn differ(one: &[u8], other: &[u8], len: Option<u32>) -> bool {
    let len = len.map_or(usize::MAX, |len| len as usize);
    text(one).iter().take(len).ne(text(other).iter().take(len))
}

/// Where a text first holds another, or -1.
pub fn find(hay: &[u8], needle: &[u8]) -> i64 {
    let (hay, needle) = (text(hay), text(needle));
    if needle.is_empty() {
        return 0;
    }
    hay.windows(needle.len()).position(|part| part == needle).map_or(-1, |at| at as i64)
}

/// The text in a buffer of another size, cut so that its NUL fits.
pub fn cut(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut out: Vec<u8> = text(bytes).iter().copied().take(size.saturating_sub(1)).collect();
    out.resize(size, 0);
    out
}
