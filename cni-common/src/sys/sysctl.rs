//! `/proc/sys/net`, as the calling thread's network namespace sees it.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

use crate::error::{Code, Context, Error, Result};

/// Where the kernel shows it.
const ROOT: &str = "/proc/sys/net";

/// `/proc/sys/net`, opened once for many sysctls.
///
/// The kernel keeps the folders `ipv4` and `ipv6` of all network namespaces under one name each and goes
/// over them one by one: with hundreds of containers that is most of what a sysctl costs. So each of the
/// two is looked up once, and sysctls are opened relative to it. Good only while the thread is in the
/// namespace that it was opened in.
#[derive(Debug)]
pub struct Folder {
    net: OwnedFd,
    ipv4: OnceCell<OwnedFd>,
    ipv6: OnceCell<OwnedFd>,
}

impl Folder {
    /// Opens it as the calling thread's network namespace sees it.
    pub fn open() -> Result<Self> {
        let net = retry(|| open(ROOT, FOLDER, Mode::empty()));
        let net = net.with_context(|| format!("open {ROOT}"))?;
        Ok(Self { net, ipv4: OnceCell::new(), ipv6: OnceCell::new() })
    }

    /// The value of `name` (a path below `/proc/sys/net`), without its newline.
    pub fn read(&self, name: &str) -> Result<String> {
        let mut text = String::new();
        let read = self.file(name, OFlag::O_RDONLY)?.read_to_string(&mut text);
        read.map_err(|error| Error::io("read", &path(name), &error))?;
        Ok(text.trim_end().to_owned())
    }

    /// The same; `None` where the kernel does not have it.
    pub fn find(&self, name: &str) -> Result<Option<String>> {
        match self.read(name) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes `value` to `name` as it is.
    pub fn write(&self, name: &str, value: &str) -> Result<()> {
        let written = self.file(name, OFlag::O_WRONLY)?.write_all(value.as_bytes());
        written.map_err(|error| Error::io(&format!("write {value:?} to"), &path(name), &error))
    }

    /// Sets `name` to `value`.
    ///
    /// A value that can't be written but is right already is a success: `/proc/sys` is read-only in
    /// many containers.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        match self.write(name, value) {
            Ok(()) => Ok(()),
            Err(_) if self.find(name)?.as_deref() == Some(value) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn file(&self, name: &str, access: OFlag) -> Result<File> {
        let opened = self.nearest(name).and_then(|(folder, rest)| {
            retry(|| openat(folder, rest, access | OFlag::O_CLOEXEC, Mode::empty()))
        });
        opened.map(File::from).map_err(|errno| {
            Error::errno(Code::Io, errno).context(format!("open {}", path(name).display()))
        })
    }

    /// The folder that is kept open and leads to `name`, and the way from there.
    fn nearest<'a>(&self, name: &'a str) -> nix::Result<(&OwnedFd, &'a str)> {
        for (family, kept) in [("ipv4/", &self.ipv4), ("ipv6/", &self.ipv6)] {
            let Some(rest) = name.strip_prefix(family) else { continue };
            if let Some(folder) = kept.get() {
                return Ok((folder, rest));
            }
            let folder = retry(|| openat(self.net.as_fd(), family, FOLDER, Mode::empty()))?;
            return Ok((kept.get_or_init(|| folder), rest));
        }
        Ok((&self.net, name))
    }
}

/// Sets one sysctl, as [`Folder::set`] does.
pub fn write(name: &str, value: &str) -> Result<()> {
    Folder::open()?.set(name, value)
}

/// Reads one sysctl, as [`Folder::find`] does.
pub fn read(name: &str) -> Result<Option<String>> {
    Folder::open()?.find(name)
}

const FOLDER: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// Opens again what a signal has interrupted.
fn retry(open: impl Fn() -> nix::Result<OwnedFd>) -> nix::Result<OwnedFd> {
    loop {
        match open() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}
