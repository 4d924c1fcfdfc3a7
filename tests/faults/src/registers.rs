//! A traced thread's registers, as far as system calls go: the one file that knows the architecture.

use nix::errno::Errno;
use nix::unistd::Pid;

#[cfg(target_arch = "x86_64")]
use nix::sys::ptrace::{getregs, setregs};

/// Number and first two arguments of the system call that a thread is about to make.
#[cfg(target_arch = "x86_64")]
pub(crate) fn entered(thread: Pid) -> Result<(i64, [u64; 2]), Errno> {
    let registers = getregs(thread)?;
    Ok((registers.orig_rax.cast_signed(), [registers.rdi, registers.rsi]))
}

/// Has the kernel make no call at all.
#[cfg(target_arch = "x86_64")]
pub(crate) fn skip(thread: Pid) -> Result<(), Errno> {
    let mut registers = getregs(thread)?;
    registers.orig_rax = u64::MAX;
    setregs(thread, registers)
}

/// Sets the first argument of a call; a caller finds it again in its register when the call ends.
#[cfg(target_arch = "x86_64")]
pub(crate) fn set_argument(thread: Pid, value: u64) -> Result<(), Errno> {
    let mut registers = getregs(thread)?;
    registers.rdi = value;
    setregs(thread, registers)
}

/// Sets what the call that has just ended answers.
#[cfg(target_arch = "x86_64")]
pub(crate) fn answer(thread: Pid, value: i64) -> Result<(), Errno> {
    let mut registers = getregs(thread)?;
    registers.rax = value.cast_unsigned();
    setregs(thread, registers)
}

/// Only x86_64 so far.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn entered(_thread: Pid) -> Result<(i64, [u64; 2]), Errno> {
    Err(Errno::ENOSYS)
}

/// Only x86_64 so far.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn skip(_thread: Pid) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// Only x86_64 so far.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn set_argument(_thread: Pid, _value: u64) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// Only x86_64 so far.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn answer(_thread: Pid, _value: i64) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}
