//! The files of a pool folder, as far as they are read: nothing here changes anything.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cni_common::{Code, Error, Result};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::stat::{Mode, fstat, fstatat};

use super::lease::Holder;
use super::open::{open_dir, openat};
use super::origin::{self, Origin};
use super::stamp::Mtime;

/// No address file is longer: two names of at most 255 bytes and the break.
const MAX_LENGTH: usize = 1024;

/// A pool folder. What asks needs no lock: an address file of this suite is there as a whole or not
/// at all.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) path: PathBuf,
    pub(super) dir: OwnedFd,
}

impl Files {
    /// Opens the folder at `path`; `None` if there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        match openat(AT_FDCWD, path, flags, Mode::empty()) {
            Ok(dir) => Ok(Some(Self { path: path.to_owned(), dir })),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(failed("open pool folder", path, errno)),
        }
    }

    /// The folder's path, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file of `ip`, for messages.
    pub(super) fn path_of(&self, ip: IpAddr) -> PathBuf {
        self.path.join(ip.to_string())
    }

    /// The folder, for its mtime.
    pub(super) fn dir(&self) -> &OwnedFd {
        &self.dir
    }

    /// Device and inode of the folder.
    pub(super) fn identity(&self) -> Result<(u64, u64)> {
        let stat = fstat(&self.dir).map_err(|errno| failed("stat", &self.path, errno))?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// The folder's time of change.
    pub(super) fn mtime(&self) -> Result<Mtime> {
        Mtime::of(&self.dir).map_err(|errno| failed("stat", &self.path, errno))
    }

    /// Who holds `ip`; `None` if there is no file of it.
    pub(super) fn read_lease(&self, ip: IpAddr) -> Result<Option<Holder>> {
        // Not blocking: the name may be a FIFO's. Not following: it may be a link to anything.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let file = match openat(&self.dir, name(ip).as_str(), flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::ELOOP | Errno::ENXIO | Errno::EISDIR) => return Ok(Some(Holder::Unknown)),
            Err(errno) => return Err(failed("read", &self.path_of(ip), errno)),
        };
        // One read: of a file this short it brings all.
        let mut content = [0; MAX_LENGTH + 1];
        let mut read = || loop {
            match (&file).read(&mut content) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        };
        match read() {
            // A FIFO without a writer is as empty as a file that was never written.
            Ok(0) if !file.metadata().is_ok_and(|metadata| metadata.is_file()) => {
                Ok(Some(Holder::Unknown))
            }
            Ok(length) if length > MAX_LENGTH => Ok(Some(Holder::Unknown)),
            Ok(length) => Ok(Some(Holder::parse(content.get(..length).unwrap_or_default()))),
            Err(error) if is_no_file(&error) => Ok(Some(Holder::Unknown)),
            Err(error) => Err(Error::io("read", &self.path_of(ip), &error)),
        }
    }

    /// What is in the place of the file of `ip`, if that can be no address file at all.
    pub(super) fn fault_of(&self, ip: IpAddr) -> Option<Error> {
        let path = self.path_of(ip);
        let found = std::fs::symlink_metadata(&path).ok()?;
        let what = match found.file_type() {
            kind if kind.is_dir() => "a folder".to_owned(),
            kind if kind.is_symlink() => "a symbolic link".to_owned(),
            kind if !kind.is_file() => "no regular file".to_owned(),
            _ if found.len() > MAX_LENGTH as u64 => format!("{} bytes long", found.len()),
            // A note that keeps the address from being given.
            _ => return None,
        };
        Some(Error::new(Code::Io, format!("read {}: it is {what}", path.display())))
    }

    /// What this suite noted of the file of `ip` when it made it.
    pub(super) fn origin_of(&self, ip: IpAddr) -> Origin {
        origin::read(&self.path_of(ip))
    }

    /// When the file of `ip` was written.
    pub(super) fn time_of(&self, ip: IpAddr) -> Option<SystemTime> {
        std::fs::symlink_metadata(self.path_of(ip)).ok()?.modified().ok()
    }

    /// The addresses that there are files of.
    pub(super) fn list(&self) -> Result<Vec<IpAddr>> {
        let list = |errno| failed("list", &self.path, errno);
        let mut dir = open_dir(&self.dir).map_err(list)?;
        let mut addresses = Vec::new();
        for entry in dir.iter() {
            let entry = entry.map_err(list)?;
            addresses.extend(parse_name(OsStr::from_bytes(entry.file_name().to_bytes())));
        }
        Ok(addresses)
    }

    /// The address allocated last of the set `index`; `None` if none is recorded that can be read. It
    /// is a hint only: whatever else is in its place, the round begins anew.
    pub(super) fn last_reserved(&self, index: usize) -> Option<IpAddr> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let fd = openat(&self.dir, last_name(index).as_str(), flags, Mode::empty()).ok()?;
        let mut text = String::new();
        File::from(fd).take(MAX_LENGTH as u64).read_to_string(&mut text).ok()?;
        text.trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
    }

    /// Whether the set `index` has its record, so that writing it will not change the folder.
    pub(super) fn has_last_reserved(&self, index: usize) -> bool {
        fstatat(&self.dir, last_name(index).as_str(), AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
    }
}

pub(super) fn failed(operation: &str, path: &Path, errno: Errno) -> Error {
    Error::io(operation, path, &errno.into())
}

pub(super) fn name(ip: IpAddr) -> String {
    ip.to_string()
}

pub(super) fn last_name(index: usize) -> String {
    format!("last_reserved_ip.{index}")
}

/// The address that a file is named by. Another spelling than the canonical one names none: it
/// would not be found when that address is asked for.
fn parse_name(name: &OsStr) -> Option<IpAddr> {
    let text = name.to_str()?;
    let ip: IpAddr = text.parse().ok()?;
    (ip.to_string() == text && ip == ip.to_canonical()).then_some(ip)
}

/// What reading a folder, or a FIFO without a writer, answers.
fn is_no_file(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EISDIR | Errno::EAGAIN | Errno::EINVAL))
}
