//! Where the files are that `#include` names.

use std::fs;
use std::path::{Path, PathBuf};

/// Where headers are looked for, and those that every program includes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// Folders in the order in which they are searched, before the kernel's and the system's own.
    pub folders: Vec<PathBuf>,
    /// The kernel's source, and what was built from it, each with headers of its own.
    pub trees: Vec<PathBuf>,
    /// Headers that stand before a script's first line.
    pub included: Vec<String>,
}

/// A header that was found.
pub struct Header {
    /// As diagnostics show it.
    pub name: String,
    pub text: String,
    /// The place in the search from which `#include_next` goes on.
    pub next: usize,
}

/// Why there is none.
pub enum Missing {
    NotFound,
    Unreadable { path: PathBuf, why: String },
}

/// How a header is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `<name>`
    System,
    /// `"name"`: beside the file that includes it comes first.
    Beside,
}

/// The folders of the C library and of the kernel's interface.
const SYSTEM: [&str; 2] = ["/usr/local/include", "/usr/include"];

/// What a C compiler brings along, and what the C library would have.
const OWN: [(&str, &str); 7] = [
    (
        "stddef.h",
        "#pragma once\ntypedef unsigned long size_t;\ntypedef long ptrdiff_t;\ntypedef int wchar_t;\n#define NULL 0\n",
    ),
    (
        "stdint.h",
        "#pragma once\n\
         typedef signed char int8_t;\ntypedef short int16_t;\ntypedef int int32_t;\ntypedef long int64_t;\n\
         typedef unsigned char uint8_t;\ntypedef unsigned short uint16_t;\ntypedef unsigned int uint32_t;\n\
         typedef unsigned long uint64_t;\ntypedef long intptr_t;\ntypedef unsigned long uintptr_t;\n\
         typedef long intmax_t;\ntypedef unsigned long uintmax_t;\n\
         #define INT8_MAX 127\n#define INT16_MAX 32767\n#define INT32_MAX 2147483647\n#define INT64_MAX 9223372036854775807\n\
         #define INT8_MIN (-128)\n#define INT16_MIN (-32768)\n#define INT32_MIN (-INT32_MAX - 1)\n#define INT64_MIN (-INT64_MAX - 1)\n\
         #define UINT8_MAX 255\n#define UINT16_MAX 65535\n#define UINT32_MAX 4294967295U\n#define UINT64_MAX 18446744073709551615UL\n\
         #define SIZE_MAX UINT64_MAX\n",
    ),
    ("stdbool.h", "#pragma once\n"),
    ("stdarg.h", "#pragma once\ntypedef void *va_list;\ntypedef void *__gnuc_va_list;\n"),
    (
        "limits.h",
        "#pragma once\n#define CHAR_BIT 8\n#define SCHAR_MIN (-128)\n#define SCHAR_MAX 127\n#define UCHAR_MAX 255\n\
         #define CHAR_MIN SCHAR_MIN\n#define CHAR_MAX SCHAR_MAX\n#define SHRT_MIN (-32768)\n#define SHRT_MAX 32767\n\
         #define USHRT_MAX 65535\n#define INT_MAX 2147483647\n#define INT_MIN (-INT_MAX - 1)\n#define UINT_MAX 4294967295U\n\
         #define LONG_MAX 9223372036854775807L\n#define LONG_MIN (-LONG_MAX - 1)\n#define ULONG_MAX 18446744073709551615UL\n\
         #define LLONG_MAX LONG_MAX\n#define LLONG_MIN LONG_MIN\n#define ULLONG_MAX ULONG_MAX\n",
    ),
    ("float.h", "#pragma once\n#define FLT_RADIX 2\n#define FLT_MANT_DIG 24\n#define DBL_MANT_DIG 53\n"),
    ("stdalign.h", "#pragma once\n#define alignas _Alignas\n#define alignof _Alignof\n"),
];

impl Headers {
    /// The first header of this name, from a place in the search on. `beside` is the file that includes it.
    pub fn find(&self, name: &str, style: Style, beside: &str, from: usize) -> Result<Header, Missing> {
        let neighbour = Path::new(beside).parent().unwrap_or(Path::new("")).join(name);
        if style == Style::Beside && from == 0 && neighbour.is_file() {
            return read(neighbour, 0);
        }
        let found = self.search().skip(from).map(|folder| folder.join(name)).zip(from + 1..);
        let own = OWN.iter().find(|(own, _)| *own == name);
        match (found.into_iter().find(|(path, _)| path.is_file()), own) {
            (Some((path, next)), _) => read(path, next),
            (None, Some((_, text))) => Ok(Header { name: format!("<{name}>"), text: text.to_string(), next: from }),
            (None, None) => Err(Missing::NotFound),
        }
    }

    /// Every folder, first to last.
    pub fn search(&self) -> impl Iterator<Item = PathBuf> {
        let machine = format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH);
        let system = SYSTEM.iter().map(PathBuf::from).chain([PathBuf::from(machine)]);
        self.folders.iter().cloned().chain(self.of_kernel()).chain(system)
    }

    /// The folders of the kernel's own headers that there are.
    fn of_kernel(&self) -> Vec<PathBuf> {
        let arch = match std::env::consts::ARCH {
            "x86_64" => "x86",
            "aarch64" => "arm64",
            other => other,
        };
        let arch = format!("arch/{arch}/include");
        let parts = ["", "/generated", "/uapi", "/generated/uapi"];
        let folders = parts.iter().flat_map(|part| [format!("{arch}{part}"), format!("include{part}")]);
        let both = folders.flat_map(|folder| self.trees.iter().map(move |tree| tree.join(&folder)));
        let mut found: Vec<PathBuf> = both.filter(|folder| folder.is_dir()).collect();
        found.dedup();
        found
    }
}

fn read(path: PathBuf, next: usize) -> Result<Header, Missing> {
    match fs::read(&path) {
        // Names of authors in comments may be in any encoding.
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Ok(Header { name: path.to_string_lossy().into_owned(), text, next })
        }
        Err(error) => Err(Missing::Unreadable { path, why: error.to_string() }),
    }
}
