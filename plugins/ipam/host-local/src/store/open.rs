//! Opening files in a folder. A file system that is reached through a network or a process may let a
//! signal interrupt that: it is begun again.

use std::os::fd::{AsFd, OwnedFd};

use nix::NixPath;
use nix::dir::Dir;
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

/// The folder itself, for its entries. The C library asks for the flags of what was opened, which is one
/// more call that may be interrupted.
pub(super) fn open_dir(dir: impl AsFd) -> Result<Dir, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    loop {
        match openat(dir.as_fd(), ".", flags, Mode::empty()).and_then(Dir::from_fd) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}
