//! Sections, symbols and relocations become the bytes of a relocatable ELF file for BPF (`elf(5)`).

/// A file being collected. Sections and symbols are named by the number that adding them gave.
#[derive(Default)]
pub(super) struct ElfFile {
    sections: Vec<Section>,
    symbols: Vec<Symbol>,
    relocations: Vec<Relocation>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct SectionId(usize);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct SymbolId(usize);

pub(super) struct Section {
    pub name: String,
    pub contents: Contents,
    pub data: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    Code,
    Data,
    ReadOnly,
    /// Zeros that the file does not hold; only the length of `data` counts.
    Zeros,
    /// For tools only.
    Info,
}

pub(super) struct Symbol {
    pub name: String,
    pub section: SectionId,
    pub offset: u64,
    pub size: u64,
    pub kind: SymbolKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SymbolKind {
    /// Seen outside.
    Function,
    /// Seen outside.
    Object,
    LocalFunction,
    /// Stands for the whole section.
    Section,
}

/// What is to be filled in, by the number that the format gives it.
#[derive(Clone, Copy)]
pub(super) enum RelocationKind {
    /// A 64-bit immediate (`R_BPF_64_64`).
    Wide = 1,
    /// The distance of a call (`R_BPF_64_32`).
    Call = 10,
}

struct Relocation {
    section: SectionId,
    offset: u64,
    kind: RelocationKind,
    symbol: SymbolId,
}

const ELF_HEADER: usize = 64;
const SYMBOL_SIZE: u64 = 24;
const REL_SIZE: u64 = 16;
const MACHINE_BPF: u16 = 247;
const TYPE_RELOCATABLE: u16 = 1;

const SHT_PROGBITS: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_STRTAB: u32 = 3;
const SHT_NOBITS: u32 = 8;
const SHT_REL: u32 = 9;
const SHF_WRITE: u64 = 1;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;

/// A section as the file has it.
struct Header {
    name: String,
    kind: u32,
    flags: u64,
    link: u32,
    info: u32,
    entry: u64,
    size: u64,
    data: Vec<u8>,
}

impl ElfFile {
    /// Adds a section, or finds the one of this name.
    pub fn section(&mut self, name: &str, contents: Contents) -> SectionId {
        let found = self.sections.iter().position(|section| section.name == name);
        SectionId(found.unwrap_or_else(|| {
            self.sections.push(Section { name: name.to_owned(), contents, data: Vec::new() });
            self.sections.len() - 1
        }))
    }

    /// Appends to a section; gives the offset of what was added.
    pub fn append(&mut self, section: SectionId, data: &[u8]) -> u64 {
        let all = &mut self.sections[section.0].data;
        all.extend(data);
        (all.len() - data.len()) as u64
    }

    pub fn symbol(&mut self, symbol: Symbol) -> SymbolId {
        self.symbols.push(symbol);
        SymbolId(self.symbols.len() - 1)
    }

    pub fn relocate(&mut self, section: SectionId, offset: u64, kind: RelocationKind, symbol: SymbolId) {
        self.relocations.push(Relocation { section, offset, kind, symbol });
    }

    pub fn finish(self) -> Vec<u8> {
        // After the empty section 0: our sections, the symbol table, relocations, all names.
        let symtab = self.sections.len() as u32 + 1;
        let rels: Vec<usize> =
            (0..self.sections.len()).filter(|at| self.relocations.iter().any(|rel| rel.section.0 == *at)).collect();
        let strtab = symtab + 1 + rels.len() as u32;
        let mut names = vec![0];
        let order = self.symbol_order();
        let mut headers = vec![self.symtab(&order, strtab, &mut names)];
        headers.extend(rels.iter().map(|&section| self.rel(section, &order, symtab)));
        let mut all: Vec<Header> = self.sections.into_iter().map(Header::from).collect();
        all.extend(headers);
        all.push(Header { name: ".strtab".to_owned(), kind: SHT_STRTAB, ..Header::default() });
        write(all, names, strtab)
    }

    /// The symbols in the order of the file, local ones first as the format demands.
    fn symbol_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.symbols.len()).collect();
        order.sort_by_key(|at| !self.symbols[*at].kind.is_local());
        order
    }

    fn symtab(&self, order: &[usize], strtab: u32, names: &mut Vec<u8>) -> Header {
        let mut data = vec![0; SYMBOL_SIZE as usize];
        for symbol in order.iter().map(|at| &self.symbols[*at]) {
            data.extend(intern(names, &symbol.name).to_le_bytes());
            data.extend([symbol.kind.info(), 0]);
            data.extend((symbol.section.0 as u16 + 1).to_le_bytes());
            data.extend(symbol.offset.to_le_bytes());
            data.extend(symbol.size.to_le_bytes());
        }
        let locals = self.symbols.iter().filter(|symbol| symbol.kind.is_local()).count() as u32;
        Header {
            name: ".symtab".to_owned(),
            kind: SHT_SYMTAB,
            link: strtab,
            info: locals + 1,
            entry: SYMBOL_SIZE,
            size: data.len() as u64,
            data,
            ..Header::default()
        }
    }

    fn rel(&self, section: usize, order: &[usize], symtab: u32) -> Header {
        let mut data: Vec<u8> = Vec::new();
        for rel in self.relocations.iter().filter(|rel| rel.section.0 == section) {
            let symbol = order.iter().position(|at| *at == rel.symbol.0).map_or(0, |at| at as u64 + 1);
            data.extend(rel.offset.to_le_bytes());
            data.extend((symbol << 32 | rel.kind as u64).to_le_bytes());
        }
        Header {
            name: format!(".rel{}", self.sections[section].name),
            kind: SHT_REL,
            link: symtab,
            info: section as u32 + 1,
            entry: REL_SIZE,
            size: data.len() as u64,
            data,
            ..Header::default()
        }
    }
}

impl SymbolKind {
    fn is_local(self) -> bool {
        match self {
            SymbolKind::LocalFunction | SymbolKind::Section => true,
            SymbolKind::Function | SymbolKind::Object => false,
        }
    }

    /// Binding in the high four bits (1 is global), type in the low ones.
    fn info(self) -> u8 {
        match self {
            SymbolKind::Object => 0x11,
            SymbolKind::Function => 0x12,
            SymbolKind::LocalFunction => 0x02,
            SymbolKind::Section => 0x03,
        }
    }
}

impl From<Section> for Header {
    fn from(section: Section) -> Header {
        let (kind, flags) = match section.contents {
            Contents::Code => (SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR),
            Contents::Data => (SHT_PROGBITS, SHF_ALLOC | SHF_WRITE),
            Contents::ReadOnly => (SHT_PROGBITS, SHF_ALLOC),
            Contents::Zeros => (SHT_NOBITS, SHF_ALLOC | SHF_WRITE),
            Contents::Info => (SHT_PROGBITS, 0),
        };
        let size = section.data.len() as u64;
        let data = if section.contents == Contents::Zeros { Vec::new() } else { section.data };
        Header { name: section.name, kind, flags, size, data, ..Header::default() }
    }
}

impl Default for Header {
    fn default() -> Header {
        Header {
            name: String::new(),
            kind: SHT_PROGBITS,
            flags: 0,
            link: 0,
            info: 0,
            entry: 0,
            size: 0,
            data: Vec::new(),
        }
    }
}

/// Adds a name to a string table; gives its offset.
fn intern(names: &mut Vec<u8>, name: &str) -> u32 {
    if name.is_empty() {
        return 0;
    }
    let offset = names.len() as u32;
    names.extend(name.bytes());
    names.push(0);
    offset
}

/// The file: header, contents, section headers. The last section takes the names.
fn write(mut headers: Vec<Header>, mut names: Vec<u8>, strtab: u32) -> Vec<u8> {
    let offsets: Vec<u32> = headers.iter().map(|header| intern(&mut names, &header.name)).collect();
    if let Some(last) = headers.last_mut() {
        last.size = names.len() as u64;
        last.data = names;
    }
    let mut file = vec![0; ELF_HEADER];
    let mut table = vec![0; ELF_HEADER];
    for (header, name) in headers.iter().zip(offsets) {
        file.resize(file.len().next_multiple_of(8), 0);
        table.extend(name.to_le_bytes());
        table.extend(header.kind.to_le_bytes());
        for word in [header.flags, 0, file.len() as u64, header.size] {
            table.extend(word.to_le_bytes());
        }
        table.extend(header.link.to_le_bytes());
        table.extend(header.info.to_le_bytes());
        table.extend(8u64.to_le_bytes());
        table.extend(header.entry.to_le_bytes());
        file.extend(&header.data);
    }
    file.resize(file.len().next_multiple_of(8), 0);
    let start = file.len() as u64;
    file.extend(table);
    file[..ELF_HEADER].copy_from_slice(&elf_header(start, headers.len() as u16 + 1, strtab as u16));
    file
}

/// `Elf64_Ehdr`: 64 bits, little endian, one table of sections and none of segments.
fn elf_header(table: u64, count: u16, strtab: u16) -> [u8; ELF_HEADER] {
    let mut header = [0; ELF_HEADER];
    header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    header[16..18].copy_from_slice(&TYPE_RELOCATABLE.to_le_bytes());
    header[18..20].copy_from_slice(&MACHINE_BPF.to_le_bytes());
    header[20] = 1;
    header[40..48].copy_from_slice(&table.to_le_bytes());
    header[52..54].copy_from_slice(&(ELF_HEADER as u16).to_le_bytes());
    header[58..60].copy_from_slice(&64u16.to_le_bytes());
    header[60..62].copy_from_slice(&count.to_le_bytes());
    header[62..64].copy_from_slice(&strtab.to_le_bytes());
    header
}
