//! In which boot this suite made an address file: an extended attribute of the file itself.
//!
//! It lives and dies with the file: whoever makes the file anew, makes it without. So it can be
//! missing (another plugin's file, a copy, a file system without attributes), which means "of unknown
//! origin, never to be reclaimed", but it can't be wrong.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{XattrFlags, fsetxattr, lgetxattr};
use rustix::io::Errno;

const NAME: &str = "user.causeway.boot";
/// The kernel's boot ID is 36 characters long.
const MAX_LENGTH: usize = 64;

/// The running boot's ID; `None` where /proc does not tell.
pub(super) fn this_boot() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty() && id.len() <= MAX_LENGTH)
}

/// Notes on `file` that it was made in `boot`. Fails only for want of room.
pub(super) fn write(file: &File, boot: Option<&str>) -> io::Result<()> {
    let Some(boot) = boot else { return Ok(()) };
    match fsetxattr(file, NAME, boot.as_bytes(), XattrFlags::empty()) {
        Err(errno @ (Errno::NOSPC | Errno::DQUOT)) => Err(errno.into()),
        // Where attributes are not to be had, the lease is one of unknown origin.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The boot in which the file at `path` was made by this suite.
pub(super) fn read(path: &Path) -> Option<String> {
    let mut value = [0; MAX_LENGTH];
    let length = lgetxattr(path, NAME, &mut value[..]).ok()?;
    let text = std::str::from_utf8(value.get(..length)?).ok()?;
    Some(text.to_owned()).filter(|id| !id.is_empty())
}
