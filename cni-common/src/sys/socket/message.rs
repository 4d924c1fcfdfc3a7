//! Messages in a datagram: written with header and padding, and read whatever lengths they claim.

use netlink_packet_core::{
    NLM_F_DUMP_INTR, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable,
};
use nix::errno::Errno;

use super::Protocol;
use crate::error::{Context, Result};
use crate::reading;

/// The kernel sends at most 32 KiB in one datagram (`NLMSG_GOODSIZE` of a dump); twice that.
pub(super) const MAX_DATAGRAM: usize = 64 * 1024;
/// `NLMSG_HDRLEN` of linux/netlink.h.
const HEADER_LENGTH: usize = 16;

/// One message from the kernel.
#[derive(Debug)]
pub(in crate::sys) struct Received<M> {
    /// Which request it answers.
    pub(in crate::sys) sequence: u32,
    /// Whether it says that its dump was interrupted.
    pub(in crate::sys) is_interrupted: bool,
    /// What it says.
    pub(in crate::sys) content: Content<M>,
}

/// What a message from the kernel says.
#[derive(Debug)]
pub(in crate::sys) enum Content<M> {
    /// An object.
    Object(M),
    /// How a request went: `None` for an acknowledgement.
    Status(Option<Errno>),
    /// The end of a dump.
    Done,
    /// Nothing of interest.
    Other,
}

impl<M> Received<M> {
    /// The object, if it is one.
    pub(in crate::sys) fn object(self) -> Option<M> {
        match self.content {
            Content::Object(object) => Some(object),
            Content::Status(_) | Content::Done | Content::Other => None,
        }
    }
}

/// The messages of one datagram.
pub(in crate::sys) fn read_datagram<P: Protocol>(
    datagram: &[u8],
) -> Result<Vec<Received<P::Message>>> {
    let mut messages = Vec::new();
    let mut rest = datagram;
    while !rest.is_empty() {
        let (message, length) = P::read(rest).context("read the netlink answer")?;
        // Messages are aligned to four bytes; one of no length would never end.
        let length = length.next_multiple_of(4).max(HEADER_LENGTH);
        rest = rest.get(length..).unwrap_or_default();
        messages.push(message);
    }
    Ok(messages)
}

/// Reads the first message of a datagram; also its length.
pub(in crate::sys) fn read_message<M: NetlinkDeserializable>(
    bytes: &[u8],
) -> Result<(Received<M>, usize)> {
    let message = reading::guarded(|| NetlinkMessage::<M>::deserialize(bytes))?;
    let status = |code: i32| (code != 0).then(|| Errno::from_raw(code.saturating_neg()));
    let content = match message.payload {
        NetlinkPayload::InnerMessage(object) => Content::Object(object),
        NetlinkPayload::Error(error) => Content::Status(status(error.raw_code())),
        // A dump that failed says so at its end.
        NetlinkPayload::Done(done) => match status(done.code) {
            None => Content::Done,
            failed => Content::Status(failed),
        },
        _ => Content::Other,
    };
    let header = message.header;
    let received = Received {
        sequence: header.sequence_number,
        is_interrupted: header.flags & NLM_F_DUMP_INTR != 0,
        content,
    };
    Ok((received, usize::try_from(header.length).unwrap_or(usize::MAX)))
}

/// Writes a message behind `bytes`.
pub(in crate::sys) fn append<M: NetlinkSerializable + Clone>(
    bytes: &mut Vec<u8>,
    message: &M,
    (sequence, flags): (u32, u16),
) {
    let mut header = NetlinkHeader::default();
    header.sequence_number = sequence;
    header.flags = flags;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message.clone()));
    message.finalize();
    let start = bytes.len();
    bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
    if let Some(space) = bytes.get_mut(start..) {
        message.serialize(space);
    }
}
