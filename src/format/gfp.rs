//! The flags of a kernel memory allocation (`gfp_t`) as names, joined by `|`.

/// Combinations, each before those that are part of it, then single flags (`include/linux/gfp_types.h`).
const NAMES: &[(u64, &str)] = &[
    (0x10_0cc2, "GFP_HIGHUSER"),
    (0x10_0cc0, "GFP_USER"),
    (0x40_0cc0, "GFP_KERNEL_ACCOUNT"),
    (0xcc0, "GFP_KERNEL"),
    (0xc40, "GFP_NOFS"),
    (0x820, "GFP_ATOMIC"),
    (0xc00, "GFP_NOIO"),
    (0x2800, "GFP_NOWAIT"),
    (1, "GFP_DMA"),
    (1 << 1, "__GFP_HIGHMEM"),
    (1 << 2, "GFP_DMA32"),
    (1 << 3, "__GFP_MOVABLE"),
    (1 << 4, "__GFP_RECLAIMABLE"),
    (1 << 5, "__GFP_HIGH"),
    (1 << 6, "__GFP_IO"),
    (1 << 7, "__GFP_FS"),
    (1 << 8, "__GFP_ZERO"),
    (1 << 10, "__GFP_DIRECT_RECLAIM"),
    (1 << 11, "__GFP_KSWAPD_RECLAIM"),
    (1 << 12, "__GFP_WRITE"),
    (1 << 13, "__GFP_NOWARN"),
    (1 << 14, "__GFP_RETRY_MAYFAIL"),
    (1 << 15, "__GFP_NOFAIL"),
    (1 << 16, "__GFP_NORETRY"),
    (1 << 17, "__GFP_MEMALLOC"),
    (1 << 18, "__GFP_COMP"),
    (1 << 19, "__GFP_NOMEMALLOC"),
    (1 << 20, "__GFP_HARDWALL"),
    (1 << 21, "__GFP_THISNODE"),
    (1 << 22, "__GFP_ACCOUNT"),
    (1 << 23, "__GFP_ZEROTAGS"),
    (1 << 24, "__GFP_SKIP_ZERO"),
    (1 << 25, "__GFP_SKIP_KASAN"),
    (1 << 26, "__GFP_NO_OBJ_EXT"),
];

/// All names; what has none is a hexadecimal number at the end.
pub fn names(flags: u64) -> String {
    let mut rest = flags;
    let mut parts = Vec::new();
    for (bits, name) in NAMES {
        if rest & bits == *bits {
            parts.push((*name).to_string());
            rest &= !bits;
        }
    }
    match (rest, parts.is_empty()) {
        (0, true) => "0".to_string(),
        (0, false) => parts.join("|"),
        (rest, _) => [parts, vec![format!("{rest:#x}")]].concat().join("|"),
    }
}
