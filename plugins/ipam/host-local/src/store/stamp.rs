//! The stamp by which a change of a folder or file is seen: its time of modification, set to an
//! instant that no clock ever shows.
//!
//! The kernel sets a folder's time to "now" whenever an entry comes or goes, and a file's whenever it
//! is written; "now" is never before 1970, because the clock can't be set there. A time before 1970
//! therefore means that nothing changed since it was put there, whatever the clock's resolution, and
//! the 60 random bits of it tell one putting from another.

use std::os::fd::AsFd;

use cni_common::types::PoolRecord;
use nix::errno::Errno;
use nix::sys::stat::{fstat, futimens};
use nix::sys::time::TimeSpec;

/// A time of modification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mtime {
    /// Seconds since 1970; before it when less than 0.
    pub(super) seconds: i64,
    /// Nanoseconds on top.
    pub(super) nanoseconds: i64,
}

impl Mtime {
    /// The time of `file`.
    pub(super) fn of(file: impl AsFd) -> Result<Self, Errno> {
        let stat = fstat(file)?;
        Ok(Self { seconds: stat.st_mtime, nanoseconds: stat.st_mtime_nsec })
    }

    /// A stamp that was never used: 31 random bits of seconds before 1970, which ext4 and XFS can
    /// store, and 30 of nanoseconds.
    pub(super) fn random() -> Self {
        use std::hash::{BuildHasher, Hasher, RandomState};
        // Keyed from the kernel's random numbers, afresh in each process.
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        let bits = hasher.finish();
        let seconds = -1 - i64::try_from(bits & 0x7fff_fffe).unwrap_or_default();
        let nanoseconds = i64::try_from(bits >> 32).unwrap_or_default() % 1_000_000_000;
        Self { seconds, nanoseconds }
    }

    /// What a record that begins with this stamp is known by.
    pub(super) fn record(self) -> PoolRecord {
        let (seconds, nanoseconds) =
            (self.seconds.cast_unsigned(), self.nanoseconds.cast_unsigned());
        PoolRecord::new((seconds << 32) ^ nanoseconds)
    }

    /// Whether no clock ever shows it.
    pub(super) fn is_stamp(self) -> bool {
        self.seconds < 0
    }

    /// Puts the stamp on `file`.
    pub(super) fn put(self, file: impl AsFd) -> Result<(), Errno> {
        futimens(file, &TimeSpec::UTIME_OMIT, &TimeSpec::new(self.seconds, self.nanoseconds))
    }

    /// Puts it on `file` and says what the file system made of it, which may keep seconds alone.
    pub(super) fn put_and_read(self, file: impl AsFd) -> Result<Self, Errno> {
        self.put(file.as_fd())?;
        Self::of(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_lies_before_1970_and_is_new_each_time() {
        let stamps: Vec<Mtime> = (0..1000).map(|_| Mtime::random()).collect();
        assert!(stamps.iter().all(|stamp| stamp.is_stamp()));
        assert!(stamps.iter().all(|stamp| stamp.seconds >= -(1 << 31)));
        assert!(stamps.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn any_change_of_a_folder_takes_its_stamp_away() {
        let dir = std::env::temp_dir().join(format!("causeway-stamp-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let open = std::fs::File::open(&dir).unwrap();
        let stamp = Mtime::random().put_and_read(&open).unwrap();
        let file = dir.join("10.0.0.1");
        assert!(stamp.is_stamp());
        let changes: [&dyn Fn(); 4] = [
            &|| std::fs::write(&file, "").unwrap(),
            &|| std::fs::rename(&file, dir.join("x")).unwrap(),
            &|| std::fs::hard_link(dir.join("x"), &file).unwrap(),
            &|| std::fs::remove_file(&file).unwrap(),
        ];
        for change in changes {
            stamp.put(&open).unwrap();
            assert_eq!(Mtime::of(&open).unwrap(), stamp);
            change();
            assert!(!Mtime::of(&open).unwrap().is_stamp());
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}
