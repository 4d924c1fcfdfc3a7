//! Which errors fit which system call: those that its manual page names, and that a full disk or
//! memory, a limit, missing rights or a signal can bring about on a working kernel.

use nix::errno::Errno::{self, *};

/// By name. A call that is in no row can't fail on a working kernel (`gettid`, `rt_sigaction` …), or
/// not in a way that its caller could see (`exit_group`): it is a place to be killed at only. `dup2` is
/// made where all signals are blocked, between fork and exec, so that none interrupts it; `getrandom`
/// is never asked not to wait.
const FITTING: &[(&str, &[Errno])] = &[
    ("bind", &[ENOMEM, ENOBUFS, EPERM]),
    ("brk", &[ENOMEM]),
    ("clone", &[EAGAIN, ENOMEM]),
    ("clone3", &[EAGAIN, ENOMEM]),
    ("close", &[EIO, EINTR]),
    ("close_range", &[ENOMEM, EPERM]),
    ("connect", &[ENOBUFS, EPERM, EINTR]),
    ("dup2", &[EMFILE, EBUSY]),
    ("dup3", &[EMFILE, EBUSY]),
    ("epoll_create1", &[EMFILE, ENOMEM]),
    ("epoll_ctl", &[ENOMEM, ENOSPC]),
    ("epoll_wait", &[EINTR]),
    ("eventfd2", &[EMFILE, ENOMEM]),
    ("execve", &[ENOMEM, EACCES, EIO, EMFILE]),
    ("fchmod", &[EIO, EPERM]),
    ("fcntl", &[EMFILE, EINTR]),
    ("fgetxattr", &[EIO, ENOMEM]),
    ("flock", &[ENOLCK, EINTR]),
    ("fsetxattr", &[ENOSPC, EIO, EPERM, ENOMEM]),
    ("fstat", &[EIO, ENOMEM]),
    ("fsync", &[EIO, ENOSPC]),
    ("ftruncate", &[EIO, ENOSPC, EINTR]),
    ("futex", &[EINTR]),
    ("getdents64", &[EIO, ENOMEM]),
    ("getrandom", &[EINTR]),
    ("getsockname", &[ENOBUFS]),
    ("linkat", &[ENOSPC, EIO, EPERM, ENOMEM]),
    ("lseek", &[EIO]),
    ("madvise", &[ENOMEM, EAGAIN]),
    ("memfd_create", &[EMFILE, ENOMEM]),
    ("mkdir", &[ENOSPC, EIO, EACCES]),
    ("mkdirat", &[ENOSPC, EIO, EACCES]),
    ("mmap", &[ENOMEM, EAGAIN]),
    ("mprotect", &[ENOMEM]),
    ("mremap", &[ENOMEM]),
    ("munmap", &[ENOMEM]),
    ("newfstatat", &[EIO, ENOMEM, EACCES]),
    ("openat", &[EIO, ENOSPC, EMFILE, ENOMEM, EACCES, EINTR]),
    ("pidfd_open", &[EMFILE, ENOMEM]),
    ("pipe2", &[EMFILE, ENFILE]),
    ("poll", &[EINTR, ENOMEM]),
    ("ppoll", &[EINTR, ENOMEM]),
    ("pread64", &[EIO, EINTR, ENOMEM]),
    ("pwrite64", &[EIO, ENOSPC, EINTR]),
    ("read", &[EIO, EINTR, ENOMEM]),
    ("readlink", &[EIO, ENOMEM]),
    ("readlinkat", &[EIO, ENOMEM]),
    ("recvfrom", &[ENOBUFS, ENOMEM, EINTR, EAGAIN]),
    ("recvmsg", &[ENOBUFS, ENOMEM, EINTR, EAGAIN]),
    ("rename", &[ENOSPC, EIO, EBUSY, EPERM]),
    ("renameat", &[ENOSPC, EIO, EBUSY, EPERM]),
    ("renameat2", &[ENOSPC, EIO, EBUSY, EPERM]),
    ("rmdir", &[EIO, EBUSY, EPERM]),
    ("sendmsg", &[ENOBUFS, ENOMEM, EPERM, EINTR, EAGAIN]),
    ("sendto", &[ENOBUFS, ENOMEM, EPERM, EBUSY, EINTR, EAGAIN]),
    ("setns", &[EPERM, ENOMEM]),
    ("setsockopt", &[ENOBUFS, ENOMEM, EPERM]),
    ("sigaltstack", &[ENOMEM]),
    ("signalfd4", &[EMFILE, ENOMEM]),
    ("socket", &[EMFILE, ENOBUFS, ENOMEM, EPERM]),
    ("socketpair", &[EMFILE, ENOMEM]),
    ("statx", &[EIO, ENOMEM, EACCES]),
    ("unlink", &[EIO, EBUSY, EPERM]),
    ("unlinkat", &[EIO, EBUSY, EPERM]),
    ("utimensat", &[EIO, EPERM, EACCES]),
    ("wait4", &[EINTR]),
    ("write", &[EIO, ENOSPC, EINTR]),
    ("writev", &[EIO, ENOSPC, EINTR]),
];

/// The errors that fit `call`.
pub(crate) fn fitting(call: &str) -> &'static [Errno] {
    FITTING.iter().find(|(name, _)| *name == call).map_or(&[], |(_, errnos)| errnos)
}

/// The error of that name, if any call fails with it.
pub(crate) fn named(name: &str) -> Option<Errno> {
    let mut all = FITTING.iter().flat_map(|(_, errnos)| errnos.iter());
    all.find(|errno| format!("{errno:?}") == name).copied()
}
