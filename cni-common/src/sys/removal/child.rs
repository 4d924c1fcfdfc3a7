//! The only unsafe code of the suite: a child process that waits for the kernel in the plugin's place.
//!
//! The child sends one request, or none, and then holds whatever sockets it was handed until the
//! plugin has ended; closing them is its end. It executes no program, answers nothing and takes no
//! memory: between `fork` and `_exit` are system calls and nothing else.

#![allow(unsafe_code, reason = "fork and its end have no safe form; each use says why it is sound")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::unistd::{ForkResult, fork};

use super::slot::Slot;

/// How long the child waits for the plugin's end once its request is done, in milliseconds. A plugin
/// that takes longer closes its sockets itself.
const MAX_WAIT: u16 = 2_000;
/// How long the child keeps netfilter sockets after that, in milliseconds. The kernel closes one under the
/// lock of all changes to its namespace's rules, and waits there for what was deleted, if that is not
/// freed yet: the next plugin of a chain would wait with it. After a deletion that is some 10 ms.
const KEPT: u16 = 100;

/// What a child is to do, prepared so that it needs no memory for it.
pub(super) struct Task<'a> {
    /// Where it leaves its process ID.
    pub(super) slot: &'a Slot,
    /// A request, and the socket to send it by.
    pub(super) request: Option<(BorrowedFd<'a>, &'a [u8])>,
}

/// Starts the child. What is returned is the plugin's end of a socket pair: it is readable, at its end
/// of file, when the child has ended, and the child waits until it is closed. Sockets sent through
/// it are closed by the child's end.
///
/// A child without request sends one byte when it has let go of all descriptors of the plugin's.
pub(super) fn start(task: &Task<'_>) -> nix::Result<OwnedFd> {
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    let slot = task.slot.as_fd().as_raw_fd();
    let socket = task.request.map_or(slot, |(socket, _)| socket.as_raw_fd());
    let mut kept = [theirs.as_raw_fd(), slot, socket];
    kept.sort_unstable();
    // SAFETY: the child calls functions that are safe after a signal, and nothing else: it takes no
    // memory, no lock and no destructor runs, so it does not matter what other threads of the plugin
    // were doing. It leaves by `_exit` and never returns from this match.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => Ok(ours),
        ForkResult::Child => {
            run(task, kept, theirs.as_fd());
            // SAFETY: ends the process without touching its memory: no handler of the plugin's runs,
            // no output that it had begun is written a second time.
            unsafe { libc::_exit(0) }
        }
    }
}

/// All that the child does. Whatever fails ends it, and the plugin then waits itself.
fn run(task: &Task<'_>, kept: [RawFd; 3], channel: BorrowedFd<'_>) {
    // First of all: a caller may read the plugin's output until nobody has it open any more.
    if !close_all_but(kept) || task.slot.record().is_err() {
        return;
    }
    let sent = match task.request {
        // Returns when the kernel has done all that belongs to it; the answer is for the plugin.
        Some((socket, bytes)) => send(socket.as_raw_fd(), bytes, MsgFlags::empty()),
        None => send(channel.as_raw_fd(), &[0], MsgFlags::MSG_NOSIGNAL),
    };
    if sent.is_ok() {
        // No event but the end of the other side is asked for.
        poll(&mut [PollFd::new(channel, PollFlags::empty())], PollTimeout::from(MAX_WAIT)).ok();
        if has_sockets(channel) {
            poll(&mut [], PollTimeout::from(KEPT)).ok();
        }
    }
}

/// Whether any socket was handed over: they are in the queue of the channel.
fn has_sockets(channel: BorrowedFd<'_>) -> bool {
    recv(channel.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) == Ok(1)
}

/// Closes every descriptor but those, which are in ascending order.
fn close_all_but(kept: [RawFd; 3]) -> bool {
    let mut first = 0;
    for descriptor in kept.into_iter().map(i64::from) {
        if descriptor > first && !close_range(first, descriptor - 1) {
            return false;
        }
        first = descriptor + 1;
    }
    close_range(first, i64::from(u32::MAX))
}

fn close_range(first: i64, last: i64) -> bool {
    // SAFETY: nothing in the child uses a descriptor that is closed here, and the plugin's own are
    // copies that this does not touch.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) == 0 }
}
