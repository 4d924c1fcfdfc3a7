//! Network namespaces: opening one by any path callers use, and working inside it.
//!
//! Only [`Netns::run`] moves a thread, for as long as one closure takes (docs/decisions/0016). A
//! socket opened there stays there.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};

use super::netlink::Netlink;
use crate::error::{Code, Context, Error, Result};

/// The calling thread's own namespace.
const OWN: &str = "/proc/thread-self/ns/net";
/// How often a thread tries to return to its own namespace.
const MAX_RETRIES: usize = 100;

/// An open network namespace: `/run/netns/NAME`, `/proc/PID/ns/net`, or a bind mount anywhere.
#[derive(Debug)]
pub struct Netns {
    file: File,
    path: PathBuf,
}

impl Netns {
    /// Opens the namespace at `path` and a netlink socket inside it.
    ///
    /// Code 8 when there is nothing, when it is no network namespace, or when it is the calling
    /// process's own and that is refused.
    pub fn open(path: &Path, own: OwnNetns) -> Result<(Self, Netlink)> {
        let netns = Self::open_file(path)?;
        netns.refuse_own(own)?;
        let netlink = netns.netlink()?;
        Ok((netns, netlink))
    }

    /// Opens the namespace at `path` if there still is something; code 8 only for the calling
    /// process's own.
    pub fn open_if_present(path: &Path, own: OwnNetns) -> Result<Option<Self>> {
        let netns = match Self::open_file(path) {
            Ok(netns) => netns,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.with_code(Code::Io)),
        };
        netns.refuse_own(own)?;
        Ok(Some(netns))
    }

    /// A netlink socket inside it; `None` if it is no network namespace (any more: what is left of
    /// one that was unmounted is a plain file).
    pub fn netlink_if_netns(&self) -> Result<Option<Netlink>> {
        match self.netlink() {
            Ok(netlink) => Ok(Some(netlink)),
            Err(error) if error.raw_errno() == Some(Errno::EINVAL) => Ok(None),
            Err(error) => Err(error.with_code(Code::Io)),
        }
    }

    fn netlink(&self) -> Result<Netlink> {
        self.run(Netlink::open)?
    }

    fn open_file(path: &Path) -> Result<Self> {
        // Non-blocking, because a FIFO by that name would never answer.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits())
            .open(path)
            .map_err(|error| {
                Error::io("failed to open netns", path, &error).with_code(Code::InvalidNetns)
            })?;
        Ok(Self { file, path: path.to_owned() })
    }

    fn refuse_own(&self, own: OwnNetns) -> Result<()> {
        if own == OwnNetns::Allowed || !self.is_own()? {
            return Ok(());
        }
        let message = "plugin's netns and netns from CNI_NETNS should not be the same";
        Err(Error::new(Code::InvalidNetns, message)
            .with_details(format!("CNI_NETNS={}", self.path.display())))
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The descriptor, for netlink attributes that name a namespace.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Whether it is the namespace of this process.
    fn is_own(&self) -> Result<bool> {
        let own_path = Path::new(OWN);
        let own =
            std::fs::metadata(own_path).map_err(|error| Error::io("look up", own_path, &error))?;
        let given =
            self.file.metadata().map_err(|error| Error::io("look up", &self.path, &error))?;
        Ok((own.dev(), own.ino()) == (given.dev(), given.ino()))
    }

    /// Does `work` with the calling thread inside the namespace, and brings the thread back.
    ///
    /// Fails when the namespace can't be entered; a panic in `work` goes on once the thread is back.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        let enter = || -> Result<Away> {
            let own = Path::new(OWN);
            let home = File::open(own).map_err(|error| Error::io("open", own, &error))?;
            setns(&self.file, CloneFlags::CLONE_NEWNET).map_err(|errno| match errno {
                Errno::EINVAL => {
                    Error::errno(Code::InvalidNetns, errno).context("not a network namespace")
                }
                _ => Error::errno(Code::InvalidNetns, errno).context("enter the namespace"),
            })?;
            Ok(Away { home })
        };
        let away = enter().with_context(|| format!("netns {:?}", self.path.display()))?;
        let done = work();
        drop(away);
        Ok(done)
    }
}

/// The thread is in another namespace than its own until this is dropped.
struct Away {
    home: File,
}

impl Drop for Away {
    fn drop(&mut self) {
        // It was in there a moment ago, so that only want of memory can keep it from returning.
        for _ in 0..MAX_RETRIES {
            if setns(&self.home, CloneFlags::CLONE_NEWNET).is_ok() {
                return;
            }
        }
        // Whatever it did from here on would be done to the wrong namespace. What an ADD that dies
        // has left, DEL finds.
        std::process::abort();
    }
}

/// Whether there is no network namespace at the path any more. What can't be asked is no proof.
pub fn is_gone(path: &Path) -> bool {
    path.is_absolute()
        && match Netns::open_if_present(path, OwnNetns::Allowed) {
            Ok(None) => true,
            Ok(Some(found)) => matches!(found.netlink_if_netns(), Ok(None)),
            Err(_) => false,
        }
}

/// Whether `CNI_NETNS` may name the namespace the plugin itself runs in (`CNI_NETNS_OVERRIDE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnNetns {
    /// It may.
    Allowed,
    /// It may not: code 8.
    Refused,
}
