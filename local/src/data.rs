//! The data folder: what `latchkey dev` keeps between two runs, readable by its owner only.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// A data folder.
#[derive(Clone)]
pub struct DataFolder {
    path: PathBuf,
}

/// The lock on a data folder, against a second `latchkey dev`. Dropping it releases the folder.
pub struct Lock {
    _file: File,
}

impl DataFolder {
    /// Opens and locks the folder, and creates it if it is missing.
    ///
    /// # Errors
    /// A folder that can't be created or is in use.
    pub fn open(path: &Path) -> anyhow::Result<(Self, Lock)> {
        let cannot =
            || format!("can't use the data folder {}. Choose another one with --data. Cause", path.display());
        DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(cannot)?;
        let file = private().write(true).create(true).truncate(false).open(path.join("lock"));
        let file = file.with_context(cannot)?;
        match file.try_lock() {
            Ok(()) => Ok((Self { path: path.to_owned() }, Lock { _file: file })),
            Err(TryLockError::WouldBlock) => bail!(
                "the data folder {} is in use by another `latchkey dev`. Stop it, or choose another folder with --data",
                path.display()
            ),
            Err(TryLockError::Error(error)) => Err(error).with_context(cannot),
        }
    }

    /// A file's path.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Creates a file, if it is missing, that only its owner may read, for a library that does not set modes.
    ///
    /// # Errors
    /// A file that can't be created or has another owner.
    pub fn claim(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.file(name);
        let file = private().append(true).create(true).open(&path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(path)
    }

    /// A file's text. `None` if the file does not exist.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn read(&self, name: &str) -> anyhow::Result<Option<String>> {
        let path = self.file(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
        }
    }

    /// Replaces a file atomically. A reader gets the old text or the new one, even after a crash.
    ///
    /// # Errors
    /// A file that can't be written.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let draft = self.file(&format!("{name}.new"));
        // A draft of a crashed run would keep its mode.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private().write(true).create_new(true).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, self.file(name))?;
        File::open(&self.path)?.sync_all()
    }
}

/// Options for a file that only its owner may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_are_readable_by_their_owner_only() {
        let parent = tempfile::tempdir().unwrap();
        let (folder, _lock) = DataFolder::open(&parent.path().join("a/b")).unwrap();
        fs::write(folder.file("claimed"), "old").unwrap();
        folder.claim("claimed").unwrap();
        folder.claim("made").unwrap();
        fs::write(folder.file("written.new"), "left behind").unwrap();
        folder.write("written", "1").unwrap();
        folder.write("written", "2").unwrap();
        assert_eq!(folder.read("written").unwrap().as_deref(), Some("2"));
        assert_eq!(folder.read("claimed").unwrap().as_deref(), Some("old"));
        assert_eq!(folder.read("nothing").unwrap(), None);
        assert_eq!(mode(&parent.path().join("a/b")), 0o700);
        for name in ["claimed", "made", "written", "lock"] {
            assert_eq!(mode(&folder.file(name)), 0o600, "{name}");
        }
        assert!(!folder.file("written.new").exists());
    }

    #[test]
    fn locked_folder_is_rejected() {
        let parent = tempfile::tempdir().unwrap();
        let first = DataFolder::open(parent.path()).unwrap();
        let error = DataFolder::open(parent.path()).err().unwrap().to_string();
        assert!(error.contains("is in use by another `latchkey dev`"), "{error}");
        drop(first);
        assert!(DataFolder::open(parent.path()).is_ok());
    }
}
