//! Messages to and from the kernel: numbering, batches, acknowledgements, dumps.

use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer,
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_netfilter::nftables::NfTablesMessage;
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use super::Refusal;
use crate::error::{Code, Error, Result};
use crate::nft::{Generation, Operation, encode};
use crate::reading;

/// `NFNL_SUBSYS_NFTABLES` of linux/netfilter/nfnetlink.h.
const SUBSYSTEM: u16 = 10;
/// `NFNL_BATCH_GENID` of the same: the attribute of a batch's begin.
const BATCH_GENERATION: u16 = 1;
/// `NFNL_MSG_BATCH_BEGIN`.
const BATCH_BEGIN: u8 = 16;
/// `NFT_MSG_NEWSETELEM` of linux/netfilter/nf_tables.h.
pub(super) const NEW_ELEMENTS: u8 = 12;
/// The kernel fills at most 32 KiB of a dump at a time (`netlink_dump`); acknowledgements are less.
const BUFFER: usize = 64 * 1024;
/// A dump that is interrupted this often is one of a rule set under constant change.
const DUMPS: usize = 200;
/// How often an answer is read again that is there, but could not be read.
const TRIES: u32 = 10;

/// What was asked of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// One object; absent is an answer.
    One,
    /// All of them.
    All,
    /// The first few only; the connection is of no use afterwards.
    Some,
}

/// Whether a dump shows one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// It does.
    Yes,
    /// Changes came into it.
    No,
}

/// One netlink socket; `None` in a kernel without it, where there is nothing to be found.
#[derive(Debug)]
pub(super) struct Wire {
    socket: Option<OwnedFd>,
    sequence: u32,
    buffer: Vec<u8>,
}

/// What one message from the kernel meant.
enum Answer {
    Object(NfTablesMessage, u16),
    Failed(Errno, u32),
    Acknowledged(u32),
    Done,
    Stale,
}

impl Wire {
    pub(super) fn open() -> Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )
        .map(Some)
        .or_else(|errno| match errno {
            Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT => Ok(None),
            errno => Err(Error::errno(Code::Kernel, errno).context("open a netfilter socket")),
        })?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// Sends the operations as one batch and reads what became of it.
    pub(super) fn transact(
        &mut self,
        operations: &[Operation],
        expected: Option<Generation>,
    ) -> Result<(), Refusal> {
        let whole = |error: Error| Refusal {
            error: error.context("change the packet filter"),
            operation: None,
        };
        let first = self.next();
        let mut bytes = Vec::with_capacity(256 * operations.len());
        append(&mut bytes, batch_begin(expected), (first, NLM_F_REQUEST));
        for (index, operation) in operations.iter().enumerate() {
            let sequence = self.next();
            let (message, flags) = encode(operation, sequence);
            // Errors are told without asking; that the last was reached says that all were.
            let ack = if index + 1 == operations.len() { NLM_F_ACK } else { 0 };
            append(&mut bytes, message, (sequence, NLM_F_REQUEST | flags | ack));
        }
        let last = self.sequence;
        let end = self.next();
        append(&mut bytes, control(ControlMessage::BatchEnd), (end, NLM_F_REQUEST));
        self.send(&bytes).map_err(|errno| whole(Error::errno(Code::Kernel, errno)))?;

        let mut acknowledged = false;
        let mut refusal: Option<Refusal> = None;
        let mut tries = 0;
        loop {
            let answers = match self.receive(first) {
                Ok(Some(answers)) => answers,
                Ok(None) if acknowledged || refusal.is_some() || tries >= TRIES => break,
                Err(error) if !is_passing(&error) || tries >= TRIES => return Err(whole(error)),
                // The answer stays in the socket's queue.
                Ok(None) | Err(_) => {
                    tries += 1;
                    continue;
                }
            };
            for (answer, _interrupted) in answers {
                match answer {
                    Answer::Failed(errno, sequence) => {
                        let index = sequence.checked_sub(first.wrapping_add(1));
                        let index = index.and_then(|index| usize::try_from(index).ok());
                        refusal.get_or_insert_with(|| refused(operations, index, errno));
                    }
                    Answer::Acknowledged(sequence) => acknowledged |= sequence == last,
                    Answer::Object(..) | Answer::Done | Answer::Stale => {}
                }
            }
        }
        match refusal {
            Some(refusal) => Err(refusal),
            None if acknowledged => Ok(()),
            None => Err(whole(Error::errno(Code::Kernel, Errno::ENODATA))),
        }
    }

    /// Asks, and collects the objects of the answer. An object that is not there is an empty
    /// answer; a dump that changes came into is asked for again.
    pub(super) fn ask(
        &mut self,
        message: &NetfilterMessage,
        question: Question,
    ) -> Result<Vec<NfTablesMessage>> {
        for _ in 0..DUMPS {
            if let (objects, Whole::Yes) = self.glimpse(message, question)? {
                return Ok(objects);
            }
        }
        Err(Error::new(Code::TryAgainLater, "the packet filter changes too fast to be listed"))
    }

    /// The same without asking again: changes that came into a dump may have hidden something.
    pub(super) fn glimpse(
        &mut self,
        message: &NetfilterMessage,
        question: Question,
    ) -> Result<(Vec<NfTablesMessage>, Whole)> {
        let mut last = Errno::EAGAIN;
        for _ in 0..DUMPS {
            match self.ask_once(message, question) {
                Ok(answer) => return Ok(answer),
                Err(errno) if passes(errno) => {
                    // The kernel begins no dump on a socket that is in the middle of one.
                    last = errno;
                    self.socket = Self::open()?.socket;
                }
                // No such table, set or element; a key the set can't hold; or (the others, and
                // EINVAL again) no nf_tables in this kernel.
                Err(Errno::ENOENT | Errno::EINVAL | Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT) => {
                    return Ok((Vec::new(), Whole::Yes));
                }
                Err(errno) => return Err(Error::errno(Code::Kernel, errno)),
            }
        }
        Err(Error::errno(Code::Kernel, last))
    }

    fn ask_once(
        &mut self,
        message: &NetfilterMessage,
        question: Question,
    ) -> Result<(Vec<NfTablesMessage>, Whole), Errno> {
        let sequence = self.next();
        let dump = if question == Question::One { 0 } else { NLM_F_DUMP };
        let mut bytes = Vec::with_capacity(256);
        append(&mut bytes, message.clone(), (sequence, NLM_F_REQUEST | dump));
        self.send(&bytes)?;
        let (mut objects, mut whole) = (Vec::new(), Whole::Yes);
        // The kernel marks interrupted dumps of all but elements (6.18); every object tells the
        // low half of the generation it is of.
        let mut first = None;
        loop {
            let unreadable = |error: Error| error.raw_errno().unwrap_or(Errno::EBADMSG);
            // Every question has an answer, and it is there: that it is not says that it was lost.
            let answers = self.receive(sequence).map_err(unreadable)?.ok_or(Errno::EAGAIN)?;
            let mut answered = false;
            for (answer, cut) in answers {
                if cut {
                    whole = Whole::No;
                }
                match answer {
                    Answer::Object(object, state) => {
                        if *first.get_or_insert(state) != state {
                            whole = Whole::No;
                        }
                        objects.push(object);
                        answered = true;
                    }
                    Answer::Failed(errno, _) => return Err(errno),
                    Answer::Done => return Ok((objects, whole)),
                    Answer::Acknowledged(_) | Answer::Stale => {}
                }
            }
            // A dump goes on until it says that it is done.
            if answered && question != Question::All {
                return Ok((objects, whole));
            }
        }
    }

    fn next(&mut self) -> u32 {
        self.sequence += 1;
        self.sequence
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        let socket = self.socket.as_ref().ok_or(Errno::EPROTONOSUPPORT)?;
        let kernel = NetlinkAddr::new(0, 0);
        loop {
            match sendto(socket.as_raw_fd(), bytes, &kernel, MsgFlags::empty()) {
                Ok(_whole) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// The messages of the next datagram; `None` when there is no more. Those older than `first`
    /// answer an earlier question.
    fn receive(&mut self, first: u32) -> Result<Option<Vec<(Answer, bool)>>> {
        let Some(socket) = &self.socket else { return Ok(None) };
        let length = loop {
            match recv(socket.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => break length,
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::errno(Code::Kernel, errno)),
            }
        };
        read_datagram(self.buffer.get(..length).unwrap_or_default(), first).map(Some)
    }
}

/// Whether a socket's trouble may be over at once.
fn passes(errno: Errno) -> bool {
    matches!(errno, Errno::EINTR | Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM)
}

fn is_passing(error: &Error) -> bool {
    error.raw_errno().is_some_and(passes)
}

/// The objects in one datagram, whatever they answer.
pub(super) fn objects(datagram: &[u8]) -> Result<Vec<NfTablesMessage>> {
    let answers = read_datagram(datagram, 0)?.into_iter();
    Ok(answers
        .filter_map(|(answer, _)| match answer {
            Answer::Object(object, _) => Some(object),
            _ => None,
        })
        .collect())
}

/// What the messages of one datagram mean, and whether each says that its dump was interrupted.
fn read_datagram(datagram: &[u8], first: u32) -> Result<Vec<(Answer, bool)>> {
    let mut rest = datagram;
    let mut answers = Vec::new();
    while !rest.is_empty() {
        if let Some((answer, length)) = elements(rest, first) {
            // The message that ends the dump would say that it was interrupted.
            answers.push((answer, false));
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            continue;
        }
        let message = reading::guarded(|| NetlinkMessage::<NetfilterMessage>::deserialize(rest))
            .map_err(|error| error.context("read the packet filter's answer"))?;
        let length = usize::try_from(message.header.length).unwrap_or(usize::MAX);
        let interrupted = message.header.flags & NLM_F_DUMP_INTR != 0;
        answers.push((meaning(message, first), interrupted));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(answers)
}

/// A message of elements, and its length. The message crate's own reading of a list of them takes
/// time by the square of its length (100 ms for 500), so only its outermost attributes are read here.
fn elements(bytes: &[u8], first: u32) -> Option<(Answer, usize)> {
    let message = NetlinkBuffer::new_checked(bytes).ok()?;
    if message.message_type() != SUBSYSTEM << 8 | u16::from(NEW_ELEMENTS) {
        return None;
    }
    let length = usize::try_from(message.length()).ok()?;
    if message.sequence_number() < first {
        return Some((Answer::Stale, length));
    }
    let payload = bytes.get(16..length)?;
    let state = u16::from_be_bytes(payload.get(2..4)?.try_into().ok()?);
    let attributes = NlasIterator::new(payload.get(4..)?)
        .flatten()
        .map(|attribute| DefaultNla::new(attribute.kind(), attribute.value().to_vec()))
        .collect();
    let object = NfTablesMessage::Other { message_type: NEW_ELEMENTS, attributes };
    Some((Answer::Object(object, state), length))
}

fn meaning(message: NetlinkMessage<NetfilterMessage>, first: u32) -> Answer {
    let sequence = message.header.sequence_number;
    if sequence < first {
        return Answer::Stale;
    }
    match message.payload {
        NetlinkPayload::Error(error) => match error.raw_code() {
            0 => Answer::Acknowledged(sequence),
            code => Answer::Failed(Errno::from_raw(code.saturating_neg()), sequence),
        },
        NetlinkPayload::Done(_) => Answer::Done,
        NetlinkPayload::InnerMessage(message) => match message.inner {
            NetfilterMessageInner::NfTables(object) => {
                Answer::Object(object, message.header.res_id)
            }
            _ => Answer::Stale,
        },
        _ => Answer::Stale,
    }
}

fn refused(operations: &[Operation], index: Option<usize>, errno: Errno) -> Refusal {
    let error = Error::errno(Code::Kernel, errno);
    match index.and_then(|index| Some((index, operations.get(index)?))) {
        Some((index, operation)) => {
            Refusal { error: error.context(operation), operation: Some(index) }
        }
        None => Refusal { error: error.context("change the packet filter"), operation: None },
    }
}

fn batch_begin(expected: Option<Generation>) -> NetfilterMessage {
    match expected {
        None => control(ControlMessage::BatchBegin),
        Some(Generation(id)) => control(ControlMessage::Other {
            message_type: BATCH_BEGIN,
            attributes: vec![DefaultNla::new(BATCH_GENERATION, id.to_be_bytes().to_vec())],
        }),
    }
}

fn control(message: ControlMessage) -> NetfilterMessage {
    NetfilterMessage::new(NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, SUBSYSTEM), message)
}

fn append(bytes: &mut Vec<u8>, message: NetfilterMessage, (sequence, flags): (u32, u16)) {
    let mut header = NetlinkHeader::default();
    header.sequence_number = sequence;
    header.flags = flags;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
    message.finalize();
    let start = bytes.len();
    bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
    if let Some(room) = bytes.get_mut(start..) {
        message.serialize(room);
    }
}
