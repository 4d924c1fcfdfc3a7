//! What this suite notes of an address file when it makes it: in which boot, and who makes the
//! attachment that it is for. Extended attributes of the file itself.
//!
//! They live and die with the file: whoever makes the file anew, makes it without. So they can be
//! missing (another plugin's file, a copy, a file system without attributes), which means "of unknown
//! origin, never to be reclaimed", but they can't be wrong.

use std::fs::File;
use std::io;
use std::path::Path;

use cni_common::sys::attacher::Attacher;
use rustix::fs::{XattrFlags, fsetxattr, lgetxattr};
use rustix::io::Errno;

const BOOT: &str = "user.causeway.boot";
const ATTACHER: &str = "user.causeway.attacher";
/// The kernel's boot ID is 36 characters long.
const MAX_BOOT: usize = 64;
/// An interface name and four numbers of at most 20 digits.
const MAX_ATTACHER: usize = 128;

/// What is noted of an address file; whatever is missing is unknown.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// The boot it was made in.
    pub(super) boot: Option<String>,
    /// Who makes the attachment.
    pub(super) attacher: Option<String>,
}

impl Origin {
    /// Whether the file was made by this suite in an earlier boot than `now`.
    pub(super) fn is_of_earlier_boot(&self, now: Option<&str>) -> bool {
        match (self.boot.as_deref(), now) {
            (Some(boot), Some(now)) => boot != now,
            _ => false,
        }
    }

    /// Whether the attachment that the address was allocated for in this boot, `now`, is proved to be
    /// dead.
    pub(super) fn is_of_dead_attachment(&self, now: Option<&str>) -> bool {
        let attacher = || self.attacher.as_deref()?.parse::<Attacher>().ok();
        now.is_some()
            && self.boot.as_deref() == now
            && attacher().is_some_and(|attacher| attacher.is_dead())
    }
}

/// The running boot's ID; `None` where /proc does not tell.
pub(super) fn this_boot() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty() && id.len() <= MAX_BOOT)
}

/// Notes on `file` where it comes from. Fails only for want of room.
pub(super) fn write(file: &File, origin: &Origin) -> io::Result<()> {
    for (name, value) in [(BOOT, &origin.boot), (ATTACHER, &origin.attacher)] {
        let Some(value) = value else { continue };
        let written = fsetxattr(file, name, value.as_bytes(), XattrFlags::empty());
        // Where attributes are not to be had, the lease is one of unknown origin.
        if let Err(errno @ (Errno::NOSPC | Errno::DQUOT)) = written {
            return Err(errno.into());
        }
    }
    Ok(())
}

/// What is noted on the file at `path`.
pub(super) fn read(path: &Path) -> Origin {
    Origin {
        boot: read_one::<MAX_BOOT>(path, BOOT),
        attacher: read_one::<MAX_ATTACHER>(path, ATTACHER),
    }
}

fn read_one<const MAX: usize>(path: &Path, name: &str) -> Option<String> {
    let mut value = [0; MAX];
    let length = lgetxattr(path, name, &mut value[..]).ok()?;
    let text = std::str::from_utf8(value.get(..length)?).ok()?;
    Some(text.to_owned()).filter(|text| !text.is_empty())
}
