//! Removals that are over when the kernel says so (docs/decisions/0027).
//!
//! A removed link is announced long before its sender gets an answer: neither end can be seen or named
//! any more, and what follows is the kernel's wait until nobody can be using the memory. Closing a
//! netfilter socket after a deletion is such a wait, too. A child process waits in the plugin's place.
//!
//! Nothing here decides what is removed. Without a child everything is done as if there were no such
//! module, and no failure of a child is an error.

mod child;
mod slot;

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netlink_packet_core::NLM_F_ACK;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, recv, sendmsg};

use self::child::Task;
use self::slot::Slot;
use super::link::{indexed, named};
use super::netlink::{Group, Netlink, Object};
use super::socket::{ANSWER_TIMEOUT, is_transient_errno};
use crate::error::{Code, Error, Result};

/// How long a child may take to let go of the plugin's descriptors before it is not waited for.
const READY_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether this process may have children: not before it says that it ends soon.
static IS_ALLOWED: AtomicBool = AtomicBool::new(false);
/// This end of the socket pair to the child that was started last; closed by the process's end.
static CHILD: Mutex<Option<OwnedFd>> = Mutex::new(None);

/// Lets removals of this process be waited for by children, which whoever adopts them reaps. Only
/// for a process that ends soon after a removal.
pub fn allow_children() {
    IS_ALLOWED.store(true, Ordering::Relaxed);
}

/// What became of a removal that was left to a child.
enum Outcome {
    /// The link is gone.
    Gone,
    /// The kernel refused.
    Refused(Errno),
    /// Neither was heard of in time.
    Late,
    /// There is no child, or it ended without having sent the request.
    Unsent,
}

/// Removes the link of this name; `false` if there was none. The calling thread is in the network
/// namespace of `netlink`.
pub(super) fn remove_link(netlink: &mut Netlink, name: &str) -> Result<bool> {
    let mut was_there = false;
    let found = match IS_ALLOWED.load(Ordering::Relaxed) {
        true => netlink.find_link(name)?,
        false => None,
    };
    // Of a link that is missing the kernel says so at once, and whether this process may ask.
    if let Some(link) = found {
        was_there = true;
        match by_child(netlink, &indexed(link.index).build(), link.index) {
            Outcome::Gone | Outcome::Refused(Errno::ENODEV) => return Ok(true),
            Outcome::Refused(errno) if !is_transient_errno(errno) => {
                return Err(Error::errno(Code::Kernel, errno));
            }
            Outcome::Late => return Err(Error::new(Code::Io, "no netlink answer within 20 s")),
            Outcome::Refused(_) | Outcome::Unsent => {}
        }
    }
    match netlink.change(RouteNetlinkMessage::DelLink(named(name).build()), 0) {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() => Ok(was_there),
        Err(error) => Err(error),
    }
}

/// Removes the links of these names, in one go where the kernel takes that: then it waits once for
/// all of them. The calling thread is in the network namespace of `netlink`.
pub(super) fn remove_links(netlink: &mut Netlink, names: &[String]) -> Result<()> {
    if names.len() > 1 {
        // What it did not remove is removed below.
        remove_as_group(netlink, names).ok();
    }
    let mut failures = Vec::new();
    for name in names {
        failures.extend(netlink.remove_link(name).err());
    }
    Error::join(failures)
}

/// Makes the links a group of their own and removes that.
fn remove_as_group(netlink: &mut Netlink, names: &[String]) -> Result<()> {
    // Of this process alone, and far from the numbers that people give.
    let group = std::process::id() | 1 << 31;
    let mut last = None;
    for name in names {
        if let Some(link) = netlink.find_link(name)? {
            let change = indexed(link.index).append_extra_attribute(LinkAttribute::Group(group));
            netlink.set_link(change)?;
            last = Some(link.index);
        }
    }
    let Some(last) = last else { return Ok(()) };
    let mut request = LinkMessage::default();
    request.attributes.push(LinkAttribute::Group(group));
    match by_child(netlink, &request, last) {
        Outcome::Unsent => netlink.change(RouteNetlinkMessage::DelLink(request), 0),
        _outcome => Ok(()),
    }
}

/// Has a child ask for a removal, by which the link with this index goes, and waits for its
/// announcement or the answer.
fn by_child(netlink: &mut Netlink, request: &LinkMessage, index: u32) -> Outcome {
    if !IS_ALLOWED.load(Ordering::Relaxed) {
        return Outcome::Unsent;
    }
    let prepared = || -> Result<_> {
        let mut listener = Netlink::open()?;
        listener.subscribe(&[Group::Link])?;
        let mut sender = Netlink::open()?;
        let request = RouteNetlinkMessage::DelLink(request.clone());
        let (sequence, bytes) = sender.prepare(&request, NLM_F_ACK);
        Ok((listener, sender, sequence, bytes))
    };
    let Ok((mut listener, mut sender, sequence, bytes)) = prepared() else {
        return Outcome::Unsent;
    };
    let Some(channel) = start(Some((sender.as_fd(), &bytes))) else { return Outcome::Unsent };
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    loop {
        let is_ended = match wait([listener.as_fd(), sender.as_fd(), channel.as_fd()], deadline) {
            Err(_errno) => return Outcome::Unsent,
            Ok(None) => return Outcome::Late,
            Ok(Some([_, _, is_ended])) => is_ended,
        };
        match sender.status(sequence) {
            Ok(Some(None)) => return keep(channel, Outcome::Gone),
            Ok(Some(Some(errno))) => return keep(channel, Outcome::Refused(errno)),
            Ok(None) if is_ended => return Outcome::Unsent,
            // The announcement is still to be had.
            Ok(None) | Err(_) => {}
        }
        if is_announced(&mut listener, index) && is_gone(netlink, index) {
            return keep(channel, Outcome::Gone);
        }
        if is_ended {
            return Outcome::Unsent;
        }
    }
}

/// Whether the removal of the link was announced, or any announcement was lost.
fn is_announced(listener: &mut Netlink, index: u32) -> bool {
    let is_of_link =
        |object: &Object| matches!(object, Object::RemovedLink(link) if link.index == index);
    match listener.notifications(Instant::now()) {
        Ok(Some(objects)) => objects.is_empty() || objects.iter().any(is_of_link),
        Ok(None) => false,
        Err(_unreadable) => true,
    }
}

/// Whether there is no such link any more. The kernel answers once it has let go of the lock under
/// which it removes a link: both ends, their names and their folders in /sys are gone by then.
fn is_gone(netlink: &mut Netlink, index: u32) -> bool {
    matches!(netlink.find_link_by_index(index), Ok(None))
}

/// Waits until one of them can be read; `None` when the deadline has passed.
fn wait(of: [BorrowedFd<'_>; 3], deadline: Instant) -> nix::Result<Option<[bool; 3]>> {
    let mut fds = of.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(fds.map(|fd| fd.any().unwrap_or(true)))),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Closes a netfilter socket, or has a child close it where that may take time: after deletions by
/// this socket, or by another one whose closing is already left to a child.
pub(super) fn close(socket: impl AsFd, has_deleted: bool) {
    if !IS_ALLOWED.load(Ordering::Relaxed) || hand_over(socket.as_fd()) || !has_deleted {
        return;
    }
    if let Some(channel) = start(None).filter(is_ready) {
        *current() = Some(channel);
        hand_over(socket.as_fd());
    }
}

/// Gives the current child a copy of the socket, if there is one that has not ended.
fn hand_over(socket: BorrowedFd<'_>) -> bool {
    let current = current();
    let Some(channel) = current.as_ref() else { return false };
    // A copy in the queue of the child's end is closed with that.
    let sent = sendmsg::<()>(
        channel.as_raw_fd(),
        &[IoSlice::new(&[0])],
        &[ControlMessage::ScmRights(&[socket.as_raw_fd()])],
        MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT,
        None,
    );
    sent.is_ok()
}

/// Whether the child says that it has let go of the plugin's descriptors.
fn is_ready(channel: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(channel.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(READY_TIMEOUT).unwrap_or(PollTimeout::ZERO);
    // An interruption is no reason to try again: the socket is then closed here.
    poll(&mut fds, timeout) == Ok(1)
        && recv(channel.as_raw_fd(), &mut [0], MsgFlags::MSG_DONTWAIT) == Ok(1)
}

fn start(request: Option<(BorrowedFd<'_>, &[u8])>) -> Option<OwnedFd> {
    let slot = Slot::claim()?;
    child::start(&Task { slot: &slot, request }).ok()
}

fn keep(channel: OwnedFd, outcome: Outcome) -> Outcome {
    *current() = Some(channel);
    outcome
}

fn current() -> MutexGuard<'static, Option<OwnedFd>> {
    CHILD.lock().unwrap_or_else(PoisonError::into_inner)
}
