//! A file that takes another's place as a whole: whoever reads it meanwhile finds the old content or the new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What is written so far, which lies beside the file until it is complete. Without [`Replacement::commit`] it leaves no trace.
pub struct Replacement {
    path: PathBuf,
    beside: PathBuf,
    file: File,
    is_pending: bool,
}

impl Replacement {
    /// What a link names is replaced, not the link.
    pub fn new(path: &Path) -> io::Result<Replacement> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let file = File::create(&beside)?;
        Ok(Replacement { path, beside, file, is_pending: true })
    }

    /// Puts it in its place. The permissions of what was there stay.
    pub fn commit(&mut self) -> io::Result<()> {
        if let Ok(metadata) = fs::metadata(&self.path) {
            self.file.set_permissions(metadata.permissions())?;
        }
        fs::rename(&self.beside, &self.path)?;
        self.is_pending = false;
        Ok(())
    }
}

/// Whether a path can be replaced: devices, pipes and folders cannot.
pub fn is_replaceable(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |metadata| metadata.is_file())
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if self.is_pending {
            drop(fs::remove_file(&self.beside));
        }
    }
}
