//! The transport of every netlink protocol: a request is sent, its answer awaited.
//!
//! Blocking, because what a plugin does with a socket is strictly one thing after the other, and
//! because every error of the socket must reach the caller as what it is. Retries, deadlines,
//! sequence numbers, acknowledgements, dumps and batches are here and nowhere else. Knows no link,
//! route or rule: what a message says is its protocol's business.

mod message;
mod passing;
mod prepared;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_ECHO, NLM_F_REQUEST};
use netlink_sys::{Socket as RawSocket, SocketAddr};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, setsockopt, sockopt};

use self::message::MAX_DATAGRAM;
pub(super) use self::message::{Content, Received, append, read_datagram, read_message};
pub(super) use self::passing::{is_transient, is_transient_errno};
use self::passing::{is_transient_io, socket_error};
use crate::error::{Code, Context, Error, Result};

/// A call that fails this often in a row for a passing reason is not going to work.
const MAX_RETRIES: u32 = 10;
/// A dump that is interrupted this often is one of objects under constant change.
const MAX_DUMPS: u32 = 200;
/// The kernel answers while `send` still runs; this only keeps a lost answer from being a hang.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// What every socket can send at once: a third of the smallest send buffer that kernels start with.
const SMALL_BATCH: usize = 64 * 1024;
const MSG_DONTWAIT: i32 = MsgFlags::MSG_DONTWAIT.bits();

/// A netlink protocol: its number, and how its messages are written and read.
pub(super) trait Protocol {
    /// `NETLINK_*` of linux/netlink.h.
    const NUMBER: isize;
    /// What an error calls it.
    const NAME: &'static str;
    /// What its messages say.
    type Message: Clone
        + netlink_packet_core::NetlinkSerializable
        + netlink_packet_core::NetlinkDeserializable;

    /// Reads the first message of a datagram; also its length.
    fn read(bytes: &[u8]) -> Result<(Received<Self::Message>, usize)> {
        read_message(bytes)
    }

    /// Which state of the kernel's the message describes, where messages say so. A dump with
    /// messages of two states was interrupted, even if nothing else tells.
    fn state(_message: &Self::Message) -> Option<u16> {
        None
    }
}

/// A netlink socket. It belongs to the network namespace in which it was opened.
#[derive(Debug)]
pub struct Socket<P> {
    socket: RawSocket,
    sequence: u32,
    buffer: Vec<u8>,
    protocol: std::marker::PhantomData<P>,
}

/// Whether a dump shows one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// It does.
    Yes,
    /// Changes came into it.
    No,
}

/// What is expected after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// An acknowledgement.
    Acknowledgement,
    /// One object.
    Object,
    /// One object or none, which some kernels send only to who asks for it by the flag of an echo,
    /// and an acknowledgement.
    Echo,
    /// All objects of a dump.
    Dump,
    /// The first objects of a dump.
    DumpBeginning,
}

impl Expected {
    fn flags(self) -> u16 {
        match self {
            Self::Acknowledgement => NLM_F_ACK,
            Self::Object => 0,
            Self::Echo => NLM_F_ECHO | NLM_F_ACK,
            Self::Dump | Self::DumpBeginning => NLM_F_DUMP,
        }
    }
}

impl<P> AsFd for Socket<P> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<P> Socket<P> {
    /// Joins the multicast groups of these numbers: the socket is then for waiting only.
    pub(super) fn join_groups(&mut self, groups: impl IntoIterator<Item = u32>) -> Result<()> {
        let fault = |error: io::Error| socket_error(&error, "subscribe to netlink notifications");
        // The kernel spares the port that caused a change its notification. What it did by itself
        // was caused by port 0, which is also that of a socket not bound yet.
        self.socket.bind_auto().map_err(fault)?;
        groups.into_iter().try_for_each(|group| self.socket.add_membership(group).map_err(fault))
    }

    /// Whether there is something to be received before `deadline`.
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

    fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > SMALL_BATCH {
            self.enlarge_send_buffer(bytes.len());
        }
        let kernel = SocketAddr::new(0, 0);
        let mut retries = 0;
        loop {
            match self.socket.send_to(bytes, &kernel, 0) {
                Ok(_length) => return Ok(()),
                // Not sent: nothing has happened yet, and trying again is safe.
                Err(error) if retries < MAX_RETRIES && is_transient_io(&error) => retries += 1,
                Err(error) => return Err(socket_error(&error, "send to netlink")),
            }
        }
    }

    /// Makes room for a message of this length; without it `send` says what is missing (EMSGSIZE).
    fn enlarge_send_buffer(&mut self, length: usize) {
        // The kernel keeps its own data of the message in the same buffer.
        let size = length.saturating_mul(2);
        // Beyond the limit of ordinary users; only root of the machine may.
        if setsockopt(&self.socket, sockopt::SndBufForce, &size).is_err() {
            setsockopt(&self.socket, sockopt::SndBuf, &size).ok();
        }
    }
}

#[allow(private_bounds, reason = "a protocol is the business of `sys` alone")]
impl<P: Protocol> Socket<P> {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self> {
        let fault = |error: io::Error| socket_error(&error, &format!("open a {} socket", P::NAME));
        let socket = RawSocket::new(P::NUMBER).map_err(fault)?;
        // Answers need not repeat the request, and filters of a dump are to be obeyed or refused;
        // a kernel without the second does the filtering too little, never too much.
        socket.set_cap_ack(true).map_err(fault)?;
        socket.set_netlink_get_strict_chk(true).ok();
        Ok(Self {
            socket,
            sequence: 0,
            buffer: Vec::with_capacity(MAX_DATAGRAM),
            protocol: std::marker::PhantomData,
        })
    }

    /// Asks for a change and waits until the kernel has made it. `flags` are `NLM_F_CREATE` etc.
    pub(super) fn change(&mut self, message: P::Message, flags: u16) -> Result<()> {
        let mut retries = 0;
        loop {
            match self.exchange(&message, flags, Expected::Acknowledgement) {
                // An interrupted request changed nothing.
                Err(error) if error.raw_errno() == Some(Errno::EINTR) && retries < MAX_RETRIES => {
                    retries += 1;
                }
                other => return other.map(|_none| ()),
            }
        }
    }

    /// Asks for a change whose outcome does not matter.
    pub(super) fn send_unacknowledged(&mut self, message: &P::Message) -> Result<()> {
        self.send(message, 0).map(|_sequence| ())
    }

    /// Asks for one object.
    pub(super) fn get(&mut self, message: &P::Message) -> Result<P::Message> {
        let (mut objects, _) = self.query(message, Expected::Object)?;
        objects.pop().ok_or_else(|| Error::new(Code::Kernel, "empty netlink answer"))
    }

    /// Asks for one object of a protocol that answers as if the object had changed, or not at all.
    pub(super) fn get_echoed(&mut self, message: &P::Message) -> Result<Option<P::Message>> {
        self.query(message, Expected::Echo).map(|(mut objects, _)| objects.pop())
    }

    /// Asks for all objects that `message` selects; repeated while changes interrupt it.
    pub(super) fn dump(&mut self, message: &P::Message) -> Result<Vec<P::Message>> {
        for _ in 0..MAX_DUMPS {
            if let (objects, Whole::Yes) = self.dump_once(message)? {
                return Ok(objects);
            }
        }
        let error = Error::errno(Code::TryAgainLater, Errno::EINTR);
        Err(error.context("what is there changes too fast to be listed"))
    }

    /// The same without repeating it: changes that came into the dump may have hidden something.
    pub(super) fn dump_once(&mut self, message: &P::Message) -> Result<(Vec<P::Message>, Whole)> {
        self.query(message, Expected::Dump)
    }

    /// The first objects of a dump. The rest stays unread: the socket takes no other dump after it.
    pub(super) fn dump_beginning(&mut self, message: &P::Message) -> Result<Vec<P::Message>> {
        self.query(message, Expected::DumpBeginning).map(|(objects, _)| objects)
    }

    /// Sends messages, each with its flags, as one datagram. Returns what the kernel said: the
    /// position of a message, and its errno or `None` for an acknowledgement.
    ///
    /// Only for protocols that answer a batch before `send` returns.
    pub(super) fn transact(
        &mut self,
        batch: &[(P::Message, u16)],
    ) -> Result<Vec<(usize, Option<Errno>)>> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::with_capacity(256 * batch.len());
        for (message, flags) in batch {
            let sequence = self.next_sequence();
            append(&mut bytes, message, (sequence, NLM_F_REQUEST | flags));
        }
        self.send_bytes(&bytes)?;
        let mut statuses = Vec::new();
        let mut retries = 0;
        loop {
            match self.receive() {
                Ok(Some(messages)) => statuses.extend(messages.iter().filter_map(|message| {
                    let Content::Status(status) = message.content else { return None };
                    let position = usize::try_from(message.sequence.checked_sub(first)?).ok()?;
                    (position < batch.len()).then_some((position, status))
                })),
                Ok(None) if !statuses.is_empty() => return Ok(statuses),
                Ok(None) if retries >= MAX_RETRIES => {
                    return Err(Error::errno(Code::Io, Errno::ENODATA).context("netlink answer"));
                }
                Err(error) if !is_transient(&error) || retries >= MAX_RETRIES => return Err(error),
                // The answer stays in the socket's queue.
                Ok(None) | Err(_) => retries += 1,
            }
        }
    }

    /// Waits for the next notifications until `deadline`; none when it has passed.
    ///
    /// An overrun of the socket's buffer, or an interruption, is returned as an empty list of
    /// notifications: ask anew.
    pub(super) fn next_objects(&mut self, deadline: Instant) -> Result<Option<Vec<P::Message>>> {
        if !self.wait_readable(deadline)? {
            return Ok(None);
        }
        match self.receive() {
            Ok(messages) => {
                let messages = messages.unwrap_or_default().into_iter();
                Ok(Some(messages.filter_map(Received::object).collect()))
            }
            Err(error) if is_transient(&error) => Ok(Some(Vec::new())),
            Err(error) => Err(error),
        }
    }

    /// [`Self::exchange`] of a question: asked again while it is interrupted or its answer lost.
    fn query(
        &mut self,
        message: &P::Message,
        expected: Expected,
    ) -> Result<(Vec<P::Message>, Whole)> {
        let mut retries = 0;
        loop {
            match self.exchange(message, 0, expected) {
                Err(error) if is_transient(&error) && retries < MAX_RETRIES => retries += 1,
                other => return other,
            }
        }
    }

    /// Sends one request and collects what is expected after it.
    fn exchange(
        &mut self,
        message: &P::Message,
        flags: u16,
        expected: Expected,
    ) -> Result<(Vec<P::Message>, Whole)> {
        let sequence = self.send(message, flags | expected.flags())?;
        let (mut objects, mut whole) = (Vec::new(), Whole::Yes);
        let mut state = None;
        loop {
            for message in self.receive_answer()? {
                // What is left of an earlier answer.
                if message.sequence != sequence {
                    continue;
                }
                if message.is_interrupted {
                    whole = Whole::No;
                }
                match message.content {
                    Content::Object(object) => {
                        if let Some(found) = P::state(&object)
                            && *state.get_or_insert(found) != found
                        {
                            whole = Whole::No;
                        }
                        objects.push(object);
                    }
                    Content::Status(Some(errno)) => return Err(Error::errno(Code::Kernel, errno)),
                    Content::Status(None) | Content::Done => return Ok((objects, whole)),
                    Content::Other => {}
                }
            }
            let is_enough = matches!(expected, Expected::Object | Expected::DumpBeginning);
            if is_enough && !objects.is_empty() {
                return Ok((objects, whole));
            }
        }
    }

    fn send(&mut self, message: &P::Message, flags: u16) -> Result<u32> {
        let (sequence, bytes) = self.prepare(message, flags);
        self.send_bytes(&bytes).map(|()| sequence)
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// The next datagram of an answer.
    ///
    /// An answer is in the socket's queue before `send` returns. So when reading failed and then
    /// finds nothing, the answer was lost, and the failure is returned.
    fn receive_answer(&mut self) -> Result<Vec<Received<P::Message>>> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let mut retries = 0;
        let mut failure = None;
        loop {
            match self.receive() {
                Ok(Some(messages)) => return Ok(messages),
                Ok(None) => {
                    if let Some(failure) = failure.take() {
                        return Err(failure);
                    }
                    if !self.wait_readable(deadline)? {
                        return Err(Error::new(Code::Io, "no netlink answer within 20 s"));
                    }
                }
                Err(error) if is_transient(&error) && retries < MAX_RETRIES => {
                    retries += 1;
                    failure = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The messages of the next datagram; `None` when there is none.
    fn receive(&mut self) -> Result<Option<Vec<Received<P::Message>>>> {
        self.buffer.clear();
        match self.socket.recv(&mut self.buffer, MSG_DONTWAIT) {
            Ok(_length) => read_datagram::<P>(&self.buffer).map(Some),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(socket_error(&error, "receive from netlink")),
        }
    }
}
