//! One rtnetlink socket: a request is sent, its answer awaited.
//!
//! Blocking, because what a plugin does with a socket is strictly one thing after the other, and
//! because every error of the socket must reach the caller as what it is. An interrupted call or
//! dump is repeated, never reported.

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::error::{Code, Context, Error, Result};
use crate::reading;

/// The kernel sends at most 32 KiB in one datagram (`NLMSG_GOODSIZE` of a dump); twice that.
const BUFFER: usize = 64 * 1024;
/// A call that fails this often in a row for want of something passing is not going to work.
const TRIES: u32 = 10;
/// The kernel answers while `send` still runs; this only keeps a lost answer from being a hang.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// A netlink socket of the namespace it was opened in.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

/// A group of notifications (`RTNLGRP_*` in linux/rtnetlink.h).
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Group {
    /// Changes of links.
    Link = 1,
    /// Changes of IPv6 addresses.
    Ipv6Address = 9,
    /// Changes of IPv6 routes.
    Ipv6Route = 11,
}

/// One message of a datagram.
pub type Message = NetlinkMessage<RouteNetlinkMessage>;

/// The messages of one datagram.
pub fn read_datagram(datagram: &[u8]) -> Result<Vec<Message>> {
    let mut messages = Vec::new();
    let mut rest = datagram;
    while !rest.is_empty() {
        let message = reading::guarded(|| Message::deserialize(rest))
            .map_err(|error| error.context("read the netlink answer"))?;
        // Messages are aligned to four bytes; one of no length would never end.
        let length = (message.header.length as usize).next_multiple_of(4).max(16);
        rest = rest.get(length..).unwrap_or_default();
        messages.push(message);
    }
    Ok(messages)
}

impl Netlink {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self> {
        let fault = |error: std::io::Error| socket_error(&error, "open a netlink socket");
        let socket = Socket::new(NETLINK_ROUTE).map_err(fault)?;
        // Answers need not repeat the request, and filters of a dump are to be obeyed or refused;
        // a kernel without the second does the filtering too little, never too much.
        socket.set_cap_ack(true).map_err(fault)?;
        socket.set_netlink_get_strict_chk(true).ok();
        Ok(Self { socket, sequence: 0, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Starts the notifications of `groups` on this socket, which is then for waiting only.
    pub fn subscribe(&mut self, groups: &[Group]) -> Result<()> {
        let fault =
            |error: std::io::Error| socket_error(&error, "subscribe to netlink notifications");
        // The kernel spares the port that caused a change its notification. What it did by itself
        // was caused by port 0, which is also that of a socket not bound yet.
        self.socket.bind_auto().map_err(fault)?;
        groups.iter().try_for_each(|group| self.socket.add_membership(*group as u32).map_err(fault))
    }

    /// Asks for a change and waits until the kernel has made it. `flags` are `NLM_F_CREATE` etc.
    pub fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<()> {
        self.exchange_with_retry(&message, NLM_F_REQUEST | NLM_F_ACK | flags).map(|_none| ())
    }

    /// Asks for a change whose outcome does not matter any more.
    pub fn tell(&mut self, message: RouteNetlinkMessage) -> Result<()> {
        self.send(message, NLM_F_REQUEST)
    }

    /// Asks for one object.
    pub fn get(&mut self, message: RouteNetlinkMessage) -> Result<RouteNetlinkMessage> {
        let mut answers = self.exchange_with_retry(&message, NLM_F_REQUEST)?;
        answers.pop().ok_or_else(|| Error::new(Code::Kernel, "empty netlink answer"))
    }

    /// Asks for all objects that `message` selects; repeated while changes cut it short.
    pub fn dump(&mut self, message: RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>> {
        self.exchange_with_retry(&message, NLM_F_REQUEST | NLM_F_DUMP)
    }

    /// Waits for the next notifications until `deadline`; none when it has passed.
    ///
    /// An overrun of the socket's buffer, or an interruption, is returned as an empty list of
    /// notifications: ask anew.
    pub fn notifications(&mut self, deadline: Instant) -> Result<Option<Vec<RouteNetlinkMessage>>> {
        if !self.wait_readable(deadline)? {
            return Ok(None);
        }
        match self.receive() {
            Err(error) if error.raw_errno().is_some_and(passes) => Ok(Some(Vec::new())),
            Err(error) => Err(error),
            Ok(messages) => Ok(Some(messages.into_iter().filter_map(payload).collect())),
        }
    }

    /// [`Self::exchange`], again while it is interrupted: an interrupted request changed nothing,
    /// an interrupted dump said nothing that can be relied on.
    fn exchange_with_retry(
        &mut self,
        message: &RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>> {
        let mut tries = 0;
        loop {
            match self.exchange(message.clone(), flags) {
                Err(error) if error.raw_errno() == Some(Errno::EINTR) && tries < TRIES => {
                    tries += 1
                }
                other => return other,
            }
        }
    }

    /// Sends one request and collects its answers: up to the acknowledgement, to the end of the
    /// dump, or to the one object where neither was asked for.
    fn exchange(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>> {
        self.send(message, flags)?;
        let mut answers = Vec::new();
        let mut interrupted = false;
        loop {
            for message in self.receive_with_retry()? {
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
                match message.payload {
                    NetlinkPayload::InnerMessage(inner) => {
                        answers.push(inner);
                        if flags & (NLM_F_ACK | NLM_F_DUMP) == 0 {
                            return Ok(answers);
                        }
                    }
                    NetlinkPayload::Error(error) => return finish(error.raw_code(), answers),
                    NetlinkPayload::Done(_) if interrupted => return finish(-EINTR, answers),
                    NetlinkPayload::Done(done) => return finish(done.code, answers),
                    _ => {}
                }
            }
        }
    }

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<()> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let kernel = SocketAddr::new(0, 0);
        let mut tries = 0;
        loop {
            match self.socket.send_to(&bytes, &kernel, 0) {
                Ok(_) => return Ok(()),
                // Not sent: nothing has happened yet, and trying again is safe.
                Err(error) if tries < TRIES && is_passing(&error) => tries += 1,
                Err(error) => return Err(socket_error(&error, "send to netlink")),
            }
        }
    }

    /// The next datagram of an answer, whatever passing trouble reading it meets.
    fn receive_with_retry(&mut self) -> Result<Vec<Message>> {
        let deadline = Instant::now() + ANSWER_DEADLINE;
        let mut tries = 0;
        loop {
            match self.receive() {
                Ok(messages) => return Ok(messages),
                Err(error) if error.raw_errno() == Some(Errno::EAGAIN) => {
                    if !self.wait_readable(deadline)? {
                        return Err(Error::new(Code::Io, "no netlink answer within 20 s"));
                    }
                }
                // The answer stays in the socket's queue.
                Err(_passing) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn receive(&mut self) -> Result<Vec<Message>> {
        self.buffer.clear();
        self.socket
            .recv(&mut self.buffer, MSG_DONTWAIT)
            .map_err(|error| socket_error(&error, "receive from netlink"))?;
        read_datagram(&self.buffer)
    }

    fn wait_readable(&self, deadline: Instant) -> Result<bool> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).context("wait for netlink"),
            }
        }
    }
}

const EINTR: i32 = Errno::EINTR as i32;
const MSG_DONTWAIT: i32 = nix::sys::socket::MsgFlags::MSG_DONTWAIT.bits();

/// An acknowledgement's or an end of dump's code, 0 or a negated errno.
fn finish(code: i32, answers: Vec<RouteNetlinkMessage>) -> Result<Vec<RouteNetlinkMessage>> {
    match code {
        0 => Ok(answers),
        code => Err(Error::errno(Code::Kernel, Errno::from_raw(code.saturating_neg()))),
    }
}

fn payload(message: Message) -> Option<RouteNetlinkMessage> {
    match message.payload {
        NetlinkPayload::InnerMessage(inner) => Some(inner),
        _ => None,
    }
}

fn is_passing(error: &std::io::Error) -> bool {
    error.raw_os_error().map(Errno::from_raw).is_some_and(passes)
}

/// Whether a socket's trouble may be over at once.
fn passes(errno: Errno) -> bool {
    matches!(errno, Errno::EINTR | Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM)
}

fn socket_error(error: &std::io::Error, doing: &str) -> Error {
    let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    Error::errno(Code::Io, errno).context(doing)
}
