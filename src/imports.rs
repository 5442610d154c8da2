//! Imports: what a program says that other files define is read from them, and becomes part of it.
//!
//! `import "tools.bt";` takes a file's probes, macros, functions and declared maps, `import "folder";` those of all its `.bt` files, and
//! `import "types.h";` a header's definitions. Paths are relative to the file that imports; a file counts once, however often it
//! is named.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::diag::Diagnostic;
use crate::source::Sources;
use crate::syntax::ast::{CText, Import, Program};
use crate::syntax::parse;

/// The program with all that it imports, and that those import in turn. All that cannot be had is reported.
pub fn resolve(mut program: Program, sources: &mut Sources) -> Result<Program, Vec<Diagnostic>> {
    let mut reader = Reader { sources, seen: HashSet::new(), faults: Vec::new() };
    let imports = std::mem::take(&mut program.imports);
    reader.all(&imports, &mut program);
    if reader.faults.is_empty() { Ok(program) } else { Err(reader.faults) }
}

struct Reader<'a> {
    sources: &'a mut Sources,
    /// The files that have become part of the program, by their real paths.
    seen: HashSet<PathBuf>,
    faults: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn all(&mut self, imports: &[Import], into: &mut Program) {
        for import in imports {
            if let Err(fault) = self.import(import, into) {
                self.faults.push(fault);
            }
        }
    }

    fn import(&mut self, import: &Import, into: &mut Program) -> Result<(), Diagnostic> {
        let path = self.beside_importer(import);
        let metadata = fs::metadata(&path).map_err(|_| not_found(import, &path))?;
        if !metadata.is_dir() {
            return self.file(import, &path, into);
        }
        if metadata.permissions().mode() & 0o002 != 0 {
            let message = format!("'{}' can be written to by everyone, so it is not imported from", path.display());
            return Err(Diagnostic::error(import.path_span, message).hint(format!("chmod o-w {}", path.display())));
        }
        let entries = fs::read_dir(&path).map_err(|error| unreadable(import, &path, &error))?;
        let mut files: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| is(path, "bt")).collect();
        files.sort();
        files.iter().try_for_each(|file| self.file(import, file, into))
    }

    /// The path, from the folder of the file that imports it; one-liners import from the current folder.
    fn beside_importer(&self, import: &Import) -> PathBuf {
        let importer = self.sources.locate(import.span).map_or("", |place| place.file);
        Path::new(importer).parent().unwrap_or(Path::new("")).join(&import.path)
    }

    fn file(&mut self, import: &Import, path: &Path, into: &mut Program) -> Result<(), Diagnostic> {
        let real = path.canonicalize().map_err(|error| unreadable(import, path, &error))?;
        if !self.seen.insert(real) {
            return Ok(());
        }
        if !is(path, "bt") && !is(path, "h") {
            let message = format!("'{}' cannot be imported", path.display());
            let hint = "what can be: scripts (.bt), folders of scripts, and C headers (.h); compiled programs and C code cannot";
            return Err(Diagnostic::error(import.path_span, message).hint(hint));
        }
        let text = fs::read_to_string(path).map_err(|error| unreadable(import, path, &error))?;
        let source = self.sources.add(path.to_string_lossy(), text);
        if is(path, "h") {
            into.c.push(CText { text: source.text.clone(), span: source.whole() });
            return Ok(());
        }
        match parse(source) {
            Ok(program) => self.merge(program, into),
            Err(faults) => self.faults.extend(faults),
        }
        Ok(())
    }

    fn merge(&mut self, program: Program, into: &mut Program) {
        let Program { c, config, imports, maps, macros, functions, probes } = program;
        self.faults.extend(config.first().map(|setting| {
            Diagnostic::error(setting.key.span, "settings are not allowed in an imported file")
                .hint("they stand in the script that imports it")
        }));
        into.c.extend(c);
        into.maps.extend(maps);
        into.macros.extend(macros);
        into.functions.extend(functions);
        into.probes.extend(probes);
        self.all(&imports, into);
    }
}

fn is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|other| other == extension)
}

fn not_found(import: &Import, path: &Path) -> Diagnostic {
    Diagnostic::error(import.span, "Unable to find suitable path for import")
        .hint(format!("checked: {}", path.display()))
}

fn unreadable(import: &Import, path: &Path, error: &std::io::Error) -> Diagnostic {
    let why = match error.kind() {
        std::io::ErrorKind::PermissionDenied => "permission denied".to_string(),
        std::io::ErrorKind::InvalidData => "it is not text (UTF-8)".to_string(),
        _ => error.to_string(),
    };
    Diagnostic::error(import.path_span, format!("cannot read '{}': {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the macros of a program that imports, and what was said of it.
    fn imported(folder: &Path, text: &str) -> (Vec<String>, Vec<String>) {
        let mut sources = Sources::new();
        let name = folder.join("main.bt").to_string_lossy().into_owned();
        let program = parse(sources.add(name, text)).expect("a well-formed program");
        match resolve(program, &mut sources) {
            Ok(program) => (program.macros.into_iter().map(|one| one.name.text).collect(), Vec::new()),
            Err(faults) => (Vec::new(), faults.into_iter().map(|fault| fault.message).collect()),
        }
    }

    #[test]
    fn files_and_folders_are_imported_once() {
        let folder = std::env::temp_dir().join(format!("rtrace-imports-{}", std::process::id()));
        fs::create_dir_all(folder.join("more")).unwrap();
        fs::write(folder.join("one.bt"), "import \"more\"; macro one() { 1 }").unwrap();
        fs::write(folder.join("more/two.bt"), "import \"../one.bt\"; macro two() { 2 }").unwrap();
        fs::write(folder.join("settings.bt"), "config = { max_strlen = 8 }").unwrap();
        let names = |text: &str| imported(&folder, text).0;
        assert_eq!(names("import \"one.bt\"; import \"./one.bt\"; begin { }"), ["one", "two"]);
        assert_eq!(names("import \"more\"; begin { }"), ["two", "one"]);
        let fault = |text: &str| imported(&folder, text).1.concat();
        assert_eq!(fault("import \"nosuch.bt\"; begin { }"), "Unable to find suitable path for import");
        assert_eq!(fault("import \"settings.bt\"; begin { }"), "settings are not allowed in an imported file");
        fs::set_permissions(folder.join("more"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(fault("import \"more\"; begin { }").contains("can be written to by everyone"));
        fs::remove_dir_all(folder).unwrap();
    }
}
