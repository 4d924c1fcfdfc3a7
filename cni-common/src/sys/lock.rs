//! An advisory lock on a file, waited for in turn and not for ever.
//!
//! The lock itself is `flock(LOCK_EX)`, which the reference plugins take on the same file. The
//! kernel wakes all who wait for a flock at once, so the turn is kept by tickets: open-file-description
//! locks on bytes of the same file, at an offset that is the time of arrival. A process that dies
//! loses ticket and lock by the kernel's hand. Nothing here knows what the file protects.

use std::fs::File;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::time::{ClockId, clock_gettime};

use crate::error::{Code, Error, Result};
use crate::log;

/// How often the holder is looked for: the kernel lists all locks of the machine in several parts, and
/// passes one over when others before it go in between.
const LOOKS: usize = 5;

/// A file locked for this process alone, until the value is dropped.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Locks `file`, which was opened at `path` for reading and writing.
    ///
    /// Not had within `timeout` is error 11 that names the process holding it.
    pub fn acquire(file: File, path: &Path, timeout: Duration) -> Result<Self> {
        if !anybody_waits(&file) && fs2::FileExt::try_lock_exclusive(&file).is_ok() {
            return Ok(Self { file });
        }
        let doing = || format!("wait for the lock {}", path.display());
        log::step(doing, || Self::wait(file, path, timeout))
    }

    fn wait(file: File, path: &Path, timeout: Duration) -> Result<Self> {
        let holder = Identity::of(&file);
        let (give, take) = mpsc::channel();
        // A blocked system call cannot be given a deadline, a channel can. The thread of a call
        // that gave up ends with the process, or drops what it got for nobody.
        std::thread::Builder::new()
            .spawn(move || give.send(wait_in_turn(file)).ok())
            .map_err(|error| Error::io("wait for lock", path, &error))?;
        match take.recv_timeout(timeout) {
            Ok(Ok(file)) => Ok(Self { file }),
            Ok(Err(error)) => Err(Error::io("lock", path, &error)),
            Err(_timeout) => Err(late(path, timeout, holder)),
        }
    }

    /// The locked file.
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// A write lock (`F_WRLCK`) or read lock (`F_RDLCK`) on `len` bytes from `start`.
fn range(kind: i32, start: i64, len: i64) -> libc::flock {
    libc::flock {
        // The three constants are 0, 1 and 2.
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: 0,
        l_start: start,
        l_len: len,
        l_pid: 0,
    }
}

fn anybody_waits(file: &File) -> bool {
    let mut probe = range(libc::F_WRLCK, 0, 0);
    let asked = fcntl(file, FcntlArg::F_OFD_GETLK(&mut probe));
    // A file system without these locks has no turns; the flock alone still excludes.
    asked.is_ok() && i32::from(probe.l_type) != libc::F_UNLCK
}

/// Draws a ticket, waits until every earlier one is gone, then for the flock.
fn wait_in_turn(file: File) -> std::io::Result<File> {
    if let Some(ticket) = draw_ticket(&file) {
        let earlier = range(libc::F_RDLCK, 0, ticket);
        while let Err(Errno::EINTR) = fcntl(&file, FcntlArg::F_OFD_SETLKW(&earlier)) {}
    }
    fs2::FileExt::lock_exclusive(&file)?;
    Ok(file)
}

/// The ticket: a locked byte at the present nanosecond since boot. `None` without such locks.
fn draw_ticket(file: &File) -> Option<i64> {
    // Two arrive in one nanosecond at most; a few more tries than that.
    for _ in 0..8 {
        let now = clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?;
        let ticket = now.tv_sec().checked_mul(1_000_000_000)?.checked_add(now.tv_nsec())?;
        match fcntl(file, FcntlArg::F_OFD_SETLK(&range(libc::F_WRLCK, ticket, 1))) {
            Ok(_) => return Some(ticket),
            Err(Errno::EAGAIN | Errno::EACCES | Errno::EINTR) => {}
            Err(_unsupported) => return None,
        }
    }
    None
}

fn late(path: &Path, timeout: Duration, identity: Option<Identity>) -> Error {
    let look = || std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let found = identity.and_then(|identity| (0..LOOKS).find_map(|_| identity.holder(&look())));
    let holder = match found {
        Some(pid) => format!("held by process {pid}{}", name_of(pid)),
        None => "its holder is not visible in /proc/locks".to_owned(),
    };
    let message =
        format!("lock {} not acquired within {} s: {holder}", path.display(), timeout.as_secs());
    Error::new(Code::TryAgainLater, message)
}

fn name_of(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm"))
        .map(|name| format!(" ({})", name.trim_end()))
        .unwrap_or_default()
}

/// How `/proc/locks` names a file.
#[derive(Clone, Copy)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(file: &File) -> Option<Self> {
        let stat = nix::sys::stat::fstat(file).ok()?;
        Some(Self { device: stat.st_dev, inode: stat.st_ino })
    }

    /// The process that has a flock on the file. Some file systems show another device in
    /// `/proc/locks` than in stat: a line with the right inode is the second choice.
    fn holder(self, locks: &str) -> Option<u32> {
        let device = format!(
            "{:02x}:{:02x}",
            nix::sys::stat::major(self.device),
            nix::sys::stat::minor(self.device)
        );
        let held: Vec<(u32, bool)> =
            locks.lines().filter_map(|line| self.flock_of(line, &device)).collect();
        held.iter().find(|(_, exact)| *exact).or_else(|| held.first()).map(|(pid, _)| *pid)
    }

    /// `<n>: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> 0 EOF`; waiters have `->` after
    /// the number.
    fn flock_of(self, line: &str, device: &str) -> Option<(u32, bool)> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, place, ..] = words.as_slice() else { return None };
        let (at, inode) = place.rsplit_once(':')?;
        if inode.parse() != Ok(self.inode) {
            return None;
        }
        Some((pid.parse().ok()?, at == device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKS: &str = "\
1: POSIX  ADVISORY  WRITE 7 fe:00:42 0 EOF
2: FLOCK  ADVISORY  WRITE 8 00:2a:42 0 EOF
3: FLOCK  ADVISORY  WRITE 9 fe:00:42 0 EOF
3: -> FLOCK  ADVISORY  WRITE 10 fe:00:42 0 EOF
";

    #[test]
    fn the_holder_is_the_flock_on_the_same_device() {
        let identity = |device, inode| Identity { device, inode };
        let device = nix::sys::stat::makedev(0xfe, 0);
        assert_eq!(identity(device, 42).holder(LOCKS), Some(9));
        assert_eq!(identity(nix::sys::stat::makedev(1, 1), 42).holder(LOCKS), Some(8));
        assert_eq!(identity(device, 43).holder(LOCKS), None);
    }

    fn open(path: &Path) -> File {
        File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap()
    }

    #[test]
    fn a_lock_not_had_in_time_is_error_11_naming_its_holder() {
        let path = std::env::temp_dir().join(format!("causeway-lock-{}", std::process::id()));
        let held = FileLock::acquire(open(&path), &path, Duration::from_secs(5)).unwrap();
        let error = FileLock::acquire(open(&path), &path, Duration::from_millis(50)).unwrap_err();
        assert!(error.is(Code::TryAgainLater));
        let wanted = format!("held by process {} (", std::process::id());
        assert!(error.message().contains(&wanted), "{error}");
        drop(held);
        // The thread that gave up may have got the lock for a moment; it drops it.
        FileLock::acquire(open(&path), &path, Duration::from_secs(5)).unwrap();
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn those_who_wait_are_served_in_the_order_of_their_coming() {
        let path = std::env::temp_dir().join(format!("causeway-turn-{}", std::process::id()));
        let held = FileLock::acquire(open(&path), &path, Duration::from_secs(5)).unwrap();
        let (say, hear) = mpsc::channel();
        let waiters: Vec<_> = (0..8)
            .map(|number| {
                let (say, file, path) = (say.clone(), open(&path), path.clone());
                let queue = open(&path);
                let waiter = std::thread::spawn(move || {
                    let _lock = FileLock::acquire(file, &path, Duration::from_secs(20)).unwrap();
                    say.send(number).unwrap();
                });
                // Its ticket is drawn when that many tickets are there to be seen.
                let mine = || tickets(&queue) > number;
                while !mine() {
                    std::thread::yield_now();
                }
                waiter
            })
            .collect();
        drop(held);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert_eq!(hear.try_iter().collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
        std::fs::remove_file(path).unwrap();
    }

    /// How many tickets are drawn on `file`.
    fn tickets(file: &File) -> usize {
        let inode = nix::sys::stat::fstat(file).unwrap().st_ino.to_string();
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        let drawn = |line: &&str| {
            line.contains("OFDLCK")
                && line.contains("WRITE")
                && line.contains(&format!(":{inode} "))
        };
        locks.lines().filter(drawn).count()
    }
}
