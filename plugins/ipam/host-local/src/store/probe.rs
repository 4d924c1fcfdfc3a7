//! Whether a lease could be written in a pool folder: found out by a file without a name, which
//! leaves no trace and does not change the folder. Waits for no lock.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use cni_common::{Code, Error, Result};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, faccessat};

use super::open::openat;

/// Fails with code 50 if no file can be made in the folder at `path` or, if there is none, in the
/// folder that it would be made in.
pub(super) fn refuse_unwritable(path: &Path) -> Result<()> {
    let failed = |error: &io::Error| {
        Error::io("write a lease in", path, error).with_code(Code::NotAvailable)
    };
    if let Some(link) = dangling_link(path) {
        return Err(failed(&Errno::ENOENT.into()).with_details(link));
    }
    for folder in path.ancestors() {
        match write_unnamed(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&error)),
            Ok(()) => return refuse_lock(path).map_err(|error| failed(&error)),
        }
    }
    Err(failed(&Errno::ENOENT.into()))
}

/// A symbolic link on the way to `path` that leads nowhere, as it is to be told.
pub(super) fn dangling_link(path: &Path) -> Option<String> {
    let is_dangling = |path: &&Path| path.is_symlink() && !path.exists();
    let link = path.ancestors().find(is_dangling)?;
    let target = std::fs::read_link(link).unwrap_or_default();
    let (link, target) = (link.display(), target.display());
    Some(format!("{link} is a symbolic link to {target}, which does not exist: create that"))
}

fn write_unnamed(folder: &Path) -> io::Result<()> {
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR;
    match openat(AT_FDCWD, folder, flags, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(fd) => File::from(fd).write_all(b"probe"),
        // Not on this file system, or no folder.
        Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => {
            let access = AccessFlags::W_OK | AccessFlags::X_OK;
            Ok(faccessat(AT_FDCWD, folder, access, AtFlags::empty())?)
        }
        Err(errno) => Err(errno.into()),
    }
}

/// The lock file must be one that can be opened, if it is there.
fn refuse_lock(pool: &Path) -> io::Result<()> {
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    match openat(AT_FDCWD, &pool.join("lock"), flags, Mode::empty()) {
        Ok(_) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
