//! How many children may be waiting at a time, and whether whoever adopts them reaps them.
//!
//! A child outlives its plugin and is adopted: by PID 1, or by a runtime that made itself a subreaper.
//! Some never wait for what they adopt, and each child would stay a zombie. So a child takes a slot
//! in a file, and the slot is free again when /proc shows that its process is gone: on such a host
//! all slots are taken soon, and removals wait as if there were no children. There are few slots
//! until a caller's children were seen to be reaped, and more for that caller from then on.
//!
//! Nothing here fails: without a slot there is no child.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{getpid, getppid};

const FOLDER: &str = "/run/cni";
/// Slots of all callers whose children were not seen to be reaped: no more zombies than these.
const UNPROVEN: u32 = 4;
/// Slots of the others: removals at a time, and those that an init has not reaped half a second later.
const PROVEN: u32 = 512;
/// How many slots are looked at before a removal waits itself. Each costs some 5 µs.
const MAX_PROBES: u32 = 8;
/// How many callers are remembered as proven, each in the place that its PID says.
const CALLERS: u32 = 8;
/// Where the slots begin, after four bytes for each caller.
const SLOTS: u64 = 4 * CALLERS as u64;
/// PID of the child, PID of the plugin's caller, start time of the child.
const RECORD: u64 = 16;
/// A clock tick of /proc (`USER_HZ`) in nanoseconds.
const TICK: u64 = 10_000_000;
/// By how many ticks a child's start time and the time that it notes may differ.
const TOLERANCE: u64 = 100;

/// A slot that is this process's, and its child's until that has ended.
#[derive(Debug)]
pub(super) struct Slot {
    file: File,
    position: u64,
    caller: u32,
}

impl AsFd for Slot {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Slot {
    /// Takes a free slot; `None` if there is none, or no place for the file.
    pub(super) fn claim() -> Option<Self> {
        let file = open(&path()?).ok()?;
        let caller = u32::try_from(getppid().as_raw()).unwrap_or_default();
        let is_proven = is_proven(&file, caller);
        let (first, count) = if is_proven { (UNPROVEN, PROVEN) } else { (0, UNPROVEN) };
        for probe in 0..count.min(MAX_PROBES) {
            let index = first + std::process::id().wrapping_add(probe) % count;
            let position = SLOTS + RECORD * u64::from(index);
            // The lock belongs to the open file, so that it is the child's too, until that ends.
            match fcntl(&file, FcntlArg::F_OFD_SETLK(&lock(libc::F_WRLCK, position))) {
                Ok(_) => {}
                Err(Errno::EAGAIN | Errno::EACCES) => continue,
                Err(_unsupported) => return None,
            }
            let former = Record::read(&file, position);
            if former.is_none_or(|former| former.is_gone()) {
                if former.is_some_and(|former| former.caller == caller) && !is_proven {
                    // A proof that could not be noted is seen another time.
                    remember(&file, caller).ok();
                }
                return Some(Self { file, position, caller });
            }
            fcntl(&file, FcntlArg::F_OFD_SETLK(&lock(libc::F_UNLCK, position))).ok()?;
        }
        None
    }

    /// Notes the calling process as the one that has the slot. For a child: it takes no memory.
    pub(super) fn record(&self) -> nix::Result<()> {
        let record = Record {
            child: u32::try_from(getpid().as_raw()).unwrap_or_default(),
            caller: self.caller,
            started: ticks()?,
        };
        let position = i64::try_from(self.position).map_err(|_too_large| Errno::EOVERFLOW)?;
        nix::sys::uio::pwrite(&self.file, &record.bytes(), position).map(|_length| ())
    }
}

/// A child as its slot shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    child: u32,
    caller: u32,
    started: u64,
}

impl Record {
    fn bytes(self) -> [u8; RECORD as usize] {
        let [a, b, c, d] = self.child.to_ne_bytes();
        let [e, f, g, h] = self.caller.to_ne_bytes();
        let [i, j, k, l, m, n, o, p] = self.started.to_ne_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    fn from_bytes(bytes: [u8; RECORD as usize]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Self {
            child: u32::from_ne_bytes([a, b, c, d]),
            caller: u32::from_ne_bytes([e, f, g, h]),
            started: u64::from_ne_bytes([i, j, k, l, m, n, o, p]),
        }
    }

    /// The record at `position`; `None` if the slot was never used.
    fn read(file: &File, position: u64) -> Option<Self> {
        let mut bytes = [0; RECORD as usize];
        file.read_exact_at(&mut bytes, position).ok()?;
        Some(Self::from_bytes(bytes)).filter(|record| record.child != 0)
    }

    /// Whether the child has ended and was reaped. What can't be seen is still there.
    fn is_gone(self) -> bool {
        match fs::read(format!("/proc/{}/stat", self.child)) {
            Ok(stat) => start_time(&String::from_utf8_lossy(&stat))
                .is_some_and(|start| start.abs_diff(self.started) > TOLERANCE),
            Err(error) => {
                error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
            }
        }
    }
}

/// The 22nd field of /proc/PID/stat: ticks from the boot to the process's start. The second, the
/// name, may contain anything, blanks and brackets included.
fn start_time(stat: &str) -> Option<u64> {
    let (_name, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

fn ticks() -> nix::Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
    let nanoseconds = u64::try_from(now.tv_nsec()).unwrap_or_default();
    let seconds = u64::try_from(now.tv_sec()).unwrap_or_default();
    Ok(seconds.saturating_mul(1_000_000_000 / TICK).saturating_add(nanoseconds / TICK))
}

/// The file, one for each PID namespace: in another one, PIDs mean other processes. `None` where
/// /proc shows another namespace's processes.
fn path() -> Option<PathBuf> {
    let shown = fs::read_link("/proc/self").ok()?;
    if shown != Path::new(&getpid().to_string()) {
        return None;
    }
    let namespace = fs::metadata("/proc/self/ns/pid").ok()?.ino();
    Some(Path::new(FOLDER).join(format!("causeway.removals-{namespace}")))
}

fn open(path: &Path) -> io::Result<File> {
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
    };
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Not /run itself: without one nothing is made.
            match fs::create_dir(FOLDER) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _there => open(),
            }
        }
        other => other,
    }
}

fn lock(kind: i32, position: u64) -> libc::flock {
    libc::flock {
        // The constants are 0, 1 and 2; positions are small.
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: 0,
        l_start: i64::try_from(position).unwrap_or_default(),
        l_len: 1,
        l_pid: 0,
    }
}

fn place(caller: u32) -> u64 {
    4 * u64::from(caller % CALLERS)
}

fn is_proven(file: &File, caller: u32) -> bool {
    let mut bytes = [0; 4];
    // The parent of a plugin at the root of its PID namespace has no PID there.
    caller != 0
        && file.read_exact_at(&mut bytes, place(caller)).is_ok()
        && u32::from_ne_bytes(bytes) == caller
}

fn remember(file: &File, caller: u32) -> io::Result<()> {
    file.write_all_at(&caller.to_ne_bytes(), place(caller))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = Record { child: 0x0102_0304, caller: 7, started: u64::MAX - 5 };
        assert_eq!(Record::from_bytes(record.bytes()), record);
    }

    #[test]
    fn the_start_time_follows_a_name_that_contains_anything() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 99 0 0 0 0 0 0 0 20 0 1 0 123456 0 0";
        assert_eq!(start_time(stat), Some(123_456));
        assert_eq!(start_time("42 (cut"), None);
    }

    #[test]
    fn a_process_that_lives_is_not_gone_and_another_with_its_pid_is() {
        let own = std::process::id();
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let started = start_time(&stat).unwrap();
        assert!(!Record { child: own, caller: 1, started }.is_gone());
        assert!(Record { child: own, caller: 1, started: started + TOLERANCE + 1 }.is_gone());
        // No PID is as large as that.
        assert!(Record { child: u32::MAX, caller: 1, started }.is_gone());
    }
}
