//! The pool folder and the files in it, in the reference's format: the truth about every address.
//!
//! Nothing is kept here and nothing decided; each method is one thing done to one file.

use std::fs::File;
use std::io::{self, Write};
use std::net::IpAddr;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;
use std::time::Duration;

use cni_common::sys::lock::FileLock;
use cni_common::{Code, Error, Result};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use super::files::{Files, failed, last_name, name};
use super::open::openat;
use super::origin::{self, Origin};
use super::probe;

/// How long a call waits for the pool: well below every caller's own deadline (2 minutes and more).
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the lock file may be replaced by another while we wait for it.
const MAX_RETRIES: usize = 8;
/// Who may read and write an address file.
const PRIVATE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// A pool folder whose lock is held.
#[derive(Debug)]
pub(super) struct Folder {
    files: Files,
    _lock: FileLock,
}

impl Deref for Folder {
    type Target = Files;

    fn deref(&self) -> &Files {
        &self.files
    }
}

/// An address file that has no name yet. Nothing is left of it unless it gets one.
#[derive(Debug)]
pub(super) struct Draft {
    /// `None` where files can't be without a name.
    file: Option<File>,
    content: String,
    origin: Origin,
}

impl Folder {
    /// Opens the folder at `path` and locks it; `None` if there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        for _ in 0..MAX_RETRIES {
            let Some(files) = Files::open(path)? else { return Ok(None) };
            let lock = match lock(files.dir(), &path.join("lock")) {
                Ok(lock) => lock,
                // The folder itself was deleted between the two opens.
                Err(error) if error.is_not_found() && !path.exists() => return Ok(None),
                Err(error) => return Err(error),
            };
            // Who waits long may get the lock of a folder or file that an operator has deleted.
            let had = fstat(lock.file()).map(|stat| (stat.st_dev, stat.st_ino));
            let there = nix::sys::stat::stat(&path.join("lock"));
            if had.is_ok() && had == there.map(|stat| (stat.st_dev, stat.st_ino)) {
                return Ok(Some(Self { files, _lock: lock }));
            }
        }
        let message = format!("lock {}: replaced again and again", path.join("lock").display());
        Err(Error::new(Code::TryAgainLater, message))
    }

    /// The same, making the folder if there is none.
    pub(super) fn create(path: &Path) -> Result<Self> {
        for _ in 0..MAX_RETRIES {
            if let Some(folder) = Self::open(path)? {
                return Ok(folder);
            }
            std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(
                |error| {
                    let failed = Error::io("create pool folder", path, &error);
                    match probe::dangling_link(path) {
                        Some(link) => failed.with_details(link),
                        None => failed,
                    }
                },
            )?;
        }
        Err(failed("create pool folder", path, Errno::ENOENT))
    }

    /// A file without a name that says `content`, with this `origin`.
    pub(super) fn draft(&self, content: String, origin: Origin) -> Result<Draft> {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR;
        let file = match openat(&self.dir, ".", flags, PRIVATE) {
            Ok(fd) => File::from(fd),
            // Not on this file system.
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => {
                return Ok(Draft { file: None, content, origin });
            }
            Err(errno) => return Err(failed("write address file in", &self.path, errno)),
        };
        fill(&file, &content, &origin)
            .map_err(|error| Error::io("write address file in", &self.path, &error))?;
        Ok(Draft { file: Some(file), content, origin })
    }

    /// Makes `draft` the file of `ip`: all of it at once, or nothing. `false` if there is a file of
    /// it already, whatever it is.
    pub(super) fn publish(&self, draft: &Draft, ip: IpAddr) -> Result<bool> {
        let Some(file) = &draft.file else { return self.publish_by_name(draft, ip) };
        let source = format!("/proc/self/fd/{}", file.as_raw_fd());
        let follow = AtFlags::AT_SYMLINK_FOLLOW;
        match linkat(AT_FDCWD, source.as_str(), &self.dir, name(ip).as_str(), follow) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            // No /proc here.
            Err(Errno::ENOENT) => self.publish_by_name(draft, ip),
            Err(errno) => Err(failed("make address file", &self.path_of(ip), errno)),
        }
    }

    /// The way of file systems without unnamed files: a hidden name first, then the real one.
    fn publish_by_name(&self, draft: &Draft, ip: IpAddr) -> Result<bool> {
        const HIDDEN: &str = ".causeway-new";
        let path = self.path.join(HIDDEN);
        let io = |error: &io::Error| Error::io("write", &path, error);
        // What a killed call left; never written to, for it may be an address file's other name.
        self.unlink(HIDDEN).map_err(|errno| io(&errno.into()))?;
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY;
        let made = openat(&self.dir, HIDDEN, flags, PRIVATE)
            .map_err(io::Error::from)
            .and_then(|fd| fill(&File::from(fd), &draft.content, &draft.origin))
            .and_then(|()| {
                let to = name(ip);
                Ok(linkat(&self.dir, HIDDEN, &self.dir, to.as_str(), AtFlags::empty())?)
            });
        let cleared = self.unlink(HIDDEN);
        match made {
            Ok(()) => cleared.map(|()| true).map_err(|errno| io(&errno.into())),
            Err(error) if error.raw_os_error() == Some(Errno::EEXIST as i32) => Ok(false),
            Err(error) => Err(io(&error)),
        }
    }

    /// Deletes the file of `ip`; one that is gone already is done.
    pub(super) fn remove_lease(&self, ip: IpAddr) -> Result<()> {
        self.unlink(&name(ip)).map_err(|errno| failed("remove", &self.path_of(ip), errno))
    }

    fn unlink(&self, name: &str) -> Result<(), Errno> {
        match unlinkat(&self.dir, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Records the address allocated last. Written over the old one and then cut, so that a full disk
    /// does not stop it.
    pub(super) fn set_last_reserved(&self, index: usize, ip: IpAddr) -> Result<()> {
        let name = last_name(index);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let text = ip.to_string();
        openat(&self.dir, name.as_str(), flags, PRIVATE)
            .map_err(io::Error::from)
            .and_then(|fd| {
                let file = File::from(fd);
                file.write_all_at(text.as_bytes(), 0)?;
                file.set_len(text.len() as u64)
            })
            .map_err(|error| Error::io("write", &self.path.join(name), &error))
    }
}

fn lock(dir: &OwnedFd, path: &Path) -> Result<FileLock> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW;
    let fd = openat(dir.as_fd(), "lock", flags | OFlag::O_NONBLOCK, PRIVATE)
        .map_err(|errno| failed("open lock", path, errno))?;
    FileLock::acquire(File::from(fd), path, LOCK_TIMEOUT)
}

fn fill(file: &File, content: &str, origin: &Origin) -> io::Result<()> {
    origin::write(file, origin)?;
    let mut file = file;
    file.write_all(content.as_bytes())
}
