//! Advisory locks on single bytes of one file: as many locks as there are numbers, in one empty
//! file that is never removed.
//!
//! A lock is an open-file-description lock (fcntl(2)): the kernel takes it away when the process
//! ends, however it ends, and a program that is started does not inherit it. Nothing here knows what
//! is protected.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

use crate::error::{Code, Error, Result};
use crate::log;

/// A locked byte, until the value is dropped or the process ends.
#[derive(Debug)]
pub struct ByteLock {
    _file: File,
}

impl ByteLock {
    /// Locks the byte at `offset` of the file at `path`, which is made if it is missing, and so is
    /// its folder.
    ///
    /// `None` where no such file can be had: the folder is read-only, the file system has no locks.
    /// Error 11 if another process holds the lock for longer than `timeout`; it names that process.
    pub fn acquire(path: &Path, offset: i64, timeout: Duration) -> Result<Option<Self>> {
        let file = match open(path) {
            Ok(file) => file,
            Err(error) => {
                log::debug(|| format!("no lock: {}", Error::io("open", path, &error)));
                return Ok(None);
            }
        };
        match lock(&file, offset, Wait::No) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(Errno::EAGAIN | Errno::EACCES) => {
                let doing = || format!("wait for the lock on byte {offset} of {}", path.display());
                log::step(doing, || wait(file, path, (offset, timeout))).map(Some)
            }
            Err(errno) => {
                log::debug(|| format!("no lock: {}", Error::io("lock", path, &errno.into())));
                Ok(None)
            }
        }
    }

    /// The same without waiting: `None` also if it is held.
    pub(crate) fn try_acquire(path: &Path, offset: i64) -> Option<Self> {
        let file = open(path).ok()?;
        lock(&file, offset, Wait::No).ok()?;
        Some(Self { _file: file })
    }
}

#[derive(Clone, Copy)]
enum Wait {
    No,
    Yes,
}

fn open(path: &Path) -> std::io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600).custom_flags(flags.bits());
    match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            options.open(path)
        }
        other => other,
    }
}

fn lock(file: &File, offset: i64, wait: Wait) -> std::result::Result<(), Errno> {
    let byte = libc::flock {
        // The constant is 1.
        l_type: i16::try_from(libc::F_WRLCK).unwrap_or_default(),
        l_whence: 0,
        l_start: offset,
        l_len: 1,
        l_pid: 0,
    };
    loop {
        let done = match wait {
            Wait::No => fcntl(file, FcntlArg::F_OFD_SETLK(&byte)),
            Wait::Yes => fcntl(file, FcntlArg::F_OFD_SETLKW(&byte)),
        };
        match done {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// A blocked system call can't be given a deadline, a channel can. The thread of a call that gave
/// up ends with the process, or drops the lock that it got for nobody.
fn wait(file: File, path: &Path, (offset, timeout): (i64, Duration)) -> Result<ByteLock> {
    let inode = file.metadata().map(|metadata| metadata.ino()).unwrap_or_default();
    let (send, receive) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .spawn(move || send.send(lock(&file, offset, Wait::Yes).map(|()| file)).ok())
        .map_err(|error| Error::io("wait for lock", path, &error))?;
    match receive.recv_timeout(timeout) {
        Ok(Ok(file)) => {
            // While a second thread lives it may be the one that gets a signal which the first
            // blocks and waits for: SIGCHLD of a delegate.
            thread.join().ok();
            Ok(ByteLock { _file: file })
        }
        Ok(Err(errno)) => Err(Error::io("lock", path, &errno.into())),
        Err(_timeout) => {
            let holder = match holder(inode, offset) {
                Some(process) => format!("process {process}"),
                None => "a process that is not visible in /proc".to_owned(),
            };
            let seconds = timeout.as_secs();
            let message = format!("{holder} has not ended within {seconds} s");
            Err(Error::new(Code::TryAgainLater, message)
                .with_details(format!("it holds the lock on byte {offset} of {}", path.display())))
        }
    }
}

/// The process that holds the lock, with its name. /proc/locks does not say it of locks of this
/// kind; the holder's `fdinfo` does.
fn holder(inode: u64, offset: i64) -> Option<String> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter(|process| process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit))
        .find(|process| {
            let files = fs::read_dir(process.path().join("fdinfo")).into_iter().flatten().flatten();
            files
                .filter_map(|file| fs::read_to_string(file.path()).ok())
                .any(|text| text.lines().any(|line| is_lock(line, inode, offset)))
        })
        .map(|process| {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            format!("{} ({})", process.file_name().to_string_lossy(), name.trim_end())
        })
}

/// `lock: 1: OFDLCK ADVISORY WRITE -1 <major>:<minor>:<inode> <first> <last>`
fn is_lock(line: &str, inode: u64, offset: i64) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["lock:", _, "OFDLCK", _, _, _, place, first, last] = words.as_slice() else {
        return false;
    };
    let offset = offset.to_string();
    place.ends_with(&format!(":{inode}")) && *first == offset && *last == offset
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn folder(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("causeway-{name}-{}", std::process::id()))
    }

    #[test]
    fn two_bytes_are_two_locks_and_one_byte_is_one() {
        let folder = folder("bytes");
        let path = folder.join("sub/lock");
        let first = ByteLock::acquire(&path, 1 << 44, SOON).unwrap().unwrap();
        ByteLock::acquire(&path, (1 << 44) + 1, SOON).unwrap().unwrap();
        let error = ByteLock::acquire(&path, 1 << 44, Duration::from_millis(50)).unwrap_err();
        assert!(error.is(Code::TryAgainLater));
        let holder = format!("process {} (", std::process::id());
        assert!(error.message().starts_with(&holder), "{error}");
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || ByteLock::acquire(&path, 1 << 44, SOON).unwrap().is_some()
        });
        drop(first);
        assert!(waiting.join().unwrap());
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn where_no_file_can_be_there_is_no_lock() {
        let folder = folder("nowhere");
        fs::write(&folder, "").unwrap();
        assert!(ByteLock::acquire(&folder.join("lock"), 1, SOON).unwrap().is_none());
        fs::remove_file(folder).unwrap();
    }
}
