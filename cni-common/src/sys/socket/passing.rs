//! Which of a socket's troubles pass by themselves.

use std::io;

use nix::errno::Errno;

use crate::error::{Code, Error};

/// Whether a socket's trouble may be over at once.
pub(in crate::sys) fn is_transient_errno(errno: Errno) -> bool {
    matches!(errno, Errno::EINTR | Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM)
}

/// The same of what a system call says.
pub(super) fn is_transient_io(error: &io::Error) -> bool {
    error.raw_os_error().map(Errno::from_raw).is_some_and(is_transient_errno)
}

/// Whether what the error came from may be over at once.
pub(in crate::sys) fn is_transient(error: &Error) -> bool {
    error.raw_errno().is_some_and(is_transient_errno)
}

/// The error of a system call on a socket.
pub(super) fn socket_error(error: &io::Error, doing: &str) -> Error {
    let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    Error::errno(Code::Io, errno).context(doing)
}
