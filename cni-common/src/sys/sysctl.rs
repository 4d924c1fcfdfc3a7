//! `/proc/sys/net`, as the calling thread's network namespace sees it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

use crate::error::{Code, Context, Error, Result};

/// Where the kernel shows it.
const ROOT: &str = "/proc/sys/net";

/// Sets `name` (a path below `/proc/sys/net`) to `value`.
///
/// A value that can't be written but is right already is a success: `/proc/sys` is read-only in
/// many containers.
pub fn write(name: &str, value: &str) -> Result<()> {
    let path = Path::new(ROOT).join(name);
    let written = fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(value.as_bytes()));
    match written {
        Ok(()) => Ok(()),
        Err(_) if read(name)?.as_deref() == Some(value) => Ok(()),
        Err(error) => Err(Error::io(&format!("write {value:?} to"), &path, &error)),
    }
}

/// The value of `name`, without its newline; `None` where the kernel does not have it.
pub fn read(name: &str) -> Result<Option<String>> {
    let path = Path::new(ROOT).join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", &path, &error)),
    }
}

/// `/proc/sys/net`, opened once for many sysctls: its path is looked up among the entries of all
/// namespaces. Good only while the thread is in the namespace that it was opened in.
pub struct Folder(OwnedFd);

impl Folder {
    /// Opens it as the calling thread's network namespace sees it.
    pub fn open() -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        open(ROOT, flags, Mode::empty()).map(Self).with_context(|| format!("open {ROOT}"))
    }

    /// The value of `name`, without its newline.
    pub fn read(&self, name: &str) -> Result<String> {
        let mut text = String::new();
        let read = self.file(name, OFlag::O_RDONLY)?.read_to_string(&mut text);
        read.map_err(|error| Error::io("read", &path(name), &error))?;
        Ok(text.trim_end().to_owned())
    }

    /// Writes `value` to `name` as it is.
    pub fn write(&self, name: &str, value: &str) -> Result<()> {
        let written = self.file(name, OFlag::O_WRONLY)?.write_all(value.as_bytes());
        written.map_err(|error| Error::io(&format!("write {value:?} to"), &path(name), &error))
    }

    fn file(&self, name: &str, access: OFlag) -> Result<File> {
        let opened = openat(&self.0, name, access | OFlag::O_CLOEXEC, Mode::empty());
        opened.map(File::from).map_err(|errno| {
            Error::errno(Code::Io, errno).context(format!("open {}", path(name).display()))
        })
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}
