//! Opening files in a folder. A file system that is reached through a network or a process may let a
//! signal interrupt that: it is begun again.

use std::os::fd::{AsFd, OwnedFd};

use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::stat::Mode;

/// `openat`, whose file is closed when another program is executed.
pub(super) fn openat<P: ?Sized + NixPath>(
    dir: impl AsFd,
    path: &P,
    flags: OFlag,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    loop {
        match fcntl::openat(dir.as_fd(), path, flags | OFlag::O_CLOEXEC, mode) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}
