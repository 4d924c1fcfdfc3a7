//! Where tables are kept: one folder beside the pool folders, a file per network and kind.
//!
//! Whatever goes wrong here costs time and never an address, so a caller may do without it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::open::openat;
use super::table::Table;

/// The folder's name. No network's name begins with a dot.
const FOLDER: &str = ".causeway";

/// The cache of one network.
#[derive(Debug)]
pub(super) struct Cache {
    folder: OwnedFd,
    network: String,
}

impl Cache {
    /// The cache of `network` in `data_dir`, if there is one.
    pub(super) fn open_present(data_dir: &Path, network: &str) -> Option<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let folder = openat(AT_FDCWD, &data_dir.join(FOLDER), flags, Mode::empty()).ok()?;
        Some(Self { folder, network: network.to_owned() })
    }

    /// The cache of `network` in `data_dir`, made if need be.
    pub(super) fn open(data_dir: &Path, network: &str) -> io::Result<Self> {
        let path = data_dir.join(FOLDER);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let open = || openat(AT_FDCWD, &path, flags, Mode::empty());
        let folder = match open() {
            Err(Errno::ENOENT) => {
                match mkdirat(AT_FDCWD, &path, Mode::S_IRWXU) {
                    // Another network's call was quicker.
                    Ok(()) | Err(Errno::EEXIST) => open()?,
                    Err(errno) => return Err(errno.into()),
                }
            }
            other => other?,
        };
        Ok(Self { folder, network: network.to_owned() })
    }

    /// The file of `kind`, if there is one that can be read and written.
    pub(super) fn open_file(&self, kind: &str) -> Option<File> {
        self.file(&self.name(kind), OFlag::O_RDWR).ok()
    }

    /// Keeps `table` as the file of `kind`; `finish` writes its first page and whatever else makes
    /// the file good. A table that is in no file yet takes the old one's place at once.
    pub(super) fn save(
        &self,
        kind: &str,
        table: &mut Table,
        finish: impl FnOnce(&File) -> io::Result<()>,
    ) -> io::Result<()> {
        if table.file().is_some() {
            table.write_changes()?;
            return table.file().map_or(Ok(()), finish);
        }
        let name = self.name(kind);
        let fresh = format!("{name}.new");
        // What a killed call left. If it can't be removed, making the file says why.
        unlinkat(&self.folder, fresh.as_str(), UnlinkatFlags::NoRemoveDir).ok();
        table.write_all(self.file(&fresh, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL)?)?;
        let made = table.file().map_or(Ok(()), finish);
        let placed = made.and_then(|()| {
            Ok(renameat(&self.folder, fresh.as_str(), &self.folder, name.as_str())?)
        });
        if placed.is_err() {
            // It would only take room on a disk that may be full.
            unlinkat(&self.folder, fresh.as_str(), UnlinkatFlags::NoRemoveDir).ok();
        }
        placed
    }

    fn name(&self, kind: &str) -> String {
        format!("{}.{kind}", self.network)
    }

    fn file(&self, name: &str, flags: OFlag) -> io::Result<File> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        Ok(openat(&self.folder, name, flags, mode)?.into())
    }
}
