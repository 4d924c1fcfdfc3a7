//! The names of system calls.

use nix::libc;

macro_rules! table {
    ($($name:ident $number:ident),* $(,)?) => { &[$((stringify!($name), libc::$number)),*] };
}

#[rustfmt::skip]
const NAMES: &[(&str, i64)] = table![
    bind SYS_bind, brk SYS_brk, capget SYS_capget, chdir SYS_chdir, clock_gettime SYS_clock_gettime,
    clock_nanosleep SYS_clock_nanosleep, clone SYS_clone, clone3 SYS_clone3, close SYS_close,
    close_range SYS_close_range, connect SYS_connect, dup SYS_dup, dup3 SYS_dup3,
    epoll_create1 SYS_epoll_create1, epoll_ctl SYS_epoll_ctl, epoll_pwait SYS_epoll_pwait,
    eventfd2 SYS_eventfd2, execve SYS_execve, exit SYS_exit, exit_group SYS_exit_group,
    faccessat SYS_faccessat, faccessat2 SYS_faccessat2, fchmod SYS_fchmod, fchmodat SYS_fchmodat,
    fchown SYS_fchown, fcntl SYS_fcntl, fdatasync SYS_fdatasync, fgetxattr SYS_fgetxattr,
    flock SYS_flock, fremovexattr SYS_fremovexattr, fsetxattr SYS_fsetxattr, fstat SYS_fstat,
    fsync SYS_fsync, ftruncate SYS_ftruncate, futex SYS_futex, getcwd SYS_getcwd,
    getdents64 SYS_getdents64, geteuid SYS_geteuid, getpid SYS_getpid, getppid SYS_getppid,
    getrandom SYS_getrandom, getsockname SYS_getsockname, getsockopt SYS_getsockopt,
    gettid SYS_gettid, getuid SYS_getuid, ioctl SYS_ioctl, kill SYS_kill, linkat SYS_linkat,
    listxattr SYS_listxattr, lseek SYS_lseek, madvise SYS_madvise, memfd_create SYS_memfd_create,
    mkdirat SYS_mkdirat, mmap SYS_mmap, mount SYS_mount, mprotect SYS_mprotect,
    mremap SYS_mremap, munmap SYS_munmap, nanosleep SYS_nanosleep, newfstatat SYS_newfstatat,
    openat SYS_openat, pidfd_open SYS_pidfd_open, pidfd_send_signal SYS_pidfd_send_signal,
    pipe2 SYS_pipe2, ppoll SYS_ppoll, prctl SYS_prctl, pread64 SYS_pread64,
    prlimit64 SYS_prlimit64, pwrite64 SYS_pwrite64, read SYS_read, readlinkat SYS_readlinkat,
    readv SYS_readv, recvfrom SYS_recvfrom, recvmsg SYS_recvmsg, renameat SYS_renameat,
    renameat2 SYS_renameat2, restart_syscall SYS_restart_syscall, rseq SYS_rseq,
    rt_sigaction SYS_rt_sigaction, rt_sigprocmask SYS_rt_sigprocmask,
    rt_sigreturn SYS_rt_sigreturn, sched_getaffinity SYS_sched_getaffinity,
    sched_yield SYS_sched_yield, sendmmsg SYS_sendmmsg, sendmsg SYS_sendmsg, sendto SYS_sendto,
    set_robust_list SYS_set_robust_list, set_tid_address SYS_set_tid_address, setns SYS_setns,
    setsockopt SYS_setsockopt, shutdown SYS_shutdown, sigaltstack SYS_sigaltstack,
    signalfd4 SYS_signalfd4, socket SYS_socket, socketpair SYS_socketpair, statfs SYS_statfs,
    statx SYS_statx, tgkill SYS_tgkill, uname SYS_uname, unlinkat SYS_unlinkat,
    unshare SYS_unshare, utimensat SYS_utimensat, vfork SYS_vfork, wait4 SYS_wait4,
    waitid SYS_waitid, write SYS_write, writev SYS_writev,
];

/// Calls that only older architectures have.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLDER: &[(&str, i64)] = table![
    access SYS_access, arch_prctl SYS_arch_prctl, dup2 SYS_dup2, epoll_wait SYS_epoll_wait,
    fork SYS_fork, getrlimit SYS_getrlimit, link SYS_link, lstat SYS_lstat, mkdir SYS_mkdir,
    open SYS_open, pipe SYS_pipe, poll SYS_poll, readlink SYS_readlink, rename SYS_rename,
    rmdir SYS_rmdir, select SYS_select, stat SYS_stat, symlink SYS_symlink, unlink SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[(&str, i64)] = &[];

/// What `fcntl` is called where it asks for or sets the flags of a descriptor, which never fails.
const FLAGS: &str = "fcntl_flags";

/// The name of a system call with this second argument.
pub(crate) fn name(number: i64, second: u64) -> String {
    let is_of_flags = |command: &i32| u64::try_from(*command) == Ok(second);
    if number == libc::SYS_fcntl
        && [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL].iter().any(is_of_flags)
    {
        return FLAGS.to_owned();
    }
    let mut known = NAMES.iter().chain(OLDER);
    match known.find(|(_, known)| *known == number) {
        Some((name, _)) => (*name).to_owned(),
        None => format!("syscall_{number}"),
    }
}
